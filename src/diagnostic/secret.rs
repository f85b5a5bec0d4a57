//! Passwords in the lines that diagnostics show.
//!
//! A reload that is refused writes its errors into the journal, which more people read than the
//! cluster file. Only what is shown changes, byte for byte, so that every place stays where it is.

use std::borrow::Cow;

const KEYS: [&str; 2] = ["password", "secret"];

/// The text with an asterisk for each byte of what one of these keys is set to.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for (at, key) in KEYS.iter().flat_map(|key| text.match_indices(key)) {
        let after = at + key.len();
        let Some(value) = value(&text[after..]) else { continue };
        let range = after + value.start..after + value.end;
        let star = |byte| if byte == b'\n' { '\n' } else { '*' };
        let stars: String = text[range.clone()].bytes().map(star).collect();
        shown.to_mut().replace_range(range, &stars);
    }
    shown
}

/// Where the value of a key stands in what follows it; none in a comment, a name or a template.
fn value(rest: &str) -> Option<std::ops::Range<usize>> {
    let trimmed = rest.trim_start_matches(['"', '\'', ' ', '\t']);
    let said = trimmed.strip_prefix('=')?.trim_start_matches([' ', '\t']);
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| said.starts_with(quote));
    let inner = said.strip_prefix(quote.unwrap_or_default())?;
    let length = match quote {
        Some(quote) => closing(inner, quote),
        None => inner.find([' ', '\t', '\r', '\n', ',', '}', '#']).unwrap_or(inner.len()),
    };
    let start = rest.len() - inner.len();
    (!inner[..length].contains("{{")).then_some(start..start + length)
}

/// The end of a text; that of the line where it is not closed.
fn closing(inner: &str, quote: &str) -> usize {
    let may_escape = quote.starts_with('"');
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if may_escape => escaped = true,
            _ if inner[at..].starts_with(quote) => return at,
            '\n' if quote.len() == 1 => return at,
            _ => {}
        }
    }
    inner.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_however_it_is_written() {
        for (text, shown) in [
            ("password = \"hunter2\" # old", "password = \"*******\" # old"),
            ("vars = { password = 'a\\', x = 1 }", "vars = { password = '**', x = 1 }"),
            ("password=\"a\\\"b\"\n", "password=\"****\"\n"),
            ("\"password\" = \"é\"", "\"password\" = \"**\""),
            ("password = 12345678\n", "password = ********\n"),
            ("password = \"open\nx = \"y\"", "password = \"****\nx = \"y\""),
            ("user = \"a\"\nsecret = \"b c\"", "user = \"a\"\nsecret = \"***\""),
            ("password = \"\"\"a\nb\"\"\"", "password = \"\"\"*\n*\"\"\""),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn nothing_else_is_changed() {
        for text in [
            "",
            "password = \"\"",
            "# no password here\nx = \"y\"",
            "password     = \"{{each.vars.password}}\"",
            "name = \"password\"\n[vars]",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
