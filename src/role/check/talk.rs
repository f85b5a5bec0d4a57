//! What checks say over a connection: mail, databases, directories, or what the role writes.
//!
//! The words of each protocol are not known here but in [`crate::check`]; a role says who logs in
//! and what has to be there.

use super::super::element::Element;
use super::bytes::Written;
use super::{datagram, http, login, words};
use crate::check::config::{Expectation, Pattern, Protocol, Turn};
use crate::diagnostic::Diagnostic;
use crate::document::Spanned;

/// Whom SIP is asked about, unless the role says.
pub const SIP_USER: &str = "ping";

/// Reads what a check of this kind says; `None` if it is wrong.
pub fn read(e: &Element<'_>, kind: &str) -> Option<Protocol> {
    Some(match kind {
        "http" | "https" => Protocol::Http(http::read(e)?),
        "smtp" => {
            let helo = e.text("helo").unwrap_or_else(|| e.me().name.value.to_string());
            Protocol::Smtp { helo }
        }
        "ftp" => Protocol::Ftp(login::optional(e)?),
        "imap" => Protocol::Imap(login::optional(e)?),
        "pop3" => Protocol::Pop3(login::optional(e)?),
        "nntp" => Protocol::Nntp(login::optional(e)?),
        "redis" => Protocol::Redis { login: login::redis(e) },
        "mysql" => Protocol::Mysql { login: login::optional(e)?, cleartext: cleartext(e) },
        "postgres" => {
            let login = login::required(e, kind)?;
            let database = e.text("database").unwrap_or_default();
            Protocol::Postgres { login, database, cleartext: cleartext(e) }
        }
        "ldap" => Protocol::Ldap { login: login::ldap(e)?, base: e.text("base") },
        "dns" => Protocol::Dns(datagram::dns(e)?),
        "sip" => Protocol::Sip { user: e.text("user").unwrap_or_else(|| SIP_USER.into()) },
        "agent" => {
            let send = e.words::<Written>("send").into_iter().flat_map(|part| part.value.0);
            Protocol::Agent { send: send.collect() }
        }
        _ => Protocol::Expect(turns(e)?),
    })
}

fn cleartext(e: &Element<'_>) -> bool {
    e.get::<bool>("cleartext").is_some_and(|cleartext| cleartext.value)
}

/// `send` and `expect`, the first with the first and so on.
fn turns(e: &Element<'_>) -> Option<Vec<Turn>> {
    let send: Vec<Spanned<Written>> = e.words("send");
    let expect: Vec<Spanned<Written>> = e.words("expect");
    let matches: Vec<Spanned<String>> = e.words("matches");
    let count = send.len().max(expect.len()).max(matches.len());
    if expect.is_empty() && matches.is_empty() {
        let title = "a check of kind `expect` expects nothing";
        let diagnostic = words::needs(e, "expect", title.to_owned());
        let help = "add `expect`, or `matches` for a pattern; `kind = \"tcp\"` only connects";
        e.report(match e.variable("kind") {
            Some(_) => diagnostic,
            None => diagnostic.help(help),
        });
        return None;
    }
    let turn = |number: usize| {
        let text = |all: &[Spanned<Written>]| all.get(number).map(|part| part.value.0.clone());
        let expected = text(&expect).filter(|text| !text.is_empty());
        let pattern = matches.get(number).filter(|pattern| !pattern.value.is_empty());
        let expect = match (expected, pattern) {
            (Some(_), Some(pattern)) => {
                let title = format!("turn {} has both `expect` and `matches`", number + 1);
                let help = "leave one of the two empty: \"\"";
                e.report(Diagnostic::error(pattern.place.clone(), title).help(help));
                return None;
            }
            (Some(text), None) => Some(Expectation::Text(text)),
            (None, Some(pattern)) => Some(Expectation::Matches(pattern_of(e, pattern)?)),
            (None, None) => None,
        };
        Some(Turn { send: text(&send).unwrap_or_default(), expect })
    };
    (0..count).map(turn).collect()
}

fn pattern_of(e: &Element<'_>, pattern: &Spanned<String>) -> Option<Pattern> {
    let wrong = |wrong| {
        let title = format!("`{pattern}` is no regular expression: {wrong}");
        e.report(Diagnostic::error(pattern.place.clone(), title));
    };
    Pattern::new(&pattern.value).map_err(wrong).ok()
}
