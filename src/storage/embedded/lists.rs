//! The three listings of S3, each in its own words for the same walk.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use s3s::{
    S3Result,
    dto::{
        DeleteMarkerEntry, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput,
        ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion,
        ObjectVersionStorageClass,
    },
    s3_error,
};

use super::{
    Store,
    index::Reader,
    listing::{After, Entry, Page, Query, encode, list, page_size},
    rows::{Content, etag, timestamp},
};

impl Store {
    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let max_keys = page_size(input.max_keys)?;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => After::Name(read_token(token)?),
            (None, Some(name)) if !name.is_empty() => After::Name(name.clone()),
            _ => After::Nothing,
        };
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after,
            limit: max_keys as usize,
            all_versions: false,
        };
        let page = self.page(query).await?;
        let encoding = input.encoding_type.as_ref();
        let shown = |name: Option<String>| name.map(|name| encode(&name, encoding));
        Ok(ListObjectsV2Output {
            key_count: Some(page.entries.len() as i32),
            is_truncated: Some(page.is_truncated),
            next_continuation_token: next_name(&page).map(|name| BASE64.encode(name)),
            common_prefixes: Some(page.prefixes(encoding)),
            contents: Some(objects(page, encoding)),
            name: Some(input.bucket),
            prefix: shown(Some(input.prefix.unwrap_or_default())),
            delimiter: shown(input.delimiter),
            start_after: shown(input.start_after),
            continuation_token: input.continuation_token,
            max_keys: Some(max_keys),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let max_keys = page_size(input.max_keys)?;
        let marker = input.marker.clone().filter(|marker| !marker.is_empty());
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: marker.map_or(After::Nothing, After::Name),
            limit: max_keys as usize,
            all_versions: false,
        };
        let page = self.page(query).await?;
        let encoding = input.encoding_type.as_ref();
        let shown = |name: Option<String>| name.map(|name| encode(&name, encoding));
        Ok(ListObjectsOutput {
            is_truncated: Some(page.is_truncated),
            next_marker: shown(next_name(&page)),
            common_prefixes: Some(page.prefixes(encoding)),
            contents: Some(objects(page, encoding)),
            name: Some(input.bucket),
            prefix: shown(Some(input.prefix.unwrap_or_default())),
            delimiter: shown(input.delimiter),
            marker: shown(Some(input.marker.unwrap_or_default())),
            max_keys: Some(max_keys),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        })
    }

    pub(super) async fn list_versions(&self, input: ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
        let max_keys = page_size(input.max_keys)?;
        let after = self.after_version(&input).await?;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after,
            limit: max_keys as usize,
            all_versions: true,
        };
        let page = self.page(query).await?;
        let encoding = input.encoding_type.as_ref();
        let shown = |name: Option<String>| name.map(|name| encode(&name, encoding));
        let next_version_id_marker = match page.entries.last() {
            Some(Entry::Version { version, .. }) if page.is_truncated => Some(version.id.clone()),
            _ => None,
        };
        let mut output = ListObjectVersionsOutput {
            is_truncated: Some(page.is_truncated),
            next_key_marker: shown(next_name(&page)),
            next_version_id_marker,
            common_prefixes: Some(page.prefixes(encoding)),
            name: Some(input.bucket),
            prefix: shown(Some(input.prefix.unwrap_or_default())),
            delimiter: shown(input.delimiter),
            key_marker: shown(Some(input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            max_keys: Some(max_keys),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        };
        let (versions, markers) = versions_and_markers(page, encoding);
        output.versions = Some(versions);
        output.delete_markers = Some(markers);
        Ok(output)
    }

    async fn page(&self, query: Query) -> S3Result<Page> {
        let question = move |index: &Reader| {
            index.bucket(&query.bucket)?;
            list(&index.versions()?, &query)
        };
        self.index.read(question).await
    }

    /// Finds the place that a key marker and a version marker name together. A version that was deleted since
    /// the last page leaves no place: then the page begins with the key again, for nothing must be missed.
    async fn after_version(&self, input: &ListObjectVersionsInput) -> S3Result<After> {
        let key = input.key_marker.clone().filter(|key| !key.is_empty());
        let id = input.version_id_marker.clone().filter(|id| !id.is_empty());
        let (key, id) = match (key, id) {
            (None, None) => return Ok(After::Nothing),
            (None, Some(_)) => return Err(s3_error!(InvalidArgument, "a version marker needs a key marker")),
            (Some(key), None) => return Ok(After::Name(key)),
            (Some(key), Some(id)) => (key, id),
        };
        let bucket = input.bucket.clone();
        self.index.read(move |index| index.place_after(&bucket, key, &id)).await
    }
}

/// Returns where the next page begins, if there is one.
fn next_name(page: &Page) -> Option<String> {
    page.is_truncated.then(|| page.entries.last().map(|entry| entry.name().to_owned())).flatten()
}

fn read_token(token: &str) -> S3Result<String> {
    let name = BASE64.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of this store"))
}

fn objects(page: Page, encoding: Option<&EncodingType>) -> Vec<Object> {
    let objects = page.entries.into_iter().filter_map(|entry| match entry {
        Entry::Version { key, version, .. } => {
            let content: Content = version.content?;
            Some(Object {
                key: Some(encode(&key, encoding)),
                e_tag: Some(etag(&content.etag)),
                size: Some(content.size as i64),
                last_modified: Some(timestamp(version.modified_ms)),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Default::default()
            })
        }
        Entry::Prefix(_) => None,
    });
    objects.collect()
}

fn versions_and_markers(page: Page, encoding: Option<&EncodingType>) -> (Vec<ObjectVersion>, Vec<DeleteMarkerEntry>) {
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for entry in page.entries {
        let Entry::Version { key, version, is_latest } = entry else { continue };
        let key = Some(encode(&key, encoding));
        let last_modified = Some(timestamp(version.modified_ms));
        let (version_id, is_latest) = (Some(version.id), Some(is_latest));
        match version.content {
            Some(content) => versions.push(ObjectVersion {
                key,
                version_id,
                is_latest,
                last_modified,
                e_tag: Some(etag(&content.etag)),
                size: Some(content.size as i64),
                storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
                ..Default::default()
            }),
            None => markers.push(DeleteMarkerEntry { key, version_id, is_latest, last_modified, ..Default::default() }),
        }
    }
    (versions, markers)
}
