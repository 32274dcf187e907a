//! The page for a directory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Limits, Request, Response};

use super::tree::{asker, asker_within, Received, Tree, CHANGED};
use crate::support::{Blocker, MS, SECOND};

/// The links of a listing in order, without the links that sort it.
fn links(response: &Received) -> Vec<&str> {
    let links = response.text().split("<tr><td><a href=\"").skip(1);
    links.map(|rest| rest.split_once('"').unwrap().0).collect()
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("sort/small.txt", "1");
    tree.write("sort/Large.txt", "1234567890");
    tree.write("sort/middle.txt", "12345");
    tree.write("sort/zdir/x", "");
    tree.touch("sort/small.txt", 1_700_000_000);
    tree.touch("sort/middle.txt", 1_800_000_000);
    tree
}

/// Go: TestFileServerSortsNames (t209).
#[test]
fn entries_are_sorted_by_name_size_or_date_with_directories_first() {
    let tree = tree();
    let mut asker = asker(tree.files());
    let mut order = |query: &str| {
        let response = asker.get(&format!("/sort/{query}"));
        assert_eq!(response.status, 200);
        let links = links(&response).into_iter().skip(1).map(str::to_owned).collect::<Vec<_>>();
        links.join(" ").replace(".txt", "").replace("./", "")
    };
    assert_eq!(order(""), "zdir/ Large middle small");
    assert_eq!(order("?sort=nonsense"), "zdir/ Large middle small");
    assert_eq!(order("?sort=-name"), "zdir/?sort=-name small middle Large");
    assert_eq!(order("?sort=size"), "zdir/?sort=size small middle Large");
    assert_eq!(order("?x=1&sort=-size"), "zdir/?sort=-size Large middle small");
    assert_eq!(order("?sort=date"), "zdir/?sort=date small Large middle");
    assert_eq!(order("?sort=-date"), "zdir/?sort=-date middle Large small");
}

/// A name is only ever the target of its link and text, never markup (t209).
#[test]
fn names_are_escaped_in_the_link_and_on_the_page() {
    let tree = Tree::new();
    let names = [
        "<script>alert(1)</script>",
        "a&b",
        "\"quoted\"'",
        "a:b",
        "100%",
        "q?x#y",
        "\u{202e}txt.exe",
    ];
    for name in names {
        // A slash cannot be in a name.
        tree.write(&format!("odd/{}", name.replace('/', "|")), "found");
    }
    std::fs::write(tree.root().join("odd").join("line\nend\x1b"), "found").unwrap();
    let mut asker = asker(tree.files());
    let page = asker.get("/odd/");
    let text = page.text();
    assert_eq!(text.matches("<script").count(), 1, "the page has one of its own");
    for markup in ["<script>alert", "a&b", "\"quoted", "\x1b", "\u{202e}", "line\n"] {
        assert!(!text.contains(markup), "{markup:?}");
    }
    assert!(text.contains("<span>&lt;script&gt;alert(1)&lt;|script&gt;</span>"));
    let links = links(&page);
    assert_eq!(links.len(), 1 + names.len() + 1);
    for link in &links[1..] {
        let link = link.strip_prefix("./").expect("no link can be taken for a scheme or a host");
        assert_eq!(asker.get(&format!("/odd/{link}")).text(), "found", "{link}");
    }
}

#[test]
fn a_name_with_a_backslash_is_listed_and_served() {
    let tree = Tree::new();
    for name in ["back\\slash", "\\\\host", "end\\", "a..\\b"] {
        tree.write(&format!("odd/{name}"), name);
    }
    tree.write("odd/dir\\name/x", "below");
    let mut asker = asker(tree.files());
    let page = asker.get("/odd/");
    let links = links(&page);
    assert_eq!(links.len(), 1 + 5);
    for link in &links[1..] {
        assert!(!link.contains('\\'), "browsers take it for a slash: {link}");
        let link = link.trim_start_matches("./");
        assert_eq!(asker.get(&format!("/odd/{link}")).status, 200, "{link}");
    }
    assert_eq!(asker.get("/odd/back%5Cslash").text(), "back\\slash");
    assert_eq!(asker.get("/odd/dir%5cname/x").text(), "below");
    let redirect = asker.get("/odd/dir%5Cname");
    assert_eq!(redirect.field("location"), Some("./dir%5Cname/"));
}

