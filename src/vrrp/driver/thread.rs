//! The thread that speaks VRRP: everything that came is taken in, then time passes, then what the
//! machines want is done, then it sleeps.
//!
//! After a pause, whatever its cause, the sockets are read empty before any timer is looked at: a
//! router that was asleep hears who took over before it could say that it is still there.

mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::addresses::{Addresses, News, Order, Port};
use super::clock::now;
use super::events::{Event, Teller};
use super::fitness;
use super::holding::{Holding, interfaces};
use super::lateness::Lateness;
use super::links::{Door, LinkSettings, Links, Said};
use super::listening::Listening;
use super::realtime;
use super::sockets::Sockets;
use super::status::Status;
use super::words::Words;
use super::{Settings, starts};
use crate::clock::Moment;
use crate::frame::claim::How;
use crate::frame::socket::Announcer;
use crate::host::post::{Mail, Reader, Slot, Writer};
use crate::vrrp::config::{Family, RouterConfig, Transport, Vip};
use crate::vrrp::link::{News as LinkNews, Topic};
use crate::vrrp::packet::{Expect, MOST_BYTES, parse};
use crate::vrrp::router::{Condition, Start, TOLD_EVERY};
use crate::vrrp::speaker::Speaker;
use output::Discards;

/// The longest sleep: the beat that the watchdog wants to hear.
const BEAT: Duration = Duration::from_secs(1);

/// How often the other directors are told which routers are Active.
const RETELL: Duration = TOLD_EVERY;

/// A timer that is later than this was not only late to be called: packets may have come since the
/// sockets were read.
const LATE: Duration = Duration::from_millis(1);

/// Packets read from one socket in a row. More do not fit in its buffer at a time.
const READS: usize = 8192;

/// How long the end waits for the addresses to be as the last letter says.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the daemon wants.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) routers: Option<Vec<RouterConfig>>,
    pub(super) conditions: BTreeMap<String, Condition>,
    pub(super) link: Option<Option<LinkSettings>>,
    pub(super) tell: BTreeMap<Topic, Vec<u8>>,
    pub(super) release: bool,
    pub(super) restart: bool,
}

/// The ways to and from the others.
pub(super) struct Ways {
    pub(super) orders: Slot<Orders>,
    pub(super) to_addresses: Writer<Order>,
    pub(super) from_addresses: Reader<News>,
    pub(super) teller: Teller,
    pub(super) beat: Arc<AtomicU64>,
    pub(super) status: Arc<Mutex<Status>>,
}

/// Something came in there.
#[derive(Clone, Copy)]
enum Ready {
    Orders,
    News,
    Packets(usize),
    Claims(usize),
    Link(Door),
}

/// The end, as far as it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// None is wanted.
    No,
    /// The routers leave; when all are gone, so are we.
    Releasing,
    /// The next process takes the routers over as they are.
    Restarting,
    /// The other thread has died; the routers resign, and that is all.
    Crippled,
    /// The last letter is on its way, and is waited for until that moment.
    Last(u64, Moment),
}

/// The thread's own.
pub(super) struct Thread {
    ways: Ways,
    speaker: Speaker,
    /// The routers as they were ordered.
    ordered: Vec<RouterConfig>,
    /// The same with the addresses that the interfaces have.
    resolved: Vec<RouterConfig>,
    /// What tracking says, and what the machines were told.
    tracked: BTreeMap<String, Condition>,
    told: BTreeMap<String, Condition>,
    news: News,
    /// There are interfaces of which a letter of that number will be the first to tell.
    blind: Option<u64>,
    /// VIPs that the kernel did not take, why, and until when that counts.
    refused: BTreeMap<Vip, (String, Moment)>,
    sockets: Sockets,
    announcer: Announcer,
    listening: Listening,
    links: Option<Links>,
    words: Words,
    holding: Holding,
    lateness: Lateness,
    discards: Discards,
    /// Routers whose advertisements do not leave.
    speechless: BTreeMap<String, Errno>,
    put_back: BTreeMap<Vip, Moment>,
    /// The other directors do not know yet how the routers stand, or the status does not.
    untold: bool,
    moved: bool,
    /// When they were last told.
    retold: Moment,
    published: Moment,
    ending: Ending,
    /// The VIPs are left to the next process.
    restarts: bool,
    buffer: Vec<u8>,
}

