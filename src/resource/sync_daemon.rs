//! A kernel thread that sends or takes in the connections of the IPVS table, so that established
//! ones survive the move of a VIP.
//!
//! One of each state can run in a network namespace, and there is no changing one: it is stopped
//! and started. The kernel has no field for whose it is: the ledger remembers ours. One that
//! somebody else started (keepalived, say) and that is as wanted serves; one with other settings is
//! left alone and named.
//!
//! It stands behind the virtual servers in the order, because a connection taken in finds its real
//! server only if that is there, and because the kernel lets no daemon start while a real server is
//! not of its virtual server's family.

use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU8, NonZeroU16};

use super::{Ensure, Kind, Kinds, Memory, ResourceKind, Scope};
use crate::host::ipvs::Client;
use crate::host::{Foreign, Host, HostError, IpvsError, ledger};
use crate::ipvs::Command;
pub use crate::ipvs::SyncDaemon;

/// What the kernel takes where nothing is asked for (`IP_VS_SYNC_GROUP`, `IP_VS_SYNC_PORT`).
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
const PORT: Option<NonZeroU16> = NonZeroU16::new(8848);
const TTL: Option<NonZeroU8> = NonZeroU8::new(1);

/// What runs, in the words of what is wanted: the kernel fills in what was left open, and says so.
fn seen(running: SyncDaemon, wanted: &SyncDaemon) -> SyncDaemon {
    let open = |group: &IpAddr| wanted.group.is_some() || *group != GROUP;
    SyncDaemon {
        // It follows from the MTU of the interface, so it is nothing that could be held against it.
        max_length: wanted.max_length.and(running.max_length),
        group: running.group.filter(open),
        port: running.port.filter(|_| wanted.port.is_some() || running.port != PORT),
        ttl: running.ttl.filter(|_| wanted.ttl.is_some() || running.ttl != TTL),
        ..running
    }
}

impl ResourceKind for SyncDaemon {
    const KIND: Kind = Kind::SyncDaemon;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        self.state.word().to_owned()
    }

    async fn observe(_host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        if scope.wanted.is_empty() && scope.ours.is_empty() {
            return Ok(Vec::new());
        }
        let Some(mut client) = Client::open_loaded()? else { return Ok(Vec::new()) };
        let covered = client.daemons()?.into_iter().filter(|d| scope.covers(&d.name()));
        let wanted = |running: &SyncDaemon| scope.wanted.iter().find(|w| w.state == running.state);
        Ok(covered.map(|d| wanted(&d).map_or(d, |w| seen(d, w))).collect())
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        changes.iter().map(|change| bring_about(host, change)).collect()
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        gone.iter().map(|daemon| stop(daemon)).collect()
    }
}

fn bring_about(host: &Host, change: &Ensure<'_, SyncDaemon>) -> Result<(), HostError> {
    if let Some(before) = change.before {
        let ours = ledger::read(host.files(), Kinds::Only(Kind::SyncDaemon))?;
        if !ours.get(&Kind::SyncDaemon).is_some_and(|names| names.contains(&before.name())) {
            return Err(foreign(change.after, before).into());
        }
        stop(before)?;
    }
    run(Command::NewDaemon(*change.after))
}

fn stop(daemon: &SyncDaemon) -> Result<(), HostError> {
    match run(Command::DelDaemon(daemon.state)) {
        Err(HostError::Ipvs(IpvsError::Refused(refusal))) if refusal.gone_already() => Ok(()),
        other => other,
    }
}

fn run(command: Command) -> Result<(), HostError> {
    let results = Client::open()?.apply(&[command]);
    Ok(results.into_iter().collect::<Result<(), _>>()?)
}

fn foreign(wanted: &SyncDaemon, stands: &SyncDaemon) -> Foreign {
    let says = |d: &SyncDaemon| {
        let optional = |word: &str, value: Option<String>| {
            value.map(|value| format!(", {word} {value}")).unwrap_or_default()
        };
        format!(
            "synchronisation {} on {} with id {}{}{}{}{}",
            d.state.word(),
            d.interface,
            d.sync_id,
            optional("longest message", d.max_length.map(|n| n.to_string())),
            optional("group", d.group.map(|a| a.to_string())),
            optional("port", d.port.map(|n| n.to_string())),
            optional("ttl", d.ttl.map(|n| n.to_string())),
        )
    };
    Foreign { wanted: format!("the {}", says(wanted)), stands: format!("a {}", says(stands)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::SyncState;

    fn daemon() -> SyncDaemon {
        SyncDaemon {
            state: SyncState::Master,
            interface: "eth0".parse().expect("a name"),
            sync_id: 51,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        }
    }

    /// As the kernel shows it once it runs.
    fn running() -> SyncDaemon {
        let max_length = NonZeroU16::new(1472);
        SyncDaemon { max_length, group: Some(GROUP), port: PORT, ttl: TTL, ..daemon() }
    }

    #[test]
    fn what_the_kernel_chose_is_what_was_left_open() {
        assert_eq!(seen(running(), &daemon()), daemon());
        let written_out = SyncDaemon { max_length: None, ..running() };
        assert_eq!(seen(running(), &written_out), written_out);
    }

    #[test]
    fn what_differs_from_the_kernels_choice_is_seen() {
        let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 99)));
        for other in [
            SyncDaemon { group: elsewhere, ..running() },
            SyncDaemon { port: NonZeroU16::new(8849), ..running() },
            SyncDaemon { ttl: NonZeroU8::new(7), ..running() },
            SyncDaemon { sync_id: 52, ..running() },
            SyncDaemon { interface: "eth1".parse().expect("a name"), ..running() },
        ] {
            assert_ne!(seen(other, &daemon()), daemon(), "{other:?}");
        }
        let shorter = SyncDaemon { max_length: NonZeroU16::new(1024), ..daemon() };
        assert_ne!(seen(running(), &shorter), shorter);
    }

    #[test]
    fn a_foreign_one_is_named_with_its_settings() {
        let port = NonZeroU16::new(8849);
        let foreign = foreign(&daemon(), &SyncDaemon { sync_id: 7, port, ..daemon() });
        let said = foreign.to_string();
        assert!(said.contains("the synchronisation master on eth0 with id 51: a"), "{said}");
        assert!(said.contains("a synchronisation master on eth0 with id 7, port 8849"), "{said}");
    }
}
