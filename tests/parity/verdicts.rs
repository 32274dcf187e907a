//! The table of verdicts, `tests/parity/verdicts.txt`: one row a line, `id | what Go shows |
//! verdict | words`, under headings that begin with `#`.

use std::fmt;

/// How many rows each list has: the tests of Go's catalogue, cases that only a probe shows, and
/// the known weaknesses of Go's server.
const ROWS: [(&str, usize); 3] = [("t", 247), ("n", 18), ("w", 54)];

pub(crate) fn all_ids() -> Vec<String> {
    ROWS.iter().flat_map(|(list, rows)| (1..=*rows).map(move |n| format!("{list}{n}"))).collect()
}

/// What became of one row.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The heading that it stands under.
    pub(crate) heading: String,
    pub(crate) id: String,
    /// The names of Go's tests, or a few words.
    pub(crate) subject: String,
    pub(crate) kind: Kind,
    pub(crate) words: String,
    /// The tests that a mended weakness names, as their ids stand for nothing else.
    pub(crate) named: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The same scenario, the same outcome.
    Equal,
    /// The same scenario, another outcome on purpose.
    Different,
    /// There is no such scenario here.
    NotApplicable,
    /// A weakness of Go's server that is none of ours.
    Mended,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] =
        [Kind::Equal, Kind::Different, Kind::NotApplicable, Kind::Mended];

    pub(crate) fn needs_words(self) -> bool {
        !matches!(self, Kind::Equal | Kind::Mended)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Equal => "equal",
            Kind::Different => "different",
            Kind::NotApplicable => "not applicable",
            Kind::Mended => "mended",
        })
    }
}

pub(crate) fn parse(text: &str) -> Vec<Verdict> {
    let mut heading = String::new();
    let mut verdicts = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut heading);
            continue;
        }
        let mut parts = line.splitn(4, '|').map(|part| part.trim().to_owned());
        let mut part = || parts.next().unwrap_or_default();
        let (id, subject, kind, words) = (part(), part(), part(), part());
        let kind = Kind::ALL.into_iter().find(|known| known.to_string() == kind);
        let kind = kind.unwrap_or_else(|| panic!("no verdict that we know: {line}"));
        assert!(!subject.is_empty(), "what is it about: {line}");
        let (words, named) = match kind {
            Kind::Mended => (String::new(), words.split_whitespace().map(str::to_owned).collect()),
            _ => (words, Vec::new()),
        };
        verdicts.push(Verdict { heading: heading.clone(), id, subject, kind, words, named });
    }
    verdicts
}
