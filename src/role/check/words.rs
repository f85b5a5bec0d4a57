//! The kinds of checks and the keys that belong to each.
//!
//! A key in a check that could not use it is a slip: its author believes that something is looked
//! at which is not.

use super::super::element::Element;
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::listed;
use crate::ipvs::model::Protocol;

/// The kinds, in the order in which the documentation has them.
pub const KINDS: &[&str] = &[
    "auto", "tcp", "http", "https", "ping", "udp", "dns", "smtp", "ftp", "imap", "pop3", "nntp",
    "redis", "mysql", "postgres", "ldap", "sip", "radius", "expect", "agent", "script", "file",
    "vip", "off",
];

/// More kinds than that are not listed in a message.
const MOST_LISTED: usize = 6;

/// What other programs call a kind.
const ALIASES: &[(&str, &str)] = &[
    ("icmp", "ping"),
    ("connect", "tcp"),
    ("external", "script"),
    ("misc", "script"),
    ("pgsql", "postgres"),
    ("postgresql", "postgres"),
    ("mariadb", "mysql"),
];

/// The kinds that speak over a connection of their own.
const STREAMS: &[&str] = &[
    "tcp", "http", "https", "smtp", "ftp", "imap", "pop3", "nntp", "redis", "mysql", "postgres",
    "ldap", "expect", "agent",
];

const HTTP: &[&str] = &["http", "https"];

/// The kinds that can begin TLS after a word of their protocol.
pub const UPGRADING: &[&str] =
    &["smtp", "ftp", "imap", "pop3", "nntp", "mysql", "postgres", "ldap"];

/// The kinds whose password can be read by whoever is on the way, without TLS.
pub const READABLE: &[&str] =
    &["ftp", "imap", "pop3", "nntp", "redis", "mysql", "postgres", "ldap"];

/// The keys that do not belong to every kind, each with those that it belongs to.
const BELONGING: &[(&str, &[&str])] = &[
    (
        "port",
        &[
            "auto", "tcp", "http", "https", "udp", "dns", "smtp", "ftp", "imap", "pop3", "nntp",
            "redis", "mysql", "postgres", "ldap", "sip", "radius", "expect", "agent", "vip",
        ],
    ),
    (
        "address",
        &[
            "auto", "tcp", "http", "https", "ping", "udp", "dns", "smtp", "ftp", "imap", "pop3",
            "nntp", "redis", "mysql", "postgres", "ldap", "sip", "radius", "expect", "agent",
        ],
    ),
    ("tls", STREAMS),
    ("verify", STREAMS),
    ("ca", STREAMS),
    ("warn-before", STREAMS),
    ("version", HTTP),
    ("method", HTTP),
    ("path", HTTP),
    ("host", HTTP),
    ("headers", HTTP),
    ("body", HTTP),
    ("status", HTTP),
    ("md5", HTTP),
    ("sha256", HTTP),
    ("matches-not", HTTP),
    ("matches", &["http", "https", "expect"]),
    ("expect", &["http", "https", "expect"]),
    ("send", &["expect", "agent"]),
    (
        "user",
        &[
            "ftp", "imap", "pop3", "nntp", "redis", "mysql", "postgres", "ldap", "radius", "sip",
            "script",
        ],
    ),
    ("password", &["ftp", "imap", "pop3", "nntp", "redis", "mysql", "postgres", "ldap", "radius"]),
    ("cleartext", READABLE),
    ("secret", &["radius"]),
    ("database", &["postgres"]),
    ("base", &["ldap"]),
    ("helo", &["smtp"]),
    ("record", &["dns"]),
    ("answer", &["dns"]),
    ("payload", &["udp"]),
    ("reply", &["udp"]),
    ("min-length", &["udp"]),
    ("max-length", &["udp"]),
    ("script", &["script"]),
    ("file", &["file"]),
    ("dynamic", &["script", "file"]),
];

/// The keys that say something about TLS alone, where `name` is not the name that DNS is asked for.
const OF_TLS: &[&str] = &["name", "verify", "ca", "warn-before"];

