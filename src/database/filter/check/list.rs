//! Checks the list of IN.

use super::operand;
use crate::database::filter::{
    FilterError,
    expression::Expr,
    operator::Operator,
    predicate::{List, Numeric, Operand, Predicate, Text, Time},
};

/// Checks that a value may be one of a list. The list of a property may hold values of several types, of which those
/// of one type are compared together; that of anything else has its type. An empty list holds nothing.
pub(super) fn within(value: Operand, list: &[Expr]) -> Result<Predicate, FilterError> {
    let name = Operator::In.name();
    let list = list.iter().map(|expr| operand(expr, name)).collect::<Result<Vec<_>, _>>()?;
    let list = match value {
        Operand::Property(property) => return Ok(any(of_property(&property, list))),
        Operand::Number(value) => List::Numbers(value, each(list, Operand::number)?),
        Operand::Text(value) => List::Texts(value, each(list, Operand::text)?),
        Operand::Time(value) => List::Times(value, each(list, Operand::time)?),
        Operand::Bool(value) => List::Bools(value, each(list, Operand::bool)?),
    };
    Ok(any(vec![list]))
}

fn each<T>(
    list: Vec<Operand>,
    convert: impl Fn(Operand, &'static str) -> Result<T, FilterError>,
) -> Result<Vec<T>, FilterError> {
    list.into_iter().map(|operand| convert(operand, Operator::In.name())).collect()
}

fn of_property(property: &str, list: Vec<Operand>) -> Vec<List> {
    let (mut numbers, mut texts, mut times, mut bools, mut properties) = (vec![], vec![], vec![], vec![], vec![]);
    for operand in list {
        match operand {
            Operand::Number(number) => numbers.push(number),
            Operand::Text(text) => texts.push(text),
            Operand::Time(time) => times.push(time),
            Operand::Bool(predicate) => bools.push(*predicate),
            Operand::Property(other) => properties.push(other),
        }
    }
    vec![
        List::Numbers(Numeric::Property(property.to_owned()), numbers),
        List::Texts(Text::Property(property.to_owned()), texts),
        List::Times(Time::Property(property.to_owned()), times),
        List::Bools(Box::new(Predicate::Property(property.to_owned())), bools),
        List::Properties(property.to_owned(), properties),
    ]
}

fn any(lists: Vec<List>) -> Predicate {
    let mut lists: Vec<Predicate> = lists.into_iter().filter(|list| !list.is_empty()).map(Predicate::In).collect();
    match lists.len() {
        0 => Predicate::Bool(false),
        1 => lists.remove(0),
        _ => Predicate::Or(lists),
    }
}

impl List {
    fn is_empty(&self) -> bool {
        match self {
            Self::Numbers(_, list) => list.is_empty(),
            Self::Texts(_, list) => list.is_empty(),
            Self::Times(_, list) => list.is_empty(),
            Self::Bools(_, list) => list.is_empty(),
            Self::Properties(_, list) => list.is_empty(),
        }
    }
}
