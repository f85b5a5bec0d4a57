//! Carries out what the machines want, and tells whoever has to know.
//!
//! Advertisements go first, then the wish for VIPs, then the other directors, and the daemon last.
//! Nothing here waits: what cannot be sent is told, and comes again with the next timer.

use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::frame::{arp, ndisc};
use crate::vrrp::config::Vip;
use crate::vrrp::driver::links::Said;
use crate::vrrp::driver::status::RouterStatus;
use crate::vrrp::link::{News as LinkNews, Standing};
use crate::vrrp::packet::{Advert, Discard, GROUP_IPV4, GROUP_IPV6, emit};
use crate::vrrp::router::{Output, PeerNews, RESTART, Router};
use crate::vrrp::speaker::REPLACED;

/// How long a VIP that the kernel refused keeps its router from being Active.
const REFUSED: Duration = Duration::from_secs(30);

/// How often the same VIP is said to have been put back.
const PUT_BACK: Duration = Duration::from_secs(1);

/// How often the same reason to discard is told of the same sender, and of how many at a time.
const DISCARD: Duration = Duration::from_secs(60);
const DISCARDS: usize = 64;

/// How often a status is renewed in which only counts have changed.
const PUBLISH: Duration = Duration::from_secs(1);

/// Packets that were not heeded.
#[derive(Default)]
pub(super) struct Discards {
    count: u64,
    told: Vec<(IpAddr, Discriminant<Discard>, Moment)>,
}

impl Discards {
    /// Whether somebody should be told.
    fn is_news(&mut self, from: IpAddr, reason: &Discard, now: Moment) -> bool {
        self.count += 1;
        self.told.retain(|(_, _, at)| now.since(*at) < DISCARD);
        let kind = discriminant(reason);
        let known = self.told.iter().any(|(f, k, _)| (*f, *k) == (from, kind));
        if known || self.told.len() == DISCARDS {
            return false;
        }
        self.told.push((from, kind, now));
        true
    }
}

