//! The server against the reader that was written from the RFCs ([`reference`](super::reference)):
//! the same requests accepted, with the same method, target, host, fields and content, and the same
//! status and end for all others, except where the table of differences says so.

use wheelhouse::Limits;

use super::conformance;
use super::reference::differences::{Difference, Differences, Effect, TABLE};
use super::reference::{read, HeadLimits, Transcript};
use crate::fuzz::{compare, message, mutate};
use crate::support::random::{seed, Random};

/// Generated and damaged messages.
const CASES: u64 = 600;

/// Prints the input of a comparison that panics.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.0, self.1[..self.1.len().min(3000)].escape_ascii());
        }
    }
}

fn by_the_rfc(input: &[u8], differences: &Differences) -> Transcript {
    read(input, true, HeadLimits::of(&Limits::default()), differences)
}

#[test]
fn the_server_and_the_rfc_agree_about_every_vector() {
    let vectors = conformance::vectors();
    assert!(vectors.len() >= 600);
    // The longest ones are about the amount of content, which no grammar knows.
    for vector in vectors.iter().filter(|vector| vector.input.len() <= 40_000) {
        let _shown = Shown(&vector.name, &vector.input);
        compare(&vector.input, vector.ends, &Limits::default());
    }
}

/// `WHEELHOUSE_SEED` and `WHEELHOUSE_ROUNDS` set the starting point and the length of the search.
#[test]
fn the_server_and_the_rfc_agree_about_generated_and_damaged_requests() {
    let rounds = std::env::var("WHEELHOUSE_ROUNDS").map_or(CASES, |text| text.parse().unwrap());
    let first = seed();
    let (mut accepted, mut refused) = (0, 0);
    for case in first..first.saturating_add(rounds) {
        let mut random = Random::new(case);
        let mut input = message(&mut random);
        if random.one_in(3) {
            mutate(&mut random, &mut input, &[b"\r\n", b"\n", b" ", b":", b"\0", b",", b"\x80"]);
        }
        let name = format!("WHEELHOUSE_SEED={case}");
        let _shown = Shown(&name, &input);
        compare(&input, random.one_in(4), &Limits::default());
        let transcript = by_the_rfc(&input, &Differences::all());
        accepted += transcript.seen.len();
        let is_refusal = |response: &String| response.starts_with(['4', '5']);
        refused += usize::from(transcript.responses.iter().any(is_refusal));
    }
    println!(
        "{rounds} messages from seed {first}: {accepted} requests accepted, {refused} refused"
    );
    let rounds = rounds as usize;
    assert!(rounds < 100 || accepted > rounds / 2 && refused > rounds / 8, "a one-sided search");
}

/// The example of each row is read in another way without that row, and in that way alone.
#[test]
fn every_difference_from_the_rfc_has_a_section_and_an_example_that_shows_it() {
    for (at, row) in TABLE.iter().enumerate() {
        let input = row.input();
        let name = format!("{:?}", row.difference);
        let _shown = Shown(&name, &input);
        assert_eq!(row.difference as usize, at, "the rows are in the order of the names");
        assert!(row.section.starts_with("RFC ") && row.reason.len() > 20, "{name}");
        compare(&input, true, &Limits::default());
        let ours = by_the_rfc(&input, &Differences::all());
        let theirs = by_the_rfc(&input, &Differences::without(row.difference));
        let is_accepted = |transcript: &Transcript| {
            !transcript.seen.is_empty() && transcript.responses[0].starts_with("200")
        };
        let expected = match row.effect {
            Effect::Stricter => (false, true),
            Effect::Wider => (true, false),
            Effect::OtherStatus => (false, false),
        };
        assert_eq!((is_accepted(&ours), is_accepted(&theirs)), expected, "{name}: {ours:?}");
        assert_ne!(ours, theirs, "{name}");
        for other in TABLE.iter().filter(|other| other.difference != row.difference) {
            let without = by_the_rfc(&input, &Differences::without(other.difference));
            assert_eq!(without, ours, "{name} and {:?}", other.difference);
        }
    }
    assert_eq!(Difference::LongTrailerSection as usize + 1, TABLE.len(), "every name has a row");
}
