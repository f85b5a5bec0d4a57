//! Bytes in a role file: a text with `\x0d` and its like, or `hex:` and digits.
//!
//! A payload, an answer, a body: whatever goes over the wire as it stands. Regular expressions are
//! taken here too, since they are matched with bytes.

use crate::check::config::{Bytes, Pattern};
use crate::document::Value;

/// What begins bytes that are written as digits.
const HEX: &str = "hex:";

/// Bytes of any value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written(pub Bytes);

impl Value for Written {
    const WHAT: &'static str =
        "a text, with \\xHH, \\r and \\n, or hexadecimal digits after \"hex:\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix(HEX) {
            Some(digits) => {
                let byte = |byte| match byte {
                    Some(byte) => Ok(byte),
                    None => Err(format!("`??` in `{text}`: any byte is for a reply alone")),
                };
                digits_of(text, digits)?
                    .into_iter()
                    .map(byte)
                    .collect::<Result<_, _>>()
                    .map(Written)
            }
            None => escaped(text).map(Written),
        }
    }
}

/// How a reply begins, with `??` for any byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begins(pub Vec<Option<u8>>);

impl Value for Begins {
    const WHAT: &'static str = "a text, or hexadecimal digits after \"hex:\", ?? for any byte";

    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix(HEX) {
            Some(digits) => digits_of(text, digits).map(Begins),
            None => Ok(Begins(escaped(text)?.into_iter().map(Some).collect())),
        }
    }
}

impl Value for Pattern {
    const WHAT: &'static str = "a regular expression";

    fn parse(text: &str) -> Result<Self, String> {
        Pattern::new(text).map_err(|wrong| format!("`{text}` is no regular expression: {wrong}"))
    }
}

fn digits_of(text: &str, digits: &str) -> Result<Vec<Option<u8>>, String> {
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    if !digits.len().is_multiple_of(2) {
        return Err(format!("`{text}` has half a byte; two digits are one"));
    }
    let pair = |pair: &[char]| match pair {
        ['?', '?'] => Ok(None),
        [high, low] => {
            let digit = |c: &char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let byte = digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low);
            let wrong = || format!("`{high}{low}` in `{text}` is no hexadecimal byte");
            byte.map(Some).ok_or_else(wrong)
        }
        _ => Err(format!("`{text}` has half a byte; two digits are one")),
    };
    digits.chunks(2).map(pair).collect()
}

fn escaped(text: &str) -> Result<Bytes, String> {
    let mut bytes = Bytes::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escape = rest.next();
        bytes.push(match escape {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let pair: String = rest.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&pair, 16).ok().filter(|_| pair.len() == 2);
                byte.ok_or_else(|| format!("`\\x{pair}` in `{text}` wants two hexadecimal digits"))?
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    "`\\{other}` in `{text}` means nothing; there are \\r, \\n, \\t, \\0, \\xHH \
                     and \\\\"
                ));
            }
        });
    }
    Ok(bytes)
}
