//! A filter whose operands were checked: what is to be true of a row, each operand with its type.

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};

use super::{
    geometry::Geometry,
    operator::{Arithmetic, Comparator, Relation, SetRelation, TimeRelation},
};

/// A statement about a row, which is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    Bool(bool),
    Property(String),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare(Comparator, Pair),
    In(List),
    Like {
        text: Text,
        pattern: Text,
    },
    IsNull(Operand),
    /// Never disjoint: that is not to intersect.
    Spatial(Relation, Shape, Shape),
    /// Never disjoint.
    Temporal(TimeRelation, Span, Span),
    Array(SetRelation, Set, Set),
}

impl Predicate {
    /// Tells whether it is never true far from some shape.
    pub(super) fn narrows_space(&self) -> bool {
        match self {
            Self::Spatial(..) => true,
            Self::And(all) => all.iter().any(Self::narrows_space),
            _ => false,
        }
    }
}

/// Two operands of one type, or two properties whose types only the row knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pair {
    Numbers(Numeric, Numeric),
    Texts(Text, Text),
    Times(Time, Time),
    Bools(Box<Predicate>, Box<Predicate>),
    Properties(String, String),
}

/// An operand and those of its type that it may equal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum List {
    Numbers(Numeric, Vec<Numeric>),
    Texts(Text, Vec<Text>),
    Times(Time, Vec<Time>),
    Bools(Box<Predicate>, Vec<Predicate>),
    Properties(String, Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Property(String),
    Number(Numeric),
    Text(Text),
    Time(Time),
    Bool(Box<Predicate>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numeric {
    Literal(Number),
    Property(String),
    Arithmetic(Arithmetic, Box<[Numeric; 2]>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Literal(String),
    Property(String),
    Casei(Box<Text>),
    Accenti(Box<Text>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Time {
    Literal(DateTime<Utc>),
    Property(String),
}

/// A span of time; an instant ends when it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub start: End,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// Before the first moment or after the last.
    Open,
    At(Time),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// The geometry of the row.
    Row,
    Literal(Geometry),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Set {
    Property(String),
    /// An array that is known.
    Literal(Value),
    Elements(Vec<Element>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element {
    Literal(Value),
    Operand(Operand),
    Set(Set),
}

impl Numeric {
    /// Tells whether it is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Property(_) => false,
            Self::Arithmetic(_, operands) => operands.iter().all(Self::is_constant),
        }
    }
}

/// What a property is, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Geometry,
    Text,
    Time,
    Any,
}

impl Kind {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "geometry" | "geom" => Self::Geometry,
            "id" | "collection" => Self::Text,
            "datetime" | "start_datetime" | "end_datetime" => Self::Time,
            _ => Self::Any,
        }
    }
}
