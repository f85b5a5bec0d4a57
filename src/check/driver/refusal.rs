//! Why TLS was not agreed on, in the words of people.
//!
//! What the library calls it stands in brackets only where nothing better is known. A server whose
//! certificate nobody here trusts is told with who signed it: mostly itself.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::certificate;
use crate::check::outcome::Failure;

/// So many names of a wrong certificate are told.
const NAMES: usize = 3;

/// What the library calls a certificate that may sign others, where a server shows it.
const AUTHORITY: &str = "CaUsedAsEndEntity";

/// What is wrong with TLS.
pub(super) fn of_tls(error: &Error) -> Failure {
    Failure::answered(match error {
        Error::InvalidCertificate(error) => of_certificate(error, None),
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::InvalidMessage(_)
        | Error::PeerSentOversizedRecord
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => return garbled(),
        Error::DecryptError => "what it sends cannot be decrypted".to_owned(),
        Error::AlertReceived(alert) => format!("it refuses TLS: {}", of_alert(*alert)),
        Error::NoApplicationProtocol => "it refuses TLS: no protocol in common (ALPN)".to_owned(),
        Error::PeerIncompatible(why) => of_mismatch(why),
        Error::PeerMisbehaved(why) => format!("it breaks the rules of TLS ({why:?})"),
        other => format!("TLS failed ({other})"),
    })
}

/// What comes is something else.
pub(super) fn garbled() -> Failure {
    Failure::answered("what it sends is not TLS")
}

fn of_alert(alert: AlertDescription) -> String {
    let wants_ours = "it wants a certificate from who asks, and a check has none";
    let said = match alert {
        AlertDescription::HandshakeFailure => "it accepts none of the ways that are offered",
        AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor TLS 1.3",
        AlertDescription::InsufficientSecurity => "it wants stronger ciphers than are offered",
        AlertDescription::UnrecognisedName => "it has nothing under the name that was asked for",
        AlertDescription::NoApplicationProtocol => "no protocol in common (ALPN)",
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => wants_ours,
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::InternalError => "it has an error of its own",
        other => return format!("{other:?}"),
    };
    said.to_owned()
}

fn of_mismatch(why: &PeerIncompatible) -> String {
    let said = match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "it speaks neither TLS 1.2 nor TLS 1.3"
        }
        PeerIncompatible::NoCipherSuitesInCommon => "it accepts none of the ciphers of today",
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "it accepts none of the key exchanges of today"
        }
        PeerIncompatible::NoSignatureSchemesInCommon => "it signs in no way that is accepted here",
        other => return format!("its TLS cannot be agreed on ({other:?})"),
    };
    said.to_owned()
}

/// Whether what is wrong with a certificate is who signed it and how, or that it may sign others.
pub(super) fn is_of_the_signer(error: &CertificateError) -> bool {
    match error {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        CertificateError::Other(OtherError(other)) => format!("{other:?}") == AUTHORITY,
        _ => false,
    }
}

/// What is wrong with a certificate, which may be at hand.
pub(super) fn of_certificate(error: &CertificateError, shown: Option<&[u8]>) -> String {
    let said = match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            return certificate::ended(seconds(not_after.as_secs()));
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            return certificate::begins(seconds(not_before.as_secs()));
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            return misnamed(&expected.to_str(), presented);
        }
        CertificateError::UnknownIssuer => return untrusted(shown),
        CertificateError::BadSignature => return forged(shown),
        CertificateError::Other(OtherError(other)) => {
            return match other.downcast_ref::<Refused>() {
                Some(Refused(said)) => said.clone(),
                None => of_library(&format!("{other:?}"), shown),
            };
        }
        CertificateError::Expired => "its certificate has ended",
        CertificateError::NotValidYet => "its certificate is not valid yet",
        CertificateError::NotValidForName => "its certificate bears another name",
        CertificateError::BadEncoding => "its certificate cannot be read",
        CertificateError::Revoked => "its certificate is revoked",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is signed in a way that is not accepted here, such as SHA-1"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for servers (extendedKeyUsage)"
        }
        CertificateError::UnhandledCriticalExtension => {
            "its certificate has a critical extension that nobody here understands"
        }
        other => return format!("its certificate is not good ({other})"),
    };
    said.to_owned()
}

