//! The pages under `docs` are true: links lead somewhere, and rows of the parity page are where
//! they are said to be. (The refusals of `support.md` are tested in `tests/process/log`, the
//! figures of `sizing.md` in `tests/house/sizes.rs`, the programs of `coming-from-go.md` as
//! doctests, see the foot of `src/lib.rs`.)

const PAGES: [&str; 3] = ["coming-from-go.md", "support.md", "sizing.md"];

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

#[test]
fn every_row_of_the_parity_page_is_under_the_heading_that_is_linked() {
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
fn slug(line: &str) -> String {
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
