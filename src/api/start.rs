//! The start page: what there is, and where it is. Made on the server; it works without a script.

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::{AppState, access::Reader, base::Base, problem::Problem};
use crate::{
    catalog::{Layer, percent_encoded},
    database::{CollectionRow, Database, FlightRow, ItemRow, Result},
};

/// The page is a glance, not a catalog.
const FLIGHTS: i64 = 50;

const STYLE: &str = include_str!("start.css");

pub(super) async fn start(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
) -> std::result::Result<Response, Problem> {
    let database = &state.database;
    // Who sees a part of the catalog sees neither the latest of all flights nor their names.
    let (picture, flights) = match reader.filter() {
        None => (find_picture(database).await?, database.list_flights(FLIGHTS).await?),
        Some(_) => (None, Vec::new()),
    };
    let collections = database.list_collections().await?;
    let page = page(&escaped(&base), picture.as_ref(), &flights, &collections);
    // No script runs here, and pictures may come from the object store by redirect.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src *; base-uri 'none'; frame-ancestors 'self'";
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response())
}

/// A picture in the catalog: the item, the name of its asset, and what it shows.
struct Picture {
    item: ItemRow,
    asset: &'static str,
    shows: String,
}

/// Returns the latest orthophoto with its detections drawn; without one, the latest orthophoto.
async fn find_picture(database: &Database) -> Result<Option<Picture>> {
    for (layer, asset) in [(Layer::Results, "annotated"), (Layer::Ortho, "thumbnail")] {
        let Some(row) = database.find_latest_item(layer, None).await? else { continue };
        if row.text.find_asset(asset)?.is_none() {
            continue;
        }
        let item = row.item()?;
        let title = item.properties.title.clone().unwrap_or_else(|| item.id.clone());
        let shows = match item.properties.additional_fields.get("polder:detections").and_then(serde_json::Value::as_u64)
        {
            Some(1) => format!("{title}: 1 detection"),
            Some(count) => format!("{title}: {count} detections"),
            None => title,
        };
        return Ok(Some(Picture { item: row, asset, shows }));
    }
    Ok(None)
}

fn page(base: &str, picture: Option<&Picture>, flights: &[FlightRow], collections: &[CollectionRow]) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>polder</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <header><h1>polder</h1><p>From drone photos of a dike to an orthophoto, detections and a STAC catalog.</p></header>\
         <main>{}{}{}{}</main></body></html>\n",
        picture.map(|picture| picture_html(base, picture)).unwrap_or_default(),
        flights_html(base, flights),
        collections_html(base, collections),
        doors_html(base),
    )
}

fn picture_html(base: &str, picture: &Picture) -> String {
    let (collection, id) = (percent_encoded(&picture.item.collection), percent_encoded(&picture.item.id));
    let shows = escaped(&picture.shows);
    format!(
        "<figure><a href=\"{base}/stac/collections/{collection}/items/{id}\">\
         <img src=\"{base}/assets/{collection}/{id}/{}\" alt=\"{shows}\"></a><figcaption>{shows}</figcaption></figure>",
        picture.asset
    )
}

fn flights_html(base: &str, flights: &[FlightRow]) -> String {
    if flights.is_empty() {
        let command = "polder upload PHOTOS --project dijk-a --flight flight-2025";
        return format!("<section><h2>Flights</h2><p>None yet. Upload one: <code>{command}</code></p></section>");
    }
    let row = |flight: &FlightRow| {
        let first = flight.first.map(|time| time.format("%Y-%m-%d").to_string()).unwrap_or_default();
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{first}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escaped(&flight.project),
            escaped(&flight.flight),
            flight.photos,
            flight.orthophotos,
            flight.detections
        )
    };
    format!(
        "<section><h2>Flights</h2><div class=\"wide\"><table><thead><tr><th scope=\"col\">Project</th><th scope=\"col\">Flight</th>\
         <th scope=\"col\">Flown</th><th scope=\"col\" class=\"n\">Photos</th><th scope=\"col\" class=\"n\">Orthophotos</th>\
         <th scope=\"col\" class=\"n\">Detections</th></tr></thead><tbody>{}</tbody></table></div>\
         <p><a href=\"{base}/stac/search?limit=100\">All items, newest first</a></p></section>",
        flights.iter().map(row).collect::<String>()
    )
}

fn collections_html(base: &str, collections: &[CollectionRow]) -> String {
    let entry = |row: &CollectionRow| {
        let text = |field: &str| escaped(row.body.get(field).and_then(serde_json::Value::as_str).unwrap_or_default());
        let id = percent_encoded(&row.id);
        format!(
            "<li><a href=\"{base}/stac/collections/{id}/items\">{}</a> <span class=\"n\">{}</span><br><small>{}</small></li>",
            text("title"),
            row.summary.items,
            text("description")
        )
    };
    format!("<section><h2>Collections</h2><ul>{}</ul></section>", collections.iter().map(entry).collect::<String>())
}

fn doors_html(base: &str) -> String {
    format!(
        "<section><h2>For programs</h2><ul>\
         <li><a href=\"{base}/stac\">STAC API</a><br><small>for QGIS, pystac-client, stac-browser</small></li>\
         <li><a href=\"{base}/stac/api.html\">Documentation of the API</a> · <a href=\"{base}/stac/api\">OpenAPI</a></li>\
         <li><a href=\"{base}/stac/search\">Search</a></li>\
         <li><a href=\"{base}/readyz\">Health</a></li></ul></section>"
    )
}

/// Writes text so that HTML shows it and does nothing else with it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