fn seconds(since: u64) -> i64 {
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// What the library has no error of its own for; its words are those of its source.
fn of_library(word: &str, shown: Option<&[u8]>) -> String {
    let said = match word {
        AUTHORITY if shown.is_some_and(certificate::is_signed_by_itself) => {
            return untrusted(shown);
        }
        AUTHORITY => {
            "its certificate is that of an authority (CA:TRUE), which a server cannot show as its \
             own unless `ca` names that very one"
        }
        "UnsupportedCertVersion" => "its certificate is older than version 3, and names nobody",
        "EndEntityUsedAsCa" => "its certificate is signed by one that may sign nothing (CA:FALSE)",
        "NameConstraintViolation" => {
            "its certificate bears a name that its authority may not give (nameConstraints)"
        }
        "PathLenConstraintViolated" | "MaximumPathDepthExceeded" => {
            "too many authorities stand between its certificate and one that is trusted"
        }
        other => return format!("its certificate is not good ({other})"),
    };
    said.to_owned()
}

/// Nobody who is trusted here signed it.
fn untrusted(shown: Option<&[u8]>) -> String {
    let itself = shown.is_some_and(certificate::is_signed_by_itself);
    match shown.and_then(certificate::issuer) {
        _ if itself => "its certificate is self-signed, and nobody here trusts it".to_owned(),
        Some(issuer) => format!("its certificate is signed by {issuer:?}, who is not trusted here"),
        None => "its certificate is signed by nobody who is trusted here".to_owned(),
    }
}

/// Somebody of the name of one who is trusted here signed it, with another key.
fn forged(shown: Option<&[u8]>) -> String {
    match shown.and_then(certificate::issuer) {
        _ if shown.is_some_and(certificate::is_signed_by_itself) => untrusted(shown),
        Some(issuer) => {
            format!("its certificate is signed by another {issuer:?} than is trusted here")
        }
        None => "the signature of its certificate does not fit".to_owned(),
    }
}

/// What is wrong with the names of a certificate.
fn misnamed(wanted: &str, presented: &[String]) -> String {
    // Each looks like DnsName("www.example.org").
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let mut names: Vec<String> = presented.iter().take(NAMES).map(bare).collect();
    if presented.len() > NAMES {
        names.push("others".to_owned());
    }
    match names.is_empty() {
        true => format!("its certificate is not for {wanted} and bears no name (subjectAltName)"),
        false => format!("its certificate is not for {wanted} but for {}", names.join(", ")),
    }
}

/// What is wrong, found while the certificate was at hand.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::PeerMisbehaved;

    use super::*;

    fn of(error: CertificateError) -> String {
        of_tls(&Error::InvalidCertificate(error)).what
    }

    #[test]
    fn what_is_wrong_is_said_in_words_and_not_in_names_of_a_library() {
        let other =
            |word| CertificateError::Other(OtherError(Arc::new(Refused(of_library(word, None)))));
        let cases = [
            (of(CertificateError::BadSignature), "the signature of its certificate does not fit"),
            (of(CertificateError::Revoked), "its certificate is revoked"),
            (of(CertificateError::UnknownIssuer), "signed by nobody who is trusted here"),
            (of(CertificateError::InvalidPurpose), "is not one for servers"),
            (of(other("CaUsedAsEndEntity")), "is that of an authority (CA:TRUE)"),
            (of(other("UnsupportedCertVersion")), "older than version 3"),
            (of(other("Novelty")), "its certificate is not good (Novelty)"),
            (of_tls(&Error::DecryptError).what, "what it sends cannot be decrypted"),
            (of_tls(&Error::NoCertificatesPresented).what, "it shows no certificate"),
        ];
        for (said, wanted) in cases {
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_refusal_of_the_server_is_told_with_what_it_misses() {
        let alert = |alert| of_tls(&Error::AlertReceived(alert)).what;
        let says =
            |said: String, wanted: &str| assert_eq!(said, format!("it refuses TLS: {wanted}"));
        says(alert(AlertDescription::ProtocolVersion), "it speaks neither TLS 1.2 nor TLS 1.3");
        says(
            alert(AlertDescription::CertificateRequired),
            "it wants a certificate from who asks, and a check has none",
        );
        says(alert(AlertDescription::UserCanceled), "UserCanceled");
        let old = PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig;
        let old = of_tls(&Error::PeerIncompatible(old)).what;
        assert_eq!(old, "it speaks neither TLS 1.2 nor TLS 1.3");
        let wrong = of_tls(&Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived)).what;
        assert_eq!(wrong, "it breaks the rules of TLS (TooMuchEarlyDataReceived)");
    }
}
