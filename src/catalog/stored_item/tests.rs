use serde_json::{Value, json};

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
