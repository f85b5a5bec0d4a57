//! An address on an interface; the VIP is one.
//!
//! Ours carry [`MARK`](crate::host::netlink::MARK) as `IFA_PROTO`. Kernels before 5.18 drop it, so
//! the ledger remembers them too; both last exactly until the next boot. An address that somebody
//! else put there serves as well as ours, if its label is the wanted one, and is never removed.

use std::collections::BTreeSet;
use std::path::Path;

use ipnet::IpNet;
use nix::errno::Errno;
use serde::Serialize;

use super::{Ensure, Kind, Kinds, Memory, ResourceKind, Scope};
use crate::host::netlink::{FoundAddress, Netlink};
use crate::host::{FileError, Foreign, Host, HostError, ledger};

/// For each interface whose `promote_secondaries` is changed for a moment, what it was.
const BORROWED: &str = "/run/converge/promote-secondaries";

/// An address on an interface, marked as ours by `IFA_PROTO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Address and prefix length.
    pub address: IpNet,
    /// The interface.
    pub interface: String,
    /// The label that ifconfig(8) shows, `lo:0`; IPv4 only, at most 15 bytes.
    pub label: Option<String>,
}

impl Address {
    /// The label, where it says more than the interface's name does.
    fn label(&self) -> Option<&str> {
        telling(self.label.as_deref(), &self.interface)
    }

    fn is(&self, found: &FoundAddress) -> bool {
        self.address == found.address && self.interface == found.interface
    }
}

/// The kernel labels an address with the interface's name when it is given no label.
fn telling<'a>(label: Option<&'a str>, interface: &str) -> Option<&'a str> {
    label.filter(|l| *l != interface)
}

fn from_kernel(found: &FoundAddress) -> Address {
    Address {
        address: found.address,
        interface: found.interface.clone(),
        label: telling(found.label.as_deref(), &found.interface).map(str::to_owned),
    }
}

/// What of the kernel's addresses concerns us.
fn concerning(found: &[FoundAddress], scope: &Scope<'_, Address>) -> Vec<Address> {
    let wanted = |f: &FoundAddress| scope.wanted.iter().find(|w| w.is(f));
    let seen = |f: &FoundAddress| match wanted(f) {
        Some(w) if w.label() == telling(f.label.as_deref(), &f.interface) => Some((*w).clone()),
        Some(_) => Some(from_kernel(f)),
        None if is_ours(f, &scope.ours) => Some(from_kernel(f)),
        None => None,
    };
    found.iter().filter_map(seen).collect()
}

fn is_ours(found: &FoundAddress, entered: &BTreeSet<&str>) -> bool {
    found.marked || entered.contains(from_kernel(found).name().as_str())
}

impl ResourceKind for Address {
    const KIND: Kind = Kind::Address;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        format!("{} on {}", self.address, self.interface)
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let found = host.netlink().await?.addresses().await?;
        Ok(concerning(&found, scope))
    }

    async fn recover(host: &Host) -> Result<(), HostError> {
        for interface in host.files().list(BORROWED)? {
            give_back(host, &interface)?;
        }
        Ok(())
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(match change.before {
                None => add(host, change.after).await,
                Some(_) => relabel(host, change.after).await,
            });
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for address in gone {
            results.push(delete(host, address).await);
        }
        results
    }
}

async fn add(host: &Host, wanted: &Address) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    let Address { address, interface, .. } = wanted;
    match netlink.add_address(*address, interface, wanted.label()).await {
        // Somebody was quicker; the next look says whether theirs will do.
        Err(e) if e.errno() == Some(Errno::EEXIST) => Ok(()),
        other => Ok(other?),
    }
}

/// The kernel cannot change a label: the address goes and comes back.
async fn relabel(host: &Host, wanted: &Address) -> Result<(), HostError> {
    let found = host.netlink().await?.addresses().await?;
    let Some(standing) = found.iter().find(|f| wanted.is(f)) else {
        return add(host, wanted).await;
    };
    let ledger = ledger::read(host.files(), Kinds::Only(Kind::Address))?;
    let entered = ledger.get(&Kind::Address).into_iter().flatten().map(String::as_str).collect();
    if !is_ours(standing, &entered) {
        let label = standing.label.as_deref().unwrap_or("none");
        return Err(Foreign {
            wanted: wanted.name(),
            stands: format!("the same address with label {label}"),
        }
        .into());
    }
    delete(host, wanted).await?;
    add(host, wanted).await
}

async fn delete(host: &Host, address: &Address) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    if !has_secondaries(netlink, address).await? {
        return Ok(netlink.delete_address(address.address, &address.interface).await?);
    }
    // Without this the kernel takes every other address of the subnet along.
    borrow(host, &address.interface)?;
    let deleted = netlink.delete_address(address.address, &address.interface).await;
    give_back(host, &address.interface)?;
    Ok(deleted?)
}

