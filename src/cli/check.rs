//! `converge check`: every check of this host's role, made once now, from here.
//!
//! The same engine makes them as in the resident converge, so what is good here is good there. With
//! `--digest` it prints what a page's digests are, for a check that wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::exit::Code;
use super::load::{self, Failure, Loaded};
use super::{Exit, Format, Global, pools, servers, whom};
use crate::check::config::{CheckConfig, Timing};
use crate::check::driver::{Checks, Made, Settings};
use crate::check::machine::Limits;
use crate::check::outcome::{Advice, Asked, Outcome, Wish};
use crate::check::probe::http::digests;
use crate::host::{Host, chain};
use crate::probe::client::{Client, Manner};
use crate::probe::target::Target;
use crate::role::Role;

/// What `--help` says beside.
pub const NOTE: &str = "\
A check that several servers share is made once and has a line for each of them. A `(witness)` is no
real server: whether it answers tells a director whether a fault is its own.";

/// How it ends.
pub const CODES: &[Code] = &[
    (Exit::Done, "all is well; with --digest: the page came"),
    (Exit::Failed, "something is not, or could not be checked"),
    (Exit::Usage, "wrong arguments, or this host has no pool"),
    (Exit::BadConfig, "the cluster file or a role file is wrong"),
];

/// As many at the same time; fewer descriptors are fewer checks at a time.
const AT_ONCE: usize = 4096;
/// The first round of checks is spread over a second; some more for a busy host.
const SPREAD: Duration = Duration::from_secs(3);
/// No check is made twice.
const NEVER: Duration = Duration::from_secs(3600);
/// How long a page may take.
const PAGE: Duration = Duration::from_secs(10);

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// What to check.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Only what is asked of this server.
    #[arg(value_name = "SERVER", conflicts_with = "digest")]
    server: Option<String>,
    /// Print status, MD5 and SHA-256 of a page instead, for a check that wants them.
    #[arg(long, value_name = "URL")]
    digest: Option<Target>,
}

/// What came of a check, for one of those whom it judges.
struct Line {
    who: String,
    check: Arc<CheckConfig>,
    made: Option<Arc<Made>>,
}

/// Runs it.
pub fn run(global: &Global, args: &CheckArgs) -> Exit {
    load::with_runtime(async {
        if let Some(url) = &args.digest {
            return Ok(digest(global, url).await);
        }
        let host = Host::this();
        let loaded = load::this_host(global, &host).await?;
        let asked = asked(&loaded, args.server.as_deref())?;
        let lines = make(asked).await?;
        match global.output {
            Format::Json => super::print(&as_json(&loaded, &lines).to_string()),
            Format::Text => text(global, &loaded, &lines),
        }
        let all = lines.iter().all(Line::is_good);
        Ok(if all { Exit::Done } else { Exit::Failed })
    })
}

/// Each check, with the names of all whom it judges.
type ByCheck = BTreeMap<Arc<CheckConfig>, BTreeSet<String>>;

/// Whom each check is about.
fn asked(loaded: &Loaded, server: Option<&str>) -> Result<ByCheck, Failure> {
    let role = &loaded.role;
    if role.pools().is_empty() {
        return Err(whom::no_pools(loaded));
    }
    let mut all = by_check(role);
    let Some(server) = server else { return Ok(all) };
    let names: BTreeSet<&str> = all.values().flatten().map(String::as_str).collect();
    if !names.contains(server) {
        let hosts = role.pools().iter().flat_map(|pool| &pool.members).map(|member| &member.host);
        let mut hosts = hosts.map(String::as_str);
        return Err(match hosts.any(|host| host == server) {
            true => Failure::Asked {
                said: format!("nothing is asked of {server}"),
                help: "its pools have no check: it always counts as well".into(),
            },
            false => whom::unknown("server", server, &Vec::from_iter(names)),
        });
    }
    all.retain(|_, names| names.contains(server));
    all.values_mut().for_each(|names| names.retain(|name| name == server));
    Ok(all)
}

/// Whoever is several of these is a member first of all, then a spare.
fn by_check(role: &Role) -> ByCheck {
    let members = role.pools().iter().flat_map(|pool| &pool.members);
    let members = members.flat_map(|m| m.checks.iter().map(|check| (check, m.host.as_str())));
    let spares = role.pools().iter().flat_map(|pool| &pool.spares);
    let spares = spares.flat_map(|s| s.checks.iter().map(|check| (check, s.name.as_str())));
    let witnesses = role.witnesses().iter().map(|check| (check, "(witness)"));
    let mut all = ByCheck::new();
    let stages: [Vec<(&Arc<CheckConfig>, &str)>; 3] =
        [members.collect(), spares.collect(), witnesses.collect()];
    for stage in stages {
        let mut new = ByCheck::new();
        for (check, who) in stage.into_iter().filter(|(check, _)| !all.contains_key(*check)) {
            new.entry(Arc::clone(check)).or_default().insert(who.to_owned());
        }
        all.append(&mut new);
    }
    all
}

