//! What is wrong with a file, said to the person who wrote it.
//!
//! A [`Diagnostic`] is data: a place in a source, what is wrong there and what would be right. All
//! of a file's are collected and shown together, in the order of the file. [`Diagnostics::render`]
//! draws them as a compiler does; [`Diagnostics::to_json`] is the same for an editor.

mod secret;
mod show;
mod suggest;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

pub use suggest::suggest;

/// A file's name, as it is shown, and its text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The name: a path as the person gave it, or that of an embedded file.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A source to point into.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.into() })
    }
}

/// A stretch of a source's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// The place of `span` in `source`; a span that does not fit is cut to what is there.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Place {
        let text = &source.text;
        let start = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(start);
        Place { source: Arc::clone(source), span: start..end }
    }

    /// The text that stands there.
    pub fn text(&self) -> &str {
        &self.source.text[self.span.clone()]
    }

    /// Line and column of the start, both counted from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The same file, another stretch: `span` counts from this place's start.
    pub fn within(&self, span: Range<usize>) -> Place {
        let start = self.span.start;
        Place::new(&self.source, start + span.start..start + span.end)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; a person should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub title: String,
    /// Where.
    pub place: Place,
    /// What stands under the underlined text; may be empty.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
    /// Other places that belong to it, each with what it says.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(place: Place, title: impl Into<String>) -> Diagnostic {
        let (severity, title, label) = (Severity::Error, title.into(), String::new());
        Diagnostic { severity, title, place, label, help: None, related: Vec::new() }
    }

    /// A warning at a place.
    pub fn warning(place: Place, title: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(place, title) }
    }

    /// Says something right under the underlined text.
    pub fn label(self, label: impl Into<String>) -> Diagnostic {
        Diagnostic { label: label.into(), ..self }
    }

    /// Says what would be right.
    pub fn help(self, help: impl Into<String>) -> Diagnostic {
        Diagnostic { help: Some(help.into()), ..self }
    }

    /// Points at another place that belongs to it.
    pub fn related(mut self, place: Place, says: impl Into<String>) -> Diagnostic {
        self.related.push((place, says.into()));
        self
    }
}

/// Everything that is wrong, of one file or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds an error at a place.
    pub fn error(&mut self, place: Place, title: impl Into<String>) {
        self.push(Diagnostic::error(place, title));
    }

    /// Adds a warning at a place.
    pub fn warning(&mut self, place: Place, title: impl Into<String>) {
        self.push(Diagnostic::warning(place, title));
    }

    /// Whether the files are to be refused.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether nothing is wrong at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, warnings included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes over another file's.
    pub fn merge(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// By file and position, as they are shown; the same thing said twice is kept once.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = Vec::new();
        for diagnostic in &self.list {
            let same = |d: &&Diagnostic| d.place == diagnostic.place && d.title == diagnostic.title;
            if !sorted.iter().any(same) {
                sorted.push(diagnostic);
            }
        }
        sorted.sort_by_key(|d| (&d.place.source.name, d.place.span.start, d.place.span.end));
        sorted
    }

    /// `Err` with everything if a file is to be refused, else the value and the warnings.
    pub fn refuse_or<T>(self, value: Option<T>) -> Result<(T, Diagnostics), Diagnostics> {
        match value {
            Some(value) if !self.has_errors() => Ok((value, self)),
            Some(_) | None => Err(self),
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Where several readers of one file put what they find.
#[derive(Debug, Default)]
pub struct Collector {
    found: RefCell<Diagnostics>,
}

impl Collector {
    /// Adds one.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Adds what there is.
    pub fn extend(&self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Takes over another file's.
    pub fn merge(&self, other: Diagnostics) {
        self.found.borrow_mut().merge(other);
    }

    /// Whether a file is to be refused, so far.
    pub fn has_errors(&self) -> bool {
        self.found.borrow().has_errors()
    }

    /// Everything that was found.
    pub fn into_diagnostics(self) -> Diagnostics {
        self.found.into_inner()
    }
}

/// Holds what is shown against a file of messages that people have read and found good. Run with
/// `UPDATE=1` to write the file anew, and read what changed.
#[cfg(test)]
pub(crate) fn golden(path: &str, shown: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, shown).expect("the file can be written");
    }
    let good = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(shown, good, "{path} says otherwise");
}
