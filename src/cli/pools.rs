//! How `converge render` shows what is asked of real servers: pools, their servers and spares, and
//! the checks.
//!
//! A check that all servers share but for its target is shown once. A password is not shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::routers::{fields, heading, pair};
use crate::check::config::{
    CheckConfig, Datagram, Expectation, Http, Probe, Protocol, Target, Timing, Tls, TlsStart, Way,
};
use crate::frame::tunnel::Tunnel;
use crate::pool::config::{Member, OnFailure, PoolConfig};
use crate::role::Role;
use crate::role::words::written;

/// All of it as text.
pub fn text(role: &Role) -> String {
    let mut out = String::new();
    for pool in role.pools().iter().filter(|pool| is_judged(pool)) {
        heading(&mut out, &format!("pool {}", pool.name));
        fields(&mut out, &lines_of(pool));
    }
    if !role.witnesses().is_empty() {
        heading(&mut out, "witnesses");
        let target = |check: &CheckConfig| (what(&check.probe), written_target(check.target));
        let pairs: Vec<_> = role.witnesses().iter().map(|check| target(check)).collect();
        fields(&mut out, &pairs);
    }
    out
}

/// All of it for a program.
pub fn as_json(role: &Role) -> Json {
    let server = |member: &Member| {
        let checks = member.checks.iter().map(|check| of_check(check, member));
        json!({
            "host": member.host,
            "address": member.server,
            "weight": member.weight,
            "checks": checks.collect::<Vec<_>>(),
        })
    };
    let pool = |pool: &Arc<PoolConfig>| {
        let pairs = of_pool(pool).into_iter().map(|(key, value)| (key, json!(value)));
        let mut said = Json::Object(pairs.collect());
        said["name"] = json!(pool.name);
        said["servers"] = pool.members.iter().map(server).collect();
        said
    };
    role.pools().iter().map(pool).collect()
}

/// Whether anything could change what its servers get.
fn is_judged(pool: &PoolConfig) -> bool {
    pool.members.iter().any(|member| !member.checks.is_empty()) || !pool.spares.is_empty()
}

fn lines_of(pool: &PoolConfig) -> Vec<(String, String)> {
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut pairs = Vec::new();
    for member in &pool.members {
        for line in member.checks.iter().map(|check| of_check(check, member)) {
            if shown.insert(line.clone()) {
                pairs.push(pair("check", line));
            }
        }
    }
    pairs.extend(pool.members.iter().map(|member| {
        let Member { host, server, weight, .. } = member;
        pair(&format!("servers.{host}"), format!("{server}, weight {weight}"))
    }));
    pairs.extend(of_pool(pool));
    pairs
}

fn of_pool(pool: &PoolConfig) -> Vec<(String, String)> {
    let quorum = match pool.hysteresis {
        0 => pool.quorum.to_string(),
        margin => format!("{}, give or take {margin}", pool.quorum),
    };
    let on_failure = match pool.on_failure {
        OnFailure::Remove => "remove",
        OnFailure::Quiesce => "quiesce",
    };
    let mut pairs =
        vec![pair("quorum", quorum), pair("on-failure", on_failure), pair("guard", pool.guard)];
    if !pool.slow_start.is_zero() {
        pairs.push(pair("slow-start", written(pool.slow_start)));
    }
    let spares: Vec<&str> = pool.spares.iter().map(|spare| spare.name.as_str()).collect();
    if !spares.is_empty() {
        pairs.push(pair("fallback", spares.join(", ")));
    }
    pairs
}

/// A check in a line; its target only where it is not where the traffic goes.
fn of_check(check: &CheckConfig, member: &Member) -> String {
    let Timing { every, timeout, rise, fall, .. } = check.timing;
    let Target { address, port } = check.target;
    let mut at = String::new();
    if address != member.server.ip() {
        at = format!(" of {}", written_target(check.target));
    } else if port != 0 && port != member.server.port() {
        at = format!(" at port {port}");
    }
    let (every, timeout) = (written(every), written(timeout));
    format!("{}{at}, every {every} for {timeout}, rise {rise}, fall {fall}", what(&check.probe))
}

