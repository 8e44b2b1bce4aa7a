//! The temporal functions in SQL (OGC 21-065r2, 7.5; the relations of OWL-Time).

use super::Writer;
use crate::database::filter::{
    Subject,
    operator::TimeRelation,
    predicate::{End, Span, Time},
};

/// Two ends and how they compare: the start or end of the left span, and of the right one.
type Part = (Side, &'static str, Side);

#[derive(Clone, Copy)]
enum Side {
    Start,
    End,
}

use Side::{End as E, Start as S};

impl Writer<'_> {
    pub(super) fn temporal(&mut self, relation: TimeRelation, left: &Span, right: &Span) {
        for (i, (of_left, comparator, of_right)) in parts(relation).iter().enumerate() {
            self.push(if i == 0 { "" } else { " and " });
            self.end(left, *of_left);
            self.push(comparator);
            self.end(right, *of_right);
            self.implied(left, *of_left, [" < ", " = "].contains(comparator), right, *of_right);
            self.implied(right, *of_right, [" > ", " = "].contains(comparator), left, *of_left);
        }
        if relation == TimeRelation::Intersects && self.subject == Subject::Items {
            match (left, right) {
                (row, Span { start: End::At(time), .. }) | (Span { start: End::At(time), .. }, row)
                    if row.is_of_row() && matches!(time, Time::Literal(_)) =>
                {
                    self.push(" and (starts_at >= ");
                    self.time(time);
                    self.push(" or lasts and ends_at >= ");
                    self.time(time);
                    self.push(")");
                }
                _ => {}
            }
        }
    }

    /// An item that ends before something starts before it, too: said, for the index is on the start.
    fn implied(&mut self, row: &Span, side: Side, earlier: bool, other: &Span, of_other: Side) {
        if matches!(side, E) && earlier && row.is_of_row() && self.subject == Subject::Items {
            self.push(" and starts_at <= ");
            self.end(other, of_other);
        }
    }

    fn end(&mut self, span: &Span, side: Side) {
        match (side, &span.start, &span.end) {
            (S, End::At(time), _) | (E, _, End::At(time)) => self.time(time),
            (S, End::Open, _) => self.push("'-infinity'::timestamptz"),
            (E, _, End::Open) => self.push("'infinity'::timestamptz"),
        }
    }
}

impl Span {
    /// Tells whether it is the whole time of the row.
    fn is_of_row(&self) -> bool {
        let is = |end: &End, name: &str| matches!(end, End::At(Time::Property(property)) if property == name);
        is(&self.start, "start_datetime") && is(&self.end, "end_datetime")
    }
}

fn parts(relation: TimeRelation) -> &'static [Part] {
    match relation {
        TimeRelation::After => &[(S, " > ", E)],
        TimeRelation::Before => &[(E, " < ", S)],
        TimeRelation::Contains => &[(S, " < ", S), (E, " > ", E)],
        TimeRelation::Disjoint => &[(S, " > ", E), (E, " < ", S)],
        TimeRelation::During => &[(S, " > ", S), (E, " < ", E)],
        TimeRelation::Equals => &[(S, " = ", S), (E, " = ", E)],
        TimeRelation::FinishedBy => &[(S, " < ", S), (E, " = ", E)],
        TimeRelation::Finishes => &[(S, " > ", S), (E, " = ", E)],
        TimeRelation::Intersects => &[(S, " <= ", E), (E, " >= ", S)],
        TimeRelation::Meets => &[(E, " = ", S)],
        TimeRelation::MetBy => &[(S, " = ", E)],
        TimeRelation::OverlappedBy => &[(S, " > ", S), (S, " < ", E), (E, " > ", E)],
        TimeRelation::Overlaps => &[(S, " < ", S), (E, " > ", S), (E, " < ", E)],
        TimeRelation::StartedBy => &[(S, " = ", S), (E, " > ", E)],
        TimeRelation::Starts => &[(S, " = ", S), (E, " < ", E)],
    }
}
