//! Conditional requests (RFC 9110, section 13).

use super::tree::{asker, Tree, CHANGED, CHANGED_DATE};
use crate::support::{MS, SECOND};

const BEFORE: &str = "Tue, 02 Jan 2024 03:04:04 GMT";
const AFTER: &str = "Tue, 02 Jan 2024 03:04:06 GMT";

/// Fields and the status that they cause. `@` stands for the entity tag of the file, `=`, `<` and
/// `>` for the date of its change, an earlier and a later date. t218.
const TABLE: &[(&[(&str, &str)], u16)] = &[
    // If-None-Match: weak comparison.
    (&[("If-None-Match", "@")], 304),
    (&[("If-None-Match", "W/@")], 304),
    (&[("If-None-Match", "*")], 304),
    (&[("If-None-Match", "\"x\"")], 200),
    (&[("If-None-Match", "\"x\", @")], 304),
    (&[("If-None-Match", "\"a,b\",@")], 304),
    (&[("If-None-Match", ",, ,@")], 304),
    (&[("If-None-Match", "\"x\"\t,\t@")], 304),
    (&[("If-None-Match", "\"x\"@")], 304),
    (&[("If-None-Match", "\"\"")], 200),
    (&[("If-None-Match", "\"x\""), ("If-None-Match", "@")], 304),
    // A malformed tag ends the list.
    (&[("If-None-Match", "x, @")], 200),
    (&[("If-None-Match", "w/@")], 200),
    (&[("If-None-Match", "\"x")], 200),
    (&[("If-None-Match", "\"")], 200),
    (&[("If-None-Match", "W/")], 200),
    (&[("If-None-Match", "")], 200),
    (&[("If-None-Match", "'@'")], 200),
    (&[("If-None-Match", "\"a b\", @")], 200),
    (&[("If-None-Match", "\u{e9}, @")], 200),
    // If-Modified-Since: only without If-None-Match, in whole seconds.
    (&[("If-Modified-Since", "=")], 304),
    (&[("If-Modified-Since", ">")], 304),
    (&[("If-Modified-Since", "<")], 200),
    (&[("If-None-Match", "\"x\""), ("If-Modified-Since", "=")], 200),
    (&[("If-None-Match", "@"), ("If-Modified-Since", "<")], 304),
    (&[("If-None-Match", ""), ("If-Modified-Since", "=")], 200),
    (&[("If-Modified-Since", "Tuesday, 02-Jan-24 03:04:05 GMT")], 304),
    (&[("If-Modified-Since", "Tue Jan  2 03:04:05 2024")], 304),
    // Two lines are a list of dates, which is ignored.
    (&[("If-Modified-Since", "="), ("If-Modified-Since", "<")], 200),
    (&[("If-Modified-Since", "="), ("If-Modified-Since", "=")], 200),
    (&[("If-Modified-Since", "")], 200),
    (&[("If-Modified-Since", "0")], 200),
    (&[("If-Modified-Since", "1704164645")], 200),
    (&[("If-Modified-Since", "@")], 200),
    (&[("If-Modified-Since", "Tue, 02 Jan 2024 03:04:05")], 200),
    (&[("If-Modified-Since", "Tue, 32 Jan 2024 03:04:05 GMT")], 200),
    (&[("If-Modified-Since", "Tue, 02 Jan 99999 03:04:05 GMT")], 200),
    (&[("If-Modified-Since", "Tue, 02 Jan -024 03:04:05 GMT")], 200),
    (&[("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT")], 304),
    (&[("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], 200),
    (&[("If-Modified-Since", "Tue, 02 Jan 2024 99:99:99 GMT")], 200),
    (&[("If-Modified-Since", "\u{e9}")], 200),
    // If-Match: strong comparison.
    (&[("If-Match", "@")], 200),
    (&[("If-Match", "*")], 200),
    (&[("If-Match", "\"x\", @")], 200),
    (&[("If-Match", "W/@")], 412),
    (&[("If-Match", "\"x\"")], 412),
    (&[("If-Match", "")], 412),
    (&[("If-Match", "x")], 412),
    (&[("If-Match", "\"")], 412),
    // If-Unmodified-Since: only without If-Match.
    (&[("If-Unmodified-Since", "=")], 200),
    (&[("If-Unmodified-Since", ">")], 200),
    (&[("If-Unmodified-Since", "<")], 412),
    (&[("If-Unmodified-Since", "yesterday")], 200),
    (&[("If-Unmodified-Since", "<"), ("If-Unmodified-Since", "=")], 200),
    (&[("If-Match", "@"), ("If-Unmodified-Since", "<")], 200),
    (&[("If-Match", "\"x\""), ("If-Unmodified-Since", "=")], 412),
    // The order: a failed precondition comes before a 304.
    (&[("If-Match", "\"x\""), ("If-None-Match", "@")], 412),
    (&[("If-Match", "@"), ("If-None-Match", "@")], 304),
    (&[("If-Unmodified-Since", "<"), ("If-None-Match", "@")], 412),
    (&[("If-Unmodified-Since", "<"), ("If-Modified-Since", "=")], 412),
    // If-Range: a strong tag or exactly the same second.
    (&[("Range", "bytes=0-1"), ("If-Range", "@")], 206),
    (&[("Range", "bytes=0-1"), ("If-Range", "=")], 206),
    (&[("Range", "bytes=0-1"), ("If-Range", "Tuesday, 02-Jan-24 03:04:05 GMT")], 206),
    (&[("Range", "bytes=0-1"), ("If-Range", "W/@")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "\"x\"")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "\"x\", @")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "@, \"x\"")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "@"), ("If-Range", "\"x\"")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "="), ("If-Range", "=")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "*")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "<")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", ">")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "\"")], 200),
    (&[("Range", "bytes=0-1"), ("If-Range", "\u{e9}")], 200),
    // A range that no longer applies is not refused.
    (&[("Range", "bytes=99-"), ("If-Range", "\"x\"")], 200),
    (&[("Range", "bytes=99-"), ("If-Range", "@")], 416),
    (&[("Range", "bytes=0-1"), ("If-None-Match", "@")], 304),
    (&[("Range", "bytes=0-1"), ("If-Match", "\"x\"")], 412),
    (&[("Range", "bytes=99-"), ("If-None-Match", "@")], 304),
    // Without a range the condition has no effect.
    (&[("If-Range", "\"x\"")], 200),
];

