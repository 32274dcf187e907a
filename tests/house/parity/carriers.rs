//! Finds the tests of both crates and their ids. It does not parse Rust: a test is a line
//! `#[test]`, the doc comment above it and the `fn` below it.

use std::collections::{BTreeMap, BTreeSet};

/// The tests, the vectors, and their ids.
#[derive(Debug, Default)]
pub(crate) struct Carriers {
    /// The names of the tests and vectors that carry an id.
    pub(crate) by_id: BTreeMap<String, BTreeSet<String>>,
    /// The names of all tests and vectors.
    pub(crate) tests: BTreeSet<String>,
}

pub(crate) fn find() -> Carriers {
    let mut carriers = Carriers::default();
    for file in crate::files(&["src", "tests", "timers/src"]) {
        if file.starts_with("tests/house/parity/") {
            continue;
        }
        let text = crate::read(&file);
        carriers.add_tests(&text);
        if file.starts_with("tests/it/http1/conformance/") {
            carriers.add_vectors(&text);
        }
    }
    assert!(carriers.tests.len() > 500, "tests and vectors were found");
    carriers
}

impl Carriers {
    fn add_tests(&mut self, text: &str) {
        let mut docs = String::new();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                docs += doc;
                docs.push('\n');
            } else if line == "#[test]" {
                is_test = true;
            } else if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                let name = rest.split('(').next().unwrap();
                self.add(&ids_in(&docs), name);
                (is_test, docs) = (false, String::new());
            } else if !line.starts_with("#[") {
                docs.clear();
            }
        }
    }

    /// A vector is a string such as `"t62_fugazi"` or `"t83_{}_with_chunks"`: letters, digits,
    /// underscores and placeholders.
    fn add_vectors(&mut self, text: &str) {
        for literal in text.split('"').skip(1) {
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let Some((first, rest)) = literal.split_once('_') else { continue };
            if first.is_empty() || !rest.bytes().all(|byte| is_name(byte) || b"_{}".contains(&byte))
            {
                continue;
            }
            if first.bytes().all(is_name) {
                self.add(&ids_in(first), literal);
            }
        }
    }

    fn add(&mut self, ids: &BTreeSet<String>, test: &str) {
        for id in ids {
            self.by_id.entry(id.clone()).or_default().insert(test.to_owned());
        }
        self.tests.insert(test.to_owned());
    }
}

/// The words of `text` that are a `t`, `n` or `w` and a number.
fn ids_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_id = |word: &&str| {
        let digits = word.strip_prefix(['t', 'n', 'w']).unwrap_or("");
        matches!(digits.len(), 1..=3)
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    words.filter(is_id).map(str::to_owned).collect()
}

#[test]
fn ids_are_found_only_in_documentation_above_tests_and_in_names_of_vectors() {
    let mut carriers = Carriers::default();
    let text = "/// Go: t13, n7 (part); not t1x, at1, T9, t0 or t1234.\n#[test]\nfn first() {}\n\
                /// t14\nfn helper() {}\n// t15\n#[test]\nfn second() { let t16 = 1; }\n\
                /// t17\n#[test]\n#[ignore]\nfn third() {}\n";
    carriers.add_tests(text);
    let found: Vec<_> = carriers.by_id.keys().map(String::as_str).collect();
    assert_eq!(found, ["n7", "t13", "t17"]);
    assert!(carriers.tests.contains("second"));
    let mut carriers = Carriers::default();
    carriers.add_vectors("(\"t62_fugazi\", \"t63: x\"), \"v4_t64\", \"Bt_1\"");
    assert_eq!(carriers.by_id.keys().collect::<Vec<_>>(), ["t62"]);
    assert_eq!(carriers.tests.len(), 2);
}
