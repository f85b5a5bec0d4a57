//! `[[virtual-server.check]]` and `[[upstream.check]]`: what is asked of each real server.
//!
//! A check is read once for all servers where nothing in it names the server, since there may be
//! thousands of them; then [`Check::of`] says whom it asks. What becomes of a server that fails the
//! pool's own words say ([`super::pool`]).

mod bytes;
mod datagram;
mod http;
mod login;
mod ports;
mod talk;
mod timing;
mod tls;
pub(super) mod words;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use super::command_line::CommandLine;
use super::element::{Element, WHEN};
use super::need::Need;
use crate::check::config::{
    CheckConfig, Datagram, File, Http, Probe, Protocol, Script, Target, ThroughVip, Timing, Way,
};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::document::{Field, Section, Shape};
use crate::ipvs::model;
use crate::track::config::Statuses;

const COUNT: Shape = Shape::Integer { min: 1, max: 255 };
const PORT: Shape = Shape::Integer { min: 1, max: 65535 };
const LENGTH: Shape = Shape::Integer { min: 0, max: 65535 };
const TEXTS: Shape = Shape::OneOrMore(&Shape::Text);

/// The keys of a check.
pub const SECTION: Section = Section::new(
    "check",
    "What is asked of each real server; all checks of a server have to be good. An empty text \
     counts as left out.",
    &[
        WHEN,
        Field::optional("kind", Shape::OneOf(words::KINDS), "What is asked, and how.")
            .default("auto: tcp, or ping where there is no TCP port to ask"),
        Field::optional("every", Shape::Duration, "From the start of one to that of the next.")
            .default("1s"),
        Field::optional("timeout", Shape::Duration, "How long one may take; at most `every`.")
            .default("1s, or `every`"),
        Field::optional("rise", COUNT, "As many good ones in a row bring a server back.")
            .default("2"),
        Field::optional("fall", COUNT, "As many bad ones in a row take it out.").default("3"),
        Field::optional("fast", Shape::Duration, "`every` while the answers are changing.")
            .default("a fifth of `every`, at least 200ms"),
        Field::optional("port", PORT, "Where it asks, if not where the traffic goes."),
        Field::optional("address", Shape::Address, "Whom it asks, if not the server's address."),
        Field::optional("tls", Shape::OneOf(&["off", "on", "starttls"]), "Whether over TLS.")
            .default("off; on for https"),
        Field::optional("name", Shape::Text, "The name that TLS (SNI), or dns, asks for."),
        Field::optional("verify", Shape::Bool, "Whether the certificate has to be good.")
            .default("true where `ca` is given"),
        Field::optional(
            "ca",
            Shape::Path,
            "The certificates that are trusted, in PEM: a signer's, or the server's own.",
        )
        .default("those of this host"),
        Field::optional("warn-before", Shape::Duration, "Warns of a certificate that ends sooner.")
            .default("14d"),
        Field::optional("version", Shape::OneOf(&["1.0", "1.1", "2"]), "http: of HTTP.")
            .default("1.1"),
        Field::optional("method", Shape::Text, "http: GET, HEAD, OPTIONS, POST, …").default("GET"),
        Field::optional("path", TEXTS, "http: one or several; all have to be good.").default("/"),
        Field::optional("host", Shape::Text, "http: the Host header.")
            .default("the server's address and port"),
        Field::optional("headers", TEXTS, "http: more headers, \"X-Check: converge\"."),
        Field::optional("body", Shape::Text, "http: the body that is sent."),
        Field::optional("status", Shape::Text, "http: the good ones, \"200,301-302\".")
            .default("200-399"),
        Field::optional("expect", TEXTS, "http: the body holds it. expect: the answers in turn."),
        Field::optional("matches", TEXTS, "The same with regular expressions."),
        Field::optional("matches-not", TEXTS, "http: patterns that must not match."),
        Field::optional("md5", Shape::Text, "http: the body's MD5, as genhash prints it."),
        Field::optional("sha256", Shape::Text, "http: the body's SHA-256."),
        Field::optional("send", TEXTS, "expect, agent: what is sent, in turn."),
        Field::optional("user", Shape::Text, "Who it logs in as; script: who it runs as."),
        Field::optional("password", Shape::Text, "Of the login."),
        Field::optional(
            "cleartext",
            Shape::Bool,
            "Lets the password go unencrypted: mysql (to whoever answers) and postgres send it so \
             only then, over TLS, or to this host itself; of the others lint warns where the \
             server is in another subnet.",
        )
        .default("false"),
        Field::optional("secret", Shape::Text, "radius: what client and server share."),
        Field::optional("database", Shape::Text, "postgres: the database.")
            .default("the user's name"),
        Field::optional("base", Shape::Text, "ldap: an entry that has to be there."),
        Field::optional("helo", Shape::Text, "smtp: what it calls itself.")
            .default("this host's name"),
        Field::optional("record", Shape::Text, "dns: A, AAAA, SOA, … or a number.").default("SOA"),
        Field::optional("answer", Shape::Text, "dns: what has to be among the answers."),
        Field::optional("payload", Shape::Text, "udp: what is sent; \\xHH, or hex: and digits."),
        Field::optional("reply", Shape::Text, "udp: how the answer begins; hex: may have ??.")
            .default("any, or none"),
        Field::optional("min-length", LENGTH, "udp: the answer has at least as many bytes."),
        Field::optional("max-length", LENGTH, "udp: the answer has at most as many bytes."),
        Field::optional(
            "script",
            Shape::Text,
            "script: a command line that ends with 0; no shell reads it. Its environment is PATH, \
             HOME, USER, LOGNAME, SHELL, LANG and CONVERGE_TARGET_ADDRESS, the server's address. \
             Everybody on the host can see its arguments: let it read a password from a file.",
        ),
        Field::optional("file", Shape::Path, "file: without it, or empty, all is well."),
        Field::optional("dynamic", Shape::Bool, "script, file: the number is the weight.")
            .default("false"),
    ],
)
.blank()
.by("kind", words::fits);

