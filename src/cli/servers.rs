//! `converge servers`: every server of every pool, what it gets and why.
//!
//! What the resident converge makes of them is in its report; weights and connections are asked of
//! the kernel. Where no converge runs the servers of the role are shown, of which nothing is known
//! but what operators said.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::exit::Code;
use super::load;
use super::running::{Files, Ground};
use super::traffic::{self, Carried, Traffic};
use super::wait::spoken;
use super::{Exit, Format, Global};
use super::{stalls, whom};
use crate::control::checks::Figures;
use crate::control::report::{self, MemberReport, PoolReport, Seen};
use crate::control::words::WordsFileError;
use crate::control::{wall, words};
use crate::host::{Host, chain};
use crate::ipvs::Connections;
use crate::pool::config::PoolConfig;
use crate::pool::standing::{Share, Standing};
use crate::pool::words::{Effective, Word, Words};
use crate::role::Role;

/// What `--help` says beside.
pub const NOTE: &str = "\
The weight is that of the kernel's table now, then the one that the server has while all is well; a
dash is a server that is not in the table.

Not judged yet: `kept` has what it had, `unknown` has no traffic. `held` seems to have failed, but
the fault is likely on this host, so it keeps what it had. `spared` is well and has no traffic, for
the quorum is lost and a fallback answers.

With -o json, `files` says of the cluster file and the roles whether they are `right` or `wrong`, or
`unreadable` to whoever asks.";

/// How it ends.
pub const CODES: &[Code] = &[
    (Exit::Done, "it is shown; without a running converge, what the role says"),
    (Exit::Failed, "what is known cannot be read"),
    (Exit::Usage, "this host has no pool"),
    (Exit::BadConfig, "the cluster file or a role file is wrong, and no converge runs here"),
];

/// A pool as it is shown.
struct Pool {
    name: String,
    servers: Vec<Server>,
    /// What holds for the pool as a whole.
    notes: Vec<String>,
}

/// A server as it is shown.
struct Server {
    host: String,
    at: SocketAddr,
    /// While all is well.
    weight: u32,
    now: Option<u32>,
    standing: Standing,
    since: Option<u64>,
    why: String,
    /// What an operator said of it.
    word: Option<Effective>,
    connections: Option<Connections>,
}

/// Runs it.
pub fn run(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        let seen = report::read(host.files())?;
        let goes_by = "this is what the running converge has";
        let Ground { loaded, live, files, .. } = Ground::look(global, &host, seen, goes_by).await?;
        let live = live.as_ref();
        if let Some(loaded) = &loaded
            && loaded.role.pools().is_empty()
            && live.is_none_or(|seen| seen.report.pools.is_empty())
        {
            return Err(whom::no_pools(loaded));
        }
        let (said, wrong) = words::salvage(host.files()).map_err(WordsFileError::from)?;
        if let Some(why) = wrong {
            warn(&format!("{} is damaged: {}", words::WORDS, chain(&why)));
        }
        let mut traffic = Traffic::open().unwrap_or_else(|error| {
            warn(&format!("connections are not shown: {}", chain(&error)));
            Traffic::unknown()
        });
        let role = loaded.as_ref().map(|loaded| &loaded.role);
        let mut pools = pools(role, live, &said);
        pools.iter_mut().for_each(|pool| weigh(pool, &mut traffic));
        let made = live.and_then(|_| stalls::figures(&host));
        match global.output {
            Format::Json => {
                super::print(&as_json(role, files, live, made.as_ref(), &pools).to_string());
            }
            Format::Text => {
                text(&pools);
                if live.is_none() {
                    warn("converge.service does not run here: no server is checked");
                }
                made.iter().for_each(stalls::tell);
            }
        }
        Ok(Exit::Done)
    })
}

pub(super) fn warn(line: &str) {
    anstream::eprintln!("note: {line}");
}

/// The pools of the role, and those that the resident converge has beside them.
fn pools(role: Option<&Role>, live: Option<&Seen>, said: &Words) -> Vec<Pool> {
    let configs = role.map_or(&[][..], Role::pools);
    let reported = |name: &str| live.and_then(|seen| seen.report.pools.get(name));
    let own = configs.iter().map(|config| match reported(&config.name) {
        Some(report) => of_report(&config.name, report, said),
        None => of_role(config, live.is_some(), said),
    });
    let is_own = |name: &str| configs.iter().any(|config| config.name == name);
    let others = live.into_iter().flat_map(|seen| &seen.report.pools);
    let others = others.filter(|(name, _)| !is_own(name));
    own.chain(others.map(|(name, report)| of_report(name, report, said))).collect()
}

