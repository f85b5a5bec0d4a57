//! The guard against our own blindness.
//!
//! If all servers seem to fail at once, or only this director sees them fail, the fault is likely
//! here: then the last good set stays as it was. What proves that they did fail ends it, and so
//! does the first of them that is well again; the others then have a little time to follow.
//!
//! Proof has to be fresh. A witness that was well a second ago, a server that refused before the
//! way was cut, and a director that has not made its round yet say nothing of now. So the set is
//! held until each of them had the time to notice what we noticed, and only what is still held then
//! is believed to be our fault, and told. When the way is open again, others answer sooner than
//! servers are held to be well: what was told ends only by proof that lasts as long as that takes.
//! All of this is time in which checks are made: while they stand still nobody is let go of for
//! what they said before, and after a break all of them have to be made again first.

use std::time::Duration;

use super::Pool;
use super::look::{LATE, Look, Proof, proof};
use super::memory::{Spans, Stage};
use super::notice::What;
use super::view::{Peer, Summary, View, Witness};
use crate::check::made::Made;
use crate::check::outcome::State;
use crate::clock::Moment;

/// Checks are a little behind the clock: what is due by theirs is looked at again after this time.
const LOOK: Duration = Duration::from_millis(500);

/// Whether the last good set is held.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// It is not.
    Open,
    /// It is.
    Holding(Hold),
    /// One of it is well again, since this moment, and the others stay for a while.
    Grace(Hold, Moment),
}

/// One episode of it.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    /// When the first of them failed.
    first: Moment,
    /// Several of them failed in the same moment.
    together: bool,
    /// When that was noticed, and when every other had time to do so.
    noticed: Moment,
    settled: Moment,
    /// It was told.
    is_told: bool,
    /// Since when something proves that they did fail, although that was told.
    doubted: Option<Moment>,
    /// Whether another director sees some of them up.
    seen: Seen,
    /// When something will be evidence that is not yet, by the time in which checks are made.
    again: Option<Moment>,
}

impl Hold {
    fn renew(&mut self, now: Moment) {
        (self.first, self.noticed) = (self.first.max(now), self.noticed.max(now));
    }
}

/// Whether another director sees what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// None said so.
    Never,
    /// One does.
    Now,
    /// One did, and nobody does since this moment: what our own checks prove has to be newer.
    Lost(Moment),
}

/// What the evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// The fault is here, for this reason; look again at that moment.
    Hold(String, Option<Moment>),
    /// They did fail, for this reason.
    LetGo(String),
}

impl Guard {
    /// The checks may be other ones, or made at other times: what they say is to be from now on.
    pub(super) fn renew(&mut self, now: Moment) {
        match self {
            Guard::Open => {}
            Guard::Holding(hold) => hold.renew(now),
            // Whoever follows does so in the time of the checks that there are now.
            Guard::Grace(hold, since) => {
                hold.renew(now);
                *since = now.max(*since);
            }
        }
    }

    /// When the evidence has to be looked at again.
    pub(super) fn timeout(&self, spans: &Spans, made: Made, now: Moment) -> Option<Moment> {
        let due = match self {
            Guard::Open => None,
            Guard::Holding(hold) if hold.is_told => hold.again,
            Guard::Holding(hold) => [hold.again, Some(hold.settled)].into_iter().flatten().min(),
            Guard::Grace(_, since) => Some(made.end(*since, spans.grace)),
        };
        due.map(|due| if due > now { due } else { now + LOOK })
    }
}

/// Whether another director sees what we do not.
#[derive(Clone, Debug, Default)]
pub(super) struct Blindness {
    /// Since when it seems so.
    since: Option<Moment>,
    /// It said so when it had had the time to see what we see. What it said before says nothing of
    /// now: two directors that are cut off from the servers and from each other at the same moment
    /// would both believe that the other one is answered.
    is_believed: bool,
}

impl Blindness {
    pub(super) fn is_believed(&self) -> bool {
        self.is_believed
    }
}

