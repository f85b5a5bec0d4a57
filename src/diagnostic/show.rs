//! How diagnostics are shown: to a person as a compiler does, to an editor as JSON.
//!
//! Both are sorted by file and position, and neither decides anything. Colours are ANSI sequences
//! if asked for.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, Place, Severity, Source, secret};

impl Diagnostics {
    /// Every diagnostic with its file, line and column, the text underlined, what would be right,
    /// and at the end how many there are. Empty when nothing is wrong.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut shown = String::new();
        for diagnostic in self.sorted() {
            shown.push_str(&renderer.render(&groups(diagnostic)));
            shown.push_str("\n\n");
        }
        if let Some(count) = self.count() {
            shown.push_str(&count);
            shown.push('\n');
        }
        shown
    }

    /// `2 errors and 1 warning in cluster.toml`; nothing when nothing is wrong.
    pub fn count(&self) -> Option<String> {
        let sorted = self.sorted();
        let errors = sorted.iter().filter(|d| d.severity == Severity::Error).count();
        let mut files: Vec<&str> = sorted.iter().map(|d| d.place.source.name.as_str()).collect();
        files.dedup();
        let counted = match (errors, sorted.len() - errors) {
            (0, 0) => return None,
            (errors, 0) => many(errors, "error"),
            (0, warnings) => many(warnings, "warning"),
            (errors, warnings) => {
                format!("{} and {}", many(errors, "error"), many(warnings, "warning"))
            }
        };
        Some(format!("{counted} in {}", files.join(", ")))
    }

    /// One object per diagnostic, in the order of [`Diagnostics::render`].
    pub fn to_json(&self) -> Value {
        self.sorted().into_iter().map(Diagnostic::to_json).collect()
    }
}

impl Diagnostic {
    /// File, line, column, severity, title, label, help and related places.
    pub fn to_json(&self) -> Value {
        let mut object = position(&self.place);
        let end = Place::new(&self.place.source, self.place.span.end..self.place.span.end);
        let (end_line, end_column) = end.line_column();
        let related = self.related.iter().map(|(place, says)| {
            let mut object = position(place);
            object["label"] = json!(says);
            object
        });
        object["end_line"] = json!(end_line);
        object["end_column"] = json!(end_column);
        object["severity"] = json!(self.severity.word());
        object["title"] = json!(self.title);
        object["label"] = json!(Some(&self.label).filter(|label| !label.is_empty()));
        object["help"] = json!(self.help);
        object["related"] = related.collect();
        object
    }
}

impl Severity {
    /// `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

fn position(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({ "file": place.source.name, "line": line, "column": column })
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn groups(diagnostic: &Diagnostic) -> Vec<Group<'_>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let place = &diagnostic.place;
    let label = Some(diagnostic.label.as_str()).filter(|label| !label.is_empty());
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        diagnostic.related.iter().partition(|(other, _)| other.source == place.source);
    let snippet = snippet(&place.source)
        .annotation(annotation(AnnotationKind::Primary, place).label(label))
        .annotations(here.iter().map(|(other, says)| context(other, says)));
    let mut group = level.primary_title(diagnostic.title.as_str()).element(snippet);
    for (other, says) in elsewhere {
        group = group.element(self::snippet(&other.source).annotation(context(other, says)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    vec![group]
}

fn snippet<'a>(source: &'a Source) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(secret::masked(&source.text)).path(source.name.as_str())
}

fn context<'a>(place: &Place, says: &'a str) -> Annotation<'a> {
    annotation(AnnotationKind::Context, place).label(says)
}

fn annotation<'a>(kind: AnnotationKind, place: &Place) -> Annotation<'a> {
    kind.span(place.span.clone())
}
