//! What the items have, as far as anybody knows before reading them all.

use serde_json::{Map, Value};

use super::{
    column::{Column, Table},
    shape::{Members, Shape},
};
use crate::catalog::summary::Kind;

/// Where an item has what its columns cannot hold.
pub(super) const MERGE_PATCH: &str = "polder:merge_patch";

/// The members of an item that are no properties. A property of such a name has no column, as the specification says.
const OF_THE_ITEM: [&str; 10] = [
    "type",
    "stac_version",
    "stac_extensions",
    "id",
    "geometry",
    "bbox",
    "properties",
    "links",
    "assets",
    "collection",
];

/// The properties that every reader of stac-geoparquet turns from a timestamp into a string again. Other times stay
/// strings: as timestamps they would come back as something else than JSON.
const TIMES: [&str; 8] =
    ["datetime", "start_datetime", "end_datetime", "created", "updated", "expires", "published", "unpublished"];

/// `GeoJSON` that the specification wants as WKB, on items and on assets.
const PROJECTED: &str = "proj:geometry";

/// Properties, and assets, that are looked at; more are in the merge patch.
const MOST_NAMES: usize = 512;

/// Columns of Parquet in all. Each costs 20 kB while a row group is open, and 0.7 kB for each that was closed.
const MOST_LEAVES: usize = 600;

/// Columns of Parquet that links may take.
const MOST_OF_LINKS: usize = 40;

/// The columns of a table to come: what a summary of the collection says, refined by the items that come first.
///
/// ```ignore
/// Columns::new([("gsd", vec![Kind::Number]), ("platform", vec![Kind::String])], ["ortho", "dsm"])
/// ```
#[derive(Clone, Debug, Default)]
pub struct Columns {
    properties: Members,
    assets: Members,
    links: Shape,
    /// Whether boxes have heights: all of them or not all.
    has_heights: Option<bool>,
}

impl Columns {
    /// Takes the properties with the kinds of values that they have, and the keys of the assets. A name may come more
    /// than once: the summaries of several collections may stand behind each other. Leaving out is allowed.
    pub fn new<'a, Kinds: IntoIterator<Item = Kind>>(
        properties: impl IntoIterator<Item = (&'a str, Kinds)>,
        assets: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut columns = Self::default();
        for (name, kinds) in properties {
            let known = kinds.into_iter().map(Shape::from).fold(Shape::Unknown, Shape::and);
            columns.properties.add(name, if TIMES.contains(&name) { Shape::Time } else { known }, MOST_NAMES);
        }
        for key in assets {
            columns.assets.add(key, Shape::Object, MOST_NAMES);
        }
        columns
    }

    /// Adds what an item shows.
    pub(super) fn observe(&mut self, item: &Map<String, Value>) {
        let of_property =
            |name: &str, value: &Value| if TIMES.contains(&name) { Shape::Time } else { shape_of_member(name, value) };
        if let Some(Value::Object(properties)) = item.get("properties") {
            self.properties.observe(properties, MOST_NAMES, of_property);
        }
        if let Some(Value::Object(assets)) = item.get("assets") {
            self.assets.observe(assets, MOST_NAMES, |_, asset| shape_of_asset(asset));
        }
        if let Some(links @ Value::Array(_)) = item.get("links") {
            self.links = std::mem::take(&mut self.links).and(Shape::of(links));
        }
        if let Some(bbox) = item.get("bbox").and_then(Value::as_array) {
            // Where only some have heights, these are left to the patch: the Python reader fails on a null among them.
            self.has_heights = Some(bbox.len() == 6 && self.has_heights != Some(false));
        }
    }

    /// Makes the columns.
    pub(super) fn table(self) -> Table {
        let text_list = Shape::List(Box::new(Shape::Text));
        let mut left = MOST_LEAVES;
        let properties = properties(self.properties, &mut left);
        let assets = assets(self.assets, &mut left);
        let mut item = vec![
            ("type".to_owned(), Column::new(Shape::Text)),
            ("stac_version".to_owned(), Column::new(Shape::Text)),
            ("stac_extensions".to_owned(), Column::new(text_list)),
            ("id".to_owned(), Column::new(Shape::Text)),
            ("geometry".to_owned(), Column::new(Shape::Geometry)),
            ("bbox".to_owned(), Column::bbox(self.has_heights == Some(true))),
            ("links".to_owned(), Column::new(Shape::List(Box::new(link(self.links))))),
            ("collection".to_owned(), Column::new(Shape::Text)),
        ];
        // Parquet has no struct without members, and readers take items without this column for items without assets.
        item.extend((!assets.is_empty()).then(|| ("assets".to_owned(), Column::structure(assets))));
        Table::new(item, properties)
    }
}

fn properties(known: Members, left: &mut usize) -> Vec<(String, Column)> {
    let mut shapes = Members(vec![("datetime".to_owned(), Shape::Time)]);
    for (name, shape) in known.0 {
        shapes.add(&name, shape, usize::MAX);
    }
    let may_stand = |name: &str| !name.is_empty() && name != MERGE_PATCH && !OF_THE_ITEM.contains(&name);
    let mut columns = Vec::new();
    for (name, shape) in shapes.0.into_iter().filter(|(name, _)| may_stand(name)) {
        let shape = if shape.leaves() > *left { Shape::Json } else { shape };
        if (1..=*left).contains(&shape.leaves()) {
            *left -= shape.leaves();
            columns.push((name, Column::new(shape)));
        }
    }
    columns
}

/// Makes the columns of the assets, of each at least those that STAC names. When they are too many, bands and other
/// objects inside assets have none.
fn assets(known: Members, left: &mut usize) -> Vec<(String, Column)> {
    let named = members(&["href", "type", "title", "description"]);
    let named = named.and(Shape::Struct(Members(vec![("roles".to_owned(), Shape::List(Box::new(Shape::Text)))])));
    let of_asset = |shape: Shape| named.clone().and(if shape == Shape::Object { Shape::Unknown } else { shape });
    let mut shapes: Vec<(String, Shape)> = known.0.into_iter().map(|(key, shape)| (key, of_asset(shape))).collect();
    if shapes.iter().map(|(_, shape)| shape.leaves()).sum::<usize>() > *left {
        for (_, shape) in &mut shapes {
            shape.retain_plain();
        }
    }
    let mut columns = Vec::new();
    for (key, shape) in shapes {
        let fits = matches!(shape, Shape::Struct(_)) && shape.leaves() <= *left && !key.is_empty();
        if fits {
            *left -= shape.leaves();
            columns.push((key, Column::new(shape)));
        }
    }
    columns
}

/// Returns the shape of a link, given that of all arrays of links. What is rare on links, such as the body of a request,
/// must not take the columns of everything else.
fn link(links: Shape) -> Shape {
    let named = members(&["href", "rel", "type", "title"]);
    match links {
        Shape::List(link) if matches!(*link, Shape::Struct(_)) && link.leaves() <= MOST_OF_LINKS => named.and(*link),
        _ => named,
    }
}

fn members(names: &[&str]) -> Shape {
    Shape::Struct(Members(names.iter().map(|&name| (name.to_owned(), Shape::Text)).collect()))
}

fn shape_of_asset(asset: &Value) -> Shape {
    let Value::Object(asset) = asset else { return Shape::of(asset) };
    let mut members = Members::default();
    members.observe(asset, MOST_NAMES, shape_of_member);
    Shape::Struct(members)
}

fn shape_of_member(name: &str, value: &Value) -> Shape {
    match value {
        Value::Object(_) if name == PROJECTED => Shape::Geometry,
        value => Shape::of(value),
    }
}
