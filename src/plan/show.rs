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
        write!(f, "{style}{sign} {}{style:#}", self.change.id())?;
        if let Some(origin) = self.origin {
            write!(f, "  {DIM}({origin}){DIM:#}")?;
        }
        writeln!(f)?;
        match self.change {
            Change::Create { after } => fields(f, None, Some(after)),
            Change::Update { before, after } => fields(f, Some(before), Some(after)),
            Change::Remove { .. } => Ok(()),
        }
    }
}

fn fields(
    f: &mut fmt::Formatter<'_>,
    before: Option<&Resource>,
    after: Option<&Resource>,
) -> fmt::Result {
    let old = flat(before);
    let new = flat(after);
    for (key, value) in &new {
        let was = old.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        if was == Some(value) {
            continue;
        }
        match was {
            _ if value.contains('\n') => text(f, was.map_or("", String::as_str), value)?,
            Some(was) if was.contains('\n') => text(f, was, value)?,
            Some(was) => writeln!(
                f,
                "    {key}: {RED}{}{RED:#} → {GREEN}{}{GREEN:#}",
                or_nothing(was),
                or_nothing(value)
            )?,
            None => writeln!(f, "    {key}: {}", or_nothing(value))?,
        }
    }
    for (key, was) in old.iter().filter(|(k, _)| new.iter().all(|(n, _)| n != k)) {
        writeln!(f, "    {key}: {RED}{}{RED:#} → (gone)", or_nothing(was))?;
    }
    Ok(())
}

fn or_nothing(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

fn text(f: &mut fmt::Formatter<'_>, old: &str, new: &str) -> fmt::Result {
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

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
