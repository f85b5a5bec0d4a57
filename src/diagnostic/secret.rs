//! Passwords in the lines that diagnostics show.
//!
//! A reload that is refused writes its errors into the journal, which more people read than the
//! cluster file. Only what is shown changes, byte for byte, so that every place stays where it is.

use std::borrow::Cow;
use std::ops::Range;

use super::suggest::suggest;

const KEYS: [&str; 2] = ["password", "secret"];

/// The text with an asterisk for each byte of what one of these keys is set to, or a key that may
/// have been meant for one of them.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let mut done = 0;
    for name in text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))) {
        let at = name.as_ptr() as usize - text.as_ptr() as usize;
        if at < done || !is_secret(name) {
            continue;
        }
        let after = at + name.len();
        let Some(value) = value(&text[after..]) else { continue };
        let range = after + value.start..after + value.end;
        done = range.end;
        let star = |byte| if byte == b'\n' { '\n' } else { '*' };
        for part in literal(&text[range.clone()]) {
            let stars: String = text[range.clone()][part.clone()].bytes().map(star).collect();
            let part = range.start + part.start..range.start + part.end;
            shown.to_mut().replace_range(part, &stars);
        }
    }
    shown
}

/// Whether a key has a secret, by one of the words of its name.
fn is_secret(name: &str) -> bool {
    let is_meant = |word: &str| suggest(word, KEYS).is_some();
    KEYS.iter().any(|key| name.contains(key)) || name.split(['-', '_']).any(is_meant)
}

/// The parts that are said here and stand in no template. One that is not closed is none.
fn literal(value: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut at = 0;
    for (number, piece) in value.split("{{").enumerate() {
        let template = if number == 0 { None } else { piece.find("}}").map(|end| end + 2) };
        parts.push(at + template.unwrap_or(0)..at + piece.len());
        at += piece.len() + 2;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where the value of a key stands in what follows it; none in a comment, a name or a template.
fn value(rest: &str) -> Option<Range<usize>> {
    let mut after = rest.trim_start_matches(['"', '\'', ' ', '\t']);
    if after.starts_with('.') {
        // A dotted key, of which this is a part.
        after = &after[after.find(['=', '\n'])?..];
    }
    let said = after.strip_prefix('=')?.trim_start_matches([' ', '\t']);
    if said.starts_with("{{") {
        return None;
    }
    if said.starts_with(['[', '{']) {
        let start = rest.len() - said.len();
        return Some(start..start + bracketed(said));
    }
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| said.starts_with(quote));
    let inner = said.strip_prefix(quote.unwrap_or_default())?;
    let length = match quote {
        Some(quote) => closing(inner, quote),
        None => inner.find([' ', '\t', '\r', '\n', ',', '}', '#']).unwrap_or(inner.len()),
    };
    let start = rest.len() - inner.len();
    Some(start..start + length)
}

/// The end of a list or a table with its brackets; that of all where it is not closed.
fn bracketed(said: &str) -> usize {
    let mut depth = 0_usize;
    let mut rest = said;
    while let Some(c) = rest.chars().next() {
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| rest.starts_with(q));
        let length = match (quote, c) {
            (Some(quote), _) => {
                let inner = &rest[quote.len()..];
                let end = closing(inner, quote);
                let is_closed = inner[end..].starts_with(quote);
                quote.len() + end + if is_closed { quote.len() } else { 0 }
            }
            (None, '#') => rest.find('\n').unwrap_or(rest.len()),
            (None, _) => c.len_utf8(),
        };
        rest = &rest[length..];
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    said.len() - rest.len()
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
            ("password = [ \"hunter2\" ]\nx = 1", "password = *************\nx = 1"),
            ("password = ['a]', \"b\"] # old", "password = *********** # old"),
            ("password = [\n  \"é\", # ]'\n]\nx = []", "password = *\n************\n*\nx = []"),
            (
                "vars = { password = { a = [\"b\"] }, x = 1 }",
                "vars = { password = *************, x = 1 }",
            ),
            ("password = [ \"open\nx", "password = *******\n*"),
            ("pasword = 'hunter2'", "pasword = '*******'"),
            ("redis-passwrd = \"a\"\nport = 1", "redis-passwrd = \"*\"\nport = 1"),
            ("{ Secert='hunter2' }", "{ Secert='*******' }"),
            ("password.x = \"hunter2\"", "password.x = \"*******\""),
            ("password = 'hunter2{{secret'", "password = '*******{{******'"),
            ("password = \"é{{vars.a}}b\"", "password = \"**{{vars.a}}*\""),
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
            "password = {{each.vars.password}}\n",
            "name = \"password\"\n[vars]",
            "path = \"/x\"\npasses = 3\nservers = \"web\"",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
