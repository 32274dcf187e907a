//! Changes to a file while it is being sent.

use std::fs::OpenOptions;

use wheelhouse::sim::Client;

use super::tree::{asker, Asker, Tree};

fn request(range: &str) -> Vec<u8> {
    let range = match range {
        "" => String::new(),
        range => format!("Range: {range}\r\n"),
    };
    format!("GET /large.bin HTTP/1.1\r\nHost: here\r\n{range}\r\n").into_bytes()
}

/// A client that has requested a file of 1 MiB and so far reads only its beginning.
fn stalled(tree: &Tree, range: &str) -> (Asker, Client) {
    tree.write("large.bin", vec![b'x'; 1 << 20]);
    let mut asker = asker(tree.files());
    let client = asker.sim.connect();
    asker.sim.stall(client, 64 << 10);
    asker.sim.send(client, request(range));
    (asker, client)
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_in_a_reset_and_not_in_a_clean_end() {
    for range in ["", "bytes=10-900000", "bytes=0-500000,600000-900000"] {
        let tree = Tree::new();
        let (mut asker, client) = stalled(&tree, range);
        let sim = &mut asker.sim;
        assert!(sim.is_open(client));
        let file = OpenOptions::new().write(true).open(tree.root().join("large.bin")).unwrap();
        file.set_len(300_000).unwrap();
        sim.unstall(client);
        assert!(sim.was_reset(client), "{range:?}");
        assert!(sim.received(client).len() < 320_000, "{range:?}");
    }
}

#[test]
fn a_file_that_grows_or_is_replaced_while_it_is_sent_arrives_unchanged() {
    let tree = Tree::new();
    let (mut asker, client) = stalled(&tree, "");
    let sim = &mut asker.sim;
    let path = tree.root().join("large.bin");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(2 << 20).unwrap();
    std::fs::remove_file(&path).unwrap();
    tree.write("large.bin", "new");
    sim.unstall(client);
    let received = sim.take_received(client);
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(received.len() - end, 1 << 20);
    assert!(received[end..].iter().all(|&byte| byte == b'x'));
    assert!(sim.is_open(client), "the connection is kept alive");
}

#[test]
fn every_byte_of_a_file_of_over_four_gigabytes_can_be_requested() {
    let tree = Tree::new();
    tree.write("large.bin", "");
    let file = OpenOptions::new().write(true).open(tree.root().join("large.bin")).unwrap();
    if file.set_len(5 << 30).is_err() {
        eprintln!("skipped: no file of five gigabytes can be made here");
        return;
    }
    let mut asker = asker(tree.files());
    let response = asker.ask("GET", "/large.bin", &[("Range", "bytes=5368709118-")]);
    assert_eq!((response.status, response.content.as_slice()), (206, &[0u8, 0][..]));
    assert_eq!(response.field("content-range"), Some("bytes 5368709118-5368709119/5368709120"));
    let head = asker.ask("HEAD", "/large.bin", &[]);
    assert_eq!(head.field("content-length"), Some("5368709120"));
}
