//! One column of the table while it is filled, and the table.

use std::{mem, sync::Arc};

use arrow_array::{
    ArrayRef, Float64Array, ListArray, RecordBatch, StructArray,
    builder::{
        ArrayBuilder as _, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Timelike};
use serde_json::{Map, Value, json};

use super::{
    columns::MERGE_PATCH,
    shape::Shape,
    wkb::{self, Extent},
};

/// Integers up to which every one is a float (2⁵³).
const LARGEST_EXACT: u64 = 1 << 53;

/// A column and the values that are in it but not yet written.
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
    Json(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Geometry(BinaryBuilder, Box<Extent>),
    /// Rows of `xmin`, `ymin`, `xmax`, `ymax`, or with `zmin` and `zmax` between and behind.
    Bbox(Box<[Float64Builder]>, NullBufferBuilder),
    List {
        element: Box<Column>,
        ends: Vec<i32>,
        valid: NullBufferBuilder,
    },
    Struct(Vec<(String, Column)>, NullBufferBuilder),
}

impl Column {
    pub fn new(shape: Shape) -> Self {
        match shape {
            Shape::Boolean => Self::Boolean(BooleanBuilder::new()),
            Shape::Integer => Self::Integer(Int64Builder::new()),
            Shape::Number => Self::Number(Float64Builder::new()),
            // Also for arrays of which all so far are empty.
            Shape::Text | Shape::Unknown => Self::Text(StringBuilder::new()),
            Shape::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Shape::Geometry => Self::Geometry(BinaryBuilder::new(), Box::default()),
            Shape::List(element) => {
                Self::List { element: Box::new(Self::new(*element)), ends: vec![0], valid: NullBufferBuilder::new(0) }
            }
            Shape::Struct(members) => {
                let known = members.0.into_iter().filter(|(name, shape)| *shape != Shape::Unknown && !name.is_empty());
                let columns: Vec<_> = known.map(|(name, shape)| (name, Self::new(shape))).collect();
                // Parquet has no struct without members.
                if columns.is_empty() { Self::Json(StringBuilder::new()) } else { Self::structure(columns) }
            }
            Shape::Array | Shape::Object | Shape::Json => Self::Json(StringBuilder::new()),
        }
    }

    pub fn structure(members: Vec<(String, Self)>) -> Self {
        Self::Struct(members, NullBufferBuilder::new(0))
    }

    pub fn bbox(has_heights: bool) -> Self {
        Self::Bbox(bbox_names(has_heights).iter().map(|_| Float64Builder::new()).collect(), NullBufferBuilder::new(0))
    }

    /// Appends as much of a value as the column can hold, and returns the rest: nothing, or what is to be merged into
    /// the value as it is read back (RFC 7396).
    pub fn append(&mut self, value: &Value) -> Option<Value> {
        let whole = || Some(value.clone());
        match (self, value) {
            (column, Value::Null) => {
                column.append_null();
                None
            }
            (Self::Json(builder), value) => {
                builder.append_value(value.to_string());
                None
            }
            (Self::Boolean(builder), Value::Bool(boolean)) => {
                builder.append_value(*boolean);
                None
            }
            (Self::Text(builder), Value::String(text)) => {
                builder.append_value(text);
                None
            }
            (Self::Integer(builder), Value::Number(number)) => {
                let whole_float = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= LARGEST_EXACT as f64);
                let integer = number.as_i64().or(if number.is_f64() { whole_float.map(|n| n as i64) } else { None });
                builder.append_option(integer);
                if integer.is_none() { whole() } else { None }
            }
            (Self::Number(builder), Value::Number(number)) => {
                builder.append_option(number.as_f64());
                let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
                if size > Some(LARGEST_EXACT) { whole() } else { None }
            }
            (Self::Time(builder), Value::String(text)) => {
                let time = DateTime::parse_from_rfc3339(text).ok();
                builder.append_option(time.map(|time| time.timestamp_micros()));
                // More decimals than a timestamp has, or a leap second.
                let is_exact = |time: &DateTime<_>| time.nanosecond() % 1000 == 0 && time.nanosecond() < 1_000_000_000;
                if time.as_ref().is_some_and(is_exact) { None } else { whole() }
            }
            (Self::Geometry(builder, extent), value) => {
                let mut bytes = Vec::new();
                let rest = wkb::write(&mut bytes, extent, value);
                builder.append_option((!bytes.is_empty()).then_some(bytes));
                rest
            }
            (Self::Bbox(builders, valid), value) => {
                let exact = append_bbox(builders, valid, value);
                if exact { None } else { whole() }
            }
            (Self::List { element, ends, valid }, Value::Array(values)) => {
                let rests = values.iter().filter(|value| element.append(value).is_some()).count();
                ends.push(ends.last().copied().unwrap_or_default() + values.len() as i32);
                valid.append_non_null();
                // A merge patch replaces arrays as a whole.
                if rests > 0 { whole() } else { None }
            }
            (Self::Struct(members, valid), Value::Object(object)) => {
                valid.append_non_null();
                object_of(append_members(members, object))
            }
            (column, _) => {
                column.append_null();
                whole()
            }
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Number(builder) => builder.append_null(),
            Self::Text(builder) | Self::Json(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Geometry(builder, _) => builder.append_null(),
            Self::Bbox(builders, valid) => {
                builders.iter_mut().for_each(Float64Builder::append_null);
                valid.append_null();
            }
            Self::List { ends, valid, .. } => {
                ends.push(ends.last().copied().unwrap_or_default());
                valid.append_null();
            }
            Self::Struct(members, valid) => {
                for (_, column) in members.iter_mut() {
                    column.append_null();
                }
                valid.append_null();
            }
        }
    }

    /// Returns the values and starts anew.
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Text(builder) | Self::Json(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Geometry(builder, _) => Arc::new(builder.finish()),
            Self::Bbox(builders, valid) => {
                let columns: Vec<Float64Array> = builders.iter_mut().map(Float64Builder::finish).collect();
                let columns = columns.into_iter().map(|column| Arc::new(column) as ArrayRef).collect();
                Arc::new(StructArray::new(bbox_fields(builders.len()), columns, valid.finish()))
            }
            Self::List { element, ends, valid } => {
                let values = element.finish();
                let offsets = OffsetBuffer::new(ScalarBuffer::from(mem::replace(ends, vec![0])));
                Arc::new(ListArray::new(Arc::new(element.field("element")), offsets, values, valid.finish()))
            }
            Self::Struct(members, valid) => {
                let fields = fields(members);
                let columns = members.iter_mut().map(|(_, column)| column.finish()).collect();
                Arc::new(StructArray::new(fields, columns, valid.finish()))
            }
        }
    }

    fn field(&self, name: &str) -> Field {
        let marked = |data_type: DataType, extension: &str, metadata: Value| {
            Field::new(name, data_type, true).with_metadata(
                [("ARROW:extension:name", extension.to_owned()), ("ARROW:extension:metadata", metadata.to_string())]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into(),
            )
        };
        let data_type = match self {
            Self::Boolean(_) => DataType::Boolean,
            Self::Integer(_) => DataType::Int64,
            Self::Number(_) => DataType::Float64,
            Self::Text(_) => DataType::Utf8,
            Self::Json(_) => return marked(DataType::Utf8, "arrow.json", json!({})),
            Self::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Geometry(..) => DataType::Binary,
            Self::Bbox(builders, _) => DataType::Struct(bbox_fields(builders.len())),
            Self::List { element, .. } => DataType::List(Arc::new(element.field("element"))),
            Self::Struct(members, _) => DataType::Struct(fields(members)),
        };
        Field::new(name, data_type, true)
    }
}

