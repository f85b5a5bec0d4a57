//! `[ipvs-sync]`: connections known to every director, so that established ones survive the move of
//! a VIP.
//!
//! Both daemons run on every director all the time: nothing has to be switched when a VIP moves,
//! and what begins on the new director is known to the old one when it comes back. A director that
//! is itself a real server cannot have that: what the other one hands to it would be balanced once
//! more. There `net.ipv4.vs.backup_only` keeps IPVS out of the way, which it does for as long as a
//! backup daemon runs, so that the daemon has to follow the standing. Until it has, packets of
//! connections to other real servers are answered by this host.
//!
//! By itself the kernel sends a connection again after 50 packets, and a director that was rebooted
//! does not know the slow ones for minutes. We have it sent every ten seconds in which it is used.

use std::net::{IpAddr, Ipv6Addr};

use super::element::Surroundings;
use super::want::Want;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Reader, Section, Shape, Spanned, Value, one_of};
use crate::ipvs::{Forward, KernelName, SyncDaemon, SyncState, VirtualServer};
use crate::resource::module::Module;
use crate::resource::sysctl::Sysctl;
use crate::resource::{Id, Kind, Resource};

const ID: Shape = Shape::Text;
const MODES: &[&str] = &["auto", "both", "standing", "off"];

/// The keys of `[ipvs-sync]`.
pub const SECTION: Section = Section::new(
    "ipvs-sync",
    "Connections of the IPVS table that the directors tell each other, so that established ones \
     survive the move of a VIP. A director without others needs none.",
    &[
        Field::required("interface", Shape::Text, "Over which interface they are told."),
        Field::optional("id", ID, "Tells clusters on one network apart: 1 to 255.")
            .default("made from the cluster's name"),
        Field::optional(
            "mode",
            Shape::OneOf(MODES),
            "both: send and take in at all times. standing: send while active, take in while not. \
             auto: both, but standing with `backup-only`, and off where a real server is not of \
             its VIP's family, which the kernel cannot synchronise.",
        )
        .default("auto"),
        Field::optional(
            "backup-only",
            Shape::Bool,
            "Whether IPVS keeps out of the way while this director is not the active one.",
        )
        .default("whether it is itself a real server, by direct routing or a tunnel"),
    ],
);

/// Of IPv6; the kernel's own choice is for IPv4 alone. Link-local, and assigned to nothing.
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x81);
const BACKUP_ONLY: &str = "net.ipv4.vs.backup_only";
/// Without a period in packets the one in seconds counts alone; see the kernel's ipvs-sysctl.
const OFTEN: [(&str, &str); 2] =
    [("net.ipv4.vs.sync_threshold", "3 0"), ("net.ipv4.vs.sync_refresh_period", "10")];

/// When which daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Auto,
    Both,
    Standing,
    Off,
}

impl Value for Mode {
    const WHAT: &'static str = "when connections are synchronised";

    fn parse(text: &str) -> Result<Self, String> {
        let all = [Mode::Auto, Mode::Both, Mode::Standing, Mode::Off];
        let words: Vec<(&'static str, Mode)> = MODES.iter().copied().zip(all).collect();
        one_of("mode", &words, text)
    }
}

/// The section.
#[derive(Clone, Debug)]
pub struct IpvsSync {
    place: Place,
    interface: KernelName,
    sync_id: u8,
    mode: Spanned<Mode>,
    backup_only: Option<bool>,
    own: IpAddr,
}

impl IpvsSync {
    /// Reads the table.
    pub fn read(reader: &Reader<'_>, around: Surroundings<'_>) -> Option<Self> {
        let interface = reader.get::<String>("interface")?;
        let refused = |error: &dyn std::fmt::Display| {
            reader.report(Diagnostic::error(interface.place.clone(), error.to_string()));
        };
        let name = interface.value.parse::<KernelName>().map_err(|error| refused(&error)).ok();
        let sync_id = match reader.get::<String>("id").filter(|id| !id.value.trim().is_empty()) {
            Some(text) => number(reader, &text),
            None => Some(made_from(around.cluster.name.as_str())),
        };
        let mode = reader.get_or("mode", Mode::Auto);
        let backup_only = reader.get::<bool>("backup-only").map(|b| b.value);
        let (place, own) = (reader.place(), around.me.address.addr());
        Some(IpvsSync { place, interface: name?, sync_id: sync_id?, mode, backup_only, own })
    }

