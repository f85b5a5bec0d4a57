//! What somebody should read in a log: once per change.
//!
//! A thousand servers that fail together are a thousand changes and no thousand lines: what goes
//! beyond a bound is counted.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// As many wait to be fetched; the rest is counted. More than anybody reads.
const MOST: usize = 200;

/// Something that changed in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The pool's name.
    pub pool: String,
    /// What.
    pub what: What,
}

/// Who should read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Whoever wants to know what happened.
    Info,
    /// Whoever looks after the servers.
    Warn,
    /// Somebody now.
    Alarm,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// All servers were judged for the first time.
    Judged {
        /// As many are well.
        up: usize,
        /// Of so many.
        of: usize,
        /// As many of those that are well get no new connections, as they were told or as they
        /// asked.
        idle: usize,
    },
    /// A server failed.
    Left {
        /// Which.
        server: Server,
        /// Why.
        why: String,
        /// It stays, and gets no new connections.
        quiesced: bool,
    },
    /// A server takes traffic again, or for the first time.
    Returned {
        /// Which.
        server: Server,
        /// It climbs to its full weight within this time.
        climbs: Option<Duration>,
    },
    /// A server could take traffic again, but somebody else answers until the quorum is there.
    Waits {
        /// Which.
        server: Server,
    },
    /// A server gets no new connections any more.
    Drained {
        /// Which.
        server: Server,
        /// Who wants it.
        why: String,
    },
    /// A server gets no traffic any more.
    Rests {
        /// Which.
        server: Server,
        /// Who wants it.
        why: String,
    },
    /// A server that is well says something of itself.
    Noted {
        /// Which.
        server: Server,
        /// What: "its certificate ends in 5 days".
        note: String,
    },
    /// Too few servers are left.
    QuorumLost {
        /// The sum of the weights of those that would get new connections.
        have: u64,
        /// As much would have been enough.
        need: u64,
        /// As much it takes to have it again.
        again: u64,
        /// Who answers new connections now.
        answers: Answers,
    },
    /// Enough servers are back.
    QuorumRegained {
        /// The sum of the weights of those that get new connections.
        have: u64,
    },
    /// A spare answers now.
    SpareIn {
        /// Its name.
        spare: String,
    },
    /// The spare does not answer any more, nor does another one.
    SpareOut {
        /// Who answered until now.
        spare: String,
        /// There are servers that answer.
        servers: bool,
    },
    /// All servers seem to have failed, but the fault is likely here, and they stay.
    Held {
        /// As many of them.
        servers: usize,
        /// Why that is likely.
        why: String,
    },
    /// They have failed after all.
    LetGo {
        /// How that is known.
        why: String,
    },
    /// One of those that stayed is well again.
    Recovered {
        /// The others have this long to be so too; nothing if none is left.
        grace: Option<Duration>,
    },
    /// More servers changed than are told one by one.
    More {
        /// As many.
        changes: usize,
    },
}

/// Who answers new connections while the quorum is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// A spare, which is told beside.
    Spare,
    /// No spare is well, or there is none: the servers that are left do.
    Servers,
    /// Nobody.
    Nobody,
}

/// A server, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its host.
    pub host: String,
    /// Where it takes traffic.
    pub at: SocketAddr,
}

impl Notice {
    /// Who should read it.
    pub fn severity(&self) -> Severity {
        match &self.what {
            What::Judged { up, of, .. } if up < of => Severity::Warn,
            What::Judged { .. }
            | What::Returned { .. }
            | What::Waits { .. }
            | What::Drained { .. }
            | What::Rests { .. }
            | What::QuorumRegained { .. }
            | What::SpareOut { .. } => Severity::Info,
            What::Left { .. }
            | What::Noted { .. }
            | What::QuorumLost { .. }
            | What::SpareIn { .. }
            | What::LetGo { .. }
            | What::Recovered { .. }
            | What::More { .. } => Severity::Warn,
            What::Held { .. } => Severity::Alarm,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pool, self.what)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.at)
    }
}

