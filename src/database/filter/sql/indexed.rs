//! Comparisons of a property with constants, in the form that an index on its `polder_key` serves.

use chrono::{DateTime, Datelike as _, Days, Utc};
use serde_json::Value;

use super::Writer;
use crate::database::filter::{
    operator::Comparator,
    predicate::{List, Numeric, Pair, Predicate, Text, Time},
};

/// The strings in jsonb compare by the locale of the database, CQL2's by their bytes. Where the two are one, as in any
/// database of the locale C, the planner finds this to be false, and drops it and keeps the index; elsewhere it finds
/// it to be true, and drops the comparison of keys.
const UNLESS_BYTEWISE: &str = " or '\"a\"'::jsonb < '\"B\"'::jsonb)";

/// Characters of a string that `polder_key` keeps.
const KEY: usize = 200;

impl Writer<'_> {
    /// Writes a comparison of a property with a constant such that an index on its `polder_key` serves it; returns
    /// false, and writes nothing, when there is no such form.
    pub(super) fn indexed_comparison(&mut self, comparator: Comparator, pair: &Pair) -> bool {
        if comparator == Comparator::NotEqual {
            return false;
        }
        match pair {
            Pair::Numbers(Numeric::Property(name), constant) if constant.is_constant() => {
                self.number_key(comparator, name, constant);
            }
            Pair::Numbers(constant, Numeric::Property(name)) if constant.is_constant() => {
                self.number_key(comparator.flipped(), name, constant);
            }
            Pair::Texts(Text::Property(name), Text::Literal(text)) if !self.is_text_column(name) => {
                self.text_key(comparator, name, text);
            }
            Pair::Texts(Text::Literal(text), Text::Property(name)) if !self.is_text_column(name) => {
                self.text_key(comparator.flipped(), name, text);
            }
            Pair::Times(Time::Property(name), Time::Literal(time)) if self.time_column(name).is_none() => {
                self.time_key(comparator, name, *time);
                self.comparison(comparator, pair);
            }
            Pair::Times(Time::Literal(time), Time::Property(name)) if self.time_column(name).is_none() => {
                self.time_key(comparator.flipped(), name, *time);
                self.comparison(comparator, pair);
            }
            Pair::Bools(left, right) if comparator == Comparator::Equal => match (&**left, &**right) {
                (Predicate::Property(name), Predicate::Bool(value))
                | (Predicate::Bool(value), Predicate::Property(name)) => {
                    self.key_equals(name, if *value { "true" } else { "false" });
                }
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    fn number_key(&mut self, comparator: Comparator, name: &str, constant: &Numeric) {
        self.key(name);
        self.query.push(" ").push(comparator.sql()).push(" ");
        match constant {
            Numeric::Literal(number) => {
                self.bind(number.to_string());
                self.push("::jsonb");
            }
            computed => {
                self.push("to_jsonb(");
                self.number(computed);
                self.push(")");
            }
        }
        // jsonb puts every string before and every boolean after any number, and a key's numbers have at most 400 digits.
        // Said as the other end of a range, for that is what PostgreSQL has statistics for.
        match comparator {
            Comparator::Less | Comparator::LessOrEqual => self.key_and(name, " > '-1e400'::jsonb"),
            Comparator::Greater | Comparator::GreaterOrEqual => self.key_and(name, " < 'false'::jsonb"),
            Comparator::Equal | Comparator::NotEqual => {}
        }
    }

    fn key_and(&mut self, name: &str, end: &'static str) {
        self.push(" and ");
        self.key(name);
        self.push(end);
    }

    /// Compares the beginnings by the key, then, if that does not settle it, the strings.
    fn text_key(&mut self, comparator: Comparator, name: &str, text: &str) {
        let cut: String = text.chars().take(KEY).collect();
        if comparator == Comparator::Equal {
            let whole = text.chars().count() < KEY;
            self.key_equals(name, Value::from(cut).to_string());
            if whole {
                return;
            }
        } else {
            let upwards = matches!(comparator, Comparator::Greater | Comparator::GreaterOrEqual);
            self.push("(");
            self.key(name);
            self.push(if upwards { " >= " } else { " <= " });
            self.bind(Value::from(cut).to_string());
            self.push("::jsonb");
            self.push(UNLESS_BYTEWISE);
        }
        self.property(" and polder_text(", name, ") collate \"C\" ");
        self.query.push(comparator.sql()).push(" ");
        self.bind(text);
    }

    /// Narrows a property down to the strings that may be a time on one side of another: whatever their zone, they
    /// begin with a day at most one away from its own.
    fn time_key(&mut self, comparator: Comparator, name: &str, time: DateTime<Utc>) {
        use Comparator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        if matches!(comparator, Equal | Greater | GreaterOrEqual) {
            self.day_key(name, " >= ", time.checked_sub_days(Days::new(1)));
        }
        if matches!(comparator, Equal | Less | LessOrEqual) {
            self.day_key(name, " <= ", time.checked_add_days(Days::new(2)));
        }
    }

    fn day_key(&mut self, name: &str, comparator: &'static str, day: Option<DateTime<Utc>>) {
        let Some(day) = day.filter(|day| (0..=9999).contains(&day.year())) else { return };
        self.push("(");
        self.key(name);
        self.push(comparator);
        self.bind(Value::from(day.format("%Y-%m-%d").to_string()).to_string());
        self.push("::jsonb");
        self.push(UNLESS_BYTEWISE);
        self.push(" and ");
    }

    /// Writes IN for a property and constants such that an index on its `polder_key` serves it, if it can.
    pub(super) fn indexed_list(&mut self, list: &List) -> bool {
        let constants: Option<(&String, Vec<String>)> = match list {
            List::Numbers(Numeric::Property(name), list) => {
                let constant = |number: &Numeric| match number {
                    Numeric::Literal(number) => Some(number.to_string()),
                    _ => None,
                };
                list.iter().map(constant).collect::<Option<_>>().map(|list| (name, list))
            }
            List::Texts(Text::Property(name), list) if !self.is_text_column(name) => {
                let constant = |text: &Text| match text {
                    Text::Literal(text) if text.chars().count() < KEY => Some(Value::from(text.as_str()).to_string()),
                    _ => None,
                };
                list.iter().map(constant).collect::<Option<_>>().map(|list| (name, list))
            }
            _ => None,
        };
        let Some((name, constants)) = constants else { return false };
        self.key(name);
        self.push(" = any(");
        self.query.push_bind(constants);
        self.push("::text[]::jsonb[])");
        true
    }

    pub(super) fn key_equals(&mut self, name: &str, json: impl Into<String>) {
        self.key(name);
        self.push(" = ");
        self.bind(json);
        self.push("::jsonb");
    }
}
