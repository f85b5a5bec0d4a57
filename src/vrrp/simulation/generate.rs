//! Scenarios made of a seed.
//!
//! They are meant to be what a cluster can be told and what can befall it, with the rare things
//! made common: equal priorities, priorities side by side, different intervals, two things at
//! once. What lint refuses in a configuration is not made here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use ipnet::IpNet;

use super::judge::settling_time;
use super::random::Random;
use super::scenario::{Event, HostId, HostPlan, Junk, RouterId, Scenario, Weather};
use crate::vrrp::config::{
    Announcing, Checksum, Family, Interval, OWNER, Peer, Preempt, Priority, RouterConfig,
    Transport, Version, Vip,
};

/// What all hosts agree on about one router.
struct Common {
    version: Version,
    family: Family,
    transport: Transport,
    checksum: Checksum,
    password: Option<[u8; 8]>,
    start_delay: Duration,
    intervals: Vec<Interval>,
    preempts: Vec<Preempt>,
    grouped: bool,
}

impl Scenario {
    /// The scenario of that seed.
    pub fn random(seed: u64) -> Scenario {
        let mut random = Random::new(seed);
        let count = random.pick(&[2, 2, 2, 3, 3, 3, 4, 5]);
        let common = common(count, &mut random);
        let hosts = hosts(count, &common, &mut random);
        let shortest = common.intervals.iter().map(|interval| interval.get()).min();
        let calm = calm(shortest.unwrap_or_default(), &mut random);
        let mut scenario = Scenario {
            seed,
            hosts,
            weather: calm,
            linked: random.chance(750),
            events: Vec::new(),
            length: Duration::ZERO,
        };
        let faults = random.pick(&[1, 1, 2, 2, 3, 4, 6]);
        let planned: Vec<Vec<(Duration, Event)>> =
            (0..faults).map(|_| fault(&scenario, &common, &mut random)).collect();
        starts(&mut scenario, &mut random);
        // The settling time depends on the events, so they go in before they have their time.
        scenario.events.extend(planned.iter().flatten().cloned());
        let settling = settling_time(&scenario);
        scenario.events.truncate(count);
        place(&mut scenario, planned, settling, &mut random);
        scenario
    }
}

fn common(hosts: usize, random: &mut Random) -> Common {
    let family = if random.chance(300) { Family::Ipv6 } else { Family::Ipv4 };
    let old = family == Family::Ipv4 && random.chance(300);
    let version = if old { Version::V2 } else { Version::V3 };
    let transport = random.pick(&[Transport::Unicast, Transport::Multicast]);
    let checksum = random.pick(&[Checksum::PseudoHeader, Checksum::Message]);
    let password = (old && random.chance(500)).then_some(*b"opensesa");
    let every = |random: &mut Random| {
        let ms = match version {
            Version::V2 => random.pick(&[1000, 1000, 2000]),
            Version::V3 => random.pick(&[10, 100, 200, 500, 1000, 1000, 1000, 4000]),
        };
        Interval::new(version, Duration::from_millis(ms)).unwrap_or(Interval::DEFAULT)
    };
    let mixed = version == Version::V3 && random.chance(250);
    let first = every(random);
    let one = |random: &mut Random| {
        let times = if mixed { random.pick(&[1, 2, 5]) } else { 1 };
        Interval::new(version, first.get() * times).unwrap_or(first)
    };
    let intervals: Vec<Interval> = (0..hosts).map(|_| one(random)).collect();
    let preempt = |random: &mut Random| {
        let delay = first.get() * random.pick(&[1, 3, 8]);
        random.pick(&[Preempt::Now, Preempt::Now, Preempt::Never, Preempt::After(delay)])
    };
    let mixed = random.chance(150);
    let same = preempt(random);
    let one = |random: &mut Random| if mixed { preempt(random) } else { same };
    let preempts: Vec<Preempt> = (0..hosts).map(|_| one(random)).collect();
    let start_delay = first.get() * random.pick(&[0, 0, 0, 0, 2]);
    let grouped = random.chance(300);
    Common {
        version,
        family,
        transport,
        checksum,
        password,
        start_delay,
        intervals,
        preempts,
        grouped,
    }
}

