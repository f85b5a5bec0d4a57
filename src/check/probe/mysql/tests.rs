//! As MariaDB 10.11 and MySQL 8 talk.

use super::*;
use crate::check::probe::ordeal::Ordeal;

fn login(password: &str) -> Option<Login> {
    Some(Login { user: "me".into(), password: password.into() })
}

fn mysql(password: &'static str) -> Ordeal {
    Ordeal::new(move || Mysql::new(login(password), false, false, true, [7; 16]))
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet::put(number, payload, &mut out);
    out
}

fn greeting(plugin: &str, tls: bool) -> Vec<u8> {
    let mut body = b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0".to_vec();
    let low: u16 = if tls { 0xffff } else { 0xf7ff };
    body.extend_from_slice(&low.to_le_bytes());
    body.extend_from_slice(b"\x2d\x02\0\xff\xc1\x15");
    body.extend_from_slice(&[0; 10]);
    body.extend_from_slice(b"ijklmnopqrst\0");
    body.extend_from_slice(plugin.as_bytes());
    body.push(0);
    packet(0, &body)
}

const SEED: &[u8] = b"abcdefghijklmnopqrst";

fn said(number: u8, answer: &[u8], plugin: &str) -> Vec<u8> {
    let mut body = packet::opening(0);
    body.extend_from_slice(b"me\0");
    body.push(answer.len() as u8);
    body.extend_from_slice(answer);
    body.extend_from_slice(plugin.as_bytes());
    body.push(0);
    packet(number, &body)
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

fn native(seed: &[u8]) -> Vec<u8> {
    let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let once = sha1(b"secret");
    xor(&once, &sha1(&[seed, &sha1(&once)].concat()))
}

fn caching(seed: &[u8]) -> Vec<u8> {
    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    let once = sha256(b"secret");
    xor(&once, &sha256(&[&sha256(&once), seed].concat()))
}

const OK: &[u8] = b"\0\0\0\x02\0\0\0";

#[test]
fn a_native_password_is_taken() {
    mysql("secret")
        .hears(&greeting(NATIVE, false))
        .says(&said(1, &native(SEED), NATIVE))
        .hears(&packet(2, OK))
        .says(b"\x01\0\0\0\x01")
        .ends_good();
    let empty = mysql("").hears(&greeting(NATIVE, false)).says(&said(1, b"", NATIVE));
    empty.hears(&packet(2, OK)).ends_good();
}

#[test]
fn a_sha2_password_that_the_server_has_seen_is_taken() {
    mysql("secret")
        .hears(&greeting(CACHING, false))
        .says(&said(1, &caching(SEED), CACHING))
        .hears(&packet(2, &[1, 3]))
        .hears(&packet(3, OK))
        .ends_good();
}

#[test]
fn a_server_that_has_not_seen_the_user_gets_the_password_under_its_key() {
    let asked = || {
        mysql("secret")
            .hears(&greeting(CACHING, false))
            .says(&said(1, &caching(SEED), CACHING))
            .hears(&packet(2, &[1, 4]))
            .says(b"\x01\0\0\x03\x02")
    };
    let key = rsa::Key::read(PEM).expect("a key");
    let seed = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[7; 16]);
    let seed = *seed.as_ref().first_chunk().expect("20 bytes");
    let password = key.encrypt(&xor(b"secret\0", SEED), seed).expect("room");
    asked()
        .hears(&packet(4, &[b"\x01", PEM].concat()))
        .says(&packet(5, &password))
        .hears(&packet(6, OK))
        .says(b"\x01\0\0\0\x01")
        .ends_good();
    let again = asked().hears(&packet(4, &[b"\x01", PEM].concat())).hears(&packet(6, &[1, 4]));
    again.ends_bad("no answer to the login, but `\\u{1}\\u{4}`");
    let refused = b"\xff\x15\x04#28000Access denied";
    asked().hears(&packet(4, refused)).ends_bad("error `Access denied` (1045)");
    asked().hears(&packet(4, b"\x01---")).ends_bad("no public key, but `\\u{1}---`");
    asked().silent("no public key came");
    let long: &str = String::leak("x".repeat(86));
    let long = mysql(long).hears(&greeting(CACHING, false)).hears(&packet(2, &[1, 4]));
    let long = long.hears(&packet(4, &[b"\x01", PEM].concat()));
    long.ends_bad("its public key is too small for the password");
}

#[test]
fn whoever_answers_does_not_get_the_password_unless_that_is_meant() {
    let shy = |password| {
        let shy = move || Mysql::new(login(password), false, false, false, [7; 16]);
        Ordeal::new(shy).hears(&greeting(CACHING, false))
    };
    shy("secret").says(&said(1, &caching(SEED), CACHING)).hears(&packet(2, &[1, 4])).ends_bad(
        "it wants the password itself, which needs `tls = \"starttls\"` or `cleartext = true`",
    );
    // None is no secret.
    shy("").says(&said(1, b"", CACHING)).hears(&packet(2, &[1, 4])).says(b"\x01\0\0\x03\x02");
}

