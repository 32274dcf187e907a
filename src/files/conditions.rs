//! Conditional requests (RFC 9110, section 13): whether the response is needed, and still wanted.
//!
//! These are pure functions of the request's fields and the validators of the representation. The
//! order of section 13.2.2 stands once, in [`judge`].

use std::time::SystemTime;

use crate::message::fields::Fields;

/// The validators of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validators {
    /// A strong entity tag, with its quotes.
    pub(super) etag: String,
    /// The time of the last change, in whole seconds.
    pub(super) last_modified: Option<SystemTime>,
}

/// The result of the conditions of a GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Respond as if there were no conditions.
    Send,
    /// 304: the client has the current version.
    NotModified,
    /// 412: the client wants a version other than the current one.
    Failed,
}

/// Evaluates steps 1 to 4 of RFC 9110, section 13.2.2. Step 5 is [`range_holds`].
pub(super) fn judge(fields: &Fields<'_>, now: &Validators) -> Judgement {
    if fields.contains("if-match") {
        if !matches_any(fields, "if-match", &now.etag, Comparison::Strong) {
            return Judgement::Failed;
        }
    } else if let (Some(limit), Some(changed)) =
        (date(fields, "if-unmodified-since"), now.last_modified)
    {
        if changed > limit {
            return Judgement::Failed;
        }
    }
    if fields.contains("if-none-match") {
        if matches_any(fields, "if-none-match", &now.etag, Comparison::Weak) {
            return Judgement::NotModified;
        }
    } else if let (Some(since), Some(changed)) =
        (date(fields, "if-modified-since"), now.last_modified)
    {
        if changed <= since {
            return Judgement::NotModified;
        }
    }
    Judgement::Send
}

/// Returns whether `If-Range` allows the range (RFC 9110, section 13.1.5): the field is absent, or
/// it names exactly the current version, by a strong tag or by the second of its last change.
///
/// A file may change twice in a second. A client may use a date here only if the response with the
/// date was sent at least a second after it (section 8.8.2.2), and by then the file has the version
/// of that second that stays.
pub(super) fn range_holds(fields: &Fields<'_>, now: &Validators) -> bool {
    if !fields.contains("if-range") {
        return true;
    }
    // Two lines name two versions.
    let Some(value) = fields.only("if-range") else { return false };
    if let Some((tag, rest)) = scan_tag(value) {
        return rest.is_empty() && Comparison::Strong.holds(tag, now.etag.as_bytes());
    }
    let date = date(fields, "if-range");
    date.is_some() && date == now.last_modified
}

/// The way to compare two entity tags (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

impl Comparison {
    /// `ours` is always strong.
    fn holds(self, theirs: &[u8], ours: &[u8]) -> bool {
        match (theirs.strip_prefix(b"W/"), self) {
            (Some(_), Comparison::Strong) => false,
            (Some(theirs), Comparison::Weak) => theirs == ours,
            (None, _) => theirs == ours,
        }
    }
}

/// Returns whether `*` or one of the tags in the field matches. The list ends at the first text
/// that is not a tag.
fn matches_any(fields: &Fields<'_>, name: &str, etag: &str, comparison: Comparison) -> bool {
    fields.all(name).any(|mut rest| loop {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.first() == Some(&b'*') {
            return true;
        }
        let Some((tag, after)) = scan_tag(rest) else { return false };
        if comparison.holds(tag, etag.as_bytes()) {
            return true;
        }
        rest = after;
    })
}

/// Returns the entity tag at the start of `bytes`, with its quotes and its `W/`, and the bytes
/// after it.
fn scan_tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = if bytes.starts_with(b"W/") { 2 } else { 0 };
    let opaque = bytes[start..].strip_prefix(b"\"")?;
    let len = opaque.iter().position(|&byte| byte == b'"')?;
    let is_tag_byte = |&byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff);
    opaque[..len].iter().all(is_tag_byte).then(|| bytes.split_at(start + 1 + len + 1))
}

/// Returns the date in a field. Several lines of it are a list, which is not a date and is ignored
/// (RFC 9110, sections 13.1.3 and 13.1.4).
fn date(fields: &Fields<'_>, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(fields.only(name)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: t221.
    #[test]
    fn a_tag_is_quotes_around_visible_bytes_with_or_without_the_mark_of_weakness() {
        let scan = |text: &'static str| {
            let (tag, rest) = scan_tag(text.as_bytes())?;
            Some((std::str::from_utf8(tag).unwrap(), std::str::from_utf8(rest).unwrap()))
        };
        assert_eq!(scan(r#"W/"etag-1""#), Some((r#"W/"etag-1""#, "")));
        assert_eq!(scan(r#""etag-2""#), Some((r#""etag-2""#, "")));
        assert_eq!(scan(r#""etag-1", "etag-2""#), Some((r#""etag-1""#, r#", "etag-2""#)));
        assert_eq!(scan(r#""""#), Some((r#""""#, "")));
        for no_tag in
            ["", "W/", r#"W/"truc"#, r#"w/"case""#, r#""sp ace""#, "W", "\"", "etag", "\"\x7f\""]
        {
            assert_eq!(scan(no_tag), None, "{no_tag}");
        }
    }
}
