//! The trailer section of an answer (RFC 9110, section 6.5): fields that are known only when all
//! content has been made, such as a digest; and which fields may stand in one at all.

use crate::message::field_lines::{
    check_name, check_value, FieldError, FieldLines, TRAILER_BYTES_MAX,
};

/// The trailer fields of one answer, filled when its content is complete:
/// [`Produce::put_trailers`](crate::Produce::put_trailers),
/// [`Transform::put_trailers`](crate::Transform::put_trailers).
///
/// They are sent behind the last chunk, hence only where the content goes out in chunks: in
/// HTTP/1.1, without a known length, and not to `HEAD`. Elsewhere nothing can follow the content;
/// that they are left out is a line in the debug log. A peer may ignore trailer fields, and one on
/// the way may drop them: nothing that must arrive belongs here, unless the request said
/// `TE: trailers` (`req.headers().has_member("te", "trailers")`).
///
/// ```
/// use wheelhouse::{FieldError, Trailers};
///
/// let mut trailers = Trailers::default();
/// trailers.try_set("Digest", "sha-256=4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=")?;
/// let refused = trailers.try_set("Content-Length", "3");
/// assert!(matches!(refused, Err(FieldError::NoTrailer { .. })));
/// # Ok::<(), FieldError>(())
/// ```
#[derive(Debug, Default)]
pub struct Trailers {
    lines: FieldLines,
}

impl Trailers {
    /// Adds one field line. One that was not announced with
    /// [`Response::with_trailer`](crate::Response::with_trailer) is sent all the same.
    ///
    /// # Errors
    ///
    /// [`FieldError`] as for [`Response::try_set`](crate::Response::try_set), or if the field may
    /// not stand in a trailer section, or there are more than [`TRAILER_BYTES_MAX`] bytes of them.
    pub fn try_set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        check_trailer_name(name)?;
        let value = check_value(name, value.as_ref())?;
        // The empty line at the end counts too.
        self.lines.append(name, value, TRAILER_BYTES_MAX - 2)
    }

    /// Adds one field line that is known to be good.
    ///
    /// A field that cannot be sent does not vanish: the connection is reset instead of ended well,
    /// and the reason is logged. The head has left, so there is no other way to say that the answer
    /// is not what it should be.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if let Err(error) = self.try_set(name, value) {
            self.lines.keep_fault(error);
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.lines.bytes.is_empty()
    }

    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines.bytes
    }

    pub(crate) fn fault(&self) -> Option<&FieldError> {
        self.lines.fault.as_ref()
    }
}

/// Whether `name` can be announced and sent.
pub(crate) fn check_trailer_name(name: &str) -> Result<(), FieldError> {
    if name.is_empty() || may_stand_in_trailer(name.as_bytes()) {
        return check_name(name);
    }
    Err(FieldError::NoTrailer { name: name.to_owned() })
}

/// Whether a field of this name may stand in a trailer section. Not what frames the message,
/// routes or changes the request, authenticates, controls the answer, or says how content is to be
/// processed (RFC 9110, section 6.5.1): for all of that the end is too late, and what reads only
/// the head would see another message.
pub(crate) fn may_stand_in_trailer(name: &[u8]) -> bool {
    let begins_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let is_any_of = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    // Digests are made of the whole content: for them the section was invented (RFC 9530).
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
    // Routing, and what a request is about.
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
    // Who asks.
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
    // What an answer is.
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
    fn what_frames_routes_or_authenticates_may_not_stand_in_a_trailer_section() {
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
            let refused = Trailers::default().try_set(name, "x");
            assert_eq!(refused, Err(FieldError::NoTrailer { name: name.into() }));
        }
        for name in ["Digest", "Content-Digest", "Server-Timing", "ETag", "Grpc-Status", "Hosts"] {
            assert!(may_stand_in_trailer(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn trailer_fields_are_checked_like_those_of_the_head() {
        let mut trailers = Trailers::default();
        trailers.try_set("A", " b ").unwrap();
        assert!(matches!(trailers.try_set("", "x"), Err(FieldError::Name { .. })));
        assert!(matches!(trailers.try_set("A b", "x"), Err(FieldError::Name { .. })));
        assert!(matches!(trailers.try_set("A", "x\r\nB: c"), Err(FieldError::Value { .. })));
        let long = "x".repeat(TRAILER_BYTES_MAX - 2 - 6 - 5);
        assert!(matches!(
            trailers.try_set("B", format!("{long}x")),
            Err(FieldError::TooLarge { .. })
        ));
        trailers.try_set("B", &long).unwrap();
        assert_eq!(trailers.lines(), format!("A: b\r\nB: {long}\r\n").as_bytes());
        assert_eq!(trailers.fault(), None);
        trailers.set("C", "\n");
        assert_eq!(trailers.fault(), Some(&FieldError::Value { name: "C".into() }));
    }
}
