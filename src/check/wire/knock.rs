//! Knocking at a real server's door in the name of the VIP. Pure; told the time.
//!
//! A run sends one SYN for the VIP, and another when half of its time is over; in direct routing it
//! first asks the link for the server's Ethernet address, which is then remembered. The sequence
//! number is the run's name: an answer is one only if it acknowledges it. What answers is let go by
//! a reset, also when it comes too late, so that no half-open connection stays at the server.
//!
//! Packets bear a hop count of 2. A server without the VIP that forwards would otherwise pass the
//! SYN on to the Active director, whose IPVS gives it to a server that is well, which answers. One
//! hop more than none, for servers whose programs live in containers behind a forwarding rule. What
//! another host than the one asked answers is doubted: if that one holds the VIP, it is no proof.

mod neighbours;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::check::config::Way;
use crate::check::outcome::{Advice, Failure, Outcome};
use crate::clock::Moment;
use crate::frame::claim::Claim;
use crate::frame::icmp::Refusal;
use crate::frame::tcp::{self, Segment, flag};
use crate::frame::tunnel::Tunnel;
use neighbours::Neighbours;
use words::Silence;

/// So many hops as a packet for the VIP may take: into the server, and into a container there.
const HOPS: u8 = 2;

/// The last so many knocks through tunnels are remembered, so that late answers to them are reset:
/// those of some seconds with a thousand servers. A server forgets by itself after a minute.
const TUNNELLED: usize = 4096;

/// How long an answer is doubted when half of the run's time is over already.
const DOUBT: Duration = Duration::from_millis(50);

/// The door that is knocked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) struct Door {
    /// VIP and port.
    pub(in crate::check) vip: SocketAddr,
    /// The server's own address.
    pub(in crate::check) server: IpAddr,
    /// How packets for the VIP reach it.
    pub(in crate::check) way: Way,
}

/// Who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) struct Origin {
    /// The number of the interface towards the server.
    pub(in crate::check) index: u32,
    /// Its Ethernet address.
    pub(in crate::check) mac: [u8; 6],
    /// An address of this host, and a port that nobody else has.
    pub(in crate::check) own: SocketAddr,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) enum Output<R> {
    /// Send a frame.
    Frame {
        /// The run that cannot be made without it.
        run: Option<R>,
        /// The number of the interface.
        index: u32,
        /// Its bytes.
        frame: Vec<u8>,
    },
    /// Send a packet to a server inside of another.
    Tunnel {
        /// The run that cannot be made without it.
        run: Option<R>,
        /// In what.
        tunnel: Tunnel,
        /// The server's own address.
        server: IpAddr,
        /// Its bytes.
        packet: Vec<u8>,
    },
    /// The run has ended.
    Done(R, Outcome),
}

/// All knocks under way. `R` names a run.
#[derive(Debug)]
pub(in crate::check) struct Knocker<R> {
    random: u64,
    knocks: BTreeMap<u32, Knock<R>>,
    numbers: BTreeMap<R, u32>,
    due: BTreeSet<(Moment, u32)>,
    doubting: BTreeSet<u32>,
    neighbours: Neighbours,
    tunnelled: VecDeque<(u32, Tunnel, IpAddr)>,
    outputs: VecDeque<Output<R>>,
}

#[derive(Clone, Copy, Debug)]
struct Knock<R> {
    run: R,
    door: Door,
    origin: Origin,
    /// When it goes on by itself: knocks again, or no longer doubts.
    due: Option<Moment>,
    /// When it knocked again.
    again: Option<Moment>,
    /// Whether a SYN has left.
    sent: bool,
    /// Somebody else's Ethernet address, from which the right answer came.
    doubted: Option<[u8; 6]>,
}

