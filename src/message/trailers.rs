//! The trailer section of a response (RFC 9110, section 6.5): fields that are known only when all
//! content has been made, such as a digest. Also the rule for the fields that may stand in any
//! trailer section.

use crate::message::field_lines::{
    check_name, check_value, FieldError, FieldLines, TRAILER_BYTES_MAX,
};

/// The trailer fields of one response, filled when its content is complete:
/// [`Produce::put_trailers`](crate::body::Produce::put_trailers),
/// [`Transform::put_trailers`](crate::content::Transform::put_trailers).
///
/// They are sent after the last chunk, hence only with content in chunks: in HTTP/1.1, without a
/// known length, and not to `HEAD`. Elsewhere they are left out, with a line in the debug log. A
/// client may ignore trailer fields, and an intermediary may drop them. So a field that must arrive
/// belongs here only if the request said `TE: trailers`
/// (`req.headers().has_member("te", "trailers")`).
///
/// ```
/// use wheelhouse::{FieldError, Trailers};
///
/// let mut trailers = Trailers::default();
/// trailers.append("Digest", "sha-256=4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=")?;
/// let refused = trailers.append("Content-Length", "3");
/// assert!(matches!(refused, Err(FieldError::Trailer { .. })));
/// # Ok::<(), FieldError>(())
/// ```
#[derive(Debug, Default)]
pub struct Trailers {
    lines: FieldLines,
}

impl Trailers {
    /// Adds one field. A field that was not announced with
    /// [`Response::with_trailer`](crate::Response::with_trailer) is sent all the same.
    ///
    /// # Errors
    ///
    /// [`FieldError`] as for [`Response::append_header`](crate::Response::append_header), or if the
    /// field may not stand in a trailer section, or the section would become too large. If
    /// `put_trailers` returns the error, it is logged and the connection is reset: the head has
    /// left, so there is no other way to report that the response is not complete.
    pub fn append(
        &mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        let name = name.as_ref();
        check_trailer_name(name)?;
        let value = check_value(name, value.as_ref())?;
        // The empty line at the end counts, too.
        self.lines.append(name, value, TRAILER_BYTES_MAX - 2)
    }

    /// Returns whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.lines.bytes.is_empty()
    }

    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines.bytes
    }
}

/// Checks that a trailer field called `name` can be announced and sent.
pub(crate) fn check_trailer_name(name: &str) -> Result<(), FieldError> {
    if name.is_empty() || may_stand_in_trailer(name.as_bytes()) {
        return check_name(name);
    }
    Err(FieldError::Trailer { name: name.to_owned() })
}

/// Returns whether a field of this name may stand in a trailer section. Fields that frame the
/// message, route or change the request, authenticate, control the response or describe the
/// processing of the content may not (RFC 9110, section 6.5.1): they would come too late, and a
/// recipient that reads only the head would see another message.
pub(crate) fn may_stand_in_trailer(name: &[u8]) -> bool {
    let begins_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let is_any_of = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    // A digest is made of the whole content, so it belongs after the content (RFC 9530).
    if is_any_of(&["content-digest", "content-md5"]) {
        return true;
    }
    !["content-", "if-", "x-forwarded-"].into_iter().any(begins_with) && !is_any_of(&FORBIDDEN)
}

const FORBIDDEN: [&str; 38] = [
    // Framing and the connection.
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Routing and conditions of the request.
    "host",
    "forwarded",
    "via",
    "max-forwards",
    "expect",
    "range",
    "accept-ranges",
    "origin",
    "referer",
    "x-real-ip",
    "x-http-method-override",
    // Authentication.
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-authentication-info",
    "authentication-info",
    "www-authenticate",
    "realm",
    "cookie",
    "cookie2",
    "set-cookie",
    "set-cookie2",
    // The description of the response.
    "age",
    "cache-control",
    "pragma",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "warning",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_for_framing_routing_or_authentication_are_not_allowed_in_a_trailer_section() {
        for name in [
            "content-length",
            "Transfer-Encoding",
            "HOST",
            "authorization",
            "Set-Cookie",
            "Content-Type",
            "content-range",
            "If-Match",
            "Trailer",
            "TE",
            "expect",
            "Vary",
        ] {
            assert!(!may_stand_in_trailer(name.as_bytes()), "{name}");
            let refused = Trailers::default().append(name, "x");
            assert_eq!(refused, Err(FieldError::Trailer { name: name.into() }));
        }
        for name in ["Digest", "Content-Digest", "Server-Timing", "ETag", "Grpc-Status", "Hosts"] {
            assert!(may_stand_in_trailer(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn trailer_fields_are_checked_like_those_of_the_head() {
        let mut trailers = Trailers::default();
        trailers.append("A", " b ").unwrap();
        assert!(matches!(trailers.append("", "x"), Err(FieldError::Name { .. })));
        assert!(matches!(trailers.append("A b", "x"), Err(FieldError::Name { .. })));
        assert!(matches!(trailers.append("A", "x\r\nB: c"), Err(FieldError::Value { .. })));
        let long = "x".repeat(TRAILER_BYTES_MAX - 2 - 6 - 5);
        assert!(matches!(
            trailers.append("B", format!("{long}x")),
            Err(FieldError::TooLarge { .. })
        ));
        trailers.append("B", &long).unwrap();
        assert_eq!(trailers.lines(), format!("A: b\r\nB: {long}\r\n").as_bytes());
    }
}
