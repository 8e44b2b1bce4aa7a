//! Removes uploads that were begun long ago and never finished, as the buckets' lifecycle rules say.
//!
//! The other actions of a lifecycle (expiry, transitions) are kept and returned, and not carried out: this store
//! never removes an object by itself.

use std::time::Duration;

use s3s::{
    S3Result,
    dto::{ExpirationStatus, LifecycleRule},
};

use super::{
    Store,
    buckets::from_xml,
    index::{Reader, Writer},
};

/// How often a running store looks for stale uploads.
pub(super) const INTERVAL: Duration = Duration::from_hours(1);

/// The uploads that one look takes on; the next look takes the next.
const MOST_UPLOADS: usize = 10_000;

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Store {
    /// Aborts the uploads that are older than their bucket's rules allow; returns how many.
    pub(super) async fn abort_stale_uploads(&self, now_ms: i64) -> S3Result<usize> {
        let buckets = self.index.read(Reader::buckets).await?;
        let mut aborted = 0;
        for (bucket, row) in buckets {
            let Some(lifecycle) = row.lifecycle else { continue };
            let rules = from_xml(&lifecycle)?.rules;
            let name = bucket.clone();
            let begin = (String::new(), String::new());
            let uploads = self.index.read(move |index| index.list_uploads(&name, "", &begin, MOST_UPLOADS)).await?;
            for (key, id, upload) in uploads {
                if rules.iter().any(|rule| is_stale(rule, &key, now_ms - upload.begun_ms)) {
                    let bucket = bucket.clone();
                    let abort = move |index: &mut Writer<'_>| index.delete_upload(&bucket, key.as_bytes(), &id, &[]);
                    self.index.write(abort).await?;
                    aborted += 1;
                }
            }
        }
        Ok(aborted)
    }

    /// The same, for the clock: what goes wrong is told in the log and tried again at the next look.
    pub(super) async fn keep_tidy(&self) {
        match self.abort_stale_uploads(super::rows::now_ms()).await {
            Ok(0) => {}
            Ok(aborted) => tracing::info!(uploads = aborted, "aborted {aborted} uploads that were never finished"),
            Err(error) => tracing::warn!("cannot look for stale uploads: {error}"),
        }
    }
}

fn is_stale(rule: &LifecycleRule, key: &str, age_ms: i64) -> bool {
    let prefix = rule.filter.as_ref().and_then(|filter| filter.prefix.as_deref()).or(rule.prefix.as_deref());
    let days = rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation);
    rule.status.as_str() == ExpirationStatus::ENABLED
        && key.starts_with(prefix.unwrap_or_default())
        && days.is_some_and(|days| age_ms >= i64::from(days) * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::dto::{AbortIncompleteMultipartUpload, LifecycleRuleFilter};

    fn rule(status: &'static str) -> LifecycleRule {
        let abort = AbortIncompleteMultipartUpload { days_after_initiation: Some(7) };
        LifecycleRule {
            abort_incomplete_multipart_upload: Some(abort),
            expiration: None,
            filter: Some(LifecycleRuleFilter { prefix: Some("projects/".to_owned()), ..Default::default() }),
            id: None,
            noncurrent_version_expiration: None,
            noncurrent_version_transitions: None,
            prefix: None,
            status: ExpirationStatus::from_static(status),
            transitions: None,
        }
    }

    #[test]
    fn an_upload_is_stale_after_the_days_of_its_rule() {
        let enabled = rule(ExpirationStatus::ENABLED);
        assert!(is_stale(&enabled, "projects/a", 7 * DAY_MS));
        assert!(!is_stale(&enabled, "projects/a", 7 * DAY_MS - 1));
        assert!(!is_stale(&enabled, "models/a", 8 * DAY_MS));
        assert!(!is_stale(&rule(ExpirationStatus::DISABLED), "projects/a", 8 * DAY_MS));
    }
}
