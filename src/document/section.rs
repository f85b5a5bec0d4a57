//! What may stand in a table: one static description per section of a file.
//!
//! It is the single source for the unknown and missing keys that a [`super::Reader`] reports, for
//! the JSON Schema that an editor completes from, and for the reference documentation.

/// What may stand in a table.
#[derive(Debug)]
pub struct Section {
    /// Its name, for messages and documentation.
    pub name: &'static str,
    /// What it is for, in a sentence or two.
    pub doc: &'static str,
    /// The keys that it has.
    pub fields: &'static [Field],
    /// Keys beyond those, chosen by the author.
    pub open: Option<OpenKeys>,
    /// The key that is meant when a bare value stands in place of the table.
    pub short: Option<&'static str>,
    /// Whether an empty text counts as left out, so that a role can pass a variable on that may
    /// be empty.
    pub blank: bool,
    /// Which keys are of use may hang on what one of them says: that one, and whether another
    /// belongs to what it says.
    pub by: Option<(&'static str, Belongs)>,
}

/// Whether a key, the second, belongs to what another key says, the first.
pub type Belongs = fn(&str, &str) -> bool;

/// Keys chosen by the author: names of sysctls, of variables.
#[derive(Debug)]
pub struct OpenKeys {
    /// What such a key names: "a variable".
    pub what: &'static str,
    /// What may stand behind it.
    pub shape: Shape,
    /// What it is for.
    pub doc: &'static str,
}

/// A key that a section has.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What may stand behind it.
    pub shape: Shape,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is for.
    pub doc: &'static str,
    /// What holds when it is left out, as the author would write it; for the documentation.
    pub default: Option<&'static str>,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any text.
    Text,
    /// A whole number within bounds.
    Integer {
        /// The smallest that is allowed.
        min: i64,
        /// The largest that is allowed.
        max: i64,
    },
    /// `true` or `false`.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An IP address.
    Address,
    /// An IP address with prefix length.
    Prefix,
    /// An IP address; its prefix length may be left out.
    AddressOrPrefix,
    /// A length of time: `"500ms"`, `"3s"`, `"1m"`.
    Duration,
    /// An absolute path.
    Path,
    /// A scalar or a list of scalars: the value of a variable.
    Var,
    /// A list.
    List(&'static Shape),
    /// One value, or a list of such.
    OneOrMore(&'static Shape),
    /// A table: `[key]`.
    Table(&'static Section),
    /// Any number of tables: `[[key]]`.
    Tables(&'static Section),
    /// Tables by name: `[key.NAME]`.
    Map(&'static Section),
}

impl Section {
    /// A section with fixed keys.
    pub const fn new(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Section {
        Section { name, doc, fields, open: None, short: None, blank: false, by: None }
    }

    /// Allows keys of the author's choice.
    pub const fn open(self, what: &'static str, shape: Shape, doc: &'static str) -> Section {
        Section { open: Some(OpenKeys { what, shape, doc }), ..self }
    }

    /// Allows a bare value in place of the table; it stands for this key.
    pub const fn short(self, key: &'static str) -> Section {
        Section { short: Some(key), ..self }
    }

    /// Takes an empty text for a key that is left out.
    pub const fn blank(self) -> Section {
        Section { blank: true, ..self }
    }

    /// Says which keys belong to what the key `by` says.
    pub const fn by(self, by: &'static str, belongs: Belongs) -> Section {
        Section { by: Some((by, belongs)), ..self }
    }

    /// The field of this key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Field {
    /// A key that has to be there.
    pub const fn required(key: &'static str, shape: Shape, doc: &'static str) -> Field {
        Field { key, shape, required: true, doc, default: None }
    }

    /// A key that may be left out.
    pub const fn optional(key: &'static str, shape: Shape, doc: &'static str) -> Field {
        Field { key, shape, required: false, doc, default: None }
    }

    /// Says what holds when it is left out.
    pub const fn default(self, default: &'static str) -> Field {
        Field { default: Some(default), ..self }
    }
}

impl Shape {
    /// What it is called in a message: "a whole number from 1 to 65535".
    pub fn what(&self) -> String {
        match self {
            Shape::Text => "a text".into(),
            Shape::Integer { min, max } if min == max => format!("the number {min}"),
            Shape::Integer { min, max: i64::MAX } => format!("a whole number from {min}"),
            Shape::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Shape::Bool => "true or false".into(),
            Shape::OneOf(words) => format!("one of {}", words.join(", ")),
            Shape::Address => "an IP address".into(),
            Shape::Prefix => "an IP address with prefix, such as \"192.0.2.1/24\"".into(),
            Shape::AddressOrPrefix => "an IP address, with or without prefix length".into(),
            Shape::Duration => "a length of time, such as \"500ms\", \"3s\" or \"1m\"".into(),
            Shape::Path => "an absolute path".into(),
            Shape::Var => "a text, a number, true or false, or a list of those".into(),
            Shape::List(of) => format!("a list, each {}", of.what()),
            Shape::OneOrMore(of) => format!("{}, or a list of such", of.what()),
            Shape::Table(_) => "a table".into(),
            Shape::Tables(_) => "tables".into(),
            Shape::Map(_) => "tables by name".into(),
        }
    }

    /// A value as it might be written; of tables there is none.
    pub fn example(&self) -> Option<String> {
        let example = match self {
            Shape::Text | Shape::Var => "\"…\"".into(),
            Shape::Integer { min, .. } => min.to_string(),
            Shape::Bool => "true".into(),
            Shape::OneOf(words) => format!("\"{}\"", words.first()?),
            Shape::Address | Shape::AddressOrPrefix => "\"192.0.2.10\"".into(),
            Shape::Prefix => "\"192.0.2.10/24\"".into(),
            Shape::Duration => "\"3s\"".into(),
            Shape::Path => "\"/…\"".into(),
            Shape::List(of) => format!("[{}]", of.example()?),
            Shape::OneOrMore(of) => of.example()?,
            Shape::Table(_) | Shape::Tables(_) | Shape::Map(_) => return None,
        };
        Some(example)
    }
}
