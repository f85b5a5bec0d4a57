//! `converge drain`, `maintenance` and `ready`: what an operator says of a server.
//!
//! The word goes into a file, whether or not converge runs; the resident one hears of it at once,
//! tells the other directors, and does it. With `--wait` the command stays until it has been done,
//! or says what is left.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Code;
use super::load::{self, Failure, Loaded};
use super::wait::{self, End};
use super::whom::{self, Asked, Meant};
use super::{Exit, Format, Global};
use crate::control::{report, wall, words};
use crate::host::{Host, chain};
use crate::pool::words::{Said, Whom, Word};
use crate::probe::cli::Span;

/// How they end.
pub const CODES: &[Code] = &[
    (Exit::Done, "it was said, and with --wait it has been done"),
    (
        Exit::Failed,
        "it could not be said; or --wait, and it was not done in time: what is left is named",
    ),
    (Exit::Usage, "wrong arguments: no such server, VIP or pool"),
    (Exit::NoPermission, "no permission"),
    (Exit::BadConfig, "the cluster file or a role file is wrong"),
];

/// Of which server, and whether to stay.
#[derive(Args, Debug)]
pub struct WordArgs {
    /// The server, by its name in the cluster file.
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
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "wait")]
    pub timeout: Span,
}

/// A drain may be told its end.
#[derive(Args, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    word: WordArgs,
    /// From now on that long; then it is in maintenance, and what is left of its connections ends.
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
        let loaded = load::this_host(global, &host).await?;
        let asked =
            Asked { host: &args.server, vip: args.vip.as_deref(), pool: args.pool.as_deref() };
        let meant = whom::find(&loaded, asked)?;
        let said = Said { word, at: wall(), by: loaded.role.host.to_string(), until: None };
        let until = deadline.map(|span| said.at.saturating_add(millis(span)));
        say(&host, &meant.whom, Said { until, ..said }).await?;
        let runs = report::is_written(host.files())?;
        let told = Told { args, word, deadline, loaded: &loaded, meant: &meant, runs };
        if word != Word::Ready {
            warn_of_the_last(&host, &meant)?;
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

/// Says which pools have no other server with traffic. A report that cannot be read was told.
fn warn_of_the_last(host: &Host, meant: &Meant<'_>) -> Result<(), Failure> {
    let Some(seen) = report::read(host.files())?.filter(|seen| seen.lives) else {
        return Ok(());
    };
    for (pool, member) in &meant.servers {
        let Some(report) = seen.report.pools.get(&pool.name) else { continue };
        let mut others = report.shares.members.iter().filter(|(at, _)| **at != member.server);
        if !others.any(|(_, share)| share.weight > Some(0)) {
            let who = match pool.spares.first() {
                Some(spare) => format!("{} answers then", spare.name),
                None => "nobody answers then".to_owned(),
            };
            anstream::eprintln!("warning: no other server of {} has traffic: {who}", pool.name);
        }
    }
    Ok(())
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
    loaded: &'a Loaded,
    meant: &'a Meant<'a>,
    runs: bool,
}

impl Told<'_> {
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
        } else if !self.loaded.role.routers().is_empty() {
            let key = &self.loaded.cluster.key_file;
            if key.exists() {
                super::print("  the other directors hear of it through the service");
            } else {
                anstream::eprintln!(
                    "warning: there is no {}, so the other directors do not hear of it: say it on \
                     each of them",
                    key.display()
                );
            }
        }
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
