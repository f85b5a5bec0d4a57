//! How a plan is shown to a person: one line a change, with what differs below it.
//!
//! Colours are ANSI sequences; the caller's stream drops them where they are not wanted.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{Change, Plan};
use crate::resource::Resource;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// Lines of unchanged text around a change in a file.
const CONTEXT: usize = 2;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let origin = self.origin.get(&change.id()).map(String::as_str);
            write!(f, "{}", Shown { change, origin })?;
        }
        Ok(())
    }
}

/// A change on its way to a person.
pub struct Shown<'a> {
    /// The change.
    pub change: &'a Change,
    /// The part of the role file that asks for it.
    pub origin: Option<&'a str>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, style) = match self.change {
            Change::Create { .. } => ('+', GREEN),
            Change::Update { .. } => ('~', YELLOW),
            Change::Remove { .. } => ('-', RED),
        };
        let id = self.change.id();
        let rows = self.rows(&id.name);
        write!(f, "{style}{sign} {id}{style:#}")?;
        match rows.as_slice() {
            [Row::Value { key, text }] if key == "value" => write!(f, " {text}")?,
            [Row::Value { key, text }] => write!(f, " {key} {text}")?,
            _ => {}
        }
        if let Some(origin) = self.origin {
            write!(f, "  {DIM}({origin}){DIM:#}")?;
        }
        writeln!(f)?;
        if let [Row::Value { .. }] = rows.as_slice() {
            return Ok(());
        }
        for row in &rows {
            match row {
                Row::Value { key, text } => writeln!(f, "    {key} {text}")?,
                Row::Text { before, after } => lines(f, before, after)?,
            }
        }
        Ok(())
    }
}

/// What differs in one field.
enum Row {
    /// A short value: `= 1` or `0 → 1`.
    Value { key: String, text: String },
    /// A text of several lines.
    Text { before: String, after: String },
}

impl Shown<'_> {
    /// What differs. What the name says already is not said again.
    fn rows(&self, name: &str) -> Vec<Row> {
        let (before, after) = match self.change {
            Change::Create { after } => (None, Some(after)),
            Change::Update { before, after } => (Some(before), Some(after)),
            Change::Remove { .. } => return Vec::new(),
        };
        let (old, new) = (flat(before), flat(after));
        let was = |key: &str| old.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let mut rows: Vec<Row> = new
            .iter()
            .filter(|(key, value)| was(key) != Some(value) && !says(name, value))
            .filter(|(_, value)| before.is_some() || value != "false")
            .map(|(key, value)| row(key, was(key), value, before.is_some()))
            .collect();
        let gone = old.iter().filter(|(key, _)| new.iter().all(|(k, _)| k != key));
        rows.extend(gone.map(|(key, value)| Row::Value {
            key: key.clone(),
            text: format!("{RED}{}{RED:#} → nothing", or_nothing(value)),
        }));
        rows
    }
}

fn row(key: &str, was: Option<&str>, value: &str, update: bool) -> Row {
    if value.contains('\n') || was.is_some_and(|w| w.contains('\n')) {
        let before = was.unwrap_or_default().to_owned();
        return Row::Text { before, after: value.to_owned() };
    }
    let (value, was) = (short(value), was.map(short));
    let new = or_nothing(value);
    let text = match was {
        Some(was) => format!("{RED}{}{RED:#} → {GREEN}{new}{GREEN:#}", or_nothing(was)),
        None if update => format!("nothing → {GREEN}{new}{GREEN:#}"),
        None => format!("= {new}"),
    };
    Row::Value { key: key.to_owned(), text }
}

/// The beginning of a digest: nobody compares 64 digits by eye.
fn short(value: &str) -> &str {
    let is_digest = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest { &value[..12] } else { value }
}

/// Whether a name has a value as one of its words.
fn says(name: &str, value: &str) -> bool {
    name == value
        || name.split([' ', ':', '/']).any(|word| word == value)
        || name.contains(value) && value.len() > 6
}

fn or_nothing(value: &str) -> &str {
    if value.is_empty() { "nothing" } else { value }
}

fn lines(f: &mut fmt::Formatter<'_>, old: &str, new: &str) -> fmt::Result {
    let diff = TextDiff::from_lines(old, new);
    for group in diff.grouped_ops(CONTEXT) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Insert => ('+', GREEN),
                ChangeTag::Delete => ('-', RED),
                ChangeTag::Equal => (' ', DIM),
            };
            let line = change.value().trim_end_matches('\n');
            writeln!(f, "    {style}{sign} {line}{style:#}")?;
        }
    }
    Ok(())
}

/// The resource's fields as dotted keys and text, in order; fields without a value are left out.
fn flat(resource: Option<&Resource>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let Some(resource) = resource else { return out };
    let value = serde_json::to_value(resource).unwrap_or(Value::Null);
    flatten(&mut out, String::new(), &value);
    out
}

fn flatten(out: &mut Vec<(String, String)>, key: String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(map) if !key.is_empty() && map.values().all(is_scalar) => {
            let parts: Vec<String> =
                map.iter().map(|(k, v)| format!("{k} {}", scalar(v))).collect();
            out.push((key, parts.join(", ")));
        }
        Value::Object(map) => {
            for (k, v) in map {
                let mut path = key.clone();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(k);
                flatten(out, path, v);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            let mut joined = String::new();
            for item in items {
                let separator = if joined.is_empty() { "" } else { " " };
                write!(joined, "{separator}{}", scalar(item)).expect("a String takes any text");
            }
            out.push((key, joined));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push((key, scalar(value))),
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_) | Value::Null)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
