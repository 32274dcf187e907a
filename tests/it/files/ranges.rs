//! Ranges (RFC 9110, section 14): the file has the ten bytes `0123456789`.

use super::tree::{asker, Tree};

/// The expected result of a `Range`.
#[derive(Clone, Copy, Debug)]
enum Want {
    Whole,
    /// One part: its content and its `Content-Range`.
    One(&'static str, &'static str),
    /// Several parts, each as its `Content-Range`.
    Many(&'static [&'static str]),
    Refused,
}
use Want::{Many, One, Refused, Whole};

/// Go's grammar (t203, t222, t226) and the ranges of known attacks. If the response of Go differs,
/// the line says how.
const TABLE: &[(&str, Want)] = &[
    ("bytes=0-0", One("0", "bytes 0-0/10")),
    ("bytes=0-9", One("0123456789", "bytes 0-9/10")),
    ("bytes=0-", One("0123456789", "bytes 0-9/10")),
    ("bytes=5-", One("56789", "bytes 5-9/10")),
    ("bytes=0-20", One("0123456789", "bytes 0-9/10")),
    ("bytes=9-", One("9", "bytes 9-9/10")),
    ("bytes=-1", One("9", "bytes 9-9/10")),
    ("bytes=-6", One("456789", "bytes 4-9/10")),
    ("bytes=-10", One("0123456789", "bytes 0-9/10")),
    ("bytes=-15", One("0123456789", "bytes 0-9/10")),
    ("bytes=6-", One("6789", "bytes 6-9/10")),
    ("bytes=007-08", One("78", "bytes 7-8/10")),
    ("bytes= 1-2 ", One("12", "bytes 1-2/10")),
    ("bytes=1 - 2", One("12", "bytes 1-2/10")),
    ("bytes=,1-2,", One("12", "bytes 1-2/10")),
    ("bytes=,,,,1-2", One("12", "bytes 1-2/10")),
    ("bytes=20-30,1-2", One("12", "bytes 1-2/10")),
    ("BYTES=1-2", One("12", "bytes 1-2/10")), // Go: 416; the name of a unit is case-insensitive
    ("bytes=0-0,-2", Many(&["bytes 0-0/10", "bytes 8-9/10"])),
    ("bytes=0-1,5-8", Many(&["bytes 0-1/10", "bytes 5-8/10"])),
    ("bytes=0-1 , 5-8", Many(&["bytes 0-1/10", "bytes 5-8/10"])),
    ("bytes=5-8,0-1", Many(&["bytes 5-8/10", "bytes 0-1/10"])),
    ("bytes=0-2,1-3", Many(&["bytes 0-2/10", "bytes 1-3/10"])),
    ("bytes=0-0,0-0", Many(&["bytes 0-0/10", "bytes 0-0/10"])),
    ("bytes=0-4,5-", Many(&["bytes 0-4/10", "bytes 5-9/10"])),
    // More bytes than the file has: wasteful, so ignored.
    ("bytes=0-,1-,2-,3-,4-", Whole),
    ("bytes=0-,0-", Whole),
    ("bytes=0-9,5-5", Whole),
    ("bytes=5-,5-,5-", Whole),
    ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0", Whole),
    // Sixteen ranges, most of which lie after the end, and one more.
    (
        "bytes=0-0,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-",
        One("0", "bytes 0-0/10"),
    ),
    ("bytes=0-0,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-,99-", Whole),
    // Numbers that overflow common integer types.
    ("bytes=0-18446744073709551615", One("0123456789", "bytes 0-9/10")), // Go: 416
    ("bytes=0-18446744073709551616", One("0123456789", "bytes 0-9/10")), // Go: 416
    ("bytes=0-99999999999999999999999999", One("0123456789", "bytes 0-9/10")), // Go: 416
    ("bytes=-18446744073709551616", One("0123456789", "bytes 0-9/10")),  // Go: 416
    ("bytes=-9223372036854775808", One("0123456789", "bytes 0-9/10")),   // Go: 416
    ("bytes=9223372036854775807-", Refused),
    ("bytes=18446744073709551615-", Refused),
    ("bytes=18446744073709551616-18446744073709551617", Refused),
    ("bytes=18446744073709551615-0", Refused),
    ("bytes=-17208,-9223372036854758792", Whole),
    // After the end.
    ("bytes=10-", Refused),
    ("bytes=10-20", Refused),
    ("bytes=20-,30-", Refused),
    // Malformed.
    ("bytes=2-1", Refused),
    ("bytes=-,0-1", Refused),
    ("bytes=--6", Refused),
    ("bytes=--0", Refused),
    ("bytes=---6", Refused),
    ("bytes=-6-", Refused),
    ("bytes=6--", Refused),
    ("bytes=-0", Refused), // Go: 206 without bytes; an empty suffix cannot be satisfied
    ("bytes=-", Refused),
    ("bytes=0", Refused),
    ("bytes=5", Refused),
    ("bytes=a-b", Refused),
    ("bytes=0-x", Refused),
    ("bytes=0x0-0x1", Refused),
    ("bytes=+0-1", Refused),
    ("bytes=-+1", Refused),
    ("bytes=0-+1", Refused),
    ("bytes=1.0-2", Refused),
    ("bytes=0-1;2-3", Refused),
    ("bytes=0-1 2-3", Refused),
    ("bytes=0-1-2", Refused),
    ("bytes=0-1,foo", Refused),
    ("bytes=foo,0-1", Refused),
    ("bytes==0-1", Refused),
    ("bytes=\u{ff10}-\u{ff11}", Refused),
    ("bytes=0-1\t,\t=", Refused),
    // An unknown unit, or not a range.
    ("bytes=", Whole),
    ("bytes= ,", Whole),
    ("", Whole),
    ("bytes", Whole),
    ("bytes 0-1", Whole),  // Go: 416
    ("bytes =0-1", Whole), // Go: 416
    ("foo", Whole),        // Go: 416
    ("foo=0-1", Whole),    // Go: 416; RFC 9110, section 14.2: an unknown unit is ignored
    ("byte=0-1", Whole),   // Go: 416
    ("bytesx=0-1", Whole), // Go: 416
    ("lines=1-2", Whole),  // Go: 416
    ("=0-1", Whole),       // Go: 416
    ("0-1", Whole),        // Go: 416
];

