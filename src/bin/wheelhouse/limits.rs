//! The flag `--limit NAME=VALUE`: every limit that `--print-limits` prints, with the values that it
//! prints.

use wheelhouse::Limits;

use crate::hints;
use crate::values::{bytes, number, time};

const TIME: &str = "a time, such as 10, 1.5s, 500ms, 2m or 1h";
const BYTES: &str = "a number of bytes, such as 65536, 64K or 1M";
const RATE: &str = "bytes per second, such as 1024 or 1K";
const COUNT: &str = "a number";

/// The names of all limits.
fn names() -> Vec<String> {
    let printed = Limits::default().to_string();
    printed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Sets the limit of `NAME=VALUE`. An error says what was expected.
pub(crate) fn set(limits: &mut Limits, text: &str) -> Result<(), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("NAME=VALUE, such as head_timeout=5s; --print-limits has the names".to_owned());
    };
    let name = name.trim().to_ascii_lowercase().replace('-', "_");
    if !names().contains(&name) {
        let meant = hints::did_you_mean(&name, names().iter().map(String::as_str));
        return Err(format!("the name of a limit, which --print-limits prints{meant}"));
    }
    set_named(limits, &name, value.trim()).ok_or_else(|| expected_for(&name).to_owned())
}

/// The form of the values of a limit.
fn expected_for(name: &str) -> &'static str {
    match name {
        "connection_age_max" => "a time, such as 10m, or none",
        "requests_max" | "connections_per_address_max" => "a number, or none",
        "linger_bytes_max" => "a number of bytes, such as 256K, or none",
        _ if name.contains("timeout") || name.ends_with("window") => TIME,
        _ if name.contains("rate") => RATE,
        _ if name.contains("bytes") => BYTES,
        _ => COUNT,
    }
}

/// Returns `None` if the value means nothing for this limit.
fn set_named(limits: &mut Limits, name: &str, value: &str) -> Option<()> {
    let is_none = value == "none";
    match name {
        "connections_max" if value == "by descriptors" => limits.connections_max = 0,
        "connections_max" => limits.connections_max = count(value)?,
        "connections_per_address_max" if is_none => limits.connections_per_address_max = usize::MAX,
        "connections_per_address_max" if value == "3/4 of all" => {
            limits.connections_per_address_max = 0;
        }
        "connections_per_address_max" => limits.connections_per_address_max = count(value)?,
        "memory_bytes_max" => limits.memory_bytes_max = size(value)?,
        "requests_max" if is_none => limits.requests_max = u32::MAX,
        "requests_max" => limits.requests_max = small(number(value)?)?,
        "connection_age_max" if is_none => limits.connection_age_max = None,
        "connection_age_max" => limits.connection_age_max = Some(time(value)?),
        "head_bytes_max" => limits.head_bytes_max = size(value)?,
        "target_bytes_max" => limits.target_bytes_max = size(value)?,
        "fields_max" => limits.fields_max = count(value)?,
        "head_timeout" => limits.head_timeout = time(value)?,
        "idle_timeout" => limits.idle_timeout = time(value)?,
        "idle_timeout_min" => limits.idle_timeout_min = time(value)?,
        "handler_timeout" => limits.handler_timeout = time(value)?,
        "content_window" => limits.content_window = time(value)?,
        "content_rate_min" => limits.content_rate_min = rate(value)?,
        "response_window" => limits.response_window = time(value)?,
        "response_rate_min" => limits.response_rate_min = rate(value)?,
        "pairs_max" => limits.pairs_max = count(value)?,
        "cookies_max" => limits.cookies_max = count(value)?,
        "ranges_max" => limits.ranges_max = count(value)?,
        "discard_bytes_max" => limits.discard_bytes_max = bytes(value)?,
        "linger_quiet_timeout" => limits.linger_quiet_timeout = time(value)?,
        "linger_timeout" => limits.linger_timeout = time(value)?,
        "linger_bytes_max" if is_none => limits.linger_bytes_max = u32::MAX,
        "linger_bytes_max" => limits.linger_bytes_max = small(bytes(value)?)?,
        "shutdown_timeout" => limits.shutdown_timeout = time(value)?,
        _ => return None,
    }
    Some(())
}

fn count(value: &str) -> Option<usize> {
    usize::try_from(number(value)?).ok()
}

fn size(value: &str) -> Option<usize> {
    usize::try_from(bytes(value)?).ok()
}

fn rate(value: &str) -> Option<u32> {
    small(bytes(value.trim_end_matches("/s"))?)
}

fn small(value: u64) -> Option<u32> {
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name and the value in each line of a printed table.
    fn printed(limits: &Limits) -> Vec<(String, String)> {
        let line = |line: &str| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.to_owned(), rest.trim_start().split("  ").next().unwrap().to_owned())
        };
        limits.to_string().lines().map(line).collect()
    }

    #[test]
    fn every_limit_that_is_printed_can_be_set_to_the_value_that_is_printed() {
        for from in [Limits::small(), Limits::sidecar(), Limits::open_internet()] {
            let mut limits = Limits {
                connections_max: 1,
                connections_per_address_max: 1,
                memory_bytes_max: 1,
                requests_max: 1,
                connection_age_max: Some(std::time::Duration::from_secs(1)),
                linger_bytes_max: 1,
                head_bytes_max: 1,
                ..Limits::small()
            };
            for (name, value) in printed(&from) {
                let before = limits.clone();
                set(&mut limits, &format!("{name}={value}"))
                    .unwrap_or_else(|error| panic!("{name}={value}: {error}"));
                let differs = |of: &Limits| {
                    printed(of).iter().filter(|line| !printed(&before).contains(line)).count()
                };
                assert!(differs(&limits) <= 1, "{name} sets one limit");
            }
            assert_eq!(limits, from);
        }
    }

    #[test]
    fn a_name_or_a_value_without_a_meaning_is_an_error_with_the_expected_one() {
        for (text, expected) in [
            ("head_timeout", "NAME=VALUE"),
            ("head_timout=5", "did you mean head_timeout?"),
            ("head_timeout=soon", "a time"),
            ("head_timeout=", "a time"),
            ("fields_max=-1", "a number"),
            ("fields_max=none", "a number"),
            ("content_rate_min=1 KiB/h", "bytes per second"),
            ("requests_max=4294967296", "a number, or none"),
            ("colour=blue", "the name of a limit"),
        ] {
            let error = set(&mut Limits::default(), text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let mut limits = Limits::default();
        set(&mut limits, "Head-Timeout = 1.5").unwrap();
        assert_eq!(limits.head_timeout.as_millis(), 1500);
    }
}
