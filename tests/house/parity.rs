//! `docs/go-parity.md`: every row of the catalogue of Go's server tests, and the verdict for this
//! server. Every claim of the page needs a test.
//!
//! An id (`t13`, `n7`, `w52`) counts in the doc comment of a `#[test]`, or at the beginning of the
//! name of a conformance vector (`t62_fugazi`).

mod carriers;
mod rows;

use std::collections::BTreeSet;

use carriers::Carriers;
use rows::{all_ids, Row};

fn everything() -> (Vec<Row>, Carriers) {
    (rows::parse(&crate::read("docs/go-parity.md")), carriers::find())
}

#[test]
fn every_row_is_on_the_page_once_and_in_order() {
    let (rows, _) = everything();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, all_ids());
}

#[test]
fn every_verdict_is_known_and_has_exactly_the_words_that_it_needs() {
    for row in everything().0 {
        let (has_words, names_tests) = match &*row.verdict {
            "equal" => (false, false),
            "different" | "not applicable" => (true, false),
            "mended" => (true, true),
            _ => panic!("not a verdict: {row:?}"),
        };
        assert_eq!(!row.words.is_empty(), has_words, "{row:?}");
        assert_eq!(row.named().next().is_some(), names_tests, "{row:?}");
    }
}

#[test]
fn every_equal_different_or_mended_row_has_a_test() {
    let (rows, carriers) = everything();
    let has_test = |row: &&Row| match &*row.verdict {
        "equal" | "different" => carriers.by_id.contains_key(&row.id),
        "mended" => row.named().all(|test| carriers.tests.contains(test)),
        _ => true,
    };
    let missing: Vec<Row> = rows.into_iter().filter(|row| !has_test(&row)).collect();
    assert!(missing.is_empty(), "these tests do not exist: {missing:#?}");
}

#[test]
fn every_id_of_a_test_is_on_the_page() {
    let known: BTreeSet<String> = all_ids().into_iter().collect();
    for (id, tests) in &everything().1.by_id {
        assert!(known.contains(id), "{id} at {tests:?}");
    }
}
