//! The machine for one other director: when to dial, what to say, what is known of it.
//!
//! Both directors dial at their start and whenever their connection is lost; later tries are left
//! to the one with the lower address, and the other only looks in from time to time. What dialling
//! comes to is the verdict: refused is [`News::Gone`], and nothing else is. A process that stalls
//! still has its port, and a cable that is cut answers nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::frame::{Piece, Side};
use super::message::Message;
use super::session::{Phase, Session};
use super::telling::{Hearing, MOST_SAID, Telling, Topic};
use super::{ConnectionId, Contact, Dialled, Nonce, Output, Standing};
use crate::clock::Moment;
use crate::vrrp::fingerprint::{Digests, Fingerprint, Mismatch};
use crate::vrrp::key::Key;
use crate::vrrp::router::State;

/// Connections that have proven nothing, at most. The peer makes one at a time; more are somebody
/// else's, and the oldest goes.
const MAX_UNPROVEN: usize = 4;

/// The two ends of a link.
#[derive(Clone, Debug)]
pub struct Ends {
    /// This host's name in the cluster file.
    pub host: String,
    /// This host's address in the cluster file.
    pub address: IpAddr,
    /// The other host's name.
    pub peer: String,
    /// The other host's address.
    pub peer_address: IpAddr,
    /// Random, chosen once at the start of this process; the same for all its peerings.
    pub incarnation: u64,
    /// The cluster's key.
    pub key: Key,
}

impl Ends {
    /// Whether this is the host that dials in the long run.
    pub(super) fn are_lower(&self) -> bool {
        self.address < self.peer_address
    }
}

/// The machine for one other director.
///
/// After each verb every [`Output`] is carried out, in order. How dialling ended is reported before
/// the first bytes of that connection, and the bytes before its end. What has already arrived is
/// handed in before `handle_timeout`, or a stall of our own would pass for silence of the other.
#[derive(Debug)]
pub struct Peering {
    pub(super) ends: Ends,
    pub(super) digests: Arc<Digests>,
    pub(super) fingerprint: Fingerprint,
    pub(super) standings: Vec<Standing>,
    pub(super) contact: Contact,
    /// The process that was last there.
    pub(super) incarnation: Option<u64>,
    /// Until when it is expected back from a restart that it announced.
    pub(super) excused: Option<Moment>,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
    pub(super) current: Option<ConnectionId>,
    /// When the current connection was proven.
    pub(super) since: Moment,
    pub(super) dial: Dial,
    /// How often was dialled since the last steady connection.
    pub(super) tries: usize,
    /// The last connection's number.
    pub(super) next: u64,
    /// How many connections there were.
    pub(super) epoch: u64,
    pub(super) theirs: Option<Fingerprint>,
    pub(super) mismatch: Option<Mismatch>,
    /// The reasons that were named since the last proven connection.
    pub(super) refused: BTreeSet<&'static str>,
    pub(super) telling: Telling,
    pub(super) hearing: Hearing,
    pub(super) outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Dial {
    /// Not before this moment.
    NotBefore(Moment),
    /// Until when there has to be an answer.
    Asked(ConnectionId, Moment),
}

impl Peering {
    /// Dials at once.
    pub fn new(ends: Ends, digests: Arc<Digests>, now: Moment) -> Peering {
        let mut peering = Peering {
            fingerprint: digests.fingerprint(),
            ends,
            digests,
            standings: Vec::new(),
            contact: Contact::Unknown,
            incarnation: None,
            excused: None,
            sessions: BTreeMap::new(),
            current: None,
            since: now,
            dial: Dial::NotBefore(now),
            tries: 0,
            next: 0,
            epoch: 0,
            theirs: None,
            mismatch: None,
            refused: BTreeSet::new(),
            telling: Telling::default(),
            hearing: Hearing::default(),
            outputs: VecDeque::new(),
        };
        peering.dial_if_due(now);
        peering
    }

    /// The other host's name.
    pub fn peer(&self) -> &str {
        &self.ends.peer
    }

    /// Where the other host listens, beside [`super::LINK_PORT`]; also where it dials from.
    pub fn peer_address(&self) -> IpAddr {
        self.ends.peer_address
    }

    /// Whether the other director is there, as the last [`News`] said.
    pub fn contact(&self) -> Contact {
        self.contact
    }

    /// How dialling ended.
    pub fn handle_dialled(&mut self, id: ConnectionId, outcome: Dialled, now: Moment) {
        // Another one was given up, and crossed the Close on its way.
        let until = match self.dial {
            Dial::Asked(asked, until) if asked == id => until,
            Dial::Asked(..) | Dial::NotBefore(_) => return,
        };
        self.dial = Dial::NotBefore(now);
        match outcome {
            Dialled::Connected(nonce) => self.begin(id, Side::Dialler, nonce, now),
            // We were stalled: the answer may be as old as that, and is asked for again.
            Dialled::Refused if until < now => {}
            Dialled::Refused => self.failed(Contact::Gone, now),
            Dialled::TimedOut | Dialled::Unreachable => self.failed(Contact::Unknown, now),
        }
        self.dial_if_due(now);
    }

