//! The page itself: a summary, then a table for each heading.

use super::carriers::Carriers;
use super::verdicts::{Kind, Verdict};

/// So many vectors that carry an id stand by name; more are counted. What a verdict names itself
/// stands by name, however much it is: it has other ids.
const VECTORS_NAMED: usize = 3;

pub(crate) fn render(verdicts: &[Verdict], carriers: &Carriers) -> String {
    let mut page = String::from(INTRODUCTION);
    for (list, title) in [("t", "Go's tests"), ("n", "Probed cases"), ("w", "Weaknesses")] {
        let of_list = || verdicts.iter().filter(move |verdict| verdict.id.starts_with(list));
        page += &format!("| {title} | {} |", of_list().count());
        for kind in Kind::ALL {
            page += &match of_list().filter(|verdict| verdict.kind == kind).count() {
                0 => " |".to_owned(),
                count => format!(" {count} |"),
            };
        }
        page.push('\n');
    }
    let mut heading = "";
    for verdict in verdicts {
        if verdict.heading != heading {
            heading = &verdict.heading;
            page += &format!("\n## {heading}\n\n| row | verdict | our tests | what Go shows | ");
            page += "what is different, and why |\n|---|---|---|---|---|\n";
        }
        let Verdict { id, subject, kind, words, .. } = verdict;
        let tests = tests_of(verdict, carriers);
        let row = format!("| {id} | {kind} | {tests} | {subject} | {words} |\n");
        page += &row.replace("|  |", "| |").replace("|  |", "| |");
    }
    page
}

fn tests_of(verdict: &Verdict, carriers: &Carriers) -> String {
    let none = Vec::new();
    let tests = match verdict.kind {
        Kind::NotApplicable => &none,
        Kind::Mended => &verdict.named,
        _ => carriers.by_id.get(&verdict.id).unwrap_or(&none),
    };
    let (vectors, tests): (Vec<&str>, Vec<&str>) =
        tests.iter().map(String::as_str).partition(|test| test.starts_with("tests/conformance/"));
    let mut shown: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
    if vectors.len() <= VECTORS_NAMED || verdict.kind == Kind::Mended {
        shown.extend(vectors.iter().map(|vector| format!("`{vector}`")));
    } else {
        let mut files: Vec<&str> = vectors.iter().map(|v| v.split("::").next().unwrap()).collect();
        files.dedup();
        let id = &verdict.id;
        for file in files {
            let count = vectors.iter().filter(|vector| vector.starts_with(file)).count();
            shown.push(format!("`{file}::{id}_*` ({count})"));
        }
    }
    shown.join(", ")
}

const INTRODUCTION: &str = "\
# Parity with Go's server

What the tests of Go's `net/http` server (1.27) show, row by row, and what became of it here. This
page is made by `tests/parity.rs` from `tests/parity/verdicts.txt` and from the ids that our tests
carry; do not edit it. `PARITY_WRITE=1 cargo test --test parity` makes it anew, and the test fails
while it is stale, or claims what no test shows.

* **equal**: the same scenario has the same outcome.
* **different**: it has another outcome on purpose; the last column says which, and why.
* **not applicable**: there is no such scenario here.
* **mended**: a weakness of Go's server that ours does not have.

Rows `t1` to `t247` are Go's tests, grouped by scenario. Rows `n1` to `n18` are cases that Go has
no test for and that a probe of its server showed. Rows `w1` to `w54` are known weaknesses.
`tests/conformance` holds vectors: bytes in, and what must become of them.

| | rows | equal | different | not applicable | mended |
|---|---|---|---|---|---|
";
