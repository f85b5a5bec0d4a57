//! Reads one table as its section says, and reports everything in it that is wrong.
//!
//! A value is taken as text, rendered if there are facts, parsed by its type and held against its
//! shape. Nothing that is wrong stops the reading of what is right.

mod keys;
mod scalar;

use std::ops::Range;

use super::fit::advice;
use super::tree::{Content, Entry, Node, Table};
use super::{Document, Field, Rendered, Section, Shape, Spanned, Value, Var};
use crate::diagnostic::{Collector, Diagnostic, Place};
use crate::role::facts::Facts;

/// One table of a file with the section that says what may stand in it.
///
/// Unknown and missing keys are reported when the reader is made; wrong types and wrong values when
/// they are asked for. Nothing that is wrong stops the reading of what is right.
#[derive(Clone)]
pub struct Reader<'a> {
    document: &'a Document,
    section: &'static Section,
    facts: Option<&'a Facts>,
    found: &'a Collector,
    body: Body<'a>,
    span: Range<usize>,
    title: String,
}

/// What stands where the table is expected.
#[derive(Clone, Copy)]
enum Body<'a> {
    Table(&'a Table),
    /// A bare value that stands for this key.
    Short(&'static str, &'a Node),
}

impl<'a> Reader<'a> {
    pub(super) fn root(
        document: &'a Document,
        section: &'static Section,
        facts: Option<&'a Facts>,
        found: &'a Collector,
    ) -> Reader<'a> {
        let title = document.source.name.clone();
        let Content::Table(table) = &document.root.content else {
            unreachable!("the root of a document is a table");
        };
        Reader { document, section, facts, found, body: Body::Table(table), span: 0..0, title }
            .checked()
    }

    /// The table's name as the author sees it: `[host.web1]`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the table stands: its header, or its braces.
    pub fn place(&self) -> Place {
        self.document.place(self.span.clone())
    }

    /// Whether the key is there, right or wrong.
    pub fn has(&self, key: &'static str) -> bool {
        self.node(key).is_some()
    }

    /// Whether the key has a value, right or wrong: where the section takes an empty text for none,
    /// one that renders to nothing has not.
    pub fn given(&self, key: &'static str) -> bool {
        self.node(key).is_some_and(|node| !self.is_blank(node))
    }

    /// Whether a text in this table, or below it, is a template that names this.
    pub fn mentions(&self, name: &str) -> bool {
        match self.body {
            Body::Table(table) => table.entries.iter().any(|entry| entry.node.mentions(name)),
            Body::Short(_, node) => node.mentions(name),
        }
    }

    /// Where the value of a key stands; the table's place when it is not there.
    pub fn place_of(&self, key: &'static str) -> Place {
        self.node(key).map_or_else(|| self.place(), |node| self.document.place(node.span.clone()))
    }

    /// Where a key stands; the table's place when it is not there.
    pub fn place_of_key(&self, key: &'static str) -> Place {
        match self.body {
            Body::Table(table) => match table.get(key) {
                Some(entry) => self.document.place(entry.key_span.clone()),
                None => self.place(),
            },
            Body::Short(..) => self.place(),
        }
    }

    /// Reports something that only the caller can know.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.document.report(diagnostic, self.found);
    }

    /// Reports what the section alone can tell of every key, whether or not anyone asks for it.
    /// For a caller that gives up at the first value it cannot do without: what is reported twice
    /// is shown once.
    pub fn check(&self) {
        for field in self.section.fields {
            let Some(node) = self.node(field.key) else {
                continue;
            };
            match (&field.shape, &node.content) {
                (Shape::List(of) | Shape::OneOrMore(of), Content::List(items)) => {
                    items.iter().for_each(|item| self.check_scalar(item, field.key, of));
                }
                (Shape::Var | Shape::Table(_) | Shape::Tables(_) | Shape::Map(_), _) => {}
                (shape, _) => self.check_scalar(node, field.key, shape),
            }
        }
    }

    fn check_scalar(&self, node: &Node, key: &str, shape: &Shape) {
        self.scalar::<Rendered>(node, key, shape);
    }

    /// The facts that texts are rendered with.
    pub fn facts(&self) -> Option<&'a Facts> {
        self.facts
    }

    /// The same table, its texts rendered with other facts.
    pub fn with_facts<'b>(&self, facts: &'b Facts) -> Reader<'b>
    where
        'a: 'b,
    {
        let reader: Reader<'b> = self.clone();
        Reader { facts: Some(facts), ..reader }
    }

    /// The value of a key; `None` if it is absent or was reported as wrong.
    pub fn get<T: Value>(&self, key: &'static str) -> Option<Spanned<T>> {
        let field = self.field(key);
        let node = self.node(key).filter(|node| !self.is_blank(node))?;
        self.scalar(node, key, &field.shape)
    }

    /// The value of a key, else this default, which is placed at the table.
    pub fn get_or<T: Value>(&self, key: &'static str, default: T) -> Spanned<T> {
        self.get(key).unwrap_or_else(|| Spanned::new(default, self.place()))
    }

    /// The values of a list that are right; none if the key is absent. Where the section allows it,
    /// a bare value is a list of one.
    pub fn list<T: Value>(&self, key: &'static str) -> Vec<Spanned<T>> {
        let field = self.field(key);
        let (Shape::List(of) | Shape::OneOrMore(of)) = field.shape else {
            panic!("`{key}` of section `{}` is no list", self.section.name);
        };
        let Some(node) = self.node(key).filter(|node| !self.is_blank(node)) else {
            return Vec::new();
        };
        if let Some(items) = self.items(node) {
            return items.iter().filter_map(|text| self.fitting(node, key, of, text)).collect();
        }
        match (&node.content, field.shape) {
            (Content::List(items), _) => {
                items.iter().filter_map(|item| self.scalar(item, key, of)).collect()
            }
            (_, Shape::OneOrMore(_)) => self.scalar(node, key, of).into_iter().collect(),
            (_, _) => {
                self.wrong_type(node, key, &field.shape);
                Vec::new()
            }
        }
    }

    /// The table behind a key.
    pub fn table(&self, key: &'static str) -> Option<Reader<'a>> {
        let field = self.field(key);
        let Shape::Table(section) = field.shape else {
            panic!("`{key}` of section `{}` is no table", self.section.name);
        };
        let node = self.node(key)?;
        self.inner(node, section, format!("[{}]", self.path(key))).or_else(|| {
            self.wrong_type(node, key, &field.shape);
            None
        })
    }

    /// The tables `[[key]]`; none if the key is absent.
    pub fn tables(&self, key: &'static str) -> Vec<Reader<'a>> {
        let field = self.field(key);
        let Shape::Tables(section) = field.shape else {
            panic!("`{key}` of section `{}` is no array of tables", self.section.name);
        };
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Content::List(items) = &node.content else {
            self.wrong_type(node, key, &field.shape);
            return Vec::new();
        };
        let read = |item| {
            self.inner(item, section, format!("[[{}]]", self.path(key))).or_else(|| {
                let each = format!("each of `{key}`");
                self.wrong(item, each, &self.path(key), &Shape::Table(section));
                None
            })
        };
        items.iter().filter_map(read).collect()
    }

    /// The tables `[key.NAME]` in the order of the file; none if the key is absent.
    pub fn map(&self, key: &'static str) -> Vec<(Spanned<String>, Reader<'a>)> {
        let field = self.field(key);
        let Shape::Map(section) = field.shape else {
            panic!("`{key}` of section `{}` is no map", self.section.name);
        };
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Content::Table(table) = &node.content else {
            self.wrong_type(node, key, &field.shape);
            return Vec::new();
        };
        let read = |entry: &'a Entry| {
            let name = Spanned::new(entry.key.clone(), self.document.place(entry.key_span.clone()));
            let title = format!("[{}.{}]", self.path(key), entry.key);
            match self.inner(&entry.node, section, title) {
                Some(reader) => Some((name, reader)),
                None => {
                    let path = format!("{}.{}", self.path(key), entry.key);
                    let named = format!("`{path}`");
                    let short = section.short.and_then(|short| section.field(short));
                    let shape = short.map_or(Shape::Table(section), |field| field.shape);
                    self.wrong(&entry.node, named, &path, &shape);
                    None
                }
            }
        };
        table.entries.iter().filter_map(read).collect()
    }

    /// The keys of the author's choice with their values, in the order of the file.
    ///
    /// A dotted key is one key: `net.ipv4.ip_forward = 0` needs no quotation marks. With facts, a
    /// quoted key is a template as a value is.
    pub fn open(&self) -> Vec<(Spanned<String>, Spanned<String>)> {
        let open = self.section.open.as_ref();
        let open = open.unwrap_or_else(|| panic!("section `{}` is not open", self.section.name));
        let mut leaves = Vec::new();
        for entry in self.open_entries() {
            leaves_of(entry, entry.key.clone(), entry.key_span.start, &mut leaves);
        }
        let read = |(key, span, node): (String, Range<usize>, &'a Node)| {
            let place = self.document.place(span);
            let value = self.scalar::<String>(node, &key, &open.shape);
            let key = self.rendered(Spanned::new(key, place))?;
            Some((key, value?))
        };
        leaves.into_iter().filter_map(read).collect()
    }

    /// The variables of an open section, as they are written.
    pub fn vars(&self) -> Vec<(Spanned<String>, Spanned<Var>)> {
        let read = |entry: &'a Entry| {
            let name = Spanned::new(entry.key.clone(), self.document.place(entry.key_span.clone()));
            Some((name, self.var(&entry.node, &entry.key, true)?))
        };
        self.open_entries().filter_map(read).collect()
    }

    fn var(&self, node: &Node, key: &str, lists: bool) -> Option<Spanned<Var>> {
        let var = match &node.content {
            Content::Text(text) => Var::Text(text.clone()),
            Content::Integer(number) => Var::Integer(*number),
            Content::Bool(truth) => Var::Bool(*truth),
            Content::List(items) if lists => {
                let read = |item| self.var(item, key, false);
                Var::List(items.iter().filter_map(read).collect())
            }
            Content::List(_)
            | Content::HugeInteger
            | Content::Float
            | Content::Datetime
            | Content::Table(_) => {
                match lists {
                    true => self.wrong_type(node, key, &Shape::Var),
                    false => self.wrong(node, format!("each of `{key}`"), key, &Shape::Text),
                }
                return None;
            }
        };
        Some(Spanned::new(var, self.document.place(node.span.clone())))
    }

    fn is_blank(&self, node: &Node) -> bool {
        let Content::Text(text) = &node.content else {
            return false;
        };
        let blank = |text: &str| text.trim().is_empty();
        self.section.blank
            && match self.facts.filter(|_| text.contains("{{")) {
                // One that cannot be rendered is told of by whoever asks for it.
                Some(facts) => {
                    let place = self.document.place(node.span.clone());
                    facts.render(&Spanned::new(text.clone(), place)).is_ok_and(|text| blank(&text))
                }
                None => blank(text),
            }
    }

    fn field(&self, key: &str) -> &'static Field {
        let field = self.section.field(key);
        field.unwrap_or_else(|| panic!("section `{}` has no key `{key}`", self.section.name))
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.field(key);
        match self.body {
            Body::Table(table) => table.get(key).map(|entry| &entry.node),
            Body::Short(short, node) => (short == key).then_some(node),
        }
    }

    fn open_entries(&self) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let (section, body) = (self.section, self.body);
        let entries = match body {
            Body::Table(table) => table.entries.as_slice(),
            Body::Short(..) => &[],
        };
        entries.iter().filter(move |entry| section.field(&entry.key).is_none())
    }

    /// The reader of a table inside this one; `None` if there is no table.
    fn inner(
        &self,
        node: &'a Node,
        section: &'static Section,
        title: String,
    ) -> Option<Reader<'a>> {
        let body = match (&node.content, section.short) {
            (Content::Table(table), _) => Body::Table(table),
            (Content::List(_), _) | (_, None) => return None,
            (_, Some(short)) => Body::Short(short, node),
        };
        let span = node.span.clone();
        Some(Reader { section, body, span, title, ..self.clone() }.checked())
    }

    /// `host.web1` of a key of this table.
    fn path(&self, key: &str) -> String {
        let inside = self.title.trim_start_matches('[').trim_end_matches(']');
        let root = self.title == self.document.source.name;
        if root { key.to_owned() } else { format!("{inside}.{key}") }
    }

    fn wrong_type(&self, node: &Node, key: &str, shape: &Shape) {
        self.wrong(node, format!("`{key}`"), &self.path(key), shape);
    }

    /// Reports a value of the wrong type; `named` is what a message calls it.
    fn wrong(&self, node: &Node, named: String, path: &str, shape: &Shape) {
        let place = self.document.place(node.span.clone());
        let title = format!("{named} must be {}, not {}", shape.what(), node.what());
        // A password is shown nowhere.
        let secret = path.ends_with("password") || path.ends_with("secret");
        let advice = advice(node, place.text(), path, shape).filter(|_| !secret);
        let diagnostic = Diagnostic::error(place, title);
        self.report(match advice {
            Some(advice) => diagnostic.help(advice),
            None => diagnostic,
        });
    }
}

/// Every value below a dotted key, with the whole key and where that stands.
fn leaves_of<'a>(
    entry: &'a Entry,
    key: String,
    start: usize,
    leaves: &mut Vec<(String, Range<usize>, &'a Node)>,
) {
    match &entry.node.content {
        Content::Table(table) => {
            for inner in &table.entries {
                // The same first part stands on several lines: count from the nearest one.
                let near = inner.key_span.start >= start;
                let start = if near { start } else { inner.key_span.start };
                leaves_of(inner, format!("{key}.{}", inner.key), start, leaves);
            }
        }
        Content::Text(_)
        | Content::Integer(_)
        | Content::HugeInteger
        | Content::Bool(_)
        | Content::Float
        | Content::Datetime
        | Content::List(_) => leaves.push((key, entry.key_span.clone(), &entry.node)),
    }
}
