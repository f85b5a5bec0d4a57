//! What a peering does about what comes: whom it believes, and what a loss means.
//!
//! The rules behind the verbs of [`Peering`]: a proven session takes the place of a lesser one, a
//! lost one is followed by a try whose end is the verdict, and every verdict is told once.

use super::frame::Side;
use super::message::{Hello, Message};
use super::peering::{Dial, Peering};
use super::session::{Phase, Session};
use super::{Alarm, ConnectionId, Contact, News, Nonce, Output, Refusal};
use crate::clock::Moment;

use std::time::Duration;

/// How long a connection may take to be made. The kernel repeats a lost SYN after a second; we do
/// so ourselves.
const DIAL_WITHIN: Duration = Duration::from_secs(1);
/// Milliseconds before each try after a loss. The first ones are for a process that is just ending:
/// its port may outlive its connections by microseconds.
const PAUSES: [u64; 8] = [0, 1, 10, 100, 200, 400, 800, 1000];
/// From this try on nobody is just ending any more.
const PATIENT: usize = 3;
/// The pause of the director with the higher address, once it is patient.
const LOOK_IN: Duration = Duration::from_secs(1);
/// A connection that was up for so long did not fall to what brought it up.
const STEADY: Duration = Duration::from_secs(1);
/// The longest restart that is believed.
const LONGEST_RESTART: Duration = Duration::from_secs(60);

impl Peering {
    pub(super) fn current(&self) -> Option<&Session> {
        self.current.and_then(|id| self.sessions.get(&id))
    }

    /// Whether nothing is there or under way that dialling could bring.
    pub(super) fn may_dial(&self) -> bool {
        let under_way = |s: &Session| s.dialled() && matches!(s.phase, Phase::Unproven(_));
        self.current.is_none() && !self.sessions.values().any(under_way)
    }

    pub(super) fn dial_if_due(&mut self, now: Moment) {
        if let Dial::NotBefore(due) = self.dial
            && due <= now
            && self.may_dial()
        {
            let id = self.next_id();
            self.dial = Dial::Asked(id, now + DIAL_WITHIN);
            self.tries += 1;
            self.outputs.push_back(Output::Dial(id));
        }
    }

    /// Dialling brought this verdict.
    pub(super) fn failed(&mut self, verdict: Contact, now: Moment) {
        self.tries = self.tries.max(PATIENT);
        self.dial_later(now);
        self.settle(verdict);
    }

    pub(super) fn next_id(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId(self.next)
    }

    /// A connection is there.
    pub(super) fn begin(&mut self, id: ConnectionId, side: Side, nonce: Nonce, now: Moment) {
        self.epoch += 1;
        let session = Session::new(side, nonce, self.epoch, now);
        self.outputs.push_back(Output::Write(id, session.greeting()));
        self.sessions.insert(id, session);
    }

    /// The other has greeted, so frames can be signed for it.
    pub(super) fn say_hello(&mut self, id: ConnectionId, now: Moment) {
        let Some(session) = self.sessions.get(&id) else { return };
        let hello = Message::Hello(Hello {
            host: self.ends.host.clone(),
            peer: self.ends.peer.clone(),
            incarnation: self.ends.incarnation,
            epoch: session.epoch,
            fingerprint: self.fingerprint,
        });
        self.say(id, &hello, now);
    }

