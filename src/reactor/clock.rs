//! Time: the clocks, which no other file reads, the ticks, and the `Date` line.

use std::time::{Duration, Instant, SystemTime};

use crate::http1::DateLine;

/// Milliseconds of monotonic time since the start of the kernel: the unit in which the loop counts.
pub(crate) type Millis = u64;

/// The length of a tick, as a power of two: 64 ms. That is short against every limit, and deadlines
/// that are near each other share one wake-up.
pub(crate) const TICK_LOG2: u32 = 6;

/// Reads the clocks of the system.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }

    /// Monotonic time since the start.
    pub(crate) fn now(&self) -> Millis {
        millis(self.elapsed())
    }

    /// The same, not cut to milliseconds.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Time since 1970, which may jump.
    pub(crate) fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// `duration` in whole milliseconds, rounded down.
pub(crate) fn millis(duration: Duration) -> Millis {
    duration.as_secs() * 1000 + u64::from(duration.subsec_millis())
}

/// The tick in which `now` lies. It wraps after 8.7 years, which the wheel supports.
pub(crate) fn tick(now: Millis) -> u32 {
    (now >> TICK_LOG2) as u32
}

/// The time at which `tick` begins, in the first 8.7 years.
pub(crate) fn begins(tick: u32) -> Millis {
    Millis::from(tick) << TICK_LOG2
}

/// The first tick that does not begin before `at`.
pub(crate) fn tick_from(at: Millis) -> u32 {
    tick(at + ((1 << TICK_LOG2) - 1))
}

/// `duration` in milliseconds, rounded up.
pub(crate) fn millis_up(duration: Duration) -> Millis {
    millis(duration + Duration::from_nanos(999_999))
}

/// The first tick that begins after `now + timeout`: a deadline on it is never early, although
/// `now` is cut to milliseconds.
pub(crate) fn due(now: Millis, timeout: Duration) -> u32 {
    due_in(now, millis_up(timeout))
}

/// The same for a timeout in milliseconds.
pub(crate) fn due_in(now: Millis, timeout: Millis) -> u32 {
    tick(now + timeout).wrapping_add(1)
}

/// The milliseconds from `now` until the tick `wanted` begins; zero if it has begun.
pub(crate) fn until(now: Millis, wanted: u32) -> Millis {
    let ticks = wanted.wrapping_sub(tick(now)) as i32;
    match u64::try_from(ticks) {
        Ok(ticks @ 1..) => (ticks << TICK_LOG2) - (now & ((1 << TICK_LOG2) - 1)),
        _ => 0,
    }
}

/// Makes the `Date` line anew when its second has passed.
#[derive(Debug, Default)]
pub(crate) struct DateClock {
    /// The time at which the second of the last line ends.
    fresh_until: Millis,
}

impl DateClock {
    /// Returns the new line, if the last one is out of date. `wall` is called at most once a
    /// second.
    pub(crate) fn refresh(
        &mut self,
        now: Millis,
        wall: impl FnOnce() -> Duration,
    ) -> Option<DateLine> {
        (now >= self.fresh_until).then(|| self.line(now, wall()))
    }

    #[cold]
    fn line(&mut self, now: Millis, wall: Duration) -> DateLine {
        self.fresh_until = now + 1000 - u64::from(wall.subsec_millis());
        let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + wall);
        line[6..35].copy_from_slice(text.as_bytes());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_less_than_a_tick_and_a_millisecond_late() {
        for now in [0, 1, 63, 64, 65, 1_000_003] {
            for timeout in [1, 63, 64, 65, 10_000] {
                let wait = until(now, due(now, Duration::from_millis(timeout)));
                let late = wait.checked_sub(timeout).expect("not early");
                assert!((1..=64).contains(&late), "{now} {timeout} {late:?}");
            }
        }
    }

    #[test]
    fn a_fraction_of_a_millisecond_does_not_shorten_a_deadline() {
        let timeout = Duration::from_micros(63_001);
        assert_eq!(due(0, timeout), due(0, Duration::from_millis(64)));
    }

    #[test]
    fn ticks_continue_after_the_wrap() {
        let near = 64 * u64::from(u32::MAX);
        assert_eq!(tick(near), u32::MAX);
        assert_eq!(until(near, due(near, Duration::from_secs(1))), 64 * 16);
        assert_eq!(until(near, tick(near)), 0);
        assert_eq!(until(near, tick(near - 100)), 0);
    }

    #[test]
    fn the_date_line_is_made_once_a_second() {
        let mut date = DateClock::default();
        let at = |ms: u64| Duration::from_millis(784_111_777_000 + ms);
        let first = date.refresh(100, || at(700));
        assert_eq!(first, Some(*b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
        assert_eq!(date.refresh(399, || panic!("the second is not over")), None);
        assert_eq!(date.refresh(400, || at(1000)).unwrap()[23..31], *b"08:49:38");
    }
}