impl Thread {
    pub(super) fn new(
        settings: Settings,
        routers: Vec<(RouterConfig, Start)>,
        addresses: &Addresses,
        ways: Ways,
    ) -> io::Result<Self> {
        let (now, starts) = (now(), starts(&routers));
        let ordered: Vec<RouterConfig> = routers.into_iter().map(|(config, _)| config).collect();
        let ports = addresses.ports(&ordered.iter().flat_map(interfaces).collect());
        let resolve = |config| fitness::resolved(config, &ports);
        let resolved: Vec<RouterConfig> = ordered.iter().map(resolve).collect();
        let links = settings.link.map(|link| Links::open(link, now)).transpose()?;
        let mut thread = Thread {
            ways,
            speaker: Speaker::new(resolved.clone(), &starts, now),
            ordered,
            resolved,
            tracked: BTreeMap::new(),
            told: BTreeMap::new(),
            news: News { ports, ..News::default() },
            blind: None,
            refused: BTreeMap::new(),
            sockets: Sockets::default(),
            announcer: Announcer::open()?,
            listening: Listening::default(),
            links,
            words: Words::default(),
            holding: Holding::default(),
            lateness: Lateness::default(),
            discards: Discards::default(),
            speechless: BTreeMap::new(),
            put_back: BTreeMap::new(),
            untold: true,
            moved: true,
            retold: now,
            published: now,
            ending: Ending::No,
            restarts: false,
            buffer: vec![0; MOST_BYTES + 60],
        };
        thread.look_around(now);
        Ok(thread)
    }

    /// Speaks until it is told to end.
    pub(super) fn run(mut self) {
        for refused in
            [realtime::lock_memory(), realtime::schedule()].into_iter().filter_map(Result::err)
        {
            self.ways.teller.tell(Event::Realtime(refused));
        }
        self.take_orders();
        self.pass_time();
        self.settle();
        while !self.is_over() {
            let ready = self.sleep();
            self.ways.beat.fetch_add(1, Ordering::Relaxed);
            ready.into_iter().for_each(|ready| self.take_in(ready));
            self.pass_time();
            self.settle();
        }
        // The other directors see the connections close, and the port refuse.
        drop(self.links.take());
        if self.ending != Ending::Crippled {
            self.ways.teller.tell(Event::Stopped);
        }
    }

    /// Waits for something to come in or to be due.
    fn sleep(&self) -> Vec<Ready> {
        let mut ready = vec![Ready::Orders, Ready::News];
        let (pollin, orders) = (PollFlags::POLLIN, self.ways.orders.as_fd());
        let mut fds = vec![
            PollFd::new(orders, pollin),
            PollFd::new(self.ways.from_addresses.as_fd(), pollin),
        ];
        for (number, fd) in self.sockets.fds().enumerate() {
            ready.push(Ready::Packets(number));
            fds.push(PollFd::new(fd, pollin));
        }
        for (number, fd) in self.listening.fds().enumerate() {
            ready.push(Ready::Claims(number));
            fds.push(PollFd::new(fd, pollin));
        }
        for (door, fd, flags) in self.links.iter().flat_map(Links::doors) {
            ready.push(Ready::Link(door));
            fds.push(PollFd::new(fd, flags));
        }
        let now = now();
        let until = self.deadline().map_or(now + BEAT, |at| at.min(now + BEAT));
        // A signal is no reason to do anything else than to look.
        let found = ppoll(&mut fds, Some(TimeSpec::from_duration(until.since(now))), None);
        if !found.is_ok_and(|found| found > 0) {
            return Vec::new();
        }
        let some = fds.iter().map(|fd| fd.any() != Some(false));
        ready.into_iter().zip(some).filter_map(|(ready, some)| some.then_some(ready)).collect()
    }

    /// When something is due.
    fn deadline(&self) -> Option<Moment> {
        let links = self.links.as_ref().and_then(Links::poll_timeout);
        let refused = self.refused.values().map(|(_, until)| *until).min();
        let end = match self.ending {
            Ending::Last(_, until) => Some(until),
            Ending::No | Ending::Releasing | Ending::Restarting | Ending::Crippled => None,
        };
        let retell = self.links.as_ref().map(|_| self.retold + RETELL);
        let sockets = self.sockets.poll_timeout();
        let times = [self.speaker.poll_timeout(), links, refused, end, sockets, retell];
        times.into_iter().flatten().chain([self.holding.poll_timeout()]).min()
    }

