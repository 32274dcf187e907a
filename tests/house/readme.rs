//! README and ARCHITECTURE are correct: the table of limits, the two commands, names of tests,
//! links, the code map. (The README's program is compiled as a doctest, see the end of
//! `src/lib.rs`.)

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wheelhouse::Limits;

#[test]
fn the_table_of_limits_equals_the_printed_default() {
    let printed = Limits::default().to_string();
    let block = format!("```text\n{printed}```\n");
    assert!(readme().contains(&block), "README.md is stale, the block must be:\n{block}");
}

#[test]
fn both_commands_have_a_line_of_their_own() {
    for command in ["cargo run --release", "cargo test --workspace"] {
        assert!(readme().contains(&format!("```sh\n{command}\n```")), "{command}");
    }
}

#[test]
fn the_readme_stays_short() {
    let lines = readme().lines().count();
    assert!(lines < 290, "{lines} lines");
}

/// The mark `PROMISE-TEST` means that a row still has no test; it goes when the test exists.
#[test]
fn every_promise_of_the_security_page_names_a_test_that_exists() {
    let rows = promises("SECURITY.md");
    assert_eq!(rows.len(), 12, "twelve promises");
    for row in rows {
        let tests: Vec<_> = row.split('`').filter_map(|code| code.split_once(".rs::")).collect();
        let missing = tests.iter().find(|(file, name)| !is_a_test(file, name));
        let is_kept = !tests.is_empty() && missing.is_none();
        let is_marked = row.contains("PROMISE-TEST");
        assert!(is_kept || is_marked, "these tests do not exist, {missing:?}: {row}");
        assert!(!is_kept || !is_marked, "all tests exist, remove the mark: {row}");
    }
}

/// So that the check above cannot pass because it looks for too little.
#[test]
fn a_function_without_the_attribute_or_in_another_file_is_not_a_test() {
    assert!(is_a_test("tests/house/readme", "the_readme_stays_short"));
    assert!(!is_a_test("tests/house/readme", "the_readme_stays"));
    assert!(!is_a_test("tests/house/readme", "readme"));
    assert!(!is_a_test("tests/house/docs", "the_readme_stays_short"));
    assert!(!is_a_test("tests/house/nowhere", "the_readme_stays_short"));
}

/// Whether the file (without `.rs`) has a test function of this name.
fn is_a_test(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(crate::root().join(format!("{file}.rs"))).unwrap_or_default();
    let Some((before, _)) = text.split_once(&format!("fn {name}()")) else { return false };
    before.trim_end().ends_with("#[test]")
}

#[test]
fn the_readme_lists_each_promise_once() {
    let listed = readme().lines().filter(|line| number_of_an_item(line).is_some()).count();
    assert_eq!(listed, promises("SECURITY.md").len());
}

#[test]
fn every_link_of_a_page_above_docs_leads_to_a_file_and_to_a_heading_in_it() {
    let pages = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    for page in pages.into_iter().chain(["examples/README.md"]) {
        let folder = Path::new(page).parent().unwrap();
        let text = crate::read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains(':') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { PathBuf::from(page) } else { folder.join(file) };
            assert!(crate::root().join(&file).exists(), "{page} links to {target}");
            let has_it = |text: String| text.lines().any(|line| crate::docs::slug(line) == heading);
            let found = heading.is_empty() || has_it(crate::read(&file));
            assert!(found, "{page} links to {target}: no such heading");
        }
    }
}

#[test]
fn the_index_of_examples_lists_each_of_them_and_nothing_else() {
    let index = crate::read("examples/README.md");
    let rows = index.lines().filter(|line| line.starts_with("| "));
    let linked = rows.filter_map(|row| row.split("](").nth(1)?.split(')').next());
    let listed = Vec::from_iter(linked.map(|file| format!("examples/{file}")));
    let examples = examples();
    for file in &examples {
        assert_eq!(listed.iter().filter(|&row| row == file).count(), 1, "rows for {file}");
    }
    assert_eq!(listed.len(), examples.len(), "rows for other files: {listed:#?}");
}

#[test]
fn every_example_begins_with_the_command_that_runs_it() {
    for file in examples() {
        let text = crate::read(&file);
        // An example that is a package of its own has a manifest.
        let (name, option) = match file.strip_suffix("/src/main.rs") {
            Some(package) => (format!("{package}/Cargo.toml"), "--manifest-path "),
            None => {
                (file.trim_start_matches("examples/").trim_end_matches(".rs").into(), "--example ")
            }
        };
        let header = text.lines().take_while(|line| line.starts_with("//!"));
        let runs_it = |line: &str| {
            line.starts_with("//! cargo run --release ")
                && line.split(' ').any(|word| word == name)
                && line.contains(option)
        };
        assert!(header.into_iter().any(runs_it), "{file}: no command to run it");
    }
}

/// The programs of the examples, without the tests that some of them have.
fn examples() -> Vec<String> {
    let mut files = crate::files(&["examples"]);
    files.retain(|file| !file.ends_with("/tests.rs"));
    files
}

/// Except the program for load generators and probes, which has a path for each behaviour and limits
/// as options.
#[test]
fn every_example_has_fewer_than_60_lines() {
    for file in examples() {
        let lines = crate::read(&file).lines().count();
        assert!(lines < 60 || file == "examples/probe.rs", "{file}: {lines} lines");
    }
}

#[test]
fn the_code_map_lists_exactly_the_existing_files() {
    let text = crate::read("ARCHITECTURE.md");
    let mapped: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(path, _)| path))
        .filter(|path| path.contains("src/"))
        .map(str::to_owned)
        .collect();
    let files = crate::files(&["src", "timers/src"]).into_iter();
    let files = files.filter(|file| !file.ends_with("tests.rs"));
    let (mapped, files) = (BTreeSet::from_iter(mapped), BTreeSet::from_iter(files));
    let (new, gone) = (&files - &mapped, &mapped - &files);
    assert!(new.is_empty(), "ARCHITECTURE.md, \"Code map\": these files are not listed: {new:#?}");
    assert!(gone.is_empty(), "ARCHITECTURE.md, \"Code map\": these files do not exist: {gone:#?}");
}

/// The rows of a table whose first cell is a number.
fn promises(page: &str) -> Vec<String> {
    let text = crate::read(page);
    let rows = text.lines().filter(|line| {
        let number = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next());
        number.is_some_and(|text| text.parse::<u32>().is_ok())
    });
    rows.map(str::to_owned).collect()
}

/// The number of a line in a numbered list.
fn number_of_an_item(line: &str) -> Option<u32> {
    line.split_once(". ")?.0.parse().ok()
}

fn readme() -> String {
    crate::read("README.md")
}