impl What {
    /// What is of the whole pool is told even if a thousand servers changed before it.
    fn is_of_one_server(&self) -> bool {
        match self {
            What::Left { .. }
            | What::Returned { .. }
            | What::Waits { .. }
            | What::Drained { .. }
            | What::Rests { .. }
            | What::Noted { .. } => true,
            What::Judged { .. }
            | What::QuorumLost { .. }
            | What::QuorumRegained { .. }
            | What::SpareIn { .. }
            | What::SpareOut { .. }
            | What::Held { .. }
            | What::LetGo { .. }
            | What::Recovered { .. }
            | What::More { .. } => false,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Judged { up, of, idle: 0 } => write!(f, "{up} of {of} servers are up"),
            What::Judged { up, of, idle } => write!(
                f,
                "{up} of {of} servers are up, and {idle} of them {} no new connections",
                if *idle == 1 { "gets" } else { "get" }
            ),
            What::Left { server, why, quiesced: false } => write!(f, "{server} is out: {why}"),
            What::Left { server, why, quiesced: true } => {
                write!(f, "{server} gets no new connections: {why}")
            }
            What::Returned { server, climbs: None } => write!(f, "{server} is in"),
            What::Returned { server, climbs: Some(span) } => {
                write!(f, "{server} is in, and climbs to its full weight within {span:?}")
            }
            What::Waits { server } => {
                write!(f, "{server} is well, and gets traffic once the quorum is there")
            }
            What::Drained { server, why } => write!(f, "{server} is drained: {why}"),
            What::Rests { server, why } => write!(f, "{server} is in maintenance: {why}"),
            What::Noted { server, note } => write!(f, "{server}: {note}"),
            What::QuorumLost { have, need, again, answers } => {
                match have {
                    0 => f.write_str("the quorum is lost: no server is left for new connections"),
                    have => write!(f, "the quorum is lost: {}, it takes {need}", weigh(*have)),
                }?;
                if again > need && *have > 0 {
                    write!(f, ", and {again} to have it again")?;
                }
                f.write_str(match answers {
                    Answers::Spare => "",
                    Answers::Servers => "; no fallback answers, and the servers that are left do",
                    Answers::Nobody => ", nor does a fallback answer",
                })
            }
            What::QuorumRegained { have } => {
                write!(f, "the quorum is there again: {}", weigh(*have))
            }
            What::SpareIn { spare } => write!(f, "{spare} answers in the servers' place"),
            What::SpareOut { spare, servers } => {
                write!(f, "{spare} does not answer in the servers' place any more")?;
                f.write_str(if *servers { ": those that are well are in" } else { "" })
            }
            What::Held { servers, why } => write!(
                f,
                "no server answers, but the fault is likely here and the {servers} that were in \
                 stay: {why}"
            ),
            What::LetGo { why } => write!(f, "the servers that stayed go after all: {why}"),
            What::Recovered { grace: None } => f.write_str("the servers that stayed answer again"),
            What::Recovered { grace: Some(grace) } => {
                write!(f, "a server answers again; the others that stayed have {grace:?} to do so")
            }
            What::More { changes } => write!(f, "{changes} more servers changed"),
        }
    }
}

/// How much there is for new connections.
fn weigh(have: u64) -> String {
    format!("the servers for new connections weigh {have} together")
}

/// What waits to be fetched.
#[derive(Debug, Default)]
pub(super) struct Queue {
    notices: VecDeque<Notice>,
    more: usize,
}

impl Queue {
    pub(super) fn push(&mut self, pool: &str, what: What) {
        let most = if what.is_of_one_server() { MOST } else { 2 * MOST };
        if self.notices.len() >= most {
            self.more += 1;
            return;
        }
        self.notices.push_back(Notice { pool: pool.to_owned(), what });
    }

    pub(super) fn pop(&mut self, pool: &str) -> Option<Notice> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        let changes = std::mem::take(&mut self.more);
        (changes > 0).then(|| Notice { pool: pool.to_owned(), what: What::More { changes } })
    }
}
