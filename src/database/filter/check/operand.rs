//! Gives scalars their types: a literal says its own, a property takes that of what it meets.

use super::{Checked, condition, span::literal_time};
use crate::database::filter::{
    FilterError,
    expression::{Expr, bare},
    operator::Operator,
    predicate::{Kind, Numeric, Operand, Pair, Predicate, Text, Time},
};

/// Gives a scalar its type.
pub(super) fn operand(expr: &Expr, function: &'static str) -> Checked<Operand> {
    const SCALAR: &str = "a string, a number, a boolean, a time or a property";
    match expr {
        Expr::Number(number) => Ok(Operand::Number(Numeric::Literal(number.clone()))),
        Expr::Text(_) => text(expr, function).map(Operand::Text),
        Expr::Date(written) | Expr::Timestamp(written) => literal_time(written).map(Operand::Time),
        Expr::Property(name) => {
            let name = bare(name).to_owned();
            Ok(match Kind::of(&name) {
                Kind::Text => Operand::Text(Text::Property(name)),
                Kind::Time => Operand::Time(Time::Property(name)),
                Kind::Any => Operand::Property(name),
                Kind::Geometry => return Err(FilterError::operand(function, SCALAR, "the geometry")),
            })
        }
        Expr::Operation { operator: Operator::Casei | Operator::Accenti, .. } => {
            text(expr, function).map(Operand::Text)
        }
        Expr::Operation { operator: Operator::Arithmetic(_), .. } => number(expr, function).map(Operand::Number),
        Expr::Operation { .. } | Expr::Bool(_) => {
            condition(expr, function).map(|predicate| Operand::Bool(Box::new(predicate)))
        }
        other => Err(FilterError::operand(function, SCALAR, other.described())),
    }
}

/// Brings two operands to one type.
pub(super) fn pair(left: Operand, right: Operand, function: &'static str) -> Checked<Pair> {
    Ok(match (left, right) {
        (Operand::Property(left), Operand::Property(right)) => Pair::Properties(left, right),
        // Before strings: clients write times as plain strings, too.
        (left, right @ Operand::Time(_)) | (left @ Operand::Time(_), right) => {
            Pair::Times(left.time(function)?, right.time(function)?)
        }
        (left, right @ Operand::Number(_)) | (left @ Operand::Number(_), right) => {
            Pair::Numbers(left.number(function)?, right.number(function)?)
        }
        (left, right @ Operand::Text(_)) | (left @ Operand::Text(_), right) => {
            Pair::Texts(left.text(function)?, right.text(function)?)
        }
        (left, right) => Pair::Bools(Box::new(left.bool(function)?), Box::new(right.bool(function)?)),
    })
}

impl Operand {
    pub(super) fn number(self, function: &'static str) -> Checked<Numeric> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Property(name) => Ok(Numeric::Property(name)),
            other => Err(other.unlike("a number", function)),
        }
    }

    pub(super) fn text(self, function: &'static str) -> Checked<Text> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Property(name) => Ok(Text::Property(name)),
            other => Err(other.unlike("a string", function)),
        }
    }

    pub(super) fn time(self, function: &'static str) -> Checked<Time> {
        match self {
            Self::Time(time) => Ok(time),
            Self::Property(name) => Ok(Time::Property(name)),
            Self::Text(Text::Literal(written)) => literal_time(&written),
            other => Err(other.unlike("a time", function)),
        }
    }

    pub(super) fn bool(self, function: &'static str) -> Checked<Predicate> {
        match self {
            Self::Bool(predicate) => Ok(*predicate),
            Self::Property(name) => Ok(Predicate::Property(name)),
            other => Err(other.unlike("a boolean", function)),
        }
    }

    fn unlike(&self, expected: &'static str, function: &'static str) -> FilterError {
        let found = match self {
            Self::Property(_) => "a property",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Time(_) => "a time",
            Self::Bool(_) => "a boolean",
        };
        FilterError::operand(function, expected, found)
    }
}

fn number(expr: &Expr, function: &'static str) -> Checked<Numeric> {
    match expr {
        Expr::Number(number) => Ok(Numeric::Literal(number.clone())),
        Expr::Property(name) if Kind::of(bare(name)) == Kind::Any => Ok(Numeric::Property(bare(name).to_owned())),
        Expr::Operation { operator: Operator::Arithmetic(arithmetic), arguments } => {
            let name = Operator::Arithmetic(*arithmetic).name();
            let operands = [number(&arguments[0], name)?, number(&arguments[1], name)?];
            Ok(Numeric::Arithmetic(*arithmetic, Box::new(operands)))
        }
        other => Err(FilterError::operand(function, "numbers", other.described())),
    }
}

pub(super) fn text(expr: &Expr, function: &'static str) -> Checked<Text> {
    match expr {
        Expr::Text(text) => Ok(Text::Literal(text.clone())),
        Expr::Property(name) if Kind::of(bare(name)) != Kind::Geometry => Ok(Text::Property(bare(name).to_owned())),
        Expr::Operation { operator: Operator::Casei, arguments } => {
            Ok(Text::Casei(Box::new(text(&arguments[0], "casei")?)))
        }
        Expr::Operation { operator: Operator::Accenti, arguments } => {
            Ok(Text::Accenti(Box::new(text(&arguments[0], "accenti")?)))
        }
        other => Err(FilterError::operand(function, "a string", other.described())),
    }
}
