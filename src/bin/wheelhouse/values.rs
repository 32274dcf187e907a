//! Reads the values of flags. Each function returns `None` if the value means nothing.

use std::time::Duration;

/// Reads a number of bytes: `65536`, `64K`, `64M`, `1G`, also as `64 KiB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return None,
    };
    number(digits.trim_end())?.checked_mul(1 << shift)
}

/// Reads a time: `10`, `1.5s`, `500ms`, `2m`, `1h`, also as `10 s`.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let digits = digits.trim_end();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = is_number.then(|| digits.parse().ok())??;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Reads a number without a sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads a pair of trimmed texts.
pub(crate) fn pair(text: &str, separator: char) -> Option<(String, String)> {
    let (name, value) = text.split_once(separator)?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads `EXTENSION=TYPE`. An error is a description of the expected value.
pub(crate) fn media_type(text: &str) -> Result<(String, String), String> {
    const EXAMPLE: &str = "EXTENSION=TYPE, such as md=text/plain";
    let (extension, kind) = pair(text, '=').ok_or(EXAMPLE)?;
    if let Some(last) = extension.rsplit_once('.').map(|(_, last)| last) {
        let reason = if extension.starts_with('.') { "no dot" } else { "only the last extension" };
        return Err(format!("{reason}: did you mean {last}={kind}?"));
    }
    let is_extension = !extension.is_empty() && !extension.contains(['/', ' ']);
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_type = essence.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
    if is_extension && is_type {
        Ok((extension, kind))
    } else {
        Err(EXAMPLE.to_owned())
    }
}

/// Whether `text` is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Reads the mode of a file in octal: `660`, `0660` or `0o660`.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = is_octal.then(|| u32::from_str_radix(digits, 8).ok())??;
    (mode <= 0o777).then_some(mode)
}

/// Reads an address to listen on. A port alone is one of this machine.
pub(crate) fn address(text: &str) -> String {
    match port(text) {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    }
}

/// Reads a port.
pub(crate) fn port(text: &str) -> Option<u16> {
    number(text).and_then(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_anything_else_means_nothing() {
        for (text, expected) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("64K", Some(65_536)),
            ("64 KiB", Some(65_536)),
            ("64kib", Some(65_536)),
            ("1G", Some(1 << 30)),
            ("512 B", Some(512)),
            ("64iB", None),
            ("64KiBiB", None),
            ("K", None),
            ("-1", None),
            ("+1", None),
            ("1.5M", None),
            ("99999999999G", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
        for (text, expected) in [
            ("10", Some(10_000)),
            ("1.5", Some(1500)),
            ("10 s", Some(10_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", None),
            ("-1", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            (".", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(time(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_mode_is_octal_and_has_only_permissions() {
        for (text, expected) in [
            ("660", Some(0o660)),
            ("0660", Some(0o660)),
            ("0o660", Some(0o660)),
            ("680", None),
            ("1777", None),
            ("rw", None),
            ("", None),
            ("0o", None),
        ] {
            assert_eq!(mode(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_type_without_a_meaning_is_refused_with_a_suggestion() {
        for (text, expected) in [
            (".txt=text/x", "did you mean txt=text/x?"),
            ("tar.gz=a/b", "did you mean gz=a/b?"),
            ("=text/x", "EXTENSION=TYPE"),
            ("txt=", "EXTENSION=TYPE"),
            ("foo=notatype", "EXTENSION=TYPE"),
            ("foo=a/", "EXTENSION=TYPE"),
            ("foo=a/b c", "EXTENSION=TYPE"),
            ("txt", "EXTENSION=TYPE"),
        ] {
            let error = media_type(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let good = media_type("md=text/markdown; charset=utf-8").unwrap();
        assert_eq!(good, ("md".to_owned(), "text/markdown; charset=utf-8".to_owned()));
    }
}