fn of_report(name: &str, report: &PoolReport, said: &Words) -> Pool {
    let now = wall();
    let server = |(at, member): (&SocketAddr, &MemberReport)| {
        let share = report.shares.members.get(at);
        // Whether a drain is over the running converge knows, by the clock of where it was said.
        let word = said.now(&member.host, name);
        Server {
            host: member.host.clone(),
            at: *at,
            weight: member.weight,
            now: share.and_then(|share| share.weight),
            standing: share.map_or(Standing::Unknown, |share| share.standing),
            since: Some(member.since),
            why: why(share, member, word.as_ref(), now),
            word,
            connections: None,
        }
    };
    Pool {
        name: name.to_owned(),
        servers: report.members.iter().map(server).collect(),
        notes: notes(report),
    }
}

/// The reason for how a server stands; else what fails although it still stands; and what an
/// operator said of it, whether or not that is the reason.
fn why(share: Option<&Share>, member: &MemberReport, word: Option<&Effective>, now: u64) -> String {
    let own = match share {
        Some(share) if !share.why.is_empty() => share.why.clone(),
        Some(_) | None => member.failing.join("; "),
    };
    match word {
        None => own,
        Some(said) => {
            // What the resident converge says of a word is in the word.
            let own = Some(own).filter(|own| !own.is_empty() && !own.starts_with("said on "));
            own.into_iter().chain([spoken_word(said, now)]).collect::<Vec<_>>().join("; ")
        }
    }
}

/// What an operator said: when, where, and how it goes on.
fn spoken_word(said: &Effective, now: u64) -> String {
    let span = |from: u64, to: u64| spoken(Duration::from_millis(to.saturating_sub(from)));
    let (by, age) = (&said.by, span(said.at, now));
    match (said.word, said.until) {
        (Word::Ready, _) => String::new(),
        (Word::Drain, None) => format!("drained on {by} {age} ago"),
        (Word::Drain, Some(until)) => {
            format!("drained on {by} {age} ago, out in {}", span(now, until))
        }
        (Word::Maintenance, None) => format!("taken out on {by} {age} ago"),
        (Word::Maintenance, Some(until)) => {
            format!("drained on {by} {age} ago, out for {}", span(until, now))
        }
    }
}

fn notes(report: &PoolReport) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(
        report.spare.iter().map(|spare| format!("the quorum is lost: {spare} answers instead")),
    );
    if report.held {
        notes.push(
            "no server seems to be well, but the fault is likely on this host: the last good ones \
             are kept"
                .into(),
        );
    }
    if report.blind {
        notes.push("another director sees servers that are well; this one sees none".into());
    }
    notes.extend(report.peers.iter().map(|(peer, sees)| {
        let unknown = match sees.unknown {
            0 => String::new(),
            n => format!(", {n} unknown"),
        };
        format!("{peer} sees {} up, {} down{unknown}", sees.up, sees.down)
    }));
    notes
}

/// What is known of a pool that nobody looks after.
fn of_role(config: &PoolConfig, runs: bool, said: &Words) -> Pool {
    let now = wall();
    let server = |member: &crate::pool::config::Member| {
        let word = match runs {
            true => said.now(&member.host, &config.name),
            false => said.of(&member.host, &config.name, now),
        };
        Server {
            host: member.host.clone(),
            at: member.server,
            weight: member.weight,
            now: None,
            standing: Standing::Unknown,
            since: None,
            why: word.as_ref().map(|said| spoken_word(said, now)).unwrap_or_default(),
            word,
            connections: None,
        }
    };
    let reload = "the running converge does not know this pool: `systemctl reload converge`";
    Pool {
        name: config.name.clone(),
        servers: config.members.iter().map(server).collect(),
        notes: if runs { vec![reload.into()] } else { Vec::new() },
    }
}