    /// The daemons, and what makes them useful. `active` is whether this host holds a VIP now.
    pub fn expand(&self, active: bool, want: &mut Want) {
        let servers = virtual_servers(want);
        if self.mode.value == Mode::Off || servers.is_empty() {
            return;
        }
        if let Some(server) = servers.iter().find(|server| is_mixed(server)) {
            if self.mode.value != Mode::Auto {
                want.report(self.mixed(server));
            }
            return;
        }
        let local = servers.iter().any(|server| self.is_behind(server));
        let backup_only = self.backup_only.unwrap_or(local);
        let both = match self.mode.value {
            Mode::Auto => !backup_only,
            Mode::Both => true,
            Mode::Standing | Mode::Off => false,
        };
        self.sysctls(backup_only, want);
        if both && backs_up_only(want) {
            want.report(self.balances_nothing());
            return;
        }
        let module = want.add(&self.place, Module { module: "ip_vs".into() });
        let mut daemon = |state| {
            want.add_after(&self.place, self.daemon(state), [module.clone()]);
        };
        if both || active {
            daemon(SyncState::Master);
        }
        if both || !active {
            daemon(SyncState::Backup);
        }
    }

    /// They all are the role's own to say otherwise.
    fn sysctls(&self, backup_only: bool, want: &mut Want) {
        let backup_only = if backup_only { "1" } else { "0" };
        for (key, value) in OFTEN.into_iter().chain([(BACKUP_ONLY, backup_only)]) {
            want.add_default(&self.place, Sysctl { key: key.into(), value: value.into() });
        }
    }

    fn daemon(&self, state: SyncState) -> SyncDaemon {
        SyncDaemon {
            state,
            interface: self.interface,
            sync_id: self.sync_id,
            max_length: None,
            group: self.own.is_ipv6().then_some(IpAddr::V6(GROUP_V6)),
            port: None,
            ttl: None,
        }
    }

    /// Whether this host is among the real servers, and gets packets that are still for the VIP.
    fn is_behind(&self, server: &VirtualServer) -> bool {
        server.destinations().iter().any(|(id, destination)| match destination.forward {
            Forward::Route | Forward::Tunnel(_) => id.addr == self.own,
            Forward::Masquerade | Forward::Local | Forward::Bypass => false,
        })
    }

    fn mixed(&self, server: &VirtualServer) -> Diagnostic {
        let id = server.id();
        let title = format!("{id} has real servers of the other family");
        Diagnostic::error(self.mode.place.clone(), title)
            .label("the kernel cannot synchronise the connections of this director")
            .help("set mode = \"off\", or give the VIP real servers of its own family")
    }

