//! Splits the JSON of an item into the parts that are kept, and marks the places that differ between readers.

use std::fmt::Write;

use serde_json::{Value, value::RawValue};

use super::{
    ItemText,
    marks::{BASE, fork},
};
use crate::catalog::{
    Error, Result,
    lineage::API_SCHEME,
    members::{Members, push_name, quoted, write_members},
    percent_encoded,
};

pub(in crate::catalog) const ALTERNATE_ASSETS: &str =
    "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json";

/// Links that say where an item stands in a catalog: the API gives its own in their place.
pub(in crate::catalog) const OWN_PLACE: [&str; 4] = ["self", "root", "parent", "collection"];

/// Splits an item's members. Hrefs of objects in `own_buckets` get an https form too.
pub(super) fn split(members: &Members, [collection, id]: [&str; 2], own_buckets: &[&str]) -> Result<ItemText> {
    let mut splitter = Splitter {
        own_buckets,
        path: format!("{}/{}", percent_encoded(collection), percent_encoded(id)),
        forked: false,
    };
    let links = Splitter::links(members.get("links").unwrap_or("[]"))?;
    let assets = splitter.assets(members.get("assets").unwrap_or("{}"))?;
    let body = splitter.body(members)?;
    Ok(ItemText { body, links, assets })
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

/// Whether an asset's text may have an `s3://` href: it has one in it, or an escape that could hide one. Most assets of
/// the world have neither, and are not taken apart.
fn may_name_object(asset: &str) -> bool {
    asset.contains("s3:") || asset.contains('\\')
}

fn href(name: &str, value: &str) -> Option<String> {
    (name == "href").then(|| serde_json::from_str(value).ok()).flatten()
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