/// A path with such a name is refused as an attempt to leave the root.
#[test]
fn a_name_that_cannot_be_requested_is_not_listed() {
    let tree = Tree::new();
    for name in ["..\\up", "a\\.", "a\\..\\b", "plain"] {
        tree.write(&format!("odd/{name}"), "");
    }
    let mut asker = asker(tree.files().dot_files(true));
    assert_eq!(links(&asker.get("/odd/")), ["../", "./plain"]);
    assert_eq!(asker.get("/odd/a%5C..%5Cb").status, 400);
}

#[test]
fn the_page_shows_its_path_and_links_to_the_parent_directories() {
    let tree = Tree::new();
    tree.write("one/two & more/x", "");
    let mut asker = asker(tree.files());
    let page = asker.get("/one/two%20&%20more/");
    assert!(page.text().contains("<title>/one/two &amp; more</title>"));
    assert!(page.text().contains("<a href=\"../../\">Files</a>"));
    assert!(page.text().contains("<a href=\"../\">one</a>"));
    assert_eq!(links(&page), ["../", "./x"]);
    assert_eq!(links(&asker.get("/list/")), ["../", "./b.txt"]);
    assert!(!links(&asker.get("/")).contains(&"../"), "the root has no parent");
}

#[test]
fn the_page_loads_no_other_resources_and_runs_no_other_script() {
    let tree = Tree::new();
    let page = asker(tree.files()).get("/");
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let (_, rest) = page.text().split_once("<script>").unwrap();
    let (script, after) = rest.split_once("</script>").unwrap();
    let hash = data_encoding::BASE64.encode(&Sha256::digest(script));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; \
         base-uri 'none'; form-action 'none'"
    );
    assert_eq!(page.field("content-security-policy"), Some(policy.as_str()));
    assert!(!after.contains("<script"));
    for word in ["http:", "https:", "url(", "@import", "src=", " style=", "onclick", "oninput="] {
        assert!(!page.text().contains(word), "{word}");
    }
}

/// The text is the same for all clients, so caches and the readers of one page can share it.
#[test]
fn a_time_is_shown_in_utc_and_a_script_can_read_it() {
    let tree = Tree::new();
    tree.write("times/a.txt", "");
    tree.write("times/nix.txt", "");
    tree.touch("times/nix.txt", 1);
    let page = asker(tree.files()).get("/times/");
    let time = "<time datetime=\"2024-01-02T03:04:05Z\">02 Jan 2024 03:04</time>";
    assert_eq!(page.text().matches(time).count(), 1, "a time that says nothing is not shown");
    assert!(page.text().contains("Times are UTC."));
}

/// Without the script there is no box that does nothing.
#[test]
fn the_box_that_filters_names_is_hidden_until_the_script_shows_it() {
    let tree = Tree::new();
    let page = asker(tree.files()).get("/list/");
    assert_eq!(page.text().matches("<input hidden type=\"search\"").count(), 1);
    assert_eq!(page.text().matches("<input").count(), 1);
}

