//! What a check of kind `http` asks, and what it wants to be told.
//!
//! Whatever stands in a role becomes part of a request, so that anything that would break out of
//! its place there is refused here.

use super::super::element::{Element, items_of};
use super::bytes::Written;
use crate::check::config::{Expectation, Http, HttpRequest, HttpVersion, Pattern};
use crate::document::{Spanned, Value, one_of};
use crate::track::config::Statuses;

impl Value for HttpVersion {
    const WHAT: &'static str = "a version of HTTP";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("1.0", HttpVersion::V10), ("1.1", HttpVersion::V11), ("2", HttpVersion::V2)];
        one_of("version of HTTP", &words, text)
    }
}

/// A path, or several as a list variable renders: `[/a, /b]`.
struct Paths(Vec<String>);

impl Value for Paths {
    const WHAT: &'static str = "a path, such as /health?deep=1";
    const LISTS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let path = |path: &str| {
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
            match path.starts_with('/') || path == "*" {
                true if plain => Ok(path.to_owned()),
                true => {
                    Err(format!("`{path}` has a space or another byte that a path cannot have"))
                }
                false => Err(format!("`{path}` is no path; it has to start with `/`")),
            }
        };
        items_of(text).into_iter().map(path).collect::<Result<_, _>>().map(Paths)
    }
}

/// A word of the protocol: a method, the name of a header.
fn is_token(text: &str) -> bool {
    // RFC 9110 section 5.6.2.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

struct Method(String);

impl Value for Method {
    const WHAT: &'static str = "a method, such as GET or HEAD";

    fn parse(text: &str) -> Result<Self, String> {
        match is_token(text) {
            true if text.to_ascii_uppercase() == text => Ok(Method(text.to_owned())),
            true => Err(format!("`{text}` is no method; write `{}`", text.to_ascii_uppercase())),
            false => Err(format!("`{text}` is no method")),
        }
    }
}

/// What stands in the Host header.
struct HostName(String);

impl Value for HostName {
    const WHAT: &'static str = "a host, such as shop.example or shop.example:8080";

    fn parse(text: &str) -> Result<Self, String> {
        match text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['/', '@']) {
            true => Ok(HostName(text.to_owned())),
            false => Err(format!("`{text}` is no host; it would be like shop.example:8080")),
        }
    }
}

struct Header(String, String);

impl Value for Header {
    const WHAT: &'static str = "a header, such as \"X-Check: converge\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no header; it would be like `X-Check: converge`");
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let plain = value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control());
        match is_token(name) && plain {
            true => Ok(Header(name.to_owned(), value.trim().to_owned())),
            false => Err(wrong()),
        }
    }
}

/// A digest of this many hexadecimal digits.
struct Digits<const COUNT: usize>(String);

impl<const COUNT: usize> Value for Digits<COUNT> {
    const WHAT: &'static str = "a digest in hexadecimal digits";

    fn parse(text: &str) -> Result<Self, String> {
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match hex && text.len() == COUNT {
            true => Ok(Digits(text.to_ascii_lowercase())),
            false => Err(format!("`{text}` is no digest of {COUNT} hexadecimal digits")),
        }
    }
}

/// Reads it. One request for each path.
pub fn read(e: &Element<'_>) -> Option<Http> {
    let version = e.get_or("version", HttpVersion::V11).value;
    let paths: Vec<Spanned<Paths>> = e.words("path");
    let mut paths: Vec<String> = paths.into_iter().flat_map(|paths| paths.value.0).collect();
    if paths.is_empty() {
        paths.push("/".into());
    }
    let headers = e.words::<Header>("headers").into_iter();
    let request = HttpRequest {
        method: e.get_or("method", Method("GET".into())).value.0,
        path: String::new(),
        host: e.get::<HostName>("host").map(|host| host.value.0),
        headers: headers.map(|Spanned { value: Header(name, text), .. }| (name, text)).collect(),
        body: e.get::<Written>("body").map(|body| body.value.0).unwrap_or_default(),
        status: e.get_or("status", Statuses::default()).value,
        expect: expectations(e),
    };
    let requests = paths.into_iter().map(|path| HttpRequest { path, ..request.clone() }).collect();
    Some(Http { version, requests })
}

fn expectations(e: &Element<'_>) -> Vec<Expectation> {
    let texts = e.words::<Written>("expect").into_iter();
    let mut all: Vec<Expectation> = texts
        .filter(|text| !text.value.0.is_empty())
        .map(|text| Expectation::Text(text.value.0))
        .collect();
    let patterns = |key| e.words::<Pattern>(key).into_iter().map(|pattern| pattern.value);
    all.extend(patterns("matches").map(Expectation::Matches));
    all.extend(patterns("matches-not").map(Expectation::MatchesNot));
    all.extend(e.get::<Digits<32>>("md5").map(|digits| Expectation::Md5(digits.value.0)));
    all.extend(e.get::<Digits<64>>("sha256").map(|digits| Expectation::Sha256(digits.value.0)));
    all
}
