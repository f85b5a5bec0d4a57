//! What a name stands for; and if for nothing, which name was meant.
//!
//! The candidates are the names that exist at the level of the part that is unknown, so that
//! `{{host.nsf.address}}` is answered with hosts and `{{vars.prot}}` with variables.

use serde_json::Value as Json;

use super::uses::{Manner, Scope, Use};
use crate::diagnostic::suggest;
use crate::document::listed;

/// More names than that are no help.
const MOST_LISTED: usize = 24;

/// A name in its parts.
#[derive(Clone, Debug)]
pub(super) struct Name<'a> {
    /// Whether it begins with `@root`.
    root: bool,
    /// How many `../` it begins with.
    up: usize,
    /// Each part with where it begins in the name.
    parts: Vec<(usize, &'a str)>,
}

impl<'a> Name<'a> {
    pub(super) fn parse(raw: &'a str) -> Name<'a> {
        let mut name = Name { root: false, up: 0, parts: Vec::new() };
        let mut at = 0;
        while at < raw.len() {
            let rest = &raw[at..];
            let (part, skip) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
            {
                Some((inner, _)) => (inner, inner.len() + 2),
                None if rest.starts_with("../") => ("..", 2),
                None if rest == ".." => ("..", 2),
                None => {
                    let end = rest.find(['.', '/']).unwrap_or(rest.len());
                    (&rest[..end], end)
                }
            };
            match part {
                "@root" if at == 0 => name.root = true,
                ".." => name.up += 1,
                "this" | "" if name.parts.is_empty() => {}
                part => {
                    let bracket = usize::from(rest.starts_with('['));
                    name.parts.push((at + bracket, part));
                }
            }
            at += skip + 1;
        }
        name
    }
}

impl<'a> Name<'a> {
    /// The first part; none of `this`.
    pub(super) fn first(&self) -> Option<&'a str> {
        self.parts.first().map(|(_, part)| *part)
    }

    /// All of them.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().map(|(_, part)| *part)
    }
}

/// Why a name stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// A part of it is not there.
    Unknown {
        /// Where the part stands in the name, in bytes.
        at: usize,
        /// The part.
        part: String,
        /// The name up to the part; empty for the first.
        parent: String,
        /// What is there in its place.
        known: Vec<String>,
    },
    /// It is a variable that could not be rendered, of which the author was told.
    Told,
    /// Only the rendering can know it.
    Undecided,
}

/// What a use stands for.
pub(super) fn resolve<'a>(used: &Use<'a>) -> Result<&'a Json, Miss> {
    let name = used.name();
    let scope = match name.root {
        true => used.scopes.first(),
        false => used.scopes.iter().rev().nth(name.up),
    };
    let mut parts = name.parts.iter();
    let mut parent = String::new();
    let mut value: &'a Json = match scope {
        None | Some(Scope::Unknown) => return Err(Miss::Undecided),
        Some(Scope::Item(item)) => item,
        Some(Scope::Root(facts)) => {
            let (at, part) = parts.next().ok_or(Miss::Undecided)?;
            let known = || facts.names().into_iter().map(str::to_owned).collect();
            parent.push_str(part);
            facts.get(part).ok_or_else(|| unknown(*at, part, "", known()))?
        }
    };
    for (at, part) in parts {
        let next = match value {
            Json::Object(object) => object.get(*part),
            Json::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        };
        value = match next {
            Some(Json::Null) if parent.ends_with("vars") => return Err(Miss::Told),
            Some(next) if !next.is_null() => next,
            Some(_) | None => return Err(unknown(*at, part, &parent, keys(value))),
        };
        if !parent.is_empty() {
            parent.push('.');
        }
        parent.push_str(part);
    }
    Ok(value)
}

fn unknown(at: usize, part: &str, parent: &str, known: Vec<String>) -> Miss {
    Miss::Unknown { at, part: part.to_owned(), parent: parent.to_owned(), known }
}

fn keys(value: &Json) -> Vec<String> {
    match value {
        Json::Object(object) => object.keys().cloned().collect(),
        Json::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    }
}

/// Whether a name may be missing because it is only asked whether it is there. What the cluster
/// file and the roles define by name must be there all the same: `{{#if vip.wbe}}` is a slip.
pub(super) fn may_be_missing(used: &Use<'_>, miss: &Miss) -> bool {
    let Miss::Unknown { part, parent, known, .. } = miss else {
        return false;
    };
    let fixed = matches!(parent.as_str(), "" | "host" | "vip" | "roles" | "cluster");
    let host_or_vip = known.iter().any(|key| key == "cidr");
    let optional = matches!(part.as_str(), "mac" | "label" | "interface");
    used.manner == Manner::Condition && if host_or_vip { optional } else { !fixed }
}

