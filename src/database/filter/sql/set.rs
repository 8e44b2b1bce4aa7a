//! The array functions in SQL.

use serde_json::Value;

use super::Writer;
use crate::database::filter::{
    operator::SetRelation,
    predicate::{Element, Operand, Set},
};

impl Writer<'_> {
    pub(super) fn array(&mut self, relation: SetRelation, left: &Set, right: &Set) {
        // jsonb's own operator looks into arrays within arrays; where there are none, it is exact and much faster.
        let plain = match (left, right) {
            (Set::Property(_), Set::Literal(known)) | (Set::Literal(known), Set::Property(_)) => is_flat(known),
            _ => false,
        };
        match relation {
            SetRelation::Contains if plain => self.sets("", left, " @> ", right, ""),
            SetRelation::ContainedBy if plain => self.sets("", left, " <@ ", right, ""),
            SetRelation::Equals if plain => {
                self.sets("", left, " @> ", right, " and ");
                self.sets("", left, " <@ ", right, "");
            }
            SetRelation::Contains => self.sets("polder_contains(", left, ", ", right, ")"),
            SetRelation::ContainedBy => self.sets("polder_contains(", right, ", ", left, ")"),
            SetRelation::Equals => self.sets("polder_equals(", left, ", ", right, ")"),
            SetRelation::Overlaps => self.sets("polder_overlaps(", left, ", ", right, ")"),
        }
    }

    fn sets(&mut self, before: &'static str, left: &Set, between: &'static str, right: &Set, after: &'static str) {
        self.push(before);
        self.set(left);
        self.push(between);
        self.set(right);
        self.push(after);
    }

    fn set(&mut self, set: &Set) {
        match set {
            Set::Property(name) => self.property("polder_array(", name, ")"),
            Set::Literal(known) => self.json(known),
            Set::Elements(elements) => {
                self.push("jsonb_build_array(variadic array[");
                for (i, element) in elements.iter().enumerate() {
                    self.push(if i == 0 { "" } else { ", " });
                    self.element(element);
                }
                self.push("]::jsonb[])");
            }
        }
    }

    fn element(&mut self, element: &Element) {
        match element {
            Element::Literal(known) => return self.json(known),
            Element::Set(set) => return self.set(set),
            Element::Operand(Operand::Property(name)) => return self.property("", name, ""),
            Element::Operand(operand) => {
                self.push("to_jsonb(");
                match operand {
                    Operand::Number(number) => self.number(number),
                    Operand::Text(text) => self.text(text),
                    Operand::Time(time) => self.time(time),
                    Operand::Bool(predicate) => self.value(predicate),
                    Operand::Property(_) => {}
                }
            }
        }
        self.push(")");
    }

    fn json(&mut self, known: &Value) {
        self.bind(known.to_string());
        self.push("::jsonb");
    }
}

fn is_flat(known: &Value) -> bool {
    known.as_array().is_some_and(|elements| !elements.iter().any(Value::is_array))
}
