//! The members of a JSON object in the order and the spelling in which they were given, read and written.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// Members among which one is looked for one by one; among more, by their hash.
const FEW: usize = 64;

/// The members of an object: names, and values as text.
pub(super) struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub fn parse(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Returns the text of a member's value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.get())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Self::Value = Vec::new();
                let mut names = HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.len() == FEW {
                        names.extend(members.iter().map(|(earlier, _)| earlier.clone()));
                    }
                    let twice = if members.len() < FEW {
                        members.iter().any(|(earlier, _)| *earlier == name)
                    } else {
                        !names.insert(name.clone())
                    };
                    if twice {
                        return Err(A::Error::custom(format!("member {name:?} is there twice")));
                    }
                    members.push((name, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// Writes an object; `replace` may give another text for a member's value.
pub(super) fn write_members(out: &mut String, members: &Members, replace: impl Fn(&str, &str) -> Option<String>) {
    out.push('{');
    for (i, (name, value)) in members.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_name(out, name);
        out.push_str(replace(name, value).as_deref().unwrap_or(value));
    }
    out.push('}');
}

/// Appends a member's name and the colon. Hardly any name needs an escape, and an item has hundreds.
pub(super) fn push_name(out: &mut String, name: &str) {
    if name.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.push_str(&quoted(name));
    } else {
        out.push('"');
        out.push_str(name);
        out.push('"');
    }
    out.push(':');
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_refused_among_few_and_among_many() {
        for count in [2, FEW, FEW + 1, 500] {
            let mut names: Vec<String> = (0..count).map(|i| format!("\"m{i}\":{i}")).collect();
            assert_eq!(Members::parse(&format!("{{{}}}", names.join(","))).unwrap().0.len(), count);
            names.push("\"m1\":0".to_owned());
            assert!(Members::parse(&format!("{{{}}}", names.join(","))).is_err(), "{count}");
        }
    }
}
