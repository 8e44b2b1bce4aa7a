//! An item as it is kept: its exact text, split so that it can be handed out without being parsed.
//!
//! An item is read thousands of times for every time that it is written. So the places that differ between
//! readers, the address of the API and the form of an asset's href, are found once, at write. The text is kept in
//! three parts (body, links, assets) in which characters that JSON text cannot contain mark those places:
//!
//! ```text
//! FORK stored OR https OR s3 END     three forms of one place, of which a reader gets one
//! BASE                               the address of polder, as https://polder.example.org
//! ```
//!
//! [`ItemText::write`] then is a copy that looks out for two characters.
//!
//! Invariant: reading with [`Hrefs::Stored`] gives every member of the item as it was given, number by number; only
//! `links` and `assets` move to the end.

use std::{fmt::Write, str::FromStr};

use chrono::{DateTime, Utc};
use memchr::memchr2;
use serde_json::{Map, Value, value::RawValue};
use sha2::{Digest, Sha256};

use super::{
    Error, Result, Shape, Summary, check::checked, fault::Faults, lineage::API_SCHEME, members::Members,
    percent_encoded,
};

const FORK: char = '\u{1}';
const OR: char = '\u{2}';
const END: char = '\u{3}';
const BASE: char = '\u{4}';

pub(super) const ALTERNATE_ASSETS: &str = "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json";

/// Links that say where an item stands in a catalog: the API gives its own in their place.
pub(super) const OWN_PLACE: [&str; 4] = ["self", "root", "parent", "collection"];

/// Which hrefs a reader gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hrefs {
    /// As stored: the object itself, and no link that depends on where the API is served.
    Stored,
    /// Stable URLs of polder, with the object under `alternate.s3`.
    #[default]
    Https,
    /// The object itself, with polder's URL under `alternate.https`.
    S3,
}

impl FromStr for Hrefs {
    type Err = Error;

    /// Reads `https` or `s3`, the two that a reader may ask for.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "https" => Ok(Self::Https),
            "s3" => Ok(Self::S3),
            _ => Err(Error::Name { what: "kind of href", value: text.to_owned(), rule: "it is one of https, s3" }),
        }
    }
}

/// The text of an item in three parts, with marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemText {
    /// All members but `links` and `assets`, without the outer braces.
    pub body: String,
    /// The links, without the outer brackets, each with a comma before it.
    pub links: String,
    /// The assets, without the outer braces.
    pub assets: String,
}

/// An item ready to be stored: its text, and what search needs of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    pub collection: String,
    pub id: String,
    /// Nothing for an item without a place.
    pub geometry: Option<Shape>,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// The properties as JSON, for searching.
    pub properties: String,
    pub text: ItemText,
    /// What it adds to what is said of its collection.
    pub summary: Summary,
    /// SHA-256 of the text: two items with the same digest are the same.
    pub digest: String,
}

impl StoredItem {
    /// Splits an item that polder built.
    ///
    /// # Errors
    /// As [`StoredItem::parse`].
    pub fn of(item: &stac::Item, own_buckets: &[&str]) -> Result<Self> {
        Self::parse(&serde_json::to_string(item)?, own_buckets)
    }

    /// Checks and splits the JSON of an item. Hrefs of objects in `own_buckets` get an https form too; all others
    /// are handed out as they are.
    ///
    /// # Errors
    /// [`Error::Json`] when it is no JSON, [`Error::Faults`] with all that is wrong with it.
    pub fn parse(json: &str, own_buckets: &[&str]) -> Result<Self> {
        Self::parse_beside(Faults::default(), json, own_buckets)
    }

