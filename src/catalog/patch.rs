//! Changes to a part of an item or a collection: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902).
//!
//! A patch is applied to what the client had read, and the result goes the way of everything that is sent
//! ([`Incoming`](super::Incoming)). Text that no change touches stays as it is.
//!
//! Invariant: whatever a patch says, its result is at most as large and as deep as a document that can be sent whole.

use json_patch::{PatchErrorKind, PatchOperation, TestOperation, merge, patch_unsafe};
use serde_json::Value;

use super::{Error, Result, respell::respelled};

/// Members that name a document. Another name is another document, which is put where it belongs.
const NAMES: [&str; 2] = ["id", "collection"];

/// Operations in one patch. Each may move a whole list by one place.
const MOST_OPERATIONS: usize = 10_000;

/// Values and bytes of strings that `copy` may add: a few operations double a document twenty times.
const MOST_COPIED: usize = 1 << 20;

/// Levels of a document: what is read from text has no more (`serde_json`), and everything that walks it counts on it.
const DEEPEST: usize = 128;

/// A change to a part of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// Members to set, and with `null` to remove.
    Merge(Value),
    /// Operations to do one after the other, all or none.
    Operations(json_patch::Patch),
}

impl Patch {
    /// Reads a merge patch (`application/merge-patch+json`).
    ///
    /// # Errors
    /// [`Error::Json`].
    pub fn merge(json: &str) -> Result<Self> {
        Ok(Self::Merge(serde_json::from_str(json)?))
    }

    /// Reads a JSON patch (`application/json-patch+json`).
    ///
    /// # Errors
    /// [`Error::Json`] when it is no list of operations, [`Error::Faults`] when it is too long.
    pub fn operations(json: &str) -> Result<Self> {
        let patch: json_patch::Patch = serde_json::from_str(json)?;
        match patch.len() {
            0..=MOST_OPERATIONS => Ok(Self::Operations(patch)),
            _ => Err(Error::item("", format!("must have at most {MOST_OPERATIONS} operations"))),
        }
    }

    /// Returns the JSON of a document after the change.
    ///
    /// # Errors
    /// [`Error::PatchTest`] when a `test` fails, [`Error::Faults`] with the place in the document that cannot be
    /// changed so, [`Error::Json`] when `json` is none.
    pub fn apply(&self, json: &str) -> Result<String> {
        let before: Value = serde_json::from_str(json)?;
        let mut after = before.clone();
        match self {
            Self::Merge(patch) => merge(&mut after, patch),
            Self::Operations(patch) => operate(&mut after, patch)?,
        }
        match NAMES.iter().find(|name| before.get(name) != after.get(name)) {
            Some(name) => Err(Error::item(format!("/{name}"), "must not be changed")),
            None => Ok(respelled(json, &before, &after)),
        }
    }
}

fn operate(document: &mut Value, patch: &[PatchOperation]) -> Result<()> {
    let mut copied = 0;
    for (i, operation) in patch.iter().enumerate() {
        let path = operation.path();
        let refused = |why: &str| Error::item(path.as_str(), format!("cannot be changed by operation {i}: {why}"));
        if let PatchOperation::Test(TestOperation { path, value }) = operation {
            if document.pointer(path.as_str()).is_none_or(|found| !same(found, value)) {
                return Err(Error::PatchTest { pointer: path.to_string() });
            }
            continue;
        }
        let added = match operation {
            PatchOperation::Add(operation) => Some(&operation.value),
            PatchOperation::Replace(operation) => Some(&operation.value),
            PatchOperation::Copy(operation) => document.pointer(operation.from.as_str()),
            PatchOperation::Move(operation) => document.pointer(operation.from.as_str()),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
        };
        if added.is_some_and(|added| path.count() + depth(added) > DEEPEST) {
            return Err(refused("the document would be too deep"));
        }
        if let (PatchOperation::Copy(_), Some(added)) = (operation, added) {
            copied += size(added);
            if copied > MOST_COPIED {
                return Err(refused("the patch copies too much"));
            }
        }
        patch_unsafe(document, std::slice::from_ref(operation)).map_err(|error| refused(reason(&error.kind)))?;
    }
    Ok(())
}

const fn reason(kind: &PatchErrorKind) -> &'static str {
    match kind {
        PatchErrorKind::InvalidFromPointer => "there is nothing at the place that it takes from",
        PatchErrorKind::CannotMoveInsideItself => "nothing can be moved into itself",
        _ => "there is no such place",
    }
}

