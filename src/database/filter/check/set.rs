//! Checks the operands of the array functions. They are sets: order and repetition mean nothing, and a single value
//! is a set of one.

use serde_json::Value;

use super::operand;
use crate::database::filter::{
    FilterError,
    expression::{Expr, bare},
    predicate::{Element, Set},
};

/// Checks an array, a property or a single value.
pub(super) fn set(expr: &Expr, function: &'static str) -> Result<Set, FilterError> {
    match expr {
        Expr::Property(name) => Ok(Set::Property(bare(name).to_owned())),
        Expr::Array(elements) => match literal(expr) {
            Some(known) => Ok(Set::Literal(known)),
            None => elements.iter().map(|one| element(one, function)).collect::<Result<_, _>>().map(Set::Elements),
        },
        // CQL2 text cannot tell an array of one from a value in parentheses.
        single => match literal(single) {
            Some(known) => Ok(Set::Literal(Value::Array(vec![known]))),
            None => Ok(Set::Elements(vec![element(single, function)?])),
        },
    }
}

fn element(expr: &Expr, function: &'static str) -> Result<Element, FilterError> {
    match (literal(expr), expr) {
        (Some(known), _) => Ok(Element::Literal(known)),
        (None, Expr::Array(_)) => set(expr, function).map(Element::Set),
        (None, _) => operand(expr, function).map(Element::Operand),
    }
}

/// The value of a literal as JSON, if it is one that a row's property can hold.
fn literal(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Number(number) => Some(Value::Number(number.clone())),
        Expr::Text(text) | Expr::Date(text) | Expr::Timestamp(text) => Some(Value::String(text.clone())),
        Expr::Bool(value) => Some(Value::Bool(*value)),
        Expr::Array(elements) => elements.iter().map(literal).collect::<Option<_>>().map(Value::Array),
        _ => None,
    }
}
