//! Which aggregations there are: those of every item, and those that follow from what the properties of a collection's
//! items are.

use serde_json::{Value, json};

use crate::{
    catalog::{Kind, PropertySummary, Summary},
    database::Measure,
};

/// Names under which stac-server and the extension know what is named after its property here.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("cloud_cover", "eo:cloud_cover"),
    ("sun_elevation", "view:sun_elevation"),
    ("sun_azimuth", "view:sun_azimuth"),
    ("off_nadir", "view:off_nadir"),
    ("grid_code", "grid:code"),
];

/// An aggregation that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    pub name: String,
    pub what: What,
}

/// What an aggregation tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Count,
    Least(Measure),
    Greatest(Measure),
    Collections,
    /// Of the items, or of a property that is a time.
    Times(Option<String>),
    Geohashes,
    Geotiles,
    Terms(String),
    Elements(String),
    Histogram(String),
    AssetKeys,
    Paths,
}

impl What {
    /// The parameters that it takes, each behind the name of the aggregation.
    pub const fn options(&self) -> &'static [&'static str] {
        match self {
            Self::Count | Self::Least(_) | Self::Greatest(_) => &[],
            Self::Collections | Self::Terms(_) | Self::Elements(_) | Self::AssetKeys => &["limit"],
            Self::Times(_) => &["interval", "limit"],
            Self::Geohashes | Self::Geotiles => &["precision", "limit"],
            Self::Histogram(_) => &["interval", "buckets", "limit"],
            Self::Paths => &["property", "prefix", "separator", "limit"],
        }
    }

    /// The type of the value, or of the keys of buckets.
    pub const fn data_type(&self) -> &'static str {
        match self {
            Self::Count => "integer",
            Self::Least(Measure::Number(_)) | Self::Greatest(Measure::Number(_)) | Self::Histogram(_) => "numeric",
            Self::Least(_) | Self::Greatest(_) | Self::Times(_) => "datetime",
            _ => "string",
        }
    }

    pub const fn has_buckets(&self) -> bool {
        !matches!(self, Self::Count | Self::Least(_) | Self::Greatest(_))
    }
}

impl Offer {
    fn new(name: impl Into<String>, what: What) -> Self {
        Self { name: name.into(), what }
    }

    /// Returns the names of its parameters.
    pub fn parameters(&self) -> Vec<String> {
        self.what.options().iter().map(|option| format!("{}_{option}", self.name)).collect()
    }

    pub fn json(&self) -> Value {
        if self.what.has_buckets() {
            json!({
                "name": self.name,
                "data_type": "frequency_distribution",
                "frequency_distribution_data_type": self.what.data_type(),
                "parameters": self.parameters(),
            })
        } else {
            json!({ "name": self.name, "data_type": self.what.data_type() })
        }
    }
}

/// Lists what can be asked of the items of some collections.
pub(super) fn offers(summary: &Summary) -> Vec<Offer> {
    let mut offers = vec![
        Offer::new("total_count", What::Count),
        Offer::new("datetime_min", What::Least(Measure::Datetime)),
        Offer::new("datetime_max", What::Greatest(Measure::Datetime)),
        Offer::new("datetime_frequency", What::Times(None)),
        Offer::new("collection_frequency", What::Collections),
        Offer::new("centroid_geohash_grid_frequency", What::Geohashes),
        Offer::new("centroid_geotile_grid_frequency", What::Geotiles),
        // older names of the two
        Offer::new("grid_geohash_frequency", What::Geohashes),
        Offer::new("grid_geotile_frequency", What::Geotiles),
        Offer::new("asset_frequency", What::AssetKeys),
        Offer::new("path_frequency", What::Paths),
    ];
    let mut add = |offer: Offer| {
        if !offers.iter().any(|known| known.name == offer.name) {
            offers.push(offer);
        }
    };
    for (name, property) in &summary.properties {
        offers_of(name, name, property).into_iter().for_each(&mut add);
    }
    for (other, name) in OTHER_NAMES {
        let property = summary.properties.get(name);
        property.into_iter().flat_map(|property| offers_of(other, name, property)).for_each(&mut add);
    }
    offers
}

/// What can be asked of one property, under a name.
fn offers_of(shown: &str, name: &str, property: &PropertySummary) -> Vec<Offer> {
    let property_name = || name.to_owned();
    let only = |wanted: &[Kind]| property.kinds.keys().all(|kind| wanted.contains(kind));
    let any = |wanted: &[Kind]| property.kinds.keys().any(|kind| wanted.contains(kind));
    let array = any(&[Kind::Array]);
    let mut offers = Vec::new();
    let frequency = if only(&[Kind::Integer, Kind::Number]) {
        What::Histogram(property_name())
    } else if only(&[Kind::Time]) {
        What::Times(Some(property_name()))
    } else if array && property.values.as_ref().is_none_or(|values| !values.is_empty()) {
        What::Elements(property_name())
    } else if !array && any(&[Kind::String, Kind::Boolean, Kind::Time]) {
        What::Terms(property_name())
    } else {
        // objects, and arrays without a string
        return offers;
    };
    offers.push(Offer::new(format!("{shown}_frequency"), frequency));
    let measure = if any(&[Kind::Integer, Kind::Number]) && !array {
        Measure::Number(property_name())
    } else if only(&[Kind::Time]) {
        Measure::Time(property_name())
    } else {
        return offers;
    };
    offers.push(Offer::new(format!("{shown}_min"), What::Least(measure.clone())));
    offers.push(Offer::new(format!("{shown}_max"), What::Greatest(measure)));
    offers
}
