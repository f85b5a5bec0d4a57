//! `fallback`: who answers when the real servers cannot.
//!
//! A list; the first of it that is well answers. `sorry` is converge itself, with status 503 and a
//! page; `local` is whatever else listens on this host; an address with a port is another machine.
//! `auto` is `sorry` where clients speak plain HTTP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::element::{Element, items_of};
use crate::document::{Field, Rendered, Shape, Spanned, Value, unknown};

/// The port where clients speak plain HTTP.
pub const PLAIN_HTTP: u16 = 80;

/// `fallback`.
pub const FALLBACK: Field = Field::optional(
    "fallback",
    Shape::OneOrMore(&Shape::Text),
    "Who answers when the quorum is lost, the first that is well: sorry (converge, with 503 and a \
     page), local (this host), or address:port.",
);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// converge itself.
    Sorry,
    /// This host.
    Local,
    /// Another machine.
    At(SocketAddr),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::Sorry => f.write_str("sorry"),
            Fallback::Local => f.write_str("local"),
            Fallback::At(at) => at.fmt(f),
        }
    }
}

/// One word of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Whatever fits.
    Auto,
    /// This.
    This(Fallback),
}

/// Several words, as a list variable renders: `[10.0.0.9:80, sorry]`.
struct Several(Vec<Named>);

impl Value for Several {
    const WHAT: &'static str = "sorry, local, or an address with a port such as 192.0.2.9:80";
    const LISTS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        // An address in brackets has its port behind them.
        let parts = items_of(text).into_iter().flat_map(|item| item.split([',', ' ']));
        let words = parts.filter(|word| !word.is_empty());
        words.map(named).collect::<Result<_, _>>().map(Several)
    }
}

fn named(word: &str) -> Result<Named, String> {
    match word {
        "auto" => Ok(Named::Auto),
        "none" => Err("`none` is no fallback; leave it empty: \"\"".into()),
        "sorry" => Ok(Named::This(Fallback::Sorry)),
        "local" => Ok(Named::This(Fallback::Local)),
        _ => match word.parse::<SocketAddr>() {
            // What listens on this host takes what comes for the VIP.
            Ok(at) if at.ip().is_loopback() => Ok(Named::This(Fallback::Local)),
            Ok(at) => Ok(Named::This(Fallback::At(at))),
            Err(_) => Err(match word.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => format!("`{word}` has no port; write `{word}:80`"),
                Ok(IpAddr::V6(_)) => format!("`{word}` has no port; write `[{word}]:80`"),
                Err(_) => unknown("fallback", word, &["sorry", "local", "address:port"]),
            }),
        },
    }
}

/// Reads the list. Each word is placed where the cluster file has it, if a variable gives it.
pub fn read(e: &Element<'_>) -> Vec<Spanned<Named>> {
    // What is wrong is reported here.
    let fit = e.words::<Several>("fallback").len();
    let texts = e.words::<Rendered>("fallback");
    if fit < texts.len() {
        return Vec::new();
    }
    let each = texts.into_iter().flat_map(|text| {
        let place = e.set_at(&text.place, &text.value.0).unwrap_or(text.place);
        let all = Several::parse(&text.value.0).map_or_else(|_| Vec::new(), |several| several.0);
        all.into_iter().map(move |one| Spanned::new(one, place.clone()))
    });
    each.collect()
}