/// Go: TestParseTime (t141), TestServeContent (t218).
#[test]
fn conditions_are_evaluated_in_the_order_of_the_rfc() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    let etag = asker.get("/file.txt").field("etag").unwrap().to_owned();
    for (fields, want) in TABLE {
        let real: Vec<(&str, String)> = fields
            .iter()
            .map(|(name, value)| match *value {
                "=" => (*name, CHANGED_DATE.to_owned()),
                "<" => (*name, BEFORE.to_owned()),
                ">" => (*name, AFTER.to_owned()),
                value => (*name, value.replace('@', &etag)),
            })
            .collect();
        let real: Vec<_> = real.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(asker.ask("GET", "/file.txt", &real).status, *want, "{real:?}");
        // HEAD gives the same results, except for ranges, which it does not have.
        let want = if matches!(want, 206 | 416) { &200 } else { want };
        assert_eq!(asker.ask("HEAD", "/file.txt", &real).status, *want, "HEAD {real:?}");
    }
}

/// Go: TestServeFileNotModified (t214), TestServerFileStatError and others (t219).
#[test]
fn responses_without_the_file_do_not_have_fields_of_the_file() {
    let tree = Tree::new();
    let files = tree.files().cache_control("max-age=5").unwrap().header("X-Own", "1").unwrap();
    let mut asker = asker(files);
    let whole = asker.get("/file.txt");
    assert_eq!(whole.field("last-modified"), Some(CHANGED_DATE));
    assert_eq!(whole.field("accept-ranges"), Some("bytes"));
    let etag = whole.field("etag").unwrap();

    let unmodified = asker.ask("GET", "/file.txt", &[("If-None-Match", etag)]);
    assert_eq!(unmodified.field("etag"), Some(etag));
    assert_eq!(unmodified.field("cache-control"), Some("max-age=5"));
    assert_eq!(unmodified.field("vary"), Some("Accept-Encoding"));
    for name in ["content-type", "content-length", "content-encoding", "last-modified"] {
        assert_eq!(unmodified.field(name), None, "{name}");
    }
    let refused = [
        asker.ask("GET", "/file.txt", &[("If-Match", "\"x\"")]),
        asker.ask("GET", "/file.txt", &[("Range", "bytes=99-")]),
        asker.get("/missing"),
    ];
    for response in refused {
        for name in ["etag", "last-modified", "cache-control", "content-encoding"] {
            assert_eq!(response.field(name), None, "{name} of {}", response.status);
        }
        assert_eq!(response.field("x-own"), Some("1"), "{}", response.status);
    }
}

