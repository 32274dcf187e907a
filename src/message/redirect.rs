//! Redirects (RFC 9110, sections 10.2.2 and 15.4): targets resolved and made safe to send.

use std::borrow::Cow;

use http::{Method, StatusCode};

use crate::message::html::escape_html;
use crate::message::path::clean;
use crate::message::percent::{encode_path, encode_target};
use crate::message::request::Request;
use crate::message::response::Response;

impl Response {
    /// Creates a redirect to `target`: with 303 after a form was processed, with 307 or 308 to have
    /// the client repeat the same request there.
    ///
    /// An absolute URL and `//host/..` stay as they are. A path is cleaned of `.`, `..` and empty
    /// segments, and a relative one is resolved against the path of `req`; query and fragment stay.
    /// Bytes that cannot stand in a URL are percent-encoded, so no target can split the response.
    /// The response to `GET` has a short page with the link.
    ///
    /// Check a target that comes from a client: an absolute URL leads away from your server.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request, Response, StatusCode};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// Response::redirect(req, StatusCode::SEE_OTHER, "../done?ok")
    /// # });
    /// # let fields = "Host: a\r\nContent-Length: 0";
    /// # let c = sim.connect_and_send(format!("POST /form/send HTTP/1.1\r\n{fields}\r\n\r\n"));
    /// # let response = String::from_utf8_lossy(sim.received(c)).into_owned();
    /// # assert!(response.contains("\r\nLocation: /done?ok\r\n"), "{response}");
    /// ```
    #[doc(alias("Location", "303"))]
    pub fn redirect(req: &Request<'_>, status: StatusCode, target: &str) -> Response {
        let base = || encode_path(&format!("{}{}", req.stripped(), req.path()));
        redirect_to(req.method(), status, &resolve(&base, target))
    }
}

/// Creates a redirect to a target that is resolved already.
pub(crate) fn redirect_to(method: &Method, status: StatusCode, target: &str) -> Response {
    let location = encode_target(target);
    let response = Response::new(status).with_header("Location", location.as_bytes());
    match *method {
        // The content is not sent for HEAD, but its length is.
        Method::GET | Method::HEAD => {
            let phrase = status.canonical_reason().unwrap_or("Elsewhere");
            let page = format!("<a href=\"{}\">{phrase}</a>.\n", escape_html(&location));
            response.with_content_type("text/html; charset=utf-8").with_body(page)
        }
        _ => response,
    }
}

/// Resolves `target` against the path that `base` returns, which only a relative target needs.
fn resolve<'t>(base: &dyn Fn() -> String, target: &'t str) -> Cow<'t, str> {
    let is_other_host = target.starts_with("//") && !target.starts_with("///");
    if has_scheme(target) || is_other_host {
        return Cow::Borrowed(target);
    }
    let path_len = target.find(['?', '#']).unwrap_or(target.len());
    let (path, rest) = target.split_at(path_len);
    if path.starts_with('/') {
        return Cow::Owned(clean(path) + rest);
    }
    let base = base();
    let folder = base.rfind('/').map_or("/", |slash| &base[..=slash]);
    Cow::Owned(clean(&format!("{folder}{path}")) + rest)
}

/// Returns whether `target` begins with a scheme, so that it is absolute.
fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Returns whether `text` may be a scheme (RFC 3986, section 3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: t234.
    #[test]
    fn a_target_is_resolved_against_the_path_and_cleaned() {
        let table = [
            ("http://example.com/a/../b", "http://example.com/a/../b"),
            ("//example.com/a", "//example.com/a"),
            ("mailto:a@b", "mailto:a@b"),
            ("///example.com", "/example.com"),
            ("/a/../b", "/b"),
            ("/a/./b/?next=http://x/../y", "/a/b/?next=http://x/../y"),
            ("there", "/qux/there"),
            ("there/", "/qux/there/"),
            ("../there", "/there"),
            ("../../../there", "/there"),
            ("?a=../b", "/qux/?a=../b"),
            ("", "/qux/"),
            ("/#a/../b", "/#a/../b"),
            ("a:b", "a:b"),
            ("./a:b", "/qux/a:b"),
        ];
        for (target, expected) in table {
            assert_eq!(resolve(&|| "/qux/page".to_owned(), target), expected, "{target}");
        }
    }

    /// Go: t234 (escaped and bad paths).
    #[test]
    fn bytes_that_are_not_allowed_in_a_url_are_encoded_and_escapes_are_kept() {
        let table = [
            ("/\u{e4}", "/%C3%A4"),
            ("/a\r\nSet-Cookie: b", "/a%0D%0ASet-Cookie:%20b"),
            ("/\\example.com", "/%5Cexample.com"),
            ("/a%2Fb%zz", "/a%2Fb%zz"),
            ("/\"><script>", "/%22%3E%3Cscript%3E"),
        ];
        for (target, expected) in table {
            assert_eq!(encode_target(target), expected);
        }
    }

    /// Go: t234 (content).
    #[test]
    fn only_get_has_a_page_and_head_its_type_and_length() {
        let status = StatusCode::FOUND;
        let to_get = redirect_to(&Method::GET, status, "/a?b&c='");
        let page = "<a href=\"/a?b&amp;c=&#39;\">Found</a>.\n";
        assert_eq!(to_get.body().content_length(), Some(page.len() as u64));
        assert_eq!(to_get.lines(), b"Location: /a?b&c='\r\n");
        assert_eq!(to_get.content_type.as_deref(), Some("text/html; charset=utf-8"));
        let to_head = redirect_to(&Method::HEAD, status, "/a?b&c='");
        assert_eq!(to_head.body().content_length(), Some(page.len() as u64));
        assert_eq!(to_head.content_type, to_get.content_type);
        let to_post = redirect_to(&Method::POST, status, "/");
        assert!(to_post.body().content_length() == Some(0) && to_post.content_type.is_none());
    }
}
