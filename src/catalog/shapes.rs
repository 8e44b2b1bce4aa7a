//! Shapes that the parts of a STAC document have: filled strings, lists and objects of objects, names.

use super::{
    fault::{Faults, Place},
    tree::{Object, Tree},
};

/// Longest id: that of an item and of its collection fit into one entry of an index together.
const LONGEST_ID: usize = 1024;

/// Checks that there is a string, and something in it.
pub(super) fn check_filled(value: Option<&Tree>, at: &Place, faults: &mut Faults) {
    let filled = value.and_then(Tree::text).is_some_and(|text| !text.is_empty());
    faults.expect(filled, at, "must be a string that is not empty");
}

/// Checks that those members that are there are strings.
pub(super) fn check_texts(object: &Object, names: &[&str], at: &Place, faults: &mut Faults) {
    for name in names {
        let fine = object.get(name).is_none_or(|value| value.text().is_some());
        faults.expect(fine, &at.member(name), "must be a string");
    }
}

/// Checks that a member is an object where it is there.
pub(super) fn check_object(value: Option<&Tree>, at: &Place, faults: &mut Faults) {
    faults.expect(value.is_none_or(|value| value.object().is_some()), at, "must be an object");
}

/// Checks that a value is an object whose members are objects with names that fit into a URL, and each of them.
pub(super) fn each_member(value: &Tree, at: &Place, faults: &mut Faults, check: impl Fn(&Object, &Place, &mut Faults)) {
    let Some(object) = value.object() else { return faults.add(at, "must be an object") };
    for (name, value) in object.iter() {
        let at = at.member(name);
        if let Some(rule) = unusable(name) {
            faults.add(&at, format!("has a name that {rule}"));
        }
        match value.object() {
            Some(object) => check(object, &at, faults),
            None => faults.add(&at, "must be an object"),
        }
    }
}

/// Checks that a value is a list of objects, and each of them.
pub(super) fn each_object(value: &Tree, at: &Place, faults: &mut Faults, check: impl Fn(&Object, &Place, &mut Faults)) {
    let Some(values) = value.list() else { return faults.add(at, "must be a list") };
    for (i, value) in values.iter().enumerate() {
        match value.object() {
            Some(object) => check(object, &at.element(i), faults),
            None => faults.add(&at.element(i), "must be an object"),
        }
    }
}

/// Returns what a name must be otherwise to stand in a URL as one segment. Clients resolve the dots before they ask.
pub(super) fn unusable(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("must be a string that is not empty"),
        "." | ".." => Some("must not be \".\" or \"..\""),
        _ if name.len() > LONGEST_ID => Some("must have at most 1024 bytes"),
        _ if name.chars().any(char::is_control) => Some("must not contain control characters"),
        _ => None,
    }
}

/// Refuses `\u0000`, which `PostgreSQL` can keep in neither text nor jsonb.
pub(super) fn check_nul(value: &Tree, at: &Place, faults: &mut Faults) {
    let without = |text: &str, at: &Place, faults: &mut Faults| {
        faults.expect(!text.contains('\0'), at, "must not contain the character U+0000");
    };
    match value {
        Tree::Text(text) => without(text, at, faults),
        Tree::List(values) => values.iter().enumerate().for_each(|(i, value)| check_nul(value, &at.element(i), faults)),
        Tree::Object(members) => {
            for (name, value) in members.iter() {
                without(name, &at.member(name), faults);
                check_nul(value, &at.member(name), faults);
            }
        }
        _ => {}
    }
}
