//! What happens in a run: which hosts there are, what they are told, and what befalls them when.
//!
//! A scenario is data. It prints as text that a person can read, and the run of a scenario depends
//! on nothing else. [`Scenario::random`] is in `generate`.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::vrrp::config::{Priority, RouterConfig};

/// A host by its place in [`Scenario::hosts`].
pub type HostId = usize;

/// A virtual router by its place in every [`HostPlan::routers`]: all hosts have the same ones.
pub type RouterId = usize;

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was made from; also where the run's own dice begin.
    pub seed: u64,
    /// Two to five.
    pub hosts: Vec<HostPlan>,
    /// What the network does all the time; it loses nothing.
    pub weather: Weather,
    /// Whether each pair of directors keeps a connection.
    pub linked: bool,
    /// What befalls them, in order of time.
    pub events: Vec<(Duration, Event)>,
    /// When the run ends.
    pub length: Duration,
}

/// A host and what it is told.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Its name.
    pub name: String,
    /// Its address on the segment.
    pub address: IpAddr,
    /// Its virtual routers.
    pub routers: Vec<RouterConfig>,
}

/// What the network does to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Of a thousand packets so many are lost.
    pub lost: u32,
    /// And so many come twice.
    pub doubled: u32,
    /// The least time on the way.
    pub delay: Duration,
    /// Up to that much more, for each packet anew.
    pub jitter: Duration,
    /// Whether packets of one host overtake each other.
    pub reorders: bool,
}

/// Something that befalls a host or the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The process starts, and knows nothing; the host is switched on if it was off.
    Start(HostId),
    /// The process is killed. Its VIPs stay until their lease is over.
    Kill(HostId),
    /// The host is off, and its VIPs are gone.
    PowerOff(HostId),
    /// The process is stopped (SIGSTOP) for a while; packets wait in its sockets.
    Stall(HostId, Duration),
    /// The machine is stopped (a paused guest) for a while; its clock stops with it.
    Freeze(HostId, Duration),
    /// The service restarts as planned, and the process is away for so long.
    Restart(HostId, Duration),
    /// The process leaves for good: `converge release`.
    Release(HostId),
    /// A tracked thing of that router fails, or is well again.
    Fault(HostId, RouterId, bool),
    /// The host's cable is pulled, or put in again.
    Unplug(HostId, bool),
    /// Tracking changes the router's priority by so much.
    Weigh(HostId, RouterId, i16),
    /// Nothing comes from the first host to the second.
    Cut(HostId, HostId),
    /// Something filters the advertisements from the first host to the second, and nothing else.
    Filter(HostId, HostId),
    /// The hosts that are marked reach each other only, as do the others.
    Partition(Vec<bool>),
    /// All cuts are healed and all filters gone; cables stay as they are.
    Heal,
    /// From now on the network does this.
    Weather(Weather),
    /// Packets that mean nothing come for that router to all hosts: how many, how far apart.
    Junk(Junk, RouterId, u16, Duration),
    /// A router of another make advertises itself with that priority, so often, so far apart.
    Stranger(RouterId, u8, u16, Duration),
    /// A reload gives the router another priority, or the same.
    Reload(HostId, RouterId, Priority),
    /// Somebody else deletes the router's VIPs on that host.
    LoseVips(HostId, RouterId),
}

/// Packets that no router may heed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// Bytes.
    Noise,
    /// An advertisement of another version.
    Version,
    /// A checksum that is not one.
    Checksum,
    /// The end is missing.
    Short,
    /// A TTL that says that it was routed; an unknown sender where unicast is spoken.
    Foreign,
    /// Another password, or one where none is used.
    Password,
    /// An interval that is none, or in v2 another one.
    Interval,
    /// Another virtual router.
    Vrid,
    /// The receiver's own address as the sender.
    Own,
}

impl Junk {
    /// All of them.
    pub const ALL: [Junk; 9] = [
        Junk::Noise,
        Junk::Version,
        Junk::Checksum,
        Junk::Short,
        Junk::Foreign,
        Junk::Password,
        Junk::Interval,
        Junk::Vrid,
        Junk::Own,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}, linked: {}", self.seed, self.length, self.linked)?;
        writeln!(f, "network: {}", self.weather)?;
        for (id, host) in self.hosts.iter().enumerate() {
            writeln!(f, "host {id} {}", host.address)?;
            for router in &host.routers {
                writeln!(f, "  {}", Summary(router))?;
            }
        }
        for (at, event) in &self.events {
            writeln!(f, "at {:10.6} s  {event:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weather { lost, doubled, delay, jitter, reorders } = self;
        write!(f, "{lost}/1000 lost, {doubled}/1000 doubled, {delay:?} + {jitter:?}")?;
        write!(f, ", reorders: {reorders}")
    }
}

/// What of a router's configuration matters to a run.
struct Summary<'a>(&'a RouterConfig);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RouterConfig { name, vrid, version, transport, priority, interval, .. } = self.0;
        write!(f, "{name} vrid {vrid} {version:?} {transport:?} priority {priority} every ")?;
        write!(f, "{:?} preempt {:?}", interval.get(), self.0.preempt)?;
        if !self.0.start_delay.is_zero() {
            write!(f, " start delay {:?}", self.0.start_delay)?;
        }
        if let Some(group) = &self.0.sync_group {
            write!(f, " group {group}")?;
        }
        Ok(())
    }
}