/// Where the traffic goes that the checks are about.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// In which protocol.
    pub protocol: model::Protocol,
    /// Whether some of it has no port of its own.
    pub portless: bool,
    /// The servers' ports that it goes to.
    pub ports: Vec<u16>,
    /// The VIP, and how a server gets packets for it, if it gets them.
    pub vip: Option<(IpAddr, Way)>,
    /// The interface towards the servers.
    pub interface: String,
}

/// A check, before it is known of whom.
#[derive(Clone, Debug)]
pub struct Check {
    /// Where its kind is said, else the section.
    pub place: Place,
    probe: Asked,
    timing: Timing,
    port: Option<u16>,
    address: Option<IpAddr>,
    needs: Vec<Need>,
    /// A password of it can be read by whoever is on the way.
    readable: bool,
}

#[derive(Clone, Debug)]
enum Asked {
    /// A connection, or an echo where there is no port.
    Auto,
    /// Each of thousands of servers has the same one.
    This(Arc<Probe>),
}

/// What `auto` asks for, without and with a port.
static AUTO: [LazyLock<Arc<Probe>>; 2] =
    [LazyLock::new(|| Arc::new(Probe::Ping)), LazyLock::new(|| Arc::new(Probe::Connect(None)))];

/// The checks of all real servers that a section is about; `None` where one of them names the
/// server, so that they have to be read for each.
pub fn of_all(e: &Element<'_>, traffic: &Traffic) -> Option<Arc<[Check]>> {
    (!e.mentions_in("check", "server")).then(|| of_each(e, traffic))
}

/// The checks of the one server that `e` is about.
pub fn of_each(e: &Element<'_>, traffic: &Traffic) -> Arc<[Check]> {
    e.tables("check").iter().filter_map(|table| Check::read(table, traffic)).collect()
}

/// Where a check through the VIP stands that is all there is.
pub fn in_vain(e: &Element<'_>) -> Option<Place> {
    let is = |table: &Element<'_>, kind| table.shown("kind").as_deref() == Some(kind);
    let tables = e.tables("check");
    // Of another one an error was told that left it out.
    let alone = tables.iter().all(|table| is(table, "vip") || is(table, "off"));
    let vip = tables.iter().find(|table| alone && is(table, "vip"));
    vip.map(|table| table.set_place("kind"))
}

