//! Checks the operands of a filter and gives each its type.
//!
//! A literal says its type itself; a property takes that of what it meets. What no row could make right, such as LIKE
//! with a number, is refused here, so that no statement ever fails.

mod list;
mod operand;
mod pattern;
mod set;
mod span;

use self::{
    list::within,
    operand::{operand, pair, text},
    pattern::pattern,
    set::set,
    span::span,
};
use super::{
    FilterError,
    expression::{Expr, bare},
    operator::{Comparator, Operator, Relation, TimeRelation},
    predicate::{Kind, Operand, Pair, Predicate, Shape},
};

type Checked<T> = Result<T, FilterError>;

/// Checks an expression that is to be true of a row.
///
/// # Errors
/// [`FilterError::Operand`] and [`FilterError::Literal`].
pub(super) fn predicate(expr: &Expr) -> Checked<Predicate> {
    condition(expr, "a filter")
}

fn condition(expr: &Expr, function: &'static str) -> Checked<Predicate> {
    match expr {
        Expr::Bool(value) => Ok(Predicate::Bool(*value)),
        Expr::Property(name) if Kind::of(bare(name)) == Kind::Any => Ok(Predicate::Property(bare(name).to_owned())),
        Expr::Operation { operator, arguments } => operation(*operator, arguments, function, expr),
        other => Err(FilterError::operand(function, "a predicate or a boolean", other.described())),
    }
}

fn operation(operator: Operator, arguments: &[Expr], function: &'static str, whole: &Expr) -> Checked<Predicate> {
    let name = operator.name();
    let all = || arguments.iter().map(|argument| condition(argument, name)).collect::<Checked<Vec<_>>>();
    match (operator, arguments) {
        (Operator::And, _) => all().map(Predicate::And),
        (Operator::Or, _) => all().map(Predicate::Or),
        (Operator::Not, [argument]) => Ok(negated(condition(argument, name)?)),
        (Operator::Compare(comparator), [left, right]) => {
            pair(operand(left, name)?, operand(right, name)?, name).map(|pair| Predicate::Compare(comparator, pair))
        }
        (Operator::Between, [value, low, high]) => between(value, low, high),
        (Operator::In, [value, Expr::Array(list)]) => within(operand(value, name)?, list),
        (Operator::In, [_, other]) => Err(FilterError::operand(name, "a list", other.described())),
        (Operator::Like, [text, pattern]) => like(text, pattern),
        (Operator::IsNull, [argument]) => is_null(argument),
        (Operator::Spatial(relation), [left, right]) => {
            let (left, right) = (shape(left, name)?, shape(right, name)?);
            Ok(match relation {
                Relation::Disjoint => negated(Predicate::Spatial(Relation::Intersects, left, right)),
                relation => Predicate::Spatial(relation, left, right),
            })
        }
        (Operator::Temporal(relation), [left, right]) => {
            let (left, right) = (span(left, name)?, span(right, name)?);
            Ok(match relation {
                TimeRelation::Disjoint => negated(Predicate::Temporal(TimeRelation::Intersects, left, right)),
                relation => Predicate::Temporal(relation, left, right),
            })
        }
        (Operator::Array(relation), [left, right]) => {
            Ok(Predicate::Array(relation, set(left, name)?, set(right, name)?))
        }
        _ => Err(FilterError::operand(function, "a predicate or a boolean", whole.described())),
    }
}

fn negated(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn between(value: &Expr, low: &Expr, high: &Expr) -> Checked<Predicate> {
    let bound = |comparator, bound| {
        let pair = pair(operand(value, "between")?, operand(bound, "between")?, "between")?;
        match &pair {
            // Each bound repeats the value; predicates could nest and would double each time.
            Pair::Bools(..) => Err(FilterError::operand("between", "numbers, strings or times", "a boolean")),
            _ => Ok(Predicate::Compare(comparator, pair)),
        }
    };
    Ok(Predicate::And(vec![bound(Comparator::GreaterOrEqual, low)?, bound(Comparator::LessOrEqual, high)?]))
}

fn like(value: &Expr, pattern: &Expr) -> Checked<Predicate> {
    Ok(Predicate::Like { text: text(value, "like")?, pattern: self::pattern(pattern)? })
}

fn is_null(expr: &Expr) -> Checked<Predicate> {
    match expr {
        Expr::Property(name) => Ok(Predicate::IsNull(Operand::Property(bare(name).to_owned()))),
        Expr::Geometry(_) => Ok(Predicate::Bool(false)),
        Expr::Interval(ends) => ends.iter().map(is_null).collect::<Checked<_>>().map(Predicate::Or),
        other => operand(other, "isNull").map(Predicate::IsNull),
    }
}

fn shape(expr: &Expr, function: &'static str) -> Checked<Shape> {
    match expr {
        Expr::Geometry(geometry) => Ok(Shape::Literal(geometry.clone())),
        Expr::Property(name) if Kind::of(bare(name)) == Kind::Geometry => Ok(Shape::Row),
        other => Err(FilterError::operand(function, "the property geometry or a geometry", other.described())),
    }
}