    fn balances_nothing(&self) -> Diagnostic {
        let title = format!("with {BACKUP_ONLY} = 1 this director would balance nothing");
        Diagnostic::error(self.mode.place.clone(), title)
            .label("the backup daemon never stops, and IPVS waits for that")
            .help("set mode = \"standing\"; a director that is a real server too needs it so")
    }
}

fn virtual_servers(want: &Want) -> Vec<VirtualServer> {
    let server = |id: &Id| match want.get(id) {
        Some(Resource::VirtualServer(server)) => Some(server.clone()),
        Some(_) | None => None,
    };
    want.ids(|id| id.kind == Kind::VirtualServer).iter().filter_map(server).collect()
}

fn is_mixed(server: &VirtualServer) -> bool {
    let ipv6 = server.id().family() == crate::ipvs::Family::Ipv6;
    server.destinations().keys().any(|id| id.addr.is_ipv6() != ipv6)
}

fn backs_up_only(want: &Want) -> bool {
    let id = Id { kind: Kind::Sysctl, name: BACKUP_ONLY.into() };
    matches!(want.get(&id), Some(Resource::Sysctl(sysctl)) if sysctl.value.trim() != "0")
}

/// 0 would be taken in from everybody and so is no id that tells apart.
fn number(reader: &Reader<'_>, text: &Spanned<String>) -> Option<u8> {
    let number = text.value.trim().parse().ok().filter(|id| *id != 0);
    if number.is_none() {
        let title = format!("`{}` is no sync id: it is a whole number from 1 to 255", text.value);
        reader.report(Diagnostic::error(text.place.clone(), title));
    }
    number
}

/// From 1 to 255, the same on every director of the cluster (FNV-1a, folded).
fn made_from(name: &str) -> u8 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u8::try_from(hash % 255 + 1).expect("255 at most")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster;
    use crate::diagnostic::Diagnostics;
    use crate::host::shelf::{Shelf, Text};
    use crate::host::survey::Survey;
    use crate::resource::Desired;
    use crate::role::{Catalog, Role};
    use crate::situation::Standing;

    /// A director that is a real server too.
    const WORKER: &str = "version = 1\n[vars]\nsync = \"auto\"\nforward = \"dr\"\n\
        [[hold]]\nfor-each = \"vip\"\naddress = \"{{each.cidr}}\"\ninterface = \"eth0\"\n\
        [[vrrp]]\nname = \"main\"\n\
        priority = \"{{minus 200 me.index}}\"\n\
        [[virtual-server]]\nfor-each = \"vip\"\naddress = \"{{each.address}}\"\nports = 80\n\
        scheduler = \"rr\"\nforward = \"{{vars.forward}}\"\nreal-servers = \"worker\"\n\
        [ipvs-sync]\ninterface = \"eth0\"\nmode = \"{{vars.sync}}\"\n";

    const WORKERS: &str = "[host.a]\nrole = \"worker\"\naddress = \"192.0.2.1/24\"\n\
        [host.b]\nrole = \"worker\"\naddress = \"192.0.2.2/24\"\n";

    const DIRECTORS: &str = "[host.a]\nrole = \"director-master\"\naddress = \"192.0.2.1/24\"\n\
        [host.b]\nrole = \"director-backup\"\naddress = \"192.0.2.2/24\"\n\
        [host.web]\nrole = \"realserver\"\naddress = \"192.0.2.3/24\"\n";

    /// What host `a` is to be.
    fn desired(hosts: &str, more: &str, active: bool) -> Result<Desired, Diagnostics> {
        let hosts = hosts.replace("/24\"\n", "/24\"\ninterface = \"eth0\"\n");
        let hosts = hosts.replace("/64\"\n", "/64\"\ninterface = \"eth0\"\n");
        let text = format!("version = 1\nname = \"shop\"\n[vip]\n{hosts}{more}");
        let text = match text.contains("2001:db8") {
            true => text.replace("[vip]\n", "[vip]\nweb = \"2001:db8::100\"\n"),
            false => text.replace("[vip]\n", "[vip]\nweb = \"192.0.2.100\"\n"),
        };
        let (cluster, _) = Cluster::parse("cluster.toml", text)?;
        let mut shelf = Shelf::embedded();
        let worker = Text { shown: "worker.toml".into(), text: WORKER.into() };
        shelf.roles.insert("worker".into(), worker);
        let (catalog, _) = Catalog::new(shelf, &cluster)?;
        let me = cluster.hosts.values().find(|h| h.name.as_str() == "a").expect("a host");
        let (role, _) = Role::load(&catalog, &cluster, me, &Survey::typical())?;
        let mut situation = role.at_start();
        for standing in situation.standing.values_mut().filter(|_| active) {
            *standing = Standing::Active;
        }
        role.desired(&situation)
    }

