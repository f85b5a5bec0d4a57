//! `converge drain`, `maintenance` and `ready`: what an operator says of a server.
//!
//! The word goes into a file, whether or not converge runs; the resident one hears of it at once,
//! tells the other directors, and does it. With `--wait` the command stays until it has been done,
//! or says what is left.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Code;
use super::load::{self, Failure};
use super::running::{Ground, Others};
use super::wait::{self, End};
use super::whom::{self, Asked, Meant};
use super::{Exit, Format, Global};
use crate::control::report::{self, PoolReport};
use crate::control::{wall, words};
use crate::host::{Host, chain};
use crate::pool::standing::Share;
use crate::pool::words::{Said, Whom, Word};
use crate::probe::cli::Span;

/// What `--help` says beside.
pub const NOTE: &str = "\
What is said holds until something else is said, over restarts and boots, and the other directors
hear of it. It is said of every pool that the server is in, unless --vip or --pool names some. While
the files are wrong, the servers are those that the running converge has.";

/// How they end.
pub const CODES: &[Code] = &[
    (Exit::Done, "it was said, and with --wait it has been done"),
    (
        Exit::Failed,
        "it could not be said; or --wait, and it was not done in time: what is left is named",
    ),
    (Exit::Usage, "wrong arguments: no such server, VIP or pool"),
    (Exit::NoPermission, "no permission"),
    (Exit::BadConfig, "the cluster file or a role file is wrong, and no converge runs here"),
];

/// Of which server, and whether to stay.
#[derive(Args, Debug)]
pub struct WordArgs {
    /// The server, by its name in the cluster file, as `converge servers` shows it.
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// Only behind this VIP, by its name in the cluster file or its address.
    #[arg(long, value_name = "NAME", conflicts_with = "pool")]
    pub vip: Option<String>,
    /// Only in this pool, as `converge servers` calls it: "TCP 192.0.2.1:80".
    #[arg(long, value_name = "POOL")]
    pub pool: Option<String>,
    /// Stay until it has been done: drained and empty, out, or with traffic again.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most, such as 90s or 10m; what was said holds beyond it.
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "wait")]
    pub timeout: Span,
}

/// A drain may be told its end.
#[derive(Args, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    word: WordArgs,
    /// From now on that long, such as 30m, 2h or 2d; then it is in maintenance, and what is left of
    /// its connections ends.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
}

/// `converge drain`.
pub fn drain(global: &Global, args: &DrainArgs) -> Exit {
    run(global, &args.word, Word::Drain, args.deadline.map(|Span(span)| span))
}

/// `converge maintenance`.
pub fn maintenance(global: &Global, args: &WordArgs) -> Exit {
    run(global, args, Word::Maintenance, None)
}

/// `converge ready`.
pub fn ready(global: &Global, args: &WordArgs) -> Exit {
    run(global, args, Word::Ready, None)
}

fn run(global: &Global, args: &WordArgs, word: Word, deadline: Option<Duration>) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        // It holds whether or not it can be told what runs here.
        let seen = report::read(host.files()).unwrap_or_else(|error| {
            anstream::eprintln!("warning: what runs here cannot be told: {}", chain(&error));
            None
        });
        let goes_by = "the servers are those of the running converge";
        let ground = Ground::look(global, &host, seen, goes_by).await?;
        let asked =
            Asked { host: &args.server, vip: args.vip.as_deref(), pool: args.pool.as_deref() };
        let meant = whom::find(&ground, asked)?;
        let said = Said { word, at: wall(), by: ground.host(), until: None };
        let until = deadline.map(|span| said.at.saturating_add(millis(span)));
        say(&host, &meant.whom, Said { until, ..said }).await?;
        let runs = report::is_written(host.files())?;
        let told = Told { args, word, deadline, ground: &ground, meant: &meant, runs };
        if word != Word::Ready {
            told.warn_of_the_last();
        }
        if !global.quiet && global.output == Format::Text {
            told.print();
        }
        let end = match args.wait {
            true if runs => Some(wait::until(global, &host, &meant, word, args.timeout.0).await?),
            true => Some(End::Nobody),
            false => None,
        };
        Ok(conclude(global, &told, until, end))
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn say(host: &Host, whom: &[Whom], said: Said) -> Result<(), Failure> {
    let changed = words::change(host.files(), |words| {
        whom.iter().for_each(|whom| words.say(whom.clone(), said.clone()));
    });
    if let Some((why, aside)) = changed.await?.damaged {
        let text = format!("{} was damaged: {}", words::WORDS, chain(&why));
        let help = "what can be read of it goes on to hold; `converge servers` shows what that is, \
                    and other directors may know more";
        load::error_line(&text, Some(format!("it is kept as {}; {help}", aside.display())));
    }
    Ok(())
}

/// What was said, for people.
struct Told<'a> {
    args: &'a WordArgs,
    word: Word,
    deadline: Option<Duration>,
    ground: &'a Ground,
    meant: &'a Meant,
    runs: bool,
}

