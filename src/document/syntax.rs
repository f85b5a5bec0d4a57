//! What to say about a file that is not TOML.
//!
//! The parser finds the places, several in one pass, in the words of TOML's grammar. The words here
//! are for someone who writes their first TOML file: what the line lacks, and the line as it would
//! be right. What is not recognized keeps the parser's words.

use std::ops::Range;
use std::sync::Arc;

use toml::de::Error;

use super::tree::{Content, Node, Table};
use crate::diagnostic::{Diagnostic, Place, Source};

/// The parser's error for a person; `tree` is what could be read in spite of it.
pub(super) fn diagnostic(source: &Arc<Source>, error: &Error, tree: &Table) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let place = Place::new(source, widened(&source.text, span));
    let (said, expected) = match error.message().split_once(", expected ") {
        Some((said, expected)) => (said, Some(expected)),
        None => (error.message(), None),
    };
    if said == "duplicate key" {
        return duplicate(place, tree);
    }
    let line = Line::around(&place);
    let known = line.wrong(said).or_else(|| text(said, expected, &line, &place));
    known.or_else(|| token(said, &line, &place)).unwrap_or_else(|| {
        let diagnostic = Diagnostic::error(place, format!("this is not TOML: {said}"));
        match expected {
            Some("nothing") | None => diagnostic,
            Some(expected) => diagnostic.label(format!("expected {expected}")),
        }
    })
}

/// Whether an error makes the lines up to the next header belong to nothing.
pub(super) fn breaks_table(diagnostic: &Diagnostic) -> bool {
    Line::around(&diagnostic.place).text.trim_start().starts_with('[')
}

/// The line that an error stands on.
struct Line<'a> {
    source: &'a Arc<Source>,
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn around(place: &'a Place) -> Line<'a> {
        let text = &place.source.text;
        let start = text[..place.span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        Line { source: &place.source, start, text: text[start..end].trim_end_matches('\r') }
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, self.start + span.start..self.start + span.end)
    }

    /// The whole line without the white space around it.
    fn whole(&self) -> Place {
        let start = self.text.len() - self.text.trim_start().len();
        self.place(start..self.text.trim_end().len().max(start))
    }

    /// What is wrong with the line as a whole.
    fn wrong(&self, said: &str) -> Option<Diagnostic> {
        let trimmed = self.text.trim();
        let error = |place, title: &str| Diagnostic::error(place, title);
        for marker in ["//", ";", "--"] {
            if said == "key with no value" && trimmed.starts_with(marker) {
                let at = self.text.find(marker).unwrap_or_default();
                let place = self.place(at..at + marker.len());
                return Some(error(place, "a comment begins with `#`"));
            }
        }
        if said == "key with no value" && trimmed.starts_with("- ") {
            let help = "write the list in brackets behind its key: key = [\"one\", \"two\"]";
            return Some(
                error(self.whole(), "a list does not stand on lines of its own").help(help),
            );
        }
        if trimmed.starts_with('[') && said.starts_with("unclosed") && !trimmed.contains('=') {
            return Some(self.header(trimmed));
        }
        self.no_assignment(said).or_else(|| self.bare_value(said))
    }

    fn header(&self, trimmed: &str) -> Diagnostic {
        let (open, close) = if trimmed.starts_with("[[") { ("[[", "]]") } else { ("[", "]") };
        let name = trimmed.split('#').next().unwrap_or(trimmed);
        let name = name.trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace());
        let title = format!("this header is not closed with `{close}`");
        let diagnostic = Diagnostic::error(self.whole(), title);
        if name.contains(char::is_whitespace) {
            return Diagnostic { title: "a name in a header has no blanks".into(), ..diagnostic }
                .help(format!("join the words: {open}{}{close}", joined(name)));
        }
        diagnostic.help(format!("write {open}{name}{close}"))
    }

    /// A line without `=`.
    fn no_assignment(&self, said: &str) -> Option<Diagnostic> {
        if said != "key with no value" {
            return None;
        }
        let (text, _) = without_comment(self.text.trim());
        if let Some((key, value)) = text.split_once(':')
            && is_key(key.trim())
        {
            let at = self.text.find(':').unwrap_or_default();
            let right = format!("write {} = {}", key.trim(), quoted(value));
            let title = "`=` stands between a key and its value, not `:`";
            return Some(Diagnostic::error(self.place(at..at + 1), title).help(right));
        }
        if let Some((key, value)) = text.split_once('=') {
            let at = self.text.find(key.trim()).unwrap_or_default();
            let place = self.place(at..at + key.trim().len());
            let right = format!("write {} = {}", joined(key.trim()), quoted(value));
            return Some(Diagnostic::error(place, "a key is one word").help(right));
        }
        let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let title = format!("`{}` has no `=` and no value", key.escape_debug());
        let diagnostic = Diagnostic::error(self.whole(), title);
        Some(match is_key(key) {
            true => diagnostic.help(format!("write {key} = {}", quoted(value))),
            false => diagnostic.help("write key = \"text\""),
        })
    }

    /// `key = value` where the value is a text without quotation marks, or nothing.
    fn bare_value(&self, said: &str) -> Option<Diagnostic> {
        let (text, _) = without_comment(self.text);
        let (key, value) = text.split_once('=')?;
        let start = key.len() + 1 + (value.len() - value.trim_start().len());
        let value = value.trim();
        if said == "missing value" || (said == "string values must be quoted" && value.is_empty()) {
            let diagnostic =
                Diagnostic::error(self.whole(), format!("`{}` has no value", key.trim()));
            return Some(diagnostic.help(format!("write {} = \"…\"", key.trim())));
        }
        let of_value = !said.ends_with("string") && !said.ends_with("key");
        let invalid = said.starts_with("invalid") && of_value;
        let number = said == "unexpected leading zero" || said.starts_with('`');
        let bare = said == "string values must be quoted" || invalid || number;
        if !bare || !is_key(key.trim()) || value.starts_with(['"', '\'', '[', '{']) {
            return None;
        }
        let place = self.place(start..start + value.len());
        if value.contains('=') {
            let help = "write each key = value on a line of its own";
            return Some(Diagnostic::error(place, "this is more than one value").help(help));
        }
        if said == "unexpected leading zero" {
            let help = format!("take the zero out, or write \"{value}\" for a text");
            return Some(Diagnostic::error(place, "a number has no leading zero").help(help));
        }
        let lower = value.to_lowercase();
        let no_end = "a line ends without `;` or `,`";
        let (title, right) = match (value.strip_suffix([';', ',']), lower.as_str()) {
            (Some(rest), _) => (no_end.to_owned(), rest.trim().to_owned()),
            (None, "true" | "yes" | "on") => (truth(value), "true".to_owned()),
            (None, "false" | "no" | "off") => (truth(value), "false".to_owned()),
            (None, _) => ("this text has no quotation marks".to_owned(), quoted(value)),
        };
        let truth = matches!(right.as_str(), "true" | "false") && value.len() > 1;
        let or_text = if truth { format!(", or \"{value}\" for a text") } else { String::new() };
        let right = if is_plain(&right) { right } else { quoted(&right) };
        Some(
            Diagnostic::error(place, title)
                .help(format!("write {} = {right}{or_text}", key.trim())),
        )
    }
}

