//! The order of a search, and paging through it by key.
//!
//! Any key may be missing in an item; items without it come last, whichever way the key goes. One index serves both
//! ways, because a page is asked for in stages: first the items that have the first key, then, if the page is not full,
//! those that lack it. Ties go by time and name, in the direction of the first key: one index then serves both ways, and
//! a page starts where one comparison of rows says, which the index can look up.

use chrono::DateTime;
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::Cursor;
use crate::database::{Error, Result};

/// What items can be sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortField {
    Id,
    Collection,
    /// `datetime`, or where it is an interval its start.
    Start,
    End,
    /// A property; strings go by their first 200 characters.
    Property(String),
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    pub field: SortField,
    pub descending: bool,
}

/// A whole order: the keys that were asked for, and those that settle ties.
pub(super) struct Order {
    keys: Vec<SortKey>,
}

/// The items with the first key, or those without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// Whether the first key is missing; nothing when it never is.
    missing: Option<bool>,
    /// Whether the page starts within this stage, behind the cursor.
    resumed: bool,
}

impl SortField {
    const fn may_be_missing(&self) -> bool {
        matches!(self, Self::Property(_))
    }

    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Id => query.push("id"),
            Self::Collection => query.push("collection"),
            Self::Start => query.push("starts_at"),
            Self::End => query.push("ends_at"),
            Self::Property(name) => query.push("polder_key(properties, ").push_bind(name.clone()).push(")"),
        };
    }

    /// Writes the key as the text that a cursor holds.
    fn push_as_text(&self, query: &mut QueryBuilder<Postgres>) {
        let time = matches!(self, Self::Start | Self::End);
        query.push(if time { "(extract(epoch from " } else { "(" });
        self.push(query);
        query.push(if time { ") * 1000000)::bigint::text" } else { ")::text" });
    }

    /// Binds a value of a cursor.
    fn push_value(&self, query: &mut QueryBuilder<Postgres>, value: &str) -> Result<()> {
        let wrong = || Error::PageToken(value.to_owned());
        match self {
            Self::Id | Self::Collection => query.push_bind(value.to_owned()),
            Self::Start | Self::End => {
                let micros = value.parse().map_err(|_| wrong())?;
                query.push_bind(DateTime::from_timestamp_micros(micros).ok_or_else(wrong)?)
            }
            Self::Property(_) => {
                let value: serde_json::Value = serde_json::from_str(value).map_err(|_| wrong())?;
                query.push_bind(value).push("::jsonb")
            }
        };
        Ok(())
    }
}

impl Order {
    pub fn new(asked: &[SortKey]) -> Self {
        let mut keys = asked.to_vec();
        let descending = keys.first().is_none_or(|key| key.descending);
        for field in [SortField::Start, SortField::Collection, SortField::Id] {
            if !keys.iter().any(|key| key.field == field) {
                keys.push(SortKey { field, descending });
            }
        }
        Self { keys }
    }

    /// Returns the stages that a page goes through, one after the other.
    ///
    /// # Errors
    /// [`Error::PageToken`] when the cursor is of another order.
    pub fn stages(&self, cursor: Option<&Cursor>) -> Result<Vec<Stage>> {
        if let Some(cursor) = cursor.filter(|cursor| cursor.keys.len() != self.keys.len()) {
            return Err(Error::PageToken(cursor.token()));
        }
        if self.has_one_stage() {
            return Ok(vec![Stage { missing: None, resumed: cursor.is_some() }]);
        }
        let backward = cursor.is_some_and(|cursor| cursor.backward);
        let stages = [backward, !backward].map(|missing| Stage { missing: Some(missing), resumed: false });
        let Some(cursor) = cursor else { return Ok(stages.to_vec()) };
        let at = Some(cursor.keys[0].is_none());
        let rest = stages.into_iter().skip_while(|stage| stage.missing != at);
        Ok(rest.map(|stage| Stage { resumed: stage.missing == at, ..stage }).collect())
    }

    /// Tells whether all items come in one stage, whatever they have and lack.
    pub fn has_one_stage(&self) -> bool {
        !self.keys[0].field.may_be_missing()
    }

    /// Tells whether items come by when they begin.
    pub fn goes_by_time(&self) -> bool {
        self.keys[0].field == SortField::Start
    }

    /// Writes the keys as the last columns, for [`Order::keys_of`] to read.
    pub fn push_columns(&self, query: &mut QueryBuilder<Postgres>) {
        for (i, key) in self.keys.iter().enumerate() {
            query.push(", ");
            key.field.push_as_text(query);
            query.push(format!(" as key{i}"));
        }
    }

    /// Reads the place of a row.
    pub fn keys_of(&self, row: &PgRow) -> Vec<Option<String>> {
        let first = row.len() - self.keys.len();
        (first..row.len()).map(|i| row.get(i)).collect()
    }