impl Told<'_> {
    /// Says in which pools too few others are left. Where a spare answers already nothing changes.
    fn warn_of_the_last(&self) {
        let reports = self.ground.live.iter().flat_map(|seen| &seen.report.pools);
        for (pool, report) in reports.filter(|(_, report)| report.spare.is_none()) {
            let meant = self.meant.servers.iter().filter(|server| server.pool == *pool);
            let meant: BTreeSet<SocketAddr> = meant.map(|server| server.at).collect();
            if let Some(what) = too_few(report, &meant) {
                anstream::eprintln!("warning: {pool}: {what}");
            }
        }
    }

    fn print(&self) {
        let server = &self.args.server;
        let pools = self.meant.pools().join(", ");
        let then = self.deadline.map_or(String::new(), |span| {
            format!(", and in {} gets none at all", wait::spoken(span))
        });
        super::print(&match self.word {
            Word::Drain => format!("{server} gets no new connections in {pools}{then}"),
            Word::Maintenance => format!("{server} gets no traffic in {pools}"),
            Word::Ready => format!("{server} gets traffic again in {pools} as its checks allow"),
        });
        if !self.runs {
            let line = "converge.service does not run here: it is done once it does";
            anstream::eprintln!("note: {line}");
            return;
        }
        match self.ground.others() {
            Others::None => {}
            Others::Hear { now, later } => {
                let list = |names: BTreeSet<String>| Vec::from_iter(names).join(", ");
                if !now.is_empty() {
                    super::print(&format!("  told to {} through the service", list(now)));
                }
                if !later.is_empty() {
                    let later = list(later);
                    anstream::eprintln!("note: not connected now, and told when it is: {later}");
                }
            }
            Others::NoKey(key) => anstream::eprintln!(
                "warning: there is no {}, so the other directors do not hear of it: say it on each \
                 of them",
                key.display()
            ),
            Others::Silent => anstream::eprintln!(
                "note: the service hears of no other director now: if there is one, say it there \
                 too"
            ),
        }
    }
}

/// What becomes of a pool without these servers, if they are missed.
fn too_few(report: &PoolReport, meant: &BTreeSet<SocketAddr>) -> Option<String> {
    let weigh = |(at, share): (&SocketAddr, &Share)| match share.weight {
        None | Some(0) => 0,
        Some(_) => report.members.get(at).map_or(0, |member| u64::from(member.weight)),
    };
    let (gone, left): (Vec<_>, Vec<_>) =
        report.shares.members.iter().partition(|(at, _)| meant.contains(at));
    let sum = |of: Vec<(&SocketAddr, &Share)>| of.into_iter().map(weigh).sum::<u64>();
    let (gone, left) = (sum(gone), sum(left));
    let fallback = report.fallback.first();
    match (left, fallback) {
        _ if meant.is_empty() => None,
        (0, Some(fallback)) => {
            Some(format!("no other server has traffic: {fallback} answers then"))
        }
        (0, None) => Some("no other server has traffic: nobody answers then".into()),
        (left, Some(fallback)) if left < report.keeps && left + gone >= report.keeps => Some(
            format!("the servers that are left are below the quorum: {fallback} answers for them"),
        ),
        (_, Some(_) | None) => None,
    }
}

fn conclude(global: &Global, told: &Told<'_>, until: Option<u64>, end: Option<End>) -> Exit {
    let server = &told.args.server;
    if global.output == Format::Json {
        super::print(&as_json(told, until, end.as_ref()).to_string());
    } else {
        match &end {
            None => {}
            Some(End::Done(notes)) if !global.quiet => {
                super::print(&done(told.word, server, notes.is_empty()));
                notes.iter().for_each(|note| super::print(&format!("  {note}")));
            }
            Some(End::Done(_)) => {}
            Some(End::Left(left)) => {
                let spoken = wait::spoken(told.args.timeout.0);
                load::error_line(&format!("after {spoken}: {}", left.join("; ")), None);
            }
            Some(End::Nobody) => {
                let text = "there is nobody to wait for: converge.service does not run here";
                load::error_line(text, Some("`systemctl start converge`".into()));
            }
        }
    }
    match end {
        None | Some(End::Done(_)) => Exit::Done,
        Some(End::Left(_) | End::Nobody) => Exit::Failed,
    }
}

fn done(word: Word, server: &str, counted: bool) -> String {
    match word {
        Word::Drain if counted => format!("{server} is drained: it has no connections left"),
        Word::Drain => format!("{server} gets nothing new; something may still be under way:"),
        Word::Maintenance => format!("{server} is out"),
        Word::Ready => format!("{server} has traffic"),
    }
}

fn as_json(told: &Told<'_>, until: Option<u64>, end: Option<&End>) -> serde_json::Value {
    let (done, left) = match end {
        None => (None, &[][..]),
        Some(End::Done(_)) => (Some(true), &[][..]),
        Some(End::Left(left)) => (Some(false), left.as_slice()),
        Some(End::Nobody) => (Some(false), &[][..]),
    };
    let uncounted = match end {
        Some(End::Done(notes)) => notes.as_slice(),
        None | Some(End::Left(_) | End::Nobody) => &[],
    };
    json!({
        "schema": "converge.word/1",
        "server": told.args.server,
        "word": told.word,
        "pools": told.meant.pools(),
        "until": until,
        "service": told.runs,
        "done": done,
        "left": left,
        "uncounted": uncounted,
    })
}