/// Puts in what the kernel says.
fn weigh(pool: &mut Pool, traffic: &mut Traffic) {
    match traffic.of(&pool.name) {
        Ok(None) => {}
        Ok(Some(load)) => {
            for server in &mut pool.servers {
                let Carried { weight, connections } = traffic::carried(&load, server.at);
                (server.now, server.connections) = (weight, Some(connections));
            }
        }
        Err(error) => {
            pool.notes.push(format!("connections are not shown: {}", chain(&error)));
        }
    }
}

fn text(pools: &[Pool]) {
    let now = wall();
    let persists = pools.iter().flat_map(|pool| &pool.servers);
    let persists = persists.filter_map(|server| server.connections).any(|c| c.persistent > 0);
    for pool in pools {
        super::print(&pool.name);
        let rows: Vec<Vec<String>> =
            pool.servers.iter().map(|server| row(server, now, persists)).collect();
        let mut head =
            vec!["SERVER", "ADDRESS", "WEIGHT", "STANDING", "SINCE", "ACTIVE", "INACTIVE"];
        head.extend(persists.then_some("PERSISTENT"));
        head.push("WHY");
        let head: Vec<String> = head.into_iter().map(str::to_owned).collect();
        table(&head, &rows).iter().for_each(|line| super::print(&format!("  {line}")));
        pool.notes.iter().for_each(|note| super::print(&format!("  {note}")));
    }
}

fn row(server: &Server, now: u64, persists: bool) -> Vec<String> {
    let dash = || "-".to_owned();
    let weight = server.now.map_or_else(dash, |weight| weight.to_string());
    let age = |since: u64| spoken(Duration::from_millis(now.saturating_sub(since)));
    let count = |of: fn(Connections) -> u32| {
        server.connections.map_or_else(dash, |connections| of(connections).to_string())
    };
    let mut row = vec![
        server.host.clone(),
        server.at.to_string(),
        format!("{weight}/{}", server.weight),
        server.standing.to_string(),
        server.since.map_or_else(dash, age),
        count(|c| c.active),
        count(|c| c.inactive),
    ];
    row.extend(persists.then(|| count(|c| c.persistent)));
    row.push(server.why.clone());
    row
}

/// Columns as wide as what is in them.
pub(super) fn table(head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let all = || std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    let width = |n: usize| all().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

fn as_json(
    role: Option<&Role>,
    files: Files,
    live: Option<&Seen>,
    checks: Option<&Figures>,
    pools: &[Pool],
) -> serde_json::Value {
    let server = |server: &Server| {
        json!({
            "server": server.host,
            "address": server.at,
            "weight": server.now,
            "configured": server.weight,
            "standing": server.standing,
            "since": server.since,
            "why": server.why,
            "word": server.word.as_ref().map(|said| json!({
                "word": said.word,
                "by": said.by,
                "at": said.at,
                "until": said.until,
            })),
            "connections": server.connections,
        })
    };
    let pool = |pool: &Pool| {
        let report = live.and_then(|seen| seen.report.pools.get(&pool.name));
        json!({
            "pool": pool.name,
            "servers": pool.servers.iter().map(server).collect::<Vec<_>>(),
            "spare": report.and_then(|report| report.spare.as_ref()),
            "held": report.is_some_and(|report| report.held),
            "blind": report.is_some_and(|report| report.blind),
            "peers": report.map(|report| &report.peers),
        })
    };
    let host = role.map(|role| role.host.to_string());
    json!({
        "schema": "converge.servers/1",
        "host": host.or_else(|| live.map(|seen| seen.report.host.clone())),
        "files": files,
        "service": live.is_some(),
        "at": live.map(|seen| seen.report.at),
        "checks": checks,
        "pools": pools.iter().map(pool).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::words::{Said, Whom};

    #[test]
    fn whether_a_drain_is_over_is_for_the_running_converge_to_say() {
        let mut words = Words::default();
        let until = Some(wall() - 60_000);
        let drain = Said { word: Word::Drain, at: wall() - 120_000, by: "dr2".into(), until };
        words.say(Whom { host: "web1".into(), pool: None }, drain);
        let at = SocketAddr::from(([192, 0, 2, 1], 80));
        let member = MemberReport { host: "web1".into(), ..MemberReport::default() };
        let report = PoolReport { members: [(at, member)].into(), ..PoolReport::default() };
        let pool = of_report("app", &report, &words);
        assert_eq!(pool.servers[0].word.as_ref().map(|said| said.word), Some(Word::Drain));
    }
}
