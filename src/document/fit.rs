//! Whether a value fits its key, and what to say when it does not.
//!
//! The shape in the section is asked before the type that the value becomes, so that the check, the
//! JSON Schema and the message say the same.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::tree::{Content, Node};
use super::{Shape, Value, unknown};

/// Holds a text against what the shape alone can tell.
pub(super) fn fits(shape: &Shape, key: &str, text: &str) -> Result<(), String> {
    match shape {
        // Of a single number, such as a version, the type knows better what to say.
        Shape::Integer { min, max } if min == max => Ok(()),
        Shape::Integer { min, max } => within(text, *min, *max),
        Shape::OneOf(words) if !words.contains(&text) => Err(match (text, *words) {
            ("true" | "yes", words) if words.contains(&"on") => {
                format!("`{text}` is called `on` here")
            }
            ("false" | "no", words) if words.contains(&"off") => {
                format!("`{text}` is called `off` here")
            }
            (text, words) => unknown(key, text, words),
        }),
        Shape::Bool => bool::parse(text).map(drop),
        Shape::Address => IpAddr::parse(text).map(drop),
        Shape::Prefix => IpNet::parse(text).map(drop),
        Shape::AddressOrPrefix if text.contains('/') => IpNet::parse(text).map(drop),
        Shape::AddressOrPrefix => IpAddr::parse(text).map(drop),
        Shape::Duration => Duration::parse(text).map(drop),
        Shape::Path => PathBuf::parse(text).map(drop),
        Shape::OneOrMore(of) => fits(of, key, text),
        Shape::OneOf(_)
        | Shape::Text
        | Shape::Var
        | Shape::List(_)
        | Shape::Table(_)
        | Shape::Tables(_)
        | Shape::Map(_) => Ok(()),
    }
}

fn within(text: &str, min: i64, max: i64) -> Result<(), String> {
    match text.parse::<i128>() {
        Ok(number) if number < min.into() => {
            Err(format!("`{text}` is below {min}, the smallest allowed"))
        }
        Ok(number) if number > max.into() => {
            Err(format!("`{text}` is above {max}, the largest allowed"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{text}` is not a whole number")),
    }
}

/// What a key wants: the shape says it better than the type, unless it only says "a text".
pub(super) fn wanted<T: Value>(shape: &Shape) -> String {
    if matches!(shape, Shape::Text | Shape::Var) { T::WHAT.to_owned() } else { shape.what() }
}

/// What would be right; `written` is the value as it stands in the file.
pub(super) fn advice(node: &Node, written: &str, path: &str, shape: &Shape) -> Option<String> {
    let key = path.rsplit('.').next().unwrap_or(path);
    match (shape, &node.content) {
        (Shape::Tables(_), _) => Some(format!("begin each with a header of its own: [[{path}]]")),
        (Shape::Table(_), _) => Some(format!("write the header [{path}], and its keys below it")),
        (Shape::Map(_), _) => {
            Some(format!("write a header for each: [{path}.NAME], and its keys below it"))
        }
        (Shape::List(_), Content::Table(_)) => Some(format!("write {key} = {}", shape.example()?)),
        (Shape::List(_), _) => Some(format!("put it into brackets: {key} = [{written}]")),
        (Shape::Integer { .. } | Shape::Duration, Content::Float) => {
            Some("write it without a fraction, in a smaller unit if need be".into())
        }
        (Shape::Var, Content::Float) => Some(format!(
            "write a whole number, in a smaller unit if need be; a text stands in quotation marks: \
             \"{written}\""
        )),
        (Shape::Integer { .. } | Shape::Bool, _) => None,
        (_, Content::Float | Content::Datetime | Content::HugeInteger) => {
            Some(format!("put it into quotation marks: \"{written}\""))
        }
        _ => None,
    }
}
