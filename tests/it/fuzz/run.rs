//! Calls a target with inputs that a seed makes, and prints the command that repeats a failure.
//!
//! | variable | effect |
//! |---|---|
//! | `WHEELHOUSE_SEED` | the number of the first input |
//! | `WHEELHOUSE_ROUNDS` | the number of inputs |
//! | `WHEELHOUSE_INPUT` | one input instead: a file, for instance one that cargo-fuzz has left, or hexadecimal digits |
//! | `WHEELHOUSE_CORPUS` | a folder: the inputs are also written there, into a folder for each target, as a start for cargo-fuzz |

use std::env;
use std::fs;
use std::path::PathBuf;

use super::mutate;
use crate::support::random::{seed, Random};

/// Calls `target` with `rounds` inputs of `make`, half of them damaged.
pub(crate) fn check(
    name: &str,
    rounds: u64,
    words: &[&[u8]],
    make: impl Fn(&mut Random) -> Vec<u8>,
    target: fn(&[u8]),
) {
    if let Ok(input) = env::var("WHEELHOUSE_INPUT") {
        return target(&fs::read(&input).unwrap_or_else(|_| from_hex(&input)));
    }
    let first = seed();
    let rounds = env::var("WHEELHOUSE_ROUNDS").map_or(rounds, |text| text.parse().unwrap());
    let corpus = env::var_os("WHEELHOUSE_CORPUS").map(|folder| PathBuf::from(folder).join(name));
    if let Some(folder) = &corpus {
        fs::create_dir_all(folder).unwrap();
    }
    for case in first..first.saturating_add(rounds) {
        let mut random = Random::new(case);
        let mut input = make(&mut random);
        if random.one_in(2) {
            mutate(&mut random, &mut input, words);
        }
        if let Some(folder) = &corpus {
            fs::write(folder.join(format!("seed-{case}")), &input).unwrap();
        }
        let _command = Command { name, case, input: &input };
        target(&input);
    }
    println!("{name}: {rounds} inputs from seed {first}");
}

/// Prints how to repeat a case, if that panics.
struct Command<'a> {
    name: &'a str,
    case: u64,
    input: &'a [u8],
}

impl Drop for Command<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let Command { name, case, input } = self;
        let test = format!("cargo test --all-features --test it fuzz::{name}");
        let shown = &input[..input.len().min(2000)];
        eprintln!("the input of {} bytes: {}", input.len(), shown.escape_ascii());
        eprintln!("to repeat: WHEELHOUSE_SEED={case} WHEELHOUSE_ROUNDS=1 {test}");
        if input.len() <= 2000 {
            eprintln!("or: WHEELHOUSE_INPUT={} {test}", to_hex(input));
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
    let bytes: Result<_, _> = (0..text.len()).step_by(2).map(digit).collect();
    bytes.expect("WHEELHOUSE_INPUT is a file or hexadecimal digits")
}