impl<R: Copy + Ord> Knocker<R> {
    /// One without knocks. The seed makes its numbers hard to guess.
    pub(in crate::check) fn new(seed: u64) -> Self {
        Knocker {
            random: seed,
            knocks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            due: BTreeSet::new(),
            doubting: BTreeSet::new(),
            neighbours: Neighbours::default(),
            tunnelled: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins a run.
    pub(in crate::check) fn begin(
        &mut self,
        run: R,
        door: Door,
        origin: Origin,
        timeout: Duration,
        now: Moment,
    ) {
        let number = self.fresh_number();
        let due = now + timeout / 2;
        let (again, sent, doubted) = (None, false, None);
        let knock = Knock { run, door, origin, due: Some(due), again, sent, doubted };
        self.knocks.insert(number, knock);
        self.numbers.insert(run, number);
        self.due.insert((due, number));
        match door.way {
            Way::Tunnel(tunnel) => {
                if self.tunnelled.len() == TUNNELLED {
                    self.tunnelled.pop_front();
                }
                self.tunnelled.push_back((number, tunnel, door.server));
                self.knock(number);
            }
            Way::Direct => {
                let frame = self.neighbours.seek(&origin, door.server, number, now);
                self.send(Some(run), origin.index, frame);
                self.knock(number);
            }
        }
    }

    /// Somebody on that interface says that an address is theirs.
    pub(in crate::check) fn handle_claim(&mut self, index: u32, claim: &Claim, now: Moment) {
        for number in self.neighbours.claimed(index, claim, now) {
            self.knock(number);
        }
        let is_about = |number: &&u32| {
            let knock = self.knocks.get(number);
            knock.is_some_and(|k| (k.door.vip.ip(), k.origin.index) == (claim.address, index))
        };
        for number in self.doubting.iter().filter(is_about).copied().collect::<Vec<_>>() {
            self.settle(number, Some(claim.mac));
        }
    }

    /// A segment came in to our port.
    pub(in crate::check) fn handle_answer(
        &mut self,
        index: u32,
        mac: Option<[u8; 6]>,
        answer: &Segment,
        now: Moment,
    ) {
        let number = answer.acknowledgement.wrapping_sub(1);
        let is_answer = |knock: &&Knock<R>| {
            (knock.door.vip, knock.origin.own) == (answer.source, answer.destination)
        };
        let knock = self.knocks.get(&number).filter(is_answer).copied();
        if !answer.has(flag::ACK) {
            return;
        }
        if !answer.has(flag::RESET) {
            self.let_go(index, mac, answer, number, knock.as_ref());
        }
        let Some(knock) = knock else { return };
        if answer.has(flag::RESET) {
            let closed = words::closed(&knock.door);
            return self.finish(number, Outcome::Bad(Failure::answered(closed)));
        }
        if !answer.has(flag::SYN) {
            return;
        }
        let asked = self.neighbours.mac(index, knock.door.server);
        let is_other = |mac: &[u8; 6]| asked.is_some_and(|asked| asked != *mac);
        match mac.filter(is_other) {
            Some(other) => self.doubt(number, other, now),
            None => {
                self.neighbours.confirm(index, knock.door.server, now);
                self.finish(number, Outcome::Good(Advice::default()));
            }
        }
    }

    /// A host says that it does not take one of our segments.
    pub(in crate::check) fn handle_refusal(&mut self, refusal: &Refusal) {
        let Some(knock) = self.knocks.get(&refusal.sequence) else { return };
        if (knock.door.vip, knock.origin.own) == (refusal.destination, refusal.source) {
            let failure = Failure::answered(words::refused(&knock.door, refusal));
            self.finish(refusal.sequence, Outcome::Bad(failure));
        }
    }

    /// Time has passed: what is due is done.
    pub(in crate::check) fn handle_timeout(&mut self, now: Moment) {
        while let Some((due, number)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, number));
            let Some(knock) = self.knocks.get_mut(&number) else { continue };
            knock.due = None;
            if knock.doubted.is_some() {
                self.settle(number, None);
                continue;
            }
            knock.again = Some(now);
            let (origin, door) = (knock.origin, knock.door);
            if door.way == Way::Direct {
                // An answer to this tells a server without the VIP from a dead one.
                let frame = self.neighbours.ask(&origin, door.server, number);
                self.send(None, origin.index, frame);
            }
            self.knock(number);
        }
    }

    /// The time of a run is up: what is known of it.
    pub(in crate::check) fn expire(&mut self, run: R) -> Failure {
        let number = self.numbers.get(&run).copied();
        let Some(knock) = number.and_then(|number| self.remove(number)) else {
            return Failure::silent("no answer");
        };
        let (index, server) = (knock.origin.index, knock.door.server);
        let heard = self.neighbours.heard(index, server);
        let answers_link = knock.again.is_some() && heard >= knock.again;
        let silence = match (knock.door.way, knock.sent) {
            (Way::Tunnel(_), _) => Silence::Tunnel,
            (Way::Direct, false) => Silence::Nowhere,
            (Way::Direct, true) if answers_link => Silence::OnlyLink,
            (Way::Direct, true) => Silence::Gone,
        };
        if knock.door.way == Way::Direct && !answers_link {
            // It may have moved to another Ethernet address.
            self.neighbours.forget(index, server);
        }
        silence.failure(&knock.door)
    }

