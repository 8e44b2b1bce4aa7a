//! The operators and functions of CQL2: their names, and how many arguments they take (OGC 21-065r2, Annex B and C).

use std::ops::RangeInclusive;

/// Everything that a CQL2 operation can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Not,
    Compare(Comparator),
    Like,
    Between,
    In,
    IsNull,
    Casei,
    Accenti,
    Arithmetic(Arithmetic),
    Spatial(Relation),
    Temporal(TimeRelation),
    Array(SetRelation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    IntegerDivide,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Contains,
    Crosses,
    Disjoint,
    Equals,
    Intersects,
    Overlaps,
    Touches,
    Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeRelation {
    After,
    Before,
    Contains,
    Disjoint,
    During,
    Equals,
    FinishedBy,
    Finishes,
    Intersects,
    Meets,
    MetBy,
    OverlappedBy,
    Overlaps,
    StartedBy,
    Starts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetRelation {
    ContainedBy,
    Contains,
    Equals,
    Overlaps,
}

const NAMES: [(&str, Operator); 50] = [
    ("and", Operator::And),
    ("or", Operator::Or),
    ("not", Operator::Not),
    ("=", Operator::Compare(Comparator::Equal)),
    ("<>", Operator::Compare(Comparator::NotEqual)),
    ("<", Operator::Compare(Comparator::Less)),
    ("<=", Operator::Compare(Comparator::LessOrEqual)),
    (">", Operator::Compare(Comparator::Greater)),
    (">=", Operator::Compare(Comparator::GreaterOrEqual)),
    ("like", Operator::Like),
    ("between", Operator::Between),
    ("in", Operator::In),
    ("isNull", Operator::IsNull),
    ("+", Operator::Arithmetic(Arithmetic::Add)),
    ("-", Operator::Arithmetic(Arithmetic::Subtract)),
    ("*", Operator::Arithmetic(Arithmetic::Multiply)),
    ("/", Operator::Arithmetic(Arithmetic::Divide)),
    ("%", Operator::Arithmetic(Arithmetic::Modulo)),
    ("div", Operator::Arithmetic(Arithmetic::IntegerDivide)),
    ("^", Operator::Arithmetic(Arithmetic::Power)),
    ("casei", Operator::Casei),
    ("accenti", Operator::Accenti),
    ("s_contains", Operator::Spatial(Relation::Contains)),
    ("s_crosses", Operator::Spatial(Relation::Crosses)),
    ("s_disjoint", Operator::Spatial(Relation::Disjoint)),
    ("s_equals", Operator::Spatial(Relation::Equals)),
    ("s_intersects", Operator::Spatial(Relation::Intersects)),
    ("s_overlaps", Operator::Spatial(Relation::Overlaps)),
    ("s_touches", Operator::Spatial(Relation::Touches)),
    ("s_within", Operator::Spatial(Relation::Within)),
    ("t_after", Operator::Temporal(TimeRelation::After)),
    ("t_before", Operator::Temporal(TimeRelation::Before)),
    ("t_contains", Operator::Temporal(TimeRelation::Contains)),
    ("t_disjoint", Operator::Temporal(TimeRelation::Disjoint)),
    ("t_during", Operator::Temporal(TimeRelation::During)),
    ("t_equals", Operator::Temporal(TimeRelation::Equals)),
    ("t_finishedBy", Operator::Temporal(TimeRelation::FinishedBy)),
    ("t_finishes", Operator::Temporal(TimeRelation::Finishes)),
    ("t_intersects", Operator::Temporal(TimeRelation::Intersects)),
    ("t_meets", Operator::Temporal(TimeRelation::Meets)),
    ("t_metBy", Operator::Temporal(TimeRelation::MetBy)),
    ("t_overlappedBy", Operator::Temporal(TimeRelation::OverlappedBy)),
    ("t_overlaps", Operator::Temporal(TimeRelation::Overlaps)),
    ("t_startedBy", Operator::Temporal(TimeRelation::StartedBy)),
    ("t_starts", Operator::Temporal(TimeRelation::Starts)),
    ("a_containedBy", Operator::Array(SetRelation::ContainedBy)),
    ("a_contains", Operator::Array(SetRelation::Contains)),
    ("a_equals", Operator::Array(SetRelation::Equals)),
    ("a_overlaps", Operator::Array(SetRelation::Overlaps)),
    // as many write it, and no other operator's name
    ("!=", Operator::Compare(Comparator::NotEqual)),
];

impl Operator {
    /// Finds an operator by its name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    /// The name as CQL2 JSON writes it.
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }

    /// Tells whether CQL2 text writes it as a function: `name(a, b)`.
    pub(super) fn is_function(self) -> bool {
        matches!(self, Self::Casei | Self::Accenti | Self::Spatial(_) | Self::Temporal(_) | Self::Array(_))
    }

    /// The names of all functions.
    pub(super) fn functions() -> Vec<&'static str> {
        NAMES.iter().filter(|(_, operator)| operator.is_function()).map(|(name, _)| *name).collect()
    }

    pub(super) fn arity(self) -> RangeInclusive<usize> {
        match self {
            Self::And | Self::Or => 2..=usize::MAX,
            Self::Not | Self::IsNull | Self::Casei | Self::Accenti => 1..=1,
            Self::Between => 3..=3,
            _ => 2..=2,
        }
    }
}

impl Comparator {
    pub(super) fn sql(self) -> &'static str {
        Operator::Compare(self).name()
    }

    /// What holds when this does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// The same comparison with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_operator_in_any_case() {
        for (name, operator) in NAMES {
            assert_eq!(Operator::named(&name.to_uppercase()), Some(operator));
        }
        assert_eq!(Operator::named("t_metby").unwrap().name(), "t_metBy");
        assert_eq!(Operator::named("!=").unwrap().name(), "<>");
        assert_eq!(Operator::named("buffer"), None);
    }

    #[test]
    fn negating_or_flipping_twice_changes_nothing() {
        for (_, operator) in NAMES {
            let Operator::Compare(comparator) = operator else { continue };
            assert_eq!(comparator.negated().negated(), comparator);
            assert_eq!(comparator.flipped().flipped(), comparator);
        }
    }
}
