//! What the values of one member look like, all of them together: what decides the type of its column.

use std::mem;

use serde_json::{Map, Value};

use crate::catalog::summary::Kind;

/// Members of an object up to which it is a struct. Objects with more are dictionaries, keyed by whatever the
/// catalog's author had, and as structs would be a table of their own.
const MOST_MEMBERS: usize = 64;

/// The least that can be said of all values seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Shape {
    /// Nothing but null.
    #[default]
    Unknown,
    Boolean,
    Integer,
    Number,
    Text,
    /// A string of which the name says that it is a time.
    Time,
    /// A `GeoJSON` geometry of which the name says that it is one.
    Geometry,
    /// An array; nothing is known of its elements.
    Array,
    /// An object; nothing is known of its members.
    Object,
    List(Box<Shape>),
    Struct(Members),
    /// Values that have nothing in common but that they are JSON.
    Json,
}

/// The members of an object, in the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members(pub Vec<(String, Shape)>);

impl Members {
    /// Adds what an object shows. Members beyond the first `most` are not added.
    pub fn observe(&mut self, object: &Map<String, Value>, most: usize, of: impl Fn(&str, &Value) -> Shape) {
        for (name, value) in object {
            let shape = of(name, value);
            self.add(name, shape, most);
        }
    }

    pub fn add(&mut self, name: &str, shape: Shape, most: usize) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *known = mem::take(known).and(shape);
        } else if self.0.len() < most {
            self.0.push((name.to_owned(), shape));
        }
    }
}

impl Shape {
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Integer,
            // Beyond 63 bits it is a hash or a key, of which a float would keep a half.
            Value::Number(number) if number.is_u64() => Self::Json,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(elements) => {
                Self::List(Box::new(elements.iter().map(Self::of).fold(Self::Unknown, Self::and)))
            }
            Value::Object(object) if object.len() > MOST_MEMBERS => Self::Json,
            Value::Object(object) => {
                let mut members = Members::default();
                members.observe(object, MOST_MEMBERS, |_, value| Self::of(value));
                Self::Struct(members)
            }
        }
    }

    /// Returns the shape of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, shape) | (shape, Self::Unknown) => shape,
            (Self::Integer | Self::Number, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            (Self::Array, list @ (Self::List(_) | Self::Array)) | (list @ Self::List(_), Self::Array) => list,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.and(*b))),
            (Self::Object, object @ (Self::Struct(_) | Self::Object | Self::Geometry))
            | (object @ (Self::Struct(_) | Self::Geometry), Self::Object) => object,
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, shape) in b.0 {
                    a.add(&name, shape, MOST_MEMBERS + 1);
                }
                if a.0.len() > MOST_MEMBERS { Self::Json } else { Self::Struct(a) }
            }
            (a, b) if a == b => a,
            _ => Self::Json,
        }
    }

    /// Takes the objects, and arrays of objects, out of a struct.
    pub fn retain_plain(&mut self) {
        let is_plain = |shape: &Self| match shape {
            Self::Struct(_) | Self::Object | Self::Array => false,
            Self::List(element) => !matches!(**element, Self::Struct(_) | Self::List(_)),
            _ => true,
        };
        if let Self::Struct(members) = self {
            members.0.retain(|(_, shape)| is_plain(shape));
        }
    }

    /// Returns how many columns of Parquet this is.
    pub fn leaves(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::List(element) => element.leaves().max(1),
            Self::Struct(members) => members.0.iter().map(|(_, shape)| shape.leaves()).sum::<usize>().max(1),
            _ => 1,
        }
    }
}

impl From<Kind> for Shape {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean,
            Kind::Integer => Self::Integer,
            Kind::Number => Self::Number,
            Kind::String | Kind::Time => Self::Text,
            Kind::Array => Self::Array,
            Kind::Object => Self::Object,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(values: &Value) -> Shape {
        values.as_array().unwrap().iter().map(Shape::of).fold(Shape::Unknown, Shape::and)
    }

    fn object(members: &[(&str, Shape)]) -> Shape {
        Shape::Struct(Members(members.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect()))
    }

    #[test]
    fn whole_and_broken_numbers_are_numbers_and_all_else_that_differs_is_json() {
        assert_eq!(shape(&json!([1, 2.5, null])), Shape::Number);
        assert_eq!(shape(&json!([1, null, 3])), Shape::Integer);
        assert_eq!(shape(&json!([1, "1"])), Shape::Json);
        assert_eq!(shape(&json!([[1], 1])), Shape::Json);
        assert_eq!(shape(&json!([u64::MAX])), Shape::Json);
    }

    #[test]
    fn lists_and_structs_meet_inside() {
        assert_eq!(shape(&json!([[], [1], [0.5]])), Shape::List(Box::new(Shape::Number)));
        let expected = object(&[("a", Shape::Number), ("b", Shape::Text)]);
        assert_eq!(shape(&json!([{"a": 1}, {"a": 1.5, "b": "x"}])), expected);
    }

    #[test]
    fn a_dictionary_is_no_struct() {
        let objects: Vec<Value> = (0..100).map(|i| json!({format!("key{i}"): 1})).collect();
        assert_eq!(shape(&Value::Array(objects)), Shape::Json);
    }

    #[test]
    fn what_was_said_is_refined_by_what_is_seen() {
        assert_eq!(Shape::from(Kind::Array).and(Shape::of(&json!([1]))), Shape::List(Box::new(Shape::Integer)));
        assert_eq!(Shape::from(Kind::Object).and(Shape::of(&json!({"a": 1}))), object(&[("a", Shape::Integer)]));
        assert_eq!(Shape::from(Kind::Number).and(Shape::Integer), Shape::Number);
        assert_eq!(Shape::from(Kind::Object).and(Shape::from(Kind::String)), Shape::Json);
    }
}