/// Numbers are the same when they are worth the same, as 10 and 10.0 (RFC 6902, 4.6).
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(values) => 1 + values.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ITEM: &str =
        r#"{"id": "a", "collection": "c", "properties": {"gsd": 1.10, "n": 10}, "links": [{"rel": "x"}]}"#;

    fn merged(patch: &Value) -> Result<String> {
        Patch::merge(&patch.to_string())?.apply(ITEM)
    }

    fn operated(patch: &Value) -> Result<String> {
        Patch::operations(&patch.to_string())?.apply(ITEM)
    }

    fn pointer(result: Result<String>) -> String {
        match result {
            Err(Error::Faults(faults)) => faults[0].pointer.clone(),
            other => panic!("expected a fault, got {other:?}"),
        }
    }

    #[test]
    fn a_merge_patch_sets_and_removes_and_leaves_the_rest_as_it_is_spelt() {
        let out = merged(&json!({"properties": {"n": null, "new": [1]}, "links": []})).unwrap();
        assert_eq!(out, r#"{"id":"a","collection":"c","properties":{"gsd":1.10,"new":[1]},"links":[]}"#);
        assert_eq!(merged(&json!({})).unwrap(), ITEM);
    }

    #[test]
    fn operations_are_done_in_their_order() {
        let out = operated(&json!([
            {"op": "test", "path": "/properties/n", "value": 10.0},
            {"op": "move", "from": "/properties/n", "path": "/properties/m"},
            {"op": "copy", "from": "/properties/m", "path": "/properties/o"},
            {"op": "add", "path": "/links/-", "value": {"rel": "y"}},
            {"op": "replace", "path": "/properties/o", "value": 3},
            {"op": "remove", "path": "/links/0"},
        ]));
        let expected = r#"{"id":"a","collection":"c","properties":{"gsd":1.10,"m":10,"o":3},"links":[{"rel":"y"}]}"#;
        assert_eq!(out.unwrap(), expected);
    }

    #[test]
    fn a_test_that_fails_is_told_apart_from_a_place_that_is_not_there() {
        for (path, value) in [("/properties/n", json!(11)), ("/nowhere", json!(null)), ("/links", json!([{}]))] {
            let result = operated(&json!([{"op": "test", "path": path, "value": value}]));
            assert!(matches!(result, Err(Error::PatchTest { pointer }) if pointer == path), "{path}");
        }
        assert_eq!(pointer(operated(&json!([{"op": "remove", "path": "/nowhere"}]))), "/nowhere");
        assert_eq!(pointer(operated(&json!([{"op": "add", "path": "/links/7", "value": 1}]))), "/links/7");
        assert_eq!(pointer(operated(&json!([{"op": "copy", "from": "/no", "path": "/x"}]))), "/x");
        assert_eq!(pointer(operated(&json!([{"op": "move", "from": "/links", "path": "/links/0"}]))), "/links/0");
    }

    #[test]
    fn a_document_keeps_its_name() {
        assert_eq!(pointer(merged(&json!({"id": "b"}))), "/id");
        assert_eq!(pointer(merged(&json!({"collection": null}))), "/collection");
        assert_eq!(pointer(merged(&json!("text"))), "/id");
        assert_eq!(pointer(operated(&json!([{"op": "replace", "path": "", "value": {"id": "a"}}]))), "/collection");
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for wrong in [json!({}), json!([{"op": "grow", "path": ""}]), json!([{"op": "add", "path": "x", "value": 1}])] {
            assert!(matches!(operated(&wrong), Err(Error::Json(_))), "{wrong}");
        }
        let long = json!(vec![json!({"op": "remove", "path": "/x"}); MOST_OPERATIONS + 1]);
        assert_eq!(pointer(operated(&long)), "");
    }

    #[test]
    fn a_patch_cannot_double_a_document_again_and_again() {
        let double = json!(vec![json!({"op": "copy", "from": "/links", "path": "/links/-"}); 40]);
        assert_eq!(pointer(operated(&double)), "/links/-");
    }

    #[test]
    fn a_patch_cannot_make_a_document_deeper_than_one_that_is_sent_whole() {
        let level = |i: usize| json!({"op": "add", "path": format!("/links/0{}", "/x".repeat(i)), "value": {}});
        let levels = |count: usize| operated(&json!((1..=count).map(level).collect::<Vec<_>>()));
        assert!(levels(DEEPEST - 3).is_ok());
        assert!(pointer(levels(DEEPEST)).starts_with("/links/0/x/x"));
    }

    proptest! {
        #[test]
        fn no_patch_makes_it_panic(
            ops in proptest::collection::vec((0..6_usize, 0..6_usize, 0..6_usize), 0..8),
        ) {
            let paths = ["", "/links", "/links/0", "/links/-", "/properties/gsd", "/x/y"];
            let names = ["add", "remove", "replace", "move", "copy", "test"];
            let operation = |(op, path, from): (usize, usize, usize)| {
                json!({"op": names[op], "path": paths[path], "from": paths[from], "value": {"id": "a", "collection": "c"}})
            };
            let patch: Vec<Value> = ops.into_iter().map(operation).collect();
            if let Ok(out) = operated(&json!(patch)) {
                prop_assert!(serde_json::from_str::<Value>(&out).is_ok());
            }
        }
    }
}
