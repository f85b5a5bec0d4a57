//! Commands as `ipvsadm` options, so that model, recording and listing can be compared as words.

use std::collections::BTreeMap;

use converge::ipvs::{
    Command, Destination, DestinationId, Family, Forward, Protocol, ServerSettings, SyncDaemon,
    SyncState, Tunnel, VirtualServerId,
};

/// Options and their values, with what ipvsadm leaves out filled in.
pub(super) type Options = BTreeMap<String, String>;

/// Reads a command line or a line of `ipvsadm -Sn`, with or without the word `ipvsadm`.
pub(super) fn options(line: &str) -> Options {
    let words: Vec<&str> = line.split_whitespace().filter(|w| *w != "ipvsadm").collect();
    let mut options = Options::new();
    let mut at = 0;
    while at < words.len() {
        let option = words[at];
        let next = words.get(at + 1).copied();
        let value = next.filter(|n| !n.starts_with('-') || option == "-f");
        at += if value.is_some() { 2 } else { 1 };
        if option == "--set" {
            options.insert(option.into(), words[at - 1..].join(" "));
            break;
        }
        options.insert(option.into(), value.unwrap_or_default().into());
    }
    fill_in(&mut options);
    options
}

fn fill_in(options: &mut Options) {
    if options.get("-f").is_some_and(|mark| mark == "-1") {
        options.insert("-f".into(), u32::MAX.to_string());
    }
    if options.get("-p").is_some_and(String::is_empty) {
        options.insert("-p".into(), "360".into());
    }
    if options.contains_key("-a") || options.contains_key("-e") {
        options.entry("-w".into()).or_insert("1".into());
    }
    if options.contains_key("-i") {
        options.entry("--tun-type".into()).or_insert("ipip".into());
    }
    options.remove("--tun-nocsum");
    if let Some(flags) = options.get_mut("-b") {
        let mut names: Vec<&str> = flags.split(',').collect();
        names.sort_unstable();
        *flags = names.join(",");
    }
    // ipvsadm -S does not save thresholds.
    options.retain(|option, _| !["-x", "-y"].contains(&option.as_str()));
}

/// The options that stand for a command.
pub(super) fn options_of(command: &Command) -> Options {
    let mut out = Options::new();
    match command {
        Command::NewServer(id, settings) => server(&mut out, "-A", id, Some(settings)),
        Command::SetServer(id, settings) => server(&mut out, "-E", id, Some(settings)),
        Command::DelServer(id) => server(&mut out, "-D", id, None),
        Command::NewDestination(of, id, to) => destination(&mut out, "-a", of, id, Some(to)),
        Command::SetDestination(of, id, to) => destination(&mut out, "-e", of, id, Some(to)),
        Command::DelDestination(of, id) => destination(&mut out, "-d", of, id, None),
        Command::NewDaemon(daemon) => start_daemon(&mut out, daemon),
        Command::DelDaemon(state) => set(&mut out, "--stop-daemon", state_word(*state)),
        Command::SetTimeouts(t) => {
            let (tcp, tcp_fin, udp) = (t.tcp.get(), t.tcp_fin.get(), t.udp.get());
            set(&mut out, "--set", format!("{tcp} {tcp_fin} {udp}"));
        }
        Command::Zero(Some(id)) => server(&mut out, "-Z", id, None),
        Command::Zero(None) => set(&mut out, "-Z", ""),
        Command::Flush => set(&mut out, "-C", ""),
    }
    out
}

fn set(out: &mut Options, option: &str, value: impl Into<String>) {
    out.insert(option.into(), value.into());
}

fn server(out: &mut Options, verb: &str, id: &VirtualServerId, how: Option<&ServerSettings>) {
    set(out, verb, "");
    match id {
        VirtualServerId::Address { protocol, addr, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            set(out, option, std::net::SocketAddr::new(*addr, *port).to_string());
        }
        VirtualServerId::Fwmark { mark, family } => {
            set(out, "-f", mark.to_string());
            if *family == Family::Ipv6 {
                set(out, "-6", "");
            }
        }
    }
    let Some(settings) = how else { return };
    set(out, "-s", settings.scheduler.name.as_str());
    let mut flags = settings.scheduler.flags.names(settings.scheduler.name);
    flags.sort_unstable();
    if !flags.is_empty() {
        set(out, "-b", flags.join(","));
    }
    if settings.one_packet {
        set(out, "-o", "");
    }
    if let Some(persistence) = settings.persistence {
        set(out, "-p", persistence.timeout.get().to_string());
        if !persistence.netmask.is_each() {
            set(out, "-M", persistence.netmask.to_string());
        }
        if let Some(engine) = persistence.engine {
            set(out, "--pe", engine.as_str());
        }
    }
}

fn destination(
    out: &mut Options,
    verb: &str,
    of: &VirtualServerId,
    id: &DestinationId,
    to: Option<&Destination>,
) {
    server(out, verb, of, None);
    set(out, "-r", id.to_string());
    let Some(to) = to else { return };
    set(out, "-w", to.weight.to_string());
    match to.forward {
        Forward::Masquerade => set(out, "-m", ""),
        Forward::Route => set(out, "-g", ""),
        Forward::Local => set(out, "(local)", ""),
        Forward::Bypass => set(out, "(bypass)", ""),
        Forward::Tunnel(tunnel) => {
            set(out, "-i", "");
            tunnel_options(out, tunnel);
        }
    }
}

fn tunnel_options(out: &mut Options, tunnel: Tunnel) {
    match tunnel {
        Tunnel::Ipip => set(out, "--tun-type", "ipip"),
        Tunnel::Gue { port, flags } => {
            set(out, "--tun-type", "gue");
            set(out, "--tun-port", port.to_string());
            if flags.checksum {
                set(out, "--tun-csum", "");
            }
            if flags.remote_checksum {
                set(out, "--tun-remcsum", "");
            }
        }
        Tunnel::Gre { checksum } => {
            set(out, "--tun-type", "gre");
            if checksum {
                set(out, "--tun-csum", "");
            }
        }
    }
}

fn state_word(state: SyncState) -> &'static str {
    state.word()
}

fn start_daemon(out: &mut Options, daemon: &SyncDaemon) {
    set(out, "--start-daemon", state_word(daemon.state));
    set(out, "--mcast-interface", daemon.interface.as_str());
    set(out, "--syncid", daemon.sync_id.to_string());
    let optional = [
        ("--sync-maxlen", daemon.max_length.map(|n| n.to_string())),
        ("--mcast-group", daemon.group.map(|g| g.to_string())),
        ("--mcast-port", daemon.port.map(|p| p.to_string())),
        ("--mcast-ttl", daemon.ttl.map(|t| t.to_string())),
    ];
    for (option, value) in optional {
        if let Some(value) = value {
            set(out, option, value);
        }
    }
}
