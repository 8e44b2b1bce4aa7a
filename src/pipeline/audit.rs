//! A row in the audit around each piece of work: opened before it, closed after it.

use super::{Context, Error, Result};
use crate::database::{AuditClose, AuditOpen, AuditState};

/// What an audited piece of work ended with, beside its result.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) version_id: Option<String>,
    pub(super) records_in: usize,
    pub(super) records_ok: usize,
}

/// What is worked on.
pub(super) struct Subject {
    pub(super) what: &'static str,
    pub(super) bucket: String,
    pub(super) key: Option<String>,
    pub(super) detail: String,
}

/// Does the work inside an audit row. A crash leaves the row `running`; an error closes it as failed.
pub(super) async fn audited<T>(
    context: &Context,
    subject: Subject,
    work: impl Future<Output = Result<(T, Tally)>>,
) -> Result<T> {
    let open = AuditOpen {
        who: context.actor.clone(),
        what: subject.what.to_owned(),
        bucket: Some(subject.bucket),
        key: subject.key,
        detail: Some(subject.detail),
    };
    let row = context.database.open_audit(&open).await?;
    match work.await {
        Ok((result, tally)) => {
            context.database.close_audit(row, &closed(AuditState::Done, tally, None)).await?;
            Ok(result)
        }
        Err(error) => {
            let close = closed(AuditState::Failed, Tally::default(), Some(&error));
            if let Err(second) = context.database.close_audit(row, &close).await {
                // The database may be what failed; the row stays `running`, which says as much.
                tracing::warn!(audit.id = row, "cannot close the audit row: {second}");
            }
            Err(error)
        }
    }
}

fn closed(state: AuditState, tally: Tally, error: Option<&Error>) -> AuditClose {
    let count = |n: usize| n as i64;
    AuditClose {
        state,
        version_id: tally.version_id,
        records_in: count(tally.records_in),
        records_ok: count(tally.records_ok),
        records_rejected: count(tally.records_in.saturating_sub(tally.records_ok)),
        detail: error.map(ToString::to_string),
    }
}
