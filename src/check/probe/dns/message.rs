//! Messages of DNS (RFC 1035 section 4): a question is written, an answer read.
//!
//! Everything that is read is bounds-checked. Names are followed through their pointers, which have
//! to lead backwards, so that no message can send the reader in a circle.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes before the question.
const HEADER: usize = 12;
/// Where the flags are, and in the first byte of them: it is an answer, its opcode, it was cut off,
/// recursion is wanted.
const FLAGS: usize = 2;
const ANSWER: u8 = 0x80;
const OPCODE: u8 = 0x78;
const WAS_CUT: u8 = 0x02;
const RECURSION: u8 = 0x01;
/// The class of the Internet.
const INTERNET: u16 = 1;
/// The longest label and the longest name as it is sent (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 255;
/// The most records that are looked at.
const MOST_RECORDS: u16 = 256;

/// Types of records that can be compared with an expected answer.
mod kind {
    pub(super) const A: u16 = 1;
    pub(super) const NS: u16 = 2;
    pub(super) const CNAME: u16 = 5;
    pub(super) const SOA: u16 = 6;
    pub(super) const PTR: u16 = 12;
    pub(super) const MX: u16 = 15;
    pub(super) const TXT: u16 = 16;
    pub(super) const AAAA: u16 = 28;
}

