//! TLS on a connection of a check: bytes in, bytes out, no socket.
//!
//! What goes wrong is said in words that stay the same as long as the same is wrong
//! ([`super::refusal`]).

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::certificate;
use super::refusal::{garbled, of_tls};
use crate::check::config::Tls;
use crate::check::outcome::Failure;

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
        let connection =
            ClientConnection::new(config, name).map_err(|e| format!("TLS cannot begin ({e})"))?;
        Ok(Session { connection })
    }

    /// Takes some of the bytes that came, puts what they say into `plain`, and answers how many it
    /// took: all, unless there are very many.
    pub(super) fn take(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Result<usize, Failure> {
        let mut rest = bytes;
        let taken = self.connection.read_tls(&mut rest).map_err(|_| garbled())?;
        let state = self.connection.process_new_packets().map_err(|e| of_tls(&e))?;
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