impl Pool {
    /// Holds the last good set, goes on holding it, or lets go. `fell` is when each of those that
    /// failed just now did so first, in order.
    pub(super) fn watch_over(
        &mut self,
        looks: &[Look<'_>],
        view: &View<'_>,
        fell: &[Moment],
        now: Moment,
    ) {
        self.compare(looks, view, now);
        let is_any_in = self.memories.iter().any(|memory| memory.stage == Stage::In);
        self.guard = match std::mem::replace(&mut self.guard, Guard::Open) {
            _ if !self.config.guard => self.release(),
            Guard::Open if is_any_in || fell.is_empty() => Guard::Open,
            Guard::Open => self.consider(fell, view, now),
            Guard::Holding(hold) if is_any_in => self.begin_grace(hold, now),
            Guard::Grace(_, since) if is_any_in && self.is_over(since, view) => self.release(),
            Guard::Grace(hold, since) if is_any_in => self.go_on_with(hold, since),
            Guard::Grace(hold, _) => self.hold_again(hold, fell, view, now),
            Guard::Holding(hold) => self.hold_on(hold, &[], view, now),
        };
        self.summary.held = matches!(self.guard, Guard::Holding(_));
    }

    /// Whether the others had the time to follow one that is well again since then.
    fn is_over(&self, since: Moment, view: &View<'_>) -> bool {
        view.made.has_passed(view.made.end(since, self.spans.grace))
    }

    /// Sets what we see beside what the other directors see.
    fn compare(&mut self, looks: &[Look<'_>], view: &View<'_>, now: Moment) {
        let sees_any = looks.iter().any(|look| look.state == State::Up);
        self.lost = (!sees_any).then(|| self.lost.unwrap_or(now));
        let sees_none = looks.iter().all(|look| look.state == State::Down) && !looks.is_empty();
        let seers = view.peers.iter().filter(|peer| peer.sees.up > 0 && !peer.sees.held);
        if sees_any || looks.is_empty() || seers.clone().count() == 0 {
            self.blindness = Blindness::default();
            return;
        }
        if !sees_none {
            // Of a server that was added nothing is known yet, and nothing of the others is new.
            return;
        }
        let since = *self.blindness.since.get_or_insert(now);
        let is_of_now = |peer: &Peer| peer.at >= since + self.spans.window;
        self.blindness.is_believed |= seers.clone().any(is_of_now);
    }

    /// The last server failed: was it one moment for several, or is it ours alone?
    fn consider(&mut self, fell: &[Moment], view: &View<'_>, now: Moment) -> Guard {
        let set = self.last_good_set(fell);
        let first = set.iter().map(|(_, since)| *since).min();
        let last = set.iter().map(|(_, since)| *since).max();
        let (Some(first), Some(last)) = (first, last) else { return Guard::Open };
        let together = set.len() >= 2 && last.since(first) <= self.spans.window;
        let (is_told, doubted, seen, again) = (false, None, Seen::Never, None);
        let (noticed, settled) = (now, now);
        let hold = Hold { first, together, noticed, settled, is_told, doubted, seen, again };
        self.hold_on(hold, &set, view, now)
    }

    /// Those that failed in the same moment as these, which were noticed just now: they may have
    /// been noticed, and taken out, a little sooner. With when each of them failed first.
    fn last_good_set(&self, fell: &[Moment]) -> Vec<(usize, Moment)> {
        let window = self.spans.window;
        let (Some(earliest), Some(latest)) = (fell.first().copied(), fell.last().copied()) else {
            return Vec::new();
        };
        let is_of_it = |since: Moment| since + window >= latest && since <= earliest + window;
        let all = self.memories.iter().enumerate().filter_map(|(i, memory)| match memory.stage {
            Stage::Fell(since) => Some((i, since)),
            Stage::Fresh | Stage::Added | Stage::In | Stage::Held | Stage::Out => None,
        });
        all.filter(|(_, since)| is_of_it(*since) || fell.binary_search(since).is_ok()).collect()
    }

    /// Holds those that are held, and these as well; or lets go.
    fn hold_on(
        &mut self,
        mut hold: Hold,
        more: &[(usize, Moment)],
        view: &View<'_>,
        now: Moment,
    ) -> Guard {
        let held = self.memories.iter().filter(|memory| memory.stage == Stage::Held);
        let servers = held.count() + more.len();
        if servers == 0 {
            return Guard::Open;
        }
        let made = view.made;
        let witness = view.witness.map_or(Duration::ZERO, |witness| witness.within);
        hold.settled = made.end(hold.noticed, self.spans.window.max(witness) + LATE);
        hold.seen = match (sees_any(view), hold.seen) {
            (true, _) => Seen::Now,
            (false, Seen::Now) => Seen::Lost(now),
            (false, before) => before,
        };
        match self.verdict(&hold, view) {
            Verdict::LetGo(_) if !hold.is_told => return self.release(),
            Verdict::LetGo(why) => {
                let until = made.end(*hold.doubted.get_or_insert(now), self.spans.grace);
                if made.has_passed(until) {
                    self.notices.push(&self.config.name, What::LetGo { why });
                    return self.release();
                }
                hold.again = Some(until);
            }
            Verdict::Hold(why, again) => {
                if made.has_passed(hold.settled) && !hold.is_told {
                    hold.is_told = true;
                    self.notices.push(&self.config.name, What::Held { servers, why });
                }
                (hold.doubted, hold.again) = (None, again);
            }
        }
        more.iter().for_each(|(i, _)| self.memories[*i].stage = Stage::Held);
        Guard::Holding(hold)
    }

    fn begin_grace(&mut self, hold: Hold, now: Moment) -> Guard {
        let waits = self.memories.iter().any(|memory| memory.stage == Stage::Held);
        let grace = waits.then_some(self.spans.grace);
        if hold.is_told {
            self.notices.push(&self.config.name, What::Recovered { grace });
        }
        grace.map_or(Guard::Open, |_| Guard::Grace(hold, now))
    }

    fn go_on_with(&self, hold: Hold, since: Moment) -> Guard {
        let is_any_held = self.memories.iter().any(|memory| memory.stage == Stage::Held);
        if is_any_held { Guard::Grace(hold, since) } else { Guard::Open }
    }

    /// Those that were well again failed once more before the others could follow: it is the same
    /// episode, but what answered in between says nothing of now.
    fn hold_again(&mut self, hold: Hold, fell: &[Moment], view: &View<'_>, now: Moment) -> Guard {
        let first = fell.first().copied().unwrap_or(hold.first);
        let more = self.last_good_set(fell);
        self.hold_on(Hold { first, doubted: None, ..hold }, &more, view, now)
    }

    /// Those that are held have failed.
    fn release(&mut self) -> Guard {
        let held = self.memories.iter_mut().filter(|memory| memory.stage == Stage::Held);
        held.for_each(|memory| memory.stage = Stage::Out);
        Guard::Open
    }

    /// Weighs the evidence, the strongest first. Whoever holds its own set is no evidence, or two
    /// directors that are cut off together would keep each other in the belief.
    fn verdict(&self, hold: &Hold, view: &View<'_>) -> Verdict {
        let mut peers = view.peers.iter().filter(|peer| !peer.sees.held);
        if let Some(peer) = peers.clone().find(|peer| peer.sees.up > 0) {
            let why = format!("another director sees {} of them up", peer.sees.up);
            return Verdict::Hold(why, None);
        }
        let sees_none = |sees: Summary| sees.unknown == 0 && sees.down > 0;
        if peers.any(|peer| peer.at >= hold.first && sees_none(peer.sees)) {
            return Verdict::LetGo("another director sees none of them up either".into());
        }
        if let Seen::Lost(lost) = hold.seen
            && !view.made.has_passed(lost)
        {
            let why = "another director saw some of them up when they were checked here last";
            return Verdict::Hold(why.into(), Some(lost));
        }
        let again = match self.answer(hold.first, view) {
            Err(host) => return Verdict::LetGo(format!("{host} does answer")),
            Ok(again) => again,
        };
        let again = match view.witness.filter(|witness| witness.answers) {
            Some(Witness { within, .. }) => {
                let witnessed = view.made.end(hold.first, self.spans.window.max(within + LATE));
                if view.made.has_passed(witnessed) {
                    return Verdict::LetGo("others on their network do answer".into());
                }
                [again, Some(witnessed)].into_iter().flatten().min()
            }
            None => again,
        };
        match hold.together {
            true => Verdict::Hold("all of them fell silent in the same moment".into(), again),
            false => Verdict::LetGo("it was one server alone".into()),
        }
    }

    /// Whether any server answered since this moment, rightly or wrongly: then the way is open.
    /// `Err` is who did; otherwise, when what one said last will be an answer of that time.
    fn answer(&self, first: Moment, view: &View<'_>) -> Result<Option<Moment>, &str> {
        let mut again: Option<Moment> = None;
        for member in &self.config.members {
            for check in &member.checks {
                let Some(health) = view.health.get(check) else { continue };
                match proof(check, health, first, view.made) {
                    Proof::Open => return Err(&member.host),
                    Proof::OpenAt(at) => again = Some(again.map_or(at, |before| before.min(at))),
                    Proof::None => {}
                }
            }
        }
        Ok(again)
    }
}

/// Whether another director sees servers up.
fn sees_any(view: &View<'_>) -> bool {
    view.peers.iter().any(|peer| peer.sees.up > 0 && !peer.sees.held)
}
