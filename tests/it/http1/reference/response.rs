//! Responses as a careful client reads them (RFC 9112, sections 4, 6 and 7).

use super::reader::{is_blank, is_obs_text, is_vchar, Match, Reader, BAD};
use super::{chunked, differences::Differences};

/// One response, read to the end of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Whether it begins with `HTTP/1.1`.
    pub(crate) is_1_1: bool,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) content: Vec<u8>,
    pub(crate) is_chunked: bool,
    /// Whether the connection may be used again after it.
    pub(crate) keeps: bool,
    /// Its length on the wire.
    pub(crate) len: usize,
}

impl Response {
    /// Reads the response at the start of `input`. `is_head` is whether the request was a HEAD,
    /// `ends` whether the server has ended its side, which ends content without a length.
    pub(crate) fn read(input: &[u8], is_head: bool, ends: bool) -> Match<Response> {
        let none = Differences::all();
        let mut reader = Reader::new(input, &none);
        // status-line = HTTP-version SP status-code SP [ reason-phrase ]
        reader.literal(b"HTTP/1.")?;
        let minor = reader.one(|byte| byte == b'0' || byte == b'1')?;
        reader.byte(b' ')?;
        let mut status = 0;
        for _ in 0..3 {
            status = status * 10 + u16::from(reader.one(|byte| byte.is_ascii_digit())? - b'0');
        }
        reader.byte(b' ')?;
        reader.many(|byte| is_blank(byte) || is_vchar(byte) || is_obs_text(byte))?;
        reader.crlf()?;
        let mut fields = Vec::new();
        while reader.peek()? != b'\r' {
            let (name, value) = reader.field_line()?;
            fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            reader.crlf()?;
        }
        reader.crlf()?;
        let mut response = Response {
            status,
            is_1_1: minor == b'1',
            fields,
            content: Vec::new(),
            is_chunked: false,
            keeps: false,
            len: reader.at,
        };
        response.read_content(&input[reader.at..], is_head, ends)?;
        Ok(response)
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &value[..]).collect()
    }

    /// RFC 9112, section 6.3, rules 1, 4, 6 and 8.
    fn read_content(&mut self, rest: &[u8], is_head: bool, ends: bool) -> Match<()> {
        let connection = self.all("connection");
        let has = |option: &[u8]| connection.iter().any(|value| value.eq_ignore_ascii_case(option));
        self.keeps = !has(b"close") && (self.is_1_1 || has(b"keep-alive"));
        let (codings, lengths) = (self.all("transfer-encoding"), self.all("content-length"));
        if codings.len() + lengths.len() > 1 {
            return Err(BAD);
        }
        let has_none = is_head || matches!(self.status, 100..=199 | 204 | 304);
        let (content, len) = match (codings.first(), lengths.first()) {
            (Some(coding), _) if *coding == b"chunked" && self.is_1_1 && self.status >= 200 => {
                self.is_chunked = true;
                match has_none {
                    true => (Vec::new(), 0),
                    false => chunked::body(&mut Reader::new(rest, &Differences::all()))?,
                }
            }
            (Some(_), _) => return Err(BAD),
            _ if has_none => (Vec::new(), 0),
            (None, Some(length)) => {
                let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
                let length: usize = length.ok_or(BAD)?;
                let content = rest.get(..length).ok_or(super::reader::Stop::End)?;
                (content.to_vec(), length)
            }
            (None, None) if !ends => return Err(super::reader::Stop::End),
            (None, None) => {
                self.keeps = false;
                (rest.to_vec(), rest.len())
            }
        };
        (self.content, self.len) = (content, self.len + len);
        Ok(())
    }
}
