//! TLS: a server's own certificate that `ca` names, as `openssl req -x509` makes it.
//!
//! That says of it that it may sign others (CA:TRUE), which other programs forgive one that is
//! trusted itself. What else may be wrong with it they do not forgive, and neither do we.

use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::servers::*;
use super::tls::{handshake, lasting, named, say, shown};
use super::*;
use crate::check::config::Tls;
use crate::host::scratch::Scratch;

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// What `openssl req -x509` says of a server of this name, for so many days.
fn params(name: &str, days: i64) -> CertificateParams {
    let mut params = lasting(name, days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn signed(params: &CertificateParams, key: &KeyPair) -> Certificate {
    params.self_signed(key).expect("a certificate")
}

/// A check that trusts these alone, of a server that shows the first of those.
struct Case {
    scratch: Scratch,
    server: SocketAddr,
}

impl Case {
    fn new(trusted: &[&Certificate], config: Arc<ServerConfig>) -> Case {
        let scratch = Scratch::new();
        let pem: String = trusted.iter().map(|certificate| certificate.pem()).collect();
        scratch.write("/ca.pem", &pem);
        Case { scratch, server: server(move |stream| say(stream, &config, b"")) }
    }

    fn check(&self) -> CheckConfig {
        let ca = Some(self.scratch.real("/ca.pem"));
        handshake(self.server, Tls { ca, ..named("www.test") })
    }

    #[track_caller]
    fn note(&self) -> Option<String> {
        note(self.check())
    }

    #[track_caller]
    fn failure(&self) -> String {
        failure(self.check()).0
    }
}

/// A server that shows a certificate, where only that is trusted.
fn of_itself(params: &CertificateParams) -> Case {
    let key = key();
    let own = signed(params, &key);
    Case::new(&[&own], shown(own.der().to_vec(), &key, &[], BOTH))
}

#[test]
fn a_certificate_that_is_trusted_itself_is_good_though_it_may_sign_others() {
    for versions in [&[&TLS12], &[&TLS13]] {
        let key = key();
        let own = signed(&params("www.test", 90), &key);
        let case = Case::new(&[&own], shown(own.der().to_vec(), &key, &[], versions));
        assert_eq!(case.note(), None);
    }
    let soon = of_itself(&params("www.test", 5)).note().expect("a note");
    assert!(soon.starts_with("its certificate ends in 5 days (20"), "{soon}");
}

#[test]
fn the_one_that_openssl_makes_is_good() {
    let scratch = Scratch::new();
    let (key, ca) = (scratch.real("/key.pem"), scratch.real("/ca.pem"));
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30".split(' '))
        .args(["-subj", "/CN=www.test", "-addext", "subjectAltName=DNS:www.test"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&ca)
        .stderr(Stdio::null())
        .status();
    // Where there is no such program its likes are tried above.
    let Ok(made) = made else { return };
    assert!(made.success());
    let chain = vec![CertificateDer::from_pem_file(&ca).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(BOTH).expect("versions").with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(chain, key).expect("a pair"));
    let at = server(move |stream| say(stream, &config, b""));
    assert_eq!(note(handshake(at, Tls { ca: Some(ca), ..named("www.test") })), None);
}

#[test]
fn what_else_is_wrong_with_a_certificate_that_is_trusted_itself_is_not_forgiven() {
    let ended = of_itself(&params("www.test", -3)).failure();
    assert!(ended.starts_with("its certificate ended on 20"), "{ended}");
    let misnamed = of_itself(&params("other.test", 90)).failure();
    assert_eq!(misnamed, "its certificate is not for www.test but for other.test");
    let mut early = params("www.test", 90);
    (early.not_before, early.not_after) =
        (rcgen::date_time_ymd(2999, 1, 2), rcgen::date_time_ymd(2999, 2, 1));
    let early = of_itself(&early).failure();
    assert_eq!(early, "its certificate is not valid before 2999-01-02 00:00 UTC");
    let mut nameless = params("www.test", 90);
    nameless.subject_alt_names.clear();
    let nameless = of_itself(&nameless).failure();
    let said = "its certificate is not for www.test and bears no name (subjectAltName)";
    assert_eq!(nameless, said);
}

#[test]
fn another_certificate_of_the_same_key_is_not_the_one_that_is_trusted() {
    let key = key();
    let (named, renewed) = (params("www.test", 90), params("www.test", 91));
    let renewed = signed(&renewed, &key);
    let case = Case::new(&[&signed(&named, &key)], shown(renewed.der().to_vec(), &key, &[], BOTH));
    assert_eq!(case.failure(), "its certificate is self-signed, and nobody here trusts it");
}

/// Shows a certificate, but has the key of another.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesServerCert for Impostor {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[test]
fn a_trusted_certificate_is_of_no_use_to_who_has_not_got_its_key() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = signed(&params("www.test", 90), &key());
    let other = PrivateKeyDer::try_from(key().serialize_der()).expect("a key");
    let other = provider.key_provider.load_private_key(other).expect("a key");
    let pair = Arc::new(CertifiedKey::new(vec![own.der().clone()], other));
    for version in BOTH {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[version]).expect("a version");
        let resolver = Arc::new(Impostor(Arc::clone(&pair)));
        let config = builder.with_no_client_auth().with_cert_resolver(resolver);
        let said = Case::new(&[&own], Arc::new(config)).failure();
        assert_eq!(said, "the signature of its certificate does not fit");
    }
}

#[test]
fn a_certificate_that_may_sign_others_vouches_for_those_that_it_signed() {
    let issuer = CertifiedIssuer::self_signed(params("ca.test", 90), key()).expect("one");
    let key = key();
    let leaf = lasting("www.test", 90).signed_by(&key, &issuer).expect("a certificate");
    let vouched = Case::new(&[issuer.as_ref()], shown(leaf.der().to_vec(), &key, &[], BOTH));
    assert_eq!(vouched.note(), None);
    // One that it signed and that may sign others in turn is none that was named.
    let below = params("www.test", 90).signed_by(&key, &issuer).expect("a certificate");
    let config = shown(below.der().to_vec(), &key, &[], BOTH);
    let said = Case::new(&[issuer.as_ref()], Arc::clone(&config)).failure();
    assert!(said.contains("is that of an authority (CA:TRUE)"), "{said}");
    assert!(said.ends_with("unless `ca` names that very one"), "{said}");
    assert_eq!(Case::new(&[&below], config).note(), None, "it is named");
}

#[test]
fn a_certificate_that_is_trusted_itself_needs_nobody_to_vouch_for_it() {
    let key = key();
    let stranger = self::key();
    let issuer = Issuer::new(params("ca.test", 90), stranger);
    let leaf = lasting("www.test", 90).signed_by(&key, &issuer).expect("a certificate");
    let config = shown(leaf.der().to_vec(), &key, &[], BOTH);
    assert_eq!(Case::new(&[&leaf], config).note(), None);
    let other = lasting("www.test", 90).signed_by(&key, &issuer).expect("a certificate");
    let config = shown(other.der().to_vec(), &key, &[], BOTH);
    let said = Case::new(&[&leaf], config).failure();
    assert!(said.contains("who is not trusted here"), "{said}");
}