    /// The daemons, and whether IPVS waits for the backup daemon to end.
    fn daemons(hosts: &str, more: &str, active: bool) -> (Vec<String>, Option<bool>) {
        let desired =
            desired(hosts, more, active).unwrap_or_else(|d| panic!("{}", d.render(false)));
        let of_kind = |kind| desired.state.iter().filter(move |(id, _)| id.kind == kind);
        let waits = of_kind(Kind::Sysctl).find_map(|(_, resource)| match resource {
            Resource::Sysctl(s) if s.key == BACKUP_ONLY => Some(s.value == "1"),
            _ => None,
        });
        (of_kind(Kind::SyncDaemon).map(|(id, _)| id.name.clone()).collect(), waits)
    }

    fn refusal(hosts: &str, more: &str) -> String {
        desired(hosts, more, false).expect_err("it is refused").render(false)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&w| w.into()).collect()
    }

    #[test]
    fn directors_send_and_take_in_at_all_times() {
        for active in [true, false] {
            let both = (words(&["backup", "master"]), Some(false));
            assert_eq!(daemons(DIRECTORS, "", active), both);
        }
    }

    #[test]
    fn a_single_director_and_one_that_is_told_so_synchronise_nothing() {
        let alone = DIRECTORS.replace("director-backup", "client");
        assert_eq!(daemons(&alone, "", true), (vec![], None));
        assert_eq!(daemons(DIRECTORS, "[vars]\nsync = \"off\"\n", true), (vec![], None));
    }

    #[test]
    fn a_director_that_is_a_real_server_too_sends_while_active_and_else_takes_in() {
        assert_eq!(daemons(WORKERS, "", true), (words(&["master"]), Some(true)));
        assert_eq!(daemons(WORKERS, "", false), (words(&["backup"]), Some(true)));
        // With NAT a packet is for the real server when it gets there, and for no VIP.
        let nat = "[vars]\nforward = \"nat\"\n";
        assert_eq!(daemons(WORKERS, nat, false), (words(&["backup", "master"]), Some(false)));
        let said = refusal(WORKERS, "[vars]\nsync = \"both\"\n");
        assert!(said.contains("this director would balance nothing"), "{said}");
    }

    #[test]
    fn what_the_kernel_cannot_synchronise_is_left_out_or_refused_where_it_was_asked_for() {
        let mixed = DIRECTORS.replace("192.0.2.1/24", "2001:db8::1/64");
        let mixed = mixed.replace("192.0.2.2/24", "2001:db8::2/64");
        let tunnel = "[vars]\nforward = \"tun\"\n";
        assert_eq!(daemons(&mixed, tunnel, true).0, words(&[]));
        let said = refusal(&mixed, &format!("{tunnel}sync = \"both\"\n"));
        assert!(said.contains("real servers of the other family"), "{said}");
    }

    #[test]
    fn over_ipv6_there_is_a_group_of_ipv6() {
        let hosts = DIRECTORS.replace("192.0.2.", "2001:db8::").replace("/24", "/64");
        let desired = desired(&hosts, "", false).unwrap_or_else(|d| panic!("{}", d.render(false)));
        let groups = desired.state.iter().filter_map(|(_, r)| match r {
            Resource::SyncDaemon(daemon) => daemon.group,
            _ => None,
        });
        assert_eq!(groups.collect::<Vec<_>>(), [IpAddr::V6(GROUP_V6); 2]);
    }

    #[test]
    fn an_id_is_a_number_that_tells_apart() {
        for wrong in ["0", "256", "x"] {
            let said = refusal(DIRECTORS, &format!("[vars]\nsync-id = \"{wrong}\"\n"));
            assert!(said.contains("it is a whole number from 1 to 255"), "{said}");
        }
        assert_ne!(made_from("shop"), made_from("shop2"));
        assert!((0..999).all(|n| made_from(&n.to_string()) != 0));
    }
}
