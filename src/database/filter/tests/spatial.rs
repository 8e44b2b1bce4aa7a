//! Conformance classes "Basic Spatial Functions", "… with additional Spatial Literals" and "Spatial Functions".

use super::{Filter, expect, expect_truth, with_places};

/// `/req/basic-spatial-functions/spatial-functions`
#[tokio::test]
async fn intersects_finds_by_point_and_bbox() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("S_INTERSECTS(geom,BBOX(-180,-90,180,90)) and id < 'b'", "athens atlantis"),
                ("S_INTERSECTS(geometry,BBOX(5,46,9,49.5))", "bern luxembourg rhine strasbourg"),
                ("S_INTERSECTS(geometry,BBOX(5,46,-10,9,49.5,10))", "bern luxembourg rhine strasbourg"),
                ("S_INTERSECTS(geometry,BBOX(20,-90,-20,90))", "athens atlantis kiev"),
                ("S_INTERSECTS(geometry,POINT(6 50.2))", "benelux luxembourg"),
                ("S_INTERSECTS(geometry,POINT(4.35 50.85))", "benelux"),
                ("S_INTERSECTS(BBOX(13,52,14,53),geometry)", "berlin"),
                (
                    "S_INTERSECTS(geometry,BBOX(5,46,9,49.5)) and not S_INTERSECTS(geometry,BBOX(7,46,8,49))",
                    "luxembourg",
                ),
                ("not s_intersects(geometry,BBOX(-40,-90,20,90))", "athens kiev"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/basic-spatial-functions-plus/spatial-data-types`, `/req/spatial-functions/spatial-data-types`
#[tokio::test]
async fn every_type_of_geometry_may_be_a_literal() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("s_intersects(geometry,LINESTRING(5 48, 9 48))", "rhine"),
                ("s_intersects(geometry,MULTIPOINT(7.47 46.92, 13.4 52.5))", "berlin bern"),
                ("s_intersects(geometry,MULTIPOINT((7.47 46.92), (13.4 52.5)))", "berlin bern"),
                ("s_intersects(geometry,MULTILINESTRING((5 48, 9 48),(13.4 52, 13.4 53)))", "berlin rhine"),
                (
                    "s_intersects(geometry,POLYGON((0 40,30 40,30 60,0 60,0 40),(1 41,29 41,29 50.3,1 50.3,1 41)))",
                    "benelux berlin copenhagen rhine",
                ),
                (
                    "s_intersects(geometry,MULTIPOLYGON(((13 52,14 52,14 53,13 52)),((7 46,8 46,8 47,7 47,7 46))))",
                    "bern rhine",
                ),
                (
                    "s_intersects(geometry,GEOMETRYCOLLECTION(POINT(13.4 52.5),POLYGON((7 46,8 46,7.9 47,7 47,7 46))))",
                    "berlin bern",
                ),
                ("s_intersects(geometry,POINT Z (13.4 52.5 100))", "berlin"),
                // A ring that crosses itself.
                ("s_intersects(geometry,POLYGON((13 52,14 53,14 52,13 53,13 52)))", "berlin"),
                ("s_intersects(geometry,BBOX(7.47,46.92,7.47,46.92))", "bern"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/spatial-functions/spatial-functions`
#[tokio::test]
async fn the_eight_relations_are_known() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("S_DISJOINT(geometry,BBOX(-40,-90,20,90))", "athens kiev"),
                ("not s_disjoint(geometry,BBOX(20,-90,180,90))", "athens kiev"),
                ("S_EQUALS(geometry,POINT(7.47 46.92))", "bern"),
                ("s_equals(geometry,POLYGON((6.5 49.4,6.5 50.2,5.5 50.2,5.5 49.4,6.5 49.4)))", "luxembourg"),
                ("S_TOUCHES(geometry,POLYGON((6.5 49.4,7 49.4,7 50.2,6.5 50.2,6.5 49.4)))", "benelux luxembourg"),
                ("s_touches(geometry,POINT(5.5 49.4))", "luxembourg"),
                ("S_WITHIN(geometry,BBOX(5,49,7,52))", "luxembourg"),
                ("s_within(geometry,BBOX(-40,29,-20,40))", "atlantis"),
                ("s_within(geometry,BBOX(4,50,7,53))", "benelux"),
                ("S_CONTAINS(geometry,POINT(6 49.5))", "luxembourg"),
                ("s_contains(geometry,LINESTRING(5.1 51, 6 51))", "benelux"),
                ("s_contains(geometry,POINT(-31.5 31.5))", "atlantis"),
                ("s_contains(BBOX(13,52,14,53),geometry)", "berlin"),
                ("S_OVERLAPS(geometry,BBOX(6,49,7,51))", "benelux luxembourg"),
                ("s_overlaps(geometry,LINESTRING(8 48,8 50))", "rhine"),
                ("S_CROSSES(geometry,BBOX(7,48,9,50))", "rhine"),
                ("s_crosses(geometry,LINESTRING(5 48,9 48))", "rhine"),
                ("s_equals(geometry,geometry) and id > 'l'", "luxembourg rhine strasbourg"),
            ],
        )
        .await;
    })
    .await;
}