/// Whether a key says anything about a check of this kind. Of a kind that there is not all may.
pub fn fits(kind: &str, key: &str) -> bool {
    let of_tls = key == "name" && kind != "dns" && !STREAMS.contains(&kind);
    let listed = BELONGING.iter().find(|(known, _)| *known == key);
    !KINDS.contains(&kind) || !of_tls && listed.is_none_or(|(_, kinds)| kinds.contains(&kind))
}

/// Whether all keys belong to a check of this kind; says which do not.
pub fn belong(e: &Element<'_>, kind: &str) -> bool {
    let mut all = true;
    // What is off keeps the keys that it had while it was on.
    for (key, kinds) in BELONGING.iter().filter(|(key, _)| kind != "off" && e.given(key)) {
        if !kinds.contains(&kind) {
            let title = format!("`{}` says nothing about a check of kind `{kind}`", e.called(key));
            let help = match kinds.len() <= MOST_LISTED {
                true => format!("it belongs to {}", listed(kinds)),
                false => "take it out, or choose another kind".to_owned(),
            };
            e.report(e.mistake(key, title).help(help));
            all = false;
        }
    }
    if kind != "off" && kind != "dns" && e.given("name") && !STREAMS.contains(&kind) {
        let title = format!("`name` says nothing about a check of kind `{kind}`");
        let help = "it is the name that TLS, or dns, asks for";
        e.report(e.mistake("name", title).help(help));
        all = false;
    }
    all
}

/// A check that cannot do without a key. It is the kind that wants it, so it is told there.
pub fn needs(e: &Element<'_>, key: &str, title: String) -> Diagnostic {
    let diagnostic = e.mistake("kind", title);
    match e.variable("kind") {
        // The roles that come with the program have variables for what most checks need.
        Some(_) => diagnostic.help(format!(
            "no variable has it: a role of your own that `extends` `{}` can say `{key}` in its {}",
            e.role(),
            e.title()
        )),
        None => diagnostic.help(format!("add `{key} = …`")),
    }
}

/// A value for `kind` that is none, but clear in what was meant.
pub fn slip(e: &Element<'_>) -> Option<Diagnostic> {
    let kind = e.shown("kind")?;
    if let Some((alias, ours)) = ALIASES.iter().find(|(alias, _)| *alias == kind) {
        return Some(e.mistake("kind", format!("`{alias}` is called `{ours}` here")));
    }
    let name = e.called("kind");
    let (title, help) = match kind.as_str() {
        "true" => {
            (format!("`{name} = true` does not say what is asked"), "write \"auto\", or a kind")
        }
        "false" | "no" | "none" => {
            (format!("`{kind}` is no kind of check"), "write \"off\" for no check at all")
        }
        url if url.contains("://") => (
            format!("`{url}` is a URL; `{name}` says what real servers are asked"),
            "a page without which a proxy gives its VIPs away is `watch-url`; real servers are \
             asked with `check = \"http\"` and `check-path = \"/…\"`",
        ),
        _ => return None,
    };
    Some(e.mistake("kind", title).help(help))
}

/// Warns of a check at the port of the traffic that cannot mean it: in another protocol, or for an
/// agent, which listens beside what it tells of.
pub fn foreign(e: &Element<'_>, kind: &str, traffic: Protocol) {
    let port = e.called("port");
    let datagrams = matches!(kind, "udp" | "radius");
    let title = match traffic {
        Protocol::Tcp if kind == "agent" => {
            "an agent has a port of its own, and here it is asked at that of the traffic".to_owned()
        }
        Protocol::Tcp if datagrams => format!("the traffic is TCP, and `{kind}` asks over UDP"),
        Protocol::Udp | Protocol::Sctp if STREAMS.contains(&kind) => {
            format!("the traffic is {}, and `{kind}` asks over TCP", traffic.word())
        }
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp => return,
    };
    let diagnostic = Diagnostic { severity: Severity::Warning, ..e.mistake("kind", title) };
    e.report(diagnostic.help(format!("say where it asks with `{port}`, or choose another kind")));
}

/// Says which keys about TLS have none to be about.
pub fn without_tls(e: &Element<'_>) {
    for key in OF_TLS.iter().filter(|key| e.given(key)) {
        let title = format!("`{}` says nothing about a check without TLS", e.called(key));
        let help = "add `tls = \"on\"`, or take the key out";
        e.report(e.mistake(key, title).help(help));
    }
}
