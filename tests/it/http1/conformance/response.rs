//! Reads responses as a careful client does (RFC 9112, sections 4, 6 and 7), so that a transcript
//! shows how a peer would understand them.

/// One response at the start of some bytes.
pub(crate) struct ParsedResponse {
    /// `200 keep`, `400 close`, `100`; `200 cut` where the bytes end too early.
    pub(crate) summary: String,
    pub(crate) content: Vec<u8>,
    pub(crate) len: usize,
    pub(crate) is_cut: bool,
}

/// How the end of the content is found.
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

impl ParsedResponse {
    /// # Errors
    ///
    /// A description of the fault, if the bytes are not a well-formed response.
    pub(crate) fn parse(bytes: &[u8], is_head: bool) -> Result<ParsedResponse, String> {
        let wrong = |what: &str| format!("{what}: {}", bytes.escape_ascii());
        let head_len = find(bytes, b"\r\n\r\n").ok_or_else(|| wrong("no end of the head"))? + 4;
        let head = std::str::from_utf8(&bytes[..head_len - 4]).map_err(|_| wrong("not text"))?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let is_1_1 = status_line.starts_with("HTTP/1.1 ");
        if !is_1_1 && !status_line.starts_with("HTTP/1.0 ") {
            return Err(wrong("no status line"));
        }
        let status = &status_line[9..12];
        if !status.bytes().all(|byte| byte.is_ascii_digit()) || &status_line[12..13] != " " {
            return Err(wrong("no status"));
        }
        if status == "100" {
            if !is_1_1 || lines.next().is_some() {
                return Err(wrong("an odd 100"));
            }
            let summary = "100".to_owned();
            return Ok(ParsedResponse {
                summary,
                content: Vec::new(),
                len: head_len,
                is_cut: false,
            });
        }
        let (mut keeps, mut framing, mut dates) = (is_1_1, Framing::UntilClose, 0);
        let (mut says_keep, mut says_time) = (false, false);
        let (mut has_page, mut is_text_only) = (false, false);
        for line in lines {
            let (name, value) = line.split_once(": ").ok_or_else(|| wrong("no field line"))?;
            match (name, &framing) {
                ("Connection", _) => {
                    says_keep = value == "keep-alive";
                    keeps = says_keep;
                }
                ("Keep-Alive", _) => says_time = value == "timeout=100",
                ("X-Content-Type-Options", _) => is_text_only = value == "nosniff",
                ("Content-Length", Framing::UntilClose) => {
                    framing = Framing::Length(value.parse().map_err(|_| wrong("no length"))?);
                }
                ("Transfer-Encoding", Framing::UntilClose) if value == "chunked" && is_1_1 => {
                    framing = Framing::Chunked;
                }
                ("Date", _) => dates += 1,
                ("Content-Type", _) => has_page = status.as_bytes()[0] >= b'4',
                _ => return Err(wrong("an unexpected field")),
            }
        }
        if dates != 1 {
            return Err(wrong("not one Date"));
        }
        if says_keep != says_time {
            return Err(wrong("keep-alive without its time, or the reverse"));
        }
        if has_page != is_text_only {
            return Err(wrong("an error page without nosniff"));
        }
        if is_head || status == "204" || status == "304" {
            framing = Framing::None;
        }
        let (content, len) = match content(&bytes[head_len..], &framing)? {
            Some((content, len)) => (content, head_len + len),
            None => {
                let summary = format!("{status} cut");
                return Ok(ParsedResponse {
                    summary,
                    content: Vec::new(),
                    len: bytes.len(),
                    is_cut: true,
                });
            }
        };
        if keeps && matches!(framing, Framing::UntilClose) {
            return Err(wrong("kept without a length"));
        }
        let summary = format!("{status} {}", if keeps { "keep" } else { "close" });
        Ok(ParsedResponse { summary, content, len, is_cut: false })
    }
}

/// The content at the start of `bytes` and how many bytes it takes; `None` if they end too early.
fn content(bytes: &[u8], framing: &Framing) -> Result<Option<(Vec<u8>, usize)>, String> {
    match framing {
        Framing::None => Ok(Some((Vec::new(), 0))),
        Framing::Length(length) => Ok(bytes.get(..*length).map(|bytes| (bytes.to_vec(), *length))),
        Framing::UntilClose => Ok(Some((bytes.to_vec(), bytes.len()))),
        Framing::Chunked => chunks(bytes),
    }
}

fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let Some(line_len) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let line = String::from_utf8_lossy(&bytes[at..at + line_len]);
        let size = usize::from_str_radix(&line, 16).map_err(|_| format!("a chunk of {line:?}"))?;
        at += line_len + 2;
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !data.ends_with(b"\r\n") {
            return Err(format!("no CRLF after a chunk: {}", data.escape_ascii()));
        }
        content.extend_from_slice(&data[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((content, at)));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
