//! TLS: certificates that are good, and all the ways in which they are not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;

use rcgen::ExtendedKeyUsagePurpose;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::servers::*;
use super::*;
use crate::check::config::{Http, HttpRequest, HttpVersion, Tls, TlsStart};
use Evidence::Answered;

const DAY: u64 = 24 * 60 * 60;

/// Who signs the certificates of these tests, and the file that trusts it.
fn authority() -> &'static (CertifiedIssuer<'static, KeyPair>, PathBuf) {
    static AUTHORITY: OnceLock<(CertifiedIssuer<'static, KeyPair>, PathBuf)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let path = std::env::temp_dir().join(format!("converge-ca-{}.pem", std::process::id()));
        std::fs::write(&path, issuer.pem()).expect("a file");
        (issuer, path)
    })
}

/// What a certificate for this name says that ends in so many days.
pub(super) fn lasting(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let seconds = Duration::from_secs(days.unsigned_abs() * DAY + DAY / 2);
    let now = std::time::SystemTime::now();
    params.not_before = (now - Duration::from_secs(400 * DAY)).into();
    params.not_after = if days < 0 { now - seconds } else { now + seconds }.into();
    params
}

/// A certificate for this name that ends in so many days, and its key.
fn signed(name: &str, days: i64) -> (Vec<u8>, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let certificate = lasting(name, days).signed_by(&key, &authority().0);
    let certificate = certificate.expect("a certificate");
    (certificate.der().to_vec(), key)
}

/// A server's TLS with a certificate for this name that ends in so many days.
fn config(name: &str, days: i64, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let (certificate, key) = signed(name, days);
    shown(certificate, &key, alpn, &[&TLS12, &TLS13])
}