/// Writes a question, or says why the name is none.
pub(super) fn question(name: &str, record: u16, id: u16) -> Result<Vec<u8>, String> {
    let mut message = id.to_be_bytes().to_vec();
    // One question, nothing else.
    message.extend_from_slice(&[RECURSION, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let bare = name.strip_suffix('.').unwrap_or(name);
    for label in bare.split('.').filter(|_| !bare.is_empty()) {
        let length = match u8::try_from(label.len()) {
            Ok(length @ 1..=63) => length,
            Ok(_) | Err(_) => {
                return Err(format!("a label of 1 to {LONGEST_LABEL} bytes is wanted in `{name}`"));
            }
        };
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() - HEADER > LONGEST_NAME {
        return Err(format!("a name has at most {LONGEST_NAME} bytes"));
    }
    message.extend_from_slice(&record.to_be_bytes());
    message.extend_from_slice(&INTERNET.to_be_bytes());
    Ok(message)
}

/// Whether a message is the answer to this question: same number, same question.
pub(super) fn answers(question: &[u8], reply: &[u8]) -> bool {
    let (Some(head), Some(asked)) = (reply.first_chunk::<HEADER>(), question.get(HEADER..)) else {
        return false;
    };
    let is_ours = question.starts_with(&head[..FLAGS]);
    let is_answer = head[FLAGS] & (ANSWER | OPCODE) == ANSWER;
    let count = u16::from_be_bytes([head[4], head[5]]);
    let same = |given: &[u8]| given.eq_ignore_ascii_case(asked);
    let is_same = count == 1 && reply.get(HEADER..question.len()).is_some_and(same);
    // One that could not read the question cannot repeat it (RFC 1035 section 4.1.1).
    let is_bare = count == 0 && code(reply) != 0;
    is_ours && is_answer && (is_same || is_bare)
}

/// The RCODE.
pub(super) fn code(reply: &[u8]) -> u8 {
    reply.get(FLAGS + 1).map_or(0, |flags| flags & 0x0f)
}

/// Whether it did not fit.
pub(super) fn was_cut(reply: &[u8]) -> bool {
    reply.get(FLAGS).is_some_and(|flags| flags & WAS_CUT != 0)
}

/// The answers of this type, each in the ways in which it may be expected. None: it cannot be read.
pub(super) fn answers_given(reply: &[u8], mut at: usize, record: u16) -> Option<Vec<Vec<String>>> {
    let count = u16::from_be_bytes(*reply.get(6..)?.first_chunk()?).min(MOST_RECORDS);
    let mut given = Vec::new();
    for _ in 0..count {
        let (_owner, after) = name(reply, at)?;
        // Type, class, four bytes of TTL, length.
        let fixed = reply.get(after..)?.first_chunk::<10>()?;
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        let start = after + fixed.len();
        at = start + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if at > reply.len() {
            // What was cut off ends in the middle.
            return was_cut(reply).then_some(given);
        }
        if kind == record {
            given.push(forms(reply, start, at, kind)?);
        }
    }
    Some(given)
}

/// The ways in which a record may be written.
fn forms(reply: &[u8], start: usize, end: usize, kind: u16) -> Option<Vec<String>> {
    let data = reply.get(start..end)?;
    let forms = match kind {
        kind::A => vec![Ipv4Addr::from(*data.first_chunk::<4>()?).to_string()],
        kind::AAAA => vec![Ipv6Addr::from(*data.first_chunk::<16>()?).to_string()],
        kind::NS | kind::CNAME | kind::PTR => vec![name(reply, start)?.0],
        kind::MX => {
            let preference = u16::from_be_bytes(*data.first_chunk()?);
            let (host, _) = name(reply, start + 2)?;
            vec![format!("{preference} {host}"), host]
        }
        kind::TXT => vec![text(data)?],
        kind::SOA => {
            let (primary, after) = name(reply, start)?;
            let (mailbox, after) = name(reply, after)?;
            let numbers = reply.get(after..end)?.chunks_exact(4);
            let numbers = numbers.filter_map(|n| Some(u32::from_be_bytes(*n.first_chunk()?)));
            let numbers: Vec<String> = numbers.map(|n| n.to_string()).collect();
            let serial = numbers.first()?.clone();
            vec![format!("{primary} {mailbox} {}", numbers.join(" ")), primary, serial]
        }
        // RFC 3597 section 5.
        _ => {
            let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            vec![format!("\\# {} {digits}", data.len()), digits]
        }
    };
    Some(forms)
}

/// The strings of a TXT record, joined.
fn text(mut data: &[u8]) -> Option<String> {
    let mut joined = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        joined.extend_from_slice(string);
        data = rest;
    }
    Some(String::from_utf8_lossy(&joined).into_owned())
}

/// The name that stands here, with a dot after each label, and where it ends.
fn name(reply: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut end) = (Vec::new(), start, None);
    // Only what stands before may be pointed to, which also ends every circle.
    let mut before = start;
    loop {
        let length = *reply.get(at)?;
        match length {
            0 => {
                let text = if text.is_empty() { b".".to_vec() } else { text };
                return Some((String::from_utf8_lossy(&text).into_owned(), end.unwrap_or(at + 1)));
            }
            1..=63 => {
                text.extend_from_slice(reply.get(at + 1..=at + usize::from(length))?);
                text.push(b'.');
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = u16::from_be_bytes([length & 0x3f, *reply.get(at + 1)?]);
                end = end.or(Some(at + 2));
                at = usize::from(target);
                if at >= before {
                    return None;
                }
                before = at;
            }
            _ => return None,
        }
        if text.len() > LONGEST_NAME {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_is_as_rfc_1035_has_it() {
        let asked = question("www.Example.", 28, 0x1234).expect("well-formed");
        let wanted = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\0\0\x1c\0\x01";
        assert_eq!(asked, wanted);
        for root in [".", ""] {
            let wanted = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01";
            assert_eq!(question(root, 6, 1).expect("well-formed"), wanted);
        }
        let longest = ["x"; 127].join(".");
        assert!(question(&longest, 1, 1).is_ok());
        for wrong in ["a..b", ".a", &"x".repeat(64), &format!("{longest}.x")] {
            assert!(question(wrong, 1, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_pointer_leads_in_a_circle() {
        let read = |bytes: &[u8], at| name(bytes, at);
        assert_eq!(read(b"\x01a\0\x01b\xc0\0", 3), Some(("b.a.".to_owned(), 7)));
        assert_eq!(read(b"\xc0\0", 0), None);
        assert_eq!(read(b"\x01a\xc0\0", 0), None);
        assert_eq!(read(b"\xc0\x02\xc0\0", 0), None);
        assert_eq!(read(b"\xc0\x02\xc0\0", 2), None);
        assert_eq!(read(b"\x40a\0", 0), None);
        assert_eq!(read(b"\x05a\0", 0), None);
        assert_eq!(read(b"\0", 0), Some((".".to_owned(), 1)));
        let long = b"\x3f".iter().chain([b'x'; 63].iter()).cycle().take(640);
        let long: Vec<u8> = long.copied().collect();
        assert_eq!(read(&long, 0), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            bytes: Vec<u8>, at in 0..300usize, record in 0..30u16
        ) {
            name(&bytes, at);
            answers_given(&bytes, at, record);
            text(&bytes);
            forms(&bytes, at, bytes.len(), record);
            answers(&question("a.b", 1, 1).expect("well-formed"), &bytes);
        }
    }
}
