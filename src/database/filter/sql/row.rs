//! Where a row keeps what a name means: in a column or in its JSON.

use super::Writer;
use crate::database::filter::Subject;

impl Writer<'_> {
    /// The JSON whose members are the properties.
    fn document(&self) -> &'static str {
        match self.subject {
            Subject::Items => "properties",
            Subject::Collections => "c.content",
        }
    }

    pub(super) fn geometry(&mut self) {
        self.push(match self.subject {
            Subject::Items => "geometry",
            Subject::Collections => "c.geometry",
        });
    }

    /// The column of a time, if one keeps it. A collection without a first or last time is open there.
    pub(super) fn time_column(&self, name: &str) -> Option<&'static str> {
        match (name, self.subject) {
            ("datetime" | "start_datetime", Subject::Items) => Some("starts_at"),
            ("end_datetime", Subject::Items) => Some("ends_at"),
            ("datetime" | "start_datetime", Subject::Collections) => Some("coalesce(c.starts_at, '-infinity')"),
            ("end_datetime", Subject::Collections) => Some("coalesce(c.ends_at, 'infinity')"),
            _ => None,
        }
    }

    /// The column of a string, if one keeps it.
    pub(super) fn text_column(&self, name: &str) -> Option<&'static str> {
        match (name, self.subject) {
            ("id", Subject::Items) => Some("id"),
            ("id", Subject::Collections) => Some("c.id"),
            ("collection", Subject::Items) => Some("collection"),
            _ => None,
        }
    }

    pub(super) fn is_text_column(&self, name: &str) -> bool {
        self.text_column(name).is_some()
    }

    /// A property as JSON, between what stands before it and after it; null when there is none.
    pub(super) fn property(&mut self, before: &'static str, name: &str, after: &'static str) {
        self.push(before);
        if let Some(column) = self.text_column(name) {
            self.query.push("to_jsonb(").push(column).push(")");
        } else {
            let document = self.document();
            self.query.push("polder_property(").push(document).push(", ");
            self.bind(name);
            self.push(")");
        }
        self.push(after);
    }

    /// The key of a property, in the words of an index on it.
    pub(super) fn key(&mut self, name: &str) {
        let document = self.document();
        self.query.push("polder_key(").push(document).push(", ");
        self.bind(name);
        self.push(")");
    }

    /// How two properties compare: less than, equal to or greater than 0.
    pub(super) fn compared(&mut self, left: &str, right: &str) {
        self.property("polder_compare(", left, ", ");
        self.property("", right, ")");
    }

    pub(super) fn property_is_null(&mut self, name: &str) {
        match (name, self.subject) {
            ("geometry" | "geom", _) => {
                self.geometry();
                self.push(" is null");
            }
            ("datetime", Subject::Collections) => self.push("c.starts_at is null and c.ends_at is null"),
            ("start_datetime", Subject::Collections) => self.push("c.starts_at is null"),
            ("end_datetime", Subject::Collections) => self.push("c.ends_at is null"),
            _ => self.property("coalesce(jsonb_typeof(", name, "), 'null') = 'null'"),
        }
    }
}
