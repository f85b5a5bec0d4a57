//! The codec against chance: whatever can be said comes back as it was, and no bytes make it panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::sync::LazyLock;

use converge::ipvs::model::ClientMask;
use converge::ipvs::wire::control;
use converge::ipvs::wire::frame::{self, Answer, Content, Messages};
use converge::ipvs::{
    Command, Connections, Destination, DestinationId, Family, Forward, KernelName, Persistence,
    Protocol, Reply, Scheduler, SchedulerFlags, SchedulerName, Seconds, ServerSettings, SyncDaemon,
    SyncState, Thresholds, Timeouts, Tunnel, TunnelFlags, VirtualServer, VirtualServerId, Weight,
    diff,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::golden::all_messages;

fn addr() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::Ipv4, Family::Ipv6])
}

fn server_id() -> impl Strategy<Value = VirtualServerId> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    prop_oneof![
        (protocol, addr(), any::<u16>()).prop_map(|(protocol, addr, port)| {
            VirtualServerId::Address { protocol, addr, port }
        }),
        (any::<NonZeroU32>(), family())
            .prop_map(|(mark, family)| VirtualServerId::Fwmark { mark, family }),
    ]
}

fn name() -> impl Strategy<Value = KernelName> {
    vec(select((b'!'..=b'~').filter(|b| *b != b'/').collect::<Vec<u8>>()), 1..=15)
        .prop_map(|bytes| KernelName::from_bytes(&bytes).expect("printable and short"))
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    let known = select(SchedulerName::KNOWN);
    let name = prop_oneof![4 => known, 1 => name().prop_map(SchedulerName::from)];
    (name, any::<[bool; 3]>()).prop_map(|(name, [fallback, port, third])| Scheduler {
        name,
        flags: SchedulerFlags { fallback, port, third },
    })
}

fn seconds() -> impl Strategy<Value = Seconds> {
    (1..=Seconds::MAX.get()).prop_map(Seconds::saturating)
}

fn persistence(family: Family) -> impl Strategy<Value = Persistence> {
    let netmask = match family {
        Family::Ipv4 => any::<u32>().prop_map(|m| ClientMask::V4(Ipv4Addr::from_bits(m))).boxed(),
        Family::Ipv6 => {
            (1..=128_u32).prop_map(|length| ClientMask::prefix6(length).expect("in range")).boxed()
        }
    };
    (seconds(), netmask, option::of(name())).prop_map(|(timeout, netmask, engine)| Persistence {
        timeout,
        netmask,
        engine,
    })
}

fn settings(family: Family) -> impl Strategy<Value = ServerSettings> {
    (scheduler(), any::<bool>(), option::of(persistence(family))).prop_map(
        |(scheduler, one_packet, persistence)| ServerSettings {
            scheduler,
            one_packet,
            persistence,
        },
    )
}

fn forward() -> impl Strategy<Value = Forward> {
    let gue = (any::<NonZeroU16>(), any::<[bool; 2]>());
    prop_oneof![
        Just(Forward::Masquerade),
        Just(Forward::Local),
        Just(Forward::Route),
        Just(Forward::Bypass),
        Just(Forward::Tunnel(Tunnel::Ipip)),
        any::<bool>().prop_map(|checksum| Forward::Tunnel(Tunnel::Gre { checksum })),
        gue.prop_map(|(port, [checksum, remote_checksum])| {
            let flags = TunnelFlags { checksum, remote_checksum };
            Forward::Tunnel(Tunnel::Gue { port, flags })
        }),
    ]
}

fn destination() -> impl Strategy<Value = Destination> {
    let thresholds = any::<[u32; 2]>().prop_map(|[a, b]| Thresholds::new(a.max(b), a.min(b)));
    (forward(), 0..=i32::MAX.cast_unsigned(), thresholds).prop_map(
        |(forward, weight, thresholds)| Destination {
            forward,
            weight: Weight::new(weight).expect("in range"),
            thresholds: thresholds.expect("in order"),
        },
    )
}

fn destination_id() -> impl Strategy<Value = DestinationId> {
    (addr(), any::<u16>()).prop_map(|(addr, port)| DestinationId { addr, port })
}

fn sync_state() -> impl Strategy<Value = SyncState> {
    select(vec![SyncState::Master, SyncState::Backup])
}

fn daemon() -> impl Strategy<Value = SyncDaemon> {
    let optional = (
        option::of(any::<NonZeroU16>()),
        option::of(addr()),
        option::of(any::<NonZeroU16>()),
        option::of(any::<NonZeroU8>()),
    );
    (sync_state(), name(), any::<u8>(), optional).prop_map(
        |(state, interface, sync_id, (max_length, group, port, ttl))| SyncDaemon {
            state,
            interface,
            sync_id,
            max_length,
            group,
            port,
            ttl,
        },
    )
}

fn server_command() -> impl Strategy<Value = Command> {
    server_id().prop_flat_map(|id| {
        prop_oneof![
            settings(id.family()).prop_map(move |s| Command::NewServer(id, s)),
            settings(id.family()).prop_map(move |s| Command::SetServer(id, s)),
            Just(Command::DelServer(id)),
            Just(Command::Zero(Some(id))),
            (destination_id(), destination())
                .prop_map(move |(to, how)| Command::NewDestination(id, to, how)),
            (destination_id(), destination())
                .prop_map(move |(to, how)| Command::SetDestination(id, to, how)),
            destination_id().prop_map(move |to| Command::DelDestination(id, to)),
        ]
    })
}

