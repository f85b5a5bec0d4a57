//! Whose certificates are trusted: the configurations of TLS, made once for all checks alike.
//!
//! Sessions are not resumed: each check is shown the certificate anew, so that one that has ended
//! or was exchanged is seen. What is read from files is forgotten when checks are configured anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use super::refusal::{Refused, is_of_the_signer, of_certificate};

use crate::check::config::{HttpVersion, Probe, Protocol, Tls, TlsStart};
use crate::clock::Moment;

/// Files that could not be read are tried again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// What one configuration differs from another in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    verify: bool,
    ca: Option<PathBuf>,
    speaks: Option<&'static [u8]>,
}

/// Certificates that are trusted.
struct Trusted {
    /// Those that may sign others.
    roots: Arc<RootCertStore>,
    /// The SHA-256 of each whole: a server may show one of them as its own.
    themselves: BTreeSet<[u8; SHA256_OUTPUT_LEN]>,
}

/// Certificates that are trusted, or why there are none and when that was found.
type Found = Result<Arc<Trusted>, (String, Moment)>;

/// The configurations that there are.
#[derive(Default)]
pub(super) struct Trust {
    configs: BTreeMap<Kind, Arc<ClientConfig>>,
    files: BTreeMap<Option<PathBuf>, Found>,
}

impl Trust {
    /// The configuration for a check. `Err` says why there is none.
    pub(super) fn config(
        &mut self,
        probe: &Probe,
        tls: &Tls,
        now: Moment,
    ) -> Result<Arc<ClientConfig>, String> {
        let ca = tls.ca.clone().filter(|_| tls.verify);
        let kind = Kind { verify: tls.verify, ca, speaks: speaks(probe, tls) };
        if let Some(config) = self.configs.get(&kind) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(&kind, now)?);
        self.configs.insert(kind, Arc::clone(&config));
        Ok(config)
    }

    /// Files are read again.
    pub(super) fn forget(&mut self) {
        *self = Trust::default();
    }

    fn make(&mut self, kind: &Kind, now: Moment) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot begin ({e})"))?;
        let verifier: Arc<dyn ServerCertVerifier> = match kind.verify {
            true => Arc::new(Strict::new(self.trusted(kind.ca.as_deref(), now)?, provider)?),
            false => Arc::new(Anybody(provider)),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = kind.speaks.into_iter().map(<[u8]>::to_vec).collect();
        Ok(config)
    }

    /// The certificates that are trusted.
    fn trusted(&mut self, ca: Option<&Path>, now: Moment) -> Result<Arc<Trusted>, String> {
        let known = self.files.get(&ca.map(Path::to_path_buf));
        match known {
            Some(Ok(trusted)) => return Ok(Arc::clone(trusted)),
            Some(Err((why, tried))) if now.since(*tried) < RETRY => return Err(why.clone()),
            Some(Err(_)) | None => {}
        }
        let read = ca.map_or_else(of_this_host, of_file).map(Arc::new);
        let kept = read.clone().map_err(|why| (why, now));
        self.files.insert(ca.map(Path::to_path_buf), kept);
        read
    }
}

/// What is offered by ALPN (RFC 7301). Only where a server expects it: others may refuse.
fn speaks(probe: &Probe, tls: &Tls) -> Option<&'static [u8]> {
    let Probe::Speak { protocol, .. } = probe else { return None };
    match protocol {
        Protocol::Http(http) if http.version == HttpVersion::V2 => Some(b"h2"),
        Protocol::Http(_) => Some(b"http/1.1"),
        // PostgreSQL 17 takes TLS without its own word for it only with this.
        Protocol::Postgres { .. } if tls.start == TlsStart::AtOnce => Some(b"postgresql"),
        Protocol::Postgres { .. }
        | Protocol::Smtp { .. }
        | Protocol::Ftp(_)
        | Protocol::Imap(_)
        | Protocol::Pop3(_)
        | Protocol::Nntp(_)
        | Protocol::Redis { .. }
        | Protocol::Mysql { .. }
        | Protocol::Ldap { .. }
        | Protocol::Dns(_)
        | Protocol::Sip { .. }
        | Protocol::Expect(_)
        | Protocol::Agent { .. } => None,
    }
}

fn of_this_host() -> Result<Trusted, String> {
    let found = rustls_native_certs::load_native_certs();
    let themselves = found.certs.iter().map(whole).collect();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match added {
        0 => Err("this host trusts no certificates; install ca-certificates or give ca".into()),
        _ => Ok(Trusted { roots: Arc::new(roots), themselves }),
    }
}

fn of_file(path: &Path) -> Result<Trusted, String> {
    let failed = |why: &str| format!("cannot use {}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|error| match error.kind() == ErrorKind::NotFound {
        true => format!("there is no file {}, which `ca` names", path.display()),
        false => failed(&error.to_string()),
    })?;
    let mut roots = RootCertStore::empty();
    let mut themselves = BTreeSet::new();
    for (number, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let certificate = certificate.map_err(|_| failed("it is not PEM from begin to end"))?;
        let unread = |_| failed(&format!("certificate {} in it cannot be read", number + 1));
        themselves.insert(whole(&certificate));
        roots.add(certificate).map_err(unread)?;
    }
    match roots.is_empty() {
        true => Err(failed("no certificate in PEM is in it")),
        false => Ok(Trusted { roots: Arc::new(roots), themselves }),
    }
}

/// What a certificate is known by: two that differ in one bit differ in this.
fn whole(certificate: &CertificateDer<'_>) -> [u8; SHA256_OUTPUT_LEN] {
    let mut known = [0; SHA256_OUTPUT_LEN];
    known.copy_from_slice(digest(&SHA256, certificate).as_ref());
    known
}

/// Whether there are certificates in a file that can be trusted; `Err` says why not.
pub fn certificates(path: &Path) -> Result<(), String> {
    of_file(path).map(drop)
}

/// Takes a certificate that one of the trusted signed, or that is one of them, and says of any
/// other what is wrong.
struct Strict {
    library: Arc<WebPkiServerVerifier>,
    trusted: Arc<Trusted>,
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strict").field("library", &self.library).finish_non_exhaustive()
    }
}

impl Strict {
    fn new(trusted: Arc<Trusted>, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let roots = Arc::clone(&trusted.roots);
        let library = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let library = library.map_err(|e| format!("nothing can be verified ({e})"))?;
        Ok(Strict { library, trusted })
    }

    /// RFC 5280 section 6.1 takes none that may sign others, which those of `openssl req -x509`
    /// may, and wants one that is not its own signer signed by another. That whole certificate
    /// being trusted, nobody has to vouch for it. When it holds was judged already: the library
    /// looks at that before all else. Its names are judged here, its key at the handshake.
    fn is_trusted_itself(
        &self,
        shown: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Option<Result<ServerCertVerified, rustls::Error>> {
        if !self.trusted.themselves.contains(&whole(shown)) {
            return None;
        }
        let named = ParsedCertificate::try_from(shown).and_then(|c| verify_server_name(&c, name));
        Some(named.map(|()| ServerCertVerified::assertion()))
    }
}

impl ServerCertVerifier for Strict {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.library.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let result = match &judged {
            Err(rustls::Error::InvalidCertificate(error)) if is_of_the_signer(error) => {
                self.is_trusted_itself(end_entity, server_name).unwrap_or(judged)
            }
            Ok(_) | Err(_) => judged,
        };
        result.map_err(|error| match error {
            rustls::Error::InvalidCertificate(error) => {
                let refused = Refused(of_certificate(&error, Some(end_entity)));
                CertificateError::Other(OtherError(Arc::new(refused))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
