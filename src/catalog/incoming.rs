//! An item or a collection as a client sends it, made into what is stored.
//!
//! Clients read an item, change it and send it back. What they read has addresses of this API in it
//! ([`ItemText::write`](super::ItemText::write)); what is kept has none, so that it can be read under any address.
//! They are taken out here: the same item sent back is the item as it was stored, byte for byte, whichever hrefs the
//! client had asked for. Items of STAC 1.0 become items of 1.1 on the way.
//!
//! Most of what is sent comes from elsewhere and needs none of this. Its text is not touched.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    GivenCollection, Result, StoredItem, check_collection,
    fault::{Faults, Place},
    members::{Members, push_name, quoted},
    own_urls::{OwnUrls, text},
    respell::respelled,
    tree::Tree,
    upgrade::{is_older, upgrade},
};

/// What is known of a document before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'a> {
    /// The address of this API, as `https://polder.example.org`; empty where there is none.
    pub base: &'a str,
    /// The collection in the URL that the item is sent to.
    pub collection: Option<&'a str>,
    /// The id in the URL that the item or the collection is sent to.
    pub id: Option<&'a str>,
    /// The text of the item that this one replaces, as [`Hrefs::Stored`](super::Hrefs::Stored) writes it.
    pub existing: Option<&'a str>,
}

impl Incoming<'_> {
    /// Makes the JSON of an item into the item to store.
    ///
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when it is no JSON, [`Error::Faults`](super::Error::Faults) with all that
    /// is wrong, also where it does not fit the URL.
    pub fn item(&self, json: &str, own_buckets: &[&str]) -> Result<StoredItem> {
        let mut faults = Faults::default();
        let text = self.read(json, &mut faults)?;
        StoredItem::parse_beside(faults, &text, own_buckets)
    }

    /// Returns the text of the item to store; the same text where nothing has to change.
    ///
    /// # Errors
    /// As [`Incoming::item`], but only for what does not fit the URL and for hrefs into this API that name no object.
    pub fn text<'t>(&self, json: &'t str) -> Result<Cow<'t, str>> {
        let mut faults = Faults::default();
        let text = self.read(json, &mut faults)?;
        faults.into_result()?;
        Ok(text)
    }

    /// Makes the JSON of a collection into the collection to store.
    ///
    /// # Errors
    /// As [`Incoming::item`].
    pub fn collection(&self, json: &str) -> Result<GivenCollection> {
        let mut collection: Value = serde_json::from_str(json)?;
        let older = collection["stac_version"].as_str().is_some_and(is_older);
        if let Some(members) = collection.as_object_mut().filter(|_| older) {
            upgrade(members);
        }
        let mut faults = Faults::default();
        expect("id", self.id, collection.get("id").and_then(Value::as_str), &mut faults);
        check_collection::check(&Tree::from(&collection), &mut faults);
        faults.into_result()?;
        let mut collection = GivenCollection::of(collection.as_object_mut().map(std::mem::take).unwrap_or_default())?;
        if !self.base.is_empty() {
            let urls = OwnUrls::new(self.base, [&collection.id, ""], None)?;
            collection.links.retain_mut(|link| urls.turn_link_of_collection(link, &collection.id));
        }
        Ok(collection)
    }

    fn read<'t>(&self, json: &'t str, faults: &mut Faults) -> Result<Cow<'t, str>> {
        // What is no object is refused by the check that follows.
        let Ok(members) = Members::parse(json) else { return Ok(Cow::Borrowed(json)) };
        if text(members.get("stac_version")).as_deref().is_some_and(is_older) {
            let json = upgraded(json)?;
            let turned = self.turned(&json, &Members::parse(&json)?, faults)?;
            return Ok(Cow::Owned(turned.unwrap_or(json)));
        }
        Ok(self.turned(json, &members, faults)?.map_or(Cow::Borrowed(json), Cow::Owned))
    }

    /// What an item that is sent to a URL may leave away, as JSON: the URL says it, or polder writes it (the "partial Item"
    /// of the transaction extension).
    fn missing(&self, members: &Members) -> Vec<(&'static str, String)> {
        let Some(collection) = self.collection else { return Vec::new() };
        let mut missing = Vec::new();
        if matches!(members.get("collection"), None | Some("null")) {
            missing.push(("collection", quoted(collection)));
        }
        if let (None, Some(id)) = (members.get("id"), self.id) {
            missing.push(("id", quoted(id)));
        }
        if members.get("links").is_none() {
            missing.push(("links", "[]".to_owned()));
        }
        missing
    }

    /// Fits an item to the URL and takes the addresses of this API out of it; nothing when there is nothing to do.
    fn turned(&self, json: &str, members: &Members, faults: &mut Faults) -> Result<Option<String>> {
        let [id, collection] = ["id", "collection"].map(|name| text(members.get(name)));
        expect("id", self.id, id.as_deref(), faults);
        expect("collection", self.collection, collection.as_deref(), faults);
        let missing = self.missing(members);
        let speaks_of_us = !self.base.is_empty() && mentions(json, self.base);
        if missing.is_empty() && !speaks_of_us {
            return Ok(None);
        }
        let path =
            [collection.as_deref().or(self.collection), id.as_deref().or(self.id)].map(Option::unwrap_or_default);
        let urls = speaks_of_us.then(|| OwnUrls::new(self.base, path, self.existing)).transpose()?;
        let turned = urls.map(|urls| urls.turn_back(members, faults));
        let mut out = String::with_capacity(json.len());
        for (name, value) in members.iter() {
            let value = match (name, &turned) {
                (name, _) if missing.iter().any(|(missing, _)| *missing == name) => None,
                ("links", Some(turned)) => Some(turned.links.as_str()),
                ("assets", Some(turned)) => Some(turned.assets.as_str()),
                ("stac_extensions", Some(turned)) => turned.extensions.as_deref(),
                _ => Some(value),
            };
            if let Some(value) = value {
                push_member(&mut out, name, value);
            }
        }
        for (name, value) in missing {
            push_member(&mut out, name, &value);
        }
        Ok(Some(format!("{{{out}}}")))
    }
}

