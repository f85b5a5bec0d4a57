//! What is in an image, and the name that follows from it. Pure.
//!
//! The name is a digest of everything that goes in: a changed recipe makes a new image beside the
//! old one, and an image of the right name needs no further look.

use ring::digest::{SHA256, digest};

/// What every machine of a lab can need: the software of all roles, and tools to look with.
const PACKAGES: &[&str] = &[
    "apache2",
    "arptables",
    "conntrack",
    "curl",
    "dbus",
    "ethtool",
    "iproute2",
    "iptables",
    "iputils-arping",
    "iputils-ping",
    "ipvsadm",
    "keepalived",
    "kmod",
    "less",
    "nfs-common",
    "nfs-kernel-server",
    "nftables",
    "nginx",
    "procps",
    "rpcbind",
    "socat",
    "systemd",
    "systemd-sysv",
    "tcpdump",
    "udev",
];

/// Characters of the digest in a name: 48 bits, for a handful of images.
const NAME_DIGITS: usize = 12;

/// The first process of a machine.
pub const INIT: &str = include_str!("guest/init.sh");
/// Turns a tree of packages into an image.
pub const CUSTOMIZE: &str = include_str!("guest/customize.sh");
/// The units that the lab adds, by file name.
pub const UNITS: [(&str, &str); 2] = [
    ("lab-agent.service", include_str!("guest/lab-agent.service")),
    ("lab-ready.service", include_str!("guest/lab-ready.service")),
];

/// Everything that decides what an image contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The Debian release, by its code name.
    pub suite: String,
    /// The version of the user-mode kernel, whose modules are in the image.
    pub kernel: String,
    /// Beyond what every lab has.
    pub extra_packages: Vec<String>,
}

impl Recipe {
    /// All packages, sorted, each once.
    pub fn packages(&self) -> Vec<&str> {
        let extra = self.extra_packages.iter().map(String::as_str);
        let mut packages: Vec<_> = PACKAGES.iter().copied().chain(extra).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// The name of the image, for example `bookworm-0f3c5a7d91b2`.
    pub fn name(&self) -> String {
        let units = UNITS.iter().map(|(_, text)| *text);
        let parts =
            [self.kernel.as_str(), INIT, CUSTOMIZE].into_iter().chain(units).chain(self.packages());
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend(part.as_bytes());
            bytes.push(0);
        }
        let digest = digest(&SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}", self.suite, &hex[..NAME_DIGITS])
    }
}

/// The `VERSION_CODENAME` of an `os-release` file.
pub fn codename(os_release: &str) -> Option<&str> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    let name = value.trim().trim_matches(['"', '\'']);
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(extra: &[&str]) -> Recipe {
        Recipe {
            suite: "bookworm".into(),
            kernel: "6.1.0".into(),
            extra_packages: extra.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_changed_recipe_has_another_name() {
        let plain = recipe(&[]).name();
        assert_eq!(plain.len(), "bookworm-".len() + NAME_DIGITS);
        assert_ne!(plain, recipe(&["ansible-core"]).name());
        assert_ne!(plain, Recipe { kernel: "6.2.0".into(), ..recipe(&[]) }.name());
    }

    #[test]
    fn the_order_of_extra_packages_does_not_matter() {
        assert_eq!(recipe(&["zsh", "vim", "curl"]).name(), recipe(&["vim", "zsh"]).name());
    }

    #[test]
    fn the_code_name_is_read_with_and_without_quotes() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n"), Some("trixie"));
        assert_eq!(codename("VERSION_CODENAME=\"noble\""), Some("noble"));
        assert_eq!(codename("VERSION_CODENAME=\n"), None);
        assert_eq!(codename("VERSION_CODENAME=a;b\n"), None);
        assert_eq!(codename("ID=arch\n"), None);
    }
}
