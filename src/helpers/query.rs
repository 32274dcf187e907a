//! Queries and forms: name=value pairs as browsers send them (`application/x-www-form-urlencoded`).
//!
//! The same rules for both, and those of Go: `;` does not separate, a part with one is a fault (a
//! proxy that splits there would see other values than we do) unless it is asked for; so is a bad
//! escape. A bad part is
//! left out and the others stay, and [`Pairs::check`] tells.
//!
//! # No multipart
//!
//! Forms with files (`multipart/form-data`) are not taken apart here, for want of a kept parser
//! that can be fed: content is pushed to a [`Receive`](crate::Receive) as it comes. multer, which
//! is kept, and multipart-rs are async and pull from a stream; multipart, which blocks, is archived
//! and has an advisory that says so; multiparty stopped at its first version; form-net can be fed,
//! but is young and needs a newer Rust than we do. A browser that uploads with
//! `fetch(url, {method: "PUT", body: file})` needs none of it: the content is the file, and arrives
//! piece by piece.

use std::borrow::Cow;
use std::fmt;

use crate::limits::Limits;
use crate::message::percent::has_broken_escape;
use crate::message::request::Request;

/// The pairs of a query or of a form's content, decoded when they are asked for.
///
/// ```
/// # use wheelhouse::Pairs;
/// let pairs = Pairs::new("name=Ann+Lee&tag=a&tag=%C3%A4&done");
/// assert_eq!(pairs.get("name").as_deref(), Some("Ann Lee"));
/// assert_eq!(pairs.all("tag").collect::<Vec<_>>(), ["a", "ä"]);
/// assert_eq!(pairs.get("done").as_deref(), Some(""));
/// assert_eq!(pairs.get("none"), None);
/// assert!(pairs.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    raw: &'a [u8],
    separates_at_semicolon: bool,
    max: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs in `raw`, which is still encoded; at most as many as
    /// [`Limits::pairs_max`](crate::Limits::pairs_max) is by default.
    pub fn new(raw: &'a (impl AsRef<[u8]> + ?Sized)) -> Pairs<'a> {
        Pairs::within(raw.as_ref(), &Limits::open_internet())
    }

    fn within(raw: &'a [u8], limits: &Limits) -> Pairs<'a> {
        Pairs { raw, separates_at_semicolon: false, max: limits.pairs_max }
    }

    /// The same pairs, with `;` separating as `&` does. For links from the time when it was
    /// allowed, and only where no proxy before the server looks at queries: it would see others.
    ///
    /// ```
    /// # use wheelhouse::Pairs;
    /// let pairs = Pairs::new("a=1;b=2").separated_by_semicolons();
    /// assert_eq!(pairs.get("b").as_deref(), Some("2"));
    /// ```
    pub fn separated_by_semicolons(self) -> Pairs<'a> {
        Pairs { separates_at_semicolon: true, ..self }
    }

    /// The value of the first pair called `name`.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The values of all pairs called `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + 'n
    where
        'a: 'n,
    {
        self.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    /// All pairs in order, without the bad ones. Bytes that are no UTF-8 become U+FFFD.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.parts().take(self.max).filter(|part| fault_of(part).is_none()).filter_map(decode)
    }

    /// Whether every part was good.
    ///
    /// # Errors
    ///
    /// The first fault; [`iter`](Pairs::iter) gives the good pairs all the same.
    pub fn check(&self) -> Result<(), PairsError> {
        if let Some(fault) = self.parts().take(self.max).find_map(fault_of) {
            return Err(fault);
        }
        match self.parts().nth(self.max) {
            Some(_) => Err(PairsError::TooMany),
            None => Ok(()),
        }
    }

    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let is_separator =
            move |&byte: &u8| byte == b'&' || (byte == b';' && self.separates_at_semicolon);
        self.raw.split(is_separator).filter(|part| !part.is_empty())
    }
}

impl<'a> Request<'a> {
    /// The pairs of the query; none without one.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// let page = req.query_pairs().get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    /// # format!("{}", page + 1)
    /// # });
    /// # let c = sim.connect_and_send(b"GET /?page=7 HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n8"));
    /// ```
    pub fn query_pairs(&self) -> Pairs<'a> {
        Pairs::within(self.query().unwrap_or("").as_bytes(), self.limits())
    }

    /// The pairs of `content`, if its type says that it is a form; `None` for any other type, or
    /// none. Where query and form are to count as one, ask the form first, as Go does.
    ///
    /// ```
    /// # use wheelhouse::{Response, Router, StatusCode};
    /// let routes = Router::new(()).collect("POST /sign", 4096, |_, req, content| {
    ///     let Some(form) = req.form_pairs(content) else {
    ///         return Response::status_page(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    ///     };
    ///     Response::text(form.get("name").unwrap_or_default().into_owned())
    /// });
    /// # let mut sim = wheelhouse::sim::Sim::new(routes.build()?);
    /// # let c = sim.connect_and_send(b"POST /sign HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\
    /// #     Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\na"));
    /// # Ok::<(), wheelhouse::RouteError>(())
    /// ```
    pub fn form_pairs<'c>(&self, content: &'c [u8]) -> Option<Pairs<'c>> {
        self.has_content_type("application/x-www-form-urlencoded")
            .then(|| Pairs::within(content, self.limits()))
    }

    /// Whether `Content-Type` names `media_type`, whatever its parameters and the case of its
    /// letters.
    pub fn has_content_type(&self, media_type: &str) -> bool {
        self.media_type().is_some_and(|named| named.eq_ignore_ascii_case(media_type))
    }

    /// What `Content-Type` names, without its parameters.
    pub(crate) fn media_type(&self) -> Option<&'a str> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or("").trim_matches([' ', '\t']))
    }
}

