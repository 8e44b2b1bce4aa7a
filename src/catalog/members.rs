//! The members of a JSON object in the order and the spelling in which they were given.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

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
