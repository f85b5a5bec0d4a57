//! What becomes of each server: by its own right first, then with the quorum in mind.
//!
//! The first is a function of its checks and of what was said of it, and knows nothing of the
//! others; the second knows nothing of checks.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::look::Look;
use super::memory::{Memory, STEPS, Stage};
use super::notice::{Answers, Server, What};
use super::quorum::{Quorum, Rule};
use super::view::View;
use crate::check::outcome::{State, Wish};
use crate::clock::Moment;
use crate::pool::config::{Member, OnFailure, Spare};
use crate::pool::standing::{Share, Shares, Standing};
use crate::pool::words::{Effective, Word};

impl Pool {
    /// What each server would get if the quorum did not matter.
    pub(super) fn claims(
        &mut self,
        looks: &[Look<'_>],
        view: &View<'_>,
        now: Moment,
    ) -> Vec<Share> {
        let mut claims = Vec::with_capacity(looks.len());
        let (config, memories) = (&*self.config, &mut self.memories);
        for ((member, memory), look) in config.members.iter().zip(memories).zip(looks) {
            let word = view.words.now(&member.host, &config.name);
            let rests = rests(look, word.as_ref());
            if memory.resting && rests.is_none() && look.state == State::Up {
                memory.climbing = (!config.slow_start.is_zero()).then_some(now);
            }
            let claim = match rests {
                Some(why) => {
                    memory.climbing = None;
                    share(None, Standing::Maintenance, why)
                }
                None => {
                    let steps = memory.steps(config.slow_start, now);
                    let earned = earned(member, memory, look, steps, config.on_failure);
                    drained(earned, look, word.as_ref())
                }
            };
            claims.push(claim);
        }
        claims
    }

    /// Makes shares of the claims, and tells what is new.
    pub(super) fn decide(
        &mut self,
        mut claims: Vec<Share>,
        looks: &[Look<'_>],
        view: &View<'_>,
        now: Moment,
    ) {
        let sum = self.sum(&claims);
        let before = self.quorum;
        let rule = Rule { quorum: self.config.quorum, hysteresis: self.config.hysteresis };
        self.quorum = before.next(sum, rule, self.is_judged(), now);
        let spare = match self.quorum {
            Quorum::Lost => self.config.spares.iter().position(|spare| is_well(spare, view)),
            Quorum::Open(_) | Quorum::Had => None,
        };
        if let Some(spare) = spare {
            let why = format!("{} answers", self.config.spares[spare].name);
            claims.iter_mut().for_each(|claim| spare_it(claim, &why));
        }
        self.tell_members(&claims, looks);
        self.tell_judged(&claims, looks);
        self.tell_quorum(before, sum, spare.is_some());
        self.tell_spare(spare, &claims);
        self.keep(claims, spare);
    }

    /// The configured weights of those that would get new connections.
    fn sum(&self, claims: &[Share]) -> u64 {
        let members = self.config.members.iter().zip(claims);
        members.filter(|(_, claim)| is_in(claim)).map(|(member, _)| u64::from(member.weight)).sum()
    }

    fn keep(&mut self, claims: Vec<Share>, spare: Option<usize>) {
        for (memory, claim) in self.memories.iter_mut().zip(&claims) {
            memory.resting = claim.standing == Standing::Maintenance;
        }
        let servers = self.config.members.iter().map(|member| member.server);
        let shares = Shares { members: servers.zip(claims).collect(), spare };
        if *self.shares != shares {
            self.shares = Arc::new(shares);
        }
    }

    fn tell_members(&mut self, claims: &[Share], looks: &[Look<'_>]) {
        let climbs = Some(self.config.slow_start).filter(|span| !span.is_zero());
        let memories = self.memories.iter_mut();
        for (((member, memory), claim), look) in
            self.config.members.iter().zip(memories).zip(claims).zip(looks)
        {
            let server = || Server { host: member.host.clone(), at: member.server };
            let before = self.shares.members.get(&member.server);
            let before = before.map_or(Standing::Unknown, |share| share.standing);
            let news = memory.news(before, claim, climbs, server);
            let note = look.note.filter(|_| look.state == State::Up);
            if note != memory.note.as_deref() && look.state == State::Up {
                memory.note = note.map(str::to_owned);
                if let Some(note) = note {
                    let note = note.to_owned();
                    self.notices.push(&self.config.name, What::Noted { server: server(), note });
                }
            }
            if let Some(what) = news {
                self.notices.push(&self.config.name, what);
            }
        }
    }

    fn tell_judged(&mut self, claims: &[Share], looks: &[Look<'_>]) {
        if self.summary.unknown > 0 || self.was_judged {
            return;
        }
        self.was_judged = true;
        let (up, of) = (self.summary.up as usize, self.memories.len());
        let is_idle = |claim: &Share| match claim.standing {
            Standing::Draining | Standing::Maintenance => true,
            Standing::Up
            | Standing::Starting
            | Standing::Down
            | Standing::Unknown
            | Standing::Kept
            | Standing::Held
            | Standing::Spared => false,
        };
        let idle = claims.iter().zip(looks);
        let idle = idle.filter(|(claim, look)| look.state == State::Up && is_idle(claim)).count();
        self.notices.push(&self.config.name, What::Judged { up, of, idle });
    }

    fn tell_quorum(&mut self, before: Quorum, have: u64, is_spared: bool) {
        let name = &self.config.name;
        let (quorum, margin) = (u64::from(self.config.quorum), u64::from(self.config.hysteresis));
        let answers = match (is_spared, have) {
            (true, _) => Answers::Spare,
            (false, 0) => Answers::Nobody,
            (false, _) => Answers::Servers,
        };
        match (before, self.quorum) {
            (Quorum::Had | Quorum::Open(_), Quorum::Lost) => {
                let need = match before {
                    Quorum::Had => quorum.saturating_sub(margin).max(1),
                    Quorum::Open(_) | Quorum::Lost => quorum,
                };
                let again = quorum + margin;
                self.notices.push(name, What::QuorumLost { have, need, again, answers });
            }
            (Quorum::Lost, Quorum::Had) => {
                self.notices.push(name, What::QuorumRegained { have });
            }
            (Quorum::Open(_) | Quorum::Had, Quorum::Open(_) | Quorum::Had)
            | (Quorum::Lost, Quorum::Open(_) | Quorum::Lost) => {}
        }
    }

    fn tell_spare(&mut self, spare: Option<usize>, claims: &[Share]) {
        let spare = spare.and_then(|spare| self.config.spares.get(spare));
        let spare = spare.map(|spare| spare.name.clone());
        if self.told_spare == spare {
            return;
        }
        let before = std::mem::replace(&mut self.told_spare, spare.clone());
        let news = match (spare, before) {
            (Some(spare), _) => What::SpareIn { spare },
            (None, Some(spare)) => What::SpareOut { spare, servers: claims.iter().any(is_in) },
            (None, None) => return,
        };
        self.notices.push(&self.config.name, news);
    }
}

fn share(weight: Option<u32>, standing: Standing, why: impl Into<String>) -> Share {
    Share { weight, standing, why: why.into() }
}

/// Whether it gets new connections.
fn is_in(share: &Share) -> bool {
    share.weight.is_some_and(|weight| weight > 0)
}

impl Memory {
    /// What is to be told of its server, which stood so before. Whoever was told to be out is told
    /// to be in, however it got there.
    fn news(
        &mut self,
        before: Standing,
        claim: &Share,
        climbs: Option<Duration>,
        server: impl Fn() -> Server,
    ) -> Option<What> {
        if claim.standing == before {
            return None;
        }
        let (why, server) = (claim.why.clone(), server());
        let is_new = before == Standing::Unknown && !self.is_first;
        let what = match claim.standing {
            Standing::Down => What::Left { server, why, quiesced: claim.weight.is_some() },
            Standing::Draining => What::Drained { server, why },
            Standing::Maintenance => What::Rests { server, why },
            Standing::Starting if self.is_out || is_new => What::Returned { server, climbs },
            Standing::Up if self.is_out || is_new => What::Returned { server, climbs: None },
            Standing::Kept if self.is_out && is_in(claim) => {
                What::Returned { server, climbs: None }
            }
            // That the spare goes tells that it is in.
            Standing::Spared if self.is_out || is_new => What::Waits { server },
            Standing::Unknown
            | Standing::Up
            | Standing::Starting
            | Standing::Kept
            | Standing::Held
            | Standing::Spared => return None,
        };
        self.is_out = !matches!(what, What::Returned { .. } | What::Waits { .. });
        Some(what)
    }
}

/// Why a server is to get no traffic, although it may be well. The operator's word wins over its
/// own wish.
fn rests(look: &Look<'_>, word: Option<&Effective>) -> Option<String> {
    match word {
        Some(said) if said.word == Word::Maintenance => Some(format!("said on {}", said.by)),
        Some(_) => None,
        None if look.state == State::Up && look.wish == Some(Wish::Maintenance) => {
            Some("it asks for it".into())
        }
        None => None,
    }
}

/// What a server gets by its own right.
fn earned(
    member: &Member,
    memory: &mut Memory,
    look: &Look<'_>,
    steps: Option<u32>,
    on_failure: OnFailure,
) -> Share {
    let quiet = (on_failure == OnFailure::Quiesce).then_some(0);
    match (memory.stage, look.state) {
        (Stage::In, State::Up) => {
            let full = u64::from(look.weight);
            let weight = steps.map_or(full, |n| (full * u64::from(n) / u64::from(STEPS)).max(1));
            let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(look.weight);
            // As it would be held if it failed: what it asks for is then not known any more.
            memory.weight = if look.wish == Some(Wish::Drain) { 0 } else { weight };
            let standing = if steps.is_some() { Standing::Starting } else { Standing::Up };
            match (look.weight, member.weight) {
                (0, 0) => share(Some(0), Standing::Draining, "its weight is 0"),
                (0, _) => share(Some(0), Standing::Draining, "it asks for weight 0"),
                _ => share(Some(weight), standing, ""),
            }
        }
        (Stage::In, State::Unknown | State::Down) => share(Some(memory.weight), Standing::Kept, ""),
        (Stage::Held, _) => share(Some(memory.weight), Standing::Held, look.what),
        (Stage::Fell(_) | Stage::Out, State::Unknown) => share(quiet, Standing::Unknown, ""),
        (Stage::Fell(_) | Stage::Out, _) => share(quiet, Standing::Down, look.what),
        (Stage::Fresh, _) if memory.quiet => share(Some(0), Standing::Unknown, ""),
        (Stage::Fresh | Stage::Added, _) => share(None, Standing::Unknown, ""),
    }
}

/// The same without new connections, if the operator or the server itself wants that.
fn drained(claim: Share, look: &Look<'_>, word: Option<&Effective>) -> Share {
    let gets = match claim.standing {
        Standing::Up
        | Standing::Starting
        | Standing::Kept
        | Standing::Held
        | Standing::Draining => claim.weight.is_some(),
        Standing::Down | Standing::Unknown | Standing::Maintenance | Standing::Spared => false,
    };
    match word {
        _ if !gets => claim,
        Some(said) => share(Some(0), Standing::Draining, format!("said on {}", said.by)),
        None if look.wish == Some(Wish::Drain) && look.state == State::Up => {
            share(Some(0), Standing::Draining, "it asks for it")
        }
        None => claim,
    }
}

/// One that would get new connections gets none while a spare answers; the connections of one that
/// is drained or failed go on.
fn spare_it(claim: &mut Share, why: &str) {
    if is_in(claim) {
        *claim = share(None, Standing::Spared, why);
    }
}

fn is_well(spare: &Spare, view: &View<'_>) -> bool {
    spare
        .checks
        .iter()
        .all(|check| view.health.get(check).is_some_and(|health| health.state == State::Up))
}