    fn take_in(&mut self, ready: Ready) {
        match ready {
            Ready::Orders => self.take_orders(),
            Ready::News => self.take_news(),
            Ready::Packets(number) => self.take_packets(number),
            Ready::Claims(number) => self.take_claims(number),
            Ready::Link(door) => {
                if let Some(links) = &mut self.links {
                    links.handle_door(door, now());
                }
            }
        }
    }

    fn take_orders(&mut self) {
        let Some(orders) = self.ways.orders.take() else {
            return;
        };
        let now = now();
        self.tracked.extend(orders.conditions);
        if let Some(routers) = orders.routers {
            let names: BTreeSet<&str> = routers.iter().map(|c| c.name.as_str()).collect();
            self.tracked.retain(|name, _| names.contains(name.as_str()));
            let seen = self.ordered.iter().flat_map(interfaces).collect::<BTreeSet<_>>();
            if !routers.iter().flat_map(interfaces).all(|interface| seen.contains(&interface)) {
                self.blind = Some(self.holding.generation() + 1);
            }
            self.ordered = routers;
            self.holding.hurry();
        }
        self.look_around(now);
        if let Some(link) = orders.link {
            self.link_anew(link, now);
        }
        self.words.keep(orders.tell);
        self.words.give(self.links.as_mut(), now);
        if orders.release && self.ending == Ending::No {
            self.ending = Ending::Releasing;
            self.speaker.handle_release(now);
        }
        if orders.restart && self.ending == Ending::No {
            (self.ending, self.restarts) = (Ending::Restarting, true);
            self.speaker.handle_restart(now);
        }
    }

    /// What was known of peers that there is no connection with any more is forgotten.
    fn link_anew(&mut self, link: Option<LinkSettings>, now: Moment) {
        let lost = match (&mut self.links, link) {
            (Some(links), Some(link)) => links.handle_settings(link, now),
            (Some(links), None) => {
                let lost = links.peers();
                self.links = None;
                lost
            }
            (None, Some(link)) => {
                match Links::open(link, now) {
                    Ok(links) => self.links = Some(links),
                    Err(_) => self.ways.teller.tell(Event::LinkFailed { why: Errno::EIO }),
                }
                Vec::new()
            }
            (None, None) => Vec::new(),
        };
        self.untold = true;
        for peer in lost {
            self.hear_peer(peer, Said::News(LinkNews::Unknown), now);
        }
    }

    fn take_news(&mut self) {
        let now = now();
        let Mail::Letters(letters) = self.ways.from_addresses.drain() else {
            // The other thread has died: leases will end, so somebody else should be Active.
            self.ending = Ending::Crippled;
            return self.speaker.handle_release(now);
        };
        let mut differs = self.blind.is_some();
        for letter in letters {
            self.hear_of_vips(&letter, now);
            differs |= letter.ports != self.news.ports || !letter.refused.is_empty();
            self.news = letter;
        }
        self.announce_ready();
        if differs {
            self.look_around(now);
        }
    }

    /// Has everything follow the interfaces and the configuration.
    fn look_around(&mut self, now: Moment) {
        self.blind = self.blind.filter(|generation| self.news.generation < *generation);
        if self.blind.is_none() {
            self.resolve(now);
        }
        let configs = self.speaker.routers().map(|(_, router)| router.config());
        for ((interface, family), why) in self.sockets.follow(configs, &self.news.ports, now) {
            self.ways.teller.tell(Event::SocketFailed { interface, family, why });
        }
        let vips = self.resolved.iter().flat_map(|config| &config.vips);
        if let Err(e) = self.listening.follow(vips.map(|vip| vip.address.addr()).collect()) {
            let (interface, family, why) = ("packets".to_owned(), Family::Ipv4, e.to_string());
            self.ways.teller.tell(Event::SocketFailed { interface, family, why });
        }
        self.tell_conditions(now);
    }

    /// The configuration as it is ordered, with the addresses that there are.
    fn resolve(&mut self, now: Moment) {
        let ports = &self.news.ports;
        let resolve = |config| fitness::resolved(config, ports);
        let resolved: Vec<RouterConfig> = self.ordered.iter().map(resolve).collect();
        if resolved != self.resolved {
            self.resolved.clone_from(&resolved);
            self.speaker.handle_config(resolved, now);
            (self.untold, self.moved) = (true, true);
            self.holding.hurry();
        }
    }