impl Check {
    /// Reads the section. `None` if it is off, or wrong.
    pub fn read(e: &Element<'_>, traffic: &Traffic) -> Option<Check> {
        if let Some(slip) = words::slip(e) {
            e.report(slip);
            return None;
        }
        let kind = e.get::<String>("kind").map_or_else(|| "auto".into(), |kind| kind.value);
        if kind == "off" || (e.given("kind") && e.get::<String>("kind").is_none()) {
            return None;
        }
        let timing = timing::read(e);
        if !words::belong(e, &kind) {
            return None;
        }
        let probe = asked(e, &kind, traffic)?;
        let port = e.get::<u16>("port").map(|port| port.value);
        let address = e.get::<IpAddr>("address").map(|address| address.value);
        if address.is_some_and(|address| e.is_vip(address)) {
            e.report(asks_a_vip(e));
        }
        let place = if e.given("kind") { e.set_place("kind") } else { e.place() };
        let (needs, readable) = (needs(e, &probe), login::is_readable(e, &kind));
        let check = Check { place, probe, timing: timing?, port, address, needs, readable };
        if port.is_none() {
            words::foreign(e, &kind, traffic.protocol);
            ports::report(e, &check.probe, traffic);
        }
        if traffic.portless && port.is_none() && check.has_port() {
            e.report(no_port(e, &kind));
            return None;
        }
        Some(check)
    }

    /// Whether it makes sense for a server of that address: one of another family than the VIP, in
    /// a tunnel, is not asked through it, since this host may have no address of that family to
    /// ask from.
    pub fn suits(&self, server: IpAddr) -> bool {
        let address = self.asks(server);
        let Asked::This(probe) = &self.probe else { return true };
        let Probe::ThroughVip(through) = &**probe else { return true };
        through.vip.is_ipv4() == address.is_ipv4()
    }

    /// The check of a server that takes traffic there. None where it does not suit it.
    pub fn of(&self, server: SocketAddr) -> Option<Arc<CheckConfig>> {
        let address = self.asks(server.ip());
        let port = self.port.unwrap_or(server.port());
        let probe = match &self.probe {
            Asked::Auto => Arc::clone(&AUTO[usize::from(port != 0)]),
            Asked::This(probe) => Arc::clone(probe),
        };
        let port = if has_port(&probe) { port } else { 0 };
        let target = Target { address, port };
        let timing = self.timing;
        self.suits(server.ip()).then(|| Arc::new(CheckConfig { target, probe, timing }))
    }

    /// The check of a spare: that it answers in the same protocol at its own port. What it says may
    /// well be that it is sorry.
    pub fn of_spare(&self, spare: SocketAddr) -> Option<Arc<CheckConfig>> {
        let asked = match &self.probe {
            Asked::Auto => None,
            Asked::This(probe) => Some(probe.as_ref()),
        };
        let probe = match asked {
            Some(Probe::Script(_) | Probe::File(_) | Probe::ThroughVip(_)) => return None,
            Some(Probe::Speak { protocol: Protocol::Agent { .. }, .. }) => return None,
            Some(Probe::Speak { protocol: Protocol::Http(http), tls }) => {
                let (protocol, tls) = (Protocol::Http(forgiving(http)), tls.clone());
                Asked::This(Arc::new(Probe::Speak { protocol, tls }))
            }
            Some(_) | None => self.probe.clone(),
        };
        Check { probe, port: None, address: None, ..self.clone() }.of(spare)
    }

    /// Whether it is an echo that the role asks for by name.
    pub fn is_ping(&self) -> bool {
        matches!(&self.probe, Asked::This(probe) if **probe == Probe::Ping)
    }

    /// What it needs of this host.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// Whether it says a password that whoever is on the way can read.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whom it asks for a server of that address.
    pub fn asks(&self, server: IpAddr) -> IpAddr {
        self.address.unwrap_or(server)
    }

    fn has_port(&self) -> bool {
        matches!(&self.probe, Asked::This(probe) if has_port(probe))
    }
}

fn needs(e: &Element<'_>, probe: &Asked) -> Vec<Need> {
    let Asked::This(probe) = probe else { return Vec::new() };
    let need = match &**probe {
        Probe::Script(_) => Need::program(e, "script"),
        Probe::Connect(Some(tls)) | Probe::Speak { tls: Some(tls), .. }
            if tls.verify && tls.ca.is_some() =>
        {
            Need::certificates(e, "ca")
        }
        _ => None,
    };
    need.into_iter().collect()
}

