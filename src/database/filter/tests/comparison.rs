//! Conformance classes "Advanced Comparison Operators", "Case-insensitive Comparison", "Accent-insensitive Comparison".

use super::{Filter, expect, with_places};

/// `/req/advanced-comparison-operators/like-predicate`
#[tokio::test]
async fn like_knows_two_wildcards_and_an_escape() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("name LIKE 'B_r%'", "berlin bern"),
                ("name NOT LIKE 'B_r%' and name like 'B%'", "benelux"),
                ("not name like '%e%'", "atlantis strasbourg"),
                ("name like ''", ""),
                ("name like 'K_benhavn'", "copenhagen"),
                ("name like 'bern'", ""),
                ("name like '%50\\%%'", "nowhere"),
                ("name like '%0\\%_\\\\\\\\%'", "nowhere"),
                ("name like '%\\_%'", ""),
                ("name like '\\B\\ern'", "bern"),
                ("id like 'b%n'", "berlin bern"),
                ("pop_other like '%'", "luxembourg"),
                ("nosuch not like 'a'", ""),
                ("'København' LIKE 'K_benhavn' and name = 'Bern'", "bern"),
            ],
        )
        .await;
        let like = |pattern: &str| Filter::parse_text(&format!("name like '{pattern}'")).unwrap();
        assert_eq!(super::found(&places, &like("%")).await, super::found(&places, &like("%%")).await);
    })
    .await;
    assert!(Filter::parse_text("name like 'a\\\\'").is_err());
    assert!(Filter::parse_text("name like nameascii").is_err());
    assert!(Filter::parse_text("name like 5").is_err());
    assert!(Filter::parse_text("5 like 'a'").is_err());
    assert!(Filter::parse_text("geometry like 'a'").is_err());
}

/// `/req/advanced-comparison-operators/between-predicate`
#[tokio::test]
async fn between_includes_its_bounds() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("pop_other between 1038288 and 3000000", "copenhagen kiev"),
                ("pop_other not between 1000000 and 3000000", "athens berlin bern nowhere rhine"),
                ("pop_other between 100.0 and 1.0", ""),
                ("pop_other between pop_min and pop_max", "bern"),
                ("pop_other between 4000000/4 and (3*(900000+100000))", "copenhagen kiev"),
                ("pop_other between 1 and 200000 and name = 'Athens'", "athens"),
                ("name between 'Berlin' and 'Bern'", "berlin bern"),
                ("\"date\" between DATE('2022-01-01') and DATE('2023-12-31')", "berlin kiev"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/advanced-comparison-operators/in-predicate`
#[tokio::test]
async fn in_finds_values_of_every_type() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("name IN ('Kiev','kobenhavn','Berlin','athens','foo')", "berlin kiev"),
                ("name NOT IN ('Kiev','Berlin') and name > 'B' and name < 'L'", "benelux bern copenhagen"),
                ("pop_other in (1038288,1611692,3013257)", "copenhagen kiev"),
                ("pop_other not in (1038288,1611692,3013257)", "athens berlin bern nowhere rhine"),
                ("pop_other in (1000000+38288, 3*1000000+13258)", "berlin copenhagen"),
                ("\"date\" in (DATE('2021-04-16'),DATE('2022-04-16'),DATE('2022-04-18'))", "berlin bern"),
                ("\"date\" not in (DATE('2021-04-16'),DATE('2022-04-16'))", "kiev"),
                ("start in (TIMESTAMP('2022-04-16T10:13:19Z'))", "berlin"),
                ("boolean in (true)", "berlin kiev"),
                ("boolean not in (false)", "berlin kiev"),
                ("pop_other in ('many', 0.5, DATE('2020-01-01'), pop_max)", "bern luxembourg nowhere"),
                ("datetime in ('2021-04-16T10:15:59Z')", "bern"),
                ("1 in (1, 2) and name = 'Bern'", "bern"),
                ("pop_other + 7 in (0)", "rhine"),
                ("(pop_other < 0) in (true)", "rhine"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/case-insensitive-comparison/casei-function`
#[tokio::test]
async fn casei_folds_case_as_unicode_does() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("CASEI(name)=casei('KIEV')", "kiev"),
                ("CASEI(name)=casei('KØBENHAVN')", "copenhagen"),
                ("casei(name)=casei('Straßburg')", "strasbourg"),
                ("casei(name)=casei(nameascii) and name > 'L'", "strasbourg"),
                ("CASEI(name) LIKE casei('b_R%')", "berlin bern"),
                ("name LIKE casei('BERN')", ""),
                (
                    "CASEI(name) IN (casei('Kiev'), casei('kobenhavn'), casei('Berlin'), casei('athens'))",
                    "athens berlin kiev",
                ),
                ("casei(name) <> casei('FOO') and name = 'Bern'", "bern"),
                ("casei(id) = casei('BERN')", "bern"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/accent-insensitive-comparison/accenti-function`
#[tokio::test]
async fn accenti_drops_marks_and_strokes() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("ACCENTI(name)=accenti('København')", "copenhagen"),
                ("ACCENTI(name)=accenti('Kobenhavn')", "copenhagen"),
                ("ACCENTI(name)=accenti('kobenhavn')", ""),
                ("accenti(name)=accenti('Kíëv')", "kiev"),
                ("accenti(name)=nameascii and name > 'K'", "copenhagen kiev"),
                ("ACCENTI(CASEI(name))=accenti(casei('KØBENHAVN'))", "copenhagen"),
                ("CASEI(ACCENTI(name))=casei(accenti('kóbenhavn'))", "copenhagen"),
                ("ACCENTI(name) LIKE accenti('Kö%')", "copenhagen"),
                ("ACCENTI(CASEI(name)) LIKE accenti(casei('kØ%'))", "copenhagen"),
                ("ACCENTI(CASEI(name)) IN (accenti(casei('Kiev')), accenti(casei('kobenhavn')))", "copenhagen kiev"),
                // A mark that comes to stand behind an escape.
                ("accenti(name) like accenti('Atlantis %\\\u{301}')", "atlantis"),
            ],
        )
        .await;
    })
    .await;
}
