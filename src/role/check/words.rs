//! The kinds of checks and the keys that belong to each.
//!
//! A key in a check that could not use it is a slip: its author believes that something is looked
//! at which is not.

use super::super::element::Element;
use crate::document::listed;

/// The kinds, in the order in which the documentation has them.
pub const KINDS: &[&str] = &[
    "auto", "tcp", "http", "https", "ping", "udp", "dns", "smtp", "ftp", "imap", "pop3", "nntp",
    "redis", "mysql", "postgres", "ldap", "sip", "radius", "expect", "agent", "script", "file",
    "vip", "off",
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

/// Whether all keys belong to a check of this kind; says which do not.
pub fn belong(e: &Element<'_>, kind: &str) -> bool {
    let mut all = true;
    // What is off keeps the keys that it had while it was on.
    for (key, kinds) in BELONGING.iter().filter(|(key, _)| kind != "off" && e.given(key)) {
        if !kinds.contains(&kind) {
            let title = format!("`{key}` says nothing about a check of kind `{kind}`");
            let help = format!("it belongs to {}", listed(kinds));
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

/// Says which keys about TLS have none to be about.
pub fn without_tls(e: &Element<'_>) {
    for key in OF_TLS.iter().filter(|key| e.given(key)) {
        let title = format!("`{key}` says nothing about a check without TLS");
        let help = "add `tls = \"on\"`, or take the key out";
        e.report(e.mistake(key, title).help(help));
    }
}
