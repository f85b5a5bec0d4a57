//! A kernel parameter under `/proc/sys`.
//!
//! The key is written with dots; a dot inside an interface name is written as a slash
//! (`net.ipv4.conf.eth0/100.arp_ignore`), as sysctl(8) does. A parameter is never removed: there is
//! no absent value to go back to. White space inside a value is compared as the kernel prints it,
//! one tab or blank being as good as another.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A kernel parameter and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// The key with dots, for example `net.ipv4.ip_forward`.
    pub key: String,
    /// The value as text; several numbers are separated by one blank.
    pub value: String,
}

impl Sysctl {
    /// The file under `/proc/sys` that holds it.
    pub fn path(&self) -> String {
        let swapped: String = self.key.chars().map(swap_separator).collect();
        format!("/proc/sys/{swapped}")
    }
}

/// A key of one interface: `net.ipv4.conf.INTERFACE.NAME`. A dot in the interface's name (a VLAN)
/// is written as a slash.
pub fn of_interface(family: &str, interface: &str, name: &str) -> String {
    format!("net.{family}.conf.{}.{name}", interface.replace('.', "/"))
}

fn swap_separator(c: char) -> char {
    match c {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}

fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the kernel prints, in the wanted words where only white space differs.
fn seen(wanted: &Sysctl, text: &str) -> Sysctl {
    let value = match normal(text) {
        value if value == normal(&wanted.value) => wanted.value.clone(),
        value => value,
    };
    Sysctl { key: wanted.key.clone(), value }
}

impl ResourceKind for Sysctl {
    const KIND: Kind = Kind::Sysctl;
    const MEMORY: Memory = Memory::Never;

    fn name(&self) -> String {
        self.key.clone()
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let mut found = Vec::new();
        for wanted in scope.wanted {
            if let Some(text) = host.files().read_text(wanted.path())? {
                found.push(seen(wanted, &text));
            }
        }
        Ok(found)
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let write = |c: &Ensure<'_, Self>| {
            Ok(host.files().write_in_place(c.after.path(), &format!("{}\n", c.after.value))?)
        };
        changes.iter().map(write).collect()
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        gone.iter().map(|_| Ok(())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_an_interface_name_survives() {
        let sysctl = Sysctl { key: "net.ipv4.conf.eth0/100.arp_ignore".into(), value: "1".into() };
        assert_eq!(sysctl.path(), "/proc/sys/net/ipv4/conf/eth0.100/arp_ignore");
    }

    #[test]
    fn tabs_between_numbers_do_not_count_as_a_difference() {
        for value in ["3 50", "3\t50", "  3  50"] {
            let wanted = Sysctl { key: "a".into(), value: value.into() };
            assert_eq!(seen(&wanted, "3\t50\n"), wanted);
            assert_eq!(seen(&wanted, "3\t60\n").value, "3 60");
        }
    }
}
