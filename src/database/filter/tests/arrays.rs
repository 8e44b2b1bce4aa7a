//! Conformance class "Array Functions".

use super::{expect, expect_truth, with_places};

/// `/req/array-functions/array-predicates`
#[tokio::test]
async fn arrays_are_sets() {
    with_places(|places| async move {
        expect(
            &places,
            &[
                ("A_CONTAINS(tags, ('old'))", "athens berlin copenhagen"),
                ("a_contains(tags, ('old', 1, true))", "athens"),
                ("a_contains(tags, ())", "athens benelux berlin copenhagen kiev"),
                ("a_containedBy(tags, ('old', 'sea'))", "benelux berlin copenhagen"),
                ("A_CONTAINEDBY(('new'), tags)", "kiev"),
                ("a_equals(tags, ('old'))", "berlin copenhagen"),
                ("a_equals(tags, (1, 'sea', true, 'old', 'old'))", "athens"),
                ("a_equals(tags, ())", "benelux"),
                ("a_overlaps(tags, ('new', 'sea', 'x'))", "athens kiev"),
                ("a_overlaps(('new', 'sea'), tags)", "athens kiev"),
                ("not a_overlaps(tags, ('old'))", "benelux kiev"),
                ("a_contains(tags, ((('old')), 'new'))", ""),
                ("a_contains(tags, (('old', 'old'), 'new'))", ""),
                ("a_overlaps(tags, tags)", "athens berlin copenhagen kiev"),
                ("a_equals(tags, tags)", "athens benelux berlin copenhagen kiev"),
                ("a_contains((name, 'x'), (name)) and id = 'bern'", "bern"),
                ("a_contains(tags, (\"foo\", \"bar\"))", ""),
                ("a_overlaps(tags, (name, pop_other + 1, casei('OLD')))", "athens berlin copenhagen"),
                ("a_contains((DATE('2022-04-16'), 'x'), (\"date\"))", "berlin"),
                ("a_contains(('bern', 'x'), (id))", "bern"),
            ],
        )
        .await;
    })
    .await;
}

/// `/req/array-functions/array-predicates`
#[tokio::test]
async fn arrays_within_arrays_are_elements() {
    with_places(|places| async move {
        expect_truth(
            &places,
            &[
                ("a_equals((1, 2, 2), (2, 1.0))", true),
                ("a_contains(((1, 2), 3), (3))", true),
                ("a_contains(((1, 2), 3), ((1, 2)))", false),
                ("a_contains(((1, 2), 3), ((1, 2), 3))", true),
                ("a_contains(((1, 2), 3), ((1, 1), 3))", false),
                ("a_overlaps((1, 'a'), ('1', 'a'))", true),
                ("a_overlaps((1), ('1'))", false),
            ],
        )
        .await;
    })
    .await;
}
