//! What ipvsadm sends and what the kernel answers, recorded, is read as what was meant.
//!
//! Each recorded message has the command line above it, or what ipvsadm printed for it below. The
//! model is turned into ipvsadm's words and compared with those, so the facts are written once.

use converge::ipvs::{
    Command, Connections, Destination, DestinationId, Family, Reply, ServerSettings,
    VirtualServerId,
};

use super::text::{Options, options, options_of};

const SENT: &str = include_str!("golden/sent.txt");
const DUMP: &str = include_str!("golden/dump.txt");

/// Recorded messages, each with the command line above it.
fn recorded(text: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let mut above = "";
    let mut messages = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(comment) if comment.starts_with("ipvsadm") => above = comment,
            Some(_) => {}
            None => messages.push((above, from_hex(line))),
        }
    }
    assert!(messages.len() > 20, "the recording is there");
    messages
}

/// Every recorded message, of either direction.
pub(super) fn all_messages() -> Vec<Vec<u8>> {
    recorded(SENT).into_iter().chain(recorded(DUMP)).map(|(_, bytes)| bytes).collect()
}

fn from_hex(line: &str) -> Vec<u8> {
    let digits: Vec<char> = line.trim().chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits.chunks(2).map(byte).collect::<Result<_, _>>().expect("a line of hex digits")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether a recorded line is a question or has a zero that means "as it is".
fn is_no_command(line: &str) -> bool {
    line.starts_with("ipvsadm -L") || line.contains("--set 0")
}

#[test]
fn what_ipvsadm_sends_is_read_as_what_its_command_line_says() {
    for (line, message) in recorded(SENT).iter().filter(|(line, _)| !is_no_command(line)) {
        let command = Command::decode(message).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(options_of(&command), options(line), "{line}");
    }
}

#[test]
fn thresholds_are_read_as_given() {
    let (_, message) = recorded(SENT)
        .into_iter()
        .find(|(line, _)| line.contains("-a") && line.ends_with("-x 1000 -y 800"))
        .expect("it is recorded");
    let Ok(Command::NewDestination(_, _, destination)) = Command::decode(&message) else {
        panic!("a destination was added");
    };
    let thresholds = destination.thresholds;
    assert_eq!((thresholds.upper(), thresholds.lower()), (1000, 800));
}

#[test]
fn a_timeout_of_zero_means_unchanged_and_is_no_value() {
    let (_, message) = recorded(SENT)
        .into_iter()
        .find(|(line, _)| line.contains("--set 0"))
        .expect("it is recorded");
    assert!(Command::decode(&message).is_err());
}

#[test]
fn what_we_send_is_what_ipvsadm_sends_but_for_known_differences() {
    for (line, message) in recorded(SENT).iter().filter(|(line, _)| !is_no_command(line)) {
        let command = Command::decode(message).unwrap_or_else(|e| panic!("{line}: {e}"));
        let mut ours = Vec::new();
        command.encode(&mut ours);
        assert_eq!(to_hex(&ours), to_hex(&without_differences(message)), "{line}");
    }
}

/// Takes out of a message of ipvsadm what we send otherwise, and nothing else:
/// it claims every flag, the kernel's own too; it repeats settings where only the identity counts;
/// it leaves a piece of another address behind an IPv4 address.
fn without_differences(message: &[u8]) -> Vec<u8> {
    let (header, attributes) = message.split_at(4);
    let mut out = header.to_vec();
    for (kind, value) in split(attributes) {
        let keep: &[u16] = match (header[0], kind & 0xff) {
            (1 | 2, 1) => &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11],
            (_, 1) => &[1, 2, 3, 4, 5],
            (5 | 6, 2) => &[11, 1, 2, 3, 4, 13, 14, 15, 5, 6],
            (_, 2) => &[11, 1, 2],
            (10, 3) => &[1],
            (9, 3) => &[1, 2, 3, 4, 5, 6, 7, 8],
            _ => {
                append(&mut out, kind, value);
                continue;
            }
        };
        let mut nest = Vec::new();
        let inside = split(value);
        let is_v4 = inside.iter().any(|(k, v)| [1, 11].contains(k) && v[..] == [2, 0]);
        for (inner, value) in inside.iter().filter(|(k, _)| keep.contains(k)) {
            let mut value = value.to_vec();
            match (kind & 0xff, *inner) {
                (1, 7) => value[4..].copy_from_slice(&[0x3d, 0, 0, 0]),
                (1, 3) | (2, 1) if is_v4 => value[4..].fill(0),
                _ => {}
            }
            append(&mut nest, *inner, &value);
        }
        append(&mut out, kind, &nest);
    }
    out
}

