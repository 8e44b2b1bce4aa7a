//! Multipart uploads: parts arrive in any order and become one object all at once.
//!
//! A part is a blob of its own, safe on the disk when it is answered. Finishing an upload copies nothing: the
//! version names the parts' blobs in order, decided in one transaction.

use futures::TryStreamExt as _;
use s3s::{
    S3Request, S3Result,
    checksum::ChecksumHasher,
    dto::{
        self, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyPartResult, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
        ListPartsOutput, MultipartUpload, StreamingBlob, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
        UploadPartOutput,
    },
    s3_error,
};

use super::{
    Store,
    answer::internal,
    assembly::{Assembly, chosen_parts},
    blobs::Written,
    conditions::Conditions,
    index::{Reader, Writer},
    listing::{encode, page_size},
    objects::{refuse_encryption, shown_id, source_of, stored_encoding},
    promise::{Promise, hasher_of},
    rows::{Checksums, Headers, Part, Upload, etag, now_ms, timestamp},
};

/// The highest number of a part.
const MOST_PARTS: i32 = 10_000;

impl Store {
    pub(super) async fn begin_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        refuse_encryption(input.server_side_encryption.is_some() || input.sse_customer_key.is_some())?;
        let upload = Upload {
            begun_ms: now_ms(),
            headers: Headers {
                content_type: input.content_type,
                content_encoding: stored_encoding(input.content_encoding.as_deref()),
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.into_iter().flatten().collect(),
            },
            checksum_algorithm: input.checksum_algorithm.as_ref().map(|name| name.as_str().to_owned()),
            checksum_type: input.checksum_type.as_ref().map(|kind| kind.as_str().to_owned()),
        };
        let id = uuid::Uuid::now_v7().simple().to_string();
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(id.clone()),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        };
        self.index.write(move |index| index.put_upload(&input.bucket, &input.key, &id, &upload)).await?;
        Ok(output)
    }

    pub(super) async fn put_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let number = part_number(input.part_number)?;
        let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
        self.find_upload(&bucket, &key, &id).await?;
        let promised = dto::Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_type: None,
        };
        let promise = Promise::new(input.content_md5.as_deref(), promised, &headers, trailing_headers)?;
        let size = input.content_length.map(i64::unsigned_abs);
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let written = self.blobs.write(body, size, promise.hasher()).await?;
        let checksums = promise.check(&written)?;
        let sums = checksums.to_dto();
        let etag_value = hex::encode(written.md5);
        let part =
            Part { etag: etag_value.clone(), segment: written.segment.clone(), modified_ms: now_ms(), checksums };
        self.keep_part((bucket, key, id), number, part, written).await?;
        Ok(UploadPartOutput {
            e_tag: Some(etag(&etag_value)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        })
    }

    /// Writes the row of a part whose blob is on disk, unless its upload was aborted meanwhile.
    async fn keep_part(
        &self,
        (bucket, key, id): (String, String, String),
        number: u32,
        part: Part,
        written: Written,
    ) -> S3Result<()> {
        let add = move |index: &mut Writer<'_>| {
            index.upload(&bucket, &key, &id)?;
            index.put_part(&id, number, &part)?;
            written.keep();
            Ok(())
        };
        self.index.write(add).await
    }

    /// Makes a part out of a range of an object.
    pub(super) async fn copy_part(&self, input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        let number = part_number(input.part_number)?;
        let source = source_of(&input.copy_source)?;
        let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
        self.find_upload(&bucket, &key, &id).await?;
        let range = input.copy_source_range.as_deref().map(dto::Range::parse).transpose();
        let range = range.map_err(|_| s3_error!(InvalidArgument, "the range of the source is malformed"))?;
        let from = dto::GetObjectInput::builder().bucket(source.bucket).key(source.key).version_id(source.version_id);
        let from = from
            .range(range)
            .if_match(input.copy_source_if_match)
            .if_none_match(input.copy_source_if_none_match)
            .if_modified_since(input.copy_source_if_modified_since)
            .if_unmodified_since(input.copy_source_if_unmodified_since);
        let from = from.build().map_err(|error| internal("ask for the source of a copy", &error))?;
        let from = self.get(from).await?;
        let body = from.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let size = from.content_length.map(i64::unsigned_abs);
        let written = self.blobs.write(body, size, ChecksumHasher::default()).await?;
        let etag_value = hex::encode(written.md5);
        let modified_ms = now_ms();
        let segment = written.segment.clone();
        let part = Part { etag: etag_value.clone(), segment, modified_ms, checksums: Checksums::default() };
        self.keep_part((bucket, key, id), number, part, written).await?;
        let result = CopyPartResult {
            e_tag: Some(etag(&etag_value)),
            last_modified: Some(timestamp(modified_ms)),
            ..Default::default()
        };
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: from.version_id,
            ..Default::default()
        })
    }

    pub(super) async fn finish_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
        let promised = Checksums {
            crc32: input.checksum_crc32,
            crc32c: input.checksum_crc32c,
            crc64nvme: input.checksum_crc64nvme,
            sha1: input.checksum_sha1,
            sha256: input.checksum_sha256,
            kind: None,
        };
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id);
        let whole = self.whole_checksums(&bucket, &key, &id, &listed, &promised).await?;
        let assembly = Assembly { promised, whole, size: input.mpu_object_size.map(i64::unsigned_abs) };
        let finish = move |index: &mut Writer<'_>| {
            let upload = index.upload(&bucket, &key, &id)?;
            let stored = index.parts(&id)?;
            let parts = chosen_parts(&listed, &stored)?;
            conditions.check_write(index.newest(&bucket, &key)?.map(|(_, version)| version).as_ref())?;
            let content = assembly.content(upload, &parts)?;
            let (versioning, version) = index.add_version(&bucket, &key, Some(content))?;
            index.delete_upload(&bucket, key.as_bytes(), &id, &stored)?;
            Ok((shown_id(versioning, &version), version))
        };
        let (version_id, version) = self.index.write(finish).await?;
        let content = version.content.expect("an upload has content");
        let url = dto::EncodingType::from_static(dto::EncodingType::URL);
        let sums = content.checksums.to_dto();
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, encode(&input.key, Some(&url)))),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&content.etag)),
            version_id,
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            ..Default::default()
        })
    }

    /// Reads the parts once more when the client promised a checksum of the whole; else there is none.
    async fn whole_checksums(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        listed: &[dto::CompletedPart],
        promised: &Checksums,
    ) -> S3Result<Checksums> {
        let mut hasher = hasher_of(promised.iter().filter(|(_, sum)| !sum.contains('-')).map(|(name, _)| name));
        if promised.iter().all(|(_, sum)| sum.contains('-')) {
            return Ok(Checksums::default());
        }
        let (bucket, key, id, listed) = (bucket.to_owned(), key.to_owned(), id.to_owned(), listed.to_vec());
        let question = move |index: &Reader| {
            index.upload(&bucket, &key, &id)?;
            let stored = index.parts(&id)?;
            Ok(chosen_parts(&listed, &stored)?.into_iter().map(|part| part.segment.clone()).collect::<Vec<_>>())
        };
        let segments = self.index.read(question).await?;
        let size = segments.iter().map(|segment| segment.size).sum();
        let mut content = std::pin::pin!(self.blobs.read(&segments, 0..size).await?);
        while let Some(bytes) = content.try_next().await.map_err(|error| internal("read a part", &error))? {
            hasher.update(&bytes);
        }
        Ok(hasher.finalize().into())
    }

    pub(super) async fn abort_upload(&self, bucket: String, key: String, id: String) -> S3Result<()> {
        let abort = move |index: &mut Writer<'_>| {
            index.upload(&bucket, &key, &id)?;
            index.delete_upload(&bucket, key.as_bytes(), &id, &[])
        };
        self.index.write(abort).await
    }

    pub(super) async fn list_parts_of(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let max_parts = page_size(input.max_parts)?;
        let after = input.part_number_marker.unwrap_or(0);
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
        let question = move |index: &Reader| Ok((index.upload(&bucket, &key, &id)?, index.parts(&id)?));
        let (upload, stored) = self.index.read(question).await?;
        let mut left = stored.into_iter().filter(|(number, _)| *number as i32 > after);
        let page: Vec<_> = left.by_ref().take(max_parts as usize).collect();
        let is_truncated = left.next().is_some();
        let parts = page.iter().map(|(number, part)| {
            let sums = part.checksums.to_dto();
            dto::Part {
                part_number: Some(*number as i32),
                e_tag: Some(etag(&part.etag)),
                size: Some(part.segment.size as i64),
                last_modified: Some(timestamp(part.modified_ms)),
                checksum_crc32: sums.checksum_crc32,
                checksum_crc32c: sums.checksum_crc32c,
                checksum_crc64nvme: sums.checksum_crc64nvme,
                checksum_sha1: sums.checksum_sha1,
                checksum_sha256: sums.checksum_sha256,
            }
        });
        Ok(ListPartsOutput {
            parts: Some(parts.collect()),
            is_truncated: Some(is_truncated),
            next_part_number_marker: page.last().filter(|_| is_truncated).map(|(number, _)| *number as i32),
            part_number_marker: Some(after),
            max_parts: Some(max_parts),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            checksum_algorithm: upload.checksum_algorithm.map(Into::into),
            ..Default::default()
        })
    }

    pub(super) async fn list_uploads(&self, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        let max_uploads = page_size(input.max_uploads)?;
        let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
        let after = (input.key_marker.clone().unwrap_or_default(), input.upload_id_marker.clone().unwrap_or_default());
        let limit = max_uploads as usize;
        let question = move |index: &Reader| index.list_uploads(&bucket, &prefix, &after, limit + 1);
        let mut found = self.index.read(question).await?;
        let is_truncated = found.len() > limit;
        found.truncate(limit);
        let encoding = input.encoding_type.as_ref();
        let last = found.last().filter(|_| is_truncated).map(|(key, id, _)| (encode(key, encoding), id.clone()));
        let (next_key_marker, next_upload_id_marker) = last.unzip();
        let uploads = found.into_iter().map(|(key, id, upload)| MultipartUpload {
            key: Some(encode(&key, encoding)),
            upload_id: Some(id),
            initiated: Some(timestamp(upload.begun_ms)),
            ..Default::default()
        });
        Ok(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(is_truncated),
            next_key_marker,
            next_upload_id_marker,
            key_marker: input.key_marker.map(|key| encode(&key, encoding)),
            upload_id_marker: input.upload_id_marker,
            prefix: input.prefix.map(|prefix| encode(&prefix, encoding)),
            max_uploads: Some(max_uploads),
            bucket: Some(input.bucket),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        })
    }

    async fn find_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.index.read(move |index| index.upload(&bucket, &key, &id)).await
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    if (1..=MOST_PARTS).contains(&number) {
        Ok(number as u32)
    } else {
        Err(s3_error!(InvalidArgument, "parts are numbered from 1 to 10000"))
    }
}
