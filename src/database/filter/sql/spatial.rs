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

/// Writes a rectangle.
pub(in crate::database) fn push_envelope(query: &mut QueryBuilder<Postgres>, [west, south, east, north]: Envelope) {
    query.push("st_makeenvelope(").push_bind(west).push(", ").push_bind(south);
    query.push(", ").push_bind(east).push(", ").push_bind(north).push(", 4326)");
}