fn promote_secondaries(interface: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries")
}

/// Has the kernel promote secondary addresses for now. What was set is written down first, for the
/// next run if this one is killed.
fn borrow(host: &Host, interface: &str) -> Result<(), FileError> {
    let path = promote_secondaries(interface);
    let standing = host.files().read_text(&path)?.unwrap_or_default();
    let note = Path::new(BORROWED).join(interface);
    host.files().replace(note, standing.as_bytes(), Some(0o600), None)?;
    host.files().write_in_place(&path, "1\n")
}

/// Sets it to what it was; does nothing if nothing was written down.
fn give_back(host: &Host, interface: &str) -> Result<(), FileError> {
    let note = Path::new(BORROWED).join(interface);
    let Some(standing) = host.files().read_text(&note)? else {
        return Ok(());
    };
    let path = promote_secondaries(interface);
    // The interface may be gone.
    if host.files().read_text(&path)?.is_some() {
        host.files().write_in_place(&path, &standing)?;
    }
    host.files().remove(&note)
}

/// Whether other addresses of the subnet hang on this one.
async fn has_secondaries(netlink: &Netlink, address: &Address) -> Result<bool, HostError> {
    let IpNet::V4(net) = address.address else {
        return Ok(false);
    };
    if net.prefix_len() == 32 {
        return Ok(false);
    }
    let found = netlink.addresses().await?;
    Ok(found.iter().any(|f| {
        f.secondary
            && f.interface == address.interface
            && f.address != address.address
            && f.address.trunc() == address.address.trunc()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;

    fn found(address: &str, label: Option<&str>, marked: bool) -> FoundAddress {
        FoundAddress {
            address: address.parse().expect("a prefix"),
            interface: "lo".into(),
            label: label.map(str::to_owned),
            marked,
            vip: false,
            leased: false,
            secondary: false,
        }
    }

    fn address(text: &str, label: Option<&str>) -> Address {
        Address {
            address: text.parse().expect("a prefix"),
            interface: "lo".into(),
            label: label.map(str::to_owned),
        }
    }

    fn see(found: &[FoundAddress], wanted: &[&Address], ours: &[&str]) -> Vec<Address> {
        concerning(found, &Scope { wanted, ours: ours.iter().copied().collect() })
    }

    #[test]
    fn a_foreign_address_is_invisible_unless_it_is_wanted() {
        let kernel = [found("127.0.0.1/8", Some("lo"), false)];
        assert!(see(&kernel, &[], &[]).is_empty());
        let wanted = address("127.0.0.1/8", None);
        assert_eq!(see(&kernel, &[&wanted], &[]), [wanted]);
    }

    #[test]
    fn ours_are_found_by_their_mark_or_by_the_ledger() {
        let kernel =
            [found("192.0.2.1/32", Some("lo:0"), true), found("192.0.2.2/32", Some("lo"), false)];
        let ours = [address("192.0.2.1/32", Some("lo:0")), address("192.0.2.2/32", None)];
        assert_eq!(see(&kernel, &[], &[]), ours[..1]);
        assert_eq!(see(&kernel, &[], &["192.0.2.2/32 on lo"]), ours);
    }

    #[test]
    fn the_interface_name_as_label_is_no_label() {
        let wanted = address("192.0.2.1/32", Some("lo"));
        assert_eq!(see(&[found("192.0.2.1/32", None, true)], &[&wanted], &[]), [wanted]);
    }

    #[test]
    fn another_label_is_a_difference() {
        let wanted = address("192.0.2.1/32", Some("lo:0"));
        let seen = see(&[found("192.0.2.1/32", Some("lo"), true)], &[&wanted], &[]);
        assert_eq!(seen, [address("192.0.2.1/32", None)]);
    }

    #[test]
    fn a_sysctl_that_a_killed_run_changed_is_as_it_was_after_the_next() {
        let scratch = Scratch::new();
        let path = promote_secondaries("eth0");
        scratch.write(&path, "0\n");
        borrow(&scratch.host(), "eth0").expect("can be written");
        borrow(&scratch.host(), "gone").expect_err("there is no such interface");
        assert_eq!(scratch.read(&path).as_deref(), Some("1\n"));
        for _ in 0..2 {
            recovered(&scratch);
            assert_eq!(scratch.read(&path).as_deref(), Some("0\n"));
            assert!(scratch.names(BORROWED).is_empty());
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn recovered(scratch: &Scratch) {
        Address::recover(&scratch.host()).await.expect("can be written");
    }
}
