//! Listings: the rows of a bucket in the order of their keys, page by page.
//!
//! All three listings of S3 are one walk over the index. Keys compare as bytes. With a delimiter, the keys that
//! share a prefix up to it are one entry, and the walk jumps over them.

use std::fmt::Write as _;

use redb::ReadableTable;
use s3s::{
    S3Result,
    dto::{CommonPrefix, EncodingType},
    s3_error,
};

use super::{
    Result,
    index::{VersionKey, parse},
    rows::Version,
};

/// The most entries of a page, as in S3.
const LONGEST_PAGE: i32 = 1000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub bucket: String,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub after: After,
    pub limit: usize,
    /// Every version and delete marker, rather than the newest of each object.
    pub all_versions: bool,
}

/// Where a page begins: after this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum After {
    #[default]
    Nothing,
    /// A key with all its versions, or a common prefix with all its keys.
    Name(String),
    /// One version of a key, by its rank.
    Version(String, u64),
    /// What comes before this key.
    KeyAgain(String),
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Version { key: String, version: Box<Version>, is_latest: bool },
    Prefix(String),
}

impl Entry {
    /// Returns the key or the common prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Version { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub entries: Vec<Entry>,
    /// There is more after the last entry.
    pub is_truncated: bool,
}

impl Page {
    /// Returns the common prefixes of the page, encoded as asked.
    pub fn prefixes(&self, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
        let prefixes = self.entries.iter().filter_map(|entry| match entry {
            Entry::Prefix(prefix) => Some(CommonPrefix { prefix: Some(encode(prefix, encoding)) }),
            Entry::Version { .. } => None,
        });
        prefixes.collect()
    }
}

/// Walks the index and returns one page.
pub(super) fn list(rows: &impl ReadableTable<VersionKey, &'static [u8]>, query: &Query) -> Result<Page> {
    let mut page = Page::default();
    let prefix = query.prefix.as_bytes();
    let mut seen: Option<Vec<u8>> = None;
    let mut from = match &query.after {
        After::Nothing => (prefix.to_vec(), 0),
        After::KeyAgain(key) => (key.clone().into_bytes(), 0),
        After::Name(name) => match group(query, name.as_bytes()) {
            Some(group) if group == name.as_bytes() => (beyond(group), 0),
            _ => (next_key(name.as_bytes()), 0),
        },
        After::Version(key, rank) => {
            seen = Some(key.clone().into_bytes());
            (key.clone().into_bytes(), rank.saturating_add(1))
        }
    };
    if from.0.as_slice() < prefix {
        from = (prefix.to_vec(), 0);
    }
    loop {
        let row = rows.range((query.bucket.as_str(), from.0.as_slice(), from.1)..)?.next().transpose()?;
        let Some((name, row)) = row else { return Ok(page) };
        let (bucket, key, rank) = name.value();
        if bucket != query.bucket || !key.starts_with(prefix) {
            return Ok(page);
        }
        let version: Version = parse(row.value())?;
        let is_latest = seen.as_deref() != Some(key);
        seen = Some(key.to_vec());
        let group = group(query, key);
        from = match (group, query.all_versions) {
            // The next key of the group may not be deleted, so a deleted one does not take the group along.
            (Some(_), false) if version.is_marker() => (next_key(key), 0),
            (Some(group), _) => (beyond(group), 0),
            (None, true) => (key.to_vec(), rank.saturating_add(1)),
            (None, false) => (next_key(key), 0),
        };
        if version.is_marker() && !query.all_versions {
            continue;
        }
        if page.entries.len() == query.limit {
            // Asking for nothing gets nothing, and no more.
            page.is_truncated = query.limit > 0;
            return Ok(page);
        }
        page.entries.push(match group {
            Some(group) => Entry::Prefix(text(group)),
            None => Entry::Version { key: text(key), version: Box::new(version), is_latest },
        });
    }
}

/// Returns the common prefix that a key belongs to, if there is a delimiter after the prefix of the query.
fn group<'a>(query: &Query, key: &'a [u8]) -> Option<&'a [u8]> {
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?.as_bytes();
    let start = query.prefix.len();
    let rest = key.get(start..)?;
    let found = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(&key[..start + found + delimiter.len()])
}

/// Returns the first key after this one.
fn next_key(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Returns the first key after all that begin so. Keys are UTF-8, which has no byte 255.
fn beyond(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xff]].concat()
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// Returns how many entries a page may have.
pub(super) fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        None => Ok(LONGEST_PAGE),
        Some(asked) if asked < 0 => Err(s3_error!(InvalidArgument, "the size of a page is not negative")),
        Some(asked) => Ok(asked.min(LONGEST_PAGE)),
    }
}

/// Returns a name as a listing shows it: percent-encoded when asked, for XML cannot hold every character.
pub(super) fn encode(name: &str, encoding: Option<&EncodingType>) -> String {
    if encoding.map(EncodingType::as_str) != Some(EncodingType::URL) {
        return name.to_owned();
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    encoded
}
