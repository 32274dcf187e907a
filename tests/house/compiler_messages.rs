//! `docs/compiler-messages.md`: the compiler refuses each wrong program of the page with the lines
//! that the page quotes, and accepts each remedy.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The page names the version of the compiler whose messages it quotes.
const VERSION_BEFORE: &str = "those of Rust ";

/// One section of the page.
struct Mistake<'a> {
    title: &'a str,
    program: &'a str,
    /// The quoted lines of the message.
    message: &'a str,
    remedies: Vec<&'a str>,
}

#[test]
fn every_mistake_gets_the_message_that_the_page_quotes() {
    let page = crate::read("docs/compiler-messages.md");
    let compiler = Compiler::new("mistake");
    let quoted = page.split(VERSION_BEFORE).nth(1).and_then(|rest| rest.split(';').next());
    let words_count = compiler.version() == quoted.expect("the page names a version");
    if !words_count {
        let quoted = quoted.unwrap_or_default();
        println!("only codes are compared: the page is of Rust {quoted}, this is another version");
    }
    for Mistake { title, program, message, .. } in mistakes(&page) {
        let (compiles, output) = compiler.run(program);
        let first = message.lines().next().unwrap();
        let code = first.split(": ").next().unwrap();
        assert_eq!(compiles, code == "warning", "{title}: {output}");
        assert!(output.contains(code), "{title}: there is no {code} in:\n{output}");
        let missing = message.lines().filter(|line| *line != "..." && !output.contains(line));
        let missing: Vec<&str> = missing.filter(|_| words_count).collect();
        assert!(missing.is_empty(), "{title}: {missing:#?} is missing in:\n{output}");
    }
}

#[test]
fn every_remedy_compiles_without_a_message_about_its_values() {
    let page = crate::read("docs/compiler-messages.md");
    let compiler = Compiler::new("remedy");
    for Mistake { title, remedies, .. } in mistakes(&page) {
        assert!(!remedies.is_empty(), "{title}: the page has no remedy");
        for remedy in remedies {
            let (compiles, output) = compiler.run(remedy);
            assert!(compiles && !output.contains("must be used"), "{title}: {output}");
        }
    }
}

#[test]
fn every_mistake_is_in_the_table_of_the_page() {
    let page = crate::read("docs/compiler-messages.md");
    let titles: Vec<&str> = mistakes(&page).iter().map(|mistake| mistake.title).collect();
    let rows = page.lines().filter(|line| line.starts_with("| `")).collect::<Vec<_>>();
    assert_eq!(titles.len(), 12);
    assert_eq!(rows.len(), titles.len());
    for (row, title) in rows.iter().zip(titles) {
        assert!(row.contains(&format!("[{title}](#")), "{title} is not linked in {row}");
    }
}

fn mistakes(page: &str) -> Vec<Mistake<'_>> {
    page.split("\n## ").skip(1).map(mistake).collect()
}

fn mistake(section: &str) -> Mistake<'_> {
    let title = section.lines().next().unwrap();
    let mut blocks = section.split("```").skip(1).step_by(2);
    let mut block = |kind: &str| {
        let block = blocks.next().and_then(|block| block.strip_prefix(kind));
        block.unwrap_or_else(|| panic!("{title}: a block of {kind} is missing"))
    };
    let (program, message) = (block("rust\n"), block("text\n"));
    let remedies = blocks.map(|block| block.strip_prefix("rust\n").expect(title)).collect();
    Mistake { title, program, message, remedies }
}

/// The compiler of this build, and the library that it has built.
struct Compiler {
    rustc: PathBuf,
    /// The name of each compiled program, and so of its file: tests run at the same time.
    name: &'static str,
    library: PathBuf,
    /// The folders of the dependencies: for another target, macros are in the folder of this one.
    deps: Vec<PathBuf>,
    /// The target, if cargo was told of one: its folder then has that name.
    target: Option<String>,
}

impl Compiler {
    fn new(name: &'static str) -> Compiler {
        let beside_cargo = || Path::new(env!("CARGO")).with_file_name("rustc");
        let rustc = env::var_os("RUSTC").map_or_else(beside_cargo, PathBuf::from);
        let own = env::current_exe().unwrap();
        let deps = own.parent().unwrap().to_owned();
        let folder = deps.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
        let folder = folder.to_string_lossy().into_owned();
        let targets = output(Command::new(&rustc).args(["--print", "target-list"]));
        let target = targets.lines().any(|target| target == folder).then_some(folder);
        let library = newest_library(&deps);
        let profile = deps.ancestors().nth(1).and_then(Path::file_name).unwrap_or_default();
        let of_macros = deps.ancestors().nth(3).map(|all| all.join(profile).join("deps"));
        let of_macros = of_macros.filter(|_| target.is_some());
        let deps = [deps.clone()].into_iter().chain(of_macros).collect();
        Compiler { library, rustc, name, deps, target }
    }

    /// The version as two numbers: `1.95`.
    fn version(&self) -> String {
        let version = output(Command::new(&self.rustc).arg("--version"));
        let numbers = version.split(' ').nth(1).unwrap();
        numbers.rsplit_once('.').unwrap().0.to_owned()
    }

    /// Compiles `program` as a library, which needs no `main`, and returns whether that succeeds,
    /// and the messages.
    fn run(&self, program: &str) -> (bool, String) {
        let mut command = Command::new(&self.rustc);
        command
            .args(["--edition=2021", "--crate-type=lib", "--color=never"])
            .args(["--crate-name", self.name])
            .args(["--emit=metadata", "--out-dir", env!("CARGO_TARGET_TMPDIR")])
            .arg(format!("--extern=wheelhouse={}", self.library.display()))
            .args(self.deps.iter().map(|folder| format!("-Ldependency={}", folder.display())))
            .args(self.target.iter().map(|target| format!("--target={target}")))
            .arg("-");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut compiler = command.spawn().unwrap();
        compiler.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
        let output = compiler.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }
}

/// The library that was built last. Others of the folder are of other features or versions.
fn newest_library(deps: &Path) -> PathBuf {
    let files = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path());
    let libraries = files.filter(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with("libwheelhouse-") && name.ends_with(".rlib")
    });
    let newest = libraries.max_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
    newest.expect("cargo has built the library for this test")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
