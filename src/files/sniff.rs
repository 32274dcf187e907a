//! [`sniff`] guesses a media type from the first bytes, for content without a name.
//!
//! The server never calls it: it sends the type that the program gives. The table has the types
//! that servers meet from the WHATWG's MIME Sniffing Standard, sections 6 and 7.

/// The number of bytes that decide.
const SNIFF_BYTES_MAX: usize = 512;

/// Returns the media type that the first 512 bytes of some content suggest;
/// `application/octet-stream` if they suggest none.
///
/// Content that begins like HTML is called HTML, even if an attacker wrote it. Do not sniff the
/// uploads of strangers, or send them with `Content-Disposition: attachment`.
///
/// ```
/// use wheelhouse::files::sniff;
///
/// assert_eq!(sniff(b"\x89PNG\r\n\x1a\n...."), "image/png");
/// assert_eq!(sniff(b"just words"), "text/plain; charset=utf-8");
/// ```
#[doc(alias = "DetectContentType")]
pub fn sniff(content: &[u8]) -> &'static str {
    let content = &content[..content.len().min(SNIFF_BYTES_MAX)];
    let start = content.iter().position(|byte| !b"\t\n\x0c\r ".contains(byte));
    let text = &content[start.unwrap_or(content.len())..];
    if is_html(text) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    let known = SIGNATURES.iter().find(|(offset, bytes, _)| {
        content.get(*offset..).is_some_and(|rest| rest.starts_with(bytes))
    });
    if let Some((_, _, media_type)) = known {
        return media_type;
    }
    if let Some(media_type) = in_container(content) {
        return media_type;
    }
    match content.iter().any(|&byte| is_binary(byte)) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    }
}

/// A position, the bytes there, and the media type that they indicate.
#[rustfmt::skip]
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"\xfe\xff", "text/plain; charset=utf-16be"),
    (0, b"\xff\xfe", "text/plain; charset=utf-16le"),
    (0, b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"\0\0\x02\0", "image/x-icon"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"MThd\0\0\0\x06", "audio/midi"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"\0\x01\0\0", "font/ttf"),
    (0, b"OTTO", "font/otf"),
    (0, b"ttcf", "font/collection"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (34, b"LP", "application/vnd.ms-fontobject"),
    (0, b"\x1f\x8b\x08", "application/x-gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
    (0, b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
    (0, b"\0asm", "application/wasm"),
];

/// Tags that a page may begin with.
const TAGS: [&str; 17] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
];

fn is_html(text: &[u8]) -> bool {
    TAGS.iter().any(|tag| {
        let begins = text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag.as_bytes()));
        // A byte that ends the tag, or `<b` would be found in `<bar`.
        begins && matches!(text.get(tag.len()), Some(b' ' | b'>'))
    })
}

/// Recognises formats inside a container format: RIFF, AIFF and the boxes of MP4.
fn in_container(content: &[u8]) -> Option<&'static str> {
    let kind = content.get(8..12)?;
    match (&content[..4], kind) {
        (b"RIFF", b"WAVE") => Some("audio/wave"),
        (b"RIFF", b"AVI ") => Some("video/avi"),
        (b"RIFF", b"WEBP") => content.get(12..14).filter(|v| v == b"VP").map(|_| "image/webp"),
        (b"FORM", b"AIFF") => Some("audio/aiff"),
        _ => is_mp4(content).then_some("video/mp4"),
    }
}

/// Returns whether the first box is of type `ftyp` and names an MP4 brand, other than as its minor
/// version.
fn is_mp4(content: &[u8]) -> bool {
    let len = u32::from_be_bytes([content[0], content[1], content[2], content[3]]) as usize;
    if len % 4 != 0 || len > content.len() || &content[4..8] != b"ftyp" {
        return false;
    }
    let brands = content[8..len.max(8)].chunks_exact(4).enumerate();
    brands.filter(|(index, _)| *index != 1).any(|(_, brand)| brand.starts_with(b"mp4"))
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// t122.
    #[test]
    fn the_first_bytes_determine_the_type() {
        let text = "text/plain; charset=utf-8";
        let html = "text/html; charset=utf-8";
        let binary = "application/octet-stream";
        let table: &[(&[u8], &str)] = &[
            (b"", text),
            (b"plain words", text),
            (b"\x01\x02\x03", binary),
            (b"word\0", binary),
            (b"\x1b[1m", text),
            (b"<HtMl><body>", html),
            (b"\r\n \t<!DOCTYPE HTML>", html),
            (b"<!-- x", html),
            (b"<!--x", text),
            (b"<?xmlish", "text/xml; charset=utf-8"),
            (b"\0\0\x01\0", "image/x-icon"),
            (b"\0\0\x02\0", "image/x-icon"),
            (b"BM...", "image/bmp"),
            (b"GIF87a", "image/gif"),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"MThd\0\0\0\x06\0\x01", "audio/midi"),
            (b"ID3\x03\0", "audio/mpeg"),
            (b"FORM\0\0\0\0AIFFCOMM", "audio/aiff"),
            (b"OggS\0\x02", "application/ogg"),
            (b"owow\0", binary),
            (b"oooS\0", binary),
            (b"RIFF,O\n\0AVI LIST", "video/avi"),
            (b"\x1a\x45\xdf\xa3", "video/webm"),
            (b"\0\x01\0\0\0\x17", "font/ttf"),
            (b"OTTO\0\x0e", "font/otf"),
            (b"wOFF\0\x01", "font/woff"),
            (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
            (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
            (b"Rar \x1a\x07\x01\0", binary),
            (b"\x1f\x8b\x08", "application/x-gzip"),
            (b"<bar>", text),
            (b"<b", text),
            (b"   <?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
            (b"%PDF-1.7", "application/pdf"),
            (b" %PDF-1.7", text),
            (b"\xfe\xff\0t", "text/plain; charset=utf-16be"),
            (b"GIF89a...", "image/gif"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wave"),
            (b"RIFF\0\0\0\0XXXX", binary),
            (b"\0\0\0\x14ftypmp42\0\0\0\0mp42", "video/mp4"),
            (b"\0\0\0\x14ftypisom\0\0\0\0mp41", "video/mp4"),
            (b"\0\0\0\x10ftypisommp42", binary),
            (b"\0\0\0\x00ftypmp42", binary),
            (b"\0\0\xff\xfcftypmp42", binary),
            (b"wOF2", "font/woff2"),
            (b"PK\x03\x04", "application/zip"),
            (b"\0asm\x01", "application/wasm"),
        ];
        for (content, expected) in table {
            assert_eq!(sniff(content), *expected, "{:?}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn only_the_first_512_bytes_count() {
        let mut content = vec![b'a'; SNIFF_BYTES_MAX];
        content.push(0);
        assert_eq!(sniff(&content), "text/plain; charset=utf-8");
        content[SNIFF_BYTES_MAX - 1] = 0;
        assert_eq!(sniff(&content), "application/octet-stream");
    }
}
