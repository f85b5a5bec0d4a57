//! A conversation over TCP, with TLS or without, from the connection to the outcome.
//!
//! It joins a [`Dialogue`], which knows what is said, to a socket, which may take or give any part
//! of it at any time. Nothing of it waits; a server that never ends is heard a bounded part at a
//! time.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::epoll::EpollFlags;
use rustix::io::Errno;

use super::desk::Desk;
use super::tls::{self, Session};
use super::{certificate, tcp};
use crate::check::config::{CheckConfig, HttpVersion, Probe, Protocol, Tls, TlsStart};
use crate::check::machine::Run;
use crate::check::outcome::{Advice, Failure, Outcome};
use crate::check::probe::{Dialogue, Step, dialogue};
use crate::clock::Moment;

/// Full buffers that are read in a row before others have their turn.
const READS: usize = 4;

/// A conversation.
pub(super) struct Stream {
    pub(super) run: Run,
    check: Arc<CheckConfig>,
    /// None: the connection, and TLS on it, is all that is wanted.
    dialogue: Option<Box<dyn Dialogue>>,
    phase: Phase,
    session: Option<Box<Session>>,
    /// What is to be sent, and how much of it was.
    out: Vec<u8>,
    sent: usize,
    /// What is to be said of the certificate.
    note: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Handshaking,
    Talking,
}

/// What is to be done next.
pub(super) enum Turn {
    /// Something has to come, or there has to be room again.
    Wait,
    /// There is more to read, after others had their turn.
    More,
    /// Another connection.
    Again,
    /// It has ended.
    Done(Outcome),
}

impl Stream {
    /// One for a check over TCP. Its socket begins to connect.
    pub(super) fn new(run: Run, check: &Arc<CheckConfig>, random: [u8; 16]) -> Self {
        let dialogue = match &*check.probe {
            Probe::Speak { protocol, tls } => {
                Some(dialogue(protocol, &check.target, tls.as_ref(), random))
            }
            Probe::Connect(_)
            | Probe::Ask(_)
            | Probe::Ping
            | Probe::ThroughVip(_)
            | Probe::Script(_)
            | Probe::File(_) => None,
        };
        Stream {
            run,
            check: Arc::clone(check),
            dialogue,
            phase: Phase::Connecting,
            session: None,
            out: Vec::new(),
            sent: 0,
            note: None,
        }
    }

    /// Its socket begins to connect again.
    pub(super) fn begin_again(&mut self) {
        (self.phase, self.session, self.sent) = (Phase::Connecting, None, 0);
        self.out.clear();
    }

    /// Whom it speaks with.
    pub(super) fn target(&self) -> std::net::SocketAddr {
        self.check.target.socket()
    }

    /// Something happened on the socket.
    pub(super) fn handle_event(
        &mut self,
        socket: BorrowedFd<'_>,
        ready: EpollFlags,
        desk: &mut Desk,
        now: Moment,
    ) -> Turn {
        let turn = match self.phase {
            Phase::Connecting => self.connected(socket, ready, desk, now),
            Phase::Handshaking | Phase::Talking => self.flush(socket),
        };
        let unread = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLHUP
            | EpollFlags::EPOLLERR;
        match turn {
            Turn::Wait if self.phase != Phase::Connecting && ready.intersects(unread) => {
                self.read(socket, ready, desk, now)
            }
            other => other,
        }
    }

    /// Its time is up.
    pub(super) fn expire(&self) -> Failure {
        match (self.phase, &self.dialogue) {
            (Phase::Connecting, _) => tcp::unanswered(),
            (Phase::Handshaking, _) | (Phase::Talking, None) => {
                Failure::answered("connected, but TLS was not agreed on in time")
            }
            (Phase::Talking, Some(dialogue)) => Failure::answered(dialogue.so_far()),
        }
    }

    fn connected(
        &mut self,
        socket: BorrowedFd<'_>,
        ready: EpollFlags,
        desk: &mut Desk,
        now: Moment,
    ) -> Turn {
        let failed = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        if ready.intersects(failed)
            && let Some(error) = tcp::error(socket)
        {
            return Turn::Done(Outcome::Bad(tcp::failure(error)));
        }
        if !ready.contains(EpollFlags::EPOLLOUT) {
            return Turn::Wait;
        }
        if desk.may_echo(self.target()) && tcp::is_own_echo(socket, self.target()) {
            return Turn::Done(Outcome::Bad(tcp::failure(Errno::CONNREFUSED)));
        }
        if self.tls().is_some_and(|tls| tls.start == TlsStart::AtOnce || self.dialogue.is_none()) {
            return self.begin_tls(socket, desk, now);
        }
        self.phase = Phase::Talking;
        let step = self.speak(desk, Dialogue::open);
        if self.out.is_empty() {
            tcp::acknowledge(socket);
        }
        self.follow(step, socket, desk, now)
    }