    /// Does what [`StoredItem::parse`] does, for an item of which some faults are known already.
    pub(super) fn parse_beside(faults: Faults, json: &str, own_buckets: &[&str]) -> Result<Self> {
        let searchable = checked(json, faults)?;
        let members = Members::parse(json)?;
        let mut splitter = Splitter {
            own_buckets,
            path: format!("{}/{}", percent_encoded(&searchable.collection), percent_encoded(&searchable.id)),
            forked: false,
        };
        let links = Splitter::links(members.get("links").unwrap_or("[]"))?;
        let assets = splitter.assets(members.get("assets").unwrap_or("{}"))?;
        let body = splitter.body(&members)?;
        let text = ItemText { body, links, assets };
        let digest = hex::encode(Sha256::digest(format!("{}\0{}\0{}", text.body, text.links, text.assets)));
        Ok(Self {
            collection: searchable.collection,
            id: searchable.id,
            geometry: searchable.geometry,
            starts_at: searchable.starts_at,
            ends_at: searchable.ends_at,
            properties: members.get("properties").unwrap_or("{}").to_owned(),
            text,
            summary: searchable.summary,
            digest,
        })
    }
}

impl ItemText {
    /// Appends the item's JSON to `out`, with hrefs as asked for and polder at the address `base`.
    pub fn write(&self, out: &mut String, [collection, id]: [&str; 2], base: &str, hrefs: Hrefs) {
        out.push('{');
        splice(out, &self.body, base, hrefs);
        out.push_str(",\"links\":[");
        if hrefs != Hrefs::Stored {
            own_links(out, &percent_encoded(collection), &percent_encoded(id), base);
        }
        let start = out.len();
        splice(out, &self.links, base, hrefs);
        if hrefs == Hrefs::Stored && out[start..].starts_with(',') {
            out.remove(start);
        }
        out.push_str("],\"assets\":{");
        splice(out, &self.assets, base, hrefs);
        out.push_str("}}");
    }

    /// Returns one asset as it is stored, or nothing when the item has none of this name.
    ///
    /// # Errors
    /// [`Error::Json`] when what is stored is no JSON: somebody changed the table by hand.
    pub fn find_asset(&self, key: &str) -> Result<Option<Value>> {
        let asset = Members::parse(&self.stored_assets())?.get(key).map(serde_json::from_str);
        Ok(asset.transpose()?)
    }

    /// Returns all assets as they are stored.
    ///
    /// # Errors
    /// As [`ItemText::find_asset`].
    pub fn assets(&self) -> Result<Map<String, Value>> {
        Ok(serde_json::from_str(&self.stored_assets())?)
    }

    pub(super) fn stored_assets(&self) -> String {
        let mut json = String::with_capacity(self.assets.len() + 2);
        json.push('{');
        splice(&mut json, &self.assets, "", Hrefs::Stored);
        json.push('}');
        json
    }
}

/// Copies marked text, taking the form of each fork that the reader gets.
fn splice(out: &mut String, marked: &str, base: &str, hrefs: Hrefs) {
    let wanted = match hrefs {
        Hrefs::Stored => 0,
        Hrefs::Https => 1,
        Hrefs::S3 => 2,
    };
    let mut rest = marked;
    while let Some(at) = memchr2(FORK as u8, BASE as u8, rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let is_fork = rest.as_bytes()[at] == FORK as u8;
        rest = &rest[at + 1..];
        if !is_fork {
            out.push_str(base);
            continue;
        }
        let (forms, after) = rest.split_once(END).unwrap_or((rest, ""));
        for (i, text) in forms.split(OR).nth(wanted).unwrap_or_default().split(BASE).enumerate() {
            out.push_str(if i == 0 { "" } else { base });
            out.push_str(text);
        }
        rest = after;
    }
    out.push_str(rest);
}

fn own_links(out: &mut String, collection: &str, id: &str, base: &str) {
    write!(
        out,
        "{{\"rel\":\"self\",\"href\":\"{base}/stac/collections/{collection}/items/{id}\",\"type\":\"application/geo+json\"}},\
         {{\"rel\":\"parent\",\"href\":\"{base}/stac/collections/{collection}\",\"type\":\"application/json\"}},\
         {{\"rel\":\"collection\",\"href\":\"{base}/stac/collections/{collection}\",\"type\":\"application/json\"}},\
         {{\"rel\":\"root\",\"href\":\"{base}/stac\",\"type\":\"application/json\"}}"
    )
    .expect("writing to a string cannot fail");
}