    /// The other's address has connected to our port. 32 fresh random bytes for it.
    pub fn handle_accepted(&mut self, nonce: Nonce, now: Moment) -> ConnectionId {
        let unproven = |(id, session): (&ConnectionId, &Session)| {
            matches!(session.phase, Phase::Unproven(_)).then_some(*id)
        };
        let waiting: Vec<ConnectionId> = self.sessions.iter().filter_map(unproven).collect();
        if waiting.len() >= MAX_UNPROVEN {
            let oldest = waiting.iter().find(|id| !self.sessions[id].dialled());
            if let Some(id) = oldest {
                self.drop_session(*id);
            }
        }
        let id = self.next_id();
        self.begin(id, Side::Listener, nonce, now);
        id
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, id: ConnectionId, mut bytes: &[u8], now: Moment) {
        while !bytes.is_empty() {
            // Closed meanwhile, perhaps by the bytes before.
            let Some(session) = self.sessions.get_mut(&id) else { return };
            match session.read(&mut bytes, &self.ends.key, now) {
                Ok(None) => {}
                Ok(Some(Piece::Greeting)) => self.say_hello(id, now),
                Ok(Some(Piece::Message(message))) => self.heard(id, message, now),
                Ok(Some(Piece::Unheard)) => {}
                Err(refusal) => self.refuse(id, refusal, now),
            }
        }
        self.converse(now);
    }

    /// The other end has closed the connection, or it failed.
    pub fn handle_closed(&mut self, id: ConnectionId, now: Moment) {
        if let Some(session) = self.sessions.remove(&id) {
            if let Err(refusal) = session.end() {
                self.name_once(refusal);
            }
            self.ended(id, &session, now);
        }
    }

    /// How all our routers stand, whenever one of them changes.
    pub fn handle_standing(&mut self, standings: Vec<Standing>, now: Moment) {
        if standings != self.standings {
            self.standings = standings;
            self.tell(&Message::Standing(self.standings.clone()), now);
        }
    }

    /// Says again which of our routers are Active: to one who does not hear their advertisements,
    /// what was said once may be old.
    pub fn handle_repeat(&mut self, now: Moment) {
        let active = self.standings.iter().filter(|standing| standing.state == State::Active);
        let active: Vec<Standing> = active.cloned().collect();
        if !active.is_empty() {
            self.tell(&Message::Standing(active), now);
        }
    }

    /// One of our routers resigns.
    pub fn handle_resigned(&mut self, router: &str, now: Moment) {
        self.tell(&Message::Resigned(router.to_owned()), now);
    }

    /// This process ends, and another takes its place within this time.
    pub fn handle_restart(&mut self, back_within: Duration, now: Moment) {
        self.tell(&Message::Restarting(back_within), now);
    }

    /// The other is to know this, at most [`MOST_SAID`] bytes, as long as this process lives or
    /// until it is to know something else on the same topic.
    pub fn handle_tell(&mut self, topic: Topic, bytes: &[u8], now: Moment) {
        debug_assert!(bytes.len() <= MOST_SAID, "a word of {} bytes", bytes.len());
        self.telling.keep(topic, bytes, now);
        self.converse(now);
    }

    /// The files were read anew.
    pub fn handle_digests(&mut self, digests: Arc<Digests>, now: Moment) {
        let fingerprint = digests.fingerprint();
        self.digests = digests;
        if mem::replace(&mut self.fingerprint, fingerprint) != fingerprint {
            self.tell(&Message::Fingerprint(fingerprint), now);
            self.compare(now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.excused.is_some_and(|until| until <= now) {
            self.excused = None;
        }
        if let Dial::Asked(id, until) = self.dial
            && until <= now
        {
            self.outputs.push_back(Output::Close(id));
            self.dial = Dial::NotBefore(now);
            self.failed(Contact::Unknown, now);
        }
        let over =
            |(id, session): (&ConnectionId, &Session)| (session.deadline() <= now).then_some(*id);
        let over: Vec<ConnectionId> = self.sessions.iter().filter_map(over).collect();
        over.into_iter().for_each(|id| self.expire(id, now));
        let due = self.current().and_then(Session::keepalive);
        if due.is_some_and(|due| due <= now) {
            self.tell(&Message::Ping, now);
        }
        self.converse(now);
        self.dial_if_due(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let dial = match self.dial {
            Dial::Asked(_, until) => Some(until),
            Dial::NotBefore(due) => self.may_dial().then_some(due),
        };
        let deadlines = self.sessions.values().map(Session::deadline);
        let keepalive = self.current().and_then(Session::keepalive);
        let words =
            self.current().map(|_| [self.telling.poll_timeout(), self.hearing.poll_timeout()]);
        let words = words.into_iter().flatten().flatten();
        deadlines.chain(dial).chain(keepalive).chain(self.excused).chain(words).min()
    }
}
