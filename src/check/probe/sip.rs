//! SIP (RFC 3261): OPTIONS, over UDP and TCP.
//!
//! What is answered to OPTIONS would be answered to INVITE (section 11.2), so only a 2xx is good.
//! The answer to another question, as one that comes late over UDP, is told by its Call-ID. Our own
//! address is not known here: the Via names nobody, and `rport` (RFC 3581) has the server answer to
//! where the question came from.

use std::net::IpAddr;

use super::Step;
use super::exchange::{Cut, Speaker, bad, unmade};
use super::line;
use crate::check::config::Target;
use crate::check::outcome::{Advice, Failure, Outcome};

/// The longest head of an answer.
const LONGEST: usize = 4 * 1024;

/// The question over this transport ("UDP", "TCP").
pub(super) fn question(
    user: &str,
    target: &Target,
    transport: &str,
    random: [u8; 16],
) -> Result<Vec<u8>, String> {
    if user.is_empty() || user.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("a SIP user is one word, not {}", line::quote(user.as_bytes())));
    }
    let number = call(random);
    let host = match target.address {
        IpAddr::V4(address) => format!("{address}:{}", target.port),
        IpAddr::V6(address) => format!("[{address}]:{}", target.port),
    };
    let version = env!("CARGO_PKG_VERSION");
    // RFC 3261 sections 8.1.1 and 11.1.
    let lines = [
        format!("OPTIONS sip:{user}@{host} SIP/2.0"),
        format!("Via: SIP/2.0/{transport} converge.invalid;rport;branch=z9hG4bK{number}"),
        "Max-Forwards: 70".to_owned(),
        format!("From: <sip:converge@converge.invalid>;tag={}", &number[..8]),
        format!("To: <sip:{user}@{host}>"),
        format!("Call-ID: {number}"),
        "CSeq: 1 OPTIONS".to_owned(),
        "Accept: application/sdp".to_owned(),
        format!("User-Agent: converge/{version}"),
        "Content-Length: 0".to_owned(),
    ];
    Ok((lines.join("\r\n") + "\r\n\r\n").into_bytes())
}

/// The Call-ID that comes of the random bytes.
fn call(random: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(random))
}

