//! Numbers, strings and times in SQL; null when a property is none.
//!
//! A literal says its type, so that two statements that differ in types differ in text: prepared ones are kept by it.

use super::Writer;
use crate::database::filter::{
    operator::Arithmetic,
    predicate::{Numeric, Text, Time},
};

impl Writer<'_> {
    pub(super) fn number(&mut self, number: &Numeric) {
        match number {
            Numeric::Literal(number) => {
                self.bind(number.to_string());
                self.push("::numeric");
            }
            Numeric::Property(name) => self.property("polder_number(", name, ")"),
            Numeric::Arithmetic(operator, operands) => self.arithmetic(*operator, operands),
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, [left, right]: &[Numeric; 2]) {
        let (open, between, close) = match operator {
            Arithmetic::Add => ("(", " + ", ")"),
            Arithmetic::Subtract => ("(", " - ", ")"),
            Arithmetic::Multiply => ("(", " * ", ")"),
            Arithmetic::Divide => ("(", " / nullif(", ", 0))"),
            Arithmetic::Modulo => ("(", " % nullif(", ", 0))"),
            Arithmetic::IntegerDivide => ("div(", ", nullif(", ", 0))"),
            Arithmetic::Power => ("polder_power(", ", ", ")"),
        };
        self.push(open);
        self.number(left);
        self.push(between);
        self.number(right);
        self.push(close);
    }

    pub(super) fn text(&mut self, text: &Text) {
        match text {
            Text::Literal(text) => {
                self.bind(text.as_str());
                self.push("::text");
            }
            Text::Property(name) => match self.text_column(name) {
                Some(column) => self.push(column),
                None => self.property("polder_text(", name, ")"),
            },
            Text::Casei(inner) => self.folded("polder_casei(", inner),
            Text::Accenti(inner) => self.folded("polder_accenti(", inner),
        }
    }

    fn folded(&mut self, function: &'static str, text: &Text) {
        self.push(function);
        self.text(text);
        self.push(")");
    }

    pub(super) fn time(&mut self, time: &Time) {
        match time {
            Time::Literal(time) => {
                self.query.push_bind(*time).push("::timestamptz");
            }
            Time::Property(name) => match self.time_column(name) {
                Some(column) => self.push(column),
                None => self.property("polder_time(polder_text(", name, "))"),
            },
        }
    }
}
