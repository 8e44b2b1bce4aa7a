//! A filter as it was written: a tree of operations, names and literals, whatever their types.

use std::collections::BTreeSet;

use serde_json::Number;

use super::{FilterError, geometry::Geometry, operator::Operator};

/// A node of the tree. Literals in it are checked: a geometry is one, a number is finite, no text holds U+0000.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Operation {
        operator: Operator,
        arguments: Vec<Expr>,
    },
    Property(String),
    Text(String),
    Number(Number),
    Bool(bool),
    Date(String),
    Timestamp(String),
    /// Two of: a time as text, `..`, a property.
    Interval(Box<[Expr; 2]>),
    Array(Vec<Expr>),
    Geometry(Geometry),
}

impl Expr {
    /// Makes an operation.
    ///
    /// # Errors
    /// [`FilterError::Arguments`] when the operator takes fewer or more.
    pub(super) fn operation(operator: Operator, arguments: Vec<Expr>) -> Result<Self, FilterError> {
        let arity = operator.arity();
        if arity.contains(&arguments.len()) {
            return Ok(Self::Operation { operator, arguments });
        }
        let expected = match (*arity.start(), *arity.end()) {
            (1, 1) => "1 argument".to_owned(),
            (least, usize::MAX) => format!("at least {least} arguments"),
            (count, _) => format!("{count} arguments"),
        };
        Err(FilterError::Arguments { function: operator.name(), expected, found: arguments.len() })
    }

    /// Says what it is, for messages: "the number 5".
    pub(super) fn described(&self) -> String {
        match self {
            Self::Operation { operator, .. } => format!("the result of {}", operator.name()),
            Self::Property(name) => format!("the property {name:?}"),
            Self::Text(text) => format!("the string {text:?}"),
            Self::Number(number) => format!("the number {number}"),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Date(date) => format!("the date {date}"),
            Self::Timestamp(timestamp) => format!("the timestamp {timestamp}"),
            Self::Interval(_) => "an interval".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::Geometry(_) => "a geometry".to_owned(),
        }
    }

    /// Collects the names of the properties below.
    pub(super) fn collect_properties(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Operation { arguments, .. } | Self::Array(arguments) => {
                for argument in arguments {
                    argument.collect_properties(names);
                }
            }
            Self::Interval(ends) => {
                for end in &**ends {
                    end.collect_properties(names);
                }
            }
            Self::Property(name) => {
                names.insert(bare(name).to_owned());
            }
            _ => {}
        }
    }
}

/// A property's name without the `properties.` that some clients put before it.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix("properties.").filter(|name| !name.is_empty()).unwrap_or(name)
}
