//! `docs/go-parity.md`: every row of the catalogue of Go's server tests with what became of it
//! here. The page is made from `tests/parity/verdicts.txt` and from the ids that tests carry, so
//! it cannot claim what no test shows: `equal` and `different` need a test with the id.
//!
//! `PARITY_WRITE=1 cargo test --test parity` writes the page anew.
//!
//! An id (`t13`, `n7`, `w52`) counts where it stands in the doc lines of a `#[test]`, or at the front of
//! the name of a vector of `tests/conformance` (`t62_fugazi`).

mod parity {
    pub(crate) mod carriers;
    pub(crate) mod page;
    pub(crate) mod verdicts;
}

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parity::carriers::{self, Carriers};
use parity::page;
use parity::verdicts::{self, Kind, Verdict};

const PAGE: &str = "docs/go-parity.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn everything() -> (Vec<Verdict>, Carriers) {
    let text = fs::read_to_string(root().join("tests/parity/verdicts.txt")).unwrap();
    (verdicts::parse(&text), carriers::find(root()))
}

#[test]
fn every_row_has_one_verdict() {
    let (verdicts, _) = everything();
    let ids: Vec<&str> = verdicts.iter().map(|verdict| verdict.id.as_str()).collect();
    let expected = verdicts::all_ids();
    assert_eq!(ids, expected, "each row once, in order, and no other");
}

#[test]
fn every_verdict_has_the_words_it_needs_and_no_others() {
    for verdict in everything().0 {
        let Verdict { id, kind, words, named, .. } = &verdict;
        assert_eq!(words.is_empty(), !kind.needs_words(), "{id} is {kind}: {words:?}");
        assert_eq!(named.is_empty(), *kind != Kind::Mended, "{id} is {kind}: {named:?}");
    }
}

#[test]
fn what_is_equal_different_or_mended_is_shown_by_a_test() {
    let (verdicts, carriers) = everything();
    let missing: Vec<String> = verdicts
        .iter()
        .filter(|verdict| match verdict.kind {
            Kind::Equal | Kind::Different => !carriers.by_id.contains_key(&verdict.id),
            Kind::Mended => !verdict.named.iter().all(|test| carriers.tests.contains(test)),
            Kind::NotApplicable => false,
        })
        .map(|verdict| format!("{} {:?}", verdict.id, verdict.named))
        .collect();
    assert!(missing.is_empty(), "no test carries these ids: {missing:?}");
}

#[test]
fn tests_carry_no_id_that_is_in_no_list() {
    let known: BTreeSet<String> = verdicts::all_ids().into_iter().collect();
    for (id, tests) in &everything().1.by_id {
        assert!(known.contains(id), "{id} at {tests:?}");
    }
}

#[test]
fn the_page_is_what_verdicts_and_tests_say() {
    let (verdicts, carriers) = everything();
    let page = page::render(&verdicts, &carriers);
    if std::env::var_os("PARITY_WRITE").is_some() {
        fs::write(root().join(PAGE), &page).unwrap();
    }
    let committed = fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    let differs = page.lines().zip(committed.lines()).find(|(new, old)| new != old);
    assert!(
        page == committed,
        "{PAGE} is stale: PARITY_WRITE=1 cargo test --test parity\nfirst difference: {differs:#?}"
    );
}