fn fields(members: &[(String, Column)]) -> Fields {
    members.iter().map(|(name, column)| column.field(name)).collect()
}

fn bbox_fields(numbers: usize) -> Fields {
    bbox_names(numbers == 6).iter().map(|&name| Field::new(name, DataType::Float64, true)).collect()
}

/// Returns the names of the numbers of a bbox, in its order.
pub(super) fn bbox_names(has_heights: bool) -> &'static [&'static str] {
    if has_heights { &["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"] } else { &["xmin", "ymin", "xmax", "ymax"] }
}

/// Appends a bbox of 4 or 6 numbers, and returns whether the column holds all of it.
fn append_bbox(builders: &mut [Float64Builder], valid: &mut NullBufferBuilder, value: &Value) -> bool {
    let numbers: Option<Vec<f64>> = value.as_array().and_then(|array| array.iter().map(Value::as_f64).collect());
    let (flat, heights) = match numbers.as_deref() {
        Some(&[west, south, east, north]) => ([west, south, east, north], None),
        Some(&[west, south, low, east, north, high]) => ([west, south, east, north], Some([low, high])),
        _ => {
            builders.iter_mut().for_each(Float64Builder::append_null);
            valid.append_null();
            return false;
        }
    };
    let [west, south, east, north] = flat;
    valid.append_non_null();
    if builders.len() == 4 {
        builders.iter_mut().zip(flat).for_each(|(builder, number)| builder.append_value(number));
        return heights.is_none();
    }
    let [low, high] = [heights.map(|[low, _]| low), heights.map(|[_, high]| high)];
    let row = [Some(west), Some(south), low, Some(east), Some(north), high];
    builders.iter_mut().zip(row).for_each(|(builder, number)| builder.append_option(number));
    true
}