/// A server's TLS with this certificate.
pub(super) fn shown(
    certificate: Vec<u8>,
    key: &KeyPair,
    alpn: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(versions).expect("versions");
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Says `text` over TLS and waits for the end.
pub(super) fn say(stream: TcpStream, config: &Arc<ServerConfig>, text: &[u8]) {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(text).ok();
    stream.flush().ok();
    stream.read_to_end(&mut Vec::new()).ok();
}

fn secure(name: &str, days: i64, text: &'static str) -> SocketAddr {
    let config = config(name, days, &[]);
    server(move |stream| say(stream, &config, text.as_bytes()))
}

fn tls(name: Option<&str>, start: TlsStart) -> Tls {
    let (name, ca) = (name.map(str::to_owned), Some(authority().1.clone()));
    Tls { start, name, verify: true, ca, warn_before: Duration::from_secs(14 * DAY) }
}

pub(super) fn handshake(at: SocketAddr, tls: Tls) -> CheckConfig {
    CheckConfig { timing: timing(3_000), ..check(at, Probe::Connect(Some(tls))) }
}

pub(super) fn named(name: &str) -> Tls {
    tls(Some(name), TlsStart::AtOnce)
}

#[test]
fn a_good_certificate_is_good_and_one_that_ends_soon_is_told() {
    assert_eq!(note(handshake(secure("www.test", 90, ""), named("www.test"))), None);
    let soon = note(handshake(secure("www.test", 5, ""), named("www.test")));
    let soon = soon.expect("a note");
    assert!(soon.starts_with("its certificate ends in 5 days (20"), "{soon}");
}

#[test]
fn without_a_name_the_certificate_has_to_bear_the_address() {
    let at = secure("127.0.0.1", 90, "");
    assert_eq!(note(handshake(at, tls(None, TlsStart::AtOnce))), None);
    let (what, evidence) = failure(handshake(at, named("www.test")));
    assert_eq!(what, "its certificate is not for www.test but for 127.0.0.1");
    assert_eq!(evidence, Answered);
    let at = secure("www.test", 90, "");
    let (what, _) = failure(handshake(at, tls(None, TlsStart::AtOnce)));
    assert_eq!(what, "its certificate is not for 127.0.0.1 but for www.test");
}

#[test]
fn a_certificate_that_has_ended_is_bad_and_told_of_where_nobody_verifies() {
    let at = secure("www.test", -3, "");
    let (what, evidence) = failure(handshake(at, named("www.test")));
    assert!(what.starts_with("its certificate ended on 20"), "{what}");
    assert_eq!(evidence, Answered);
    let careless = Tls { verify: false, ca: None, ..named("other.test") };
    assert_eq!(note(handshake(at, careless)).as_ref(), Some(&what));
}

#[test]
fn a_certificate_that_nobody_here_trusts_is_bad() {
    let at = secure("www.test", 90, "");
    let strict = Tls { ca: None, ..named("www.test") };
    let mut driven = Driven::start([handshake(at, strict.clone())]);
    driven.until("an answer", |d| !d.health.is_empty() || !d.noticed.is_empty());
    if let Some(health) = driven.health.values().next() {
        let failing = health.failing.as_ref().expect("a reason");
        let what = &failing.failure.what;
        assert!(what.starts_with("its certificate is signed by \""), "{what}");
        assert!(what.ends_with("\", who is not trusted here"), "{what}");
    }
}

/// What a check that trusts the authority of these tests makes of such a certificate, signed by
/// the authority or by itself.
fn refused(change: impl FnOnce(&mut CertificateParams), by_itself: bool) -> String {
    let mut params = CertificateParams::new(["www.test".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "www.test");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = match by_itself {
        true => params.self_signed(&key),
        false => params.signed_by(&key, &authority().0),
    };
    let certificate = certificate.expect("a certificate").der().to_vec();
    let config = shown(certificate, &key, &[], &[&TLS12, &TLS13]);
    failure(handshake(server(move |stream| say(stream, &config, b"")), named("www.test"))).0
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_plain_words() {
    let by_itself = refused(|_| (), true);
    assert_eq!(by_itself, "its certificate is self-signed, and nobody here trusts it");
    let signing = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(refused(signing, true), by_itself);
    let authority = refused(signing, false);
    assert!(authority.contains("is that of an authority (CA:TRUE)"), "{authority}");
    let early = refused(|p| p.not_before = rcgen::date_time_ymd(2999, 1, 2), false);
    assert_eq!(early, "its certificate is not valid before 2999-01-02 00:00 UTC");
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let other = refused(|p| p.extended_key_usages = vec![client], false);
    assert_eq!(other, "its certificate is not one for servers (extendedKeyUsage)");
}

#[test]
fn a_server_that_wants_a_certificate_of_its_clients_is_told_so() {
    let (certificate, key) = signed("www.test", 90);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority().0.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS12]).expect("a version");
    let builder = builder.with_client_cert_verifier(clients.build().expect("a verifier"));
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let chain = vec![CertificateDer::from(certificate)];
    let config = Arc::new(builder.with_single_cert(chain, key).expect("a pair"));
    let at = server(move |stream| say(stream, &config, b""));
    let (what, _) = failure(handshake(at, named("www.test")));
    assert!(what.starts_with("it refuses TLS: "), "{what}");
    assert!(what.ends_with("a certificate from who asks, and a check has none"), "{what}");
}

#[test]
fn certificates_that_cannot_be_read_are_the_fault_of_this_host() {
    let nowhere = Tls { ca: Some("/nowhere/ca.pem".into()), ..named("www.test") };
    let mut driven = Driven::start([handshake(secure("www.test", 90, ""), nowhere)]);
    driven.until("a notice", |d| d.noticed.iter().any(|n| n.contains("/nowhere/ca.pem")));
    assert!(driven.health.is_empty());
}

#[test]
fn what_is_no_tls_is_bad_in_plain_words() {
    let of = |at| failure(handshake(at, named("www.test"))).0;
    assert_eq!(of(saying("220 hello\r\n")), "what it sends is not TLS");
    let closing = server(|mut stream| drop(stream.read(&mut [0; 4096])));
    assert_eq!(of(closing), "it closes the connection instead of agreeing on TLS");
    assert_eq!(of(server(reset)), "connection reset (TLS was not agreed on)");
    let silent = check(saying(""), Probe::Connect(Some(named("www.test"))));
    assert_eq!(failure(silent).0, "connected, but TLS was not agreed on in time");
}

#[test]
fn a_conversation_goes_through_tls_whatever_its_length() {
    let long: &'static str = String::leak("x".repeat(60_000) + "ok");
    for text in ["ok", long] {
        let spoken = Probe::clone(&expects(secure("www.test", 5, text), "ok").probe);
        let Probe::Speak { protocol, .. } = spoken else { panic!("a conversation") };
        let at = secure("www.test", 5, text);
        let probe = Probe::Speak { protocol, tls: Some(named("www.test")) };
        let said = note(CheckConfig { timing: timing(3_000), ..check(at, probe) });
        assert!(said.is_some_and(|said| said.contains("ends in 5 days")));
    }
}

#[test]
fn tls_begins_in_the_middle_when_the_protocol_says_so() {
    let config = config("mail.test", 90, &[]);
    let at = server(move |mut stream| {
        let mut buffer = [0; 1024];
        stream.write_all(b"220 mail.test\r\n").ok();
        let _read = stream.read(&mut buffer);
        stream.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").ok();
        let _read = stream.read(&mut buffer);
        stream.write_all(b"220 go ahead\r\n").ok();
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        let mut stream = StreamOwned::new(connection, stream);
        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
            stream.write_all(b"250 mail.test\r\n").ok();
        }
    });
    let protocol = Protocol::Smtp { helo: "lb.test".into() };
    let speak = |tls| {
        let probe = Probe::Speak { protocol: protocol.clone(), tls: Some(tls) };
        CheckConfig { timing: timing(3_000), ..check(at, probe) }
    };
    assert_eq!(note(speak(tls(Some("mail.test"), TlsStart::Upgrade))), None);
    let (what, _) = failure(speak(tls(Some("www.test"), TlsStart::Upgrade)));
    assert_eq!(what, "its certificate is not for www.test but for mail.test");
}

#[test]
fn a_server_that_does_not_speak_http_2_is_told_from_one_that_does_not_answer() {
    let request = HttpRequest::get("/");
    let http = Http { version: HttpVersion::V2, requests: vec![request] };
    let probe = Probe::Speak { protocol: Protocol::Http(http), tls: Some(named("www.test")) };
    let speak = |at| CheckConfig { timing: timing(3_000), ..check(at, probe.clone()) };
    let plain = secure("www.test", 90, "");
    assert_eq!(failure(speak(plain)).0, "it does not speak HTTP/2 (ALPN)");
    let older = config("www.test", 90, &[b"http/1.1"]);
    let older = server(move |stream| say(stream, &older, b""));
    assert!(failure(speak(older)).0.starts_with("it refuses TLS"));
}

#[test]
fn what_comes_after_the_farewell_of_tls_ends_the_check_and_nothing_else() {
    let config = config("www.test", 90, &[]);
    let at = server(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return;
            }
        }
        connection.send_close_notify();
        connection.write_tls(&mut stream).ok();
        stream.write_all(&[0; 20_000]).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let Probe::Speak { protocol, .. } = Probe::clone(&expects(at, "ok").probe) else {
        panic!("a conversation")
    };
    let probe = Probe::Speak { protocol, tls: Some(named("www.test")) };
    let (what, evidence) = failure(CheckConfig { timing: timing(3_000), ..check(at, probe) });
    assert!(what.contains("did not come"), "{what}");
    assert_eq!(evidence, Answered);
}
