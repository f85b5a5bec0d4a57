//! A host of a run: its process, its kernel and its clock.
//!
//! The process is a [`Speaker`] and a driver that follows it: it reads all that waits, then tells
//! the time, then does what the machine asks. The kernel holds VIPs until their lease is over,
//! whether or not the process lives. The clock differs from every other host's and stands still
//! while the machine does.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::bug::Bug;
use super::scenario::{HostId, HostPlan, Junk, RouterId};
use crate::clock::Moment;
use crate::vrrp::config::{RouterConfig, Version};
use crate::vrrp::packet::Envelope;
use crate::vrrp::router::{Condition, PeerNews, Start, State};
use crate::vrrp::speaker::Speaker;

/// What waits in a stopped process's sockets: as many packets of this size as Linux's default
/// receive buffer of 208 KiB takes.
const SOCKET_HOLDS: usize = 256;

/// What waits at a stopped machine's network card.
const CARD_HOLDS: usize = 16;

/// The least lease of a VIP, and how much longer than the dead time it is.
const LEAST_LEASE: Duration = Duration::from_secs(4);
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// A lease is refreshed at the latest after this: what is left of it when a process stops must
/// still be longer than the dead time.
const REFRESH: Duration = Duration::from_secs(1);

/// Something that comes to a process.
#[derive(Clone, Debug)]
pub enum Input {
    /// A packet on the wire, and what kind of junk it is, if it is.
    Packet { bytes: Vec<u8>, envelope: Envelope, junk: Option<Junk> },
    /// Another host says that this address is its own.
    Claim { address: IpAddr },
    /// The link to another director has this to say about one of its routers.
    News { peer: HostId, router: RouterId, news: PeerNews },
    /// Tracking has looked again.
    Condition { router: RouterId },
    /// The files were read again.
    Config,
    /// Somebody deleted a VIP of this router, and it has been put back.
    LostVip { router: RouterId },
}

/// How a host stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The process is stopped; kernel and clock go on.
    Process,
    /// The whole machine is.
    Machine,
}

/// A host.
pub struct Host {
    /// Its name in the cluster file.
    pub name: String,
    /// Its address on the segment.
    pub address: IpAddr,
    /// Its routers as the files say at present.
    pub routers: Vec<RouterConfig>,
    /// What tracking finds at present.
    pub conditions: Vec<Condition>,
    /// The process, if it runs.
    pub process: Option<Speaker>,
    /// Whether the host is on.
    pub powered: bool,
    /// Whether it stands still.
    pub halt: Option<Halt>,
    /// Since when it does.
    pub halted: Moment,
    /// Whether it was told to leave for good.
    pub released: bool,
    /// The VIPs that its kernel has, until when.
    pub kernel: BTreeMap<IpAddr, Moment>,
    /// When the leases are refreshed next.
    pub refresh: Moment,
    /// How late the process is woken.
    pub late: Duration,
    /// What waits for the process.
    pub inbox: VecDeque<Input>,
    /// Nanoseconds by which a planted bug moves the process's clock.
    pub shift: i64,
    lead: Duration,
    lag: Duration,
}

impl Host {
    /// A host that is off.
    pub fn new(plan: &HostPlan, lead: Duration) -> Self {
        Host {
            name: plan.name.clone(),
            address: plan.address,
            routers: plan.routers.clone(),
            conditions: vec![Condition::default(); plan.routers.len()],
            process: None,
            powered: false,
            halt: None,
            halted: Moment::ZERO,
            released: false,
            kernel: BTreeMap::new(),
            refresh: Moment::ZERO,
            late: Duration::ZERO,
            inbox: VecDeque::new(),
            shift: 0,
            lead,
            lag: Duration::ZERO,
        }
    }

    /// What the host's clock says when it is that late in the run.
    pub fn clock(&self, now: Moment) -> Moment {
        now + self.lead - self.lag
    }

    /// When in the run the host's clock says that.
    pub fn in_run(&self, clock: Moment) -> Moment {
        clock + self.lag - self.lead
    }

    /// What the process takes for the time.
    pub fn process_clock(&self, now: Moment) -> Moment {
        shifted(self.clock(now), self.shift)
    }

    /// The machine stood still for that long.
    pub fn stood_still(&mut self, span: Duration) {
        self.lag += span;
    }

    /// Whether the process runs and is not stopped.
    pub fn is_awake(&self) -> bool {
        self.powered && self.process.is_some() && self.halt.is_none()
    }

    /// Whether the kernel answers for its addresses.
    pub fn answers(&self) -> bool {
        self.powered && self.halt != Some(Halt::Machine)
    }

    /// The state and the effective priority of a router; `None` while no process runs.
    pub fn standing(&self, router: RouterId) -> Option<(State, u8)> {
        let name = &self.routers[router].name;
        let router = self.process.as_ref()?.router(name)?;
        Some((router.state(), router.priority()))
    }

    /// Whether the router is Active in a process that runs and is not stopped.
    pub fn is_active(&self, router: RouterId) -> bool {
        self.is_awake() && self.standing(router).is_some_and(|(state, _)| state == State::Active)
    }

    /// Whether nothing speaks against the router becoming Active.
    pub fn may_be_active(&self, router: RouterId) -> bool {
        self.is_awake() && !self.released && self.group(router).all(|r| self.is_well(r))
    }

    fn is_well(&self, router: RouterId) -> bool {
        let condition = &self.conditions[router];
        condition.faults.is_empty() && !condition.unreachable
    }

