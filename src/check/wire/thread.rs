//! The thread that watches the links: sockets for the machine in [`watch`](super::watch).
//!
//! It asks every ten seconds and hears what its filters let through, which is little. Replies that
//! come by are heard until one shows a fault, and then not before the next round, so that a whole
//! server's traffic through this director costs one packet each round. It turns at least once a
//! second and counts that, so that others see when it no longer does.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::config::WireConfig;
use super::finding::Finding;
use super::flow::{Answering, COUNTED_EVERY, Count, FlowConfig, Flows};
use super::host;
use super::watch::{Output, Watcher};
use crate::clock::Moment;
use crate::frame::filter;
use crate::frame::socket::{Announcer, Listener, Tap};
use crate::frame::tcp::Ip;
use crate::host::ipvs::Client;
use crate::host::post::Slot;
use crate::ipvs::{Connections, DestinationId};
use crate::vrrp::config::Family;
use crate::vrrp::driver::now;

/// Findings on their way: one for each of a thousand servers.
const ROOM: usize = 1024;

/// Packets that are read before time goes on.
const BATCH: usize = 256;

/// More than a look at the headers needs.
const PACKET: usize = 128;

/// The stack; only what was touched is memory.
const STACK: usize = 256 * 1024;

/// The longest sleep: whoever watches the thread wants to see it turn.
const BEAT: Duration = Duration::from_secs(1);

/// The running thread, as the daemon has it. Dropping it ends it.
pub struct Wire {
    orders: Slot<Orders>,
    heart: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Where findings come out.
pub struct Findings(Receiver<Finding>);

impl Findings {
    /// The next one. `None`: the thread is no more.
    pub async fn next(&mut self) -> Option<Finding> {
        self.0.recv().await
    }
}

/// Who answers checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Up {
    /// The addresses: one that the link does not know all the same is not where direct routing can
    /// reach it.
    pub addresses: BTreeSet<IpAddr>,
    /// The masqueraded servers: one of whose replies none come by has another way back.
    pub flows: Answering,
}

#[derive(Default)]
struct Orders {
    configs: Option<(Vec<WireConfig>, Vec<FlowConfig>)>,
    up: Option<Up>,
    end: bool,
    /// What a test has the thread do in between.
    #[cfg(test)]
    plant: Option<Box<dyn FnOnce() + Send>>,
}

impl Wire {
    /// Starts to watch, in the network namespace of the caller.
    pub fn start(configs: Vec<WireConfig>, flows: Vec<FlowConfig>) -> io::Result<(Wire, Findings)> {
        let (orders, heart) = (Slot::new()?, Arc::default());
        let (teller, findings) = mpsc::channel(ROOM);
        let mut thread = Thread::open(orders.clone(), Arc::clone(&heart), configs, teller)?;
        thread.flows.configure(flows);
        let builder = std::thread::Builder::new().name("wire".to_owned()).stack_size(STACK);
        let thread = builder.spawn(move || thread.run())?;
        Ok((Wire { orders, heart, thread }, Findings(findings)))
    }

    /// What is to be watched from now on.
    pub fn configure(&self, configs: Vec<WireConfig>, flows: Vec<FlowConfig>) {
        self.orders.put(|orders| orders.configs = Some((configs, flows)));
    }

    /// Has the thread do something in between, for tests of what becomes of it then.
    #[cfg(test)]
    pub(crate) fn plant(&self, plant: impl FnOnce() + Send + 'static) {
        self.orders.put(|orders| orders.plant = Some(Box::new(plant)));
    }

    /// Who answers checks, all of them.
    pub fn reachable(&self, up: Up) {
        self.orders.put(|orders| orders.up = Some(up));
    }

    /// How many turns the thread has made, at least one a second: what does not move is stuck or
    /// dead.
    pub fn turns(&self) -> u64 {
        self.heart.load(Ordering::Relaxed)
    }

    /// Tells the thread to end, and waits for nothing.
    pub fn end(&self) {
        self.orders.put(|orders| orders.end = true);
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end();
    }
}

struct Thread {
    orders: Slot<Orders>,
    /// Counts the turns.
    heart: Arc<AtomicU64>,
    teller: Sender<Finding>,
    watcher: Watcher,
    flows: Flows,
    /// When the counters are read next.
    counted: Moment,
    answering: Answering,
    announcer: Announcer,
    listeners: Vec<Listener>,
    taps: Vec<(Family, Tap)>,
    /// The VIPs whose replies must not come by.
    direct: Vec<IpAddr>,
}

impl Thread {
    fn open(
        orders: Slot<Orders>,
        heart: Arc<AtomicU64>,
        configs: Vec<WireConfig>,
        teller: Sender<Finding>,
    ) -> io::Result<Self> {
        let mut listeners = vec![Listener::open(Family::Ipv4, &[])?];
        // A host without IPv6 has no VIPs of it.
        listeners.extend(Listener::open(Family::Ipv6, &[]));
        let mut thread = Thread {
            orders,
            heart,
            teller,
            watcher: Watcher::new(Vec::new(), now()),
            flows: Flows::default(),
            counted: now(),
            answering: Answering::new(),
            announcer: Announcer::open()?,
            listeners,
            taps: Vec::new(),
            direct: Vec::new(),
        };
        thread.configure(configs)?;
        Ok(thread)
    }

