//! Requests about one object: put, get, copy, delete.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header::CONTENT_RANGE};
use s3s::{
    S3Error, S3Request, S3Result,
    dto::{
        self, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectOutput, DeletedObject,
        GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, MetadataDirective, PutObjectInput,
        PutObjectOutput, StreamingBlob,
    },
    s3_error,
};

use super::{
    Result, Store,
    conditions::Conditions,
    index::{Reader, Writer},
    promise::Promise,
    rows::{Content, Headers, Version, Versioning, etag, timestamp},
};

/// The header that says that an object was deleted.
const DELETE_MARKER: &str = "x-amz-delete-marker";

/// A version that was asked for.
struct Found {
    version: Version,
    content: Content,
    versioning: Versioning,
}

/// What of a version is to be sent.
struct Chosen {
    found: Found,
    range: Range<u64>,
    content_range: Option<String>,
}

/// Finds what GET and HEAD ask for; their inputs are two types with the same fields.
macro_rules! chosen {
    ($store:expr, $input:ident) => {{
        let conditions = Conditions {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        };
        let found = $store.find($input.bucket, $input.key, $input.version_id).await?;
        conditions.check_read(&found.version, &found.content)?;
        let (range, content_range) = resolve_range(&found.content, $input.range, $input.part_number)?;
        Chosen { found, range, content_range }
    }};
}