fn split(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut attributes = Vec::new();
    while let [l0, l1, k0, k1, ..] = *bytes {
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        attributes.push((u16::from_le_bytes([k0, k1]), &bytes[4..length]));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    attributes
}

fn append(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).expect("attributes are short");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn printed(verb: &str) -> Vec<Options> {
    let lines = DUMP.lines().filter_map(|line| line.strip_prefix("#   "));
    let mut found: Vec<Options> = lines.filter(|l| l.starts_with(verb)).map(options).collect();
    found.sort();
    found
}

fn answers() -> Vec<Reply> {
    let read = |(line, message): (&str, Vec<u8>)| {
        Reply::decode(&message, Family::Ipv4).unwrap_or_else(|e| panic!("{line}: {e}"))
    };
    recorded(DUMP).into_iter().map(read).collect()
}

#[test]
fn the_kernels_virtual_servers_are_read_as_ipvsadm_prints_them() {
    let mut read = Vec::new();
    for reply in answers() {
        if let Reply::Server(id, settings) = reply {
            read.push(options_of(&Command::NewServer(id, settings)));
        }
    }
    read.sort();
    assert_eq!(read, printed("-A"));
}

#[test]
fn the_kernels_destinations_are_read_as_ipvsadm_prints_them() {
    // An answer does not repeat the virtual server, so that is left out of both.
    let somewhere: VirtualServerId = "FWM 1".parse().expect("an id");
    let mut read = Vec::new();
    for reply in answers() {
        if let Reply::Destination(id, to, _) = reply {
            read.push(options_of(&Command::NewDestination(somewhere, id, to)));
        }
    }
    let mut said = printed("-a");
    for options in read.iter_mut().chain(&mut said) {
        options.retain(|o, _| !["-t", "-u", "--sctp-service", "-f", "-6"].contains(&o.as_str()));
    }
    read.sort();
    said.sort();
    assert_eq!(read, said);
}

#[test]
fn the_kernels_settings_are_read_as_ipvsadm_prints_them() {
    let mut seen = Vec::new();
    for reply in answers() {
        match reply {
            Reply::Timeouts(t) => {
                let (tcp, fin, udp) = (t.tcp.get(), t.tcp_fin.get(), t.udp.get());
                seen.push(format!("Timeout (tcp tcpfin udp): {tcp} {fin} {udp}"));
            }
            Reply::Daemon(d) => seen.push(format!(
                "{} sync daemon (mcast={}, syncid={}, maxlen={}, group={}, port={}, ttl={})",
                d.state.word(),
                d.interface,
                d.sync_id,
                d.max_length.expect("the kernel says it"),
                d.group.expect("the kernel says it"),
                d.port.expect("the kernel says it"),
                d.ttl.expect("the kernel says it"),
            )),
            Reply::Server(..) | Reply::Destination(..) | Reply::Info(_) => {}
        }
    }
    let lines = DUMP.lines().filter_map(|line| line.strip_prefix("#   "));
    let said: Vec<&str> = lines.filter(|l| !l.starts_with('-')).collect();
    assert_eq!(seen, said);
}

#[test]
fn an_old_kernel_leaves_the_family_of_a_destination_to_its_virtual_server() {
    let of: VirtualServerId = "TCP [2001:db8::1]:80".parse().expect("an id");
    let id: DestinationId = "[2001:db8::9]:80".parse().expect("an id");
    let to = Destination::new(converge::ipvs::Forward::Route);
    let mut message = Vec::new();
    Command::NewDestination(of, id, to).encode(&mut message);
    // ADDR_FAMILY is attribute 11 with a u16; 0 is how such kernels' tools leave it open.
    let at = message.windows(4).position(|w| w == [6, 0, 11, 0]).expect("it is sent");
    message[at + 4] = 0;
    assert_eq!(
        Reply::decode(&message, Family::Ipv6),
        Ok(Reply::Destination(id, to, Connections::default()))
    );
}

#[test]
fn connections_are_counted_where_the_kernel_says_how_many() {
    let of: VirtualServerId = "TCP 192.0.2.1:80".parse().expect("an id");
    let id: DestinationId = "192.0.2.9:80".parse().expect("an id");
    let to = Destination::new(converge::ipvs::Forward::Route);
    let mut message = Vec::new();
    Command::NewDestination(of, id, to).encode(&mut message);
    // The nest of the destination (2) is the last; ACTIVE_CONNS 7, INACT_CONNS 8, PERSIST_CONNS 9.
    let at = message.windows(2).rposition(|w| w == [2, 0x80]).expect("a nest") - 2;
    for (kind, count) in [(7_u16, 3_u32), (8, 40), (9, 500)] {
        message.extend_from_slice(&8_u16.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&count.to_ne_bytes());
    }
    let length = u16::try_from(message.len() - at).expect("short");
    message[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    let has = Connections { active: 3, inactive: 40, persistent: 500, ..Default::default() };
    assert_eq!(Reply::decode(&message, Family::Ipv4), Ok(Reply::Destination(id, to, has)));
}

#[test]
fn only_what_is_needed_to_name_it_goes_with_a_removal() {
    let id: VirtualServerId = "FWM 7".parse().expect("an id");
    let mut message = Vec::new();
    Command::DelServer(id).encode(&mut message);
    assert_eq!(
        to_hex(&message),
        "0301000014000180060001000200000008000500070000 00".replace(' ', "")
    );
    let settings = ServerSettings::new(converge::ipvs::SchedulerName::Rr.into());
    message.clear();
    Command::NewServer(id, settings).encode(&mut message);
    assert_eq!(Command::decode(&message), Ok(Command::NewServer(id, settings)));
}
