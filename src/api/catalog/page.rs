//! A page of items, written without parsing any.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::Hrefs;
use crate::database::Page;

/// Writes a page as a `GeoJSON` feature collection.
pub(super) fn feature_collection(page: &Page, links: &[Value], base: &str, hrefs: Hrefs) -> String {
    let length: usize = page.items.iter().map(|item| item.text.body.len() + item.text.assets.len() * 2).sum();
    let mut out = String::with_capacity(length + 1024);
    out.push_str("{\"type\":\"FeatureCollection\",\"features\":[");
    for (i, item) in page.items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        item.text.write(&mut out, [&item.collection, &item.id], base, hrefs);
    }
    out.push_str("],\"links\":[");
    for (i, link) in links.iter().enumerate() {
        write!(out, "{}{link}", if i == 0 { "" } else { "," }).expect("writing to a string cannot fail");
    }
    write!(out, "],\"numberReturned\":{}}}", page.items.len()).expect("writing to a string cannot fail");
    out
}
