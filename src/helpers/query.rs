//! Queries and forms: pairs of name and value as browsers send them
//! (`application/x-www-form-urlencoded`).
//!
//! Both follow the rules of Go. `;` does not separate pairs unless the program asks for that. A
//! part with a `;` is a fault, because a proxy that splits there would see other values. A
//! malformed escape is a fault, too. A part with a fault is left out and the others stay.
//! [`Pairs::check`] reports the fault.
//!
//! Forms with files are another format: see `multipart`.

use crate::limits::Limits;
use crate::message::percent::has_broken_escape;
use crate::message::request::Request;
use crate::message::request_error::FormError;
use std::borrow::Cow;

/// The pairs of a query or of the content of a form, decoded when they are read.
///
/// ```
/// # use wheelhouse::forms::Pairs;
/// let pairs = Pairs::parse("name=Ann+Lee&tag=a&tag=%C3%A4&done");
/// assert_eq!(pairs.get("name").as_deref(), Some("Ann Lee"));
/// assert_eq!(pairs.all("tag").collect::<Vec<_>>(), ["a", "ä"]);
/// assert_eq!(pairs.get("done").as_deref(), Some(""));
/// assert_eq!(pairs.get("none"), None);
/// assert!(pairs.check().is_ok());
/// ```
#[doc(alias = "url.Values")]
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    raw: &'a [u8],
    separates_at_semicolon: bool,
    max: usize,
}

impl<'a> Pairs<'a> {
    /// Creates the pairs of `raw`, which is still encoded. Their number is limited to the default
    /// of [`Limits::pairs_max`](crate::Limits::pairs_max), which is 1,000.
    pub fn parse(raw: &'a (impl AsRef<[u8]> + ?Sized)) -> Pairs<'a> {
        Pairs::within(raw.as_ref(), &Limits::open_internet())
    }

    fn within(raw: &'a [u8], limits: &Limits) -> Pairs<'a> {
        Pairs { raw, separates_at_semicolon: false, max: limits.pairs_max }
    }

    /// Returns the same pairs, with `;` as a separator beside `&`. It is for old links from the
    /// time when that was allowed. Use it only if no proxy reads the queries, because a proxy would
    /// see other pairs.
    ///
    /// ```
    /// # use wheelhouse::forms::Pairs;
    /// let pairs = Pairs::parse("a=1;b=2").separated_by_semicolons();
    /// assert_eq!(pairs.get("b").as_deref(), Some("2"));
    /// ```
    pub fn separated_by_semicolons(self) -> Pairs<'a> {
        Pairs { separates_at_semicolon: true, ..self }
    }

    /// Returns the value of the first pair called `name`.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns the values of all pairs called `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + 'n
    where
        'a: 'n,
    {
        self.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns all pairs in order, without the bad ones. Bytes that are not UTF-8 become U+FFFD.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.parts().take(self.max).filter(|part| fault_of(part).is_none()).filter_map(decode)
    }

    /// Checks that no part has a fault.
    ///
    /// # Errors
    ///
    /// [`FormError`] with the first fault. [`iter`](Pairs::iter) returns the good pairs in any
    /// case.
    pub fn check(&self) -> Result<(), FormError> {
        if let Some(fault) = self.parts().take(self.max).find_map(fault_of) {
            return Err(fault);
        }
        match self.parts().nth(self.max) {
            Some(_) => Err(FormError::TooMany),
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
    /// Returns the pairs of the query, or none without a query. [`raw_query`](Request::raw_query)
    /// returns the query as it was sent.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// let page = req.query().get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    /// # format!("{}", page + 1)
    /// # });
    /// # let c = sim.connect_and_send(b"GET /?page=7 HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n8"));
    /// ```
    #[doc(alias = "URL.Query")]
    pub fn query(&self) -> Pairs<'a> {
        Pairs::within(self.raw_query().unwrap_or("").as_bytes(), self.limits())
    }

    /// Returns the pairs of `content`, which is a form (`application/x-www-form-urlencoded`).
    /// [Collect](crate::Reply::collect) the content first. If your program takes a value from the
    /// form or the query, look at the form first, as Go does.
    ///
    /// # Errors
    ///
    /// [`FormError`], which becomes a 415 for `MediaType` and a 400 for the others if a handler
    /// returns it. A form with a fault is refused as a whole; [`Pairs::parse`] reads the good
    /// pairs.
    ///
    /// ```
    /// # use wheelhouse::{forms::FormError, Router};
    /// let routes = Router::<()>::new().collect("POST /sign", 4096, |_, req, content| {
    ///     let form = req.form(content)?;
    ///     Ok::<_, FormError>(form.get("name").unwrap_or_default().into_owned())
    /// });
    /// # let mut sim = wheelhouse::sim::Sim::new(routes.build()?);
    /// # let c = sim.connect_and_send(b"POST /sign HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\
    /// #     Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\na"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("ParseForm", "FormValue"))]
    pub fn form<'c>(&self, content: &'c [u8]) -> Result<Pairs<'c>, FormError> {
        let media_type = self.content_type();
        if !media_type.is_some_and(|named| named.is("application/x-www-form-urlencoded")) {
            return Err(FormError::MediaType);
        }
        let pairs = Pairs::within(content, self.limits());
        pairs.check().map(|()| pairs)
    }
}

