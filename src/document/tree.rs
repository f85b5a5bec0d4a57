//! A TOML file as a tree in which every key and every value knows where it stands.
//!
//! Owned, and in the order of the file: the parser's own tree borrows the text and is sorted by
//! key.

use std::ops::Range;

use toml::Spanned as TomlSpanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

/// A table's keys in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key and what stands behind it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands; of a table, the last part of its header.
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// A value and where it stands; of a table with a header, the header.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) content: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String),
    Integer(i64),
    /// A whole number that is beyond 64 bits.
    HugeInteger,
    Bool(bool),
    Float,
    Datetime,
    List(Vec<Node>),
    Table(Table),
}

impl Table {
    pub(super) fn from_toml(table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table.iter().map(Entry::from_toml).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        Table { entries }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Entry {
    fn from_toml((key, value): (&TomlSpanned<DeString<'_>>, &TomlSpanned<DeValue<'_>>)) -> Entry {
        let node = Node::from_toml(value);
        Entry { key: key.get_ref().to_string(), key_span: key.span(), node }
    }
}

impl Node {
    fn from_toml(value: &TomlSpanned<DeValue<'_>>) -> Node {
        Node { span: value.span(), content: Content::from_toml(value.get_ref()) }
    }

    /// What it is, for a message: "a list".
    pub(super) fn what(&self) -> &'static str {
        match self.content {
            Content::Text(_) => "a text",
            Content::Integer(_) => "a whole number",
            Content::HugeInteger => "a whole number beyond 64 bits",
            Content::Bool(true) => "true",
            Content::Bool(false) => "false",
            Content::Float => "a number with a fraction",
            Content::Datetime => "a date or time",
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
        }
    }

    /// Whether a template in it names this.
    pub(super) fn mentions(&self, name: &str) -> bool {
        match &self.content {
            Content::Text(text) => text.contains("{{") && text.contains(name),
            Content::List(nodes) => nodes.iter().any(|node| node.mentions(name)),
            Content::Table(table) => table.entries.iter().any(|entry| entry.node.mentions(name)),
            Content::Integer(_)
            | Content::HugeInteger
            | Content::Bool(_)
            | Content::Float
            | Content::Datetime => false,
        }
    }

    /// The value as text, if it is a text, a whole number or a truth value.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.content {
            Content::Text(text) => Some(text.clone()),
            Content::Integer(number) => Some(number.to_string()),
            Content::Bool(truth) => Some(truth.to_string()),
            Content::HugeInteger
            | Content::Float
            | Content::Datetime
            | Content::List(_)
            | Content::Table(_) => None,
        }
    }
}

impl Content {
    fn from_toml(value: &DeValue<'_>) -> Content {
        match value {
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Integer(number) => Content::integer(number),
            DeValue::Float(_) => Content::Float,
            DeValue::Boolean(truth) => Content::Bool(*truth),
            DeValue::Datetime(_) => Content::Datetime,
            DeValue::Array(items) => Content::List(items.iter().map(Node::from_toml).collect()),
            DeValue::Table(table) => Content::Table(Table::from_toml(table)),
        }
    }

    fn integer(number: &DeInteger<'_>) -> Content {
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Content::Integer(number),
            Err(_) => Content::HugeInteger,
        }
    }
}