/// Whatever the kinds of the two shapes, valid or not, there is an answer.
#[tokio::test]
async fn no_shape_makes_a_relation_fail() {
    let shapes = [
        "POINT(6 50)",
        "LINESTRING(5 50,7 50)",
        "LINESTRING(6 50,6 50)",
        "POLYGON((5 49,7 51,7 49,5 51,5 49))",
        "POLYGON((5 49,5 49,5 49,5 49))",
        "MULTIPOLYGON(((-33 30,-30 30,-30 33,-33 33,-33 30)),((-32 31,-29 31,-29 34,-32 34,-32 31)))",
        "GEOMETRYCOLLECTION(POINT(6 50),LINESTRING(5 50,7 50),POLYGON((5 49,7 51,7 49,5 51,5 49)))",
        "BBOX(179,-90,-30,90)",
    ];
    with_places(|places| async move {
        for relation in ["intersects", "disjoint", "equals", "touches", "within", "contains", "overlaps", "crosses"] {
            for left in shapes.into_iter().chain(["geometry"]) {
                for right in shapes {
                    for text in [format!("s_{relation}({left}, {right})"), format!("s_{relation}({right}, {left})")] {
                        super::found(&places, &Filter::parse_text(&text).unwrap()).await;
                    }
                }
            }
        }
    })
    .await;
}

/// `/req/property-property/withdraw-permissions`
#[tokio::test]
async fn two_literals_relate() {
    with_places(|places| async move {
        expect_truth(
            &places,
            &[
                ("S_CROSSES(LINESTRING(0 0,2 2),POLYGON((1 0,3 0,3 3,1 3,1 0)))", true),
                ("S_DISJOINT(POINT(0 0),BBOX(1,1,2,2))", true),
                ("S_WITHIN(POINT(0 0),BBOX(1,1,2,2))", false),
            ],
        )
        .await;
    })
    .await;
}

/// `/conf/basic-spatial-functions/s_intersects`: a place that is not on earth is refused.
#[test]
fn what_is_no_geometry_is_refused() {
    for wrong in [
        "s_intersects(geom,POINT(90 180))",
        "s_intersects(geom,MULTIPOINT(7.02 49.92, 90 180))",
        "s_intersects(geom,BBOX(1,2,3))",
        "s_intersects(geom,BBOX(1,2,3,'4'))",
        "s_intersects(geom,BBOX(1,5,3,4))",
        "s_intersects(geom,'POINT(1 2)')",
        "s_intersects(name,POINT(1 2))",
        "s_intersects(geom)",
        "s_intersects(geom,POINT(1 2),POINT(1 2))",
        "geometry = POINT(1 2)",
        "geometry",
        "casei(geometry) = 'x'",
    ] {
        assert!(Filter::parse_text(wrong).is_err(), "{wrong}");
    }
}
