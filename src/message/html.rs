//! Text for HTML.

use std::borrow::Cow;

/// Returns `text` with `&`, `<`, `>`, `"` and `'` escaped, for the text and the quoted attribute
/// values of HTML. Text without these is not copied.
///
/// It does not make a value safe in a script, in a style or as the whole of a link: those have
/// rules of their own.
///
/// ```
/// use wheelhouse::forms::escape_html;
///
/// assert_eq!(escape_html("Ann & <Bob>"), "Ann &amp; &lt;Bob&gt;");
/// ```
#[doc(alias("EscapeString", "XSS"))]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(['&', '<', '>', '"', '\'']) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(&text[..first]);
    for char in text[first..].chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_characters_are_escaped_and_other_text_is_borrowed() {
        assert_eq!(escape_html("a&<b>\"'\u{e4}"), "a&amp;&lt;b&gt;&quot;&#39;\u{e4}");
        assert!(matches!(escape_html("plain \u{e4}"), Cow::Borrowed("plain \u{e4}")));
    }
}
