//! Filters that nobody thought of: none fails, and those that compare and combine find what a few lines of Rust find.

use proptest::{
    prelude::*,
    strategy::{BoxedStrategy, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};

use super::{Database, Filter, Subject, push_filter, with_places};

const FILTERS: usize = 400;

fn op(op: &str, args: impl Into<Value>) -> Value {
    json!({"op": op, "args": args.into()})
}

fn literal() -> BoxedStrategy<Value> {
    prop_oneof![
        (-3..3_i32).prop_map(Value::from),
        Just(json!(0.5)),
        any::<f64>().prop_map(Value::from).prop_filter("a number", Value::is_number),
        prop::sample::select(vec!["", "a", "B", "é", "%", "\\", "2022-04-16", "2022-04-16T10:13:19Z", "'\"$1"])
            .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ]
    .boxed()
}

fn property() -> BoxedStrategy<Value> {
    prop::sample::select(vec!["n", "m", "s", "missing"]).prop_map(|name| json!({"property": name})).boxed()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![2 => property(), 1 => literal()].boxed()
}

fn comparison() -> BoxedStrategy<Value> {
    let comparator = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    prop_oneof![
        4 => (comparator, scalar(), scalar()).prop_map(|(name, a, b)| op(name, vec![a, b])),
        1 => (scalar(), scalar(), scalar()).prop_map(|(a, b, c)| op("between", vec![a, b, c])),
        1 => (scalar(), prop::collection::vec(scalar(), 0..4)).prop_map(|(a, list)| op("in", vec![a, Value::from(list)])),
        1 => scalar().prop_map(|a| op("isNull", vec![a])),
        1 => property(),
        1 => any::<bool>().prop_map(Value::from),
    ]
    .boxed()
}

fn combined(leaf: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| op("and", all)),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| op("or", all)),
            inner.clone().prop_map(|one| op("not", vec![one])),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| op("=", vec![a, b])),
            inner.prop_map(|one| op("isNull", vec![one])),
        ]
    })
    .boxed()
}