/// A key of 1024 bits, made by OpenSSL.
const PEM: &[u8] = b"-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDnAfuzjcB+Z5p+KtX53C/PlyT/
weIktTxBx1Q0Y0urVKKIDNgQsFuREBM8AyrYd1pwTOH7hRzt+wxkrkvDGR+dk69Z
EAH4qJ9C4OO7R54JUdIvpkUb9jXHzKIw1tvKCEg0z4RUyXuqWhXsSxwy4nu6fdzV
leamo3a8dwRh2MbdAQIDAQAB
-----END PUBLIC KEY-----
";

#[test]
fn under_tls_the_password_itself_is_given() {
    let covered = Ordeal::new(|| Mysql::new(login("secret"), true, false, false, [7; 16]));
    let asked = packet(1, &packet::opening(capability::TLS));
    let covered = covered.hears(&greeting(CACHING, true)).says(&asked).upgrades();
    let mut body = packet::opening(capability::TLS);
    body.extend_from_slice(&said(0, &caching(SEED), CACHING)[4 + body.len()..]);
    covered
        .says(&packet(2, &body))
        .hears(&packet(3, &[1, 4]))
        .says(&packet(4, b"secret\0"))
        .hears(&packet(5, OK))
        .says(b"\x01\0\0\0\x01")
        .ends_good();
}

#[test]
fn a_switch_to_the_users_own_plugin_is_followed() {
    let switch = [b"\xfemysql_native_password\0", &b"TSRQPONMLKJIHGFEDCBA"[..], b"\0"].concat();
    mysql("secret")
        .hears(&greeting(CACHING, false))
        .says(&said(1, &caching(SEED), CACHING))
        .hears(&packet(2, &switch))
        .says(&packet(3, &native(b"TSRQPONMLKJIHGFEDCBA")))
        .hears(&packet(4, OK))
        .ends_good();
    let unknown = mysql("secret").hears(&greeting(NATIVE, false));
    let unknown = unknown.hears(&packet(2, b"\xfeclient_ed25519\0abc"));
    unknown.ends_bad("it wants a login by `client_ed25519`");
    let old = mysql("secret").hears(&greeting(NATIVE, false)).hears(&packet(2, b"\xfe"));
    old.ends_bad("it wants a login by mysql_old_password");
}

#[test]
fn without_a_login_being_refused_by_name_is_good() {
    let nobody = || {
        Ordeal::new(|| Mysql::new(None, false, false, false, [7; 16]))
            .hears(&greeting(NATIVE, false))
    };
    let refused = packet(2, b"\xff\x15\x04#28000Access denied for user ''@'localhost'");
    nobody().hears(&refused).ends_good();
    nobody().hears(&packet(2, b"\xfeunix_socket\0")).ends_good();
    nobody().hears(&packet(2, OK)).ends_good();
    let other = packet(2, b"\xff\x10\x04#08004Too many connections");
    nobody().hears(&other).ends_bad("error `Too many connections` (1040)");
}

#[test]
fn its_own_words_are_the_reason() {
    for (payload, what) in [
        (
            &b"\xff\x69\x04Host '192.0.2.1' is blocked because of many connection errors; \
               unblock with 'mariadb-admin flush-hosts'"[..],
            "error `Host '192.0.2.1' is blocked because of many connection errors; unblock with \
             'mariadb-admin flush-hosts'` (1129)",
        ),
        (b"\xff\x10\x04Too many connections", "error `Too many connections` (1040)"),
        (b"\xff", "error `` (0)"),
        (b"\x09old\0", "no greeting of MySQL, but `old\\u{0}`"),
        (b"\x0a8", "no greeting of MySQL, but `8`"),
        (b"\x0a3.23\0\0\0\0\0abcdefgh\0\0\0", "it is older than MySQL 4.1"),
    ] {
        mysql("").hears(&packet(0, payload)).ends_bad(what);
    }
    let denied = packet(2, b"\xff\x15\x04#28000Access denied for user 'me'@'h'");
    let wrong = mysql("x").hears(&greeting(NATIVE, false)).hears(&denied);
    wrong.ends_bad("error `Access denied for user 'me'@'h'` (1045)");
    let tls = Ordeal::new(|| Mysql::new(None, true, false, false, [7; 16]));
    tls.hears(&greeting(NATIVE, false)).ends_bad("it has no TLS");
    mysql("").hears(b"HTTP/1.1 400 Bad\r\n").ends_bad("no MySQL, but `HTTP`");
    let junk = mysql("").hears(&greeting(NATIVE, false)).hears(&packet(2, b"\x02?"));
    junk.ends_bad("no answer to the login, but `\\u{2}?`");
    mysql("").silent("connected, but no greeting came");
    let gone = mysql("").hears(&greeting(NATIVE, false)).ends();
    gone.ends_bad("it closed the connection, and no answer to the login came");
}