/// Describes an object in the answer to GET or HEAD, so that both always say the same.
macro_rules! described {
    ($output:ident, $chosen:ident, $wants_checksum:expr, $part_number:expr) => {{
        let Chosen { found: Found { version, content, versioning }, range, content_range } = $chosen;
        let sums = if $wants_checksum { content.checksums.to_dto() } else { dto::Checksum::default() };
        $output {
            content_length: Some((range.end - range.start) as i64),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(etag(&content.etag)),
            last_modified: Some(timestamp(version.modified_ms)),
            parts_count: $part_number.map(|_| content.segments.len() as i32),
            version_id: shown_id(versioning, &version),
            content_type: content.headers.content_type,
            content_encoding: content.headers.content_encoding,
            content_language: content.headers.content_language,
            content_disposition: content.headers.content_disposition,
            cache_control: content.headers.cache_control,
            metadata: Some(content.headers.metadata.into_iter().collect()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            ..Default::default()
        }
    }};
}

impl Store {
    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        refuse_encryption(input.server_side_encryption.is_some() || input.sse_customer_key.is_some())?;
        let PutObjectInput { bucket, key, .. } = input;
        // A missing bucket is said before the body is read, and checked again when the row is written.
        self.find_bucket(bucket.clone()).await?;
        let promised = dto::Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_type: None,
        };
        let promise = Promise::new(input.content_md5.as_deref(), promised, &headers, trailing_headers)?;
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
        let size = input.content_length.map(i64::unsigned_abs);
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let written = self.blobs.write(body, size, promise.hasher()).await?;
        let checksums = promise.check(&written)?;
        let content = Content {
            etag: hex::encode(written.md5),
            size: written.segment.size,
            segments: vec![written.segment.clone()],
            headers: Headers {
                content_type: input.content_type,
                content_encoding: stored_encoding(input.content_encoding.as_deref()),
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.into_iter().flatten().collect(),
            },
            checksums,
        };
        let add = move |index: &mut Writer<'_>| {
            conditions.check_write(index.newest(&bucket, &key)?.map(|(_, version)| version).as_ref())?;
            let added = index.add_version(&bucket, &key, Some(content))?;
            written.keep();
            Ok(added)
        };
        let (versioning, version) = self.index.write(add).await?;
        let content = version.content.as_ref().expect("content was put");
        let sums = content.checksums.to_dto();
        Ok(PutObjectOutput {
            e_tag: Some(etag(&content.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            version_id: shown_id(versioning, &version),
            ..Default::default()
        })
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        let chosen = chosen!(self, input);
        let body = self.blobs.read(&chosen.found.content.segments, chosen.range.clone()).await?;
        // A checksum is of the whole: it is not sent with a part.
        let wants_checksum = input.checksum_mode.is_some() && chosen.content_range.is_none();
        let output = described!(GetObjectOutput, chosen, wants_checksum, input.part_number);
        Ok(GetObjectOutput { body: Some(StreamingBlob::wrap(body)), ..output })
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let chosen = chosen!(self, input);
        Ok(described!(HeadObjectOutput, chosen, input.checksum_mode.is_some(), input.part_number))
    }

    /// Copies a version without copying its blobs: the new row names the same ones.
    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        refuse_encryption(input.server_side_encryption.is_some() || input.sse_customer_key.is_some())?;
        let source = source_of(&input.copy_source)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let is_replaced =
            input.metadata_directive.as_ref().map(MetadataDirective::as_str) == Some(MetadataDirective::REPLACE);
        let headers = is_replaced.then(|| Headers {
            content_type: input.content_type,
            content_encoding: stored_encoding(input.content_encoding.as_deref()),
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: input.metadata.into_iter().flatten().collect(),
        });
        let (bucket, key) = (input.bucket, input.key);
        let copy = move |index: &mut Writer<'_>| {
            let from = match &source.version_id {
                Some(id) => index.find(&source.bucket, &source.key, id)?,
                None => index.newest(&source.bucket, &source.key)?,
            };
            let versioning = index.bucket(&source.bucket)?.versioning;
            let from = checked(from.map(|(_, version)| version), source.version_id.as_deref(), versioning)?;
            // A source that changed answers 412, one that did not change too: a copy knows no 304.
            conditions.check_read(&from.version, &from.content).map_err(|_| s3_error!(PreconditionFailed))?;
            let source_id = shown_id(versioning, &from.version);
            let content = Content { headers: headers.unwrap_or(from.content.headers), ..from.content };
            let (versioning, version) = index.add_version(&bucket, &key, Some(content))?;
            Ok((source_id, shown_id(versioning, &version), version))
        };
        let (copy_source_version_id, version_id, version) = self.index.write(copy).await?;
        let content = version.content.expect("content was copied");
        let result = CopyObjectResult {
            e_tag: Some(etag(&content.etag)),
            last_modified: Some(timestamp(version.modified_ms)),
            ..Default::default()
        };
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id,
            version_id,
            ..Default::default()
        })
    }

    /// Deletes one version for good, or, without an id, puts a delete marker on top of the versions.
    pub(super) async fn delete(
        &self,
        bucket: String,
        key: String,
        version_id: Option<String>,
        conditions: Conditions,
    ) -> S3Result<DeleteObjectOutput> {
        let delete = move |index: &mut Writer<'_>| delete_one(index, &bucket, &key, version_id.as_deref(), &conditions);
        self.index.write(delete).await
    }

    /// Deletes many objects in one transaction; each succeeds or fails alone.
    pub(super) async fn delete_many(
        &self,
        bucket: String,
        objects: Vec<dto::ObjectIdentifier>,
    ) -> S3Result<(Vec<DeletedObject>, Vec<dto::Error>)> {
        if objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "a request deletes at most 1000 objects"));
        }
        let delete = move |index: &mut Writer<'_>| {
            index.bucket(&bucket)?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in objects {
                let if_match = object.e_tag.map(dto::ETagCondition::ETag);
                let conditions = Conditions { if_match, ..Conditions::default() };
                let dto::ObjectIdentifier { key, version_id, .. } = object;
                match delete_one(index, &bucket, &key, version_id.as_deref(), &conditions) {
                    Ok(output) => {
                        let marker = output.delete_marker;
                        let delete_marker_version_id = output.version_id.filter(|_| marker == Some(true));
                        let key = Some(key);
                        deleted.push(DeletedObject {
                            delete_marker: marker,
                            delete_marker_version_id,
                            key,
                            version_id,
                        });
                    }
                    Err(super::Error::Refused(answer)) => errors.push(dto::Error {
                        code: Some(answer.code().as_str().to_owned()),
                        message: answer.message().map(str::to_owned),
                        key: Some(key),
                        version_id,
                    }),
                    Err(error) => return Err(error),
                }
            }
            Ok((deleted, errors))
        };
        self.index.write(delete).await
    }

    async fn find(&self, bucket: String, key: String, id: Option<String>) -> S3Result<Found> {
        let find = move |index: &Reader| {
            let versioning = index.bucket(&bucket)?.versioning;
            let version = index.find(&bucket, &key, id.as_deref())?;
            Ok(checked(version, id.as_deref(), versioning)?)
        };
        self.index.read(find).await
    }
}