/// The time of the index file counts, whatever the time of its directory (t217).
#[test]
fn a_changed_index_is_sent_again_although_its_directory_did_not_change() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    let since = [("If-Modified-Since", CHANGED_DATE)];
    assert_eq!(asker.ask("GET", "/dir/", &since).status, 304);
    tree.touch("dir/index.html", super::tree::CHANGED + 1);
    assert_eq!(asker.ask("GET", "/dir/", &since).status, 200);
}

/// Go: the lines of TestServeContent about the zero time (t218).
#[test]
fn a_file_without_a_usable_time_has_no_date_and_ignores_date_conditions() {
    let tree = Tree::new();
    tree.touch("file.txt", 0);
    let mut asker = asker(tree.files());
    let response = asker.ask("GET", "/file.txt", &[("If-Modified-Since", CHANGED_DATE)]);
    assert_eq!((response.status, response.field("last-modified")), (200, None));
    // A text that is not a date is not the date that the file does not have.
    for text in ["yesterday", CHANGED_DATE] {
        let fields = [("Range", "bytes=0-1"), ("If-Range", text)];
        assert_eq!(asker.ask("GET", "/file.txt", &fields).status, 200, "{text}");
    }
}

/// Browsers would keep a file from 1970 for years (a tenth of its age), and one from the future longer
/// than they should.
#[test]
fn a_time_that_says_nothing_or_lies_after_the_date_of_the_response_is_not_sent() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    // Noon of 1 January 2026, the date of the simulation: now, and a second and some years later.
    let now = 1_767_268_800;
    for time in [0, 1, 315_532_800, now + 1, now + 2, 4_000_000_000] {
        tree.touch("file.txt", time);
        for since in [CHANGED_DATE, "Fri, 31 Dec 9999 23:59:59 GMT"] {
            let fields = [("If-Modified-Since", since)];
            let response = asker.ask("GET", "/file.txt", &fields);
            let found = (response.status, response.field("last-modified"));
            assert_eq!(found, (200, None), "{time} {since}");
            let fields = [("If-Unmodified-Since", since)];
            assert_eq!(asker.ask("GET", "/file.txt", &fields).status, 200, "{time} {since}");
        }
        let etag = asker.get("/file.txt").field("etag").unwrap().to_owned();
        let response = asker.ask("GET", "/file.txt", &[("If-None-Match", &etag)]);
        assert_eq!(response.status, 304, "{time}: the tag still works");
    }
    tree.touch("file.txt", now);
    let response = asker.get("/file.txt");
    assert_eq!(response.field("last-modified"), Some("Thu, 01 Jan 2026 12:00:00 GMT"));
    tree.touch("file.txt", now + 2);
    asker.sim.advance(2 * SECOND);
    let response = asker.get("/file.txt");
    assert_eq!(response.field("last-modified"), Some("Thu, 01 Jan 2026 12:00:02 GMT"));
    assert_eq!(response.field("date"), response.field("last-modified"));
}

