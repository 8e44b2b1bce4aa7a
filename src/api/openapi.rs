//! The OpenAPI documents, and a plain page that shows them.
//!
//! utoipa writes OpenAPI 3.1; what STAC's media type and the class `oas30` name is 3.0. The words that differ are
//! turned back here.

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::{AppState, base::Base, catalog::Operations, start::escaped};

const MEDIA_TYPE: &str = "application/vnd.oai.openapi+json;version=3.0";

static STAC: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Operations::openapi()).expect("an OpenAPI document is JSON");
    downgrade(&mut document);
    document["openapi"] = "3.0.3".into();
    document["info"] = json!({
        "title": "polder: STAC API",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Drone photos, orthophotos, detections and models. Errors are application/problem+json.",
        "license": { "name": "MIT OR Apache-2.0" },
    });
    document["security"] = json!([{}, { "token": [] }]);
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    document
});

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/stac/api", get(stac_document)).route("/stac/api.html", get(stac_page))
}

async fn stac_document(Base(base): Base) -> Response {
    let mut document = STAC.clone();
    document["servers"] = json!([{ "url": format!("{base}/stac") }]);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response()
}

async fn stac_page(Base(base): Base) -> Html<String> {
    let mut rows = String::new();
    let paths = STAC["paths"].as_object().into_iter().flatten();
    for (path, method, operation) in paths.flat_map(|(path, operations)| {
        operations.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    }) {
        rows.push_str(&operation_html(path, method, operation));
    }
    let base = escaped(&base);
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>polder: STAC API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body><main>\
         <p><a href=\"{base}/\">polder</a></p><h1>STAC API</h1>\
         <p>Starts at <a href=\"{base}/stac\">{base}/stac</a>. The same as a document for programs: \
         <a href=\"{base}/stac/api\">OpenAPI 3.0</a>. Errors are <code>application/problem+json</code>.</p>\
         {rows}</main></body></html>",
        super::start::STYLE
    ))
}

fn operation_html(path: &str, method: &str, operation: &Value) -> String {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
        format!(
            "<dt><code>{}</code> ({})</dt><dd>{}</dd>",
            text(&parameter["name"]),
            text(&parameter["in"]),
            text(&parameter["description"])
        )
    });
    let answers = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(status, answer)| format!("<dt>{}</dt><dd>{}</dd>", escaped(status), text(&answer["description"])));
    format!(
        "<section><h2><code>{} {}</code></h2><p>{}</p><dl>{}</dl><h3>Answers</h3><dl>{}</dl></section>",
        escaped(&method.to_uppercase()),
        escaped(path),
        text(&operation["summary"]),
        parameters.collect::<String>(),
        answers.collect::<String>()
    )
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
        let text = STAC.to_string();
        assert_eq!(STAC["openapi"], "3.0.3");
        for word in ["\"null\"", "\"const\"", "\"examples\":["] {
            assert!(!text.contains(word), "{word} is a word of 3.1");
        }
        assert_eq!(STAC["paths"].as_object().unwrap().len(), 7);
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