pub(super) fn written_target(target: Target) -> String {
    if target.port == 0 { target.address.to_string() } else { target.socket().to_string() }
}

/// What a check asks, in some words.
pub(super) fn what(probe: &Probe) -> String {
    match probe {
        Probe::Connect(tls) => format!("tcp{}", over(tls.as_ref())),
        Probe::Speak { protocol, tls } => {
            format!("{}{}", of_protocol(protocol), over(tls.as_ref()))
        }
        Probe::Ask(datagram) => of_datagram(datagram),
        Probe::Ping => "ping".into(),
        Probe::ThroughVip(through) => match through.way {
            Way::Direct => format!("through {}", through.vip),
            Way::Tunnel(Tunnel::Ipip) => format!("through {} in ipip", through.vip),
            Way::Tunnel(Tunnel::Gre) => format!("through {} in gre", through.vip),
            Way::Tunnel(Tunnel::Gue(port)) => {
                format!("through {} in gue to port {port}", through.vip)
            }
        },
        Probe::Script(script) => format!("script {}", script.argv.join(" ")),
        Probe::File(file) => format!("file {}", file.path.display()),
    }
}

fn over(tls: Option<&Tls>) -> String {
    let Some(tls) = tls else {
        return String::new();
    };
    let start = match tls.start {
        TlsStart::AtOnce => " over TLS",
        TlsStart::Upgrade => " with STARTTLS",
    };
    let name = tls.name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    format!("{start}{name}{}", if tls.verify { ", verified" } else { "" })
}

fn of_protocol(protocol: &Protocol) -> String {
    match protocol {
        Protocol::Http(http) => of_http(http),
        Protocol::Smtp { .. } => "smtp".into(),
        Protocol::Ftp(_) => "ftp".into(),
        Protocol::Imap(_) => "imap".into(),
        Protocol::Pop3(_) => "pop3".into(),
        Protocol::Nntp(_) => "nntp".into(),
        Protocol::Redis { .. } => "redis".into(),
        Protocol::Mysql { .. } => "mysql".into(),
        Protocol::Postgres { login, .. } => format!("postgres as {}", login.user),
        Protocol::Ldap { .. } => "ldap".into(),
        Protocol::Dns(dns) => format!("dns {} over tcp", dns.name),
        Protocol::Sip { user } => format!("sip {user} over tcp"),
        Protocol::Expect(turns) => format!("expect in {} turns", turns.len()),
        Protocol::Agent { .. } => "agent".into(),
    }
}

fn of_datagram(datagram: &Datagram) -> String {
    match datagram {
        Datagram::Udp { payload, .. } => format!("udp with {} bytes", payload.len()),
        Datagram::Dns(dns) => format!("dns {}", dns.name),
        Datagram::Sip { user } => format!("sip {user}"),
        Datagram::Radius { login, .. } => format!("radius as {}", login.user),
    }
}

fn of_http(http: &Http) -> String {
    let Some(first) = http.requests.first() else {
        return "http".into();
    };
    let paths: Vec<&str> = http.requests.iter().map(|request| request.path.as_str()).collect();
    let host = first.host.as_ref().map(|host| format!(" of {host}")).unwrap_or_default();
    let wants = match first.expect.len() {
        0 => String::new(),
        1 => format!(", {}", of_expectation(&first.expect[0])),
        more => format!(", {more} things in the body"),
    };
    let status = |(from, to): &(u16, u16)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    let status: Vec<String> = first.status.0.iter().map(status).collect();
    format!("{} {}{host}, status {}{wants}", first.method, paths.join(" "), status.join(","))
}

fn of_expectation(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Text(text) => format!("with {:?}", String::from_utf8_lossy(text)),
        Expectation::Matches(pattern) => format!("matching {:?}", pattern.as_str()),
        Expectation::MatchesNot(pattern) => format!("not matching {:?}", pattern.as_str()),
        Expectation::Md5(digits) => format!("with MD5 {digits}"),
        Expectation::Sha256(digits) => format!("with SHA-256 {digits}"),
    }
}
