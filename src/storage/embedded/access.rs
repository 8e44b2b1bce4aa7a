//! Who may do what: one role per access key, one bucket per layer.
//!
//! A request is checked before its body is read. Anonymous requests are refused, and so is every operation that
//! is not named here, except for the admin.

use std::collections::HashMap;

use async_trait::async_trait;
use s3s::{
    S3Request, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    dto::{CopyObjectInput, CopySource, UploadPartCopyInput},
    s3_error,
};

use super::{Credential, Error, Result};
use crate::{
    catalog::{Layer, Role},
    storage::{Buckets, Secret},
};

/// Operations that change nothing.
const READS: [&str; 10] = [
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketVersioning",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
];

/// Operations that add an object or a version. None of them takes anything away.
const ADDITIONS: [&str; 9] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "ListMultipartUploads",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
];

/// The access keys of a store.
pub(super) struct Access {
    keys: HashMap<String, (Role, Secret)>,
    buckets: Buckets,
}

impl Access {
    pub fn new(credentials: Vec<Credential>, buckets: Buckets) -> Result<Self> {
        let mut keys = HashMap::new();
        for Credential { role, access_key_id, secret_access_key } in credentials {
            if access_key_id.is_empty() || secret_access_key.expose().is_empty() {
                return Err(Error::Credentials(format!("the key of the {role:?} is empty")));
            }
            if keys.insert(access_key_id.clone(), (role, secret_access_key)).is_some() {
                return Err(Error::Credentials(format!("the key id {access_key_id} is there twice")));
            }
        }
        Ok(Self { keys, buckets })
    }

    fn role(&self, access_key_id: &str) -> Option<Role> {
        self.keys.get(access_key_id).map(|(role, _)| *role)
    }

    /// Says whether a role may do an operation in a bucket; without a bucket it is about the store.
    fn allows(&self, role: Role, operation: &str, bucket: Option<&str>) -> bool {
        let layer = bucket.and_then(|bucket| self.buckets.layer(bucket));
        let is_read = READS.contains(&operation);
        let is_addition = ADDITIONS.contains(&operation);
        match role {
            Role::Admin => true,
            Role::Viewer | Role::Reviewer => is_read,
            Role::Uploader => (is_read || is_addition) && layer == Some(Layer::Raw),
            Role::Pipeline => is_read || is_addition && layer.is_some_and(|layer| layer != Layer::Raw),
        }
    }

    fn check_source(&self, access_key_id: Option<&str>, source: &CopySource) -> S3Result<()> {
        let role = access_key_id.and_then(|id| self.role(id));
        let bucket = match source {
            CopySource::Bucket { bucket, .. } => Some(&**bucket),
            _ => None,
        };
        match role {
            Some(role) if self.allows(role, "GetObject", bucket) => Ok(()),
            _ => Err(s3_error!(AccessDenied, "the access key may not read the source of the copy")),
        }
    }
}

#[async_trait]
impl S3Auth for super::Store {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.access.keys.get(access_key) {
            Some((_, secret)) => Ok(SecretKey::from(secret.expose())),
            None => Err(s3_error!(InvalidAccessKeyId, "the store does not know this access key id")),
        }
    }
}

#[async_trait]
impl S3Access for super::Store {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "the request is not signed"));
        };
        let role = self.access.role(&credentials.access_key);
        let operation = context.s3_op().name();
        match role {
            Some(role) if self.access.allows(role, operation, context.s3_path().get_bucket_name()) => Ok(()),
            _ => Err(s3_error!(AccessDenied, "the access key may not do {operation} here")),
        }
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let id = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        self.access.check_source(id, &request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        let id = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        self.access.check_source(id, &request.input.copy_source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(role: Role, operation: &str, bucket: &str) -> bool {
        let access = Access::new(Vec::new(), Buckets::default()).unwrap();
        access.allows(role, operation, Some(bucket))
    }

    #[test]
    fn only_the_pipeline_and_the_admin_write_orthophotos() {
        for (role, may) in [(Role::Viewer, false), (Role::Uploader, false), (Role::Pipeline, true), (Role::Admin, true)]
        {
            assert_eq!(allows(role, "PutObject", "drone-ortho"), may, "{role:?}");
        }
    }

    #[test]
    fn the_uploader_adds_to_raw_and_sees_nothing_else() {
        assert!(allows(Role::Uploader, "PutObject", "drone-raw"));
        assert!(allows(Role::Uploader, "HeadObject", "drone-raw"));
        assert!(!allows(Role::Uploader, "DeleteObject", "drone-raw"));
        assert!(!allows(Role::Uploader, "GetObject", "drone-ortho"));
    }

    #[test]
    fn nobody_but_the_admin_deletes_or_changes_buckets() {
        for role in [Role::Viewer, Role::Uploader, Role::Pipeline] {
            for operation in ["DeleteObject", "DeleteObjects", "DeleteBucket", "PutBucketVersioning", "PostObject"] {
                for bucket in ["drone-raw", "drone-ortho", "elsewhere"] {
                    assert!(!allows(role, operation, bucket), "{role:?} may {operation}");
                }
            }
        }
    }

    #[test]
    fn two_credentials_cannot_share_a_key_id() {
        let credential = |role| Credential { role, access_key_id: "AK".into(), secret_access_key: "s".into() };
        let both = vec![credential(Role::Viewer), credential(Role::Admin)];
        assert!(matches!(Access::new(both, Buckets::default()), Err(Error::Credentials(_))));
    }
}
