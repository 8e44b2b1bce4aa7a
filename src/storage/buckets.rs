//! Makes the four buckets and tells what they can do.

use aws_sdk_s3::{
    error::ProvideErrorMetadata as _,
    types::{
        AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus,
        CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, VersioningConfiguration,
    },
};

use super::{Error, Result, Storage};
use crate::catalog::Layer;

/// An upload that was begun this many days ago is not coming back; its parts cost money and are listed nowhere.
const ABORT_UPLOADS_AFTER_DAYS: i32 = 7;

/// The name of polder's lifecycle rule.
const RULE: &str = "polder-abort-incomplete-uploads";

/// What became of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketState {
    pub layer: Layer,
    pub bucket: String,
    /// Made just now; `false` when it was there.
    pub created: bool,
    /// Keeps versions. Where it does not, content hashes go into the keys.
    pub versioned: bool,
    /// Unfinished uploads are removed by the store after a week; not every store can.
    pub cleans_up_uploads: bool,
}

impl Storage {
    /// Makes the buckets that are missing, switches their versions on and has unfinished uploads cleaned up.
    ///
    /// What is right already is left alone, so that a key without the right to change buckets can call this too.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Denied`] or [`Error::Answer`], naming the bucket; earlier buckets stay made.
    pub async fn ensure_buckets(&self) -> Result<Vec<BucketState>> {
        let mut states = Vec::with_capacity(Layer::ALL.len());
        for layer in Layer::ALL {
            let bucket = self.bucket(layer).to_owned();
            let created = self.ensure_bucket(&bucket).await?;
            let versioned = self.ensure_versions(&bucket).await?;
            // A set value is from an earlier call on the same bucket and as good.
            let _ = self.versioned(layer).set(versioned);
            let cleans_up_uploads = self.ensure_lifecycle(&bucket).await?;
            states.push(BucketState { layer, bucket, created, versioned, cleans_up_uploads });
        }
        Ok(states)
    }

    /// Says whether a layer's bucket keeps versions. Asked once; later calls answer from memory.
    ///
    /// A key that may not ask is told yes: then every write checks that it got a version.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such bucket, [`Error::Unreachable`] when the store does not answer.
    pub async fn keeps_versions(&self, layer: Layer) -> Result<bool> {
        if let Some(known) = self.versioned(layer).get() {
            return Ok(*known);
        }
        let versioned = match self.read_versioning(self.bucket(layer)).await {
            Err(Error::Denied { .. }) => true,
            answer => answer?,
        };
        Ok(*self.versioned(layer).get_or_init(|| versioned))
    }

    async fn ensure_bucket(&self, bucket: &str) -> Result<bool> {
        let call = self.call("look for bucket", bucket, "");
        match self.client().head_bucket().bucket(bucket).send().await.map_err(|e| call.error(e)) {
            Ok(_) => return Ok(false),
            Err(Error::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        let region = self.client().config().region().map(ToString::to_string);
        // AWS wants every region named but its first; other stores may refuse a name that is not their own.
        let constraint = region.filter(|region| self.is_aws() && region != "us-east-1").map(|region| {
            let region = BucketLocationConstraint::from(region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let request = self.client().create_bucket().bucket(bucket).set_create_bucket_configuration(constraint);
        match request.send().await {
            Ok(_) => Ok(true),
            // Somebody made it between our two questions.
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(false),
            Err(error) => Err(self.call("make bucket", bucket, "").error(error)),
        }
    }

    async fn ensure_versions(&self, bucket: &str) -> Result<bool> {
        if self.read_versioning(bucket).await? {
            return Ok(true);
        }
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.client().put_bucket_versioning().bucket(bucket).versioning_configuration(on);
        match request.send().await {
            // Some stores say yes and do nothing (Garage's is a stub): ask again.
            Ok(_) => self.read_versioning(bucket).await,
            Err(error) if is_unsupported(error.code(), error.raw_response().map(|r| r.status().as_u16())) => Ok(false),
            Err(error) => Err(self.call("switch on the versions of", bucket, "").error(error)),
        }
    }

    async fn read_versioning(&self, bucket: &str) -> Result<bool> {
        let error = match self.client().get_bucket_versioning().bucket(bucket).send().await {
            Ok(answer) => return Ok(answer.status() == Some(&BucketVersioningStatus::Enabled)),
            Err(error) => error,
        };
        let response = error.raw_response();
        if is_unsupported(error.code(), response.map(|response| response.status().as_u16())) {
            return Ok(false);
        }
        // moto, a store for tests, answers under another name than S3 does, and the SDK reads no further.
        let success = response.filter(|response| response.status().is_success());
        let body = success.and_then(|response| response.body().bytes()).map(String::from_utf8_lossy);
        if let Some(body) = body.filter(|body| body.contains("VersioningResponse")) {
            return Ok(body.contains("<Status>Enabled</Status>"));
        }
        Err(self.call("read the versioning of", bucket, "").error(error))
    }

    /// Adds polder's rule to the rules that are there. A store that cannot is no error.
    async fn ensure_lifecycle(&self, bucket: &str) -> Result<bool> {
        let mut rules = match self.client().get_bucket_lifecycle_configuration().bucket(bucket).send().await {
            Ok(answer) => answer.rules.unwrap_or_default(),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Vec::new(),
            Err(error) => {
                let error = self.call("read the lifecycle of", bucket, "").error(error);
                tracing::debug!(bucket.name = bucket, "{error}");
                return if error.is_temporary() { Err(error) } else { Ok(false) };
            }
        };
        if rules.iter().any(|rule| rule.id() == Some(RULE) && rule.status() == &ExpirationStatus::Enabled) {
            return Ok(true);
        }
        rules.push(abort_rule());
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let configuration = configuration.expect("the rules are set");
        let request = self.client().put_bucket_lifecycle_configuration().bucket(bucket);
        match request.lifecycle_configuration(configuration).send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let error = self.call("set the lifecycle of", bucket, "").error(error);
                tracing::debug!(bucket.name = bucket, "{error}");
                if error.is_temporary() { Err(error) } else { Ok(false) }
            }
        }
    }
}

fn abort_rule() -> LifecycleRule {
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(ABORT_UPLOADS_AFTER_DAYS).build();
    LifecycleRule::builder()
        .id(RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort)
        .build()
        .expect("the status is set")
}

/// Says whether a store answered that it does not know the question.
fn is_unsupported(code: Option<&str>, status: Option<u16>) -> bool {
    matches!(code, Some("NotImplemented" | "MethodNotAllowed" | "XNotImplemented")) || matches!(status, Some(405 | 501))
}
