//! Writes a filter as CQL2 JSON and as CQL2 text, such that reading it gives the same filter.
//!
//! One thing CQL2 text cannot say: an array of one array. It comes out as the inner one.

use serde_json::{Map, Value, json};

use super::{
    expression::Expr,
    geometry::Geometry,
    operator::{Arithmetic, Operator},
};

/// Writes CQL2 JSON.
pub(super) fn json(expr: &Expr) -> Value {
    match expr {
        Expr::Operation { operator, arguments } => {
            json!({"op": operator.name(), "args": arguments.iter().map(json).collect::<Vec<_>>()})
        }
        Expr::Property(name) => json!({"property": name}),
        Expr::Text(text) => Value::from(text.as_str()),
        Expr::Number(number) => Value::Number(number.clone()),
        Expr::Bool(value) => Value::Bool(*value),
        Expr::Date(date) => json!({"date": date}),
        Expr::Timestamp(timestamp) => json!({"timestamp": timestamp}),
        Expr::Interval(ends) => json!({"interval": ends.iter().map(json).collect::<Vec<_>>()}),
        Expr::Array(elements) => elements.iter().map(json).collect(),
        Expr::Geometry(geometry) => match geometry.written_bbox() {
            Some(numbers) => json!({"bbox": numbers}),
            None => geometry.geojson().clone(),
        },
    }
}

/// Writes CQL2 text. Operations within operations stand in parentheses, so that nobody needs to know which is tighter.
pub(super) fn text(expr: &Expr) -> String {
    match expr {
        Expr::Operation { operator, arguments } => operation(*operator, arguments),
        Expr::Property(name) => format!("\"{}\"", name.replace('"', "\"\"")),
        Expr::Text(text) => quoted(text),
        Expr::Number(number) => number.to_string(),
        Expr::Bool(value) => value.to_string().to_uppercase(),
        Expr::Date(date) => format!("DATE({})", quoted(date)),
        Expr::Timestamp(timestamp) => format!("TIMESTAMP({})", quoted(timestamp)),
        Expr::Interval(ends) => format!("INTERVAL({}, {})", text(&ends[0]), text(&ends[1])),
        Expr::Array(elements) => match &elements[..] {
            // Alone in parentheses it would be the property itself; to a set, twice is once.
            [Expr::Property(_)] => format!("({0}, {0})", text(&elements[0])),
            _ => format!("({})", joined(elements, ", ")),
        },
        Expr::Geometry(geometry) => wkt(geometry),
    }
}

fn operation(operator: Operator, arguments: &[Expr]) -> String {
    let operand = |i: usize| parenthesized(&arguments[i]);
    let name = operator.name().to_uppercase();
    match operator {
        Operator::And | Operator::Or => {
            arguments.iter().map(parenthesized).collect::<Vec<_>>().join(&format!(" {name} "))
        }
        Operator::Not => match &arguments[0] {
            again @ Expr::Operation { operator: Operator::Not, .. } => format!("NOT {}", text(again)),
            other => format!("NOT {}", parenthesized(other)),
        },
        Operator::IsNull => format!("{} IS NULL", operand(0)),
        Operator::Between => format!("{} BETWEEN {} AND {}", operand(0), operand(1), operand(2)),
        Operator::In => match &arguments[1] {
            Expr::Array(list) => format!("{} IN ({})", operand(0), joined(list, ", ")),
            other => format!("{} IN {}", operand(0), text(other)),
        },
        Operator::Arithmetic(Arithmetic::IntegerDivide) => format!("{} div {}", operand(0), operand(1)),
        Operator::Compare(_) | Operator::Like | Operator::Arithmetic(_) => {
            format!("{} {name} {}", operand(0), operand(1))
        }
        _ => format!("{name}({})", joined(arguments, ", ")),
    }
}

fn parenthesized(expr: &Expr) -> String {
    match expr {
        Expr::Operation { operator, .. } if !operator.is_function() => format!("({})", text(expr)),
        _ => text(expr),
    }
}

fn joined(all: &[Expr], separator: &str) -> String {
    all.iter().map(text).collect::<Vec<_>>().join(separator)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn wkt(geometry: &Geometry) -> String {
    match geometry.written_bbox() {
        Some(numbers) => format!("BBOX({})", numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")),
        None => tagged(geometry.geojson().as_object().unwrap_or(&Map::new())),
    }
}

fn tagged(members: &Map<String, Value>) -> String {
    let tag = members.get("type").and_then(Value::as_str).unwrap_or_default().to_uppercase();
    if let Some(Value::Array(geometries)) = members.get("geometries") {
        let parts: Vec<String> = geometries.iter().filter_map(Value::as_object).map(tagged).collect();
        return format!("{tag}({})", parts.join(", "));
    }
    match members.get("coordinates") {
        Some(coordinates) if is_position(coordinates) => format!("{tag}({})", positions(coordinates)),
        Some(coordinates) => format!("{tag}{}", positions(coordinates)),
        None => tag,
    }
}

fn is_position(value: &Value) -> bool {
    value.get(0).is_some_and(Value::is_number)
}

fn positions(value: &Value) -> String {
    let Value::Array(values) = value else { return value.to_string() };
    let parts: Vec<String> = values.iter().map(positions).collect();
    if is_position(value) { parts.join(" ") } else { format!("({})", parts.join(", ")) }
}
