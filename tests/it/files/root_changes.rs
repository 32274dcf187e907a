//! The path of the root comes to mean another directory, or none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use wheelhouse::files::Files;

use super::tree::{asker, Asker, Tree};
use crate::support::{MS, SECOND};

/// Two releases and a link to the first.
struct Releases {
    tree: Tree,
}

impl Releases {
    fn new() -> Releases {
        let tree = Tree::new();
        for name in ["one", "two"] {
            tree.write(&format!("{name}/index.html"), name);
            tree.write(&format!("{name}/sub/file-of-{name}.txt"), name);
        }
        let releases = Releases { tree };
        releases.switch("one");
        releases
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.root().join(name)
    }

    /// Switches the link as `ln -sfn` and deploy tools do.
    fn switch(&self, release: &str) {
        let new = self.path("new");
        symlink(release, &new).unwrap();
        fs::rename(new, self.path("current")).unwrap();
    }

    fn asker(&self) -> Asker {
        asker(Files::new(self.path("current")).unwrap())
    }
}

#[test]
fn a_link_that_a_deploy_switches_is_followed_within_a_second() {
    let releases = Releases::new();
    let mut asker = releases.asker();
    assert_eq!(asker.get("/").text(), "one");
    assert!(asker.get("/sub/").text().contains("file-of-one"));
    releases.switch("two");
    asker.sim.advance(SECOND);
    assert_eq!(asker.get("/").text(), "two");
    assert_eq!(asker.get("/sub/file-of-two.txt").status, 200);
    assert_eq!(asker.get("/sub/file-of-one.txt").status, 404);
    let listing = asker.get("/sub/");
    assert!(listing.text().contains("file-of-two") && !listing.text().contains("file-of-one"));
}

#[test]
fn the_path_is_looked_at_once_in_a_second() {
    let releases = Releases::new();
    let mut asker = releases.asker();
    assert_eq!(asker.get("/").text(), "one");
    releases.switch("two");
    asker.sim.advance(SECOND - 2 * MS);
    assert_eq!(asker.get("/").text(), "one", "the last look is less than a second old");
    asker.sim.advance(2 * MS);
    assert_eq!(asker.get("/").text(), "two");
}

/// A server without requests has no reason to look; the first request after a long time has.
#[test]
fn the_first_request_after_a_quiet_time_gets_the_new_directory() {
    let releases = Releases::new();
    let mut asker = releases.asker();
    releases.switch("two");
    assert_eq!(asker.get("/").text(), "two");
    releases.switch("one");
    asker.sim.advance(3600 * SECOND);
    assert_eq!(asker.get("/").text(), "one");
}

#[test]
fn a_directory_that_is_made_anew_or_renamed_into_place_is_served_within_a_second() {
    let tree = Tree::new();
    let (site, old) = (tree.root().join("site"), tree.root().join("old"));
    tree.write("site/index.html", "first");
    let mut asker = asker(Files::new(&site).unwrap());
    assert_eq!(asker.get("/").text(), "first");
    for round in 0..3 {
        fs::remove_dir_all(&site).unwrap();
        tree.write("site/index.html", format!("made anew {round}"));
        asker.sim.advance(SECOND);
        assert_eq!(asker.get("/").text(), format!("made anew {round}"));
    }
    tree.write("next/index.html", "renamed");
    fs::rename(&site, &old).unwrap();
    fs::rename(tree.root().join("next"), &site).unwrap();
    asker.sim.advance(SECOND);
    assert_eq!(asker.get("/").text(), "renamed");
}

#[test]
fn a_directory_above_the_root_may_be_replaced_too() {
    let tree = Tree::new();
    tree.write("app/public/index.html", "first");
    let mut asker = asker(Files::new(tree.root().join("app/public")).unwrap());
    assert_eq!(asker.get("/").text(), "first");
    fs::rename(tree.root().join("app"), tree.root().join("old")).unwrap();
    tree.write("app/public/index.html", "second");
    asker.sim.advance(SECOND);
    assert_eq!(asker.get("/").text(), "second");
}

#[test]
fn without_a_root_every_request_gets_a_503_and_the_first_one_after_its_return_is_served() {
    let releases = Releases::new();
    let mut asker = releases.asker();
    assert_eq!(asker.get("/").text(), "one");
    let current = releases.path("current");
    let ways: [&dyn Fn(); 4] = [
        &|| {},
        &|| symlink("missing", &current).unwrap(),
        &|| symlink("current", &current).unwrap(),
        &|| fs::write(&current, "a file").unwrap(),
    ];
    for (at, way) in ways.iter().enumerate() {
        fs::remove_file(&current).unwrap();
        way();
        asker.sim.advance(SECOND);
        for (method, path) in [("GET", "/"), ("HEAD", "/"), ("GET", "/x"), ("GET", "/sub/")] {
            let response = asker.ask(method, path, &[]);
            let found = (response.status, response.field("retry-after"));
            assert_eq!(found, (503, Some("5")), "way {at}: {method} {path}");
            assert_eq!(response.field("x-content-type-options"), Some("nosniff"));
        }
        let _ = fs::remove_file(&current);
        symlink("two", &current).unwrap();
        assert_eq!(asker.get("/").text(), "two", "way {at}");
    }
}

#[test]
fn the_fields_of_the_program_are_in_the_response_without_a_root() {
    let releases = Releases::new();
    let files = Files::new(releases.path("current")).unwrap().header("X-From", "here").unwrap();
    let mut asker = asker(files);
    fs::remove_file(releases.path("current")).unwrap();
    let response = asker.get("/");
    assert_eq!((response.status, response.field("x-from")), (503, Some("here")));
}

#[test]
fn options_hold_for_the_new_directory() {
    let releases = Releases::new();
    for release in ["one", "two"] {
        let outside = releases.tree.root().join("file.txt");
        symlink(outside, releases.path(release).join("outside")).unwrap();
    }
    let files = Files::new(releases.path("current")).unwrap();
    let mut bounded = releases.asker();
    let mut open = asker(files.follow_links(true));
    for release in ["one", "two"] {
        releases.switch(release);
        bounded.sim.advance(SECOND);
        open.sim.advance(SECOND);
        assert_eq!(open.get("/outside").text(), "0123456789", "{release}");
        assert_eq!(bounded.get("/outside").status, 404, "{release}");
    }
}

#[test]
fn a_single_file_is_found_in_the_directory_that_takes_the_place_of_its_own() {
    let releases = Releases::new();
    let mut asker = asker(Files::open(releases.path("current").join("index.html")).unwrap());
    assert_eq!(asker.get("/").text(), "one");
    releases.switch("two");
    asker.sim.advance(SECOND);
    assert_eq!(asker.get("/").text(), "two");
    fs::remove_file(releases.path("two").join("index.html")).unwrap();
    assert_eq!(asker.get("/").status, 404, "its directory is still there");
}

/// A process that gives up its rights after it has opened the directory still has it.
#[test]
fn a_path_that_may_no_longer_be_looked_at_keeps_its_directory() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may look at every path");
        return;
    }
    let tree = Tree::new();
    tree.write("private/site/index.html", "site");
    let private = tree.root().join("private");
    let mut asker = asker(Files::new(private.join("site")).unwrap());
    fs::set_permissions(&private, fs::Permissions::from_mode(0o000)).unwrap();
    asker.sim.advance(SECOND);
    let response = asker.get("/");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(response.text(), "site");
}
