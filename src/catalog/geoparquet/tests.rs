//! Items written and read back: what comes back must be what was given.

use std::sync::{Arc, Mutex};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType, Field, TimeUnit};
use chrono::{DateTime, SecondsFormat};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    basic::LogicalType,
    file::metadata::{ParquetMetaData, RowGroupMetaData},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Columns, Error, Writer, columns::MERGE_PATCH};
use crate::catalog::summary::Kind;

#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn item(properties: Value) -> Value {
    json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/eo/v2.0.0/schema.json"],
        "id": "an item",
        "collection": "drone-ortho",
        "geometry": {"type": "Point", "coordinates": [5.123_456_789_012_345, 172.911_736_699_237_82]},
        "bbox": [5.1, 52.0, 5.1, 52.0],
        "properties": properties,
        "links": [{"rel": "collection", "href": "../collection.json", "type": "application/json"}],
        "assets": {"ortho": {"href": "s3://a/b.tif", "roles": ["data"], "file:size": 12}},
    })
}

fn with(mut item: Value, pointer: &str, value: Value) -> Value {
    *item.pointer_mut(pointer).unwrap() = value;
    item
}

/// Writes items of which the first `known` decide the columns.
fn written(columns: Columns, items: &[Value], known: usize) -> Vec<u8> {
    let texts: Vec<String> = items.iter().map(Value::to_string).collect();
    let mut writer = Writer::new(Vec::new(), columns);
    writer.write(&texts[..known]).unwrap();
    writer.start().unwrap();
    writer.write(&texts[known..]).unwrap();
    writer.finish().unwrap()
}

fn batches(file: Vec<u8>) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn metadata(file: &[u8]) -> Arc<ParquetMetaData> {
    let bytes = bytes::Bytes::copy_from_slice(file);
    assert_eq!(bytes.len() as u64, file.len() as u64);
    Arc::clone(ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().metadata())
}

fn key_value(file: &[u8], key: &str) -> Value {
    let metadata = metadata(file);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let value = pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()).unwrap();
    serde_json::from_str(&value).unwrap()
}

/// Reads the rows as a reader of stac-geoparquet does, without the patch, and with it.
fn rows(file: Vec<u8>) -> Vec<(Value, Value)> {
    let of_the_item =
        ["type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"];
    let mut rows = Vec::new();
    for batch in batches(file) {
        for row in 0..batch.num_rows() {
            let (mut item, mut properties, mut patch) = (Map::new(), Map::new(), json!({}));
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                match (field.name().as_str(), value(field, column, row)) {
                    (_, Value::Null) => {}
                    ("bbox", bbox) => {
                        let names = ["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"];
                        let numbers: Vec<&Value> = names.iter().filter_map(|name| bbox.get(*name)).collect();
                        item.insert("bbox".to_owned(), json!(numbers));
                    }
                    (MERGE_PATCH, value) => patch = value,
                    (name, value) if of_the_item.contains(&name) => _ = item.insert(name.to_owned(), value),
                    (name, value) => _ = properties.insert(name.to_owned(), value),
                }
            }
            item.insert("properties".to_owned(), Value::Object(properties));
            item.entry("assets").or_insert_with(|| json!({}));
            let item = Value::Object(item);
            rows.push((item.clone(), merged(item, &patch)));
        }
    }
    rows
}

fn value(field: &Field, column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 if field.extension_type_name() == Some("arrow.json") => {
            serde_json::from_str(column.as_string::<i32>().value(row)).unwrap()
        }
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            let time = DateTime::from_timestamp_micros(column.as_primitive::<TimestampMicrosecondType>().value(row));
            time.unwrap().to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
        }
        DataType::Binary => geometry(&mut column.as_binary::<i32>().value(row)),
        DataType::List(element) => {
            let values = column.as_list::<i32>().value(row);
            (0..values.len()).map(|row| value(element, &values, row)).collect()
        }
        DataType::Struct(fields) => {
            let members = fields.iter().zip(column.as_struct().columns());
            let members = members.map(|(field, column)| (field.name().clone(), value(field, column, row)));
            members.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => panic!("no column should be {other}"),
    }
}

