//! What to say about a file that is not TOML.
//!
//! The parser finds the places, several in one pass; the words here say what would be right.

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
    let diagnostic = Diagnostic::error(place, format!("this is not TOML: {said}"));
    let diagnostic = match expected {
        Some("nothing") | None => diagnostic,
        Some(expected) => diagnostic.label(format!("expected {}", expected.replace('\n', " "))),
    };
    match advice(said) {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    }
}

fn duplicate(place: Place, tree: &Table) -> Diagnostic {
    let key = place.text().to_owned();
    let mut earlier = Vec::new();
    keys_of(tree, &place, &mut earlier);
    let source = Arc::clone(&place.source);
    let diagnostic = Diagnostic::error(place, format!("`{key}` stands here a second time"))
        .label("once is allowed in a table")
        .help("remove one of them, or give the second a name of its own");
    match earlier.as_slice() {
        [first] => diagnostic.related(Place::new(&source, first.clone()), "the first is here"),
        _ => diagnostic,
    }
}

/// Where the same key stands before `place`, anywhere in the tree.
fn keys_of(table: &Table, place: &Place, found: &mut Vec<Range<usize>>) {
    for entry in &table.entries {
        let raw = place.source.text.get(entry.key_span.clone());
        let before = entry.key_span.end <= place.span.start;
        if before && raw == Some(place.text()) && !found.contains(&entry.key_span) {
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
        | Content::Float(_)
        | Content::Datetime => {}
    }
}

/// What would be right, in the words of someone who writes their first TOML file.
fn advice(said: &str) -> Option<&'static str> {
    let advice = match said {
        "string values must be quoted" | "unquoted keys cannot contain" => {
            "put the text into quotation marks: key = \"text\""
        }
        "key with no value" | "missing value" | "missing value for key" => {
            "write key = value; a text stands in quotation marks"
        }
        "extra `=`" => "a single `=` stands between key and value",
        "unclosed table" => "a table begins with its name in brackets: [name]",
        "unclosed array table" => "one of several tables begins with [[name]]",
        "unclosed array" => "close the list with `]`",
        "unclosed inline table" => "close the table with `}`",
        "missing comma between array elements" | "missing comma between key-value pairs" => {
            "put a comma between two values"
        }
        "unexpected key or value" => "only one key = value stands on a line",
        "unexpected leading zero" => "write the number without the zero, or as \"text\"",
        _ => return None,
    };
    Some(advice)
}

/// An empty place is widened to the character that stands there, or the one before it.
fn widened(text: &str, span: Range<usize>) -> Range<usize> {
    if !span.is_empty() {
        return span;
    }
    let start = text.floor_char_boundary(span.start.min(text.len()));
    match text[start..].chars().next() {
        Some(next) if next != '\n' && next != '\r' => start..start + next.len_utf8(),
        Some(_) | None => start..start,
    }
}
