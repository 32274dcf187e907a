//! The rows of the page: items of a list, each `* ID, VERDICT: SUBJECT. WORDS`, on as many lines
//! as it takes.

/// The number of rows of each list: the tests of Go's catalogue, cases that only a probe shows, and
/// the known weaknesses of Go's server.
const ROWS: [(&str, usize); 3] = [("t", 247), ("n", 18), ("w", 54)];

pub(crate) fn all_ids() -> Vec<String> {
    ROWS.iter().flat_map(|(list, rows)| (1..=*rows).map(move |n| format!("{list}{n}"))).collect()
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) verdict: String,
    /// The outcome here and its reason, or the tests of a mended weakness. Empty for `equal`.
    pub(crate) words: String,
}

impl Row {
    fn new(text: &str) -> Option<Row> {
        let (id, rest) = text.split_once(", ")?;
        let (verdict, rest) = rest.split_once(": ")?;
        let (_subject, words) =
            rest.split_once(". ").or(rest.strip_suffix('.').map(|it| (it, "")))?;
        Some(Row { id: id.to_owned(), verdict: verdict.to_owned(), words: words.to_owned() })
    }

    /// The names of the tests that a mended weakness lists.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        let tests = self.words.strip_prefix("Tests: ").unwrap_or("");
        tests.split('`').skip(1).step_by(2)
    }
}

pub(crate) fn parse(page: &str) -> Vec<Row> {
    let rows = page.split_once("\n## ").expect("a heading").1.replace("\n  ", " ");
    let items = rows.lines().filter_map(|line| line.strip_prefix("* "));
    items.map(|item| Row::new(item).unwrap_or_else(|| panic!("not a row: {item}"))).collect()
}
