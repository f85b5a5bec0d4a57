//! Which keys of a table nobody knows, and which it lacks.
//!
//! Both are told when a reader is made: the section says enough for that.

use super::super::tree::{Entry, Table};
use super::super::{Field, Shape, listed};
use super::{Body, Reader};
use crate::diagnostic::{Diagnostic, suggest};

impl<'a> Reader<'a> {
    /// Reports unknown and missing keys.
    pub(super) fn checked(self) -> Reader<'a> {
        let Body::Table(table) = self.body else {
            return self;
        };
        let mut meant = Vec::new();
        let unknown = |entry: &&Entry| self.section.field(&entry.key).is_none();
        for entry in table.entries.iter().filter(unknown) {
            if self.section.open.is_none() {
                meant.extend(self.unknown_key(entry, table));
            }
        }
        // In a file that is not TOML, the missing key may stand in the part that was not read.
        if self.document.broken.is_empty() {
            let missing = |field: &&Field| field.required && table.get(field.key).is_none();
            for field in self.section.fields.iter().filter(missing) {
                if !meant.contains(&field.key) {
                    self.report(self.missing_key(field));
                }
            }
        }
        self
    }

    /// Reports an unknown key; returns the key that was meant in its place.
    fn unknown_key(&self, entry: &Entry, table: &Table) -> Option<&'static str> {
        let place = self.document.place(entry.key_span.clone());
        let keys: Vec<&'static str> = self.section.fields.iter().map(|field| field.key).collect();
        let keys: Vec<&'static str> =
            keys.into_iter().filter(|key| self.is_of_use(key, table)).collect();
        let absent = keys.iter().copied().filter(|key| table.get(key).is_none());
        let meant = suggest(&entry.key, absent).or_else(|| suggest(&entry.key, keys.clone()));
        let title = format!("unknown key `{}` in `{}`", entry.key, self.title);
        let diagnostic = match meant.and_then(|meant| self.section.field(meant)) {
            Some(field) => {
                Diagnostic::error(place, format!("{title}, did you mean `{}`?", field.key))
                    .help(format!("`{}`: {}", field.key, field.doc))
            }
            None if keys.is_empty() => Diagnostic::error(place, title),
            None => {
                let help = format!("the keys of `{}` are {}", self.title, listed(&keys));
                Diagnostic::error(place, title).help(help)
            }
        };
        self.report(diagnostic);
        meant
    }

    /// Whether a key says anything beside what another one says.
    fn is_of_use(&self, key: &str, table: &Table) -> bool {
        let Some((by, belongs)) = self.section.by else { return true };
        let said = table.get(by).and_then(|entry| entry.node.scalar());
        // What a template stands for may be another thing on each host.
        said.is_none_or(|said| said.contains("{{") || belongs(&said, key))
    }

    fn missing_key(&self, field: &Field) -> Diagnostic {
        let title = format!("`{}` lacks the key `{}`", self.title, field.key);
        let add = match (&field.shape, field.shape.example()) {
            (Shape::Tables(_), _) => format!("[[{}]]", self.path(field.key)),
            (Shape::Map(_), _) => format!("[{}.NAME]", self.path(field.key)),
            (_, Some(example)) => format!("{} = {example}", field.key),
            (_, None) => format!("[{}]", self.path(field.key)),
        };
        Diagnostic::error(self.place(), title).help(format!("add `{add}`: {}", field.doc))
    }
}