fn command() -> impl Strategy<Value = Command> {
    let timeouts = (seconds(), seconds(), seconds());
    prop_oneof![
        8 => server_command(),
        1 => daemon().prop_map(Command::NewDaemon),
        1 => sync_state().prop_map(Command::DelDaemon),
        1 => timeouts.prop_map(|(tcp, tcp_fin, udp)| {
            Command::SetTimeouts(Timeouts { tcp, tcp_fin, udp })
        }),
        1 => select(vec![Command::Zero(None), Command::Flush]),
    ]
}

fn virtual_server(id: VirtualServerId) -> impl Strategy<Value = VirtualServer> {
    let destinations = vec((any::<u8>(), destination()), 0..12);
    (settings(id.family()), destinations).prop_map(move |(settings, destinations)| {
        let mut server = VirtualServer::new(id, settings).expect("the mask fits");
        for (last, destination) in destinations {
            let addr = match id.family() {
                Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, last % 16)),
                Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(last.into())),
            };
            server
                .insert_destination(DestinationId { addr, port: 80 }, destination)
                .expect("families fit");
        }
        server
    })
}

/// What the kernel does with commands, as far as the table goes.
fn carry_out(table: Option<VirtualServer>, commands: &[Command]) -> Option<VirtualServer> {
    let mut table = table;
    for command in commands {
        match *command {
            Command::NewServer(id, settings) => {
                assert!(table.is_none(), "EEXIST");
                table = Some(VirtualServer::new(id, settings).expect("families fit"));
            }
            Command::SetServer(id, settings) => {
                let old = table.take().expect("ESRCH");
                let destinations = old.destinations().iter().map(|(id, d)| (*id, *d));
                let new = VirtualServer::new(id, settings).expect("families fit");
                table = Some(new.with_destinations(destinations).expect("families fit"));
            }
            Command::DelServer(_) => assert!(table.take().is_some(), "ESRCH"),
            Command::NewDestination(_, id, to) => {
                let server = table.as_mut().expect("ESRCH");
                assert_eq!(server.insert_destination(id, to), Ok(None), "EEXIST");
            }
            Command::SetDestination(_, id, to) => {
                let server = table.as_mut().expect("ESRCH");
                assert!(
                    server.insert_destination(id, to).expect("families fit").is_some(),
                    "ENOENT"
                );
            }
            Command::DelDestination(_, id) => {
                assert!(table.as_mut().expect("ESRCH").remove_destination(&id).is_some(), "ENOENT");
            }
            Command::NewDaemon(_)
            | Command::DelDaemon(_)
            | Command::SetTimeouts(_)
            | Command::Zero(_)
            | Command::Flush => panic!("{command:?} is no part of a diff"),
        }
    }
    table
}

fn two_servers() -> impl Strategy<Value = [Option<VirtualServer>; 2]> {
    server_id().prop_flat_map(|id| {
        [option::weighted(0.9, virtual_server(id)), option::weighted(0.9, virtual_server(id))]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn every_command_comes_back_as_it_was(command in command()) {
        let mut message = Vec::new();
        command.encode(&mut message);
        prop_assert_eq!(message.len() % 4, 0);
        prop_assert_eq!(Command::decode(&message), Ok(command));
    }

    #[test]
    fn every_entry_comes_back_as_it_was(command in server_command()) {
        let mut message = Vec::new();
        command.encode(&mut message);
        let reply = Reply::decode(&message, Family::Ipv4);
        if let Command::NewServer(id, settings) = command {
            prop_assert_eq!(&reply, &Ok(Reply::Server(id, settings)));
        }
        if let Command::NewDestination(_, id, to) = command {
            prop_assert_eq!(&reply, &Ok(Reply::Destination(id, to, Connections::default())));
        }
    }

    #[test]
    fn a_diff_leads_where_it_says(servers in two_servers()) {
        let [old, new] = servers;
        let commands = diff(old.as_ref(), new.as_ref());
        prop_assert_eq!(carry_out(old.clone(), &commands), new.clone());
        prop_assert_eq!(commands.is_empty(), old == new);
    }

    #[test]
    fn every_id_reads_back_what_it_prints(id in server_id()) {
        prop_assert_eq!(id.to_string().parse::<VirtualServerId>(), Ok(id));
    }

    #[test]
    fn frames_come_back_as_they_were(commands in vec(command(), 0..20), first in any::<u32>()) {
        let mut datagram = Vec::new();
        for (at, command) in (0_u32..).zip(&commands) {
            let sequence = first.wrapping_add(at);
            frame::request(&mut datagram, 0x1c, Answer::Brief, sequence, |out| command.encode(out));
        }
        let mut read = Vec::new();
        for (at, message) in (0_u32..).zip(Messages::new(&datagram)) {
            let message = message.expect("it is whole");
            prop_assert_eq!(message.sequence, first.wrapping_add(at));
            let Content::Data(payload) = message.content else { panic!("no answer") };
            read.push(Command::decode(payload).expect("it is ours"));
        }
        prop_assert_eq!(read, commands);
    }
}

static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(all_messages);

fn decode_every_way(bytes: &[u8]) {
    for family in [Family::Ipv4, Family::Ipv6] {
        drop(Reply::decode(bytes, family));
    }
    if let Ok(command) = Command::decode(bytes) {
        let mut again = Vec::new();
        command.encode(&mut again);
        assert_eq!(Command::decode(&again), Ok(command), "what is understood can be said");
    }
    drop(control::decode_family(bytes));
    for message in Messages::new(bytes) {
        drop(message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..400), command in 0..20_u8) {
        decode_every_way(&bytes);
        let mut with_header = vec![command, 1, 0, 0];
        with_header.extend(&bytes);
        decode_every_way(&with_header);
    }

    #[test]
    fn no_damage_to_a_real_message_makes_a_decoder_panic(
        which in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<Index>()),
    ) {
        let mut bytes = which.get(&MESSAGES).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        decode_every_way(&bytes);
    }
}