    fn tell_conditions(&mut self, now: Moment) {
        self.refused.retain(|_, (_, until)| *until > now);
        let refused = self.refused.iter().map(|(vip, (why, _))| (vip.clone(), why.clone()));
        let refused: BTreeMap<Vip, String> = refused.collect();
        let mut told = BTreeMap::new();
        for config in &self.resolved {
            let deaf = self.sockets.failure(&(config.interface.clone(), config.family));
            let tracked = self.tracked.get(&config.name);
            let condition = fitness::condition(config, tracked, &self.news.ports, deaf, &refused);
            if self.told.get(&config.name) != Some(&condition) {
                self.speaker.handle_condition(&config.name, condition.clone(), now);
                (self.untold, self.moved) = (true, true);
            }
            told.insert(config.name.clone(), condition);
        }
        self.told = told;
    }

    fn take_packets(&mut self, number: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..READS {
            match self.sockets.receive(number, &mut buffer) {
                Ok(Some((interface, packet))) => {
                    let expect = expect(&self.resolved, interface, &packet);
                    let (envelope, interface) = (packet.envelope, interface.to_owned());
                    let received = parse(packet.payload, &envelope, &expect);
                    let heeded = received.and_then(|received| {
                        self.speaker.handle_packet(&interface, &received, &envelope, now())
                    });
                    if let Err(reason) = heeded {
                        self.discard(interface, envelope.source, reason);
                    }
                }
                Ok(None) | Err(Errno::EINTR) => {}
                // Empty; or the interface is gone, of which the other thread hears, too.
                Err(_) => break,
            }
        }
        self.buffer = buffer;
    }

    fn take_claims(&mut self, number: usize) {
        for _ in 0..READS {
            match self.listening.receive(number) {
                Ok(Some((index, claim))) => {
                    let ports = &self.news.ports;
                    let ours = |port: &Port| port.mac == Some(claim.mac);
                    let there = |vip: &Vip| {
                        let port = ports.get(&vip.interface);
                        vip.address.addr() == claim.address
                            && port.is_some_and(|p| p.index == index)
                    };
                    let mut vips = self.resolved.iter().flat_map(|config| &config.vips);
                    if ports.values().any(ours) || !vips.any(there) {
                        continue;
                    }
                    match claim.how {
                        How::Announced => self.speaker.handle_claim(claim.address, now()),
                        How::Asking => self.speaker.handle_use(claim.address, now()),
                        // It answers whoever on this host asked, as the watch over real servers
                        // does; nobody else was led astray, and no director speaks so.
                        How::Answering => {}
                    }
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// What is due happens, after everything that came before it has been heard.
    fn pass_time(&mut self) {
        let at = now();
        if let Some(due) = self.speaker.poll_timeout().filter(|due| *due <= at) {
            let late = at.since(due);
            self.lateness.record(late);
            if late > LATE {
                self.take_news();
                (0..self.sockets.fds().count()).for_each(|number| self.take_packets(number));
                (0..self.listening.fds().count()).for_each(|number| self.take_claims(number));
            }
            self.speaker.handle_timeout(now());
        }
        if let Some(links) = &mut self.links {
            links.handle_timeout(at);
        }
        if self.refused.values().any(|(_, until)| *until <= at)
            || self.sockets.poll_timeout().is_some_and(|again| again <= at)
        {
            self.look_around(at);
        }
    }

    fn is_over(&mut self) -> bool {
        let now = now();
        match self.ending {
            Ending::No => false,
            Ending::Crippled => true,
            Ending::Releasing if !self.speaker.is_done() => false,
            Ending::Releasing | Ending::Restarting => {
                self.send_order(now);
                self.ending = Ending::Last(self.holding.generation(), now + FAREWELL);
                false
            }
            Ending::Last(generation, until) => self.news.generation >= generation || until <= now,
        }
    }
}

/// What a packet must be like, by the router that it is for.
fn expect(routers: &[RouterConfig], interface: &str, packet: &super::socket::Packet<'_>) -> Expect {
    let (vrid, family) = (packet.payload.get(1), Family::of(packet.envelope.source));
    let is_for = |config: &&RouterConfig| {
        config.interface == interface && config.family == family && Some(&config.vrid.get()) == vrid
    };
    let transport = routers.iter().find(is_for).map(|config| config.transport);
    Expect { multicast: transport != Some(Transport::Unicast) }
}
