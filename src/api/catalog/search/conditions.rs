//! `query`, the older way to ask for properties, as a filter.

use serde_json::{Map, Value, json};

use crate::{api::problem::Problem, database::Filter};

/// Turns `{"eo:cloud_cover": {"lt": 10}}` into a filter; several conditions must all hold.
pub(super) fn query_filter(query: &Map<String, Value>) -> Result<Option<Filter>, Problem> {
    let mut conditions = Vec::new();
    for (name, operators) in query {
        let property = json!({ "property": name.strip_prefix("properties.").unwrap_or(name) });
        let Value::Object(operators) = operators else {
            return Err(wrong(name, operators, "give an object of operators, as {\"lt\": 10}"));
        };
        for (operator, value) in operators {
            conditions.push(condition(&property, operator, value).ok_or_else(|| {
                let rule = "use eq, neq, lt, lte, gt, gte, startsWith, endsWith, contains or in, with a fitting value";
                wrong(name, &json!({ operator: value }), rule)
            })?);
        }
    }
    let json = match conditions.len() {
        0 => return Ok(None),
        1 => conditions.remove(0),
        _ => json!({ "op": "and", "args": conditions }),
    };
    let shown = || Value::Object(query.clone()).to_string();
    Filter::parse_json(&json).map(Some).map_err(|error| Problem::parameter("query", &shown(), &error.to_string()))
}

fn condition(property: &Value, operator: &str, value: &Value) -> Option<Value> {
    let compare = |op: &str| match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(json!({ "op": op, "args": [property, value] })),
        _ => None,
    };
    let like = |before: &str, after: &str| {
        let text = value.as_str()?;
        let pattern = format!("{before}{}{after}", escaped(text));
        Some(json!({ "op": "like", "args": [property, pattern] }))
    };
    match operator {
        "eq" if value.is_null() => Some(json!({ "op": "isNull", "args": [property] })),
        "eq" => compare("="),
        "neq" => compare("<>"),
        "lt" => compare("<"),
        "lte" => compare("<="),
        "gt" => compare(">"),
        "gte" => compare(">="),
        "startsWith" => like("", "%"),
        "endsWith" => like("%", ""),
        "contains" => like("%", "%"),
        "in" => value.as_array().filter(|v| !v.is_empty()).map(|_| json!({ "op": "in", "args": [property, value] })),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn wrong(name: &str, value: &Value, rule: &str) -> Problem {
    Problem::parameter("query", &json!({ name: value }).to_string(), rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "each is made for the call")]
    fn json_of(query: Value) -> Option<Value> {
        query_filter(query.as_object().unwrap()).unwrap().map(|filter| filter.to_json())
    }

    #[test]
    fn operators_become_those_of_cql2() {
        let cloud = json!({ "property": "eo:cloud_cover" });
        assert_eq!(json_of(json!({ "eo:cloud_cover": { "lt": 10 } })).unwrap()["op"], "<");
        let both = json_of(json!({ "eo:cloud_cover": { "gte": 1, "lte": 2 } })).unwrap();
        assert_eq!((&both["op"], &both["args"][0]["args"][0]), (&json!("and"), &cloud));
        assert_eq!(json_of(json!({ "a": { "startsWith": "50%" } })).unwrap()["args"][1], "50\\%%");
        assert_eq!(json_of(json!({})), None);
    }

    #[test]
    fn what_is_no_operator_or_no_value_is_refused() {
        for wrong in [
            json!({ "a": 1 }),
            json!({ "a": { "near": 1 } }),
            json!({ "a": { "lt": {} } }),
            json!({ "a": { "in": [] } }),
        ] {
            assert!(query_filter(wrong.as_object().unwrap()).is_err(), "{wrong}");
        }
    }
}
