//! In which group an item is, in SQL; and the values of an item that are computed once for several groupings.

use sqlx::{Postgres, QueryBuilder};

use super::{Grouping, Measure, PathGrouping};

/// Tiles of web maps end at this latitude, where the world is a square.
const EDGE_OF_TILES: f64 = 85.051_128_779_806_6;

/// What groupings and measures are computed from: properties (`v0`, …) and the middle of the geometry (`centre`).
#[derive(Default)]
pub(super) struct Values<'a> {
    properties: Vec<&'a str>,
    centre: bool,
}

impl<'a> Values<'a> {
    pub fn of(groupings: &[&'a Grouping], measures: impl Iterator<Item = &'a Measure>) -> Self {
        let mut values = Self::default();
        for grouping in groupings {
            match grouping {
                Grouping::Time { of: Some(name), .. } | Grouping::Term(name) => values.note(name),
                Grouping::Range { property, .. } => values.note(property),
                Grouping::Geohash(_) | Grouping::Geotile(_) => values.centre = true,
                _ => {}
            }
        }
        for measure in measures {
            if let Measure::Number(name) | Measure::Time(name) = measure {
                values.note(name);
            }
        }
        values
    }

    fn note(&mut self, name: &'a str) {
        if !self.properties.contains(&name) {
            self.properties.push(name);
        }
    }

    /// Writes what follows `items`.
    ///
    /// PostgreSQL puts the properties where they are used, and so computes some of them twice, but then several workers
    /// can share the items. `offset 0` keeps it from doing so with the middle, which would take longer.
    pub fn push_joins(&self, query: &mut QueryBuilder<Postgres>) {
        for (i, name) in self.properties.iter().enumerate() {
            query.push(if i == 0 { " cross join lateral (select " } else { ", " });
            query.push("properties -> ").push_bind((*name).to_owned()).push(format_args!(" as v{i}"));
        }
        query.push(if self.properties.is_empty() { "" } else { ") of_properties" });
        if self.centre {
            query.push(" cross join lateral (select st_centroid(geometry) as centre offset 0) of_geometry");
        }
    }

    fn column(&self, name: &str) -> String {
        let at = self.properties.iter().position(|known| *known == name);
        format!("v{}", at.expect("every property that is used was noted"))
    }

    /// Writes the key of a grouping, in a type that is quick to compare; null for an item that is in no group.
    pub fn push_key(&self, query: &mut QueryBuilder<Postgres>, grouping: &Grouping) {
        match grouping {
            Grouping::Collection => _ = query.push("collection"),
            Grouping::Time { of, step } => {
                query.push("date_trunc(").push_bind(step.as_str()).push(", ");
                match of {
                    None => _ = query.push("starts_at"),
                    Some(name) => self.push_time(query, name),
                }
                query.push(", 'UTC')");
            }
            Grouping::Geohash(length) => {
                query.push("case when st_x(centre) between -180 and 180 and st_y(centre) between -90 and 90");
                query.push(" then st_geohash(centre, ").push_bind(i32::from(*length)).push(") end collate \"C\"");
            }
            Grouping::Geotile(zoom) => push_tile(query, *zoom),
            Grouping::Term(name) => {
                let value = self.column(name);
                query.push(format_args!("case when jsonb_typeof({value}) not in ('object', 'array') then {value} #>> '{{}}' end collate \"C\""));
            }
            Grouping::Range { property, width } => {
                let width = width.to_string();
                query.push(format_args!("floor(polder_number({}) / ", self.column(property)));
                query.push_bind(width.clone()).push("::numeric) * ").push_bind(width).push("::numeric");
            }
            Grouping::Element(_) | Grouping::AssetKey | Grouping::Path(_) => _ = query.push("null::text"),
        }
    }

    /// Writes the key in the column `column` as text.
    pub fn push_shown(query: &mut QueryBuilder<Postgres>, grouping: &Grouping, column: usize) {
        match grouping {
            Grouping::Time { .. } => query.push(format_args!("to_char(k{column}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")),
            Grouping::Range { .. } => query.push(format_args!("trim_scale(k{column})::text")),
            _ => query.push(format_args!("k{column}")),
        };
        query.push(" collate \"C\"");
    }

    /// Writes what a measure compares: a timestamp or a number.
    pub fn push_measure(&self, query: &mut QueryBuilder<Postgres>, measure: &Measure, least: bool) {
        match measure {
            Measure::Datetime => _ = query.push(if least { "starts_at" } else { "ends_at" }),
            Measure::Number(name) => _ = query.push(format_args!("polder_number({})", self.column(name))),
            Measure::Time(name) => self.push_time(query, name),
        }
    }

    fn push_time(&self, query: &mut QueryBuilder<Postgres>, name: &str) {
        query.push(format_args!("polder_time(polder_text({}))", self.column(name)));
    }
}

/// Spherical Mercator, as in OpenStreetMap's "slippy map tilenames".
fn push_tile(query: &mut QueryBuilder<Postgres>, zoom: u8) {
    let (side, edge) = (2_f64.powi(i32::from(zoom)), EDGE_OF_TILES);
    query.push("case when st_x(centre) between -180 and 180 and st_y(centre) between -90 and 90 then concat_ws('/', ");
    query.push(format_args!("{zoom}, least(floor((st_x(centre) + 180) / 360 * {side:?}), {side:?} - 1)::bigint, "));
    query.push(format_args!(
        "least(greatest(floor((1 - asinh(tan(radians(least(greatest(st_y(centre), -{edge}), {edge})))) / pi()) "
    ));
    query.push(format_args!("/ 2 * {side:?}), 0), {side:?} - 1)::bigint) end collate \"C\""));
}

/// Writes the key of a path `v`: up to and with the next separator behind the prefix, or all of it.
pub(super) fn push_path_key(query: &mut QueryBuilder<Postgres>, path: &PathGrouping) {
    let (prefix, separator) = (path.prefix.chars().count() as i32, path.separator.chars().count() as i32);
    query.push("coalesce(left(v, nullif(strpos(substr(v, ").push_bind(prefix + 1).push("), ");
    query.push_bind(path.separator.clone()).push("), 0) + ").push_bind(prefix + separator - 1).push("), v)");
}