struct Splitter<'a> {
    own_buckets: &'a [&'a str],
    /// `{collection}/{item}`, percent-encoded.
    path: String,
    /// Whether an asset got an alternate, which must then be declared.
    forked: bool,
}

impl Splitter<'_> {
    fn links(json: &str) -> Result<String> {
        let links: Vec<&RawValue> = serde_json::from_str(json)?;
        let mut out = String::with_capacity(json.len());
        for link in links {
            let members = Members::parse(link.get())?;
            let rel: Value = members.get("rel").map(serde_json::from_str).transpose()?.unwrap_or_default();
            if rel.as_str().is_some_and(|rel| OWN_PLACE.contains(&rel)) {
                out.push_str(&fork(&format!(",{}", link.get()), "", ""));
                continue;
            }
            out.push(',');
            write_members(&mut out, &members, |name, value| {
                let path = href(name, value).and_then(|href| href.strip_prefix(API_SCHEME).map(str::to_owned))?;
                let url = format!("\"{BASE}/stac{}\"", escaped(&path));
                Some(fork(value, &url, &url))
            });
        }
        Ok(out)
    }

    fn assets(&mut self, json: &str) -> Result<String> {
        let assets = Members::parse(json)?;
        let mut out = String::with_capacity(json.len() * 2);
        for (key, asset) in assets.iter() {
            separate(&mut out);
            push_name(&mut out, key);
            if !may_name_object(asset) {
                out.push_str(asset);
                continue;
            }
            let members = Members::parse(asset)?;
            match members.get("href").filter(|value| self.is_own(value)) {
                Some(s3) => self.own_asset(&mut out, key, &members, s3)?,
                None => write_members(&mut out, &members, |_, _| None),
            }
        }
        Ok(out)
    }

    /// Writes an asset that is an object in an own bucket, in three forms. `s3` is its href, with quotes.
    fn own_asset(&mut self, out: &mut String, key: &str, members: &Members, s3: &str) -> Result<()> {
        self.forked = true;
        let https = format!("\"{BASE}/assets/{}/{}\"", self.path, percent_encoded(key));
        let mut object = format!("{{\"href\":{s3},\"alternate:name\":\"S3\"");
        for field in ["storage:refs", "polder:version_id"] {
            if let Some(value) = members.get(field) {
                write!(object, ",\"{field}\":{value}").expect("writing to a string cannot fail");
            }
        }
        object.push('}');
        let url = format!("{{\"href\":{https},\"alternate:name\":\"HTTPS\"}}");
        let given = members.get("alternate").map(Members::parse).transpose()?;
        write_members(out, members, |name, value| match name {
            "href" => Some(fork(value, &https, s3)),
            "alternate" => given.as_ref().map(|given| merged(given, &object, &url)),
            _ => None,
        });
        if given.is_none() {
            out.pop();
            let [s3, https] =
                [("s3", &object), ("https", &url)].map(|(k, v)| format!(",\"alternate\":{{\"{k}\":{v}}}"));
            out.push_str(&fork("", &s3, &https));
            out.push('}');
        }
        Ok(())
    }

    fn body(&self, members: &Members) -> Result<String> {
        let mut out = String::new();
        let mut declared = !self.forked;
        for (name, value) in members.iter().filter(|(name, _)| !matches!(*name, "links" | "assets")) {
            separate(&mut out);
            push_name(&mut out, name);
            if name == "stac_extensions" && !declared {
                declared = true;
                out.push_str(&with_alternate_assets(value)?);
            } else {
                out.push_str(value);
            }
        }
        if !declared {
            let extensions = format!(",\"stac_extensions\":[\"{ALTERNATE_ASSETS}\"]");
            out.push_str(&fork("", &extensions, &extensions));
        }
        Ok(out)
    }

    fn is_own(&self, quoted_href: &str) -> bool {
        let Ok(href) = serde_json::from_str::<String>(quoted_href) else { return false };
        let bucket = href.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).map(|(bucket, _)| bucket);
        bucket.is_some_and(|bucket| self.own_buckets.contains(&bucket))
    }
}

