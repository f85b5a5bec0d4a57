//! A TOML file of ours: read once, every value with its place, all that is wrong at once.
//!
//! [`Document::parse`] finds syntax errors, several in one pass, and keeps what can be read.
//! [`Document::read`] lays a [`Section`] over it: the [`Reader`] reports unknown keys, missing
//! keys, wrong types and wrong values into a [`Collector`], and hands out values with their places.
//! Nothing here knows what the values mean.

mod fit;
mod reader;
pub mod schema;
mod section;
mod syntax;
mod tree;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

pub use reader::Reader;
pub use section::{Field, OpenKeys, Section, Shape};
use toml::de::DeTable;
use tree::{Content, Node, Table};
pub use value::{Rendered, Value, listed, one_of, span, unknown};

use crate::diagnostic::{Collector, Diagnostic, Diagnostics, Place, Source};
use crate::role::facts::Facts;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, place: Place) -> Spanned<T> {
        Spanned { value, place }
    }

    /// Another value at the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), place: self.place }
    }
}

/// Two values are equal wherever they stand.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Var {
    /// A text; a template where it came from a role's defaults.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Bool(bool),
    /// Several, for `{{#each vars.NAME}}`.
    List(Vec<Spanned<Var>>),
}

/// A TOML file, as far as it could be read.
#[derive(Debug)]
pub struct Document {
    source: Arc<Source>,
    root: Node,
    /// Lines with a syntax error: nothing more is said about them.
    broken: BTreeSet<usize>,
}

impl Document {
    /// Reads a file's text. The document is what could be read; the diagnostics are the syntax
    /// errors.
    pub fn parse(name: impl Into<String>, text: impl Into<String>) -> (Document, Diagnostics) {
        let source = Source::new(name, text);
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let table = Table::from_toml(table.get_ref());
        let mut found = Diagnostics::default();
        let mut broken = BTreeSet::new();
        let mut wrong: Vec<Diagnostic> =
            errors.iter().map(|error| syntax::diagnostic(&source, error, &table)).collect();
        wrong.sort_by_key(|diagnostic| diagnostic.place.span.start);
        for diagnostic in wrong {
            // One slip often makes several errors; the first of a line says it.
            let (line, _) = diagnostic.place.line_column();
            if broken.insert(line) {
                if syntax::breaks_table(&diagnostic) {
                    broken.extend(lines_below(&source, line));
                }
                found.push(diagnostic);
            }
        }
        let root = Node { span: 0..0, content: Content::Table(table) };
        (Document { source, root, broken }, found)
    }

    /// The file.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Every text and number of the file, at whatever depth, with the keys that lead to it.
    pub fn values(&self) -> Vec<(Vec<&str>, Spanned<String>)> {
        let mut all = Vec::new();
        self.gather(&mut Vec::new(), &self.root, &mut all);
        all
    }

    fn gather<'a>(
        &'a self,
        keys: &mut Vec<&'a str>,
        node: &'a Node,
        into: &mut Vec<(Vec<&'a str>, Spanned<String>)>,
    ) {
        match &node.content {
            Content::Table(table) => {
                for entry in &table.entries {
                    keys.push(&entry.key);
                    self.gather(keys, &entry.node, into);
                    keys.pop();
                }
            }
            Content::List(nodes) => nodes.iter().for_each(|node| self.gather(keys, node, into)),
            Content::Text(_)
            | Content::Integer(_)
            | Content::HugeInteger
            | Content::Float
            | Content::Datetime => {
                let place = self.place(node.span.clone());
                let value = node.scalar().map(|text| Spanned::new(text, place));
                into.extend(value.map(|value| (keys.clone(), value)));
            }
            Content::Bool(_) => {}
        }
    }

    /// Reads the whole file as a section. With facts, every text is a template that is rendered
    /// before it is parsed.
    pub fn read<'a>(
        &'a self,
        section: &'static Section,
        facts: Option<&'a Facts>,
        found: &'a Collector,
    ) -> Reader<'a> {
        Reader::root(self, section, facts, found)
    }

    /// Where a stretch of the file stands.
    fn place(&self, span: Range<usize>) -> Place {
        Place::new(&self.source, span)
    }

    /// Passes a diagnostic on, unless its line is one of which a syntax error was already told.
    fn report(&self, diagnostic: Diagnostic, found: &Collector) {
        if !self.broken.contains(&diagnostic.place.line_column().0) {
            found.push(diagnostic);
        }
    }
}

/// The lines between a header that is wrong and the next one: their keys belong to nothing.
fn lines_below(source: &Source, header: usize) -> impl Iterator<Item = usize> + '_ {
    let below = source.text.lines().enumerate().skip(header);
    below.take_while(|(_, text)| !text.trim_start().starts_with('[')).map(|(line, _)| line + 1)
}

#[cfg(test)]
mod tests;
