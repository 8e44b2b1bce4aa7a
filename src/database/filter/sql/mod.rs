//! Writes a checked filter as SQL, every value and every name bound.
//!
//! There are two ways to write a predicate. As a *condition* it only has to be true exactly when the filter is: false
//! and unknown are one to `where`. So a condition may be written in the form that an index serves, and a negation is
//! moved down to where it costs nothing. As a *value* it tells false from unknown, for a filter that asks.

mod indexed;
mod list;
mod row;
mod scalar;
mod set;
mod spatial;
mod temporal;

use sqlx::{Postgres, QueryBuilder};

pub(in crate::database) use spatial::{push_envelope, push_intersects_box};

use super::{
    Subject,
    operator::Comparator,
    predicate::{Operand, Pair, Predicate},
};

/// Pushes a predicate as a condition in parentheses.
pub(super) fn push(query: &mut QueryBuilder<Postgres>, predicate: &Predicate, subject: Subject) {
    Writer { query, subject }.condition(predicate, false);
}

struct Writer<'a> {
    query: &'a mut QueryBuilder<Postgres>,
    subject: Subject,
}

impl Writer<'_> {
    fn push(&mut self, sql: &'static str) {
        self.query.push(sql);
    }

    fn bind(&mut self, text: impl Into<String>) {
        self.query.push_bind(text.into());
    }

    /// Writes a predicate, or its negation, as a condition.
    fn condition(&mut self, predicate: &Predicate, negated: bool) {
        self.push("(");
        match predicate {
            Predicate::And(all) => self.conditions(all, if negated { " or " } else { " and " }, negated),
            Predicate::Or(all) => self.conditions(all, if negated { " and " } else { " or " }, negated),
            Predicate::Not(inner) => self.condition(inner, !negated),
            Predicate::Property(name) => self.key_equals(name, if negated { "false" } else { "true" }),
            Predicate::Compare(comparator, pair) => {
                let comparator = if negated { comparator.negated() } else { *comparator };
                if !self.indexed_comparison(comparator, pair) {
                    self.comparison(comparator, pair);
                }
            }
            Predicate::In(list) if !negated && self.indexed_list(list) => {}
            other => {
                self.push(if negated { "not " } else { "" });
                self.value(other);
            }
        }
        self.push(")");
    }

    fn conditions(&mut self, all: &[Predicate], junction: &'static str, negated: bool) {
        for (i, one) in all.iter().enumerate() {
            self.push(if i == 0 { "" } else { junction });
            self.condition(one, negated);
        }
    }

    /// Writes a predicate as a boolean or null.
    fn value(&mut self, predicate: &Predicate) {
        self.push("(");
        match predicate {
            Predicate::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Predicate::Property(name) => self.property("polder_boolean(", name, ")"),
            Predicate::And(all) => self.values(all, " and "),
            Predicate::Or(all) => self.values(all, " or "),
            Predicate::Not(inner) => {
                self.push("not ");
                self.value(inner);
            }
            Predicate::Compare(comparator, pair) => self.comparison(*comparator, pair),
            Predicate::In(list) => self.list(list),
            Predicate::Like { text, pattern } => {
                self.text(text);
                self.push(" collate \"C\" like ");
                self.text(pattern);
            }
            Predicate::IsNull(operand) => self.is_null(operand),
            Predicate::Spatial(relation, left, right) => self.spatial(*relation, left, right),
            Predicate::Temporal(relation, left, right) => self.temporal(*relation, left, right),
            Predicate::Array(relation, left, right) => self.array(*relation, left, right),
        }
        self.push(")");
    }

    fn values(&mut self, all: &[Predicate], junction: &'static str) {
        for (i, one) in all.iter().enumerate() {
            self.push(if i == 0 { "" } else { junction });
            self.value(one);
        }
    }

    fn comparison(&mut self, comparator: Comparator, pair: &Pair) {
        match pair {
            Pair::Numbers(left, right) => {
                self.number(left);
                self.query.push(" ").push(comparator.sql()).push(" ");
                self.number(right);
            }
            Pair::Texts(left, right) => {
                self.text(left);
                self.query.push(" collate \"C\" ").push(comparator.sql()).push(" ");
                self.text(right);
            }
            Pair::Times(left, right) => {
                self.time(left);
                self.query.push(" ").push(comparator.sql()).push(" ");
                self.time(right);
            }
            Pair::Bools(left, right) => {
                self.value(left);
                self.query.push(" ").push(comparator.sql()).push(" ");
                self.value(right);
            }
            Pair::Properties(left, right) => {
                self.compared(left, right);
                self.query.push(" ").push(comparator.sql()).push(" 0");
            }
        }
    }

    fn is_null(&mut self, operand: &Operand) {
        match operand {
            Operand::Property(name) => return self.property_is_null(name),
            Operand::Number(number) => self.number(number),
            Operand::Text(text) => self.text(text),
            Operand::Time(time) => self.time(time),
            Operand::Bool(predicate) => self.value(predicate),
        }
        self.push(" is null");
    }
}
