//! [`Part`]: the head of a part of a form (RFC 7578, section 4).

use std::borrow::Cow;

use crate::helpers::multipart::parser::Malformed;
use crate::message::fields::is_token;
use crate::message::media_type::MediaType;

/// The head of a part: the name of its field, and for a file the name and the type that the client
/// gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    name: Cow<'a, str>,
    file_name: Option<Cow<'a, str>>,
    content_type: Option<MediaType<'a>>,
}

impl<'a> Part<'a> {
    /// Returns the name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the file, as the client gives it; `None` for a field that is not a file.
    /// A browser sends an empty name if the user has chosen none.
    ///
    /// **Never open a file by this name.** It may be a path, a name that the system reserves, or the
    /// name of a file that exists. Choose a name of your own, such as the [id of the
    /// request](crate::Request::id), and store this one beside it.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// Returns the media type that the client has guessed, most often from the name of the file. A
    /// part without one is plain text (RFC 7578, section 4.4).
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        self.content_type
    }

    /// Reads the lines of a head. Fields other than `Content-Disposition` and `Content-Type` are
    /// ignored (RFC 7578, section 4.8).
    pub(super) fn parse(head: &'a [u8]) -> Result<Part<'a>, Malformed> {
        let head =
            std::str::from_utf8(head).map_err(|_| Malformed("the head of a part is not UTF-8"))?;
        let (mut disposition, mut content_type) = (None, None);
        for line in head.split("\r\n").take_while(|line| !line.is_empty()) {
            let field = line.split_once(':').filter(|(name, _)| is_token(name.as_bytes()));
            let (name, value) =
                field.ok_or(Malformed("a line in the head of a part is not a field"))?;
            let place = if name.eq_ignore_ascii_case("content-disposition") {
                &mut disposition
            } else if name.eq_ignore_ascii_case("content-type") {
                &mut content_type
            } else if name.eq_ignore_ascii_case("content-transfer-encoding") && !is_plain(value) {
                return Err(Malformed(
                    "a part has a transfer encoding, which RFC 7578 no longer has",
                ));
            } else {
                continue;
            };
            if place.replace(value.trim_matches([' ', '\t'])).is_some() {
                return Err(Malformed("a part has two fields where one was expected"));
            }
        }
        let params = disposition.and_then(params_of_form_data);
        let params = params.ok_or(Malformed("a part has no Content-Disposition: form-data"))?;
        let (name, file_name) = names(params)?;
        Ok(Part { name, file_name, content_type: content_type.and_then(MediaType::parse) })
    }
}

/// Whether a transfer encoding leaves the bytes as they are.
fn is_plain(encoding: &str) -> bool {
    let encoding = encoding.trim_matches([' ', '\t']);
    ["7bit", "8bit", "binary"].iter().any(|plain| encoding.eq_ignore_ascii_case(plain))
}

/// Returns the parameters of the value of a `Content-Disposition` for forms.
fn params_of_form_data(value: &str) -> Option<&str> {
    let (kind, params) = value.split_once(';')?;
    kind.trim_end_matches([' ', '\t']).eq_ignore_ascii_case("form-data").then_some(params)
}

/// Returns the values of the parameters `name` and `filename`. `filename*` is ignored: RFC 7578,
/// section 4.2, forbids it, and two names for one file could be read in two ways.
fn names(params: &str) -> Result<(Cow<'_, str>, Option<Cow<'_, str>>), Malformed> {
    let (mut name, mut file_name) = (None, None);
    let mut rest = params.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(BAD_PARAM)?;
        let (value, after) = value(after)?;
        if !is_token(key.as_bytes()) {
            return Err(BAD_PARAM);
        }
        let place = match key {
            key if key.eq_ignore_ascii_case("name") => Some(&mut name),
            key if key.eq_ignore_ascii_case("filename") => Some(&mut file_name),
            _ => None,
        };
        if place.is_some_and(|place| place.replace(value).is_some()) {
            return Err(Malformed("a part has two names"));
        }
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix(';') {
            Some(next) => next.trim_start_matches([' ', '\t']),
            None if after.is_empty() => after,
            None => return Err(BAD_PARAM),
        };
    }
    Ok((name.ok_or(Malformed("a part has no name"))?, file_name))
}

const BAD_PARAM: Malformed = Malformed("a Content-Disposition has a malformed parameter");

/// Cuts the value of a parameter off the front of `text`: a token, or a quoted string.
fn value(text: &str) -> Result<(Cow<'_, str>, &str), Malformed> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return if is_token(value.as_bytes()) {
            Ok((Cow::Borrowed(value), rest))
        } else {
            Err(BAD_PARAM)
        };
    };
    let mut is_escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    // Browsers do not escape a backslash, and a name may end with one.
    let last = quoted.strip_suffix('"').map(str::len);
    let end = end.or(last).ok_or(BAD_PARAM)?;
    Ok((unescape(&quoted[..end]), &quoted[end + 1..]))
}