/// Reads ISO WKB; a second opinion on what is written.
fn geometry(wkb: &mut &[u8]) -> Value {
    fn take<const N: usize>(wkb: &mut &[u8]) -> [u8; N] {
        let (head, tail) = wkb.split_first_chunk().unwrap();
        *wkb = tail;
        *head
    }
    fn list(wkb: &mut &[u8], read: &dyn Fn(&mut &[u8]) -> Value) -> Value {
        let count = u32::from_le_bytes(take(wkb));
        (0..count).map(|_| read(wkb)).collect()
    }
    assert_eq!(take(wkb), [1]);
    let number = u32::from_le_bytes(take(wkb));
    let places = if number > 1000 { 3 } else { 2 };
    let place = |wkb: &mut &[u8]| (0..places).map(|_| Value::from(f64::from_le_bytes(take(wkb)))).collect();
    let line = |wkb: &mut &[u8]| list(wkb, &place);
    let part = |wkb: &mut &[u8]| geometry(wkb)["coordinates"].take();
    let (name, coordinates) = match number % 1000 {
        1 => ("Point", place(wkb)),
        2 => ("LineString", line(wkb)),
        3 => ("Polygon", list(wkb, &line)),
        4 => ("MultiPoint", list(wkb, &part)),
        5 => ("MultiLineString", list(wkb, &part)),
        6 => ("MultiPolygon", list(wkb, &part)),
        _ => return json!({"type": "GeometryCollection", "geometries": list(wkb, &geometry)}),
    };
    json!({"type": name, "coordinates": coordinates})
}

/// RFC 7396, section 2.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let Value::Object(mut target) = target else { return merged(json!({}), &Value::Object(patch.clone())) };
    for (name, value) in patch {
        let old = target.shift_remove(name).unwrap_or_default();
        if !value.is_null() {
            target.insert(name.clone(), merged(old, value));
        }
    }
    Value::Object(target)
}

/// Returns the value without what stac-geoparquet does not promise: members that are null, 5 or 5.0, member order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(elements) => elements.iter().map(plain).collect(),
        Value::Number(number) if number.as_f64().is_some_and(|n| n.abs() <= 9e15) => number.as_f64().into(),
        value => value.clone(),
    }
}

#[track_caller]
fn come_back(columns: Columns, items: &[Value], known: usize) -> Vec<u8> {
    let file = written(columns, items, known);
    let rows = rows(file.clone());
    assert_eq!(rows.len(), items.len());
    for (given, (_, read)) in items.iter().zip(rows) {
        assert_eq!(plain(&read), plain(given));
    }
    file
}

/// Items that differ in every way in which items do.
fn motley() -> Vec<Value> {
    let day = json!({"datetime": "2025-06-23T10:00:00Z"});
    let ring = json!([[5.0, 52.0, 1.5], [6.0, 52.0, 2.0], [6.0, 53.0, 1.0], [5.0, 52.0, 1.5]]);
    let mut without_place = with(item(day.clone()), "/geometry", Value::Null);
    without_place.as_object_mut().unwrap().remove("bbox");
    let spanning = json!({
        "datetime": null, "start_datetime": "2025-06-23T10:00:00.123456Z", "end_datetime": "2025-06-24T00:00:00Z",
    });
    let rich = json!({
        "datetime": "1899-12-31T23:59:59.500Z",
        "created": "2025-06-23T10:00:00Z",
        "title": "Dijk bij Tiel 🌊 naïef",
        "gsd": 0.02,
        "proj:epsg": 28992,
        "proj:shape": [100, 200],
        "proj:transform": [0.5, 0, 100_000, 0, -0.5, 400_000],
        "proj:geometry": {"type": "Polygon", "coordinates": [ring]},
        "empty": [],
        "nothing": {},
        "holes": [1, null, 3],
        "providers": [{"name": "a", "roles": ["host"]}, {"name": "b", "url": "https://b.example"}],
        "storage:schemes": {"a": {"type": "custom-s3", "platform": "http://a", "region": "local"}},
        "flag": true,
    });
    let solid = with(item(day.clone()), "/geometry", json!({"type": "Polygon", "coordinates": [ring]}));
    let bands =
        json!({"href": "s3://a/c.tif", "bands": [{"name": "red", "statistics": {"mean": 1.5}}, {"name": "nir"}]});
    vec![
        item(day.clone()),
        without_place,
        item(spanning),
        item(rich),
        solid,
        with(item(day.clone()), "/assets", json!({})),
        with(item(day.clone()), "/assets", json!({"ortho": bands, "dsm": {"href": "d", "nodata": -9999}})),
        with(
            item(day),
            "/links",
            json!([{"rel": "next", "href": "x", "method": "POST", "body": {"token": "t"}}, {"rel": "self", "href": "y"}]),
        ),
    ]
}

#[test]
fn items_that_the_columns_fit_come_back_without_a_patch() {
    let items = motley();
    let rows = rows(come_back(Columns::default(), &items, items.len()));
    for (given, (read, _)) in items.iter().zip(rows) {
        assert_eq!(plain(&read), plain(given));
    }
}