/// Behind a balancer, a client must be able to revalidate and resume with any of the machines.
#[test]
fn the_same_tree_on_two_machines_has_the_same_tags() {
    let trees = [Tree::new(), Tree::new()];
    let tags = trees.each_ref().map(|tree| {
        tree.write("app.js", "plain");
        tree.write("app.js.gz", "gzip");
        // A second inode, so that the numbers differ on one machine, too.
        std::fs::copy(tree.root().join("app.js"), tree.root().join("copy")).unwrap();
        std::fs::rename(tree.root().join("copy"), tree.root().join("app.js")).unwrap();
        tree.touch("app.js", CHANGED);
        let mut asker = asker(tree.files());
        let tag = |response: super::tree::Received| response.field("etag").unwrap().to_owned();
        ["/file.txt", "/app.js", "/dir/"].map(|path| {
            let coded = asker.ask("GET", path, &[("Accept-Encoding", "gzip")]);
            (tag(coded), tag(asker.get(path)))
        })
    });
    assert_eq!(tags[0], tags[1]);
}

#[test]
fn the_tag_changes_with_the_time_and_the_length_of_the_file() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    let mut tags = vec![asker.get("/file.txt").field("etag").unwrap().to_owned()];
    tree.touch("file.txt", CHANGED + 1);
    tags.push(asker.get("/file.txt").field("etag").unwrap().to_owned());
    tree.write("file.txt", "012345678");
    tags.push(asker.get("/file.txt").field("etag").unwrap().to_owned());
    for (at, tag) in tags.iter().enumerate() {
        assert!(!tags[..at].contains(tag), "{tags:?}");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    }
}

/// All files of a reproducible build have the same time, so two versions may differ in nothing else.
#[test]
fn a_file_whose_time_says_nothing_has_another_tag_after_each_change() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    for time in [1, 4_000_000_000] {
        let mut tags: Vec<String> = Vec::new();
        for content in ["version 1", "version 2", "version 3"] {
            // Written in place, and renamed into place.
            for name in ["file.txt", "new.txt"] {
                tree.write(name, content);
                tree.touch(name, time);
                std::fs::rename(tree.root().join(name), tree.root().join("file.txt")).unwrap();
                let tag = asker.get("/file.txt").field("etag").unwrap().to_owned();
                assert!(!tags.contains(&tag), "{time}: {tag} {tags:?}");
                tags.push(tag);
                // The clock of the file system must tick before the next change.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}

/// A version that a client got within the tick of the clock in which another one was written must not
/// be taken for that one for ever.
#[test]
fn a_file_that_was_just_changed_gets_its_final_tag_after_a_tick() {
    let (tree, other) = (Tree::new(), Tree::new());
    let mut asker = asker(tree.files());
    // Half a second after noon, the start of the simulation.
    tree.touch("file.txt", 1_767_268_800);
    other.touch("file.txt", 1_767_268_800);
    let young = asker.get("/file.txt").field("etag").unwrap().to_owned();
    let fields = [("If-None-Match", young.as_str())];
    assert_eq!(asker.ask("GET", "/file.txt", &fields).status, 304);
    asker.sim.advance(20 * MS);
    let old = asker.ask("GET", "/file.txt", &fields);
    assert_eq!(old.status, 200, "the client gets the version of the end of the tick");
    let old = old.field("etag").unwrap().to_owned();
    asker.sim.advance(SECOND);
    assert_eq!(asker.get("/file.txt").field("etag"), Some(old.as_str()), "it stays");
    let mut elsewhere = super::tree::asker(other.files());
    elsewhere.sim.advance(SECOND);
    assert_eq!(elsewhere.get("/file.txt").field("etag"), Some(old.as_str()), "on each machine");
}