    /// A proven message has come.
    pub(super) fn heard(&mut self, id: ConnectionId, message: Message, now: Moment) {
        let Some(phase) = self.sessions.get(&id).map(|session| session.phase) else { return };
        match (phase, message) {
            (Phase::Unproven(_), Message::Hello(hello)) => match self.right_host(&hello) {
                Ok(()) => self.prove(id, hello, now),
                Err(refusal) => self.refuse(id, refusal, now),
            },
            (Phase::Unproven(_), _) => self.refuse(id, Refusal::Nameless, now),
            (Phase::Current | Phase::Replaced(_), Message::Hello(_)) => {
                self.refuse(id, Refusal::Malformed { what: "place" }, now);
            }
            // Said once, so it counts wherever it was said.
            (_, Message::Resigned(router)) => self.news(News::Resigned(router)),
            (_, Message::Restarting(back_within)) => {
                let back_within = back_within.min(LONGEST_RESTART);
                self.excused = Some(now + back_within);
                self.news(News::Restarting(back_within));
            }
            // The current session said it again.
            (Phase::Replaced(_), _) | (_, Message::Ping) => {}
            (Phase::Current, Message::Standing(standings)) => self.news(News::Standing(standings)),
            (Phase::Current, Message::Said { topic, number, bytes }) => {
                self.hearing.handle_said(topic, number, bytes, now);
            }
            (Phase::Current, Message::Heard { topic, number }) => {
                self.telling.handle_heard(topic, number);
            }
            (Phase::Current, Message::Fingerprint(theirs)) => {
                self.theirs = Some(theirs);
                self.compare(now);
            }
            (Phase::Current, Message::Digests { leaves, complete }) => {
                let mismatch = self.digests.compare(&leaves, complete);
                if self.theirs != Some(self.fingerprint)
                    && self.mismatch.as_ref() != Some(&mismatch)
                {
                    self.mismatch = Some(mismatch.clone());
                    self.outputs.push_back(Output::Alarm(Alarm::Mismatch(mismatch)));
                }
            }
        }
    }

    fn right_host(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.host != self.ends.peer {
            let (says, expected) = (hello.host.clone(), self.ends.peer.clone());
            return Err(Refusal::WrongHost { says, expected });
        }
        if hello.peer != self.ends.host {
            return Err(Refusal::WrongTarget { meant: hello.peer.clone() });
        }
        Ok(())
    }

    /// The other has proven itself on this connection.
    fn prove(&mut self, id: ConnectionId, hello: Hello, now: Moment) {
        let (incarnation, theirs) = (hello.incarnation, hello.fingerprint);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.hello = Some(hello);
        let lower = self.ends.are_lower();
        let (session, old) = (&self.sessions[&id], self.current());
        if old.is_some_and(|old| !session.outranks(old, lower)) {
            self.replace(id, now);
            return;
        }
        if let Some(old) = self.current.take() {
            self.replace(old, now);
        }
        self.take(id, now);
        self.greet_process(incarnation);
        self.theirs = Some(theirs);
        self.tell(&Message::Standing(self.standings.clone()), now);
        self.compare(now);
    }