    /// A run is no longer wanted.
    pub(in crate::check) fn abort(&mut self, run: R) {
        if let Some(number) = self.numbers.get(&run).copied() {
            self.remove(number);
        }
    }

    /// What has to be done, until there is nothing left.
    pub(in crate::check) fn poll_output(&mut self) -> Option<Output<R>> {
        self.outputs.pop_front()
    }

    /// When time has to be told.
    pub(in crate::check) fn poll_timeout(&self) -> Option<Moment> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Sends the SYN, if it is known whereto.
    fn knock(&mut self, number: u32) {
        let Some(knock) = self.knocks.get_mut(&number) else { return };
        let syn = tcp::syn(knock.origin.own, knock.door.vip, number).packet(HOPS);
        let (run, server) = (Some(knock.run), knock.door.server);
        let output = match knock.door.way {
            Way::Tunnel(tunnel) => Some(Output::Tunnel { run, tunnel, server, packet: syn }),
            Way::Direct => {
                let Origin { index, mac: own, .. } = knock.origin;
                let mac = self.neighbours.mac(index, server);
                mac.map(|mac| Output::Frame { run, index, frame: tcp::framed(mac, own, &syn) })
            }
        };
        knock.sent |= output.is_some();
        self.outputs.extend(output);
    }

    /// Resets what has answered, the way that the SYN went; for one that is no longer known, back
    /// to where the answer came from.
    fn let_go(
        &mut self,
        index: u32,
        mac: Option<[u8; 6]>,
        answer: &Segment,
        number: u32,
        knock: Option<&Knock<R>>,
    ) {
        let reset = tcp::reset(answer).packet(HOPS);
        let late = || self.tunnelled.iter().rev().find(|(late, ..)| *late == number);
        let through = match knock.map(|knock| knock.door) {
            Some(Door { way: Way::Tunnel(tunnel), server, .. }) => Some((tunnel, server)),
            Some(Door { way: Way::Direct, .. }) => None,
            None => late().map(|(_, tunnel, server)| (*tunnel, *server)),
        };
        match (through, mac) {
            (Some((tunnel, server)), _) => {
                let packet = reset;
                self.outputs.push_back(Output::Tunnel { run: None, tunnel, server, packet });
            }
            (None, Some(mac)) => {
                let own = self.neighbours.asker(index);
                self.send(None, index, own.map(|own| tcp::framed(mac, own, &reset)));
            }
            (None, None) => {}
        }
    }

    fn send(&mut self, run: Option<R>, index: u32, frame: Option<Vec<u8>>) {
        self.outputs.extend(frame.map(|frame| Output::Frame { run, index, frame }));
    }

    /// The right answer came from another Ethernet address than the server's: a second one of its
    /// own, as in a bond, or whoever holds the VIP and was passed the SYN.
    fn doubt(&mut self, number: u32, mac: [u8; 6], now: Moment) {
        let Some(knock) = self.knocks.get_mut(&number) else { return };
        if knock.doubted.replace(mac).is_some() {
            return;
        }
        self.doubting.insert(number);
        let due = knock.due.unwrap_or(now + DOUBT);
        knock.due = Some(due);
        self.due.insert((due, number));
        let frame = neighbours::question(&knock.origin, knock.door.vip.ip(), None);
        let index = knock.origin.index;
        self.send(None, index, frame);
    }

    /// Ends a doubt: by who holds the VIP, or by nobody's saying so.
    fn settle(&mut self, number: u32, holder: Option<[u8; 6]>) {
        let Some(knock) = self.knocks.get(&number) else { return };
        let outcome = match holder.is_some() && holder == knock.doubted {
            true => Outcome::Bad(Failure::answered(words::passed_on(&knock.door))),
            false => Outcome::Good(Advice::default()),
        };
        self.finish(number, outcome);
    }

    fn finish(&mut self, number: u32, outcome: Outcome) {
        if let Some(knock) = self.remove(number) {
            self.outputs.push_back(Output::Done(knock.run, outcome));
        }
    }

    fn remove(&mut self, number: u32) -> Option<Knock<R>> {
        let knock = self.knocks.remove(&number)?;
        self.numbers.remove(&knock.run);
        self.doubting.remove(&number);
        self.neighbours.leave(knock.origin.index, knock.door.server, number);
        if let Some(due) = knock.due {
            self.due.remove(&(due, number));
        }
        Some(knock)
    }

    /// A number that no knock under way has: splitmix64, cut.
    fn fresh_number(&mut self) -> u32 {
        loop {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let number = u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits");
            if !self.knocks.contains_key(&number) {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests;
