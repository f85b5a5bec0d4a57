//! RADIUS (RFC 2865): Access-Request, with a Message-Authenticator (RFC 3579 section 3.2).
//!
//! A server that answers proves that it lives and knows the secret. A login with a password has to
//! be accepted; one without is asked for only to be refused, and any answer is good. An answer that
//! is not signed with the secret is bad and not passed over as RFC 2865 section 3 would have it:
//! an operator with two secrets has to be told so.

use md5::{Digest, Md5};

use crate::check::config::Login;
use crate::check::outcome::{Advice, Failure, Outcome};

/// Bytes before the attributes: code, number, length, authenticator.
const HEADER: usize = 20;
/// What hashes of MD5 have, authenticators and pieces of passwords.
const HASH: usize = 16;
/// The longest attribute's value, and the longest password (RFC 2865 section 5.2).
const LONGEST_VALUE: usize = 253;
const LONGEST_PASSWORD: usize = 128;

/// Codes of packets.
mod code {
    pub(super) const REQUEST: u8 = 1;
    pub(super) const ACCEPT: u8 = 2;
    pub(super) const REJECT: u8 = 3;
    pub(super) const CHALLENGE: u8 = 11;
}

/// Types of attributes.
mod attribute {
    pub(super) const USER_NAME: u8 = 1;
    pub(super) const USER_PASSWORD: u8 = 2;
    pub(super) const NAS_IDENTIFIER: u8 = 32;
    pub(super) const MESSAGE_AUTHENTICATOR: u8 = 80;
}

/// The request. The first of the random bytes is its number as well.
pub(super) fn question(login: &Login, secret: &str, random: [u8; 16]) -> Result<Vec<u8>, String> {
    if login.user.is_empty() || login.user.len() > LONGEST_VALUE {
        return Err(format!("a RADIUS user has 1 to {LONGEST_VALUE} bytes"));
    }
    if login.password.len() > LONGEST_PASSWORD {
        return Err(format!("a RADIUS password has at most {LONGEST_PASSWORD} bytes"));
    }
    let mut packet = vec![code::REQUEST, random[0], 0, 0];
    packet.extend_from_slice(&random);
    // First, so that nobody can put in a prefix that gives the same hash (CVE-2024-3596).
    put(attribute::MESSAGE_AUTHENTICATOR, &[0; HASH], &mut packet);
    put(attribute::USER_NAME, login.user.as_bytes(), &mut packet);
    let hidden = hide(&login.password, secret, random);
    put(attribute::USER_PASSWORD, &hidden, &mut packet);
    // RFC 2865 section 4.1: one of address and identifier has to be there.
    put(attribute::NAS_IDENTIFIER, b"converge", &mut packet);
    // Below 700 bytes.
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let signature = hmac(secret.as_bytes(), &packet);
    packet[HEADER + 2..HEADER + 2 + HASH].copy_from_slice(&signature);
    Ok(packet)
}

fn put(kind: u8, value: &[u8], packet: &mut Vec<u8>) {
    packet.push(kind);
    packet.push(u8::try_from(value.len() + 2).unwrap_or(u8::MAX));
    packet.extend_from_slice(value);
}

/// RFC 2865 section 5.2.
fn hide(password: &str, secret: &str, authenticator: [u8; HASH]) -> Vec<u8> {
    let mut hidden = Vec::new();
    let mut before = authenticator.to_vec();
    let pieces = password.as_bytes().chunks(HASH);
    let none: &[u8] = &[];
    for piece in pieces.chain(password.is_empty().then_some(none)) {
        let mask = hash(&[secret.as_bytes(), &before]);
        before = mask.iter().enumerate().map(|(at, m)| m ^ piece.get(at).unwrap_or(&0)).collect();
        hidden.extend_from_slice(&before);
    }
    hidden
}

fn hash(parts: &[&[u8]]) -> [u8; HASH] {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    md5.finalize().into()
}