fn delete_one(
    index: &mut Writer<'_>,
    bucket: &str,
    key: &str,
    id: Option<&str>,
    conditions: &Conditions,
) -> Result<DeleteObjectOutput> {
    let versioning = index.bucket(bucket)?.versioning;
    let newest = index.newest(bucket, key)?.map(|(_, version)| version);
    conditions.check_write(newest.as_ref())?;
    let gone = id.or((versioning == Versioning::Off).then_some(super::rows::NULL));
    let Some(gone) = gone else {
        let (versioning, marker) = index.add_version(bucket, key, None)?;
        let version_id = shown_id(versioning, &marker);
        return Ok(DeleteObjectOutput { delete_marker: Some(true), version_id, ..Default::default() });
    };
    let mut output = DeleteObjectOutput { version_id: id.map(str::to_owned), ..Default::default() };
    if let Some((rank, version)) = index.find(bucket, key, gone)? {
        index.remove_version(bucket, key, rank, &version)?;
        output.delete_marker = version.is_marker().then_some(true);
    }
    Ok(output)
}

/// Returns what was found, or the answer that S3 gives to nothing and to a delete marker.
fn checked(version: Option<Version>, id: Option<&str>, versioning: Versioning) -> S3Result<Found> {
    let Some(mut version) = version else {
        return Err(match id {
            Some(_) => s3_error!(NoSuchVersion, "there is no such version of the object"),
            None => s3_error!(NoSuchKey, "there is no such object"),
        });
    };
    match version.content.take() {
        Some(content) => Ok(Found { version, content, versioning }),
        None => Err(is_deleted(&version, id.is_some())),
    }
}

fn is_deleted(marker: &Version, is_asked_for: bool) -> S3Error {
    let mut answer = if is_asked_for {
        s3_error!(MethodNotAllowed, "the version is a delete marker")
    } else {
        s3_error!(NoSuchKey, "the object was deleted")
    };
    let mut headers = HeaderMap::new();
    headers.insert(DELETE_MARKER, HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&marker.id) {
        headers.insert("x-amz-version-id", id);
    }
    answer.set_headers(headers);
    answer
}

/// Returns the bytes that are asked for, and `Content-Range` unless that is all.
fn resolve_range(
    content: &Content,
    range: Option<dto::Range>,
    part: Option<i32>,
) -> S3Result<(Range<u64>, Option<String>)> {
    let size = content.size;
    let asked = match (range, part) {
        (Some(_), Some(_)) => return Err(s3_error!(InvalidRequest, "a range or a part, not both")),
        (Some(range), None) => range.check(size).map_err(|_| outside(size))?,
        (None, Some(number)) => {
            let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let index = index.filter(|index| *index < content.segments.len()).ok_or_else(|| outside(size))?;
            let start = content.segments[..index].iter().map(|segment| segment.size).sum();
            start..start + content.segments[index].size
        }
        (None, None) => return Ok((0..size, None)),
    };
    let header = format!("bytes {}-{}/{size}", asked.start, asked.end.saturating_sub(1));
    Ok((asked, Some(header)))
}

fn outside(size: u64) -> S3Error {
    let mut answer = s3_error!(InvalidRange, "the object has {size} bytes");
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        answer.set_headers(HeaderMap::from_iter([(CONTENT_RANGE, value)]));
    }
    answer
}

/// Where a copy comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub bucket: String,
    pub key: String,
    pub version_id: Option<String>,
}

pub(super) fn source_of(source: &CopySource) -> S3Result<Source> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => Ok(Source {
            bucket: bucket.to_string(),
            key: key.to_string(),
            version_id: version_id.as_deref().map(str::to_owned),
        }),
        _ => Err(s3_error!(NotImplemented, "copies come from buckets, not from access points")),
    }
}

/// Returns the id that a client is shown: none where the bucket never had versions.
pub(super) fn shown_id(versioning: Versioning, version: &Version) -> Option<String> {
    (versioning != Versioning::Off).then(|| version.id.clone())
}

/// Returns the encoding of the content without that of the transfer.
pub(super) fn stored_encoding(encoding: Option<&str>) -> Option<String> {
    let kept: Vec<_> =
        encoding?.split(',').map(str::trim).filter(|name| !matches!(*name, "aws-chunked" | "")).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// What is asked to be stored encrypted must not be stored in the clear.
pub(super) fn refuse_encryption(is_asked: bool) -> S3Result<()> {
    if is_asked { Err(s3_error!(NotImplemented, "the store does not encrypt")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_transfer_is_not_that_of_the_content() {
        assert_eq!(stored_encoding(Some("aws-chunked")), None);
        assert_eq!(stored_encoding(Some("aws-chunked, gzip")).as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(Some("gzip")).as_deref(), Some("gzip"));
    }
}
