//! Conformance class "Basic CQL2".

use super::{Filter, expect, with_places};

const ALL: &str = "athens atlantis benelux berlin bern copenhagen kiev luxembourg nowhere rhine strasbourg";

/// `/req/basic-cql2/cql2-filter`
#[tokio::test]
async fn and_or_not_and_parentheses_are_evaluated() {
    with_places(|places| async move {
        expect(&places, &[
            ("true", ALL),
            ("FALSE", ""),
            ("not false", ALL),
            ("name='Bern' or name='Berlin' and pop_other<0", "bern"),
            ("(name='Bern' or name='Berlin') and pop_other>1000000", "berlin"),
            ("NOT name='Bern' AND pop_other<300000", "athens nowhere rhine"),
            ("not (pop_other<1000000 or pop_other>2000000)", "copenhagen kiev"),
            ("not not name='Bern'", "bern"),
            ("((NOT name='Bern' AND boolean) OR (pop_other<0 and NOT false) or not (true AND pop_other<2000000))",
                "berlin kiev rhine"),
        ]).await;
    })
    .await;
}

/// `/req/basic-cql2/property`
#[tokio::test]
async fn a_property_has_any_name_and_may_lie_deeper() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("id = 'bern'", "bern"),
                ("collection = 'drone-raw' and id > 'r'", "rhine strasbourg"),
                ("\"id\" in ('bern', 'rhine')", "bern rhine"),
                ("proj:epsg = 2100", "athens"),
                ("properties.name = 'Bern'", "bern"),
                ("\"name\" = 'Bern'", "bern"),
                ("view.off_nadir >= 5", "athens"),
                ("a.b = 'nested'", "bern"),
                ("a.b = 'whole'", "benelux"),
                ("boolean", "berlin kiev"),
                ("not boolean", "bern"),
                ("nosuch = 1", ""),
            ],
        )
        .await;
    })
    .await;
    let filter = Filter::parse_text("properties.a = b.c and s_intersects(geometry, BBOX(0,0,1,1))").unwrap();
    assert_eq!(filter.properties().into_iter().collect::<Vec<_>>(), ["a", "b.c", "geometry"]);
}

/// `/req/basic-cql2/binary-comparison-predicate`
#[tokio::test]
async fn strings_compare_by_their_bytes() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("name='København'", "copenhagen"),
                ("name>'København'", "luxembourg nowhere rhine strasbourg"),
                ("name>='København'", "copenhagen luxembourg nowhere rhine strasbourg"),
                ("name<'Berlin'", "athens atlantis benelux"),
                ("name<='Berlin'", "athens atlantis benelux berlin"),
                ("name<>'København' and name>='København'", "luxembourg nowhere rhine strasbourg"),
                ("name='kiev'", ""),
                ("name='it''s 50% \\\\ done\\n'", "nowhere"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/basic-cql2/binary-comparison-predicate`
#[tokio::test]
async fn numbers_booleans_dates_and_timestamps_compare() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("pop_other=1038288", "copenhagen"),
                ("pop_other=1038288.0", "copenhagen"),
                ("pop_other>1038288", "berlin kiev"),
                ("pop_other>=1038288", "berlin copenhagen kiev"),
                ("pop_other<275329", "athens nowhere rhine"),
                ("pop_other<=275329", "athens bern nowhere rhine"),
                ("pop_other<>1038288", "athens berlin bern kiev nowhere rhine"),
                ("pop_other=-7", "rhine"),
                ("pop_other=5e-1", "nowhere"),
                ("boolean=true", "berlin kiev"),
                ("boolean<>true", "bern"),
                ("boolean=false", "bern"),
                ("\"date\"=DATE('2022-04-16')", "berlin"),
                ("\"date\">DATE('2022-04-16')", "kiev"),
                ("\"date\"<=DATE('2022-04-16')", "berlin bern"),
                ("\"date\"<>DATE('2022-04-16')", "bern kiev"),
                ("start=TIMESTAMP('2022-04-16T10:13:19Z')", "berlin"),
                ("start=TIMESTAMP('2022-04-16T10:15:10.000Z')", "kiev"),
                ("start<TIMESTAMP('2022-04-16T10:13:19Z')", "bern"),
                ("start>=DATE('2022-04-16')", "berlin kiev"),
                ("datetime<TIMESTAMP('2022-01-01T00:00:00Z')", "bern"),
                ("datetime<'2022-01-01T00:00:00Z'", "bern"),
                ("end_datetime>DATE('2022-01-01')", "bern"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/basic-cql2/null-predicate`
#[tokio::test]
async fn what_is_missing_or_null_is_null() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("boolean IS NULL", "athens atlantis benelux copenhagen luxembourg rhine strasbourg"),
                ("boolean is not null", "berlin bern kiev nowhere"),
                ("geometry is null", "nowhere"),
                ("geom is not null and name < 'B'", "athens atlantis"),
                ("id is null", ""),
                ("pop_other is null", "atlantis benelux strasbourg"),
                ("not pop_other is null and pop_other < 0", "rhine"),
                ("datetime is null", ALL),
                ("start_datetime is not null", "bern"),
                ("(pop_other + 1) is null", "atlantis benelux luxembourg strasbourg"),
                ("casei(nameascii) is null", "atlantis benelux luxembourg nowhere rhine"),
                ("(pop_other > 5) is null", "atlantis benelux luxembourg strasbourg"),
                ("'x' is null", ""),
                ("POINT(1 2) is null", ""),
            ],
        )
        .await;
    })
    .await;
}

/// A comparison with what is missing, or of another type, is neither true nor false.
#[tokio::test]
async fn what_is_unknown_stays_unknown_when_negated() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("not pop_other = 112572", "berlin bern copenhagen kiev nowhere rhine"),
                ("not pop_other <> 112572", "athens"),
                ("not (pop_other >= 0 and true)", "rhine"),
                ("pop_other < 0 or pop_other >= 0", "athens berlin bern copenhagen kiev nowhere rhine"),
                ("pop_other = 'many'", "luxembourg"),
                ("not pop_other = 'few'", "luxembourg"),
                ("boolean = 'true'", "nowhere"),
                ("not boolean", "bern"),
                ("not (boolean or nosuch)", ""),
                ("not (boolean and nosuch)", "bern"),
            ],
        )
        .await;
    })
    .await;
}
