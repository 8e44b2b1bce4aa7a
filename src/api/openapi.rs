//! The OpenAPI document.
//!
//! utoipa writes OpenAPI 3.1; what STAC's media type and the class `oas30` name is 3.0. The words that differ are
//! turned back here.

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::{AppState, base::Base, catalog::Operations, results};

const MEDIA_TYPE: &str = "application/vnd.oai.openapi+json;version=3.0";

static STAC: LazyLock<Value> = LazyLock::new(|| {
    let about = "Drone photos, orthophotos, detections and models. Errors are application/problem+json.";
    document("polder: STAC API", about, &Operations::openapi())
});

static RESULTS: LazyLock<Value> = LazyLock::new(|| {
    let about = "What was found, what people say about it, and what changed. Errors are application/problem+json.";
    document("polder: detections and reviews", about, &results::Operations::openapi())
});

fn document(title: &str, about: &str, operations: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(operations).expect("an OpenAPI document is JSON");
    downgrade(&mut document);
    document["openapi"] = "3.0.3".into();
    document["info"] = json!({
        "title": title,
        "version": env!("CARGO_PKG_VERSION"),
        "description": about,
        "license": { "name": "MIT OR Apache-2.0" },
    });
    document["security"] = json!([{}, { "token": [] }]);
    describe(&mut document);
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    document
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/stac/api", get(stac_document)).route("/api", get(results_document))
}

async fn stac_document(Base(base): Base) -> Response {
    let mut document = STAC.clone();
    document["servers"] = json!([{ "url": format!("{base}/stac") }]);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response()
}

async fn results_document(Base(base): Base) -> Response {
    let mut document = RESULTS.clone();
    document["servers"] = json!([{ "url": format!("{base}/api") }]);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response()
}

/// Adds to every operation what is true of all: any other answer is a problem, and a parameter is never null.
fn describe(document: &mut Value) {
    let problem = json!({
        "description": "What went wrong",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    document["components"]["responses"] = json!({ "Problem": problem });
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operation) in paths.flat_map(|(_, operations)| operations.as_object_mut().into_iter().flatten()) {
        if let Some(responses) = operation["responses"].as_object_mut() {
            responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            unwrap_null(&mut parameter["schema"]);
        }
    }
}

/// `{allOf: [X], nullable: true}` and `{…, nullable: true}` without the null.
fn unwrap_null(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.remove("nullable").is_some()
        && let Some(Value::Array(mut all)) = members.remove("allOf")
        && let Some(only) = all.pop()
    {
        *schema = only;
    }
}

/// Turns the words of OpenAPI 3.1 into those of 3.0, in place.
fn downgrade(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(downgrade),
        Value::Object(members) => {
            downgrade_schema(members);
            members.values_mut().for_each(downgrade);
        }
        _ => {}
    }
}

fn downgrade_schema(schema: &mut Map<String, Value>) {
    // type: [T, null]  ->  type: T, nullable: true
    if let Some(types) = schema.get("type").and_then(Value::as_array).cloned() {
        let mut kinds = types.iter().filter(|kind| *kind != "null");
        if let (Some(kind), None) = (kinds.next(), kinds.next()) {
            schema.insert("type".to_owned(), kind.clone());
            schema.insert("nullable".to_owned(), true.into());
        }
    }
    // oneOf: [null, X]  ->  allOf: [X], nullable: true
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array).cloned() {
        let rest: Vec<Value> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
        if rest.len() < choices.len() {
            schema.remove("oneOf");
            schema.insert("allOf".to_owned(), rest.into());
            schema.insert("nullable".to_owned(), true.into());
        }
    }
    // In 3.0 a schema has one example; parameters and media types keep their named ones, which are objects.
    if let Some(Value::Array(examples)) = schema.get("examples").cloned() {
        schema.remove("examples");
        schema.insert("example".to_owned(), examples.into_iter().next().unwrap_or_default());
    }
    for (limit, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(number) = schema.get(limit).filter(|value| value.is_number()).cloned() {
            schema.insert(inclusive.to_owned(), number);
            schema.insert(limit.to_owned(), true.into());
        }
    }
    if let Some(value) = schema.remove("const") {
        schema.insert("enum".to_owned(), json!([value]));
    }
    schema.remove("propertyNames");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_openapi_3_0() {
        for (document, paths) in [(&STAC, 19), (&RESULTS, 6)] {
            let text = document.to_string();
            assert_eq!(document["openapi"], "3.0.3");
            for word in ["\"null\"", "\"const\"", "\"examples\":["] {
                assert!(!text.contains(word), "{word} is a word of 3.1");
            }
            assert_eq!(document["paths"].as_object().unwrap().len(), paths);
        }
    }

    #[test]
    fn no_operation_has_a_parameter_twice() {
        let paths = [&STAC, &RESULTS].map(|document| document["paths"].as_object().unwrap());
        for (path, operations) in paths.into_iter().flatten() {
            for (method, operation) in operations.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let mut names: Vec<&str> = parameters.map(|parameter| parameter["name"].as_str().unwrap()).collect();
                names.sort_unstable();
                assert!(names.is_sorted_by(|one, next| one != next), "{method} {path}: {names:?}");
            }
        }
    }

    #[test]
    fn a_word_of_3_1_becomes_one_of_3_0() {
        let mut schema = json!({
            "type": ["string", "null"], "examples": ["a"],
            "properties": { "b": { "oneOf": [{ "type": "null" }, { "$ref": "#/x" }] }, "c": { "exclusiveMinimum": 0 } },
        });
        downgrade(&mut schema);
        assert_eq!(
            schema,
            json!({
                "type": "string", "nullable": true, "example": "a",
                "properties": {
                    "b": { "allOf": [{ "$ref": "#/x" }], "nullable": true },
                    "c": { "exclusiveMinimum": true, "minimum": 0 },
                },
            })
        );
    }
}