#[test]
fn numbers_in_names_are_sorted_by_their_value() {
    let tree = Tree::new();
    for name in ["a10", "a2", "a1", "B3", "10.txt", "9.txt", "v1.10", "v1.9"] {
        tree.write(&format!("numbers/{name}"), "");
    }
    let mut asker = asker(tree.files());
    let mut names = |query: &str| {
        let page = asker.get(&format!("/numbers/{query}"));
        links(&page)[1..].iter().map(|link| link.replace("./", "")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "9.txt 10.txt a1 a2 a10 B3 v1.9 v1.10");
    assert_eq!(names("?sort=-name"), "v1.10 v1.9 B3 a10 a2 a1 10.txt 9.txt");
    assert_eq!(names("?sort=size"), "9.txt 10.txt a1 a2 a10 B3 v1.9 v1.10");
}

/// A directory `dir` with this many empty files.
fn tree_of(dir: &str, count: usize, name: impl Fn(usize) -> String) -> Tree {
    let tree = Tree::new();
    let dir = tree.root().join(dir);
    std::fs::create_dir(&dir).unwrap();
    (0..count).for_each(|n| std::fs::write(dir.join(name(n)), "").unwrap());
    tree
}

#[test]
fn the_listing_of_a_very_large_directory_is_cut_with_a_notice() {
    let tree = tree_of("many", 5_001, |n| format!("{n}"));
    let mut asker = asker(tree.files());
    let page = asker.get("/many/");
    assert_eq!(links(&page).len(), 1 + 5_000);
    assert!(page.text().contains("only 5000 entries are shown"));
}

#[test]
fn a_page_of_long_names_stays_within_its_size_limit() {
    let tree = tree_of("long", 2_200, |n| format!("{n:\"<250}"));
    let mut asker = asker(tree.files());
    let page = asker.get("/long/");
    assert_eq!(links(&page).len(), 1 + (512 << 10) / 250);
    assert!(page.text().contains("only 2097 entries are shown"));
    assert!(page.text().len() < 6 << 20, "{} bytes", page.text().len());
}

/// Names that are not shown cost time, too.
#[test]
fn a_directory_with_very_many_dot_files_is_not_read_to_its_end() {
    let tree = tree_of("dots", 5_001, |n| format!(".{n}"));
    let page = asker(tree.files()).get("/dots/");
    assert_eq!(links(&page), ["../"]);
    assert!(page.text().contains("There may be more: only 0 entries are shown"));
}

/// The page would have to be made to know its length (RFC 9110, section 9.3.2).
#[test]
fn a_head_request_makes_no_page() {
    let tree = tree_with_a_large_page();
    let mut asker = asker(tree.files());
    let head = asker.ask("HEAD", "/many/", &[]);
    assert_eq!((head.status, head.field("content-length")), (200, None));
    assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(asker.ask("HEAD", "/nowhere/", &[]).status, 404);
}

/// A client that asks for the page `target` and reads 1,000 bytes of it.
fn slow_reader(sim: &mut Sim, target: &str) -> Client {
    let client = sim.connect();
    sim.stall(client, 1_000);
    sim.send(client, format!("GET {target} HTTP/1.1\r\nHost: here\r\n\r\n"));
    sim.read(client, 1_000);
    client
}

fn status(sim: &mut Sim, client: Client) -> u16 {
    crate::support::statuses(&sim.received(client)[..100])[0]
}

/// Returns the memory that is counted once the loop has looked at it again.
fn memory(sim: &mut Sim) -> usize {
    sim.advance(MS);
    sim.memory()
}

/// A directory `many` whose page has about a megabyte. It was changed long ago.
fn tree_with_a_large_page() -> Tree {
    // A quote takes three bytes in the link and six in the text.
    let tree = tree_of("many", 450, |n| format!("{n:\"<250}"));
    tree.touch("many", CHANGED);
    tree
}

#[test]
fn sixty_slow_readers_of_a_page_share_it_and_deny_it_to_no_other() {
    // For the clock of the simulation this change lies in the future: the directory may change again
    // unnoticed, so each page is made anew.
    let changes_now = tree_with_a_large_page();
    changes_now.touch("many", 1_900_000_000);
    for tree in [tree_with_a_large_page(), changes_now] {
        let mut asker = asker(tree.files());
        let len = asker.get("/many/").content.len();
        assert!(len > 800_000, "{len}");
        let sim = &mut asker.sim;
        let before = memory(sim);
        let mut readers = Vec::new();
        for _ in 0..60 {
            readers.push(slow_reader(sim, "/many/"));
            sim.advance(SECOND / 4);
            for &reader in &readers {
                sim.read(reader, 1_000);
                assert_eq!(status(sim, reader), 200);
            }
        }
        let grown = memory(sim) - before;
        assert!(grown < 2 * len, "{grown} B for 60 readers");
        assert_eq!(asker.get("/many/").content.len(), len);
        for reader in readers {
            asker.sim.unstall(reader);
            assert!(asker.sim.received(reader).ends_with(b"</html>\n"));
        }
    }
}

/// A page that the budget does not allow costs a 503, whoever asks for it, and nothing is made.
#[test]
fn pages_take_a_quarter_of_the_budget_and_then_a_client_is_to_come_again() {
    let tree = tree_with_a_large_page();
    for n in 0..40 {
        std::os::unix::fs::symlink("many", tree.root().join(format!("link{n}"))).unwrap();
    }
    let limits = Limits { memory_bytes_max: 32 << 20, ..Limits::default() };
    let mut asker = asker_within(limits, tree.files());
    if asker.get("/link0/").status == 404 {
        eprintln!("skipped: links are not followed here");
        return;
    }
    let sim = &mut asker.sim;
    let before = memory(sim);
    let mut readers = Vec::new();
    for n in 0..40 {
        readers.push(slow_reader(sim, &format!("/link{n}/")));
    }
    let pages = readers.iter().filter(|&&reader| status(sim, reader) == 200).count();
    assert!((4..=8).contains(&pages), "{pages} pages of about a megabyte are being sent");
    let grown = memory(sim) - before;
    assert!(grown <= (32 << 20) / 4 + 40 * 2_048, "{grown} B");
    let refused = asker.get("/link39/");
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("5")));
    assert_eq!(asker.get("/link0/").status, 200, "a page that is being sent is shared");
    for reader in readers {
        asker.sim.reset(reader);
    }
    assert_eq!(asker.get("/link39/").status, 200, "the pages of clients that left are given back");
}