fn fault_of(part: &[u8]) -> Option<FormError> {
    if part.contains(&b';') {
        return Some(FormError::Semicolon);
    }
    has_broken_escape(part).then_some(FormError::Escape)
}

fn decode(part: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(part).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(raw: &str) -> String {
        let pairs: Vec<_> = Pairs::parse(raw).iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join(" ")
    }

    /// Go: t236, t239.
    #[test]
    fn bad_parts_are_left_out_and_reported_and_the_good_ones_are_kept() {
        let table = [
            ("", "", Ok(())),
            ("a=1&b=2", "a=1 b=2", Ok(())),
            ("a=1&&b=&=c&d", "a=1 b= =c d=", Ok(())),
            ("a=1;b=2", "", Err(FormError::Semicolon)),
            ("a=1;x&b=2", "b=2", Err(FormError::Semicolon)),
            ("a=1%3Bx&b=2", "a=1;x b=2", Ok(())),
            ("a=1&;&b=2", "a=1 b=2", Err(FormError::Semicolon)),
            ("a=%&b=%4&c=%zz&%=d&e=%41", "e=A", Err(FormError::Escape)),
            ("a=b=c+%2B", "a=b=c +", Ok(())),
            ("a=%ff", "a=\u{fffd}", Ok(())),
        ];
        for (raw, expected, check) in table {
            assert_eq!((&*list(raw), Pairs::parse(raw).check()), (expected, check), "{raw}");
        }
    }

    /// Go: t236 (the wrapper). An encoded semicolon is a part of its value.
    #[test]
    fn a_semicolon_separates_pairs_if_the_program_chooses_so() {
        let table = [
            ("a=1;b=2", "a=1 b=2"),
            ("a=1;x&b=2", "a=1 x= b=2"),
            ("a=1%3Bx;b=2", "a=1;x b=2"),
            (";;a=1;&;", "a=1"),
        ];
        for (raw, expected) in table {
            let pairs = Pairs::parse(raw).separated_by_semicolons();
            let list: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            assert_eq!((list.join(" ").as_str(), pairs.check()), (expected, Ok(())), "{raw}");
        }
    }

    /// Go: t239 (types), over the wire.
    #[test]
    fn content_is_a_form_if_it_has_that_type_and_the_query_is_separate() {
        use crate::handler::Reply;
        use crate::sim::Sim;

        let mut sim = Sim::new(|_: &Request<'_>| {
            Reply::collect(100, |(), req: &Request<'_>, content: &[u8]| {
                let form = req.form(content).map(|form| form.get("a").map(Cow::into_owned));
                let form = form.map_err(|error| error.status().as_u16());
                format!("{form:?} {:?}", req.query().get("a"))
            })
        });
        let form = "Content-Type: application/x-www-form-urlencoded";
        for (fields, expected) in [
            (format!("{form}\r\n"), "Ok(Some(\"2\")) Some(\"1\")"),
            (format!("{form}; charset=utf-8\r\n"), "Ok(Some(\"2\")) Some(\"1\")"),
            (
                "Content-Type: Application/X-WWW-Form-URLEncoded\r\n".into(),
                "Ok(Some(\"2\")) Some(\"1\")",
            ),
            ("Content-Type: text/plain\r\n".into(), "Err(415) Some(\"1\")"),
            ("Content-Type: ;\r\n".into(), "Err(415) Some(\"1\")"),
            (String::new(), "Err(415) Some(\"1\")"),
        ] {
            for method in ["POST", "PUT", "PATCH"] {
                let head = format!("{method} /?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n");
                let client = sim.connect_and_send(format!("{head}{fields}\r\na=2&b=3").as_bytes());
                let response = String::from_utf8_lossy(sim.received(client)).into_owned();
                assert_eq!(response.split_once("\r\n\r\n").unwrap().1, expected, "{fields}");
            }
        }
    }

    /// w52.
    #[test]
    fn pairs_over_the_limit_are_left_out_and_reported() {
        let max = Limits::default().pairs_max;
        let raw = "a=1&".repeat(max);
        assert_eq!(Pairs::parse(&raw).check(), Ok(()));
        let raw = raw + "b=2";
        assert_eq!(Pairs::parse(&raw).check(), Err(FormError::TooMany));
        assert_eq!((Pairs::parse(&raw).iter().count(), Pairs::parse(&raw).get("b")), (max, None));
    }
}