    /// The routers that become and cease to be Active with this one, itself among them.
    pub fn group(&self, router: RouterId) -> impl Iterator<Item = RouterId> + '_ {
        let own = &self.routers[router].sync_group;
        let member = move |r: &RouterId| {
            *r == router || (own.is_some() && self.routers[*r].sync_group == *own)
        };
        (0..self.routers.len()).filter(member)
    }

    /// The router's VIPs.
    pub fn vips(&self, router: RouterId) -> impl Iterator<Item = IpAddr> + '_ {
        self.routers[router].vips.iter().map(|vip| vip.address.addr())
    }

    /// The router that has this VIP.
    pub fn router_of(&self, vip: IpAddr) -> Option<RouterId> {
        (0..self.routers.len()).find(|router| self.vips(*router).any(|own| own == vip))
    }

    /// The router of that name.
    pub fn router_named(&self, name: &str) -> Option<RouterId> {
        self.routers.iter().position(|router| router.name == name)
    }

    /// Starts the process.
    pub fn start(&mut self, starts: &[Start], bug: Option<Bug>, now: Moment) {
        let configs = self.told(bug);
        self.powered = true;
        self.inbox.clear();
        let names = self.routers.iter().map(|router| router.name.clone());
        let starts: BTreeMap<String, Start> = names.zip(starts.iter().copied()).collect();
        self.process = Some(Speaker::new(configs, &starts, self.process_clock(now)));
        self.refresh = self.clock(now);
        let all = 0..self.routers.len();
        self.inbox.extend(all.map(|router| Input::Condition { router }));
    }

    /// What the process is told that its routers are.
    pub fn told(&self, bug: Option<Bug>) -> Vec<RouterConfig> {
        let told = |router: &RouterConfig| match bug {
            Some(bug) => bug.configure(router.clone()),
            None => router.clone(),
        };
        self.routers.iter().map(told).collect()
    }

    /// Ends the process; the kernel keeps what it has.
    pub fn end_process(&mut self) {
        self.process = None;
        self.halt = None;
        self.inbox.clear();
    }

    /// Puts something into the sockets. Lost when nobody has one open, or when they are full.
    pub fn receive(&mut self, input: Input) {
        let room = match self.halt {
            None => usize::MAX,
            Some(Halt::Process) => SOCKET_HOLDS,
            Some(Halt::Machine) => CARD_HOLDS,
        };
        let is_packet = matches!(input, Input::Packet { .. } | Input::Claim { .. });
        let fits = !is_packet || self.inbox.len() < room;
        if self.powered && self.process.is_some() && fits {
            self.inbox.push_back(input);
        }
    }

    /// When in the run the process or the kernel has something to do.
    pub fn wakes(&self) -> Option<Moment> {
        if !self.answers() {
            return None;
        }
        let expiry = self.kernel.values().min().map(|clock| self.in_run(*clock));
        if !self.is_awake() {
            return expiry;
        }
        let deadline = self.process.as_ref().and_then(Speaker::poll_timeout);
        let deadline = deadline.map(|at| self.in_run(shifted(at, -self.shift)) + self.late);
        let refresh = (!self.kernel.is_empty()).then(|| self.in_run(self.refresh));
        [expiry, deadline, refresh].into_iter().flatten().min()
    }

    /// Takes away the VIPs whose lease is over.
    pub fn expire(&mut self, now: Moment) {
        let clock = self.clock(now);
        self.kernel.retain(|_, until| *until > clock);
    }

    /// Makes the kernel's VIPs the wanted ones, and refreshes the leases that are due.
    pub fn follow(&mut self, wanted: &[IpAddr], bug: Option<Bug>, now: Moment) {
        let clock = self.clock(now);
        let refresh = self.refresh <= clock;
        if !bug.is_some_and(Bug::keeps_vips) {
            self.kernel.retain(|vip, _| wanted.contains(vip));
        }
        let leases = (0..self.routers.len()).map(|router| lease(&self.routers[router], bug));
        let leases: Vec<Duration> = leases.collect();
        for vip in wanted {
            let Some(router) = self.router_of(*vip) else { continue };
            if refresh || !self.kernel.contains_key(vip) {
                self.kernel.insert(*vip, clock + leases[router]);
            }
        }
        if refresh {
            let least = leases.into_iter().min().unwrap_or(LEAST_LEASE);
            self.refresh = clock + (least / 3).min(REFRESH);
        }
    }
}

/// How long the kernel keeps a VIP of that router after the process last refreshed it.
pub fn lease(router: &RouterConfig, bug: Option<Bug>) -> Duration {
    let span = (router.interval.get() * 4 + LEASE_MARGIN).max(LEAST_LEASE);
    let lease = Duration::from_secs(span.as_secs() + u64::from(span.subsec_nanos() > 0));
    bug.map_or(lease, |bug| bug.lease(lease))
}

/// The longest time after which a Backup takes the router for dead (RFC 9568 6.1).
pub fn dead_time(router: &RouterConfig) -> Duration {
    let skew = skew(router.version, 1, router.interval.get());
    router.interval.get() * 3 + skew
}

/// Skew_Time of that priority (RFC 3768 6.1: of a second; RFC 9568 6.1: of the interval).
pub fn skew(version: Version, priority: u8, interval: Duration) -> Duration {
    let whole = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    whole * (256 - u32::from(priority)) / 256
}

fn shifted(clock: Moment, by: i64) -> Moment {
    let span = Duration::from_nanos(by.unsigned_abs());
    if by < 0 { clock - span } else { clock + span }
}