    fn tls(&self) -> Option<&Tls> {
        match &*self.check.probe {
            Probe::Connect(tls) | Probe::Speak { tls, .. } => tls.as_ref(),
            Probe::Ask(_)
            | Probe::Ping
            | Probe::ThroughVip(_)
            | Probe::Script(_)
            | Probe::File(_) => None,
        }
    }

    fn begin_tls(&mut self, socket: BorrowedFd<'_>, desk: &mut Desk, now: Moment) -> Turn {
        let Some(tls) = self.tls() else {
            return Turn::Done(Outcome::Unmade("TLS is wanted and not configured".to_owned()));
        };
        let config = desk.trust.config(&self.check.probe, tls, now);
        let name = tls::name(tls, self.check.target.address);
        let session = config.and_then(|config| Session::new(config, name?));
        match session {
            Err(why) => Turn::Done(Outcome::Unmade(why)),
            Ok(session) => {
                self.session = Some(Box::new(session));
                self.phase = Phase::Handshaking;
                self.flush(socket)
            }
        }
    }

    /// Takes what came, up to a bound.
    fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        ready: EpollFlags,
        desk: &mut Desk,
        now: Moment,
    ) -> Turn {
        let ending = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        // Moved out for as long as the rest of the desk is needed, too.
        let mut wire = std::mem::take(&mut desk.wire);
        let mut turn = Turn::More;
        for _ in 0..READS {
            let read = tcp::read(socket, &mut wire);
            turn = match read {
                Ok(0) => self.ended(socket, desk, now),
                Ok(length) => match self.take_in(&wire[..length], socket, desk, now) {
                    Turn::Wait if length == wire.len() || ready.intersects(ending) => Turn::More,
                    other => other,
                },
                Err(Errno::AGAIN) => Turn::Wait,
                Err(Errno::INTR) => Turn::More,
                Err(error) => Turn::Done(Outcome::Bad(self.broken(error))),
            };
            if !matches!(turn, Turn::More) {
                break;
            }
        }
        desk.wire = wire;
        turn
    }

    /// The connection broke after it stood.
    fn broken(&self, error: Errno) -> Failure {
        let mut failure = tcp::failure(error);
        let so_far = match (self.phase, &self.dialogue) {
            (Phase::Talking, Some(dialogue)) => dialogue.so_far(),
            (Phase::Handshaking, _) => "TLS was not agreed on".to_owned(),
            (Phase::Connecting, _) | (Phase::Talking, None) => return failure,
        };
        failure.what = format!("{} ({so_far})", failure.what);
        failure
    }

    /// The server closed its side.
    fn ended(&mut self, socket: BorrowedFd<'_>, desk: &mut Desk, now: Moment) -> Turn {
        if self.phase == Phase::Handshaking {
            let what = "it closes the connection instead of agreeing on TLS";
            return Turn::Done(Outcome::Bad(Failure::answered(what)));
        }
        match self.dialogue.as_mut().map_or(Step::More, |dialogue| dialogue.end()) {
            // Nothing can come any more.
            Step::More | Step::Upgrade => Turn::Done(Outcome::Bad(self.expire())),
            step => self.follow(step, socket, desk, now),
        }
    }

    fn take_in(
        &mut self,
        bytes: &[u8],
        socket: BorrowedFd<'_>,
        desk: &mut Desk,
        now: Moment,
    ) -> Turn {
        if self.session.is_none() {
            let step = self.speak(desk, |dialogue, out| dialogue.feed(bytes, out));
            return self.follow(step, socket, desk, now);
        }
        let mut rest = bytes;
        while let Some(session) = &mut self.session
            && !rest.is_empty()
        {
            let mut plain = std::mem::take(&mut desk.plain);
            plain.clear();
            let taken = session.take(rest, &mut plain);
            let turn = match taken {
                // After its farewell (RFC 8446 section 6.1) TLS takes nothing more, whatever comes.
                Ok(0) => {
                    desk.plain = plain;
                    return self.ended(socket, desk, now);
                }
                Ok(taken) => {
                    rest = &rest[taken..];
                    self.take_plain(&plain, socket, desk, now)
                }
                Err(failure) => {
                    // The server is told why.
                    self.flush(socket);
                    Turn::Done(Outcome::Bad(failure))
                }
            };
            desk.plain = plain;
            if !matches!(turn, Turn::Wait) {
                return turn;
            }
        }
        self.flush(socket)
    }

    /// Something came through TLS, or of it.
    fn take_plain(
        &mut self,
        plain: &[u8],
        socket: BorrowedFd<'_>,
        desk: &mut Desk,
        now: Moment,
    ) -> Turn {
        if self.phase == Phase::Handshaking {
            if self.session.as_ref().is_some_and(|session| session.is_handshaking()) {
                return Turn::Wait;
            }
            match self.secured(socket, desk, now) {
                Turn::Wait => {}
                other => return other,
            }
        }
        if plain.is_empty() {
            return Turn::Wait;
        }
        let step = self.speak(desk, |dialogue, out| dialogue.feed(plain, out));
        self.follow(step, socket, desk, now)
    }

    /// TLS stands.
    fn secured(&mut self, socket: BorrowedFd<'_>, desk: &mut Desk, now: Moment) -> Turn {
        self.phase = Phase::Talking;
        let (Some(session), Some(tls)) = (&self.session, self.tls()) else { return Turn::Wait };
        let end = session.end();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let wall = i64::try_from(wall).unwrap_or(i64::MAX);
        let note = end.and_then(|end| certificate::note(end, wall, tls.warn_before));
        let is_spoken = !self.wants_h2() || session.speaks(b"h2");
        let is_upgrade = tls.start == TlsStart::Upgrade;
        self.note = note;
        if !is_spoken {
            let failure = Failure::answered("it does not speak HTTP/2 (ALPN)");
            return self.follow(Step::Done(Outcome::Bad(failure)), socket, desk, now);
        }
        let step = match (&self.dialogue, is_upgrade) {
            (None, _) => Step::Done(Outcome::Good(Advice::default())),
            (Some(_), true) => self.speak(desk, Dialogue::upgraded),
            (Some(_), false) => self.speak(desk, Dialogue::open),
        };
        self.follow(step, socket, desk, now)
    }

    fn wants_h2(&self) -> bool {
        let Probe::Speak { protocol: Protocol::Http(http), .. } = &*self.check.probe else {
            return false;
        };
        http.version == HttpVersion::V2
    }

    /// Has the dialogue put out what it says, through TLS if there is some.
    fn speak(
        &mut self,
        desk: &mut Desk,
        act: impl FnOnce(&mut (dyn Dialogue + 'static), &mut Vec<u8>) -> Step,
    ) -> Step {
        let Some(dialogue) = self.dialogue.as_deref_mut() else { return Step::More };
        match &mut self.session {
            None => act(dialogue, &mut self.out),
            Some(session) => {
                desk.said.clear();
                let step = act(dialogue, &mut desk.said);
                session.say(&desk.said);
                step
            }
        }
    }

    fn follow(&mut self, step: Step, socket: BorrowedFd<'_>, desk: &mut Desk, now: Moment) -> Turn {
        match step {
            Step::More => self.flush(socket),
            Step::Upgrade => self.begin_tls(socket, desk, now),
            Step::Again => Turn::Again,
            Step::Done(outcome) => {
                if let Some(session) = &mut self.session {
                    session.close();
                }
                self.flush(socket);
                Turn::Done(self.noted(outcome))
            }
        }
    }

    /// The outcome, with what is to be said of the certificate.
    fn noted(&mut self, outcome: Outcome) -> Outcome {
        match (outcome, self.note.take()) {
            (Outcome::Good(advice), Some(note)) => {
                let note = advice.note.map_or(note.clone(), |other| format!("{other}; {note}"));
                Outcome::Good(Advice { note: Some(note), ..advice })
            }
            (outcome, _) => outcome,
        }
    }

    /// Sends what there is room for.
    fn flush(&mut self, socket: BorrowedFd<'_>) -> Turn {
        if let Some(session) = &mut self.session {
            session.put_out(&mut self.out);
        }
        while self.sent < self.out.len() {
            match tcp::write(socket, &self.out[self.sent..]) {
                Ok(0) => return Turn::Wait,
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                // What the server said before may still be there to be read; so is the reason.
                Err(_) => break,
            }
        }
        self.out.clear();
        self.sent = 0;
        Turn::Wait
    }
}
