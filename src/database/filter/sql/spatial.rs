//! The spatial functions in SQL.

use super::Writer;
use crate::database::filter::{
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
        self.push(match relation {
            Relation::Contains => "st_contains(",
            Relation::Crosses => "st_crosses(",
            Relation::Disjoint => "st_disjoint(",
            Relation::Equals => "st_equals(",
            Relation::Intersects => "st_intersects(",
            Relation::Overlaps => "st_overlaps(",
            Relation::Touches => "st_touches(",
            Relation::Within => "st_within(",
        });
        self.shape(left);
        self.push(", ");
        self.shape(right);
        self.push(")");
    }

    fn meets(&mut self, [west, south, east, north]: Envelope) {
        self.geometry();
        self.query.push(" && st_makeenvelope(").push_bind(west).push(", ").push_bind(south);
        self.query.push(", ").push_bind(east).push(", ").push_bind(north).push(", 4326)");
    }

    fn shape(&mut self, shape: &Shape) {
        self.push("polder_shape(");
        match shape {
            Shape::Row => self.geometry(),
            Shape::Literal(geometry) => self.literal(geometry),
        }
        self.push(")");
    }

    fn literal(&mut self, geometry: &Geometry) {
        self.push("st_setsrid(st_force2d(st_geomfromgeojson(");
        self.bind(geometry.geojson().to_string());
        self.push(")), 4326)");
    }
}
