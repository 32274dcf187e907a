//! Time: the only place that reads a clock, what a tick is, and the `Date` line.

use std::time::{Duration, Instant, SystemTime};

use crate::http1::DateLine;

/// How coarse deadlines are. 64 ms is far below any limit's meaning and lets deadlines that are
/// near each other share one wake-up.
const TICK: Duration = Duration::from_millis(64);

/// Reads the clocks of the system, and nothing else does.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }

    /// Monotonic time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Time since 1970, which may jump.
    pub(crate) fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// The tick that `now` lies in. Wraps after 8.7 years, which the wheel is made for.
pub(crate) fn tick(now: Duration) -> u32 {
    (now.as_millis() / TICK.as_millis()) as u32
}

/// The first tick that begins no earlier than `now + timeout`: a deadline on it is never early.
pub(crate) fn due(now: Duration, timeout: Duration) -> u32 {
    tick(now + timeout).wrapping_add(1)
}

/// How long until `tick` begins, seen from `now`; zero if it has.
pub(crate) fn until(now: Duration, tick_wanted: u32) -> Duration {
    let ticks = tick_wanted.wrapping_sub(tick(now)) as i32;
    if ticks <= 0 {
        return Duration::ZERO;
    }
    let into_tick = now.as_nanos() % TICK.as_nanos();
    TICK * ticks as u32 - Duration::from_nanos(into_tick as u64)
}

/// The `Date` line, made anew when its second has passed and somebody asks.
#[derive(Debug)]
pub(crate) struct DateCache {
    line: DateLine,
    /// Monotonic time at which the second of the line ends.
    fresh_until: Duration,
}

impl DateCache {
    pub(crate) fn new() -> DateCache {
        DateCache { line: *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", fresh_until: Duration::ZERO }
    }

    /// Brings the line up to the present; `wall` is asked at most once a second.
    pub(crate) fn refresh(&mut self, now: Duration, wall: impl FnOnce() -> Duration) {
        if now < self.fresh_until {
            return;
        }
        let wall = wall();
        let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + wall);
        self.line[6..35].copy_from_slice(text.as_bytes());
        self.fresh_until =
            now + Duration::from_secs(1) - Duration::from_nanos(u64::from(wall.subsec_nanos()));
    }

    pub(crate) fn line(&self) -> &DateLine {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_less_than_a_tick_late() {
        for now_ms in [0u64, 1, 63, 64, 65, 1_000_003] {
            for timeout_ms in [1u64, 63, 64, 65, 10_000] {
                let now = Duration::from_millis(now_ms);
                let wait = until(now, due(now, Duration::from_millis(timeout_ms)));
                let late = wait.checked_sub(Duration::from_millis(timeout_ms)).expect("not early");
                assert!(late <= TICK, "{now_ms} {timeout_ms} {late:?}");
            }
        }
    }

    #[test]
    fn ticks_go_on_after_the_wrap() {
        let near = Duration::from_millis(64 * u64::from(u32::MAX));
        assert_eq!(tick(near), u32::MAX);
        let due = due(near, Duration::from_secs(1));
        assert_eq!(until(near, due), Duration::from_millis(64 * 16));
    }

    #[test]
    fn the_date_line_is_made_once_a_second() {
        let mut date = DateCache::new();
        let at = |ms: u64| Duration::from_millis(784_111_777_000 + ms);
        date.refresh(Duration::from_millis(100), || at(700));
        assert_eq!(date.line(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        date.refresh(Duration::from_millis(399), || panic!("the second is not over"));
        date.refresh(Duration::from_millis(400), || at(1000));
        assert_eq!(date.line()[23..31], *b"08:49:38");
    }
}
