//! Compares the wheel with other timer structures under one simulated workload: a table of
//! nanoseconds per operation.
//!
//! ```text
//! cargo bench -p wheelhouse-timers               # under a minute
//! cargo bench -p wheelhouse-timers -- --quick    # or WHEEL_QUICK=1: ten thousand timers, one round, for a smoke run
//! ```
//!
//! Ticks of 64 ms, deadlines 5 to 65 s ahead, ids in random order, so that each operation misses
//! the cache as it would in a server. A figure is the median of five rounds. Each row runs in a
//! process of its own: no row inherits another's heap, and the growth of the resident set is the
//! memory of the timers. The columns:
//!
//! * `arm`: N timers that were not armed, growth of the structure included.
//! * `re-arm`: each moved to a random time, so that about half move earlier.
//! * `later`: each moved later, and no other work: the cost when one request is served.
//! * `served`: the same in the running server, with the postponed part of the work: each id has a
//!   request every 10 s and a timeout of 75 s, the clock turns each tick, nothing expires. Per
//!   request, everything included.
//! * `cancel`: one half of the timers, in random order.
//! * `expire`: the other half, by turning the clock over 66 s tick by tick.

#[path = "wheel/contenders.rs"]
mod contenders;
#[path = "wheel/workload.rs"]
mod workload;

use contenders::{Heap, Hierarchical, Ordered, Timers};
use std::process::Command;
use wheelhouse_timers::Wheel;
use workload::{measure, Row};

/// Measures this many timers in this many rounds.
type Measure = fn(u32, usize) -> Row;

/// The measurement of each contender, in the order of the table.
const CONTENDERS: [(&str, Measure); 4] = [
    (Wheel::NAME, measure::<Wheel>),
    (Ordered::NAME, measure::<Ordered>),
    (Heap::NAME, measure::<Heap>),
    (Hierarchical::NAME, measure::<Hierarchical>),
];

fn main() {
    // Unknown arguments are ignored, since cargo passes `--bench`, too.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick =
        arguments.iter().any(|a| a == "--quick") || std::env::var_os("WHEEL_QUICK").is_some();
    if let Some(at) = arguments.iter().position(|a| a == "--row") {
        let number = |offset: usize| {
            arguments[at + offset].parse::<usize>().expect("--row CONTENDER N ROUNDS")
        };
        let (name, measure) = CONTENDERS[number(1)];
        print_row(name, number(2), &measure(number(2) as u32, number(3)));
        return;
    }

    let (sizes, rounds): (&[usize], _) =
        if quick { (&[10_000], 1) } else { (&[10_000, 100_000, 1_000_000], 5) };
    println!("| {:<29} | {:>7} | arm ns | re-arm ns | later ns | served ns | cancel ns | expire ns | bytes/timer |", "structure", "N");
    println!("|---|---|---|---|---|---|---|---|---|");
    for contender in 0..CONTENDERS.len() {
        for size in sizes {
            let this = std::env::current_exe().expect("the path of this benchmark");
            let row = [contender, *size, rounds].map(|number| number.to_string());
            let status =
                Command::new(this).arg("--row").args(row).status().expect("this benchmark runs");
            assert!(status.success(), "a row failed");
        }
    }
}

fn print_row(name: &str, size: usize, row: &Row) {
    let [arm, rearm, later, served, cancel, expire] =
        [row.arm, row.rearm, row.later, row.served, row.cancel, row.expire]
            .map(|ns| format!("{ns:.1}"));
    let bytes = row.bytes.map_or("?".into(), |bytes| format!("{bytes:.0}"));
    println!(
        "| {name:<29} | {size:>7} | {arm:>6} | {rearm:>9} | {later:>8} | {served:>9} | {cancel:>9} | {expire:>9} | {bytes:>11} |"
    );
}