/// Adds the extension to a given list, in the forms that have alternates.
fn with_alternate_assets(list: &str) -> Result<String> {
    let given: Vec<String> =
        serde_json::from_str(list).map_err(|_| Error::item("/stac_extensions", "must list strings"))?;
    if given.iter().any(|extension| extension == ALTERNATE_ASSETS) {
        return Ok(list.to_owned());
    }
    let open = list.trim_end().trim_end_matches(']');
    let comma = if given.is_empty() { "" } else { "," };
    let more = format!("{comma}\"{ALTERNATE_ASSETS}\"");
    Ok(format!("{open}{}]", fork("", &more, &more)))
}

/// Adds our alternates to those that the asset has already; one of the same name is left as it was given.
fn merged(given: &Members, s3: &str, https: &str) -> String {
    let mut out = String::new();
    write_members(&mut out, given, |_, _| None);
    out.pop();
    let comma = if given.0.is_empty() { "" } else { "," };
    let more = |name: &str, value: &str| match given.get(name) {
        Some(_) => String::new(),
        None => format!("{comma}\"{name}\":{value}"),
    };
    out.push_str(&fork("", &more("s3", s3), &more("https", https)));
    out.push('}');
    out
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

/// Whether an asset's text may have an `s3://` href: it has one in it, or an escape that could hide one. Most assets of
/// the world have neither, and are not taken apart.
fn may_name_object(asset: &str) -> bool {
    asset.contains("s3:") || asset.contains('\\')
}

fn href(name: &str, value: &str) -> Option<String> {
    (name == "href").then(|| serde_json::from_str(value).ok()).flatten()
}

fn fork(stored: &str, https: &str, s3: &str) -> String {
    if stored == https && https == s3 { stored.to_owned() } else { format!("{FORK}{stored}{OR}{https}{OR}{s3}{END}") }
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

fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE_URL: &str = "https://polder.example.org/x";

    fn read(item: &StoredItem, hrefs: Hrefs) -> Value {
        let mut out = String::new();
        item.text.write(&mut out, [&item.collection, &item.id], BASE_URL, hrefs);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    fn given() -> Value {
        json!({
            "type": "Feature", "stac_version": "1.1.0",
            "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
            "id": "a \"quoted\"/id", "collection": "drone-ortho", "geometry": null,
            "properties": {"datetime": "2025-06-23T10:00:00Z"},
            "links": [
                {"rel": "derived_from", "href": "polder:/collections/drone-raw/items/p.f.a.jpg", "polder:version_id": "v1"},
                {"rel": "license", "href": "https://example.org/licence"},
            ],
            "assets": {
                "ortho": {"href": "s3://drone-ortho/k é.tif", "storage:refs": ["drone-ortho"], "polder:version_id": "v7"},
                "other": {"href": "s3://elsewhere/k.tif"},
                "both": {"href": "s3://drone-ortho/b", "alternate": {"mirror": {"href": "https://m.example.org/b"}}},
            },
        })
    }

    fn stored(item: &Value) -> StoredItem {
        StoredItem::parse(&item.to_string(), &["drone-ortho"]).unwrap()
    }

    #[test]
    fn the_stored_reading_is_what_was_given() {
        assert_eq!(read(&stored(&given()), Hrefs::Stored), given());
    }

    #[test]
    fn numbers_and_the_order_of_members_stay_as_written() {
        let json = r#"{"type":"Feature","properties":{"z":1.10,"a":1e3,"datetime":"2025-06-23T10:00:00Z"},"assets":{},
            "stac_version":"1.1.0","id":"i","collection":"c","geometry":null,"links":[]}"#;
        let item = StoredItem::parse(json, &[]).unwrap();
        let mut out = String::new();
        item.text.write(&mut out, ["c", "i"], "", Hrefs::Stored);
        assert!(out.contains(r#""properties":{"z":1.10,"a":1e3,"#), "{out}");
    }

    #[test]
    fn the_https_reading_has_own_urls_and_the_object_beside_them() {
        let item = read(&stored(&given()), Hrefs::Https);
        let ortho = &item["assets"]["ortho"];
        assert_eq!(ortho["href"], format!("{BASE_URL}/assets/drone-ortho/a%20%22quoted%22%2Fid/ortho"));
        assert_eq!(ortho["alternate"]["s3"]["href"], "s3://drone-ortho/k é.tif");
        assert_eq!(ortho["alternate"]["s3"]["polder:version_id"], "v7");
        assert_eq!(ortho["alternate"]["s3"]["storage:refs"], json!(["drone-ortho"]));
        assert_eq!(item["stac_extensions"][1], ALTERNATE_ASSETS);
        let links = item["links"].as_array().unwrap();
        assert_eq!(links[0]["href"], format!("{BASE_URL}/stac/collections/drone-ortho/items/a%20%22quoted%22%2Fid"));
        assert_eq!(links[4]["href"], format!("{BASE_URL}/stac/collections/drone-raw/items/p.f.a.jpg"));
    }

    #[test]
    fn the_s3_reading_turns_it_round() {
        let ortho = read(&stored(&given()), Hrefs::S3)["assets"]["ortho"].clone();
        assert_eq!(ortho["href"], "s3://drone-ortho/k é.tif");
        assert!(ortho["alternate"]["https"]["href"].as_str().unwrap().starts_with(BASE_URL));
    }

    #[test]
    fn foreign_objects_and_alternates_are_left_alone() {
        let item = read(&stored(&given()), Hrefs::Https);
        assert_eq!(item["assets"]["other"], given()["assets"]["other"]);
        assert_eq!(item["assets"]["both"]["alternate"]["mirror"]["href"], "https://m.example.org/b");
        assert_eq!(item["assets"]["both"]["alternate"]["s3"]["href"], "s3://drone-ortho/b");
    }

    #[test]
    fn an_item_without_extensions_declares_the_one_that_serving_adds() {
        let mut item = given();
        item.as_object_mut().unwrap().remove("stac_extensions");
        let item = stored(&item);
        assert_eq!(read(&item, Hrefs::Https)["stac_extensions"], json!([ALTERNATE_ASSETS]));
        assert!(read(&item, Hrefs::Stored).get("stac_extensions").is_none());
    }

    #[test]
    fn links_to_a_place_in_another_catalog_are_kept_but_not_served() {
        let mut item = given();
        let elsewhere = json!([{"rel": "self", "href": "../x.json"}, {"rel": "root", "href": "../../catalog.json"}]);
        item["links"] = elsewhere.clone();
        assert_eq!(read(&stored(&item), Hrefs::Stored)["links"], elsewhere);
        let served = read(&stored(&item), Hrefs::Https)["links"].clone();
        assert!(served.as_array().unwrap().iter().all(|link| link["href"].as_str().unwrap().starts_with(BASE_URL)));
    }

    #[test]
    fn the_same_item_has_the_same_digest_and_another_has_not() {
        let mut other = given();
        other["properties"]["gsd"] = json!(0.02);
        assert_eq!(stored(&given()).digest, stored(&given()).digest);
        assert_ne!(stored(&given()).digest, stored(&other).digest);
    }

    #[test]
    fn one_asset_is_found_as_stored() {
        let item = stored(&given());
        assert_eq!(item.text.find_asset("ortho").unwrap().unwrap(), given()["assets"]["ortho"]);
        assert!(item.text.find_asset("nothing").unwrap().is_none());
    }
}