fn fault_of(part: &[u8]) -> Option<PairsError> {
    if part.contains(&b';') {
        return Some(PairsError::Semicolon);
    }
    has_broken_escape(part).then_some(PairsError::Escape)
}

fn decode(part: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(part).next()
}

/// What is wrong with a query or form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PairsError {
    /// A part has a semicolon that is not encoded.
    Semicolon,
    /// A percent sign without two hexadecimal digits behind it.
    Escape,
    /// More pairs than [`Limits::pairs_max`](crate::Limits::pairs_max).
    TooMany,
}

impl fmt::Display for PairsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PairsError::Semicolon => f.write_str("a semicolon in a query or form: encode it"),
            PairsError::Escape => f.write_str("a bad percent-escape in a query or form"),
            PairsError::TooMany => f.write_str("more pairs in a query or form than `pairs_max`"),
        }
    }
}

impl std::error::Error for PairsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(raw: &str) -> String {
        let pairs: Vec<_> = Pairs::new(raw).iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join(" ")
    }

    /// Go: t236, t239.
    #[test]
    fn bad_parts_are_left_out_and_told_and_the_good_ones_stay() {
        let table = [
            ("", "", Ok(())),
            ("a=1&b=2", "a=1 b=2", Ok(())),
            ("a=1&&b=&=c&d", "a=1 b= =c d=", Ok(())),
            ("a=1;b=2", "", Err(PairsError::Semicolon)),
            ("a=1;x&b=2", "b=2", Err(PairsError::Semicolon)),
            ("a=1%3Bx&b=2", "a=1;x b=2", Ok(())),
            ("a=1&;&b=2", "a=1 b=2", Err(PairsError::Semicolon)),
            ("a=%&b=%4&c=%zz&%=d&e=%41", "e=A", Err(PairsError::Escape)),
            ("a=b=c+%2B", "a=b=c +", Ok(())),
            ("a=%ff", "a=\u{fffd}", Ok(())),
        ];
        for (raw, expected, check) in table {
            assert_eq!((&*list(raw), Pairs::new(raw).check()), (expected, check), "{raw}");
        }
    }

    /// Go: t236 (the wrapper). An encoded semicolon is a part of its value all the same.
    #[test]
    fn a_semicolon_separates_where_that_is_asked_for() {
        let table = [
            ("a=1;b=2", "a=1 b=2"),
            ("a=1;x&b=2", "a=1 x= b=2"),
            ("a=1%3Bx;b=2", "a=1;x b=2"),
            (";;a=1;&;", "a=1"),
        ];
        for (raw, expected) in table {
            let pairs = Pairs::new(raw).separated_by_semicolons();
            let list: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            assert_eq!((list.join(" ").as_str(), pairs.check()), (expected, Ok(())), "{raw}");
        }
    }

    /// Go: t239 (types), over the wire.
    #[test]
    fn content_is_a_form_if_its_type_says_so_and_the_query_stays_apart() {
        use crate::handler::Reply;
        use crate::sim::Sim;

        let mut sim = Sim::new(|_: &Request<'_>| {
            Reply::collect(100, |(), req: &Request<'_>, content: &[u8]| {
                let form = req.form_pairs(content).map(|form| form.get("a").map(Cow::into_owned));
                format!("{form:?} {:?}", req.query_pairs().get("a"))
            })
        });
        let form = "Content-Type: application/x-www-form-urlencoded";
        for (fields, expected) in [
            (format!("{form}\r\n"), "Some(Some(\"2\")) Some(\"1\")"),
            (format!("{form}; charset=utf-8\r\n"), "Some(Some(\"2\")) Some(\"1\")"),
            (
                "Content-Type: Application/X-WWW-Form-URLEncoded\r\n".into(),
                "Some(Some(\"2\")) Some(\"1\")",
            ),
            ("Content-Type: text/plain\r\n".into(), "None Some(\"1\")"),
            ("Content-Type: ;\r\n".into(), "None Some(\"1\")"),
            (String::new(), "None Some(\"1\")"),
        ] {
            for method in ["POST", "PUT", "PATCH"] {
                let head = format!("{method} /?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n");
                let client = sim.connect_and_send(format!("{head}{fields}\r\na=2&b=3").as_bytes());
                let answer = String::from_utf8_lossy(sim.received(client)).into_owned();
                assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, expected, "{fields}");
            }
        }
    }

    /// w52.
    #[test]
    fn pairs_beyond_the_cap_are_left_out_and_told() {
        let max = Limits::default().pairs_max;
        let raw = "a=1&".repeat(max);
        assert_eq!(Pairs::new(&raw).check(), Ok(()));
        let raw = raw + "b=2";
        assert_eq!(Pairs::new(&raw).check(), Err(PairsError::TooMany));
        assert_eq!((Pairs::new(&raw).iter().count(), Pairs::new(&raw).get("b")), (max, None));
    }
}
