//! Recorded from PostgreSQL 15, and what it can say else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::check::probe::ordeal::Ordeal;

fn postgres(upgrade: bool) -> Ordeal {
    let login = Login { user: "me".into(), password: "secret".into() };
    Ordeal::new(move || Postgres::new(&login, "data", upgrade, true, [0; 16]))
}

const START: &[u8] =
    b"\0\0\0\x39\0\x03\0\0user\0me\0database\0data\0application_name\0converge\0\0";

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(Some(kind), body, &mut out);
    out
}

/// What follows on a login.
fn welcome() -> Vec<u8> {
    let rest = [
        message(b'R', &[0; 4]),
        message(b'S', b"server_version\x0015.10\0"),
        message(b'K', &[1, 2, 3, 4, 5, 6, 7, 8]),
        message(b'Z', b"I"),
    ];
    rest.concat()
}

#[test]
fn a_server_that_trusts_is_good() {
    let trusting = postgres(false).says(START).hears(&welcome()).says(b"X\0\0\0\x04");
    trusting.ends_good();
}

#[test]
fn the_password_goes_as_the_server_wants_it() {
    let clear = message(b'R', &[0, 0, 0, 3]);
    let logged_in = postgres(false).hears(&clear);
    let said = [START, b"p\0\0\0\x0bsecret\0"].concat();
    logged_in.says(&said).hears(&welcome()).ends_good();

    let login = Login { user: "me".into(), password: "secret".into() };
    let careful = Ordeal::new(move || Postgres::new(&login, "data", false, false, [0; 16]));
    careful.hears(&clear).says(START).ends_bad(CLEAR);

    let md5 = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
    let inner = hex(&Md5::digest(b"secretme"));
    let outer = hex(&Md5::digest([inner.as_bytes(), &[1, 2, 3, 4]].concat()));
    let said = [START, &message(b'p', format!("md5{outer}\0").as_bytes())].concat();
    postgres(false).hears(&md5).says(&said).hears(&welcome()).ends_good();
}

#[test]
fn scram_is_proven_on_both_sides() {
    let offer = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    let nonce = "AAAAAAAAAAAAAAAAAAAAAA==";
    let first = format!("n,,n=,r={nonce}");
    let initial = [b"SCRAM-SHA-256\0\0\0\0", &[first.len() as u8][..], first.as_bytes()].concat();
    let challenge = format!("\0\0\0\x0br={nonce}srv,s=c2FsdA==,i=1");
    // What the server knows, worked out a second time.
    let mut twin = Scram::new("secret", &[0; 16]);
    let proof = twin.answer(&challenge.as_bytes()[4..]).expect("well-formed");
    let signature = twin_signature(nonce, &challenge[4..]);
    let last = message(b'R', format!("\0\0\0\x0cv={signature}").as_bytes());
    postgres(false)
        .hears(&offer)
        .says(&[START, &message(b'p', &initial)].concat())
        .hears(&message(b'R', challenge.as_bytes()))
        .says(&message(b'p', &proof))
        .hears(&message(b'N', b"SNOTICE\0\0"))
        .hears(&last)
        .hears(&welcome())
        .ends_good();
    // One that lets us in without the proof may be anybody.
    postgres(false)
        .hears(&offer)
        .hears(&message(b'R', challenge.as_bytes()))
        .hears(&message(b'R', &[0; 4]))
        .ends_bad("it wants a login of kind 0");
    postgres(false)
        .hears(&offer)
        .hears(&message(b'R', challenge.as_bytes()))
        .hears(&message(b'R', b"\0\0\0\x0cv=AAAA"))
        .ends_bad("it does not prove that it knows the password");
}

/// By the book, and not by what is tested.
fn twin_signature(nonce: &str, challenge: &str) -> String {
    use ring::{hmac, pbkdf2};
    let mut salted = [0; 32];
    let rounds = std::num::NonZeroU32::MIN;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, b"salt", b"secret", &mut salted);
    let sign = |key: &[u8], text: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
    };
    let server_key = sign(&salted, b"Server Key");
    let all = format!("n=,r={nonce},{challenge},c=biws,r={nonce}srv");
    STANDARD.encode(sign(&server_key, all.as_bytes()))
}

#[test]
fn tls_begins_by_its_own_request() {
    let asked = postgres(true).says(&[0, 0, 0, 8, 4, 210, 22, 47]);
    asked.hears(b"S").upgrades().says(START).hears(&welcome()).ends_good();
    postgres(true).hears(b"N").ends_bad("it has no TLS");
    postgres(true).hears(b"H").ends_bad("no PostgreSQL, but `H`");
    let full = message(b'E', b"SFATAL\0C53300\0Msorry, too many clients already\0\0");
    postgres(true).hears(&full).ends_bad("error `sorry, too many clients already` (53300)");
    postgres(true).silent("connected, but no answer to SSLRequest came");
}

#[test]
fn its_own_words_are_the_reason() {
    for (body, what) in [
        (
            &b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"me\"\0\0"[..],
            "error `password authentication failed for user \"me\"` (28P01)",
        ),
        (
            b"SFATAL\0C57P03\0Mthe database system is starting up\0\0",
            "error `the database system is starting up` (57P03)",
        ),
        (b"", "error ``"),
    ] {
        postgres(false).hears(&message(b'E', body)).ends_bad(what);
    }
    let late = [&welcome()[..9], &message(b'E', b"C3D000\0Mdatabase \"data\" does not exist\0\0")];
    postgres(false)
        .hears(&late.concat())
        .ends_bad("error `database \"data\" does not exist` (3D000)");
}

#[test]
fn what_is_no_postgresql_is_said_to_be_none() {
    for (hears, what) in [
        (&b"\x15\x03\x01xyz"[..], "no PostgreSQL, but `\\u{15}\\u{3}\\u{1}xy`"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no PostgreSQL, but `HTTP/`"),
        (b"R\0\0\0\x03", "no PostgreSQL, but `R\\u{0}\\u{0}\\u{0}\\u{3}`"),
        (b"R\0\0\0\x04", "a request for a login without a kind"),
        (b"R\0\0\0\x08\0\0\0\x05", "a request for MD5 without salt"),
        (b"R\0\0\0\x08\0\0\0\x07", "it wants a login of kind 7"),
        (b"R\0\0\0\x10\0\0\0\x0aXOAUTH\0\0", "it wants a login by `XOAUTH\\u{0}\\u{0}`"),
        (b"Z\0\0\0\x05I", "no PostgreSQL, but `Z\\u{0}\\u{0}\\u{0}\\u{5}I`"),
    ] {
        postgres(false).hears(hears).ends_bad(what);
    }
    postgres(false).hears(b"R\0").silent("no whole answer to the start came");
    let gone = postgres(false).hears(&welcome()[..9]).ends();
    gone.ends_bad("it closed the connection, and no word that it is ready came");
}
