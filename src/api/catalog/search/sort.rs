//! `sortby`: in what order.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::problem::Problem,
    database::{SortField, SortKey},
};

/// More keys than this are no order that somebody reads.
const MOST_KEYS: usize = 8;

/// One key, as the body of a POST has it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api::catalog) struct SortBy {
    /// `id`, `collection`, `datetime`, or a property with or without `properties.` before it.
    #[schema(example = "properties.datetime")]
    pub field: String,
    #[serde(default)]
    direction: Direction,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api::catalog) enum Direction {
    #[default]
    Asc,
    Desc,
}

impl SortBy {
    /// Reads `+a,-b,c`. A `+` that nobody encoded arrives as a blank.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Problem> {
        let key = |key: &str| {
            let (direction, field) = match key.strip_prefix('-') {
                Some(field) => (Direction::Desc, field),
                None => (Direction::Asc, key.strip_prefix(['+', ' ']).unwrap_or(key)),
            };
            let field = field.trim().to_owned();
            if field.is_empty() {
                return Err(Problem::parameter("sortby", text, "write fields with commas between, as -datetime,+id"));
            }
            Ok(Self { field, direction })
        };
        text.split(',').map(key).collect()
    }

    pub const fn descends(&self) -> bool {
        matches!(self.direction, Direction::Desc)
    }

    /// Turns the keys into those of the database.
    pub fn keys(asked: &[Self]) -> Result<Vec<SortKey>, Problem> {
        if asked.len() > MOST_KEYS {
            let rule = format!("sort by {MOST_KEYS} fields at most");
            return Err(Problem::parameter("sortby", &format!("{} fields", asked.len()), &rule));
        }
        let mut keys: Vec<SortKey> = Vec::new();
        for key in asked {
            let descending = key.descends();
            let field = field(&key.field)?;
            // The second mention of a field orders nothing.
            if !keys.iter().any(|earlier| earlier.field == field) {
                keys.push(SortKey { field, descending });
            }
        }
        Ok(keys)
    }
}

fn field(name: &str) -> Result<SortField, Problem> {
    let property = name.strip_prefix("properties.").unwrap_or(name);
    match property {
        "id" => Ok(SortField::Id),
        "collection" => Ok(SortField::Collection),
        "datetime" | "start_datetime" => Ok(SortField::Start),
        "end_datetime" => Ok(SortField::End),
        "" | "geometry" | "bbox" | "assets" | "links" | "properties" => {
            Err(Problem::parameter("sortby", name, "sort by id, collection, datetime or a property"))
        }
        name if name.contains('\0') => Err(Problem::parameter("sortby", name, "no field has U+0000 in its name")),
        name => Ok(SortField::Property(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_say_the_direction_and_the_prefix_does_not_matter() {
        let keys = SortBy::keys(&SortBy::parse_list("-properties.datetime,+id, gsd").unwrap()).unwrap();
        let wanted = [(SortField::Start, true), (SortField::Id, false), (SortField::Property("gsd".into()), false)];
        assert_eq!(keys, wanted.map(|(field, descending)| SortKey { field, descending }));
    }

    #[test]
    fn what_has_no_order_is_refused() {
        for wrong in ["", "-", "geometry", "a,,b", &["a"; 9].join(",")] {
            assert!(SortBy::parse_list(wrong).and_then(|keys| SortBy::keys(&keys)).is_err(), "{wrong}");
        }
    }
}
