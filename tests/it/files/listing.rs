//! The page for a directory.

use super::tree::{asker, Received, Tree};

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
    for markup in ["<script", "a&b", "\"quoted", "\x1b", "\u{202e}", "line\n"] {
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

/// No served path has a backslash, so a link to such a name would lead nowhere.
#[test]
fn a_name_that_cannot_be_requested_is_not_listed() {
    let tree = Tree::new();
    tree.write("odd/back\\slash", "");
    tree.write("odd/plain", "");
    let mut asker = asker(tree.files());
    assert_eq!(asker.get("/odd/back%5Cslash").status, 404);
    assert_eq!(links(&asker.get("/odd/")), ["../", "./plain"]);
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
fn the_page_loads_no_other_resources_and_runs_no_scripts() {
    let tree = Tree::new();
    let page = asker(tree.files()).get("/");
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    assert_eq!(page.field("content-security-policy"), Some(policy));
    for word in ["http:", "https:", "<script", "url(", "@import", "src="] {
        assert!(!page.text().contains(word), "{word}");
    }
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

/// The pages for slow readers stay in memory, so their number is bounded.
#[test]
fn the_number_of_pages_that_wait_for_slow_readers_is_bounded() {
    let tree = tree_of("many", 2_000, |n| format!("{n:0200}"));
    let mut asker = asker(tree.files());
    let sim = &mut asker.sim;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let client = sim.connect();
        sim.stall(client, 1_000);
        sim.send(client, b"GET /many/ HTTP/1.1\r\nHost: here\r\n\r\n");
        clients.push(client);
    }
    let mut begun = 0;
    for &client in &clients {
        sim.read(client, 12);
        begun += usize::from(sim.received(client).starts_with(b"HTTP/1.1 200"));
    }
    assert!((1..=20).contains(&begun), "{begun} pages of about a megabyte are being sent");
    for &client in &clients {
        sim.reset(client);
    }
    assert_eq!(asker.get("/many/").status, 200, "the pages of clients that left are given back");
}

#[test]
fn a_directory_without_an_index_is_not_found_unless_listings_are_on() {
    let tree = Tree::new();
    let mut asker = asker(tree.files().listing(false));
    assert_eq!(asker.get("/list/").status, 404);
    assert_eq!(asker.get("/dir/").text(), "<p>index");
}
