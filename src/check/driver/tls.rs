//! TLS on a connection of a check: bytes in, bytes out, no socket.
//!
//! What goes wrong is said in words that stay the same as long as the same is wrong.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error};

use super::certificate;
use crate::check::config::Tls;
use crate::check::outcome::Failure;

/// So many names of a wrong certificate are told.
const NAMES: usize = 3;

/// One connection's TLS.
pub(super) struct Session {
    connection: ClientConnection,
}

/// The name that a certificate has to bear. `Err` says why it is none.
pub(super) fn name(tls: &Tls, target: IpAddr) -> Result<ServerName<'static>, String> {
    match &tls.name {
        // RFC 6066 section 3: an address is not sent as the server's name.
        None => Ok(ServerName::from(target)),
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| format!("{name:?} is no name that a certificate could bear")),
    }
}

impl Session {
    /// Begins one. `Err` says why it cannot.
    pub(super) fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Session, String> {
        let connection = ClientConnection::new(config, name).map_err(|e| e.to_string())?;
        Ok(Session { connection })
    }

    /// Takes some of the bytes that came, puts what they say into `plain`, and answers how many it
    /// took: all, unless there are very many.
    pub(super) fn take(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Result<usize, Failure> {
        let mut rest = bytes;
        let taken = self.connection.read_tls(&mut rest).map_err(|_| garbled())?;
        let state = self.connection.process_new_packets().map_err(|e| failure(&e))?;
        let (before, more) = (plain.len(), state.plaintext_bytes_to_read());
        plain.resize(before + more, 0);
        // All of it is there.
        self.connection.reader().read_exact(&mut plain[before..]).map_err(|_| garbled())?;
        Ok(taken)
    }

    /// Says this.
    pub(super) fn say(&mut self, plain: &[u8]) {
        // It takes as much as there is memory for.
        self.connection.writer().write_all(plain).ok();
    }

    /// Says that nothing more will be said.
    pub(super) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Puts out what is to be sent.
    pub(super) fn put_out(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() && self.connection.write_tls(out).is_ok_and(|n| n > 0) {
        }
    }

    /// Whether the handshake is still under way.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the server agreed to speak this.
    pub(super) fn speaks(&self, protocol: &[u8]) -> bool {
        self.connection.alpn_protocol() == Some(protocol)
    }

    /// When the server's certificate ends.
    pub(super) fn end(&self) -> Option<i64> {
        certificate::end(self.connection.peer_certificates()?.first()?)
    }
}

fn garbled() -> Failure {
    Failure::answered("what it sends is not TLS")
}

/// What is wrong.
fn failure(error: &Error) -> Failure {
    Failure::answered(match error {
        Error::InvalidCertificate(error) => refused(error),
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => return garbled(),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            return garbled();
        }
        Error::AlertReceived(alert) => format!("it refuses TLS: {alert:?}"),
        Error::NoApplicationProtocol => "it refuses TLS: no protocol in common (ALPN)".to_owned(),
        Error::PeerIncompatible(why) => format!("its TLS cannot be agreed on: {why:?}"),
        Error::PeerMisbehaved(why) => format!("its TLS is wrong: {why:?}"),
        other => format!("TLS failed: {other}"),
    })
}

/// What is wrong with a certificate.
fn refused(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            certificate::ended(i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX))
        }
        CertificateError::Expired => "its certificate has ended".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody who is trusted here".to_owned()
        }
        CertificateError::NotValidForName => "its certificate bears another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            misnamed(&expected.to_str(), presented)
        }
        CertificateError::BadEncoding => "its certificate cannot be read".to_owned(),
        other => format!("its certificate is not good: {other}"),
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
        true => format!("its certificate is not for {wanted} and bears no name"),
        false => format!("its certificate is not for {wanted} but for {}", names.join(", ")),
    }
}