/// HMAC-MD5 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; HASH] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    let short = if key.len() > BLOCK { &hash(&[key])[..] } else { key };
    block[..short.len()].copy_from_slice(short);
    let inner = hash(&[&block.map(|byte| byte ^ 0x36), text]);
    hash(&[&block.map(|byte| byte ^ 0x5c), &inner])
}

/// What a packet says to the request; None if it is no answer to it.
pub(super) fn judge(login: &Login, secret: &str, question: &[u8], reply: &[u8]) -> Option<Outcome> {
    let bad = |what: &str| Some(Outcome::Bad(Failure::answered(what)));
    let head = reply.first_chunk::<HEADER>()?;
    let asked = question.first_chunk::<HEADER>()?;
    if head[0] == code::REQUEST || head[1] != asked[1] {
        return None;
    }
    // RFC 2865 section 3: what is behind the length is padding.
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let reply = reply.get(..length).filter(|reply| reply.len() >= HEADER)?;
    let signature = hash(&[&reply[..4], &asked[4..], &reply[HEADER..], secret.as_bytes()]);
    if signature != head[4..] || !is_signed(secret, asked, reply) {
        return bad("its answer is not signed with this secret");
    }
    match head[0] {
        code::ACCEPT => Some(Outcome::Good(Advice::default())),
        code::REJECT | code::CHALLENGE if login.password.is_empty() => {
            Some(Outcome::Good(Advice::default()))
        }
        code::REJECT => bad("it rejects the login"),
        code::CHALLENGE => bad("it challenges the login"),
        _ => bad(&format!("an answer of code {}", head[0])),
    }
}