/// What is wrong with a name, and what would be right.
pub(super) struct Said {
    pub(super) title: String,
    pub(super) help: Option<String>,
}

impl Use<'_> {
    /// A name as it is written at this place: with braces where it is a text.
    fn braced(&self, name: &str) -> String {
        match self.manner {
            Manner::Text => format!("{{{{{name}}}}}"),
            Manner::Argument | Manner::Condition => name.to_owned(),
        }
    }
}

/// Says that a part of a name is unknown.
pub(super) fn say_unknown(used: &Use<'_>, miss: &Miss) -> Option<Said> {
    let Miss::Unknown { at, part, parent, known } = miss else {
        return None;
    };
    let raw = used.raw;
    let here: Vec<&str> = known.iter().map(String::as_str).collect();
    let last = parent.rsplit('.').next().unwrap_or_default();
    let (nothing, plural) = match (last, parent.as_str()) {
        ("", _) => (format!("there is no `{part}`"), "the names here"),
        (_, "host") => (format!("there is no host `{part}`"), "the hosts"),
        (_, "vip") => (format!("there is no VIP `{part}`"), "the VIPs"),
        (_, "roles") => (format!("there is no role `{part}`"), "the roles"),
        (role, parent) if parent.starts_with("roles.") && here.is_empty() => {
            (format!("no host has the role `{role}`"), "")
        }
        ("vars", _) => (format!("there is no variable `{part}`"), "the variables"),
        (_, parent) if part.parse::<usize>().is_ok() => {
            (format!("`{parent}` has {} entries, counted from 0", here.len()), "")
        }
        (_, parent) => (format!("`{parent}` has no `{part}`"), "it has"),
    };
    let title = format!("`{}`: {nothing}", used.braced(raw));
    let inside = used.scopes.len() > 1 && parent.is_empty();
    let at_root =
        matches!(used.scopes.first(), Some(Scope::Root(facts)) if facts.get(part).is_some());
    if inside && at_root {
        let help = format!(
            "inside a block, names are those of the item; for all others write `{}`",
            used.braced(&format!("@root.{raw}"))
        );
        return Some(Said { title, help: Some(help) });
    }
    if let Some(help) = elsewhere(part, parent) {
        return Some(Said { title, help: Some(help.to_owned()) });
    }
    if plural.is_empty() {
        return Some(Said { title, help: None });
    }
    if let Some(full) = here.iter().find(|key| key.split('.').next() == Some(part)) {
        let help = format!("a name with dots stands in brackets: `[{full}]`");
        return Some(Said { title, help: Some(help) });
    }
    if let Some(meant) = suggest(part, here.iter().copied()) {
        let end = at + part.len();
        let right = format!("{}{meant}{}", &raw[..*at], &raw[end.min(raw.len())..]);
        let help = format!("write `{}`", used.braced(&right));
        return Some(Said { title: format!("{title}; did you mean `{meant}`?"), help: Some(help) });
    }
    let few = (1..=MOST_LISTED).contains(&here.len());
    let help = few.then(|| format!("{plural}: {}", listed(&here)));
    Some(Said { title, help })
}

/// Where a name is known that is not known here.
fn elsewhere(part: &str, parent: &str) -> Option<&'static str> {
    match (part, parent) {
        ("each", "") => Some("`each` is known only in a section with `for-each = …`"),
        ("vars", "") => Some("a variable cannot be made of other variables"),
        ("survey", "") => Some("a variable cannot be made of what a machine was found to be"),
        _ => None,
    }
}

/// Says that a name stands for something that is no text, if it is so.
pub(super) fn say_no_text(used: &Use<'_>, value: &Json) -> Option<Said> {
    let raw = used.raw;
    let said = match value {
        Json::Object(object) if object.contains_key("address") => Said {
            title: format!("`{{{{{raw}}}}}` is more than one value"),
            help: Some(format!("write `{{{{{raw}.address}}}}` for its address")),
        },
        Json::Object(_) => Said {
            title: format!("`{{{{{raw}}}}}` is more than one value"),
            help: Some(format!("write one of {}", listed(&below(raw, &keys(value))))),
        },
        // A list of plain values reads as `[80, 443]`, which whoever takes a list understands.
        Json::Array(items) if !items.iter().any(|item| item.is_object() || item.is_array()) => {
            return None;
        }
        Json::Array(items) => {
            let item = if items.iter().any(Json::is_object) { "name" } else { "this" };
            let help = format!("write `{{{{#each {raw}}}}}{{{{{item}}}}}{{{{/each}}}}`");
            Said { title: format!("`{{{{{raw}}}}}` is a list, not a text"), help: Some(help) }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
    };
    Some(said)
}

fn below(raw: &str, keys: &[String]) -> Vec<String> {
    keys.iter().map(|key| format!("{{{{{raw}.{key}}}}}")).collect()
}