fn truth(value: &str) -> String {
    format!("a truth value is `true` or `false`, not `{value}`")
}

/// What is wrong inside quotation marks.
fn text(said: &str, expected: Option<&str>, line: &Line<'_>, place: &Place) -> Option<Diagnostic> {
    let in_line = place.span.start - line.start;
    if said == "missing escaped value" {
        let start = in_line.saturating_sub(1);
        let place = line.place(start..start + 1 + place.text().len());
        let title = format!("`{}` is no escape in a text", place.text());
        let help = "write `\\\\` for a backslash, or put the text into single quotation marks";
        return Some(Diagnostic::error(place, title).help(help));
    }
    if !said.starts_with("invalid") || !said.ends_with("string") {
        return None;
    }
    let quote = expected.filter(|expected| matches!(*expected, "`\"`" | "`'`"));
    match quote {
        Some(quote) if said.contains("multi-line") => {
            let marks = quote.trim_matches('`').repeat(3);
            let start = place.source.text[..place.span.start].rfind(&marks)?;
            let place = Place::new(&place.source, start..start + marks.len());
            Some(Diagnostic::error(place, format!("this text is not closed with `{marks}`")))
        }
        Some(quote) => {
            let mark = quote.trim_matches('`');
            let before = line.text.get(..in_line).unwrap_or(line.text);
            let start = before.find(mark).unwrap_or(in_line);
            let place = line.place(start..in_line.max(start));
            Some(Diagnostic::error(place, format!("this text is not closed with {quote}")))
        }
        None => {
            let title = "a text cannot hold this character as it is";
            let help = "write it as an escape, such as \\t or \\u0000";
            Some(Diagnostic::error(place.clone(), title).help(help))
        }
    }
}

/// What is wrong at one place of a line.
fn token(said: &str, line: &Line<'_>, place: &Place) -> Option<Diagnostic> {
    let before = line.text.get(..place.span.start - line.start).unwrap_or_default();
    let (title, help) = match said {
        "unclosed array" => {
            return Some(unclosed(place, '[', "this list is not closed with `]`"));
        }
        "unclosed inline table" => {
            return Some(unclosed(place, '{', "this table is not closed with `}`"));
        }
        "string values must be quoted" => (
            "this is not one value",
            "put a text into quotation marks, and a comma between two values",
        ),
        "missing comma between array elements"
        | "missing comma between key-value pairs"
        | "extra assignment between key-value pairs" => {
            ("a comma is missing before this", "put a comma between two values")
        }
        "extra comma in array" | "extra comma in inline table" => {
            ("a value is missing before this comma", "take the comma out")
        }
        "extra `=`" => ("one `=` is enough", "take it out"),
        "unexpected key or value" if before.ends_with(['"', '\'']) => {
            ("the text ended before this", "write `\\\"` for a quotation mark inside a text")
        }
        "unexpected key or value" if line.text.trim_start().starts_with('[') => {
            ("nothing stands behind a header", "write the keys on the lines below it")
        }
        "unexpected key or value" => {
            ("this is one too many for a line", "write each key = value on a line of its own")
        }
        "unquoted keys cannot be empty" => {
            ("a key is missing here", "write key = value, or [name]")
        }
        "invalid unquoted key" => (
            "this cannot stand in a key",
            "a key is made of letters, digits, `-` and `_`; put any other into quotation marks",
        ),
        "invalid key-value pair" => {
            ("a table does not stand alone on a line", "write [name], and the keys below it")
        }
        said if said.starts_with("cannot extend value") => {
            ("this key has a value already, so nothing can stand below it", "choose one of the two")
        }
        _ => return None,
    };
    Some(Diagnostic::error(place.clone(), title).help(help))
}

