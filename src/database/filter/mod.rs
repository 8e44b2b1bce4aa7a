//! Filters in the Common Query Language of OGC, CQL2 (OGC 21-065r2): read as text or JSON, answered by `PostGIS`.
//!
//! Reading goes in two steps: a reader makes an [`expression::Expr`] of what was written, and [`check`] makes a
//! [`predicate::Predicate`] of that, in which every operand has its type. Only a filter that passed both exists, so
//! writing its SQL cannot fail, and running the SQL cannot either, whatever the rows hold. Every value and every name
//! is bound.
//!
//! Invariant: a filter is true, false or unknown for a row, and a row counts when it is true. A property that is
//! missing, null or of another type than what it is compared with is unknown.

mod budget;
mod check;
mod cursor;
mod error;
mod expression;
mod geometry;
mod instant;
mod json;
mod operator;
mod predicate;
mod sql;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod wkt;
mod write;

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};

pub use error::FilterError;
pub(super) use geometry::envelope_of;
pub(super) use sql::{push_envelope, push_intersects_box};

use expression::Expr;
use operator::Operator;
use predicate::Predicate;

/// A CQL2 filter that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expr: Expr,
    predicate: Predicate,
}

/// What the names in a filter mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Rows of `items`: their columns and the members of their `properties`.
    Items,
    /// Rows of `collections c`: their columns and the members of their `content`.
    Collections,
}

impl Filter {
    /// Reads CQL2 text.
    ///
    /// # Errors
    /// [`FilterError`], which says where and what would have been right.
    ///
    /// ```ignore
    /// let filter = Filter::parse_text("eo:cloud_cover < 10 and s_intersects(geometry, BBOX(5, 52, 6, 53))")?;
    /// ```
    pub fn parse_text(text: &str) -> Result<Self, FilterError> {
        Self::checked(text::read(text)?)
    }

    /// Reads CQL2 JSON.
    ///
    /// # Errors
    /// [`FilterError`], which says where and what would have been right.
    pub fn parse_json(value: &Value) -> Result<Self, FilterError> {
        Self::checked(json::read(value)?)
    }

    fn checked(expr: Expr) -> Result<Self, FilterError> {
        let predicate = check::predicate(&expr)?;
        Ok(Self { expr, predicate })
    }

    /// Joins two filters: a row counts when both are true of it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            expr: Expr::Operation { operator: Operator::And, arguments: vec![self.expr, other.expr] },
            predicate: Predicate::And(vec![self.predicate, other.predicate]),
        }
    }

    /// Writes the filter as CQL2 JSON.
    pub fn to_json(&self) -> Value {
        write::json(&self.expr)
    }

    /// Writes the filter as CQL2 text.
    pub fn to_text(&self) -> String {
        write::text(&self.expr)
    }

    /// Returns the names of the functions that are known beyond those of CQL2: none.
    pub fn functions() -> &'static [&'static str] {
        &[]
    }

    /// Returns the names of the properties that it uses, without the `properties.` that some clients put before them.
    pub fn properties(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.expr.collect_properties(&mut names);
        names
    }

    /// Tells whether it keeps only what lies somewhere.
    pub(super) fn narrows_space(&self) -> bool {
        self.predicate.narrows_space()
    }
}

/// Pushes a filter as a boolean expression in parentheses.
///
/// Plan the statement with its values (`plan_cache_mode = force_custom_plan`): the indexes on `polder_key` are found
/// by the name of the property, which is one.
pub(super) fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter, subject: Subject) {
    sql::push(query, &filter.predicate, subject);
}