/// The readers of an idle server have left; the page of the last one may stay if it is small.
#[test]
fn a_server_without_readers_holds_next_to_no_pages() {
    for (limits, pages) in [(Limits::default(), 64 << 20), (Limits::small(), 1 << 20)] {
        let tree = tree_with_a_large_page();
        (0..40).for_each(|n| tree.write(&format!("small/{n}/x"), ""));
        let mut asker = asker_within(limits, tree.files());
        let before = memory(&mut asker.sim);
        for n in 0..40 {
            assert_eq!(asker.get(&format!("/small/{n}/")).status, 200);
        }
        assert_eq!(asker.get("/many/").status, 200);
        let grown = memory(&mut asker.sim) - before;
        assert!(grown <= pages / 32 + 4_096, "{grown} B of {pages}");
    }
}

#[test]
fn a_listing_on_a_small_board_is_cut_to_the_memory_that_there_is() {
    let tree = tree_of("many", 600, |n| format!("{n}"));
    let mut asker = asker_within(Limits::small(), tree.files());
    let before = memory(&mut asker.sim);
    let mut readers = Vec::new();
    for query in ["", "?sort=size", "?sort=-size", "?sort=date", "?sort=-date", "?sort=-name"] {
        let page = asker.get(&format!("/many/{query}"));
        if page.status == 200 {
            let shown = links(&page).len() - 1;
            assert!((200..400).contains(&shown), "{shown}");
            assert!(page.text().contains(&format!("only {shown} entries are shown")));
            assert!(page.content.len() < (1 << 20) / 8);
            readers.push(slow_reader(&mut asker.sim, &format!("/many/{query}")));
        }
        let grown = memory(&mut asker.sim) - before;
        assert!(grown < (1 << 20) / 4 + 20 * 2_048, "{grown} B");
    }
    assert!(readers.len() >= 2, "{} pages", readers.len());
}

/// Neither slots nor pages are given back when memory is short, so all of them together must leave
/// enough.
#[test]
fn pages_and_the_slots_of_a_crowd_do_not_make_memory_short() {
    const MAX: usize = 512 << 10;
    let tree = tree_of("many", 600, |n| format!("{n}"));
    for pages_first in [true, false] {
        let limits = Limits {
            memory_bytes_max: MAX,
            connections_max: 100_000,
            connections_per_address_max: usize::MAX,
            ..Limits::small()
        };
        let mut asker = asker_within(limits, tree.files());
        let sim = &mut asker.sim;
        for comes in [pages_first, !pages_first] {
            if comes {
                let orders = ["name", "-name", "size", "-size", "date", "-date"];
                let page = |order| slow_reader(sim, &format!("/many/?sort={order}"));
                let readers = orders.map(page);
                assert!(!pages_first || status(sim, readers[0]) == 200);
            } else {
                sim.pause();
                (0..2000).for_each(|_| _ = sim.connect());
                sim.resume();
            }
            let used = memory(sim);
            assert!(used < MAX / 100 * 80, "{used} B of {MAX} B");
        }
        assert!(sim.report().totals.accepted > 1000);
    }
}

