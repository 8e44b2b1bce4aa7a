//! Conformance classes "Arithmetic Expressions" and "Property-Property Comparisons".

use super::{Filter, expect, expect_truth, with_places};

/// `/req/arithmetic/arithmetic`
#[tokio::test]
async fn arithmetic_is_done_on_either_side() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("pop_other=1038280+8", "copenhagen"),
                ("pop_other>=1038290-2*2^0", "berlin copenhagen kiev"),
                ("pop_other>1038290-20/10", "berlin kiev"),
                ("pop_other>1038290-21 div 10", "berlin kiev"),
                ("pop_other>1038290-5%2 and pop_other<2000000", "kiev"),
                ("pop_other<=1038200+8*11 and pop_other>275329", "copenhagen"),
                ("pop_other<1038280+2^3 and pop_other>0", "athens bern nowhere"),
                ("pop_other<>1038290-2^1 and pop_other>1000000", "berlin kiev"),
                ("1038280+8=pop_other", "copenhagen"),
                ("pop_other-150.0 > 3000000", "berlin"),
                ("-pop_other = 7", "rhine"),
                ("pop_max > pop_min * 2", "athens bern"),
                ("pop_other * 2 + 1 = 2", "nowhere"),
                ("pop_other ^ 2 = 49", "rhine"),
                ("pop_other ^ 0.5 = 0.5 ^ 0.5", "nowhere"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/arithmetic/arithmetic`
#[tokio::test]
async fn operators_bind_as_in_school() {
    with_places(|places| async move {
        expect_truth(
            &places,
            &[
                ("1 + 2 * 3 = 7", true),
                ("(1 + 2) * 3 = 9", true),
                ("10 - 4 - 3 = 3", true),
                ("16 / 4 / 2 = 2", true),
                ("2 * 3 ^ 2 = 18", true),
                ("-2 ^ 2 = 4", true),
                ("2 ^ -1 = .5", true),
                ("7 div 2 = 3 and -7 div 2 = -3", true),
                ("7 % 4 = 3 and 7.5 % 2 = 1.5", true),
                ("1 - -1 = 2 and 1 - +1 = 0 and 1-1=0", true),
                ("0.1 + 0.2 = 0.3", true),
                ("9007199254740993 = 9007199254740992", false),
                ("9007199254740992 + 1 = 9007199254740993", true),
            ],
        )
        .await;
    })
    .await;
}

/// Dividing by zero, roots of negative numbers and numbers beyond all bounds are unknown, and no error.
#[tokio::test]
async fn arithmetic_never_fails() {
    with_places(|places| async move {
        let huge = format!("{}1", "1e308 * ".repeat(88));
        let tiny = format!("{}1", "1e-308 / ".repeat(40));
        for (text, expected) in [
            ("1 / 0 is null and 1 % 0 is null and 1 div 0 is null", true),
            ("(pop_other / (pop_other - pop_other)) is null", true),
            ("0 ^ -1 is null and (-8) ^ 0.5 is null", true),
            ("10 ^ 1000 is null and 2 ^ 1e300 is null", true),
            ("0 ^ 0 = 1 and 0 ^ 5 = 0 and (-2) ^ 3 = -8", true),
            ("2 ^ 60 = 1152921504606846976", true),
            ("1.5 ^ -2000000 > 0", false),
            (&format!("{huge} > 1"), true),
            (&format!("pop_other * {huge} > 1"), true),
            (&format!("{tiny} > 0"), true),
        ] {
            expect_truth(&places, &[(text, expected)]).await;
        }
        sqlx::query("update items set properties = '{\"n\": 1e130000, \"m\": 1e-16000}' where id = 'bern'")
            .execute(&places.pool)
            .await
            .unwrap();
        expect(&places, &[("n * n > 0 or n ^ n > 0 or n > 0 or m * m * m = 0 or 1 / m > 0", "")]).await;
    })
    .await;
    let endless = format!("a = 1{}", " + 1".repeat(300));
    assert!(Filter::parse_text(&endless).is_err());
}

/// `/req/property-property/withdraw-permissions`
#[tokio::test]
async fn a_literal_may_stand_left_and_a_property_on_both_sides() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("'København'=name", "copenhagen"),
                ("'Berlin'>name", "athens atlantis benelux"),
                ("'København'<=name and name<'R'", "copenhagen luxembourg"),
                ("1038288=pop_other", "copenhagen"),
                ("1038288<pop_other", "berlin kiev"),
                ("275329>=pop_other", "athens bern nowhere rhine"),
                ("true=boolean", "berlin kiev"),
                ("DATE('2022-04-16')<\"date\"", "kiev"),
                ("name=nameascii", "athens berlin bern kiev"),
                ("name<>nameascii", "copenhagen strasbourg"),
                ("name>nameascii", "copenhagen"),
                ("name<nameascii", "strasbourg"),
                ("pop_min=pop_max", "copenhagen"),
                ("pop_min<pop_max", "athens berlin bern kiev"),
                ("pop_min>=pop_max", "copenhagen"),
                ("start<end", "berlin bern kiev"),
                ("start=end", ""),
                ("boolean=boolean", "berlin bern kiev nowhere"),
                ("not boolean=boolean", ""),
                ("name=pop_other", ""),
                ("start_datetime < end_datetime", "bern"),
                ("id = name", ""),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/property-property/withdraw-permissions`
#[tokio::test]
async fn two_literals_compare() {
    with_places(|places| async move {
        for value in ["'foo'", "true", "3.14", "1", "TIMESTAMP('2022-04-14T14:48:46Z')", "DATE('2022-04-14')"] {
            for (comparator, truth) in
                [("=", true), ("<>", false), (">", false), ("<", false), (">=", true), ("<=", true)]
            {
                expect_truth(&places, &[(&format!("{value} {comparator} {value}"), truth)]).await;
            }
        }
        expect_truth(
            &places,
            &[
                ("'a' < 'b' and 'B' < 'a'", true),
                ("false < true", true),
                ("(1 = 1) = (2 = 2)", true),
                ("(1 = 1) <> (1 = 2)", true),
                ("TIMESTAMP('2022-04-14T14:48:46+02:00') = TIMESTAMP('2022-04-14T12:48:46Z')", true),
            ],
        )
        .await;
    })
    .await;
}
