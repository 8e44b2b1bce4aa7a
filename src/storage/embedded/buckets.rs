//! Requests about buckets: make, list, remove, versions, lifecycle.

use s3s::{
    S3Result,
    dto::{
        Bucket as BucketEntry, BucketLifecycleConfiguration, BucketVersioningStatus, LifecycleRules, ListBucketsInput,
        ListBucketsOutput,
    },
    s3_error, xml,
};

use super::{
    Store,
    answer::internal,
    index::{Reader, Writer},
    rows::{Bucket, Versioning, now_ms, timestamp},
};

impl Store {
    pub(super) async fn make_bucket(&self, name: String) -> S3Result<()> {
        let make = move |index: &mut Writer<'_>| {
            if index.bucket(&name).is_ok() {
                return Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket is there already").into());
            }
            index.put_bucket(&name, &Bucket { created_ms: now_ms(), versioning: Versioning::Off, lifecycle: None })
        };
        self.index.write(make).await
    }

    pub(super) async fn find_bucket(&self, name: String) -> S3Result<Bucket> {
        self.index.read(move |index| index.bucket(&name)).await
    }

    pub(super) async fn list_all_buckets(&self, input: ListBucketsInput) -> S3Result<ListBucketsOutput> {
        let buckets = self.index.read(Reader::buckets).await?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let entries = buckets.into_iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, bucket)| {
            let created = timestamp(bucket.created_ms);
            BucketEntry { name: Some(name), creation_date: Some(created), ..Default::default() }
        });
        Ok(ListBucketsOutput { buckets: Some(entries.collect()), ..Default::default() })
    }

    pub(super) async fn set_versioning(&self, name: String, status: Option<BucketVersioningStatus>) -> S3Result<()> {
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(MalformedXML, "the status is neither Enabled nor Suspended")),
        };
        let set = move |index: &mut Writer<'_>| {
            let bucket = index.bucket(&name)?;
            index.put_bucket(&name, &Bucket { versioning, ..bucket })
        };
        self.index.write(set).await
    }

    pub(super) async fn set_lifecycle(
        &self,
        name: String,
        lifecycle: Option<BucketLifecycleConfiguration>,
    ) -> S3Result<()> {
        let lifecycle = lifecycle.as_ref().map(to_xml).transpose()?;
        let set = move |index: &mut Writer<'_>| {
            let bucket = index.bucket(&name)?;
            index.put_bucket(&name, &Bucket { lifecycle, ..bucket })
        };
        self.index.write(set).await
    }

    pub(super) async fn lifecycle(&self, name: String) -> S3Result<LifecycleRules> {
        let stored = self.find_bucket(name).await?.lifecycle;
        let stored = stored.ok_or_else(|| s3_error!(NoSuchLifecycleConfiguration, "the bucket has no lifecycle"))?;
        Ok(from_xml(&stored)?.rules)
    }
}

fn to_xml(lifecycle: &BucketLifecycleConfiguration) -> S3Result<String> {
    let mut text = Vec::new();
    xml::Serialize::serialize(lifecycle, &mut xml::Serializer::new(&mut text))
        .map_err(|error| internal("write a lifecycle", &error))?;
    String::from_utf8(text).map_err(|error| internal("write a lifecycle", &error))
}

pub(super) fn from_xml(text: &str) -> S3Result<BucketLifecycleConfiguration> {
    let mut parser = xml::Deserializer::new(text.as_bytes());
    xml::Deserialize::deserialize(&mut parser).map_err(|error| internal("read a lifecycle", &error))
}