/// Checks that a member is the one that the URL says, where both are there.
fn expect(name: &str, known: Option<&str>, given: Option<&str>, faults: &mut Faults) {
    if let (Some(known), Some(given)) = (known, given) {
        faults.expect(known == given, &Place::Root.member(name), &format!("must be {known:?}, as in the URL"));
    }
}

fn push_member(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    push_name(out, name);
    out.push_str(value);
}

/// Makes the text of an item of STAC 1.0 one of 1.1.
fn upgraded(json: &str) -> Result<String> {
    let before: Value = serde_json::from_str(json)?;
    let mut after = before.clone();
    after.as_object_mut().into_iter().for_each(upgrade);
    Ok(respelled(json, &before, &after))
}

/// Whether a JSON text may contain another. Slashes and letters may be written as escapes; then it may.
fn mentions(json: &str, text: &str) -> bool {
    let escaped_ascii = |digit: Option<u8>| digit.is_some_and(|digit| (b'2'..=b'7').contains(&digit));
    json.contains(text)
        || json.contains("\\/")
        || json
            .match_indices("\\u00")
            .any(|(at, escape)| escaped_ascii(json.as_bytes().get(at + escape.len()).copied()))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, option, prelude::*, sample::select};
    use serde_json::json;

    use super::*;
    use crate::catalog::{Error, Fault, Hrefs, examples};

    const BASE: &str = "https://polder.example.org/x";
    const BUCKETS: [&str; 4] = ["drone-raw", "drone-ortho", "ai-results", "ai-models"];

    fn write(item: &StoredItem, hrefs: Hrefs) -> String {
        let mut out = String::new();
        item.text.write(&mut out, [&item.collection, &item.id], BASE, hrefs);
        out
    }

    fn put(item: &StoredItem, json: &str) -> Result<StoredItem> {
        let existing = write(item, Hrefs::Stored);
        let known =
            Incoming { base: BASE, collection: Some(&item.collection), id: Some(&item.id), existing: Some(&existing) };
        known.item(json, &BUCKETS)
    }

    fn post(json: &str) -> Result<StoredItem> {
        Incoming { base: BASE, collection: Some("drone-ortho"), ..Incoming::default() }.item(json, &BUCKETS)
    }

    fn faults(result: Result<StoredItem>) -> Vec<Fault> {
        match result {
            Err(Error::Faults(faults)) => faults,
            other => panic!("expected faults, got {other:?}"),
        }
    }

    fn given() -> Value {
        json!({
            "type": "Feature", "stac_version": "1.1.0", "id": "a b", "collection": "drone-ortho", "geometry": null,
            "properties": {"datetime": "2025-06-23T10:00:00Z"},
            "links": [{"rel": "license", "href": "https://example.org/licence"}],
            "assets": {"ortho": {"href": "s3://drone-ortho/k.tif", "polder:version_id": "v7"}},
        })
    }

    fn stored(item: &Value) -> StoredItem {
        StoredItem::parse(&item.to_string(), &BUCKETS).unwrap()
    }

    fn served(item: &Value) -> Value {
        serde_json::from_str(&write(&stored(item), Hrefs::Https)).unwrap()
    }

    fn returns(item: &StoredItem) {
        for hrefs in [Hrefs::Https, Hrefs::S3, Hrefs::Stored] {
            assert_eq!(&put(item, &write(item, hrefs)).unwrap(), item, "{hrefs:?}");
        }
    }

    #[test]
    fn what_was_read_and_sent_back_is_what_was_stored() {
        let scheme = examples::scheme();
        returns(&StoredItem::of(&examples::photo().item(&scheme), &BUCKETS).unwrap());
        returns(&StoredItem::of(&examples::orthophoto().item(&scheme), &BUCKETS).unwrap());
        returns(&StoredItem::of(&examples::detection_run().item(&scheme), &BUCKETS).unwrap());
        returns(&StoredItem::of(&examples::model_version().item(&scheme), &BUCKETS).unwrap());
    }

    #[test]
    fn without_a_stored_item_only_the_links_of_its_place_differ() {
        let item = examples::orthophoto().item(&examples::scheme());
        let stored = StoredItem::of(&item, &BUCKETS).unwrap();
        let posted = post(&write(&stored, Hrefs::Https)).unwrap();
        assert_eq!((&posted.text.body, &posted.text.assets), (&stored.text.body, &stored.text.assets));
        let link = r#","rel":"derived_from""#;
        assert!(posted.text.links.contains(link) && !posted.text.links.contains(r#""rel":"collection""#));
    }

    #[test]
    fn text_that_needs_nothing_is_not_touched() {
        let json = format!(" {} ", given().to_string().replace("\"type\":", "\"type\" :\n"));
        let known = Incoming { base: BASE, collection: Some("drone-ortho"), id: Some("a b"), existing: None };
        assert!(matches!(known.text(&json).unwrap(), Cow::Borrowed(text) if text == json));
    }

    #[test]
    fn the_collection_and_the_id_are_those_of_the_url() {
        let mut item = given();
        item.as_object_mut().unwrap().remove("collection");
        assert_eq!(post(&item.to_string()).unwrap().collection, "drone-ortho");
        item["collection"] = json!(7);
        assert_eq!(faults(post(&item.to_string()))[0].pointer, "/collection");
        item["collection"] = json!("other");
        item["type"] = json!("feature");
        let known = Incoming { collection: Some("drone-ortho"), id: Some("c"), ..Incoming::default() };
        let found = faults(known.item(&item.to_string(), &[]));
        let pointers: Vec<&str> = found.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/collection", "/type"]);
    }

    #[test]
    fn a_change_beside_the_addresses_is_kept() {
        let mut item = served(&given());
        item["properties"]["gsd"] = json!(0.5);
        item["assets"]["ortho"]["title"] = json!("Better");
        item["assets"]["ortho"]["alternate"]["mirror"] = json!({"href": "https://m.example.org/k"});
        let new = put(&stored(&given()), &item.to_string()).unwrap();
        let text: Value = serde_json::from_str(&write(&new, Hrefs::Stored)).unwrap();
        let ortho = &text["assets"]["ortho"];
        assert_eq!((&ortho["href"], &ortho["title"]), (&json!("s3://drone-ortho/k.tif"), &json!("Better")));
        assert_eq!(ortho["alternate"], json!({"mirror": {"href": "https://m.example.org/k"}}));
        assert_eq!(text["properties"]["gsd"], 0.5);
    }

    #[test]
    fn an_asset_that_became_another_object_loses_what_named_the_old_one() {
        let mut item = served(&given());
        item["assets"]["ortho"]["href"] = json!("s3://drone-ortho/new.tif");
        let new = put(&stored(&given()), &item.to_string()).unwrap();
        assert_eq!(new.text.find_asset("ortho").unwrap().unwrap()["href"], "s3://drone-ortho/new.tif");
        assert!(!write(&new, Hrefs::Stored).contains("k.tif"));
    }

    #[test]
    fn an_address_that_names_no_object_is_a_fault() {
        let mut item = served(&given());
        item["assets"]["ortho"].as_object_mut().unwrap().remove("alternate");
        assert_eq!(put(&stored(&given()), &item.to_string()).unwrap(), stored(&given()));
        item["assets"]["n/w"] = item["assets"]["ortho"].take();
        assert_eq!(faults(put(&stored(&given()), &item.to_string()))[0].pointer, "/assets/n~1w/href");
        assert_eq!(faults(post(&item.to_string())).len(), 2, "and /assets/ortho is null");
    }

    #[test]
    fn links_into_this_catalog_name_their_place_in_it() {
        let mut item = given();
        item["links"] = json!([
            {"rel": "derived_from", "href": format!("{BASE}/stac/collections/drone-raw/items/p")},
            {"rel": "other", "href": format!("{BASE}/stacks")},
            {"rel": "self", "href": format!("{BASE}/stac/collections/drone-ortho/items/a%20b")},
            {"rel": "root", "href": "https://elsewhere.example.org"},
        ]);
        // Slashes may be written as escapes.
        let json = item.to_string().replace('/', "\\/");
        let text: Value = serde_json::from_str(&write(&post(&json).unwrap(), Hrefs::Stored)).unwrap();
        let hrefs: Vec<&str> = text["links"].as_array().unwrap().iter().map(|l| l["href"].as_str().unwrap()).collect();
        let expected =
            ["polder:/collections/drone-raw/items/p", &format!("{BASE}/stacks"), "https://elsewhere.example.org"];
        assert_eq!(hrefs, expected);
    }

    #[test]
    fn an_item_of_stac_1_0_is_upgraded_and_keeps_its_spelling() {
        let json = r#"{"type":"Feature","stac_version":"1.0.0","id":"a","geometry":null,"links":[],
            "properties":{"datetime":"2025-06-23T10:00:00Z","x":1.10},"assets":{"a":{"href":"a","eo:bands":[{"name":"r"}]}}}"#;
        let text = write(&post(json).unwrap(), Hrefs::Stored);
        assert!(text.contains(r#""stac_version":"1.1.0""#) && text.contains(r#""bands":[{"name":"r"}]"#), "{text}");
        assert!(text.contains(r#""x":1.10}"#), "{text}");
        let older = json.replace("1.0.0", "0.9.0");
        assert_eq!(faults(post(&older))[0].pointer, "/stac_version");
    }

    #[test]
    fn a_collection_keeps_what_is_its_own_to_say() {
        let mut given = json!({
            "type": "Collection", "stac_version": "1.0.0", "id": "c d", "description": "d", "license": "various",
            "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[null, null]]}},
            "links": [
                {"rel": "self", "href": format!("{BASE}/stac/collections/c%20d")},
                {"rel": "root", "href": format!("{BASE}/stac")},
                {"rel": "items", "href": format!("{BASE}/stac/collections/c%20d/items")},
                {"rel": "tiles", "href": format!("{BASE}/tiles/c")},
                {"rel": "related", "href": format!("{BASE}/stac/collections/other")},
                {"rel": "license", "href": "https://example.org/licence"},
            ],
        });
        let known = Incoming { base: BASE, id: Some("c d"), ..Incoming::default() };
        let collection = known.collection(&given.to_string()).unwrap();
        let hrefs: Vec<&str> = collection.links.iter().map(|link| link["href"].as_str().unwrap()).collect();
        assert_eq!(hrefs, ["polder:/collections/other", "https://example.org/licence"]);
        assert_eq!((&collection.body["stac_version"], &collection.body["license"]), (&json!("1.1.0"), &json!("other")));
        given["id"] = json!("e");
        given["links"] = json!({});
        let Err(Error::Faults(faults)) = known.collection(&given.to_string()) else { panic!("there are faults") };
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/links"]);
    }

    fn alternates() -> impl Strategy<Value = Value> {
        let href = select(vec!["s3://drone-ortho/k", "s3://elsewhere/k", "https://m.example.org/k"]);
        let alternate = (href, option::of(select(vec!["S3", "HTTPS", "Mirror"]))).prop_map(|(href, name)| match name {
            Some(name) => json!({"href": href, "alternate:name": name}),
            None => json!({ "href": href }),
        });
        btree_map(select(vec!["s3", "https", "mirror"]), alternate, 0..3).prop_map(|map| json!(map))
    }

    fn assets() -> impl Strategy<Value = Value> {
        let href = select(vec![
            "s3://drone-ortho/k é.tif",
            "s3://drone-raw/\"k\"",
            "s3://elsewhere/k",
            "./k",
            "https://example.org",
        ]);
        let version = option::of(select(vec!["v1", "v2"]));
        let asset =
            (href, version, option::of(alternates()), any::<bool>()).prop_map(|(href, version, alternates, last)| {
                let mut asset = serde_json::Map::new();
                asset.insert("href".to_owned(), json!(href));
                asset.extend(version.map(|version| ("polder:version_id".to_owned(), json!(version))));
                asset.extend(alternates.map(|alternates| ("alternate".to_owned(), alternates)));
                if last {
                    asset.insert("roles".to_owned(), json!(["data"]));
                }
                Value::Object(asset)
            });
        btree_map("[a-c/%é\" ]{1,3}", asset, 0..4).prop_map(|map| json!(map))
    }

    fn links() -> impl Strategy<Value = Value> {
        let rel = select(vec!["self", "root", "parent", "collection", "derived_from", "license"]);
        let href = select(vec!["polder:/collections/c/items/i%20j", "polder:", "../x.json", "https://example.org/é"]);
        let link = (rel, href).prop_map(|(rel, href)| json!({"rel": rel, "href": href, "n": 1.5}));
        proptest::collection::vec(link, 0..5).prop_map(Value::from)
    }

    proptest! {
        #[test]
        fn whatever_is_stored_returns(
            assets in assets(),
            links in links(),
            extensions in option::of(select(vec!["[]", "[ ]", "[\"https://e.example.org/s\" , \"https://f.example.org\"]", "[\"ALT\"]"])),
            id in "[a-z/ é\"%]{1,6}",
            spaced in any::<bool>(),
        ) {
            let [assets, links] = [assets, links].map(|part| {
                if spaced { serde_json::to_string_pretty(&part).unwrap() } else { part.to_string() }
            });
            let extensions = extensions.map(|list| {
                format!(r#""stac_extensions": {},"#, list.replace("ALT", crate::catalog::stored_item::ALTERNATE_ASSETS))
            });
            let json = format!(
                r#"{{"type": "Feature", "stac_version": "1.1.0", {} "id": {}, "collection": "drone-ortho",
                "geometry": null, "properties": {{"datetime": "2025-06-23T10:00:00Z", "x": 1.50}}, "assets": {assets},
                "links": {links} }}"#,
                extensions.unwrap_or_default(),
                quoted(&id),
            );
            returns(&StoredItem::parse(&json, &BUCKETS).unwrap());
        }
    }
}
