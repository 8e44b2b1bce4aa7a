//! Addresses of this API in an item that a client read here, turned back into what they stand for.
//!
//! [`StoredItem`](super::StoredItem) says what a reader gets; this is the way back. Where something could have been
//! given or been added by polder, the item as it is stored decides.

use serde_json::{Value, value::RawValue};

use super::{
    Result,
    fault::Faults,
    lineage::API_SCHEME,
    members::{Members, push_name, quoted, write_members},
    own_asset::OwnAsset,
    percent_encoded,
    stored_item::{ALTERNATE_ASSETS, OWN_PLACE},
};

/// An API and an item in it.
pub(super) struct OwnUrls<'a> {
    base: &'a str,
    /// Where the item's own assets are, with a slash at the end.
    own_assets: String,
    /// The stored item's members, and its assets.
    existing: Option<(Members<'a>, Members<'a>)>,
}

/// The parts of an item that have addresses in them, without those.
pub(super) struct Turned {
    pub links: String,
    pub assets: String,
    /// Nothing when there was no such member before polder added it.
    pub extensions: Option<String>,
}

/// What became of the assets' alternates.
#[derive(Default)]
pub(super) struct Alternates {
    pub removed: bool,
    pub left: bool,
}

impl<'a> OwnUrls<'a> {
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when what is stored is no JSON: somebody changed the table by hand.
    pub fn new(base: &'a str, [collection, id]: [&str; 2], existing: Option<&'a str>) -> Result<Self> {
        let own_assets = format!("{base}/assets/{}/{}/", percent_encoded(collection), percent_encoded(id));
        let existing = existing.map(Members::parse).transpose()?;
        let existing = existing.map(|item| {
            let assets = Members::parse(item.get("assets").unwrap_or("{}"))?;
            Ok::<_, serde_json::Error>((item, assets))
        });
        Ok(Self { base, own_assets, existing: existing.transpose()? })
    }

    /// Takes the addresses out of an item. An href that cannot be turned back is a fault.
    pub fn turn_back(&self, item: &Members, faults: &mut Faults) -> Turned {
        let mut alternates = Alternates::default();
        let links = item.get("links").map(|links| self.links(links)).unwrap_or_default();
        let assets = item.get("assets").unwrap_or_default();
        let assets = self.assets(assets, &mut alternates, faults).unwrap_or_else(|| assets.to_owned());
        let extensions = item.get("stac_extensions").and_then(|list| self.extensions(list, &alternates));
        Turned { links, assets, extensions }
    }

    /// Links that say where the item stands are those of the stored item again; others name their place in this
    /// catalog, wherever it is served.
    fn links(&self, json: &str) -> String {
        let Ok(links) = serde_json::from_str::<Vec<&RawValue>>(json) else { return json.to_owned() };
        let mut turned = Vec::with_capacity(links.len());
        let (mut served, mut elsewhere) = (false, false);
        for link in links {
            let Ok(members) = Members::parse(link.get()) else {
                turned.push(link.get().to_owned());
                continue;
            };
            let path = text(members.get("href")).and_then(|href| self.path(&href).map(str::to_owned));
            match (path, is_own_place(&members)) {
                (Some(_), true) => served = true,
                (Some(path), false) => {
                    let href = quoted(&format!("{API_SCHEME}{path}"));
                    let mut out = String::new();
                    write_members(&mut out, &members, |name, _| (name == "href").then(|| href.clone()));
                    turned.push(out);
                }
                (None, own_place) => {
                    elsewhere |= own_place;
                    turned.push(link.get().to_owned());
                }
            }
        }
        if served && !elsewhere {
            self.put_back_own_places(&mut turned);
        }
        format!("[{}]", turned.join(","))
    }

    /// Turns a link of a collection back; `false` when the API gives it itself: all that it serves of the collection.
    pub fn turn_link_of_collection(&self, link: &mut Value, id: &str) -> bool {
        let Some(href) = link["href"].as_str().filter(|href| self.is_below(href)) else { return true };
        let Some(path) = self.path(href) else { return false };
        let own = format!("/collections/{}", percent_encoded(id));
        let served = path.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        if served || link["rel"].as_str().is_some_and(|rel| OWN_PLACE.contains(&rel)) {
            return false;
        }
        link["href"] = format!("{API_SCHEME}{path}").into();
        true
    }

