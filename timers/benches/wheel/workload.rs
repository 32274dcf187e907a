//! The operations on each contender, and how they are timed.

use crate::contenders::Timers;
use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds for each operation, and bytes for each timer if the system reports them.
pub(crate) struct Row {
    pub(crate) arm: f64,
    pub(crate) rearm: f64,
    pub(crate) later: f64,
    pub(crate) served: f64,
    pub(crate) cancel: f64,
    pub(crate) expire: f64,
    pub(crate) bytes: Option<f64>,
}

/// The times are in ticks of 64 ms.
const NEAREST: u32 = 5_000 / 64;
const FARTHEST: u32 = 65_000 / 64;
const TIMEOUT: u32 = 75_000 / 64;
const REQUEST_EVERY: u32 = 10_000 / 64;

pub(crate) fn measure<T: Timers>(size: u32, rounds: usize) -> Row {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let bytes = bytes_per_timer::<T>(size, &mut random);

    let [mut arm, mut rearm, mut later, mut cancel, mut expire] = [(); 5].map(|()| Vec::new());
    for _ in 0..rounds {
        // The inputs are made before the measurement starts.
        let dues: Vec<u32> = (0..size).map(|_| random.due()).collect();
        let again: Vec<(u32, u32)> =
            random.shuffled(size).into_iter().map(|id| (id, random.due())).collect();
        let order = random.shuffled(size);
        let (half, rest) = order.split_at(order.len() / 2);

        let mut timers = T::new();
        arm.push(time(size, || {
            for (id, &due) in (0..size).zip(&dues) {
                timers.arm(id, due);
            }
        }));
        rearm.push(time(size, || {
            for &(id, due) in &again {
                timers.rearm(id, due);
            }
        }));
        cancel.push(time(half.len() as u32, || {
            for &id in half {
                timers.cancel(id);
            }
        }));
        let mut expired = 0;
        expire.push(time(rest.len() as u32, || {
            for now in 1..=FARTHEST + 1 {
                expired += timers.turn(now);
            }
        }));
        assert_eq!(black_box(expired), rest.len());
        drop(timers);

        let mut timers = T::new();
        (0..size).for_each(|id| timers.arm(id, TIMEOUT + id % 7));
        later.push(time(size, || {
            for &id in &order {
                timers.rearm(id, TIMEOUT + 10);
            }
        }));
    }
    Row {
        arm: median(arm),
        rearm: median(rearm),
        later: median(later),
        served: median(serve::<T>(size, rounds, &mut random)),
        cancel: median(cancel),
        expire: median(expire),
        bytes,
    }
}

/// A server under steady load: each id has its request in turn, the clock runs, and no timer ever
/// expires.
fn serve<T: Timers>(size: u32, rounds: usize, random: &mut Random) -> Vec<f64> {
    let order = random.shuffled(size);
    let mut requests = order.iter().copied().cycle();
    let each_tick = size / REQUEST_EVERY + 1;
    let mut now = 0;
    let mut timers = T::new();
    // As if the ids had been armed one after another, so that the postponed work does not come in
    // one burst.
    for id in 0..size {
        timers.arm(id, REQUEST_EVERY + 1 + random.below(TIMEOUT - REQUEST_EVERY));
    }
    let mut run = |ticks: u32| {
        for _ in 0..ticks {
            for id in requests.by_ref().take(each_tick as usize) {
                timers.rearm(id, now + TIMEOUT);
            }
            now += 1;
            assert_eq!(timers.turn(now), 0);
        }
    };
    run(TIMEOUT);
    let ticks = TIMEOUT / 5;
    (0..rounds).map(|_| time(ticks * each_tick, || run(ticks))).collect()
}

/// The growth of the resident set by `size` timers. Must run first, since later the process has
/// freed memory at hand.
fn bytes_per_timer<T: Timers>(size: u32, random: &mut Random) -> Option<f64> {
    let before = resident_bytes()?;
    let mut timers = T::new();
    (0..size).for_each(|id| timers.arm(id, random.due()));
    let after = resident_bytes()?;
    black_box(&mut timers);
    Some((after - before) / f64::from(size))
}

/// Linux reports it; on other systems the column stays empty.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn time(operations: u32, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / f64::from(operations)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Marsaglia's xorshift. It always gives the same numbers, so that all rows do the same work.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }

    fn due(&mut self) -> u32 {
        NEAREST + self.below(FARTHEST - NEAREST)
    }

    fn shuffled(&mut self, size: u32) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..size).collect();
        for at in (1..size).rev() {
            ids.swap(at as usize, self.below(at + 1) as usize);
        }
        ids
    }
}
