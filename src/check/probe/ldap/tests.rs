//! As slapd talks, and as it must not.

use super::*;
use crate::check::probe::ordeal::Ordeal;

fn ldap(base: Option<&'static str>, upgrade: bool) -> Ordeal {
    let login = Login { user: "cn=me".into(), password: "secret".into() };
    Ordeal::new(move || Ldap::new(Some(login.clone()), base.map(str::to_owned), upgrade))
}

fn answer(number: u8, operation: u8, code: u8, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put(tag::ENUMERATED, &[code], &mut body);
    put(tag::OCTETS, b"", &mut body);
    put(tag::OCTETS, text.as_bytes(), &mut body);
    let mut out = Vec::new();
    put_message(number, operation, &body, &mut out);
    out
}

fn entry(number: u8) -> Vec<u8> {
    let mut body = Vec::new();
    put(tag::OCTETS, b"dc=example", &mut body);
    put(tag::SEQUENCE, b"", &mut body);
    let mut out = Vec::new();
    put_message(number, tag::ENTRY, &body, &mut out);
    out
}

const BIND: &[u8] = b"\x30\x17\x02\x01\x02\x60\x12\x02\x01\x03\x04\x05cn=me\x80\x06secret";
const SEARCH: &[u8] = b"\x30\x34\x02\x01\x03\x63\x2f\x04\x0adc=example\x0a\x01\0\x0a\x01\0\
                        \x02\x01\x01\x02\x01\0\x01\x01\0\x87\x0bobjectClass\x30\x05\x04\x031.1";

#[test]
fn a_bind_and_an_object_that_is_there_are_good() {
    let bound = answer(2, tag::BOUND, 0, "");
    let plain = ldap(None, false).says(BIND).hears(&bound);
    plain.says(b"\x30\x05\x02\x01\x03\x42\0").ends_good();
    let nobody = Ordeal::new(|| Ldap::new(None, None, false));
    nobody.says(b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\0\x80\0").hears(&bound).ends_good();
    let found = [entry(3), answer(3, tag::SEARCHED, 0, "")].concat();
    ldap(Some("dc=example"), false)
        .hears(&bound)
        .says(&[BIND, SEARCH].concat())
        .hears(&found)
        .says(b"\x30\x05\x02\x01\x04\x42\0")
        .ends_good();
}

#[test]
fn tls_begins_by_starttls() {
    let asked = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    ldap(None, true)
        .says(asked)
        .hears(&answer(1, tag::EXTENDED_ANSWER, 0, ""))
        .upgrades()
        .says(BIND)
        .hears(&answer(2, tag::BOUND, 0, ""))
        .ends_good();
    let refused = ldap(None, true).hears(&answer(1, tag::EXTENDED_ANSWER, 2, "unsupported"));
    refused.ends_bad("STARTTLS: protocolError (2) `unsupported`");
}

#[test]
fn results_are_named() {
    for (code, text, what) in [
        (49, "", "bind: invalidCredentials (49)"),
        (51, "later", "bind: busy (51) `later`"),
        (99, "", "bind: result 99"),
    ] {
        ldap(None, false).hears(&answer(2, tag::BOUND, code, text)).ends_bad(what);
    }
    let bound = answer(2, tag::BOUND, 0, "");
    let missing = ldap(Some("dc=x"), false).hears(&bound).hears(&answer(3, tag::SEARCHED, 32, ""));
    missing.ends_bad("search: noSuchObject (32)");
    let hidden = ldap(Some("dc=x"), false).hears(&bound).hears(&answer(3, tag::SEARCHED, 0, ""));
    hidden.ends_bad("`dc=x` is not there for us");
    let going = answer(0, tag::EXTENDED_ANSWER, 52, "going down");
    ldap(None, false).hears(&going).ends_bad("it goes: unavailable (52) `going down`");
}

#[test]
fn what_is_no_ldap_is_said_to_be_none() {
    for (hears, what) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "no LDAP, but `H`"),
        (b"\x30\x80", "no LDAP, but `0`"),
        (b"\x30\x84\x7f\xff\xff\xff", "a message of 2147483653 bytes"),
        (b"\x30\0", "no LDAP, but `0`"),
        (b"\x30\x05\x02\x01\x02\x61\0", "an answer without a result"),
        (b"\x30\x05\x02\x01\x07\x61\0", "an answer to what was not asked"),
        (b"\x30\x05\x02\x01\x02\x64\0", "an answer to what was not asked"),
    ] {
        ldap(None, false).hears(hears).ends_bad(what);
    }
    ldap(None, false).silent("connected, but no answer to the bind came");
    let cut = ldap(None, false).hears(b"\x30\x05").ends();
    cut.ends_bad("it closed the connection, and no whole answer to the bind came");
}