#[test]
fn items_that_come_after_the_columns_were_decided_come_back_too() {
    let items = motley();
    for known in 0..items.len() {
        come_back(Columns::default(), &items, known);
    }
}

#[test]
fn what_does_not_fit_its_column_is_in_the_patch() {
    let first = item(json!({"datetime": "2025-06-23T10:00:00Z", "gsd": 1, "name": "a", "tags": ["a"], "at": {"x": 1}}));
    let odd = json!({
        "datetime": "2025-06-23T10:00:00.123456789+02:00",
        "created": "yesterday",
        "gsd": 1.5, "name": 7, "tags": ["b", 2], "at": {"x": 1, "y": 2},
        "id": "not the id", "links": "no links", "new": {"a": [1, {"b": null}]},
        MERGE_PATCH: "mine", "": 1, "hash": u64::MAX, "huge": 9_007_199_254_740_993_i64,
    });
    let mut odd = item(odd);
    odd["beside"] = json!({"the": "rules"});
    odd["geometry"]["crs"] = json!("some");
    odd["assets"]["ortho"]["title"] = json!("Orthophoto");
    odd["assets"]["ortho"]["gsd"] = json!(3);
    odd["assets"]["thumbnail"] = json!({"href": "t"});
    let items = [first, odd];
    let file = come_back(Columns::default(), &items, 1);
    // What fits is in its column all the same.
    let (read, _) = &rows(file)[1];
    assert_eq!(read["properties"]["datetime"], "2025-06-23T08:00:00.123456Z");
    assert_eq!(read["properties"]["tags"], json!(["b", null]));
    assert_eq!(read["assets"]["ortho"]["title"], "Orthophoto");
    assert_eq!(read["id"], "an item");
}

