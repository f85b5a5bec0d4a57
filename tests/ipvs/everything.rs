//! One of everything that Debian's kernel can hold, and the words to write it down.

use std::num::NonZeroU16;

use converge::ipvs::model::ClientMask;
use converge::ipvs::{
    Destination, Forward, Persistence, Scheduler, SchedulerName, Seconds, ServerSettings,
    Thresholds, Tunnel, TunnelFlags, VirtualServer, VirtualServerId, Weight,
};

pub(super) fn id(text: &str) -> VirtualServerId {
    text.parse().expect("a virtual server")
}

pub(super) fn weight(number: u32) -> Weight {
    Weight::new(number).expect("a weight")
}

pub(super) fn server(
    text: &str,
    settings: ServerSettings,
    destinations: impl IntoIterator<Item = (&'static str, Destination)>,
) -> VirtualServer {
    let parsed = |(id, to): (&str, Destination)| (id.parse().expect("a destination"), to);
    VirtualServer::new(id(text), settings)
        .and_then(|s| s.with_destinations(destinations.into_iter().map(parsed)))
        .expect("families fit")
}

pub(super) fn settings(name: &str, flags: &[&str]) -> ServerSettings {
    let name: SchedulerName = name.parse().expect("a scheduler");
    let flags = flags.iter().copied();
    ServerSettings::new(Scheduler::with_flags(name, flags).expect("its flags"))
}

fn gue(checksum: bool, remote_checksum: bool) -> Destination {
    let port = NonZeroU16::new(6080).expect("not 0");
    let flags = TunnelFlags { checksum, remote_checksum };
    Destination::new(Forward::Tunnel(Tunnel::Gue { port, flags }))
}

/// One of everything that Debian's kernel can hold.
pub(super) fn one_of_everything() -> Vec<VirtualServer> {
    [every_scheduler(), every_flag(), every_persistence(), every_forward()].concat()
}

fn every_scheduler() -> Vec<VirtualServer> {
    let dr = Destination::new(Forward::Route);
    let thresholds = Thresholds::new(1000, 800).expect("in order");
    let held = Destination { thresholds, weight: weight(0), ..dr };
    // Debian's kernel is built without `twos`.
    let names = SchedulerName::KNOWN.iter().filter(|name| **name != SchedulerName::Twos);
    let make = |(name, port): (&SchedulerName, u16)| {
        let text = format!("TCP 192.0.2.1:{port}");
        server(&text, settings(name.as_str(), &[]), [("10.0.0.1:80", dr), ("10.0.0.2:80", held)])
    };
    names.zip(8001..).map(make).collect()
}

fn every_flag() -> Vec<VirtualServer> {
    let flags: [(u16, &str, &[&str]); 7] = [
        (1, "sh", &["sh-port"]),
        (2, "sh", &["sh-fallback"]),
        (3, "sh", &["sh-port", "sh-fallback"]),
        (4, "mh", &["mh-port"]),
        (5, "mh", &["mh-fallback"]),
        (6, "mh", &["mh-port", "mh-fallback"]),
        (7, "rr", &["flag-1", "flag-2", "flag-3"]),
    ];
    let make =
        |(port, name, flags)| server(&format!("UDP 192.0.2.1:{port}"), settings(name, flags), []);
    flags.into_iter().map(make).collect()
}

fn every_persistence() -> Vec<VirtualServer> {
    let dr = Destination::new(Forward::Route);
    let nat = Destination::new(Forward::Masquerade);
    let sticky = |name, timeout, netmask| ServerSettings {
        persistence: Some(Persistence {
            timeout: Seconds::new(timeout).expect("in range"),
            netmask,
            engine: None,
        }),
        ..settings(name, &[])
    };
    let mask4 = |length| ClientMask::prefix4(length).expect("in range");
    let mask6 = |length| ClientMask::prefix6(length).expect("in range");
    let mut sip = ServerSettings { one_packet: true, ..sticky("rr", 60, mask4(0)) };
    if let Some(persistence) = &mut sip.persistence {
        persistence.engine = Some("sip".parse().expect("a name"));
    }
    let one_packet = ServerSettings { one_packet: true, ..settings("wrr", &[]) };
    let heavy = Destination { weight: weight(i32::MAX.cast_unsigned()), ..nat };
    vec![
        server("TCP 192.0.2.2:0", sticky("wlc", 360, mask4(32)), [("10.0.0.1:0", dr)]),
        server("TCP 192.0.2.2:443", sticky("wlc", 300, mask4(24)), []),
        server("UDP 192.0.2.2:5060", sip, [("10.0.0.1:5060", nat)]),
        server("UDP 192.0.2.2:53", one_packet, [("10.0.0.1:5353", heavy)]),
        server("SCTP 192.0.2.2:3868", settings("sed", &[]), [("10.0.0.1:3868", nat)]),
        server("FWM 4294967295", sticky("lblcr", 2_147_483, mask4(8)), []),
        server("FWM 7 ipv6", sticky("lc", 1, mask6(64)), [("[2001:db8::9]:0", dr)]),
        server("TCP [2001:db8::1]:80", sticky("nq", 86_400, mask6(128)), []),
    ]
}

fn every_forward() -> Vec<VirtualServer> {
    let dr = Destination::new(Forward::Route);
    let nat = Destination::new(Forward::Masquerade);
    let gre = |checksum| Destination::new(Forward::Tunnel(Tunnel::Gre { checksum }));
    let ipip = Destination::new(Forward::Tunnel(Tunnel::Ipip));
    vec![
        server(
            "TCP [2001:db8::2]:80",
            settings("rr", &[]),
            [("[2001:db8::9]:80", dr), ("[2001:db8::9]:81", nat), ("10.0.0.9:80", ipip)],
        ),
        server(
            "FWM 7",
            settings("wrr", &[]),
            [
                ("10.0.0.1:0", ipip),
                ("10.0.0.2:0", gue(false, false)),
                ("10.0.0.3:0", gue(true, false)),
                ("10.0.0.4:0", gue(false, true)),
                ("10.0.0.5:0", gre(false)),
                ("10.0.0.6:0", gre(true)),
                ("[2001:db8::6]:0", gre(true)),
                ("127.0.0.1:0", dr),
            ],
        ),
    ]
}