#[test]
fn a_page_is_used_again_for_a_second_unless_its_directory_changes() {
    let tree = Tree::new();
    tree.write("d/file", "12345");
    tree.touch("d", CHANGED);
    let mut asker = asker(tree.files());
    let shows = |asker: &mut super::tree::Asker, text: &str| asker.get("/d/").text().contains(text);
    assert!(shows(&mut asker, "title=\"5 bytes\""));
    tree.write("d/file", "1234567");
    assert!(shows(&mut asker, "title=\"5 bytes\""), "the directory has not changed");
    assert!(asker.get("/d/?sort=size").text().contains("title=\"7 bytes\""));
    asker.sim.advance(999 * MS);
    assert!(shows(&mut asker, "title=\"5 bytes\""));
    asker.sim.advance(MS);
    assert!(shows(&mut asker, "title=\"7 bytes\""));
    tree.write("d/new", "");
    assert!(shows(&mut asker, "./new"), "the directory has changed");
}

/// Changes within one tick of the clock that stamps files leave the same time.
#[test]
fn a_directory_that_changes_twice_in_one_tick_is_not_shown_as_it_was_between() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    // The simulation begins on 1 January 2026, at noon.
    for (changed, is_used_again) in
        [(1_767_268_797, true), (1_767_268_800, false), (1_900_000_000, false)]
    {
        let dir = format!("d{changed}");
        tree.write(&format!("{dir}/first"), "");
        tree.touch(&dir, changed);
        assert_eq!(links(&asker.get(&format!("/{dir}/"))).len(), 2);
        tree.write(&format!("{dir}/second"), "");
        tree.touch(&dir, changed);
        let shown = links(&asker.get(&format!("/{dir}/"))).len() - 1;
        assert_eq!(shown, if is_used_again { 1 } else { 2 }, "{changed}");
    }
}

/// The way to a directory is on its page, and whether dot files are shown depends on the program.
#[test]
fn pages_of_one_directory_at_different_paths_are_different() {
    let tree = Tree::new();
    tree.write("a/b/x", "");
    tree.touch("a/b", CHANGED);
    std::os::unix::fs::symlink("a/b", tree.root().join("c")).unwrap();
    let mut asker = asker(tree.files());
    assert!(asker.get("/a/b/").text().contains("<title>/a/b</title>"));
    let page = asker.get("/c/");
    assert!(page.status == 404 || page.text().contains("<title>/c</title>"));
    assert!(asker.get("/a//b/").text().contains("<title>/a/b</title>"));
}

/// The pages differ, so each of them has to be made. To make one takes 30 ms here.
#[test]
fn clients_that_pipeline_listings_take_turns_with_others() {
    // Beyond 4 KiB a response is not small.
    let tree = tree_of("d", 40, |n| format!("{n}"));
    let (files, made) = (tree.files(), Arc::new(AtomicUsize::new(0)));
    let (blocker, count) = (Blocker::default(), made.clone());
    let clock = blocker.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| {
        if req.path() == "/d/" {
            clock.block(30 * MS);
            count.fetch_add(1, Ordering::Relaxed);
            return files.respond(req);
        }
        Response::text(count.load(Ordering::Relaxed).to_string())
    });
    blocker.attach(&mut sim);
    for method in ["GET", "HEAD"] {
        let clients: Vec<_> = (0..9).map(|_| sim.connect()).collect();
        made.store(0, Ordering::Relaxed);
        sim.pause();
        for client in &clients[..8] {
            let request = |by| format!("{method} /d/?sort={by} HTTP/1.1\r\nHost: here\r\n\r\n");
            sim.send(*client, ["name", "size", "date", "-size"].map(request).concat().repeat(8));
        }
        sim.send(clients[8], "GET / HTTP/1.0\r\n\r\n");
        sim.resume();
        let before = String::from_utf8_lossy(sim.received(clients[8])).into_owned();
        assert!(before.ends_with("\r\n\r\n8"), "{method}: {before}");
        assert_eq!(made.load(Ordering::Relaxed), 8 * 32, "all got their responses");
    }
}

#[test]
fn a_directory_without_an_index_is_not_found_unless_listings_are_on() {
    let tree = Tree::new();
    let mut asker = asker(tree.files().listing(false));
    assert_eq!(asker.get("/list/").status, 404);
    assert_eq!(asker.get("/dir/").text(), "<p>index");
}