    fn run(mut self) {
        loop {
            self.heart.fetch_add(1, Ordering::Relaxed);
            self.wait();
            if let Some(orders) = self.orders.take() {
                if orders.end {
                    return;
                }
                #[cfg(test)]
                orders.plant.into_iter().for_each(|plant| plant());
                if let Some((configs, flows)) = orders.configs {
                    // Old filters are only too narrow or too wide.
                    self.configure(configs).ok();
                    self.flows.configure(flows);
                }
                if let Some(up) = orders.up {
                    self.answering = up.flows;
                    self.watcher.handle_up(up.addresses);
                }
            }
            self.hear();
            self.count();
            self.watcher.handle_timeout(now());
            self.follow();
        }
    }

    /// Until something came or time is up.
    fn wait(&self) {
        let counted = (!self.flows.configs().is_empty()).then_some(self.counted);
        let due = self.watcher.poll_timeout().into_iter().chain(counted).min();
        // A millisecond later rather than twice.
        let left = due.map(|due| due.since(now()) + Duration::from_millis(1));
        let left = left.map_or(BEAT, |left| left.min(BEAT));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let taps = self.taps.iter().map(|(_, tap)| tap.as_fd());
        let all = listeners.chain(taps).chain([self.orders.as_fd()]);
        let mut fds: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Interrupted: it looks at everything anyway.
        poll(&mut fds, timeout).ok();
    }

    fn configure(&mut self, configs: Vec<WireConfig>) -> io::Result<()> {
        let hosts = configs.iter().flat_map(|c| c.servers.iter().chain(&c.directors));
        let hosts = hosts.map(|(_, address)| *address);
        let all: BTreeSet<IpAddr> = hosts.chain(configs.iter().map(|c| c.vip)).collect();
        let all: Vec<IpAddr> = all.into_iter().collect();
        let direct: BTreeSet<IpAddr> = configs.iter().filter(|c| c.direct).map(|c| c.vip).collect();
        self.direct = direct.into_iter().collect();
        self.watcher.configure(configs, now());
        for listener in &self.listeners {
            listener.follow(&all)?;
        }
        self.open_taps()?;
        self.listen_to_returns()
    }

    /// One for each family that has VIPs of direct routing: where there are none, no packet of
    /// this host is to be looked at.
    fn open_taps(&mut self) -> io::Result<()> {
        for family in [Family::Ipv4, Family::Ipv6] {
            let is_wanted = self.direct.iter().any(|vip| Family::of(*vip) == family);
            let is_open = self.taps.iter().any(|(open, _)| *open == family);
            match (is_wanted, is_open) {
                (true, false) => self.taps.push((family, Tap::open(family, &filter::nothing())?)),
                (false, true) => self.taps.retain(|(open, _)| *open != family),
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    fn listen_to_returns(&self) -> io::Result<()> {
        let mut taps = self.taps.iter();
        taps.try_for_each(|(family, tap)| tap.follow(&filter::returns(*family, &self.direct)))
    }

    /// Takes what came in.
    fn hear(&mut self) {
        for listener in &self.listeners {
            for _ in 0..BATCH {
                match listener.receive() {
                    Ok(Some((index, claim))) => self.watcher.handle_claim(index, &claim),
                    Ok(None) | Err(Errno::EINTR) => {}
                    Err(_) => break,
                }
            }
        }
        let mut packet = [0; PACKET];
        for (_, tap) in &self.taps {
            for _ in 0..BATCH {
                let Ok(arrival) = tap.receive(&mut packet) else { break };
                let ip = Ip::of(&packet[..arrival.length]).filter(|_| arrival.for_us);
                let Some((ip, mac)) = ip.zip(arrival.mac) else { continue };
                let (from, to) = (ip.source, ip.destination);
                if self.watcher.handle_return(arrival.index, mac, from, to, now()) {
                    // Until the next round; without it only more is heard.
                    tap.follow(&filter::nothing()).ok();
                }
            }
        }
    }

    /// Looks at what the kernel has counted, when it is time.
    fn count(&mut self) {
        if self.flows.configs().is_empty() || now() < self.counted {
            return;
        }
        self.counted = now() + COUNTED_EVERY;
        // Without a table nothing is sent to anybody.
        let Ok(Some(mut client)) = Client::open_loaded() else { return };
        for config in self.flows.configs().to_vec() {
            let Ok(load) = client.load(config.id) else { continue };
            let count = |(at, (_, has)): (&DestinationId, &(_, Connections))| {
                let count = Count { sent: has.sent, returned: has.returned };
                (SocketAddr::new(at.addr, at.port), count)
            };
            let counts = load.iter().map(count).collect();
            for finding in self.flows.look(config.id, &counts, &self.answering) {
                // What nobody takes is lost: there is nobody to read it.
                drop(self.teller.try_send(finding));
            }
        }
    }

    /// Does what the machine wants.
    fn follow(&mut self) {
        while let Some(output) = self.watcher.poll_output() {
            match output {
                Output::Look => {
                    // Without interfaces nothing is asked, and the next round looks again.
                    self.watcher.handle_ports(host::ports().unwrap_or_default(), now());
                    self.listen_to_returns().ok();
                }
                // A link that is down has no answers either, which proves nothing.
                Output::Frame(index, frame) => drop(self.announcer.send(index, &frame)),
                // What nobody takes is lost: there is nobody to read it.
                Output::Tell(finding) => drop(self.teller.try_send(finding)),
            }
        }
    }
}