/// Appends an object to the columns of its members, and returns what they cannot hold.
fn append_members(columns: &mut [(String, Column)], object: &Map<String, Value>) -> Map<String, Value> {
    let mut rest = Map::new();
    let mut found = 0;
    for (name, column) in columns.iter_mut() {
        let value = object.get(name);
        found += usize::from(value.is_some());
        rest.extend(column.append(value.unwrap_or(&Value::Null)).map(|rest| (name.clone(), rest)));
    }
    if found < object.len() {
        let unknown = |name: &str| columns.iter().all(|(known, _)| known != name);
        let others = object.iter().filter(|(name, value)| !value.is_null() && unknown(name));
        rest.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    }
    rest
}

fn object_of(members: Map<String, Value>) -> Option<Value> {
    (!members.is_empty()).then_some(Value::Object(members))
}

/// All columns: those of the item itself, those of its properties, and the patch that makes a row whole.
pub(super) struct Table {
    item: Vec<(String, Column)>,
    properties: Vec<(String, Column)>,
    patch: StringBuilder,
    has_assets: bool,
}

impl Table {
    pub fn new(item: Vec<(String, Column)>, properties: Vec<(String, Column)>) -> Self {
        let has_assets = item.iter().any(|(name, _)| name == "assets");
        Self { item, properties, patch: StringBuilder::new(), has_assets }
    }

    pub fn append(&mut self, mut item: Map<String, Value>) {
        let properties = item.shift_remove("properties").unwrap_or_default();
        // What readers take an item without this column to have.
        if !self.has_assets && item.get("assets") == Some(&json!({})) {
            item.shift_remove("assets");
        }
        let mut rest = append_members(&mut self.item, &item);
        let no_members = Map::new();
        let of_properties = append_members(&mut self.properties, properties.as_object().unwrap_or(&no_members));
        let of_properties =
            if properties.is_object() || properties.is_null() { object_of(of_properties) } else { Some(properties) };
        rest.extend(of_properties.map(|rest| ("properties".to_owned(), rest)));
        self.patch.append_option(object_of(rest).map(|rest| rest.to_string()));
    }

    /// Returns the rows since the last time.
    pub fn finish(&mut self, schema: &SchemaRef) -> RecordBatch {
        let columns = self.item.iter_mut().chain(&mut self.properties).map(|(_, column)| column.finish());
        let mut columns: Vec<ArrayRef> = columns.collect();
        columns.push(Arc::new(self.patch.finish()));
        RecordBatch::try_new(Arc::clone(schema), columns).expect("columns know their fields")
    }

    pub fn schema(&self) -> Schema {
        let columns = self.item.iter().chain(&self.properties);
        let mut fields: Vec<Field> = columns.map(|(name, column)| column.field(name)).collect();
        fields.push(Column::Json(StringBuilder::new()).field(MERGE_PATCH));
        Schema::new(fields)
    }

    pub fn rows(&self) -> usize {
        self.patch.len()
    }

    /// Returns whether boxes have a lowest and a highest height.
    pub fn has_heights(&self) -> bool {
        self.item.iter().any(|(_, column)| matches!(column, Column::Bbox(numbers, _) if numbers.len() == 6))
    }

    /// Returns what the geometries written so far are together.
    pub fn extent(&self) -> Extent {
        let geometry = self.item.iter().find_map(|(_, column)| match column {
            Column::Geometry(_, extent) => Some(&**extent),
            _ => None,
        });
        geometry.cloned().unwrap_or_default()
    }
}