/// Makes each of them once, whomever it judges; each of these has a line.
async fn make(asked: ByCheck) -> Result<Vec<Line>, Failure> {
    let once = |check: &CheckConfig| {
        let timing = Timing { every: NEVER, fast: NEVER, ..check.timing };
        Arc::new(CheckConfig { timing, ..check.clone() })
    };
    let mut judged = ByCheck::new();
    for (check, names) in asked {
        judged.entry(once(&check)).or_default().extend(names);
    }
    let longest = judged.keys().map(|check| check.timing.timeout).max().unwrap_or_default();
    let rounds = u32::try_from(judged.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
    let end = Instant::now() + SPREAD + longest.saturating_mul(rounds.max(1));
    let limits = Limits { at_once: AT_ONCE };
    let settings = Settings { tasks: Handle::current(), seed: 0, limits };
    let (_checks, mut outcomes) = Checks::watched(settings, judged.keys().cloned().collect())?;
    let mut made: BTreeMap<Arc<CheckConfig>, Made> = BTreeMap::new();
    while made.len() < judged.len()
        && let Ok(Some(one)) = timeout_at(end, outcomes.next()).await
    {
        if judged.contains_key(&one.check) {
            made.entry(Arc::clone(&one.check)).or_insert(one);
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    for (check, names) in judged {
        let made = made.remove(&check).map(Arc::new);
        let line = |who| Line { who, check: Arc::clone(&check), made: made.clone() };
        lines.extend(names.into_iter().map(line));
    }
    lines.sort_by(|a, b| (&a.who, &a.check).cmp(&(&b.who, &b.check)));
    Ok(lines)
}

impl Line {
    fn is_good(&self) -> bool {
        self.made.as_ref().is_some_and(|made| matches!(made.outcome, Outcome::Good(_)))
    }

    fn word(&self) -> &'static str {
        match self.made.as_ref().map(|made| &made.outcome) {
            Some(Outcome::Good(_)) => "good",
            Some(Outcome::Bad(_)) => "bad",
            Some(Outcome::Unmade(_)) | None => "not made",
        }
    }

    fn what(&self) -> String {
        match self.made.as_ref().map(|made| &made.outcome) {
            Some(Outcome::Good(advice)) => spoken(advice),
            Some(Outcome::Bad(failure)) => failure.to_string(),
            Some(Outcome::Unmade(why)) => why.clone(),
            None => "this host did not come to it".into(),
        }
    }

    fn took(&self) -> Option<f64> {
        self.made.as_ref().map(|made| (made.took.as_secs_f64() * 1e5).round() / 100.0)
    }
}

/// What a server asks for although all is well.
fn spoken(advice: &Advice) -> String {
    let weight = advice.weight.map(|weight| match weight {
        Asked::Percent(percent) => format!("it asks for {percent} % of its weight"),
        Asked::Weight(weight) => format!("it asks for the weight {weight}"),
    });
    let wish = advice.wish.map(|wish| match wish {
        Wish::Drain => "it asks to be drained".to_owned(),
        Wish::Maintenance => "it asks for maintenance".to_owned(),
    });
    let all: Vec<String> = [weight, wish, advice.note.clone()].into_iter().flatten().collect();
    all.join("; ")
}

fn text(global: &Global, loaded: &Loaded, lines: &[Line]) {
    let shown: Vec<&Line> = lines.iter().filter(|l| !(global.quiet && l.is_good())).collect();
    let rows: Vec<Vec<String>> = shown.iter().map(|line| row(line)).collect();
    let head = ["SERVER", "TARGET", "CHECK", "MS", "RESULT", "WHAT"].map(str::to_owned);
    if !rows.is_empty() {
        let table = servers::table(&head, &rows);
        super::print(&table[0]);
        for (line, row) in shown.iter().zip(&table[1..]) {
            let style = if line.is_good() { GOOD } else { BAD };
            super::print(&format!("{style}{row}{style:#}"));
        }
    }
    if !global.quiet {
        let bad = lines.iter().filter(|line| !line.is_good()).count();
        let heading = loaded.heading();
        super::print(&match (lines.len(), bad) {
            (0, _) => format!("{heading}: nothing is checked"),
            (n, 0) => format!("{heading}: {n} checked, all is well"),
            (n, bad) => format!("{heading}: {n} checked, {bad} not well"),
        });
    }
}

fn row(line: &Line) -> Vec<String> {
    vec![
        line.who.clone(),
        pools::written_target(line.check.target),
        pools::what(&line.check.probe),
        line.took().map_or_else(|| "-".into(), |took| format!("{took:.2}")),
        line.word().to_owned(),
        line.what(),
    ]
}

fn as_json(loaded: &Loaded, lines: &[Line]) -> serde_json::Value {
    let line = |line: &Line| {
        json!({
            "server": line.who,
            "target": pools::written_target(line.check.target),
            "check": pools::what(&line.check.probe),
            "result": line.word(),
            "what": line.what(),
            "ms": line.took(),
        })
    };
    json!({
        "schema": "converge.check/1",
        "host": loaded.role.host,
        "checks": lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// A page's digests.
async fn digest(global: &Global, url: &Target) -> Exit {
    let manner = Manner { timeout: PAGE, insecure: true, keep_alive: false, follow: false };
    let client = match Client::new(url, &manner) {
        Ok(client) => client,
        Err(error) => {
            load::error_line(&chain(&error), None);
            return Exit::Failed;
        }
    };
    let (status, body) = match client.body().await {
        Ok(Some(page)) => page,
        Ok(None) => {
            let help = "write http://HOST/PATH or https://HOST/PATH".to_owned();
            load::error_line(&format!("{url} has no page to digest"), Some(help));
            return Exit::Usage;
        }
        Err(failure) => {
            load::error_line(&format!("{url}: {}", failure.detail), None);
            return Exit::Failed;
        }
    };
    let digests = digests(&body);
    match global.output {
        Format::Json => super::print(
            &json!({
                "schema": "converge.digest/1",
                "url": url.to_string(),
                "status": status,
                "bytes": body.len(),
                "md5": digests.md5,
                "sha256": digests.sha256,
            })
            .to_string(),
        ),
        Format::Text => {
            super::print(&format!("status = {status}"));
            super::print(&format!("bytes  = {}", body.len()));
            super::print(&format!("md5    = \"{}\"", digests.md5));
            super::print(&format!("sha256 = \"{}\"", digests.sha256));
        }
    }
    Exit::Done
}
