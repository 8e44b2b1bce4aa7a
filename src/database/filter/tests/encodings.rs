//! Conformance classes "CQL2 Text" and "CQL2 JSON".

use serde_json::{Value, json};

use super::{Filter, expect, with_places};

/// `/req/cql2-text/escaping`
#[tokio::test]
async fn text_escapes_quotes_and_control_characters() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                (r"name='it''s 50% \\ done\n'", "nowhere"),
                (r"name='it\'s 50% \\ done\n'", "nowhere"),
                (r"name='it''s 50% \\\\ done\n'", ""),
                (r"name like 'it_s%\n'", "nowhere"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/cql2-text/basic-cql2` and its sisters: keywords are of any case, names that look like them stand in quotes.
#[test]
fn text_takes_keywords_in_any_case() {
    for (text, same) in [
        ("A aNd B oR nOt C", "a AND b OR NOT c"),
        ("x bEtWeEn 1 aNd 2", "x BETWEEN 1 AND 2"),
        ("x Is NoT nUlL", "NOT x IS NULL"),
        ("x = TrUe", "x = true"),
        ("S_InTeRsEcTs(geometry, pOiNt(1 2))", "s_intersects(geometry, POINT(1 2))"),
        ("T_METBY(interval(a,b), InTeRvAl('..', '2025-06-23'))", "t_metBy(INTERVAL(a,b), INTERVAL('..','2025-06-23'))"),
    ] {
        let read = |text: &str| Filter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read(text).to_json().to_string().to_lowercase(), read(same).to_json().to_string().to_lowercase());
    }
    assert!(Filter::parse_text("like = 1").is_err());
    assert!(Filter::parse_text("\"like\" = 1 and \"and\" = 2 and \"true\" = 3 and \"point\" = 4").is_ok());
    assert!(Filter::parse_text("notes = 1 and android = 2 and inlet = 3 and likely = 4").is_ok());
}

/// `/req/cql2-json/basic-cql2` and its sisters.
#[test]
fn text_and_json_say_the_same() {
    let property = |name: &str| json!({"property": name});
    let op = |op: &str, args: Value| json!({"op": op, "args": args});
    for (text, json) in [
        ("a = 'x'", op("=", json!([property("a"), "x"]))),
        ("a <> 1.5", op("<>", json!([property("a"), 1.5]))),
        ("a and not b", op("and", json!([property("a"), op("not", json!([property("b")]))]))),
        ("a is not null", op("not", json!([op("isNull", json!([property("a")]))]))),
        ("a not like 'x%'", op("not", json!([op("like", json!([property("a"), "x%"]))]))),
        ("a between 1 and 2", op("between", json!([property("a"), 1, 2]))),
        ("a in (1, 'x')", op("in", json!([property("a"), [1, "x"]]))),
        ("casei(a) = accenti('x')", op("=", json!([op("casei", json!([property("a")])), op("accenti", json!(["x"]))]))),
        ("a > DATE('2025-06-23')", op(">", json!([property("a"), {"date": "2025-06-23"}]))),
        (
            "a > TIMESTAMP('2025-06-23T00:00:00Z')",
            op(">", json!([property("a"), {"timestamp": "2025-06-23T00:00:00Z"}])),
        ),
        (
            "t_during(INTERVAL(a,b), INTERVAL('..','2025-06-23'))",
            op(
                "t_during",
                json!([
                    {"interval": [property("a"), property("b")]}, {"interval": ["..", "2025-06-23"]},
                ]),
            ),
        ),
        (
            "s_within(geometry, BBOX(1,2,3,4))",
            op("s_within", json!([property("geometry"), {"bbox": [1.0, 2.0, 3.0, 4.0]}])),
        ),
        (
            "s_equals(geometry, POINT(1.5 2))",
            op("s_equals", json!([property("geometry"), {"type": "Point", "coordinates": [1.5, 2]}])),
        ),
        ("a_contains(a, ('x', 'y'))", op("a_contains", json!([property("a"), ["x", "y"]]))),
        ("a > (b - 1)", op(">", json!([property("a"), op("-", json!([property("b"), 1]))]))),
        ("a = -b div 2", op("=", json!([property("a"), op("div", json!([op("*", json!([-1, property("b")])), 2]))]))),
    ] {
        let filter = Filter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.to_json(), json, "{text}");
        assert_eq!(Filter::parse_json(&json).unwrap(), filter, "{json}");
        assert_eq!(Filter::parse_text(&filter.to_text()).unwrap(), filter, "{}", filter.to_text());
    }
}

#[test]
fn a_filter_and_another_are_one() {
    let (a, b) = (Filter::parse_text("a = 1 or b = 2").unwrap(), Filter::parse_text("c").unwrap());
    assert_eq!(a.and(b), Filter::parse_text("(a = 1 or b = 2) and c").unwrap());
}

/// Each message says what would have been right.
#[test]
fn errors_say_what_is_wrong() {
    for (text, message) in [
        ("", "cannot read the filter at character 1: expected a property, a literal or a function, found the end"),
        ("a =", "cannot read the filter at character 4: expected a property, a literal or a function, found the end"),
        ("a = 1 1", "cannot read the filter at character 7: expected an operator or the end, found 1"),
        (
            "a = (1",
            "cannot read the filter at character 7: expected an operator, a comma or a closing parenthesis, found the end",
        ),
        ("a in 1", "cannot read the filter at character 6: expected (, found 1"),
        ("a = 'x", "cannot read the filter at character 5: expected a closing quote, found the end"),
        ("name like 5", "like needs a pattern, which is a string, not the number 5"),
        ("5", "a filter needs a predicate or a boolean, not the number 5"),
        ("not 'x'", "not needs a predicate or a boolean, not the string \"x\""),
        ("1 = 'x'", "= needs a number, not a string"),
        ("casei(a, b) = 'x'", "casei takes 1 argument, not 2"),
        ("a = DATE('23-06-2025')", "\"23-06-2025\" is no date: write it as 2025-06-23"),
        (
            "s_touches(name, POINT(1 2))",
            "s_touches needs the property geometry or a geometry, not the property \"name\"",
        ),
        ("a + 'x' = 1", "+ needs numbers, not the string \"x\""),
        ("a = 1e999", "\"1e999\" is no number: it is too large"),
    ] {
        assert_eq!(Filter::parse_text(text).unwrap_err().to_string(), message, "{text}");
    }
    let unknown = Filter::parse_text("within(a, b)").unwrap_err().to_string();
    assert!(unknown.starts_with("unknown function \"within\"; known are casei, accenti, s_contains,"), "{unknown}");
}
