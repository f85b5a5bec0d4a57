//! DNS (RFC 1035): one question, and what its answer says.
//!
//! An answer is one only if number and question are those that were asked; its RCODE has to be
//! NOERROR, and what is expected has to be among its records of the type asked for. An answer that
//! was cut off (TC) is an answer, and said to be cut. The messages are in [`message`]; over TCP two
//! bytes of length stand before each (RFC 1035 section 4.2.2).

mod message;

use super::Step;
use super::exchange::{Cut, Speaker, bad, unmade};
use crate::check::config::Dns;
use crate::check::outcome::{Advice, Failure, Outcome};

/// Codes of what went wrong (IANA DNS RCODEs).
const CODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",
];

/// The question's message, or why there is none.
pub(super) fn question(dns: &Dns, id: u16) -> Result<Vec<u8>, String> {
    message::question(&dns.name, dns.record, id)
}

/// What a message says to the question; None if it is no answer to it.
pub(super) fn judge(dns: &Dns, question: &[u8], reply: &[u8]) -> Option<Outcome> {
    if !message::answers(question, reply) {
        return None;
    }
    let code = message::code(reply);
    if code != 0 {
        let name = CODES.get(usize::from(code)).map(ToString::to_string);
        let name = name.unwrap_or_else(|| format!("RCODE {code}"));
        return Some(Outcome::Bad(Failure::answered(name)));
    }
    let was_cut = message::was_cut(reply);
    if let Some(expected) = &dns.answer
        && let Err(why) = find(dns, expected, question, reply)
    {
        let why = if was_cut { format!("{why}; and it was cut off") } else { why };
        return Some(Outcome::Bad(Failure::answered(why)));
    }
    let note = was_cut.then(|| "its answer was cut off (TC)".to_owned());
    Some(Outcome::Good(Advice { note, ..Advice::default() }))
}

/// Looks for the expected answer.
fn find(dns: &Dns, expected: &str, question: &[u8], reply: &[u8]) -> Result<(), String> {
    let Some(records) = message::answers_given(reply, question.len(), dns.record) else {
        return Err("an answer that cannot be read".to_owned());
    };
    if records.iter().flatten().any(|form| is_same(form, expected)) {
        return Ok(());
    }
    match records.iter().filter_map(|forms| forms.first()).next() {
        Some(other) => Err(format!("the answer is {}, not {expected}", shown(other))),
        None => Err(format!("the answer is nothing, not {expected}")),
    }
}

/// Names are the same in any case (RFC 4343) and with or without the dot of the root; addresses in
/// any way of writing them.
fn is_same(form: &str, expected: &str) -> bool {
    let bare = |text: &str| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let address = |text: &str| text.parse::<std::net::IpAddr>().ok();
    bare(form) == bare(expected) || address(form).is_some_and(|ip| Some(ip) == address(expected))
}

fn shown(text: &str) -> String {
    super::quote::quote(text.as_bytes())
}

/// A client that asks over TCP.
pub(super) struct OverTcp {
    dns: Dns,
    id: u16,
    question: Vec<u8>,
}

impl OverTcp {
    pub(super) fn new(dns: &Dns, id: u16) -> OverTcp {
        OverTcp { dns: dns.clone(), id, question: Vec::new() }
    }
}

impl Speaker for OverTcp {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        self.question = match question(&self.dns, self.id) {
            Ok(question) => question,
            Err(why) => return unmade(why),
        };
        // A question is below 300 bytes.
        let length = u16::try_from(self.question.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.question);
        Step::More
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        let Some((length, rest)) = bytes.split_first_chunk() else { return Cut::More };
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length { Cut::More } else { Cut::After(length + 2) }
    }

    fn hear(&mut self, message: &[u8], _out: &mut Vec<u8>) -> Step {
        // Whom this connection leads to answers nobody else on it.
        match judge(&self.dns, &self.question, message.get(2..).unwrap_or_default()) {
            Some(outcome) => Step::Done(outcome),
            None => bad("no answer to the question"),
        }
    }

    fn awaits(&self) -> &'static str {
        "answer"
    }
}

#[cfg(test)]
mod tests;
