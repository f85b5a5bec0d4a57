//! HTTP that is asked of the port for HTTPS, and the other way round.
//!
//! A section with several ports has one check for all of them, so `http` for 80 goes to 443 too: a
//! server that wants TLS there answers with 400, and never gets any of that port's traffic.

use super::super::element::Element;
use super::{Asked, Traffic};
use crate::check::config::{Http, Probe, Protocol};
use crate::diagnostic::{Diagnostic, Severity};
use crate::ipvs::model;

/// Where plain HTTP is spoken (RFC 9110 section 4.2.1).
const HTTP: u16 = 80;

/// Where HTTP is spoken over TLS (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;

/// What servers answer whom they take for a client that forgot TLS.
const BAD_REQUEST: u16 = 400;

/// Warns of it.
pub fn report(e: &Element<'_>, probe: &Asked, traffic: &Traffic) {
    let Asked::This(probe) = probe else { return };
    let Probe::Speak { protocol: Protocol::Http(http), tls } = &**probe else { return };
    if traffic.protocol != model::Protocol::Tcp {
        return;
    }
    let (odd, title) = match tls {
        None if expects_it(http) => return,
        None => (HTTPS, "port 443 is asked without TLS, which HTTPS servers answer with 400"),
        Some(_) => (HTTP, "port 80 is asked over TLS, which servers of plain HTTP do not speak"),
    };
    if !traffic.ports.contains(&odd) {
        return;
    }
    let mistake = Diagnostic { severity: Severity::Warning, ..e.mistake("kind", title) };
    e.report(mistake.help(right(e, odd, &traffic.ports)));
}

/// Whether the role knows what it will be told.
fn expects_it(http: &Http) -> bool {
    http.requests.iter().all(|request| request.status.contains(BAD_REQUEST))
}

/// What would be right.
fn right(e: &Element<'_>, odd: u16, ports: &[u16]) -> String {
    let (asked, port) = (e.called("kind"), e.called("port"));
    let meant = if odd == HTTPS { "https" } else { "http" };
    let another = ports.iter().find(|port| **port == HTTPS + HTTP - odd);
    match another.or(ports.iter().find(|port| **port != odd)) {
        Some(other) => format!(
            "`{port} = {other}` asks there for all ports; or balance {odd} in a section of its \
             own, with `kind = \"{meant}\"`"
        ),
        None if odd == HTTP && e.given("tls") => "take `tls` out".to_owned(),
        None => format!("write `{asked} = \"{meant}\"`, or say where it asks with `{port}`"),
    }
}