    fn is_below(&self, href: &str) -> bool {
        href.strip_prefix(self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    fn put_back_own_places(&self, links: &mut Vec<String>) {
        let stored = self.existing.as_ref().and_then(|(item, _)| item.get("links")).unwrap_or("[]");
        let stored: Vec<&RawValue> = serde_json::from_str(stored).unwrap_or_default();
        for (i, link) in stored.into_iter().enumerate() {
            if Members::parse(link.get()).is_ok_and(|members| is_own_place(&members)) {
                links.insert(i.min(links.len()), link.get().to_owned());
            }
        }
    }

    /// Returns what follows `{base}/stac`.
    fn path<'h>(&self, href: &'h str) -> Option<&'h str> {
        let path = href.strip_prefix(self.base)?.strip_prefix("/stac")?;
        (path.is_empty() || path.starts_with(['/', '?', '#'])).then_some(path)
    }

    fn assets(&self, json: &str, alternates: &mut Alternates, faults: &mut Faults) -> Option<String> {
        let assets = Members::parse(json).ok()?;
        let mut out = String::with_capacity(json.len());
        for (key, json) in assets.iter() {
            out.push_str(if out.is_empty() { "{" } else { "," });
            push_name(&mut out, key);
            match Members::parse(json) {
                Ok(asset) => OwnAsset::new(self, key, json, asset).turn_back(&mut out, alternates, faults),
                Err(_) => out.push_str(json),
            }
        }
        out.push_str(if out.is_empty() { "{}" } else { "}" });
        Some(out)
    }

    /// Whether this is a URL under which polder serves an asset.
    pub fn serves(&self, href: &str) -> bool {
        href.strip_prefix(self.base).is_some_and(|path| path.starts_with("/assets/"))
    }

    /// Whether this is the URL of one asset of this item.
    pub fn is_of(&self, key: &str, href: &str) -> bool {
        href.strip_prefix(&self.own_assets).is_some_and(|name| name == percent_encoded(key))
    }

    pub fn stored_asset(&self, key: &str) -> Option<Members<'a>> {
        let (_, assets) = self.existing.as_ref()?;
        Members::parse(assets.get(key)?).ok()
    }

    /// Takes the alternate-assets extension off the list where polder added it.
    fn extensions(&self, list: &str, alternates: &Alternates) -> Option<String> {
        let given: Vec<String> = serde_json::from_str(list).unwrap_or_default();
        let stored = self.existing.as_ref().map(|(item, _)| item.get("stac_extensions"));
        let added = match &self.existing {
            Some((_, assets)) => {
                let declared = stored.flatten().is_some_and(|list| list.contains(ALTERNATE_ASSETS));
                !declared && (!alternates.left || assets.iter().any(|(_, asset)| asset.contains("\"alternate\"")))
            }
            None => alternates.removed && !alternates.left,
        };
        if !added || !given.iter().any(|extension| extension == ALTERNATE_ASSETS) {
            return Some(list.to_owned());
        }
        if given.len() == 1 && stored.flatten().is_none() {
            return None;
        }
        Some(without_last(list).unwrap_or_else(|| {
            let rest: Vec<String> =
                given.iter().filter(|url| *url != ALTERNATE_ASSETS).map(|url| quoted(url)).collect();
            format!("[{}]", rest.join(","))
        }))
    }
}

/// Removes the extension where it stands last, as polder writes it, and leaves the text before it as it was given.
fn without_last(list: &str) -> Option<String> {
    let rest = list.strip_suffix(']')?.strip_suffix(&quoted(ALTERNATE_ASSETS))?;
    Some(format!("{}]", rest.strip_suffix(',').unwrap_or(rest)))
}

fn is_own_place(link: &Members) -> bool {
    text(link.get("rel")).is_some_and(|rel| OWN_PLACE.contains(&rel.as_str()))
}

/// Returns a JSON text that is a string.
pub(super) fn text(json: Option<&str>) -> Option<String> {
    serde_json::from_str(json?).ok()
}