/// Points at the bracket that opens what the end of the file leaves open.
fn unclosed(place: &Place, bracket: char, title: &str) -> Diagnostic {
    let before = &place.source.text[..place.span.start];
    let opens = |at: &usize| before[..*at].trim_end().ends_with('=');
    let open = before.match_indices(bracket).map(|(at, _)| at).rfind(opens);
    let place = open.map_or_else(|| place.clone(), |at| Place::new(&place.source, at..at + 1));
    Diagnostic::error(place, title)
}

fn duplicate(place: Place, tree: &Table) -> Diagnostic {
    let line = Line::around(&place);
    let header = line.text.trim_start().starts_with('[');
    let (key, place) = match header {
        true => (line.text.trim().to_owned(), line.whole()),
        false => (place.text().to_owned(), place.clone()),
    };
    let diagnostic = Diagnostic::error(place.clone(), format!("`{key}` stands here a second time"))
        .help(match header {
            true => "put the keys of both into one, or give the second another name",
            false => "a key stands once in a table; take one of the two out",
        });
    let first = if header { earlier_line(&place) } else { earlier_key(&place, tree) };
    match first {
        Some(first) => diagnostic.related(first, "the first is here"),
        None => diagnostic,
    }
}

/// Where the same header stands before `place`.
fn earlier_line(place: &Place) -> Option<Place> {
    let text = &place.source.text;
    let header = place.text();
    let mut before = text[..place.span.start].match_indices(header).map(|(at, _)| at);
    let at =
        before.find(|at| text[..*at].trim_end_matches([' ', '\t']).ends_with(['\n']) || *at == 0);
    at.map(|at| Place::new(&place.source, at..at + header.len()))
}

/// Where the same key stands before `place`, with no header between the two.
fn earlier_key(place: &Place, tree: &Table) -> Option<Place> {
    let mut earlier = Vec::new();
    keys_of(tree, place, &mut earlier);
    let last = earlier.into_iter().max_by_key(|span| span.start)?;
    let between = &place.source.text[last.end..place.span.start];
    let same_table = !between.lines().skip(1).any(|line| line.trim_start().starts_with('['));
    same_table.then(|| Place::new(&place.source, last))
}

fn keys_of(table: &Table, place: &Place, found: &mut Vec<Range<usize>>) {
    for entry in &table.entries {
        let raw = place.source.text.get(entry.key_span.clone());
        let before = entry.key_span.end <= place.span.start;
        if before && raw == Some(place.text()) {
            found.push(entry.key_span.clone());
        }
        tables_of(&entry.node, place, found);
    }
}

fn tables_of(node: &Node, place: &Place, found: &mut Vec<Range<usize>>) {
    match &node.content {
        Content::Table(table) => keys_of(table, place, found),
        Content::List(nodes) => nodes.iter().for_each(|node| tables_of(node, place, found)),
        Content::Text(_)
        | Content::Integer(_)
        | Content::HugeInteger
        | Content::Bool(_)
        | Content::Float
        | Content::Datetime => {}
    }
}

/// The text of a line before a comment, and the comment.
fn without_comment(line: &str) -> (&str, &str) {
    line.split_once(" #").unwrap_or((line, ""))
}

fn is_key(text: &str) -> bool {
    let part_of_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(part_of_key)
}

/// Whether a value stands in a file without quotation marks.
fn is_plain(value: &str) -> bool {
    value.parse::<i64>().is_ok() || matches!(value, "true" | "false") || value.starts_with('"')
}

fn joined(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join("-")
}

/// A value with quotation marks as TOML has them, unless it needs none.
fn quoted(value: &str) -> String {
    let marks = ['"', '\'', '“', '”', '„', '«', '»', '‘', '’'];
    let value = value.trim();
    if is_plain(value) {
        return value.to_owned();
    }
    match value.trim_matches(marks) {
        "" => "\"…\"".into(),
        bare => format!("\"{}\"", bare.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// An empty place is widened to the character that stands there.
fn widened(text: &str, span: Range<usize>) -> Range<usize> {
    if !span.is_empty() {
        return span;
    }
    let start = text.floor_char_boundary(span.start);
    match text[start..].chars().next() {
        Some(next) if !next.is_whitespace() => start..start + next.len_utf8(),
        Some(_) | None => start..start,
    }
}