/// Go: TestServeFile (t203), TestServeFileRejectsInvalidSuffixLengths (t222) and TestParseRange
/// (t226), except for the marked lines; CVE-2011-3192 and CVE-2017-7529.
#[test]
fn every_range_gets_its_bytes_the_whole_file_or_a_refusal() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    for (value, want) in TABLE {
        let response = asker.ask("GET", "/file.txt", &[("Range", value)]);
        let content_range = response.field("content-range");
        match want {
            Whole => {
                assert_eq!((response.status, response.text()), (200, "0123456789"), "{value:?}");
                assert_eq!(content_range, None, "{value:?}");
            }
            One(text, range) => {
                assert_eq!((response.status, response.text()), (206, *text), "{value:?}");
                assert_eq!(content_range, Some(*range), "{value:?}");
            }
            Many(ranges) => {
                assert_eq!((response.status, content_range), (206, None), "{value:?}");
                assert_eq!(parts(&response), *ranges, "{value:?}");
            }
            Refused => {
                assert_eq!(response.status, 416, "{value:?}");
                assert_eq!(content_range, Some("bytes */10"), "{value:?}");
            }
        }
    }
}

/// Reads a multipart response strictly; each part must hold the bytes that its range names.
fn parts(response: &super::tree::Received) -> Vec<String> {
    let kind = response.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = response.text().strip_prefix(&format!("--{boundary}\r\n")).unwrap();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    let read = |part: &str| {
        let part = part.strip_prefix("Content-Type: text/plain; charset=utf-8\r\n").unwrap();
        let (range, content) = part.split_once("\r\n\r\n").unwrap();
        let range = range.strip_prefix("Content-Range: ").unwrap();
        let (first, last) = range[6..range.len() - 3].split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(content, &"0123456789"[first..=last]);
        range.to_owned()
    };
    body.split(&format!("\r\n--{boundary}\r\n")).map(read).collect()
}

/// Go: TestServeContentWithEmptyContentIgnoreRanges (t206).
#[test]
fn an_empty_file_is_sent_whole_for_any_range() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    for value in ["bytes=0-0", "bytes=0-", "bytes=-5", "bytes=5-", "bytes=x"] {
        let response = asker.ask("GET", "/empty.txt", &[("Range", value)]);
        assert_eq!((response.status, response.content.len()), (200, 0), "{value}");
    }
}

/// Go responds to HEAD with 206, too; RFC 9110, section 14.2, defines ranges only for GET (t203).
#[test]
fn a_range_of_a_head_request_and_two_range_fields_are_ignored() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    let response = asker.ask("HEAD", "/file.txt", &[("Range", "bytes=0-1")]);
    assert_eq!((response.status, response.field("content-length")), (200, Some("10")));
    let two = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")];
    assert_eq!(asker.ask("GET", "/file.txt", &two).status, 200);
}

/// The length of several parts is announced before the file is read piece by piece.
#[test]
fn large_parts_arrive_whole_and_in_order() {
    let tree = Tree::new();
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n / 7 % 251) as u8).collect();
    tree.write("large.bin", &bytes);
    let mut asker = asker(tree.files());
    let fields = [("Range", "bytes=200000-299999,0-99999,5-5")];
    let response = asker.ask("GET", "/large.bin", &fields);
    assert_eq!(response.status, 206);
    let at =
        |needle: &[u8]| response.content.windows(needle.len()).position(|window| window == needle);
    let (second, first) = (at(&bytes[200_000..]).unwrap(), at(&bytes[..100_000]).unwrap());
    assert!(second < first && first + 100_000 < response.content.len());
}
