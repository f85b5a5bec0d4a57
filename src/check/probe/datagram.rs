//! A question in one datagram, and the answers to it.
//!
//! A datagram can be lost, come twice or come from somebody else: [`judge`] says whether one is an
//! answer to this very question before it says what the answer is worth. Who drives it waits on
//! after one that is not, and takes what [`silence`] says when the time is up.

use super::{dns, quote, radius, sip};
use crate::check::config::{Datagram, Reply, Target};
use crate::check::outcome::{Advice, Failure, Outcome};

/// What is sent; what tells an answer to it from another is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The datagram that is sent.
    pub send: Vec<u8>,
}

/// The question, with these random bytes as its number: two questions have different ones. `Err`
/// says why it cannot be asked.
pub fn question(
    datagram: &Datagram,
    target: &Target,
    random: [u8; 16],
) -> Result<Question, String> {
    let send = match datagram {
        Datagram::Udp { payload, .. } => payload.clone(),
        Datagram::Dns(dns) => dns::question(dns, u16::from_be_bytes([random[0], random[1]]))?,
        Datagram::Sip { user } => sip::question(user, target, "UDP", random)?,
        Datagram::Radius { login, secret } => radius::question(login, secret, random)?,
    };
    Ok(Question { send })
}

/// What a datagram that came says. None: it is no answer to this question, and one is waited for
/// still.
pub fn judge(datagram: &Datagram, question: &Question, reply: &[u8]) -> Option<Outcome> {
    match datagram {
        Datagram::Udp { reply: expected, .. } => Some(matches(expected.as_ref(), reply)),
        Datagram::Dns(dns) => dns::judge(dns, &question.send, reply),
        Datagram::Sip { .. } => sip::judge(&question.send, reply),
        Datagram::Radius { login, secret } => radius::judge(login, secret, &question.send, reply),
    }
}

/// How the check ends if no answer comes in time.
pub fn silence(datagram: &Datagram) -> Outcome {
    let silent = |what| Outcome::Bad(Failure::silent(what));
    match datagram {
        Datagram::Udp { reply: None, .. } => Outcome::Good(Advice::default()),
        Datagram::Udp { .. } | Datagram::Dns(_) | Datagram::Sip { .. } => silent("no answer came"),
        // RFC 2865 section 3: who has another secret, or does not know us, says nothing.
        Datagram::Radius { .. } => {
            silent("no answer came; one that does not know us, or has another secret, gives none")
        }
    }
}

/// Compares what came with what has to come.
fn matches(expected: Option<&Reply>, reply: &[u8]) -> Outcome {
    let bad = |what: String| Outcome::Bad(Failure::answered(what));
    let Some(expected) = expected else { return Outcome::Good(Advice::default()) };
    let lengths = usize::from(expected.shortest)..=usize::from(expected.longest);
    if !lengths.contains(&reply.len()) {
        let (shortest, longest) = (lengths.start(), lengths.end());
        return bad(format!("a reply of {} bytes, not {shortest} to {longest}", reply.len()));
    }
    let is_as_expected = |(at, byte): (usize, &Option<u8>)| match byte {
        Some(byte) => reply.get(at) == Some(byte),
        None => at < reply.len(),
    };
    if !expected.begins.iter().enumerate().all(is_as_expected) {
        return bad(format!("a reply that begins otherwise: `{}`", quote::quote(reply)));
    }
    Outcome::Good(Advice::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::config::{Dns, Login};
    use crate::secret::Secret;

    fn target() -> Target {
        Target { address: [192, 0, 2, 1].into(), port: 53 }
    }

    fn udp(begins: &[Option<u8>], shortest: u16, longest: u16) -> Datagram {
        let reply = Reply { begins: begins.to_vec(), shortest, longest };
        Datagram::Udp { payload: b"hello".to_vec(), reply: Some(reply) }
    }

    fn judged(datagram: &Datagram, reply: &[u8]) -> Option<Outcome> {
        let question = question(datagram, &target(), [1; 16]).expect("well-formed");
        judge(datagram, &question, reply)
    }

    const GOOD: Option<Outcome> =
        Some(Outcome::Good(Advice { weight: None, wish: None, note: None }));

    fn bad(what: &str) -> Option<Outcome> {
        Some(Outcome::Bad(Failure::answered(what)))
    }

    #[test]
    fn a_reply_has_to_begin_as_expected_and_be_as_long() {
        let datagram = udp(&[Some(b'a'), None, Some(b'c')], 0, 5);
        assert_eq!(judged(&datagram, b"abc"), GOOD);
        assert_eq!(judged(&datagram, b"axcde"), GOOD);
        assert_eq!(judged(&datagram, b"abd"), bad("a reply that begins otherwise: `abd`"));
        assert_eq!(judged(&datagram, b"a"), bad("a reply that begins otherwise: `a`"));
        assert_eq!(judged(&datagram, b"abcdef"), bad("a reply of 6 bytes, not 0 to 5"));
        assert_eq!(judged(&udp(&[], 2, 2), b"a"), bad("a reply of 1 bytes, not 2 to 2"));
        assert_eq!(judged(&udp(&[None], 0, 9), b""), bad("a reply that begins otherwise: ``"));
    }

    #[test]
    fn silence_is_good_where_no_reply_is_expected() {
        let any = Datagram::Udp { payload: Vec::new(), reply: None };
        assert_eq!(Some(silence(&any)), GOOD);
        assert_eq!(judged(&any, b"whatever"), GOOD);
        let silent = Outcome::Bad(Failure::silent("no answer came"));
        assert_eq!(silence(&udp(&[], 0, 9)), silent);
    }

    #[test]
    fn every_kind_asks_with_a_number_of_its_own() {
        let login = Login { user: "me".into(), password: Secret::default() };
        for datagram in [
            Datagram::Dns(Dns { name: ".".into(), record: 6, answer: None }),
            Datagram::Sip { user: "ping".into() },
            Datagram::Radius { login, secret: "s".into() },
        ] {
            let ask = |random| question(&datagram, &target(), random).expect("well-formed");
            assert_ne!(ask([1; 16]), ask([2; 16]));
            assert_eq!(judge(&datagram, &ask([1; 16]), &ask([1; 16]).send), None, "its own echo");
            assert!(matches!(silence(&datagram), Outcome::Bad(_)));
        }
        let dns = Dns { name: "a..b".into(), record: 6, answer: None };
        assert!(question(&Datagram::Dns(dns), &target(), [1; 16]).is_err());
    }
}