/// Any status and any body will do.
fn forgiving(http: &Http) -> Http {
    let mut http = http.clone();
    for request in &mut http.requests {
        request.status = Statuses(vec![(100, 599)]);
        request.expect.clear();
    }
    http
}

fn has_port(probe: &Probe) -> bool {
    match probe {
        Probe::Connect(_) | Probe::Speak { .. } | Probe::Ask(_) | Probe::ThroughVip(_) => true,
        Probe::Ping | Probe::Script(_) | Probe::File(_) => false,
    }
}

/// On the director that has the VIP it would ask that director, and anywhere else whichever server
/// gets the connection.
fn asks_a_vip(e: &Element<'_>) -> Diagnostic {
    let title = "this check asks a VIP, behind which is any of the servers";
    let help = "leave `address` out; `kind = \"vip\"` asks each server through the VIP";
    Diagnostic { severity: Severity::Warning, ..e.mistake("address", title) }.help(help)
}

fn no_port(e: &Element<'_>, kind: &str) -> Diagnostic {
    let title = format!("a check of kind `{kind}` has no port to ask");
    let (port, asked) = (e.called("port"), e.called("kind"));
    e.mistake("kind", title)
        .label("the traffic has no port of its own")
        .help(format!("add `{port}`, or write `{asked} = \"ping\"`"))
}

/// What a check of this kind asks; `None` if it is wrong.
fn asked(e: &Element<'_>, kind: &str, traffic: &Traffic) -> Option<Asked> {
    let udp = traffic.protocol == model::Protocol::Udp;
    let probe = match kind {
        "auto" if traffic.protocol == model::Protocol::Tcp => return Some(Asked::Auto),
        "auto" | "ping" => Probe::Ping,
        "tcp" => Probe::Connect(tls::read(e, kind)?),
        "udp" => Probe::Ask(datagram::udp(e)?),
        "dns" if udp => Probe::Ask(Datagram::Dns(datagram::dns(e)?)),
        "sip" if udp => {
            let user = e.text("user").unwrap_or_else(|| talk::SIP_USER.into());
            Probe::Ask(Datagram::Sip { user })
        }
        "radius" => Probe::Ask(datagram::radius(e)?),
        "script" => Probe::Script(script(e)?),
        "file" => Probe::File(file(e)?),
        "vip" => Probe::ThroughVip(through_vip(traffic)?),
        "dns" | "sip" => Probe::Speak { protocol: talk::read(e, kind)?, tls: None },
        _ => {
            let protocol = talk::read(e, kind)?;
            Probe::Speak { protocol, tls: tls::read(e, kind)? }
        }
    };
    Some(Asked::This(Arc::new(probe)))
}

fn script(e: &Element<'_>) -> Option<Script> {
    let Some(argv) = e.get::<CommandLine>("script") else {
        missing(e, "script", "a command line");
        return None;
    };
    let dynamic = e.get::<bool>("dynamic").is_some_and(|dynamic| dynamic.value);
    Some(Script { argv: argv.value.0, user: e.text("user"), dynamic })
}

fn file(e: &Element<'_>) -> Option<File> {
    let Some(path) = e.get::<PathBuf>("file") else {
        missing(e, "file", "a path");
        return None;
    };
    let dynamic = e.get::<bool>("dynamic").is_some_and(|dynamic| dynamic.value);
    Some(File { path: path.value, dynamic })
}

fn missing(e: &Element<'_>, key: &'static str, what: &str) {
    if !e.given(key) {
        let title = format!("a check of kind `{key}` needs `{key}`, {what}");
        e.report(words::needs(e, key, title));
    }
}

/// Where servers get no packets for the VIP, or no TCP, there is nothing to ask.
fn through_vip(traffic: &Traffic) -> Option<ThroughVip> {
    let (vip, way) = traffic.vip?;
    let interface = traffic.interface.clone();
    let tcp = traffic.protocol == model::Protocol::Tcp && !traffic.portless;
    tcp.then_some(ThroughVip { vip, interface, way })
}

#[cfg(test)]
mod tests;