/// What a message says to the question that was sent; None if it is no last answer to it.
pub(super) fn judge(question: &[u8], reply: &[u8]) -> Option<Outcome> {
    let mut lines = reply.split(|byte| *byte == b'\n').map(line::text);
    // RFC 3261 section 7.5: empty lines before are to be passed over.
    let first = lines.find(|line| !line.is_empty())?;
    let rest = first.strip_prefix(b"SIP/2.0 ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?;
    let call = lines.take_while(|line| !line.is_empty()).find_map(call_of)?;
    if call_in(question) != Some(call) {
        return None;
    }
    match status {
        // It is being worked on.
        100..=199 => None,
        200..=299 => Some(Outcome::Good(Advice::default())),
        _ => {
            let reason = line::quote(reason);
            Some(Outcome::Bad(Failure::answered(format!("status {status} {reason}, not 2xx"))))
        }
    }
}

/// The Call-ID, if this is its line; the short name is as good (RFC 3261 section 7.3.3).
fn call_of(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    let is_call = name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i");
    is_call.then_some(value)
}

fn call_in(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').map(line::text).find_map(call_of)
}

/// A client that asks over TCP.
pub(super) struct OverTcp {
    question: Result<Vec<u8>, String>,
}

impl OverTcp {
    pub(super) fn new(user: &str, target: &Target, tls: bool, random: [u8; 16]) -> OverTcp {
        let transport = if tls { "TLS" } else { "TCP" };
        OverTcp { question: question(user, target, transport, random) }
    }
}

impl Speaker for OverTcp {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        match &self.question {
            Ok(question) => {
                out.extend_from_slice(question);
                Step::More
            }
            Err(why) => unmade(why.clone()),
        }
    }

    /// A message up to its empty line; a body behind would be taken for the next one's beginning,
    /// but after a last answer nothing is read, and one before has none.
    fn cut(&self, bytes: &[u8]) -> Cut {
        let seen = &bytes[..bytes.len().min(LONGEST)];
        let blank = seen.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let end = seen[blank..].windows(4).position(|four| four == b"\r\n\r\n");
        match end {
            Some(end) => Cut::After(blank + end + 4),
            None if seen.len() == LONGEST => Cut::Never(format!("a head of {LONGEST} bytes")),
            None => Cut::More,
        }
    }

    fn hear(&mut self, message: &[u8], _out: &mut Vec<u8>) -> Step {
        let blank = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if !message[blank..].starts_with(b"SIP/2.0 ") {
            return bad(format!("no SIP, but {}", line::quote(&message[blank..])));
        }
        let question = self.question.as_ref().map_or(&[][..], Vec::as_slice);
        judge(question, message).map_or(Step::More, Step::Done)
    }

    fn awaits(&self) -> &'static str {
        "answer to OPTIONS"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::exchange::Exchange;
    use crate::check::probe::ordeal::{Ordeal, failure};
    use proptest::prelude::*;

    fn target(address: &str) -> Target {
        Target { address: address.parse().expect("well-formed"), port: 5060 }
    }

    fn asked() -> Vec<u8> {
        question("ping", &target("192.0.2.1"), "UDP", [0xab; 16]).expect("well-formed")
    }

    fn answer(status: &str, call: &str) -> Vec<u8> {
        format!("SIP/2.0 {status}\r\nCSeq: 1 OPTIONS\r\n{call}\r\nContent-Length: 0\r\n\r\n").into()
    }

    const CALL: &str = "Call-ID: abababababababababababababababab";

    #[test]
    fn the_question_is_as_rfc_3261_has_it() {
        let text = String::from_utf8(asked()).expect("well-formed");
        assert!(text.starts_with(
            "OPTIONS sip:ping@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP converge.invalid;rport;\
             branch=z9hG4bKabababab"
        ));
        assert!(text.contains(&format!("\r\n{CALL}\r\n")));
        assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"));
        let six = question("ping", &target("2001:db8::1"), "UDP", [0; 16]).expect("well-formed");
        assert!(six.starts_with(b"OPTIONS sip:ping@[2001:db8::1]:5060 SIP/2.0\r\n"));
    }

    #[test]
    fn a_last_answer_to_this_question_counts() {
        let good = Some(Outcome::Good(Advice::default()));
        assert_eq!(judge(&asked(), &answer("200 OK", CALL)), good);
        assert_eq!(judge(&asked(), &answer("202 OK", &CALL.replace("Call-ID", "i "))), good);
        let busy = judge(&asked(), &answer("503 Service Unavailable", CALL));
        let what = "status 503 `Service Unavailable`, not 2xx";
        assert_eq!(busy, Some(Outcome::Bad(Failure::answered(what))));
        for none in [
            answer("100 Trying", CALL),
            answer("200 OK", "Call-ID: other"),
            answer("200 OK", "X: y"),
            answer("OK", CALL),
            asked(),
            Vec::new(),
        ] {
            assert_eq!(judge(&asked(), &none), None);
        }
    }

    #[test]
    fn over_tcp_messages_end_with_an_empty_line() {
        let over_tcp = || {
            let make = || OverTcp::new("ping", &target("192.0.2.1"), false, [0xab; 16]);
            Ordeal::of(move || Exchange::boxed(make()))
        };
        let all = [answer("100 Trying", CALL), b"\r\n".to_vec(), answer("200 OK", CALL)].concat();
        over_tcp().hears(&all).ends_good();
        let none = over_tcp().hears(&answer("404 Not Found", CALL));
        none.ends_bad("status 404 `Not Found`, not 2xx");
        let http = over_tcp().hears(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        http.ends_bad("no SIP, but `HTTP/1.1 400 Bad Request`");
        over_tcp().hears(&[b'x'; LONGEST]).ends_bad("a head of 4096 bytes");
        over_tcp().silent("connected, but no answer to OPTIONS came");
        let speaker = OverTcp::new("a b", &target("192.0.2.1"), false, [0; 16]);
        assert_eq!(failure(speaker), "a SIP user is one word, not `a b`");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_or_none(junk: Vec<u8>, at in 0..80usize, byte: u8) {
            judge(&asked(), &junk);
            let mut changed = answer("200 OK", CALL);
            changed[at] = byte;
            judge(&asked(), &changed);
            judge(&asked(), &changed[..at]);
        }
    }
}