fn hosts(count: usize, common: &Common, random: &mut Random) -> Vec<HostPlan> {
    let routers: usize = if common.grouped { 2 } else { random.pick(&[1, 1, 1, 2, 3]) };
    let mut ranks: Vec<Vec<Priority>> = (0..routers).map(|_| priorities(count, random)).collect();
    if common.grouped {
        // A group whose members prefer different hosts can never be content.
        ranks = vec![ranks[0].clone(); routers];
    }
    let mut octets: Vec<u8> = Vec::new();
    while octets.len() < count {
        let octet = 1 + random.byte() % 99;
        if !octets.contains(&octet) {
            octets.push(octet);
        }
    }
    let addresses: Vec<IpAddr> =
        octets.iter().map(|octet| address(common.family, *octet)).collect();
    let plan = |host: HostId| HostPlan {
        name: format!("d{host}"),
        address: addresses[host],
        routers: (0..routers)
            .map(|router| config(common, host, router, &addresses, &ranks[router]))
            .collect(),
    };
    (0..count).map(plan).collect()
}

fn address(family: Family, host: u8) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(192, 0, 2, host).into(),
        Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host)).into(),
    }
}

/// Far apart, side by side, anything, all equal, or with an owner.
fn priorities(count: usize, random: &mut Random) -> Vec<Priority> {
    let hosts = (0u8..).take(count);
    let style = random.below(10);
    let mut all: Vec<u8> = match style {
        0..=3 => hosts.map(|host| 200 - host * 40).collect(),
        4..=5 => hosts.map(|host| 101 - host).collect(),
        6..=7 => hosts.map(|_| 1 + random.byte() % 254).collect(),
        _ => hosts.map(|_| 100).collect(),
    };
    if random.chance(80) {
        all[0] = OWNER.get();
    }
    for i in (1..count).rev() {
        all.swap(i, random.position(i + 1));
    }
    all.into_iter().map(|priority| Priority::new(priority).unwrap_or(Priority::MIN)).collect()
}

fn config(
    common: &Common,
    host: HostId,
    router: RouterId,
    addresses: &[IpAddr],
    priorities: &[Priority],
) -> RouterConfig {
    let peer = |other: HostId| Peer {
        name: format!("d{other}"),
        address: addresses[other],
        priority: priorities[other],
    };
    let number = u8::try_from(router).unwrap_or(u8::MAX);
    let vip = IpNet::new(address(common.family, 200 + number), 24);
    let vip = Vip {
        address: vip.expect("24 bits are a prefix of both families"),
        interface: "eth0".to_owned(),
        label: None,
    };
    RouterConfig {
        name: format!("r{router}"),
        vrid: NonZeroU8::MIN.saturating_add(50 + number),
        family: common.family,
        version: common.version,
        interface: "eth0".to_owned(),
        source: addresses[host],
        transport: common.transport,
        peers: (0..addresses.len()).filter(|other| *other != host).map(peer).collect(),
        priority: priorities[host],
        interval: match common.version {
            // RFC 3768 7.1 discards any other.
            Version::V2 => common.intervals[0],
            Version::V3 => common.intervals[host],
        },
        preempt: common.preempts[host],
        start_delay: common.start_delay,
        checksum: common.checksum,
        password: common.password,
        sync_group: common.grouped.then(|| "all".to_owned()),
        vips: vec![vip],
        announcing: Announcing::default(),
    }
}

/// A network without faults: far faster than the shortest interval.
fn calm(interval: Duration, random: &mut Random) -> Weather {
    let delay = random.between(Duration::from_micros(30), Duration::from_micros(400));
    let most = (interval / 20).min(Duration::from_millis(2));
    let jitter = random.pick(&[Duration::from_micros(20), delay, most]);
    Weather { lost: 0, doubled: random.pick(&[0, 0, 0, 50]), delay, jitter, reorders: false }
}

fn starts(scenario: &mut Scenario, random: &mut Random) {
    let spread = random.pick(&[0, 0, 50, 1000, 5000]);
    for host in 0..scenario.hosts.len() {
        let at = random.between(Duration::ZERO, Duration::from_millis(spread));
        scenario.events.push((at, Event::Start(host)));
    }
    scenario.events.sort_by_key(|(at, _)| *at);
}