/// Whether the Message-Authenticator is right, if there is one (RFC 3579 section 3.2).
fn is_signed(secret: &str, asked: &[u8; HEADER], reply: &[u8]) -> bool {
    let mut at = HEADER;
    while let Some([kind, length]) = reply.get(at..).and_then(<[u8]>::first_chunk) {
        let end = at + usize::from(*length);
        if *length < 2 || end > reply.len() {
            return false;
        }
        if *kind == attribute::MESSAGE_AUTHENTICATOR {
            let mut blank = reply.to_vec();
            blank[4..HEADER].copy_from_slice(&asked[4..]);
            blank[at + 2..end].fill(0);
            return hmac(secret.as_bytes(), &blank) == reply[at + 2..end];
        }
        at = end;
    }
    at == reply.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn login(password: &str) -> Login {
        Login { user: "nemo".into(), password: password.into() }
    }

    /// What a server with the secret answers.
    fn answer(code: u8, question: &[u8], secret: &str, with_hmac: bool) -> Vec<u8> {
        let mut packet = vec![code, question[1], 0, 0];
        packet.extend_from_slice(&question[4..HEADER]);
        put(18, b"hello", &mut packet);
        if with_hmac {
            put(attribute::MESSAGE_AUTHENTICATOR, &[0; HASH], &mut packet);
        }
        packet[3] = packet.len() as u8;
        if with_hmac {
            let signature = hmac(secret.as_bytes(), &packet);
            let at = packet.len() - HASH;
            packet[at..].copy_from_slice(&signature);
        }
        let signature = hash(&[&packet, secret.as_bytes()]);
        packet[4..HEADER].copy_from_slice(&signature);
        packet
    }

    fn bad(what: &str) -> Option<Outcome> {
        Some(Outcome::Bad(Failure::answered(what)))
    }

    const GOOD: Option<Outcome> =
        Some(Outcome::Good(Advice { weight: None, wish: None, note: None }));

    /// RFC 2865 section 7.1.
    #[test]
    fn a_password_is_hidden_as_in_the_example_of_the_rfc() {
        let authenticator = 0x0f40_3f94_7397_8057_bd83_d5cb_98f4_227a_u128.to_be_bytes();
        let hidden = hide("arctangent", "xyzzy5461", authenticator);
        let wanted = 0x0dbe_708d_93d4_13ce_3196_e43f_782a_0aee_u128.to_be_bytes();
        assert_eq!(hidden, wanted);
        assert_eq!(hide("", "s", authenticator).len(), 16);
        assert_eq!(hide(&"x".repeat(17), "s", authenticator).len(), 32);
    }

    /// RFC 2202 section 2.
    #[test]
    fn hmac_is_as_in_the_examples_of_the_rfc() {
        let signature = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(signature, 0x750c_783e_6ab0_b503_eaa8_6e31_0a5d_b738_u128.to_be_bytes());
        let long = hmac(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(long, 0x6b1a_b7fe_4bd7_bf8f_0b62_e6ce_61b9_d0cd_u128.to_be_bytes());
    }

    #[test]
    fn any_signed_answer_is_good_unless_a_login_is_to_be_accepted() {
        let asked = question(&login(""), "s", [7; 16]).expect("well-formed");
        for code in [2, 3, 11] {
            for with_hmac in [false, true] {
                let answer = answer(code, &asked, "s", with_hmac);
                assert_eq!(judge(&login(""), "s", &asked, &answer), GOOD);
            }
        }
        let other = answer(5, &asked, "s", false);
        assert_eq!(judge(&login(""), "s", &asked, &other), bad("an answer of code 5"));
        let asked = question(&login("pw"), "s", [7; 16]).expect("well-formed");
        let judged = |code| judge(&login("pw"), "s", &asked, &answer(code, &asked, "s", true));
        assert_eq!(judged(2), GOOD);
        assert_eq!(judged(3), bad("it rejects the login"));
        assert_eq!(judged(11), bad("it challenges the login"));
    }

    #[test]
    fn an_answer_that_is_not_signed_is_bad() {
        let asked = question(&login(""), "s", [7; 16]).expect("well-formed");
        let not_signed = bad("its answer is not signed with this secret");
        let judged = |answer: &[u8]| judge(&login(""), "s", &asked, answer);
        assert_eq!(judged(&answer(2, &asked, "other", true)), not_signed);
        let good = answer(2, &asked, "s", true);
        for at in [0, 4, 19, 22, 30, good.len() - 1] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert_eq!(judged(&changed), not_signed, "byte {at}");
        }
        // Its number is another's; it is not whole.
        let mut changed = good.clone();
        changed[1] ^= 1;
        assert_eq!(judged(&changed), None);
        for end in 0..good.len() {
            assert_eq!(judged(&good[..end]), None, "cut at {end}");
        }
        assert_eq!(judged(&[&good[..], b"padding"].concat()), GOOD);
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let long = "x".repeat(254);
        let nobody = Login { user: String::new(), password: Secret::default() };
        assert!(question(&nobody, "s", [0; 16]).is_err());
        assert!(question(&Login { user: long.clone(), ..nobody }, "s", [0; 16]).is_err());
        assert!(question(&login(&long), "s", [0; 16]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_or_none(
            junk: Vec<u8>, at in 0..60usize, byte: u8, secret: String
        ) {
            let asked = question(&login("pw"), &secret, [7; 16]).expect("well-formed");
            judge(&login("pw"), &secret, &asked, &junk);
            let mut changed = answer(2, &asked, &secret, true);
            let at = at % changed.len();
            changed[at] = byte;
            judge(&login("pw"), &secret, &asked, &changed);
            // Signed junk: one who knows the secret is no friend either.
            let mut signed = asked[..HEADER].to_vec();
            signed[0] = 2;
            signed.extend_from_slice(&junk);
            let length = signed.len() as u16;
            signed[2..4].copy_from_slice(&length.to_be_bytes());
            let signature = hash(&[&signed, secret.as_bytes()]);
            signed[4..HEADER].copy_from_slice(&signature);
            judge(&login("pw"), &secret, &asked, &signed);
        }
    }
}
