//! A JSON value to look at, which borrows its strings from the text.
//!
//! Reading an item into [`serde_json::Value`] takes longer than all that is asked of it: each string is copied and
//! each object is hashed. What is only checked needs neither.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A JSON value.
pub(super) enum Tree<'a> {
    Null,
    Bool,
    /// Written without a point.
    Integer(f64),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Object<'a>),
}

/// The members of an object in their order.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Tree<'a>)>);

impl<'a> Tree<'a> {
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub const fn number(&self) -> Option<f64> {
        if let Self::Integer(number) | Self::Number(number) = self { Some(*number) } else { None }
    }

    pub fn list(&self) -> Option<&[Self]> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    pub const fn object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is a list in which all are as wanted.
    pub fn is_list_of(&self, wanted: impl Fn(&Self) -> bool) -> bool {
        self.list().is_some_and(|values| values.iter().all(wanted))
    }
}

impl<'a> Object<'a> {
    pub fn get(&self, name: &str) -> Option<&Tree<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tree<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a Value> for Tree<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.is_f64() => number.as_f64().map_or(Self::Null, Self::Number),
            Value::Number(number) => number.as_f64().map_or(Self::Null, Self::Integer),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Self::from(value)));
                Self::Object(Object(members.collect()))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Tree::deserialize(deserializer)? {
            Tree::Object(object) => Ok(object),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// A string that is borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Growing;

        impl<'de> Visitor<'de> for Growing {
            type Value = Tree<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Tree::Bool)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Tree::Integer(number as f64))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Tree::Integer(number as f64))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Tree::Number(number))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Tree::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Tree::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push(value);
                }
                Ok(Tree::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut object = Vec::new();
                while let Some((Text(name), value)) = members.next_entry()? {
                    object.push((name, value));
                }
                Ok(Tree::Object(Object(object)))
            }
        }

        deserializer.deserialize_any(Growing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_borrowed_where_they_have_no_escapes() {
        let tree: Tree =
            serde_json::from_str(r#"{"plain": "a", "esc\u0061ped": ["\n", 1.5, -2, 3, true, null]}"#).unwrap();
        let object = tree.object().unwrap();
        assert!(matches!(object.get("plain"), Some(Tree::Text(Cow::Borrowed("a")))));
        let list = object.get("escaped").and_then(Tree::list).unwrap();
        assert_eq!(list[0].text(), Some("\n"));
        assert!(matches!(list[1..4], [Tree::Number(_), Tree::Integer(_), Tree::Integer(_)]));
        assert_eq!([&list[1], &list[2], &list[3]].map(|value| value.number().unwrap()), [1.5, -2.0, 3.0]);
        assert!(matches!(list[4..], [Tree::Bool, Tree::Null]));
    }
}