impl Thread {
    /// Does everything that is wanted by now.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some((router, output)) = self.speaker.poll_output() {
                self.carry_out(&router, output);
            }
            let now = now();
            if self.holding.is_due(&self.speaker, now) {
                self.send_order(now);
            }
            self.tell_peers(now);
            let mut heard = false;
            while let Some((peer, said)) = self.links.as_mut().and_then(|l| l.poll_said(now)) {
                heard = true;
                self.hear_peer(peer, said, now);
            }
            if !heard {
                break;
            }
        }
        self.words.tell(&mut self.ways.teller);
        self.publish(now());
    }

    fn carry_out(&mut self, name: &str, output: Output) {
        match output {
            Output::Send(advert) => self.send(name, &advert),
            Output::Announce => self.announce(name),
            Output::Changed { from, to, why } => {
                (self.untold, self.moved) = (true, true);
                let priority = self.speaker.router(name).map_or(0, Router::priority);
                let router = name.to_owned();
                self.ways.teller.tell(Event::Changed { router, from, to, why, priority });
            }
            Output::Noticed(notice) => {
                self.ways.teller.tell(Event::Noticed { router: name.to_owned(), notice });
            }
            Output::Done => (self.untold, self.moved) = (true, true),
        }
    }

    /// An advertisement to the group or to every peer.
    fn send(&mut self, name: &str, advert: &Advert) {
        let Some(config) = self.speaker.router(name).map(Router::config) else {
            return;
        };
        let mut result = Err(Errno::ENETDOWN);
        if let Some(socket) = self.sockets.at(&config.interface, config.family) {
            result = Ok(());
            let source = config.source;
            let group = match config.family {
                Family::Ipv4 => IpAddr::V4(GROUP_IPV4),
                Family::Ipv6 => IpAddr::V6(GROUP_IPV6),
            };
            let to: Vec<IpAddr> = match config.transport {
                Transport::Multicast => vec![group],
                Transport::Unicast => config.peers.iter().map(|peer| peer.address).collect(),
            };
            for to in to.into_iter().filter(|to| Family::of(*to) == Family::of(source)) {
                emit(advert, source, to, config.checksum, &mut self.buffer);
                result = socket.send(source, to, &self.buffer).and(result);
            }
            self.buffer.resize(MOST_BYTES + 60, 0);
        }
        match result {
            Ok(()) => drop(self.speechless.remove(name)),
            Err(why) if self.speechless.insert(name.to_owned(), why).is_none() => {
                self.ways.teller.tell(Event::SendFailed { router: name.to_owned(), why });
            }
            Err(_) => {}
        }
        if let (0, Some(links)) = (advert.priority, &mut self.links) {
            links.handle_resigned(name, now());
        }
    }

    /// Once for each VIP: those that stand at once, the others when they do.
    fn announce(&mut self, name: &str) {
        let Some(router) = self.speaker.router(name) else {
            return;
        };
        for vip in &router.config().vips {
            match self.holding.stands(vip, &self.news) {
                true => announce(&self.announcer, &self.news, vip),
                false => self.holding.wait(vip),
            }
        }
    }

    /// What waited for its VIP.
    pub(super) fn announce_ready(&mut self) {
        for (vip, times) in self.holding.ready(&self.news) {
            (0..times).for_each(|_| announce(&self.announcer, &self.news, &vip));
        }
    }

    /// What is wanted, to the thread that does it.
    pub(super) fn send_order(&mut self, now: Moment) {
        let order = self.holding.order(&self.speaker, &self.ordered, self.restarts, now);
        if !self.ways.to_addresses.send(order) {
            self.holding.put_off(now);
        }
    }

    /// What became of the VIPs.
    pub(super) fn hear_of_vips(&mut self, news: &News, now: Moment) {
        let teller = &mut self.ways.teller;
        for vip in &news.put_back {
            self.speaker.handle_lost_vip(vip.address.addr(), now);
            let last = self.put_back.get(vip);
            if last.is_none_or(|last| now.since(*last) >= PUT_BACK) {
                self.put_back.insert(vip.clone(), now);
                teller.tell(Event::VipPutBack(vip.clone()));
            }
        }
        for vip in news.foreign.difference(&self.news.foreign) {
            teller.tell(Event::VipForeign(vip.clone()));
        }
        for (vip, errno) in &news.refused {
            let why = format!("{} cannot be put on {}: {errno}", vip.address, vip.interface);
            if self.refused.insert(vip.clone(), (why, now + REFUSED)).is_none() {
                teller.tell(Event::VipRefused { vip: vip.clone(), why: *errno });
            }
        }
        for address in &news.orphaned {
            teller.tell(Event::Orphaned(*address));
        }
        self.moved |= news.standing != self.news.standing;
    }

    pub(super) fn discard(&mut self, interface: String, from: IpAddr, reason: Discard) {
        // What the router tells of itself is not told twice.
        if self.discards.is_news(from, &reason, now()) && !reason.is_misconfiguration() {
            self.ways.teller.tell(Event::Discarded { interface, from, reason });
        }
    }

    /// How our routers stand, to the other directors.
    fn tell_peers(&mut self, now: Moment) {
        let Some(links) = &mut self.links else { return };
        if self.untold {
            (self.untold, self.retold) = (false, now);
            let own = self.speaker.routers().filter(|(name, _)| !name.ends_with(REPLACED));
            let standings: Vec<Standing> = own.map(standing).collect();
            links.handle_standing(&standings, now);
        } else if self.retold + RETELL <= now {
            self.retold = now;
            links.handle_repeat(now);
        }
        if self.ending == Ending::Restarting {
            links.handle_restart(RESTART, now);
        }
        if let Some(why) = links.poll_failure() {
            self.ways.teller.tell(Event::LinkFailed { why });
        }
    }

    pub(super) fn hear_peer(&mut self, peer: String, said: Said, now: Moment) {
        let teller = &mut self.ways.teller;
        let news = match said {
            Said::Alarm(alarm) => return teller.tell(Event::PeerAlarm { peer, alarm }),
            Said::News(news) => news,
        };
        let names = self.speaker.routers().map(|(name, _)| name.to_owned());
        let names: Vec<String> = names.collect();
        let mut every = |news: PeerNews| {
            names.iter().for_each(|name| self.speaker.handle_peer(&peer, name, news, now));
        };
        match news {
            LinkNews::Up => teller.tell(Event::PeerUp { peer }),
            LinkNews::Standing(standings) => {
                for Standing { router, state, priority } in standings {
                    let news = PeerNews::Present { state, priority };
                    self.speaker.handle_peer(&peer, &router, news, now);
                }
            }
            LinkNews::Resigned(router) => {
                self.speaker.handle_peer(&peer, &router, PeerNews::Resigned, now);
            }
            LinkNews::Said(topic, bytes) => self.words.hear(peer, topic, bytes),
            LinkNews::Restarting(within) => every(PeerNews::Restarting(within)),
            LinkNews::Gone => {
                self.words.forget(&peer);
                every(PeerNews::Gone);
                teller.tell(Event::PeerGone { peer });
            }
            LinkNews::Unknown => {
                self.words.forget(&peer);
                every(PeerNews::Unknown);
                teller.tell(Event::PeerUnknown { peer });
            }
        }
    }

    fn publish(&mut self, now: Moment) {
        if !self.moved && now.since(self.published) < PUBLISH {
            return;
        }
        // Somebody is reading: the next round tries again.
        let Ok(mut status) = self.ways.status.try_lock() else {
            return;
        };
        status.routers = self.speaker.routers().map(|(n, r)| (n.to_owned(), stands(r))).collect();
        status.standing = self.news.standing.iter().cloned().collect();
        status.lateness = self.lateness.clone();
        status.discarded = self.discards.count;
        self.published = now;
        self.moved = false;
    }
}

fn stands(router: &Router) -> RouterStatus {
    let (state, priority) = (router.state(), router.priority());
    RouterStatus { state, priority, holds: router.holds(), active: router.active() }
}

fn standing((name, router): (&str, &Router)) -> Standing {
    let (state, priority) = (router.state(), router.priority());
    Standing { router: name.to_owned(), state, priority }
}

/// One frame. What does not leave is not repeated: more of them follow.
fn announce(announcer: &Announcer, news: &News, vip: &Vip) {
    let Some(port) = news.ports.get(&vip.interface) else {
        return;
    };
    // On a link without neighbours nobody asks.
    let (true, Some(mac)) = (port.arp, port.mac) else {
        return;
    };
    let sent = match vip.address.addr() {
        IpAddr::V4(address) => announcer.send(port.index, &arp::announcement(address, mac)),
        IpAddr::V6(address) => {
            let source = port.link_local.unwrap_or(address);
            let frame = ndisc::announcement(address, mac, source, port.router);
            announcer.send(port.index, &frame)
        }
    };
    sent.ok();
}
