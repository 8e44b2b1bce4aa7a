//! The spatial functions in SQL.

use sqlx::{Postgres, QueryBuilder};

use super::Writer;
use crate::database::filter::{
    Subject,
    geometry::{Envelope, Geometry},
    operator::Relation,
    predicate::Shape,
};

impl Writer<'_> {
    /// Writes a relation between two shapes. None but disjoint holds between shapes whose rectangles do not meet: that
    /// is asked first, for it is what the spatial index knows, and much cheaper.
    pub(super) fn spatial(&mut self, relation: Relation, left: &Shape, right: &Shape) {
        if let Some(boxes) = boxes_to_meet(relation, left, right).filter(|_| self.subject == Subject::Items) {
            for (i, envelope) in boxes.into_iter().enumerate() {
                self.push(if i == 0 { "(" } else { " or " });
                push_intersects_box(self.query, envelope);
            }
            return self.push(")");
        }
        if let (Shape::Row, Shape::Literal(geometry)) | (Shape::Literal(geometry), Shape::Row) = (left, right) {
            self.push("(");
            for (i, envelope) in geometry.envelopes().into_iter().enumerate() {
                self.push(if i == 0 { "" } else { " or " });
                self.meets(envelope);
            }
            self.push(") and ");
        }
        self.push("polder_relate(");
        self.push(match relation {
            Relation::Contains => "'contains', ",
            Relation::Crosses => "'crosses', ",
            Relation::Disjoint => "'disjoint', ",
            Relation::Equals => "'equals', ",
            Relation::Intersects => "'intersects', ",
            Relation::Overlaps => "'overlaps', ",
            Relation::Touches => "'touches', ",
            Relation::Within => "'within', ",
        });
        self.shape(left);
        self.push(", ");
        self.shape(right);
        self.push(")");
    }

    fn meets(&mut self, envelope: Envelope) {
        self.geometry();
        self.push(" && ");
        push_envelope(self.query, envelope);
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            // Items are valid when they are stored; a collection of one place has a box without an area.
            Shape::Row if self.subject == Subject::Items => self.geometry(),
            Shape::Row => {
                self.push("polder_shape(");
                self.geometry();
                self.push(")");
            }
            Shape::Literal(geometry) => {
                self.push("polder_shape(");
                self.literal(geometry);
                self.push(")");
            }
        }
    }

    fn literal(&mut self, geometry: &Geometry) {
        self.push("st_setsrid(st_force2d(st_geomfromgeojson(");
        self.bind(geometry.geojson().to_string());
        self.push(")), 4326)");
    }
}

/// Returns the rectangles of a literal that was written as a bbox, when all that is asked is whether a row meets it.
fn boxes_to_meet(relation: Relation, left: &Shape, right: &Shape) -> Option<Vec<Envelope>> {
    let (Relation::Intersects, (Shape::Row, Shape::Literal(literal)) | (Shape::Literal(literal), Shape::Row)) =
        (relation, (left, right))
    else {
        return None;
    };
    literal.written_bbox()?;
    Some(literal.envelopes())
}

/// Returns the largest rectangle within another whose edges are single-precision numbers.
///
/// `PostGIS` compares boxes (`&&`, `@`) in single precision, rounded away from their middle. This one it takes as it is:
/// whatever it finds `@` it lies in the given one. What lies near the edge, by up to half a metre, may not be found so.
fn surely_within([west, south, east, north]: Envelope) -> Option<Envelope> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
    let at_least = |edge: f64| {
        let nearest = edge as f32;
        f64::from(if f64::from(nearest) < edge { nearest.next_up() } else { nearest })
    };
    let at_most = |edge: f64| -at_least(-edge);
    let inner = [at_least(west), at_least(south), at_most(east), at_most(north)];
    (inner[0] <= inner[2] && inner[1] <= inner[3]).then_some(inner)
}

/// Writes that the geometry of an item lies in a rectangle at least in part: quickly that it is near, then whether it
/// lies in there with all of its box, as most do, and only then what it is like.
pub(in crate::database) fn push_intersects_box(query: &mut QueryBuilder<Postgres>, envelope: Envelope) {
    let [west, south, east, north] = envelope;
    query.push("(geometry && ");
    push_envelope(query, envelope);
    query.push(" and (");
    if let Some(inner) = surely_within(envelope) {
        query.push("geometry @ ");
        push_envelope(query, inner);
        query.push(" or ");
    }
    query.push("polder_relate('intersects', geometry, ");
    // A rectangle without an area is no valid polygon, but a line or a place.
    let flat = west >= east || south >= north;
    query.push(if flat { "polder_shape(" } else { "" });
    push_envelope(query, envelope);
    query.push(if flat { "))))" } else { ")))" });
}

/// Writes a rectangle.
pub(in crate::database) fn push_envelope(query: &mut QueryBuilder<Postgres>, [west, south, east, north]: Envelope) {
    query.push("st_makeenvelope(").push_bind(west).push(", ").push_bind(south);
    query.push(", ").push_bind(east).push(", ").push_bind(north).push(", 4326)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_rectangle_never_reaches_beyond_its_own() {
        for outer in [[5.1, 51.9, 5.2, 52.1], [-180.0, -90.0, 180.0, 90.0], [-0.1, -1e-9, 1e-30, 0.3]] {
            let inner = surely_within(outer).unwrap();
            assert!(inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]);
            assert!(inner.iter().zip(outer).all(|(inner, outer)| (inner - outer).abs() < 1e-5), "{inner:?}");
            assert!(inner.iter().all(|edge| f64::from(*edge as f32) == *edge));
        }
        assert_eq!(surely_within([5.1, 51.9, 5.1 + 1e-9, 52.1]), None);
    }
}
