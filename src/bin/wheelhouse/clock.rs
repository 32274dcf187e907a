//! Times of the system in the forms of logs, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// The names of months in the order of the year.
const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Returns a time as RFC 3339 has it, with milliseconds: `1994-11-06T08:49:37.000Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let Parts { day, month, year, clock } = &Parts::of(time);
    let number = MONTHS.find(month.as_str()).unwrap_or_default() / 3 + 1;
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    format!("{year}-{number:02}-{day}T{clock}.{millis:03}Z")
}

/// Returns a time as the Common Log Format has it: `06/Nov/1994:08:49:37 +0000`.
pub(crate) fn common(time: SystemTime) -> String {
    let Parts { day, month, year, clock } = Parts::of(time);
    format!("{day}/{month}/{year}:{clock} +0000")
}

struct Parts {
    day: String,
    month: String,
    year: String,
    clock: String,
}

impl Parts {
    /// Takes the form of the field `Date` apart: `Sun, 06 Nov 1994 08:49:37 GMT`.
    fn of(time: SystemTime) -> Parts {
        let date = httpdate::fmt_http_date(time);
        let part = |from: usize, to: usize| date[from..to].to_owned();
        Parts { day: part(5, 7), month: part(8, 11), year: part(12, 16), clock: part(17, 25) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_have_the_forms_of_rfc_3339_and_of_the_common_log_format() {
        let time = UNIX_EPOCH + Duration::from_millis(784_111_777_042);
        assert_eq!(rfc3339(time), "1994-11-06T08:49:37.042Z");
        assert_eq!(common(time), "06/Nov/1994:08:49:37 +0000");
        let leap = UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(rfc3339(leap), "2000-02-29T00:00:00.000Z");
        let last = UNIX_EPOCH + Duration::from_secs(946_684_799);
        assert_eq!(rfc3339(last), "1999-12-31T23:59:59.000Z");
    }
}
