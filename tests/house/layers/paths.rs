//! The paths in a source file. This does not parse Rust: it splits code that rustfmt has laid out,
//! without comments, literals and `#[cfg(test)]`, into words and braces.

/// Whether the parts of `path` begin with those of `with`.
pub(super) fn begins(path: &str, with: &str) -> bool {
    path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The path of the module in `file`. The crate `timers` counts as a folder of the first.
pub(super) fn module(file: &str) -> String {
    let place = file.replace("timers/src", "src/timers").replace(".rs", "").replace("/mod", "");
    place.replacen("src", "crate", 1).replace('/', "::")
}

/// All paths of a file, spelled out.
pub(super) fn paths(file: &str, text: &str) -> Vec<String> {
    let (mut code, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            let line = line.split("//").next().unwrap();
            code.extend(line.split('"').step_by(2).chain(["\n"]));
        } else if lines.next().is_some_and(|item| item.ends_with(['{', '('])) {
            let end = line.replace("#[cfg(test)]", "}");
            lines.by_ref().find(|line| *line == end);
        }
    }
    let is_part = |c: char| c.is_alphanumeric() || "_:{}".contains(c);
    let code = code.replace(|c| !is_part(c), " ").replace('{', " { ").replace('}', " } ");
    let (mut found, mut trees) = (Vec::new(), Vec::new());
    let mut words = code.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let path = format!("{}{word}", trees.last().map_or("", String::as_str));
        match word {
            "{" => {}
            "}" => _ = trees.pop(),
            _ if word.ends_with("::") && words.peek() == Some(&"{") => trees.push(path),
            _ if !path.contains("::") => {}
            _ => found.push(absolute(&module(file), path.trim_end_matches("::self"))),
        }
    }
    found
}

/// Resolves `self`, `super` and, in a crate that lies in a folder, `crate`.
fn absolute(module: &str, path: &str) -> String {
    let crates = ["crate::timers", "crate::bin::wheelhouse"];
    let own = crates.into_iter().find(|own| begins(module, own)).unwrap_or("crate");
    let mut at: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    while let Some(outer) = rest.strip_prefix("super::").or(rest.strip_prefix("self::")) {
        at.truncate(at.len() - usize::from(rest.starts_with("super")));
        rest = outer;
    }
    match path.strip_prefix("crate::") {
        Some(inner) => format!("{own}::{inner}"),
        None if rest.len() < path.len() => format!("{}::{rest}", at.join("::")),
        None => path.to_owned(),
    }
}