/// Something that befalls them, and what ends it, each with the time since it began.
fn fault(scenario: &Scenario, common: &Common, random: &mut Random) -> Vec<(Duration, Event)> {
    let count = scenario.hosts.len();
    let host = random.position(count);
    let router = random.position(scenario.hosts[0].routers.len());
    let unit = common.intervals.iter().map(|interval| interval.get()).max().unwrap_or_default();
    let most = unit * random.pick(&[2, 5, 20]);
    let long = random.between(Duration::ZERO, most);
    let zero = Duration::ZERO;
    let once = |event| vec![(zero, event)];
    let ended = |event, end| vec![(zero, event), (long, end)];
    let often = random.chance(700);
    let back = |event| match often {
        true => vec![(zero, event), (long, Event::Start(host))],
        false => vec![(zero, event)],
    };
    match random.below(23) {
        0 | 1 => back(Event::Kill(host)),
        2 => back(Event::PowerOff(host)),
        3 | 4 => once(Event::Stall(host, long)),
        5 => once(Event::Freeze(host, long)),
        6 | 7 => {
            let least = Duration::from_millis(50);
            once(Event::Restart(host, random.between(least, super::RESTART * 5 / 4)))
        }
        8 | 9 => back(Event::Release(host)),
        10 => ended(Event::Fault(host, router, true), Event::Fault(host, router, false)),
        11 => ended(Event::Unplug(host, false), Event::Unplug(host, true)),
        12 => {
            let adjust = random.pick(&[-150, -50, -10, 10, 60]);
            ended(Event::Weigh(host, router, adjust), Event::Weigh(host, router, 0))
        }
        13 => {
            let other = (host + 1 + random.position(count - 1)) % count;
            ended(Event::Cut(host, other), Event::Heal)
        }
        14 | 15 => {
            let marked = (0..count).map(|other| other == host || random.chance(300)).collect();
            ended(Event::Partition(marked), Event::Heal)
        }
        16 => {
            let rough = Weather {
                lost: random.pick(&[20, 100, 300]),
                doubled: random.pick(&[0, 100]),
                delay: scenario.weather.delay,
                jitter: random.between(zero, unit * 2),
                reorders: true,
            };
            ended(Event::Weather(rough), Event::Weather(scenario.weather))
        }
        17 => {
            let junk = random.pick(&Junk::ALL);
            once(Event::Junk(junk, router, 30, unit / random.pick(&[2, 3, 7])))
        }
        18 => {
            let byte = random.byte();
            let priority = random.pick(&[0, 1, 100, 254, byte]);
            let count = random.pick(&[1, 5, 20]);
            let apart = unit / random.pick(&[1, 3]);
            once(Event::Stranger(router, priority, count, apart))
        }
        19 => {
            let now = scenario.hosts[host].routers[router].priority;
            let other = Priority::new(1 + random.byte() % 254).unwrap_or(now);
            let owner = now == OWNER;
            once(Event::Reload(host, router, if owner || often { now } else { other }))
        }
        20 | 21 if scenario.linked => filters(count, host, (often, long), random),
        _ => once(Event::LoseVips(host, router)),
    }
}

/// A firewall in one direction or in both, for short or for longer than anything takes. Without a
/// connection nobody could know of it.
fn filters(
    count: usize,
    host: HostId,
    (both, short): (bool, Duration),
    random: &mut Random,
) -> Vec<(Duration, Event)> {
    let other = (host + 1 + random.position(count - 1)) % count;
    let mut filters = vec![(Duration::ZERO, Event::Filter(host, other))];
    if both {
        filters.push((Duration::ZERO, Event::Filter(other, host)));
    }
    if random.chance(700) {
        let long = short + Duration::from_secs(8) * u32::from(random.chance(500));
        filters.push((long, Event::Heal));
    }
    filters
}

/// Gives everything its time: one thing after the other has come to rest, or on top of it.
fn place(
    scenario: &mut Scenario,
    faults: Vec<Vec<(Duration, Event)>>,
    settling: Duration,
    random: &mut Random,
) {
    let last_start = scenario.events.last().map_or(Duration::ZERO, |(at, _)| *at);
    let mut at = last_start + settling + settling / 10;
    let mut end = at;
    for fault in faults {
        for (since, event) in fault {
            scenario.events.push((at + since, event));
            end = end.max(at + since);
        }
        at = match random.chance(600) {
            true => end + settling + settling / 10,
            false => at + random.between(Duration::ZERO, settling / 3),
        };
    }
    scenario.events.sort_by_key(|(at, _)| *at);
    // Stalls and restarts end after their event.
    let tail = |(_, event): &(Duration, Event)| match event {
        Event::Stall(_, span) | Event::Freeze(_, span) | Event::Restart(_, span) => *span,
        _ => Duration::ZERO,
    };
    let tail = scenario.events.iter().map(tail).max().unwrap_or_default();
    scenario.length = end + tail + settling + settling / 4;
}
