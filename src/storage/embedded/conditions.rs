//! Conditions on requests: only if it is there, only if it is not, only if it changed (RFC 9110, section 13).

use http::{HeaderMap, header::ETAG};
use s3s::{
    S3Error, S3Result,
    dto::{ETagCondition, Timestamp},
    s3_error,
};

use super::rows::{Content, Version, etag, timestamp};

/// The conditions of a request, each by the name of its header.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the names of the headers")]
pub(super) struct Conditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Checks the conditions of a write against the newest version, a delete marker counting as nothing.
    pub fn check_write(&self, newest: Option<&Version>) -> S3Result<()> {
        let content = newest.and_then(|version| version.content.as_ref());
        if let Some(condition) = &self.if_match {
            let content = content.ok_or_else(|| s3_error!(NoSuchKey, "If-Match: there is no such object"))?;
            if !matches(condition, content) {
                return Err(failed("If-Match: the object is another one"));
            }
        }
        match (&self.if_none_match, content) {
            (Some(condition), Some(content)) if matches(condition, content) => {
                Err(failed("If-None-Match: the object is there"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the conditions of a read; an unchanged object is answered with 304 and its `ETag`.
    pub fn check_read(&self, version: &Version, content: &Content) -> S3Result<()> {
        let modified = seconds(&timestamp(version.modified_ms));
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, content) => {
                return Err(failed("If-Match: the object is another one"));
            }
            (None, Some(since)) if modified > seconds(since) => {
                return Err(failed("If-Unmodified-Since: the object was changed"));
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, content) => Err(unchanged(content)),
            (None, Some(since)) if modified <= seconds(since) => Err(unchanged(content)),
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, content: &Content) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == content.etag,
    }
}

/// HTTP dates have whole seconds.
fn seconds(time: &Timestamp) -> i64 {
    let mut text = Vec::new();
    let written = time.format(s3s::dto::TimestampFormat::EpochSeconds, &mut text);
    let text = written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default();
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or_default()
}

fn failed(message: &'static str) -> S3Error {
    s3_error!(PreconditionFailed, "{message}")
}

fn unchanged(content: &Content) -> S3Error {
    let mut answer = s3_error!(NotModified);
    if let Ok(value) = etag(&content.etag).to_http_header() {
        answer.set_headers(HeaderMap::from_iter([(ETAG, value)]));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::rows::{Checksums, Headers};

    fn version() -> Version {
        let content = Content {
            etag: "abc".into(),
            size: 1,
            segments: Vec::new(),
            headers: Headers::default(),
            checksums: Checksums::default(),
        };
        Version { id: "1".into(), modified_ms: 1_700_000_000_900, content: Some(content) }
    }

    fn tag(value: &str) -> ETagCondition {
        ETagCondition::ETag(etag(value))
    }

    #[test]
    fn a_new_object_must_not_be_there_and_a_deleted_one_is_not() {
        let new = Conditions { if_none_match: Some(ETagCondition::Any), ..Conditions::default() };
        assert!(new.check_write(None).is_ok());
        assert!(new.check_write(Some(&version())).is_err());
        assert!(new.check_write(Some(&Version { content: None, ..version() })).is_ok());
    }

    #[test]
    fn a_change_must_be_of_the_object_that_was_seen() {
        let change = |value| Conditions { if_match: Some(tag(value)), ..Conditions::default() };
        assert!(change("abc").check_write(Some(&version())).is_ok());
        assert!(change("abd").check_write(Some(&version())).is_err());
        assert!(change("abc").check_write(None).is_err());
    }

    #[test]
    fn an_unchanged_object_is_not_sent_again() {
        let version = version();
        let content = version.content.as_ref().unwrap();
        let check = |conditions: Conditions| {
            conditions.check_read(&version, content).map_err(|e| e.status_code().unwrap().as_u16())
        };
        assert_eq!(check(Conditions { if_none_match: Some(tag("abc")), ..Conditions::default() }), Err(304));
        // Sent as Last-Modified, without its 0.9 seconds.
        let since = Some(timestamp(1_700_000_000_000));
        assert_eq!(check(Conditions { if_modified_since: since.clone(), ..Conditions::default() }), Err(304));
        assert_eq!(check(Conditions { if_unmodified_since: since, ..Conditions::default() }), Ok(()));
    }
}