    fn replace(&mut self, id: ConnectionId, now: Moment) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.replace(now);
        }
    }

    /// From now on this session is the one to speak on.
    fn take(&mut self, id: ConnectionId, now: Moment) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.phase = Phase::Current;
        }
        self.current = Some(id);
        self.since = now;
        self.telling.begin();
        self.hearing.begin();
        self.tries = self.tries.min(PATIENT);
        self.refused.clear();
        // An answer to what was asked before would be about the past.
        if let Dial::Asked(asked, _) = self.dial {
            self.outputs.push_back(Output::Close(asked));
            self.dial = Dial::NotBefore(now);
        }
    }

    /// This process of the other host is there.
    fn greet_process(&mut self, incarnation: u64) {
        let before = self.incarnation.replace(incarnation);
        if before.is_some_and(|before| before != incarnation) {
            // Nobody saw the one before it die, but it did; unless it said so.
            let announced = self.excused.take().is_some();
            if !announced {
                self.settle(Contact::Gone);
            }
        }
        if self.contact != Contact::Present {
            self.contact = Contact::Present;
            self.news(News::Up);
        }
    }

    /// Says which fingerprint of ours differs from theirs, or that none does any more.
    pub(super) fn compare(&mut self, now: Moment) {
        let Some(theirs) = self.theirs else { return };
        if theirs != self.fingerprint {
            self.tell(&Message::digests(self.digests.leaves()), now);
        } else if self.mismatch.take().is_some() {
            self.outputs.push_back(Output::Alarm(Alarm::Agreed));
        }
    }

    /// A connection is not believed.
    pub(super) fn refuse(&mut self, id: ConnectionId, refusal: Refusal, now: Moment) {
        let Some(session) = self.drop_session(id) else { return };
        self.name_once(refusal);
        match session.phase {
            Phase::Unproven(_) if session.dialled() => self.failed(Contact::Unknown, now),
            Phase::Unproven(_) | Phase::Current | Phase::Replaced(_) => {
                self.ended(id, &session, now);
            }
        }
    }

    pub(super) fn name_once(&mut self, refusal: Refusal) {
        if self.refused.insert(refusal.name()) {
            self.outputs.push_back(Output::Alarm(Alarm::Refused(refusal)));
        }
    }

    /// A session's time is over.
    pub(super) fn expire(&mut self, id: ConnectionId, now: Moment) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.dialled() && matches!(session.phase, Phase::Unproven(_)) {
            self.refuse(id, Refusal::Late, now);
        } else if let Some(session) = self.drop_session(id) {
            self.ended(id, &session, now);
        }
    }

    pub(super) fn drop_session(&mut self, id: ConnectionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.outputs.push_back(Output::Close(id));
        Some(session)
    }

    /// A session is no more; whoever it was, the next try tells what that means.
    pub(super) fn ended(&mut self, id: ConnectionId, session: &Session, now: Moment) {
        if self.current == Some(id) {
            self.current = None;
            self.theirs = None;
            if now.since(self.since) >= STEADY {
                self.tries = 0;
            }
            self.dial_later(now);
        } else if session.dialled() && matches!(session.phase, Phase::Unproven(_)) {
            // The port was open, then closed: a process that is ending, or one that does not want
            // us.
            if self.tries >= PATIENT {
                self.settle(Contact::Unknown);
            }
            self.dial_later(now);
        }
        self.dial_if_due(now);
    }

    fn dial_later(&mut self, now: Moment) {
        let patient = self.tries >= PATIENT && !self.ends.are_lower();
        let steps = PAUSES[self.tries.min(PAUSES.len() - 1)];
        let pause = if patient { LOOK_IN } else { Duration::from_millis(steps) };
        self.dial = Dial::NotBefore(now + pause);
    }

    /// The contact is this now; told if it was not, and if nothing else was announced.
    fn settle(&mut self, contact: Contact) {
        if self.current.is_some() && contact == Contact::Unknown {
            return;
        }
        if self.contact == contact || self.excused.is_some() {
            return;
        }
        self.contact = contact;
        match contact {
            Contact::Present => self.news(News::Up),
            Contact::Gone => self.news(News::Gone),
            Contact::Unknown => self.news(News::Unknown),
        }
    }

    /// Hands on what was said and says what is due, behind everything that VRRP had to say.
    pub(super) fn converse(&mut self, now: Moment) {
        if self.current.is_none() {
            return;
        }
        while let Some((topic, number, bytes)) = self.hearing.next(now) {
            self.news(News::Said(topic, bytes));
            self.tell(&Message::Heard { topic, number }, now);
        }
        while let Some(message) = self.telling.next(now) {
            self.tell(&message, now);
        }
    }

    /// Says it on the current connection, if there is one; else the next one begins with it.
    pub(super) fn tell(&mut self, message: &Message, now: Moment) {
        if let Some(id) = self.current {
            self.say(id, message, now);
        }
    }

    fn say(&mut self, id: ConnectionId, message: &Message, now: Moment) {
        let session = self.sessions.get_mut(&id);
        if let Some(bytes) = session.and_then(|session| session.write(message, now)) {
            self.outputs.push_back(Output::Write(id, bytes));
        }
    }

    fn news(&mut self, news: News) {
        self.outputs.push_back(Output::News(news));
    }
}
