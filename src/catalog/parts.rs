//! What items and collections have in common besides metadata: ids, links, assets, declared extensions.

use super::{
    common::check_common,
    fault::{Faults, Place},
    shapes::{check_filled, check_object, check_texts, each_member, each_object, unusable},
    tree::{Object, Tree},
};

/// Checks a list of links: each has a `rel` and an `href`.
pub(super) fn check_links(links: Option<&Tree>, at: &Place, faults: &mut Faults) {
    let Some(links) = links else { return faults.add(at, "must be there, if only as an empty list") };
    each_object(links, at, faults, |link, at, faults| {
        check_filled(link.get("rel"), &at.member("rel"), faults);
        check_filled(link.get("href"), &at.member("href"), faults);
        check_texts(link, &["type", "title", "method"], at, faults);
        check_object(link.get("headers"), &at.member("headers"), faults);
    });
}

/// Checks an object of assets, each of which has an `href`.
pub(super) fn check_assets(assets: &Tree, at: &Place, faults: &mut Faults) {
    each_member(assets, at, faults, |asset, at, faults| {
        check_filled(asset.get("href"), &at.member("href"), faults);
        check_asset_fields(asset, at, faults);
        if let Some(alternates) = asset.get("alternate") {
            each_member(alternates, &at.member("alternate"), faults, |alternate, at, faults| {
                check_texts(alternate, &["href", "alternate:name"], at, faults);
            });
        }
    });
}

/// Checks what an asset has besides its `href`; what a collection says of its items' assets has only that.
pub(super) fn check_asset_fields(asset: &Object, at: &Place, faults: &mut Faults) {
    check_texts(asset, &["type"], at, faults);
    check_common(asset, at, faults);
}

/// Checks the declared extensions: each names the schema that describes it.
pub(super) fn check_extensions(value: &Tree, at: &Place, faults: &mut Faults) {
    let Some(values) = value.list() else { return faults.add(at, "must be a list of URLs") };
    for (i, value) in values.iter().enumerate() {
        let url = value.text().is_some_and(|text| text.contains("://"));
        faults.expect(url, &at.element(i), "must be the URL of an extension's schema");
    }
}

/// Checks an id, which becomes a segment of URLs, and returns it.
pub(super) fn check_id(value: Option<&Tree>, at: &Place, faults: &mut Faults) -> Option<String> {
    let Some(id) = value.and_then(Tree::text) else {
        faults.add(at, "must be a string that is not empty");
        return None;
    };
    if let Some(rule) = unusable(id) {
        faults.add(at, rule);
        return None;
    }
    Some(id.to_owned())
}