/// Any operator with any operands, right or wrong.
fn anything() -> BoxedStrategy<Value> {
    let names = "= <> < like between in isNull casei accenti + - * / % div ^ s_intersects s_touches s_equals t_after \
        t_during t_meets a_equals a_contains a_overlaps";
    let names: Vec<&str> = names.split_whitespace().collect();
    let leaf = prop_oneof![
        4 => scalar(),
        1 => Just(json!({"property": "geometry"})),
        1 => Just(json!({"property": "datetime"})),
        1 => Just(json!({"property": "id"})),
        1 => Just(json!({"bbox": [170, -10, -170, 60]})),
        1 => Just(json!({"type": "Polygon", "coordinates": [[[0, 0], [9, 60], [9, 0], [0, 60], [0, 0]]]})),
        1 => Just(json!({"date": "2022-04-16"})),
        1 => Just(json!({"interval": [{"property": "s"}, ".."]})),
    ];
    leaf.prop_recursive(4, 16, 3, move |inner| {
        prop_oneof![
            3 => (prop::sample::select(names.clone()), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(name, args)| op(name, args)),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
    .boxed()
}

fn rows() -> Vec<Value> {
    let values = [
        json!(null),
        json!(-1),
        json!(0.5),
        json!(2),
        json!(true),
        json!("a"),
        json!("B"),
        json!("é"),
        json!("2022-04-16"),
        json!([1]),
    ];
    let mut rows = vec![json!({})];
    for (i, n) in values.iter().enumerate() {
        rows.push(json!({"n": n, "m": values[(i * 3 + 1) % values.len()], "s": values[5 + i % 4]}));
        rows.push(json!({"n": n, "m": n, "s": "x"}));
    }
    rows
}

async fn store(database: &Database) {
    sqlx::query("delete from items").execute(&database.pool).await.unwrap();
    for (i, properties) in rows().iter().enumerate() {
        sqlx::query(
            "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
            values ('drone-raw', lpad($1::text, 3, '0'), st_setsrid(st_makepoint($1, $1), 4326), now(), now(), $2::jsonb,
                '', '', '', '')",
        )
        .bind(i as i32)
        .bind(properties.to_string())
        .execute(&database.pool)
        .await
        .unwrap();
    }
}

async fn truths(database: &Database, filter: &Filter) -> Vec<bool> {
    let mut query = QueryBuilder::<Postgres>::new("select coalesce(");
    push_filter(&mut query, filter, Subject::Items);
    query.push(", false) from items order by id");
    query.build_query_scalar().fetch_all(&database.pool).await.unwrap_or_else(|e| panic!("{}: {e}", filter.to_json()))
}

#[tokio::test]
async fn random_comparisons_find_what_they_mean() {
    with_places(|database| async move {
        store(&database).await;
        let mut runner = TestRunner::deterministic();
        let strategy = combined(comparison());
        let mut checked = 0;
        while checked < FILTERS {
            let json = strategy.new_tree(&mut runner).unwrap().current();
            let Ok(filter) = Filter::parse_json(&json) else { continue };
            assert_eq!(Filter::parse_text(&filter.to_text()).as_ref(), Ok(&filter), "{}", filter.to_text());
            let expected: Vec<bool> = rows().iter().map(|row| meaning(&json, row) == json!(true)).collect();
            assert_eq!(truths(&database, &filter).await, expected, "{json}");
            checked += 1;
        }
    })
    .await;
}

#[tokio::test]
async fn random_filters_never_fail() {
    with_places(|database| async move {
        store(&database).await;
        let mut runner = TestRunner::deterministic();
        let strategy = combined(prop_oneof![1 => comparison(), 3 => anything()].boxed());
        let mut answered = 0;
        while answered < FILTERS {
            if let Ok(filter) = Filter::parse_json(&strategy.new_tree(&mut runner).unwrap().current()) {
                truths(&database, &filter).await;
                assert!(Filter::parse_text(&filter.to_text()).is_ok(), "{}", filter.to_text());
                answered += 1;
            }
        }
    })
    .await;
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r#"([a-c(),'"=<>+*/%^. 0-9\\-]| and | or | not | in | is null|POINT|casei\(){0,40}"#) {
        if let Ok(filter) = Filter::parse_text(&text) {
            prop_assert_eq!(Filter::parse_text(&filter.to_text()), Ok(filter));
        }
    }
}

/// What an expression means for a row: a value, or null when that is unknown.
fn meaning(expr: &Value, row: &Value) -> Value {
    if let Some(name) = expr.get("property").and_then(Value::as_str) {
        return row.get(name).cloned().unwrap_or(Value::Null);
    }
    let (Some(op), Some(args)) = (expr.get("op").and_then(Value::as_str), expr.get("args").and_then(Value::as_array))
    else {
        return expr.clone();
    };
    let truth = |arg: &Value| meaning(arg, row).as_bool();
    let truths = || args.iter().map(truth);
    match op {
        "and" if truths().any(|one| one == Some(false)) => json!(false),
        "or" if truths().any(|one| one == Some(true)) => json!(true),
        "and" | "or" if truths().any(|one| one.is_none()) => Value::Null,
        "and" => json!(true),
        "or" => json!(false),
        "not" => truth(&args[0]).map_or(Value::Null, |truth| json!(!truth)),
        "isNull" if args[0].get("property").is_some() => json!(meaning(&args[0], row).is_null()),
        "isNull" => json!(meaning(&args[0], row).is_null()),
        "between" => {
            let bounds = [op_json(">=", &args[0], &args[1]), op_json("<=", &args[0], &args[2])];
            meaning(&self::op("and", bounds.to_vec()), row)
        }
        "in" => {
            let each = args[1].as_array().unwrap().iter().map(|one| op_json("=", &args[0], one));
            let all: Vec<Value> = each.chain([json!(false), json!(false)]).collect();
            meaning(&self::op("or", all), row)
        }
        comparator => compared(comparator, &meaning(&args[0], row), &meaning(&args[1], row)),
    }
}

fn op_json(name: &str, a: &Value, b: &Value) -> Value {
    op(name, vec![a.clone(), b.clone()])
}

fn compared(comparator: &str, a: &Value, b: &Value) -> Value {
    let order = match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let Some(order) = order else { return Value::Null };
    json!(match comparator {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}