    /// Writes the conditions of a stage, each behind an `and`.
    ///
    /// # Errors
    /// [`Error::PageToken`] when the cursor holds values of another order.
    pub fn push_conditions(
        &self,
        query: &mut QueryBuilder<Postgres>,
        stage: Stage,
        cursor: Option<&Cursor>,
    ) -> Result<()> {
        if let Some(missing) = stage.missing {
            query.push(" and ");
            self.keys[0].field.push(query);
            query.push(if missing { " is null" } else { " is not null" });
        }
        match cursor {
            Some(cursor) if stage.resumed => self.push_behind(query, stage, cursor),
            _ => Ok(()),
        }
    }

    /// Writes what follows the keyword `order by`.
    pub fn push_order(&self, query: &mut QueryBuilder<Postgres>, stage: Stage, backward: bool) {
        for (i, key) in self.sorted_by(stage).iter().enumerate() {
            query.push(if i == 0 { " order by " } else { ", " });
            key.field.push(query);
            query.push(if key.descending == backward { " asc" } else { " desc" });
            // The first key is never missing in a stage that sorts by it, and an index knows one place for nulls only.
            if key.field.may_be_missing() && i > 0 {
                query.push(if backward { " nulls first" } else { " nulls last" });
            }
        }
    }

    /// The keys in whose order a stage comes: the first one does not tell apart those that lack it.
    fn sorted_by(&self, stage: Stage) -> &[SortKey] {
        if stage.missing == Some(true) { &self.keys[1..] } else { &self.keys }
    }

    /// Writes that an item comes behind the cursor: as one comparison of rows where all keys go the same way, else as
    /// `(a > x) or (a = x and b > y) or …` after a comparison of the first key alone, which is what an index can use.
    fn push_behind(&self, query: &mut QueryBuilder<Postgres>, stage: Stage, cursor: &Cursor) -> Result<()> {
        let keys = self.sorted_by(stage);
        let values = &cursor.keys[self.keys.len() - keys.len()..];
        let Some(first) = &values[0] else { return Err(Error::PageToken(cursor.token())) };
        let alike = keys.iter().all(|key| key.descending == keys[0].descending);
        if alike && !keys[1..].iter().any(|key| key.field.may_be_missing()) {
            return push_row_behind(query, keys, values, cursor);
        }
        query.push(" and ");
        keys[0].field.push(query);
        query.push(if keys[0].descending == cursor.backward { " >= " } else { " <= " });
        keys[0].field.push_value(query, first)?;
        query.push(" and (");
        for last in 0..keys.len() {
            query.push(if last == 0 { "(" } else { " or (" });
            for (key, value) in keys.iter().zip(values).take(last) {
                push_equal(query, key, value.as_deref())?;
                query.push(" and ");
            }
            // Within a stage the first key is there or does not count.
            let may_be_missing = last > 0 && keys[last].field.may_be_missing();
            push_after(query, &keys[last], values[last].as_deref(), cursor.backward, may_be_missing)?;
            query.push(")");
        }
        query.push(")");
        Ok(())
    }
}

/// `(a, b, …) > (x, y, …)`.
fn push_row_behind(
    query: &mut QueryBuilder<Postgres>,
    keys: &[SortKey],
    values: &[Option<String>],
    cursor: &Cursor,
) -> Result<()> {
    for (i, key) in keys.iter().enumerate() {
        query.push(if i == 0 { " and (" } else { ", " });
        key.field.push(query);
    }
    query.push(if keys[0].descending == cursor.backward { ") > (" } else { ") < (" });
    for (i, (key, value)) in keys.iter().zip(values).enumerate() {
        query.push(if i == 0 { "" } else { ", " });
        let value = value.as_deref().ok_or_else(|| Error::PageToken(cursor.token()))?;
        key.field.push_value(query, value)?;
    }
    query.push(")");
    Ok(())
}

fn push_equal(query: &mut QueryBuilder<Postgres>, key: &SortKey, value: Option<&str>) -> Result<()> {
    key.field.push(query);
    match value {
        None => _ = query.push(" is null"),
        Some(value) => {
            query.push(" = ");
            key.field.push_value(query, value)?;
        }
    }
    Ok(())
}

/// Missing keys come last, so behind a value there are the missing ones too, and behind a missing one nothing.
fn push_after(
    query: &mut QueryBuilder<Postgres>,
    key: &SortKey,
    value: Option<&str>,
    backward: bool,
    may_be_missing: bool,
) -> Result<()> {
    let Some(value) = value else {
        if backward {
            key.field.push(query);
        }
        query.push(if backward { " is not null" } else { "false" });
        return Ok(());
    };
    query.push("(");
    key.field.push(query);
    query.push(if key.descending == backward { " > " } else { " < " });
    key.field.push_value(query, value)?;
    if may_be_missing && !backward {
        query.push(" or ");
        key.field.push(query);
        query.push(" is null");
    }
    query.push(")");
    Ok(())
}
