//! What is said to a server and how its answer is judged, for each kind of server.
//!
//! A [`Dialogue`] is one conversation over one stream, a [`datagram::Question`] one datagram and
//! the answers to it. Both take bytes and give bytes, so that any cut of a stream can be tested,
//! and neither knows of sockets, TLS or time: who drives them opens the connection, makes the
//! handshake and says when the time is up. What a server sends is never kept beyond a bound, and a
//! server that keeps to no end is bad.

use crate::check::config::{Login, Protocol, Target, Tls, TlsStart};
use crate::check::outcome::Outcome;

mod agent;
mod ber;
pub mod datagram;
mod discreet;
mod dns;
mod exchange;
mod expect;
mod ftp;
pub mod http;
mod imap;
mod ldap;
mod line;
mod mysql;
mod nntp;
#[cfg(test)]
mod ordeal;
mod pop3;
mod postgres;
mod quote;
mod radius;
mod redis;
mod sip;
mod smtp;
#[cfg(test)]
mod tests;

use discreet::Discreet;
use exchange::Exchange;

/// So many bytes of a body, or of what is searched for an expected text, are looked at.
pub const MOST_BYTES: usize = 64 * 1024;

/// One conversation over one stream.
pub trait Dialogue: Send {
    /// The connection stands, and TLS on it if that begins at once.
    fn open(&mut self, out: &mut Vec<u8>) -> Step;
    /// Bytes came. Any cut of the stream gives the same result.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step;
    /// TLS stands, after [`Step::Upgrade`].
    fn upgraded(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::More
    }
    /// The server closed its side.
    fn end(&mut self) -> Step;
    /// How far it got, for when the time is up: "connected, but no banner came".
    fn so_far(&self) -> String;
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes have to come.
    More,
    /// What was put out is sent, then TLS begins.
    Upgrade,
    /// The connection is closed, and another made and opened.
    Again,
    /// This is how it ended. What was put out with it is sent as a farewell, if that can be done
    /// without waiting.
    Done(Outcome),
}

/// The conversation with a server that speaks this protocol. The random bytes become nonces and
/// names of transactions: two conversations have different ones.
pub fn dialogue(
    protocol: &Protocol,
    target: &Target,
    tls: Option<&Tls>,
    random: [u8; 16],
) -> Box<dyn Dialogue> {
    let upgrade = tls.is_some_and(|tls| tls.start == TlsStart::Upgrade);
    let talk: Box<dyn Dialogue> = match protocol {
        Protocol::Http(http) => Box::new(http::Talk::new(http, target, tls)),
        Protocol::Smtp { helo } => Exchange::boxed(smtp::Smtp::new(helo, upgrade)),
        Protocol::Ftp(login) => Exchange::boxed(ftp::Ftp::new(login.clone(), upgrade)),
        Protocol::Imap(login) => Exchange::boxed(imap::Imap::new(login.clone(), upgrade)),
        Protocol::Pop3(login) => Exchange::boxed(pop3::Pop3::new(login.clone(), upgrade)),
        Protocol::Nntp(login) => Exchange::boxed(nntp::Nntp::new(login.clone(), upgrade)),
        Protocol::Redis { login } => Exchange::boxed(redis::Redis::new(login.clone())),
        Protocol::Mysql { login, cleartext } => {
            let covered = tls.is_some() && !upgrade;
            let clear = *cleartext || target.address.is_loopback();
            Exchange::boxed(mysql::Mysql::new(login.clone(), upgrade, covered, clear, random))
        }
        Protocol::Postgres { login, database, cleartext } => {
            let clear = *cleartext || tls.is_some() || target.address.is_loopback();
            Exchange::boxed(postgres::Postgres::new(login, database, upgrade, clear, random))
        }
        Protocol::Ldap { login, base } => {
            Exchange::boxed(ldap::Ldap::new(login.clone(), base.clone(), upgrade))
        }
        Protocol::Dns(dns) => {
            Exchange::boxed(dns::OverTcp::new(dns, u16::from_be_bytes([random[0], random[1]])))
        }
        Protocol::Sip { user } => {
            Exchange::boxed(sip::OverTcp::new(user, target, tls.is_some(), random))
        }
        Protocol::Expect(turns) => Box::new(expect::Expect::new(turns)),
        Protocol::Agent { send } => Exchange::boxed(agent::Agent::new(send)),
    };
    Discreet::boxed(talk, login_of(protocol))
}

/// Who logs in, where somebody does.
fn login_of(protocol: &Protocol) -> Option<&Login> {
    match protocol {
        Protocol::Ftp(login)
        | Protocol::Imap(login)
        | Protocol::Pop3(login)
        | Protocol::Nntp(login)
        | Protocol::Redis { login }
        | Protocol::Mysql { login, .. }
        | Protocol::Ldap { login, .. } => login.as_ref(),
        Protocol::Postgres { login, .. } => Some(login),
        Protocol::Http(_)
        | Protocol::Smtp { .. }
        | Protocol::Dns(_)
        | Protocol::Sip { .. }
        | Protocol::Expect(_)
        | Protocol::Agent { .. } => None,
    }
}