/// Removes the escapes of a quoted value. Browsers write a quotation mark, CR and LF as `%22`,
/// `%0D` and `%0A`, and everything else as it is (WHATWG HTML, multipart/form-data encoding). Other
/// clients escape a quotation mark or a backslash with a backslash (RFC 2045); another backslash
/// stands for itself, because some clients send paths with it.
fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '%']) {
        return Cow::Borrowed(value);
    }
    const ESCAPES: [(&str, char); 7] = [
        ("\\\"", '"'),
        ("\\\\", '\\'),
        ("%22", '"'),
        ("%0D", '\r'),
        ("%0d", '\r'),
        ("%0A", '\n'),
        ("%0a", '\n'),
    ];
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let escape = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape));
        let (len, char) =
            escape.map_or((first.len_utf8(), first), |(escape, char)| (escape.len(), *char));
        text.push(char);
        rest = &rest[len..];
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(value: &str) -> Result<(String, Option<String>), &'static str> {
        let head = format!("Content-Disposition: {value}\r\n\r\n");
        let part = Part::parse(head.as_bytes()).map_err(|bad| bad.0)?;
        Ok((part.name().to_owned(), part.file_name().map(str::to_owned)))
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        for (value, name, file_name) in [
            // Chromium, Firefox, curl, Python and Go.
            ("form-data; name=\"a\"", "a", None),
            ("form-data; name=\"a\"; filename=\"b.txt\"", "a", Some("b.txt")),
            ("form-data; name=\"a%22b\"; filename=\"c%22%0D%0Ad\"", "a\"b", Some("c\"\r\nd")),
            ("form-data; name=\"a\\\"b\"; filename=\"c\\\\d\"", "a\"b", Some("c\\d")),
            (
                "form-data; name=\"\u{fc}\"; filename=\"\u{2615}.png\"",
                "\u{fc}",
                Some("\u{2615}.png"),
            ),
            ("form-data; name=a; filename=b.txt", "a", Some("b.txt")),
            // Unusual, and clear all the same.
            ("Form-Data ;NAME=\"a\" ; FileName=\"\"", "a", Some("")),
            (
                "form-data; filename=\"C:\\dir\\file.txt\"; name=\"a\"",
                "a",
                Some("C:\\dir\\file.txt"),
            ),
            ("form-data; name=\"a;b=c\"", "a;b=c", None),
            // A browser does not escape the backslash at the end of a name.
            ("form-data; name=\"a\"; filename=\"b\\\"", "a", Some("b\\")),
            ("form-data; name=\"a\"; filename=\"b\\\\\"", "a", Some("b\\")),
            ("form-data; name=\"a\\\"", "a\\", None),
            ("form-data; name=\"100%\"", "100%", None),
            ("form-data; name=\"\"", "", None),
            ("form-data; name=\"a\"; filename*=UTF-8''b; size=3;", "a", None),
        ] {
            let expected = (name.to_owned(), file_name.map(str::to_owned));
            assert_eq!(names_of(value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn heads_without_one_clear_name_are_refused() {
        for value in [
            "form-data",
            "form-data;",
            "attachment; name=\"a\"",
            "form-data; filename=\"a\"",
            "form-data; name=\"a\"; name=\"b\"",
            "form-data; name=\"a\"; filename=\"b\"; filename=\"c\"",
            "form-data; name=\"a",
            "form-data; name=\"",
            "form-data; name=\"a\\\" x",
            "form-data; name=\"a\" x",
            "form-data; name=\"a\"x=\"b\"",
            "form-data; name=",
            "form-data; name",
            "form-data; name=a b",
            "form-data; =\"a\"",
            "form-data; na me=\"a\"",
        ] {
            assert!(names_of(value).is_err(), "{value}");
        }
        for head in [
            "\r\n",
            "Content-Type: text/plain\r\n\r\n",
            "Content-Disposition : form-data; name=a\r\n\r\n",
            "Content-Disposition\r\n\r\n",
            "Content-Disposition: form-data; name=a\r\n b\r\n\r\n",
            "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n",
            "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ] {
            assert!(Part::parse(head.as_bytes()).is_err(), "{head:?}");
        }
        assert!(Part::parse(b"Content-Disposition: form-data; name=\"\xff\"\r\n\r\n").is_err());
    }

    #[test]
    fn a_part_has_the_type_that_the_client_gives_it() {
        let head =
            |kind: &str| format!("X: y\r\nContent-Disposition: form-data; name=a\r\n{kind}\r\n");
        for (kind, expected) in [
            ("Content-Type: image/png\r\n", Some("image/png")),
            (
                "content-type:text/plain;charset=utf-8\r\nContent-Transfer-Encoding: 8BIT\r\n",
                Some("text/plain"),
            ),
            ("Content-Type: nonsense\r\n", None),
            ("", None),
        ] {
            let head = head(kind);
            let part = Part::parse(head.as_bytes()).unwrap();
            assert_eq!(part.content_type().map(|kind| kind.essence()), expected, "{kind}");
        }
    }
}
