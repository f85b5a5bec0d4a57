//! What checks ask in one datagram: bytes, DNS, SIP, RADIUS.
//!
//! DNS and SIP are asked over TCP where the traffic is TCP ([`super::talk`]); what they ask is the
//! same.

use super::super::element::Element;
use super::bytes::{Begins, Written};
use super::{login, words};
use crate::check::config::{Datagram, Dns, Reply};
use crate::document::{Value, one_of};

/// IANA DNS parameters, Resource Record TYPEs.
const RECORDS: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("DS", 43),
    ("DNSKEY", 48),
    ("HTTPS", 65),
    ("ANY", 255),
];

/// Every name server has an answer to who is responsible for the root.
const RECORD: u16 = 6;

/// Longer than this no datagram is.
const LONGEST: u16 = u16::MAX;

/// The type of a DNS record.
struct Record(u16);

impl Value for Record {
    const WHAT: &'static str = "a type of DNS record, such as A, SOA, or its number";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<u16>() {
            Ok(number) => Ok(Record(number)),
            Err(_) => one_of("type of DNS record", RECORDS, &text.to_ascii_uppercase()).map(Record),
        }
    }
}

/// Reads a check of kind `udp`.
pub fn udp(e: &Element<'_>) -> Option<Datagram> {
    let payload = e.get::<Written>("payload").map(|payload| payload.value.0).unwrap_or_default();
    let begins = e.get::<Begins>("reply").map(|reply| reply.value.0);
    let length = |key| e.get::<u16>(key).map(|length| length.value);
    let (shortest, longest) = (length("min-length"), length("max-length"));
    let asked = begins.is_some() || shortest.is_some() || longest.is_some();
    let reply = Reply {
        begins: begins.unwrap_or_default(),
        shortest: shortest.unwrap_or(0),
        longest: longest.unwrap_or(LONGEST),
    };
    let least = usize::from(reply.shortest).max(reply.begins.len());
    if least > usize::from(reply.longest) {
        let title = format!("no reply has at least {least} bytes and at most {}", reply.longest);
        e.report(e.mistake("max-length", title));
        return None;
    }
    Some(Datagram::Udp { payload, reply: asked.then_some(reply) })
}

/// Reads what DNS is asked for.
pub fn dns(e: &Element<'_>) -> Option<Dns> {
    let name = e.text("name").unwrap_or_else(|| ".".into());
    let long = name.trim_end_matches('.').len() > 253
        || name.trim_end_matches('.').split('.').any(|label| label.len() > 63);
    // RFC 1035 section 2.3.4, and no label but the root is empty.
    if long || !name.is_ascii() || (name != "." && name.contains("..")) {
        let title = format!("`{name}` is no name that DNS could be asked for");
        e.report(e.mistake("name", title));
        return None;
    }
    let record = e.get_or("record", Record(RECORD)).value.0;
    Some(Dns { name, record, answer: e.text("answer") })
}

/// Reads a check of kind `radius`.
pub fn radius(e: &Element<'_>) -> Option<Datagram> {
    let login = login::required(e, "radius")?;
    let Some(secret) = e.text("secret") else {
        let title = "a check of kind `radius` needs `secret`, which client and server share";
        e.report(words::needs(e, "secret", title.to_owned()));
        return None;
    };
    Some(Datagram::Radius { login, secret: secret.into() })
}
