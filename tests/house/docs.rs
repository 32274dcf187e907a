//! The pages are true. Under `docs`, links lead somewhere, and rows of the parity page are under
//! the headings that are linked. In ARCHITECTURE, the tables are those of the sources, and the
//! functions that a reader follows exist. (The refusals of `support.md` are tested in
//! `tests/process/log`, the figures of `sizing.md` in `tests/house/sizes.rs`, the programs of
//! `coming-from-go.md`, `cookbook.md` and `debugging.md` as doctests, see the foot of
//! `src/lib.rs`.)

const PAGES: [&str; 7] = [
    "coming-from-go.md",
    "cookbook.md",
    "compiler-messages.md",
    "debugging.md",
    "support.md",
    "sizing.md",
    "under-attack.md",
];

const VISIT: &str = "src/reactor/visit";
/// Upward calls between the files of a visit: the file of the caller, and the method.
const CALLS_UP: [(&str, &str); 0] = [];

#[test]
fn the_table_of_tasks_equals_that_of_the_source() {
    let (page, source) = (crate::read("ARCHITECTURE.md"), crate::read("src/reactor/task.rs"));
    assert_eq!(rows(&page, "| task |"), rows(&source, "| task |"));
}

#[test]
fn the_list_of_the_files_of_a_visit_equals_that_of_the_source_and_is_complete() {
    let page = crate::read("ARCHITECTURE.md");
    let source = crate::read(format!("{VISIT}/mod.rs"));
    let head = "| file | its part in the visit |";
    assert_eq!(rows(&page, head), rows(&source, head));
    let mut listed = files_of_a_visit();
    listed.sort();
    let listed: Vec<String> = listed.iter().map(|name| format!("{VISIT}/{name}")).collect();
    assert_eq!(listed, crate::files(&[VISIT]));
}

#[test]
fn calls_between_the_files_of_a_visit_go_down_their_list() {
    let names = files_of_a_visit();
    let texts: Vec<String> = names.iter().map(|name| code(&format!("{VISIT}/{name}"))).collect();
    let mut up = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        for method in text.split("self.").skip(1).filter_map(called) {
            let definition = format!(" fn {method}");
            let defines = |text: &&String| text.split(&definition).skip(1).any(begins_a_list);
            if !defines(&text) && texts[..n].iter().any(|above| defines(&above)) {
                up.push((names[n].as_str(), method));
            }
        }
    }
    assert_eq!(up, CALLS_UP);
}

#[test]
fn a_request_passes_through_at_most_ten_functions_which_are_in_the_named_files() {
    let page = crate::read("ARCHITECTURE.md");
    let steps = rows(&page, "| | function | file |");
    assert!((5..=10).contains(&steps.len()), "{} functions", steps.len());
    for step in steps {
        let words: Vec<&str> = step.split('`').collect();
        let name = words[1].rsplit("::").next().unwrap();
        let text = code(&format!("src/{}", words[3]));
        let found = text.split(&format!("fn {name}")).skip(1).any(begins_a_list);
        assert!(found, "this function does not exist: {step}");
    }
}

/// The rows of the table that begins with `head`, in a page or in the comment of a source.
fn rows<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
    let table = lines.skip_while(|line| !line.starts_with(head));
    let rows: Vec<&str> = table.take_while(|line| line.starts_with('|')).skip(2).collect();
    assert!(!rows.is_empty(), "the page has no table {head}");
    rows
}

/// The files in the list at the top of the folder, in its order.
fn files_of_a_visit() -> Vec<String> {
    let source = crate::read(format!("{VISIT}/mod.rs"));
    let rows = rows(&source, "| file | its part in the visit |");
    let cells = rows.iter().filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// A source without its comments.
fn code(file: &str) -> String {
    crate::read(file).lines().map(|line| line.split("//").next().unwrap()).collect()
}

/// The method that is called at the beginning of `text`, if one is.
fn called(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    begins_a_list(&text[end..]).then_some(&text[..end])
}

/// Whether `text` begins with parameters or arguments.
fn begins_a_list(text: &str) -> bool {
    text.starts_with(['(', '<'])
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_to_a_heading_in_it() {
    for name in PAGES {
        for target in page(name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains(':') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let text = page(if file.is_empty() { name } else { file });
            let found = heading.is_empty() || text.lines().any(|line| slug(line) == heading);
            assert!(found, "{name} links to {target}: no such heading");
        }
    }
}

/// The text of a line up to its first `{}` stands in a source, whatever names are in the braces.
#[test]
fn every_line_of_the_log_on_the_page_stands_in_a_source() {
    let sources: String = crate::files(&["src"]).iter().map(crate::read).collect();
    let debugging = page("debugging.md");
    for row in rows(&debugging, "| level | line |") {
        let line = row.split('`').nth(1).unwrap();
        let parts = line.split(['{', '}']).step_by(2).filter(|part| !part.trim().is_empty());
        for part in parts {
            assert!(sources.contains(part), "there is no such line: {line}");
        }
    }
}

/// The longest part of each line between braces and colons stands on the page.
#[test]
fn every_line_of_the_log_in_a_source_stands_on_the_page() {
    let debugging = page("debugging.md");
    let mut count = 0;
    for file in crate::files(&["src"]).iter().filter(|file| !file.starts_with("src/bin")) {
        let source = crate::read(file);
        let levels = ["error!(", "warn!(", "info!(", "debug!("];
        for arguments in levels.iter().flat_map(|level| source.split(level).skip(1)) {
            if file.ends_with("logging.rs") {
                continue;
            }
            let line = arguments.split('"').nth(1).unwrap();
            let texts = line.split(['{', '}']).step_by(2).flat_map(|text| text.split(": "));
            let part = texts.max_by_key(|text| text.len()).unwrap().trim();
            assert!(debugging.contains(part), "{file}: {line:?} is not on the page");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} lines are found");
}

/// That it compiles, and for a few that it runs, is checked by the doctests.
#[test]
fn every_program_of_the_cookbook_is_short_and_has_a_main() {
    let text = page("cookbook.md");
    let mut programs = 0;
    for program in text.split("\n```rust").skip(1) {
        let program = program.split("\n```").next().unwrap();
        let lines = program.lines().count() - 1;
        assert!(lines < 40, "{lines} lines: {program}");
        assert!(program.contains("fn main() -> Result<(), "), "not complete: {program}");
        programs += 1;
    }
    assert!(programs > 14, "{programs} programs");
}

#[test]
fn every_linked_row_of_the_parity_page_is_under_its_heading() {
    let parity = page("go-parity.md");
    let mut links = 0;
    for link in page("coming-from-go.md").split('[').skip(1) {
        let Some((id, heading)) = link.split_once("](go-parity.md#") else { continue };
        let heading = heading.split(')').next().unwrap();
        let section =
            parity.split("\n## ").find(|section| slug(&format!("## {section}")) == heading);
        let row = format!("\n* {id}, ");
        assert!(section.is_some_and(|section| section.contains(&row)), "{id} under {heading}");
        links += 1;
    }
    assert!(links > 20, "{links} links to rows");
}

/// The name by which a heading is linked. Another line gets a name that no link has.
pub(crate) fn slug(line: &str) -> String {
    let Some(text) = line.lines().next().and_then(|line| line.strip_prefix('#')) else {
        return "\n".to_owned();
    };
    let text = text.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn page(name: &str) -> String {
    crate::read(format!("docs/{name}"))
}