#[test]
fn a_summary_says_what_the_first_items_do_not() {
    let properties = [
        ("gsd", vec![Kind::Integer, Kind::Number]),
        ("odd", vec![Kind::String, Kind::Integer]),
        ("tags", vec![Kind::Array]),
        ("proj:shape", vec![Kind::Array]),
        ("updated", vec![Kind::Time]),
    ];
    let columns = Columns::new(properties, ["ortho", "dsm"]);
    let first = item(json!({"datetime": "2025-06-23T10:00:00Z", "gsd": 1, "proj:shape": [1, 2]}));
    let later = json!({
        "datetime": "2025-06-23T10:00:00Z", "gsd": 0.5, "odd": 5, "tags": ["a"], "updated": "2025-06-24T10:00:00Z",
    });
    let later =
        with(item(later), "/assets", json!({"dsm": {"href": "d.tif", "roles": ["data"], "type": "image/tiff"}}));
    let file = come_back(columns, &[first, later], 1);
    let schema = batches(file.clone())[0].schema();
    let data_type = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(data_type("gsd"), DataType::Float64);
    assert_eq!(data_type("updated"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert!(matches!(data_type("proj:shape"), DataType::List(_)));
    for name in ["odd", "tags"] {
        assert_eq!(schema.field_with_name(name).unwrap().extension_type_name(), Some("arrow.json"));
    }
    assert!(rows(file).iter().all(|(read, whole)| read == whole), "nothing should need the patch");
}

#[test]
fn parquet_readers_see_what_is_json_and_what_is_a_time() {
    let items = [item(json!({"datetime": "2025-06-23T10:00:00Z", "odd": [1, "a", {}]})), item(json!({"odd": 1}))];
    let file = written(Columns::default(), &items, 2);
    let metadata = metadata(&file);
    let columns = metadata.file_metadata().schema_descr().columns().to_vec();
    let logical = |name: &str| columns.iter().find(|c| c.path().string() == name).unwrap().logical_type_ref().cloned();
    assert_eq!(logical("odd"), Some(LogicalType::Json));
    assert_eq!(logical(MERGE_PATCH), Some(LogicalType::Json));
    assert!(matches!(logical("datetime"), Some(LogicalType::Timestamp { is_adjusted_to_u_t_c: true, .. })));
    assert_eq!(logical("geometry"), None);
}

#[test]
fn the_file_says_where_its_items_are_and_what_they_belong_to() {
    let mut writer = Writer::new(Vec::new(), Columns::default());
    writer.add_collection("drone-ortho", json!({"type": "Collection", "id": "drone-ortho"}));
    writer.write(&motley().iter().map(Value::to_string).collect::<Vec<_>>()).unwrap();
    let file = writer.finish().unwrap();
    let geo = key_value(&file, "geo");
    let column = &geo["columns"]["geometry"];
    assert_eq!([&geo["version"], &geo["primary_column"]], ["1.1.0", "geometry"]);
    assert_eq!(column["geometry_types"], json!(["Point", "Polygon Z"]));
    assert_eq!(column["bbox"], json!([5.0, 52.0, 1.0, 6.0, 172.911_736_699_237_82, 2.0]));
    assert_eq!(column["covering"]["bbox"]["xmax"], json!(["bbox", "xmax"]));
    let stac = json!({"version": "1.1.0", "collections": {"drone-ortho": {"type": "Collection", "id": "drone-ortho"}}});
    assert_eq!(key_value(&file, "stac-geoparquet"), stac);
}

#[test]
fn boxes_have_heights_where_all_have_them() {
    let solid = with(item(json!({})), "/bbox", json!([5.0, 52.0, 1.0, 6.0, 53.0, 2.0]));
    let covering = |file: &[u8]| key_value(file, "geo")["columns"]["geometry"]["covering"]["bbox"].take();
    let file = come_back(Columns::default(), &[solid.clone(), solid.clone()], 2);
    assert_eq!(covering(&file)["zmax"], json!(["bbox", "zmax"]));
    assert!(rows(file).iter().all(|(read, whole)| read == whole), "nothing should need the patch");
    let file = come_back(Columns::default(), &[solid, item(json!({}))], 2);
    assert_eq!(covering(&file).get("zmax"), None);
}

#[test]
fn items_without_assets_need_neither_a_column_nor_a_patch() {
    let file = written(Columns::default(), &[with(item(json!({})), "/assets", json!({}))], 1);
    assert!(batches(file.clone())[0].column_by_name("assets").is_none());
    assert!(rows(file).iter().all(|(read, whole)| read == whole), "nothing should need the patch");
}

#[test]
fn no_items_are_a_table_without_rows() {
    let file = Writer::new(Vec::new(), Columns::new([("gsd", [Kind::Number])], ["ortho"])).finish().unwrap();
    assert_eq!(metadata(&file).file_metadata().num_rows(), 0);
    assert_eq!(key_value(&file, "geo")["columns"]["geometry"]["geometry_types"], json!([]));
}

#[test]
fn thousands_of_names_stay_few_columns() {
    let items: Vec<Value> = (0..600)
        .map(|i| {
            let mut own = item(json!({"datetime": "2025-06-23T10:00:00Z", format!("property {i}"): i}));
            own["assets"] = json!({format!("image {i}"): {"href": "x", "roles": ["data"]}});
            own["properties"]["dictionary"] = json!({format!("key {i}"): i});
            own["properties"]["wide"] = (0..60).map(|k| (format!("{k}"), json!({"a": k, "b": k}))).collect();
            own
        })
        .collect();
    let file = come_back(Columns::default(), &items, items.len());
    assert!(metadata(&file).file_metadata().schema_descr().num_columns() < 650);
}

#[test]
fn bytes_leave_while_items_come_and_row_groups_are_cut_by_size() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let out = Shared::default();
    let mut writer = Writer::new(out.clone(), Columns::default());
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    };
    let mut noise = || (0..30).map(|_| random()).collect::<String>();
    for _ in 0..50 {
        let items: Vec<String> = (0..1000).map(|_| item(json!({"title": noise()})).to_string()).collect();
        writer.write(&items).unwrap();
    }
    assert!(out.0.lock().unwrap().len() > 100_000, "nothing left before the end");
    writer.finish().unwrap();
    let file = out.0.lock().unwrap().clone();
    let groups: Vec<i64> = metadata(&file).row_groups().iter().map(RowGroupMetaData::compressed_size).collect();
    assert!(groups.len() >= 3, "{groups:?}");
    assert!(groups.iter().all(|&bytes| bytes < 6 << 20), "{groups:?}");
}

#[test]
fn a_text_that_is_no_item_is_named_by_its_row() {
    let good = item(json!({})).to_string();
    let mut writer = Writer::new(Vec::new(), Columns::default());
    writer.write(&[good.as_str(), "[]"]).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Item { row: 1, .. })));
}

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let text = prop_oneof![".{0,6}", Just("2025-06-23T10:00:00Z".to_owned())];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text.prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_the_properties_and_assets_are_they_come_back(
        properties in prop::collection::vec(prop::collection::vec(("[abcd]|created|proj:geometry", any_json()), 0..5), 1..8),
        assets in prop::collection::vec(any_json(), 8),
        known in 0_usize..8,
    ) {
        let items: Vec<Value> = properties
            .into_iter()
            .zip(assets)
            .map(|(properties, asset)| {
                let own = item(properties.into_iter().collect::<Map<_, _>>().into());
                with(own, "/assets", json!({"a": asset}))
            })
            .collect();
        come_back(Columns::default(), &items, known.min(items.len()));
    }
}
