//! Conformance class "Temporal Functions".

use super::{Filter, expect, with_places};

/// `/req/temporal-functions/temporal-functions`: those for instants and intervals.
#[tokio::test]
async fn instants_relate_to_instants_and_intervals() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("t_after(\"date\",date('2022-04-16'))", "kiev"),
                ("t_before(\"date\",date('2022-04-16'))", "bern"),
                ("t_disjoint(\"date\",date('2022-04-16'))", "bern kiev"),
                ("t_equals(\"date\",date('2022-04-16'))", "berlin"),
                ("t_intersects(\"date\",date('2022-04-16'))", "berlin"),
                ("t_after(\"date\",interval('2022-01-01','2022-12-31'))", "kiev"),
                ("t_before(\"date\",interval('2022-01-01','2022-12-31'))", "bern"),
                ("t_disjoint(\"date\",interval('2022-01-01','2022-12-31'))", "bern kiev"),
                ("t_equals(\"date\",interval('2022-01-01','2022-12-31'))", ""),
                ("t_equals(\"date\",interval('2022-04-16','2022-04-16'))", "berlin"),
                ("t_intersects(\"date\",interval('2022-01-01','2022-12-31'))", "berlin"),
                ("t_after(start,timestamp('2022-04-16T10:13:19Z'))", "kiev"),
                ("t_before(start,timestamp('2022-04-16T10:13:19Z'))", "bern"),
                ("t_disjoint(start,timestamp('2022-04-16T10:13:19Z'))", "bern kiev"),
                ("t_equals(start,timestamp('2022-04-16T10:13:19Z'))", "berlin"),
                ("t_intersects(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", "berlin kiev"),
                ("t_after(date('2022-04-16'),\"date\")", "bern"),
                ("t_before(interval('2022-01-01','2022-12-31'),\"date\")", "kiev"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/temporal-functions/temporal-functions`: all fifteen, between intervals.
#[tokio::test]
async fn intervals_relate_to_intervals() {
    // bern: 2021-04-16T10:15:59/2022-04-16T10:16:06, berlin: 10:13:19/10:15:10, kiev: 10:15:10/10:16:06
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("t_after(interval(start,end),interval('..','2022-04-16T10:13:19Z'))", "kiev"),
                ("t_before(interval(start,end),interval('2023-01-01T00:00:00Z','..'))", "berlin bern kiev"),
                ("t_disjoint(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", "kiev"),
                ("t_equals(interval(start,end),interval('2021-04-16T10:15:59Z','2022-04-16T10:16:06Z'))", "bern"),
                (
                    "t_intersects(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))",
                    "berlin bern",
                ),
                (
                    "T_CONTAINS(interval(start,end),interval('2022-04-16T10:13:20Z','2022-04-16T10:15:09Z'))",
                    "berlin bern",
                ),
                (
                    "T_DURING(interval(start,end),interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))",
                    "berlin kiev",
                ),
                ("T_FINISHES(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", "kiev"),
                ("T_FINISHEDBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", "bern"),
                ("T_MEETS(interval(start,end),interval('2022-04-16T10:15:10Z','2022-04-16T10:15:11Z'))", "berlin"),
                ("T_METBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", "kiev"),
                (
                    "T_OVERLAPPEDBY(interval(start,end),interval('2020-04-16T10:13:19Z','2022-04-16T10:15:09Z'))",
                    "berlin bern",
                ),
                (
                    "T_OVERLAPS(interval(start,end),interval('2022-04-16T10:13:20Z','2023-04-16T10:15:10Z'))",
                    "berlin bern",
                ),
                ("T_STARTEDBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", "berlin"),
                ("T_STARTS(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:11Z'))", "berlin"),
                ("t_starts(interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'),interval(start,end))", "berlin"),
                ("t_intersects(interval('..','..'),interval(start,end))", "berlin bern kiev"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/basic-cql2/binary-comparison-predicate`: a day before or after in its own zone.
#[tokio::test]
async fn a_time_counts_where_it_is_and_not_how_it_is_written() {
    with_places(|places| async move {
        sqlx::query(
            "update items set properties = jsonb_build_object('t', case id
                when 'bern' then '2022-01-02T00:30:00+14:00' when 'kiev' then '2021-12-31T22:30:00-12:00'
                when 'rhine' then '2022-01-01' when 'berlin' then '2022-01-01T10:30:00Z' end)",
        )
        .execute(&places.pool)
        .await
        .unwrap();
        expect(
            &places,
            &[
                ("t = TIMESTAMP('2022-01-01T10:30:00Z')", "berlin bern kiev"),
                ("t < TIMESTAMP('2022-01-01T10:30:00.001Z')", "berlin bern kiev rhine"),
                ("t <= TIMESTAMP('2022-01-01T10:29:59.999Z')", "rhine"),
                ("t > TIMESTAMP('2022-01-01T10:29:59.999Z')", "berlin bern kiev"),
                ("TIMESTAMP('2022-01-01T10:30:00Z') >= t", "berlin bern kiev rhine"),
                ("not t < TIMESTAMP('2022-01-01T10:30:00Z')", "berlin bern kiev"),
                (
                    "t > TIMESTAMP('0000-01-01T00:00:00Z') and t < TIMESTAMP('9999-12-31T23:59:59Z')",
                    "berlin bern kiev rhine",
                ),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/temporal-functions/temporal-predicates`
#[tokio::test]
async fn the_datetime_of_an_item_is_all_its_time() {
    with_places(|places| async move {
        expect(&places, &[
            ("t_before(datetime,date('2022-01-01'))", ""),
            ("t_intersects(datetime,interval('2021-01-01','2021-12-31'))", "bern"),
            ("t_contains(datetime,timestamp('2022-01-01T00:00:00Z'))", "bern"),
            ("t_equals(datetime,interval(start_datetime,end_datetime)) and t_after(end_datetime, date('2022-01-02'))", "bern"),
            ("t_equals(interval(datetime,datetime),datetime) and id < 'b'", "athens atlantis"),
            ("t_during(datetime,interval('2020-01-01','..')) and id < 'b'", "athens atlantis"),
            ("not t_intersects(datetime,'2022-01-01T00:00:00Z')", ""),
        ]).await;
    })
    .await;
    for wrong in [
        "t_after(datetime)",
        "t_after(datetime, 5)",
        "t_after(id, DATE('2022-01-01'))",
        "t_after(datetime, 'soon')",
        "t_after(datetime, INTERVAL('2022-01-02','2022-01-01'))",
        "t_after(datetime, INTERVAL('2022-01-02'))",
        "t_after(geometry, DATE('2022-01-01'))",
        "datetime < DATE('2022-02-30')",
        "datetime < TIMESTAMP('2022-02-28T25:00:00Z')",
        "datetime < DATE('2022-02-28', '2022-02-28')",
        "datetime < INTERVAL('2022-02-28', '..')",
    ] {
        assert!(Filter::parse_text(wrong).is_err(), "{wrong}");
    }
}
