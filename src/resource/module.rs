//! A kernel module that is loaded, or built into the kernel.
//!
//! Loading goes through modprobe(8), which knows dependencies and what the host's administrator
//! has forbidden. A module is never unloaded: others may use it, and IPVS connections live in it.

use std::path::Path;

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{CommandError, Host, HostError, command};

/// A kernel module that is loaded (or built in).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Module {
    /// The module's name as modprobe(8) takes it, with underscores: `ip_vs_rr`.
    pub module: String,
}

/// The kernel has no such module, neither built in nor on the disk.
#[derive(Debug, thiserror::Error)]
#[error("kernel {release} has no module {module}")]
pub struct NoModule {
    /// The module.
    pub module: String,
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// What modprobe said.
    pub source: CommandError,
}

impl NoModule {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        let option = match option(&self.module) {
            Some(option) => format!("a kernel with CONFIG_{option}=m or =y has it"),
            None => "another kernel may have it".to_owned(),
        };
        format!("{option}; {}", package(&self.release, &self.module))
    }
}

/// The kernel's configuration option that a module comes from.
fn option(module: &str) -> Option<String> {
    const OPTIONS: &[(&str, &str)] = &[
        ("arp_tables", "IP_NF_ARPTABLES"),
        ("arpt_mangle", "IP_NF_ARP_MANGLE"),
        ("arptable_filter", "IP_NF_ARPFILTER"),
        ("dummy", "DUMMY"),
        ("fou", "NET_FOU"),
        ("ip_gre", "NET_IPGRE"),
        ("ip_tables", "IP_NF_IPTABLES"),
        ("ipip", "NET_IPIP"),
        ("iptable_nat", "IP_NF_NAT"),
        ("nf_conntrack", "NF_CONNTRACK"),
        ("nfs", "NFS_FS"),
        ("nfsd", "NFSD"),
        ("nfsv4", "NFS_V4"),
        ("xt_ipvs", "NETFILTER_XT_MATCH_IPVS"),
    ];
    if module.starts_with("ip_vs") {
        return Some(module.to_uppercase());
    }
    OPTIONS.iter().find(|(m, _)| *m == module).map(|(_, option)| (*option).to_owned())
}

/// The package that has a fuller set of modules, told from the kernel's release.
fn package(release: &str, module: &str) -> String {
    if release.ends_with("-kvm") {
        return "Ubuntu's minimal kernel leaves it out: install linux-generic and boot it".into();
    }
    if release.contains(".el") || release.contains(".fc") {
        let packages = "kernel-modules and kernel-modules-extra";
        return format!("packages {packages} of the same version have more modules");
    }
    let removed = "if the kernel was upgraded and not booted yet, its modules may be gone: reboot";
    format!(
        "`find /lib/modules -name '{module}.ko*'` shows whether another kernel has it; {removed}"
    )
}

impl ResourceKind for Module {
    const KIND: Kind = Kind::Module;
    const MEMORY: Memory = Memory::Never;

    fn name(&self) -> String {
        self.module.clone()
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let mut found = Vec::new();
        let mut built_in = None;
        for wanted in scope.wanted {
            let name = wanted.module.replace('-', "_");
            if host.files().real(Path::new("/sys/module").join(&name)).exists() {
                found.push((*wanted).clone());
                continue;
            }
            let built_in = match &built_in {
                Some(text) => text,
                None => built_in.insert(read_built_in(host)?),
            };
            if lists(built_in, &name) {
                found.push((*wanted).clone());
            }
        }
        Ok(found)
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(load(host, &change.after.module).await);
        }
        results
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        gone.iter().map(|_| Ok(())).collect()
    }
}

async fn load(host: &Host, module: &str) -> Result<(), HostError> {
    match command::run(&["modprobe", "--", module]).await {
        Ok(_) => Ok(()),
        Err(source @ CommandError::Failed { .. }) if says_not_found(&source) => {
            let release = release(host)?;
            Err(NoModule { module: module.to_owned(), release, source }.into())
        }
        Err(other) => Err(other.into()),
    }
}

/// modprobe has one exit status for every failure; the sentence is the same since 2012.
fn says_not_found(error: &CommandError) -> bool {
    error.to_string().contains("not found")
}

fn release(host: &Host) -> Result<String, HostError> {
    let text = host.files().read_text("/proc/sys/kernel/osrelease")?;
    Ok(text.unwrap_or_default().trim().to_owned())
}

/// The list of what is built in; a kernel without modules has none.
fn read_built_in(host: &Host) -> Result<String, HostError> {
    let path = format!("/lib/modules/{}/modules.builtin", release(host)?);
    Ok(host.files().read_text(path)?.unwrap_or_default())
}

/// Whether `modules.builtin` has `name`; file names have dashes or underscores as it pleased.
fn lists(built_in: &str, name: &str) -> bool {
    let stem = |line: &str| {
        let file = line.rsplit('/').next().unwrap_or(line);
        file.trim().strip_suffix(".ko").map(|stem| stem.replace('-', "_"))
    };
    built_in.lines().filter_map(stem).any(|stem| stem == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_module_is_found_under_either_spelling() {
        let list = "kernel/net/ipv4/ipip.ko\nkernel/drivers/net/ip-vs.ko\n";
        assert!(lists(list, "ipip") && lists(list, "ip_vs"));
        assert!(!lists(list, "ip"));
    }

    #[test]
    fn a_missing_ip_vs_names_the_option_and_on_ubuntu_the_package() {
        let missing = |release: &str| NoModule {
            module: "ip_vs_rr".into(),
            release: release.into(),
            source: CommandError::Missing { program: "modprobe".into() },
        };
        let hint = missing("5.15.0-1054-kvm").hint();
        assert!(hint.contains("CONFIG_IP_VS_RR") && hint.contains("install linux-generic"));
        assert!(missing("5.14.0-503.el9.x86_64").hint().contains("kernel-modules"));
    }
}
