//! The text of a mount unit, both ways, and the name that systemd wants for it. Pure.
//!
//! A file of ours is known by its mark. Two files declare the same mount if what is mounted, where,
//! as which type and with which options is the same; anything else in them is for people.

use std::path::{Path, PathBuf};

use super::{Mount, MountError};

/// The line by which we know our own files.
const MARK: &str = "X-Converge=mount";
/// Long enough for a server that is just booting; mount.nfs itself would try for two minutes.
const TIMEOUT: &str = "TimeoutSec=30";
/// File systems that need the network before they can be mounted.
const NETWORK: [&str; 7] = ["9p", "ceph", "cifs", "glusterfs", "nfs", "nfs4", "smb3"];

/// What a unit file of ours declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) mount_point: PathBuf,
    pub(super) what: String,
    pub(super) fs_type: String,
    /// All of them, with those that [`options`] adds.
    pub(super) options: String,
}

/// The unit's name for a mount point, as `systemd-escape --path --suffix=mount` makes it.
pub(super) fn name(mount_point: &Path) -> String {
    let text = mount_point.as_os_str().as_encoded_bytes();
    let parts: Vec<String> =
        text.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").map(escape).collect();
    let mut name = if parts.is_empty() { "-".to_owned() } else { parts.join("-") };
    if let Some(rest) = name.strip_prefix('.') {
        name = format!("\\x2e{rest}");
    }
    name + ".mount"
}

fn escape(part: &[u8]) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'.');
    part.iter()
        .map(|&b| if plain(b) { char::from(b).to_string() } else { format!("\\x{b:02x}") })
        .collect()
}

/// The wanted options and what systemd needs to know: that it waits for the network, and that the
/// boot does not wait for it.
pub(super) fn options(mount: &Mount) -> String {
    let mut all: Vec<&str> = mount.options.split(',').filter(|o| !o.is_empty()).collect();
    let network = NETWORK.contains(&mount.fs_type.as_str());
    for extra in ["_netdev", "nofail"] {
        if !all.contains(&extra) && (network || extra != "_netdev") {
            all.push(extra);
        }
    }
    all.join(",")
}

/// A unit file is lines, and a backslash at the end of one joins it with the next.
pub(super) fn writable(mount: &Mount) -> Result<(), MountError> {
    let point = mount.mount_point.display().to_string();
    for value in [&point, &mount.what, &mount.fs_type, &mount.options] {
        if value.ends_with('\\') || value.chars().any(char::is_control) {
            return Err(MountError::Unwritable { value: value.clone() });
        }
    }
    Ok(())
}

/// The whole file.
pub(super) fn render(mount: &Mount) -> String {
    let percent = |text: &str| text.replace('%', "%%");
    let point = percent(&mount.mount_point.display().to_string());
    let what = percent(&mount.what);
    format!(
        "# Written by converge, which puts it back when it is changed and removes it when no role\n\
         # wants it.\n\
         [Unit]\n\
         Description={what} on {point}\n\
         {MARK}\n\
         \n\
         [Mount]\n\
         What={what}\n\
         Where={point}\n\
         Type={}\n\
         Options={}\n\
         {TIMEOUT}\n",
        percent(&mount.fs_type),
        percent(&options(mount)),
    )
}

/// What a file of ours declares; `None` if it is not ours or not whole.
pub(super) fn parse(text: &str) -> Option<Declared> {
    let lines = || text.lines().map(str::trim);
    if !lines().any(|line| line == MARK) {
        return None;
    }
    let value = |key: &str| {
        let found = lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix('=')).next_back();
        found.map(|v| v.replace("%%", "%"))
    };
    Some(Declared {
        mount_point: value("Where")?.into(),
        what: value("What")?,
        fs_type: value("Type").unwrap_or_default(),
        options: value("Options").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mount(mount_point: &str, what: &str, fs_type: &str, options: &str) -> Mount {
        Mount {
            mount_point: mount_point.into(),
            what: what.into(),
            fs_type: fs_type.into(),
            options: options.into(),
            mounted: true,
        }
    }

    #[test]
    fn unit_names_are_those_of_systemd_escape() {
        let cases = [
            ("/", "-.mount"),
            ("/var/www/html", "var-www-html.mount"),
            ("/var//www/", "var-www.mount"),
            ("/srv/a-b c", r"srv-a\x2db\x20c.mount"),
            ("/.hidden/.x", r"\x2ehidden-.x.mount"),
            ("/opt/ü", r"opt-\xc3\xbc.mount"),
            ("/a/./b:c_d", "a-b:c_d.mount"),
        ];
        for (path, expected) in cases {
            assert_eq!(name(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_network_file_system_waits_for_the_network_and_no_boot_waits_for_it() {
        assert_eq!(options(&mount("/a", "h:/b", "nfs4", "ro")), "ro,_netdev,nofail");
        assert_eq!(options(&mount("/a", "h:/b", "nfs4", "_netdev")), "_netdev,nofail");
        assert_eq!(options(&mount("/a", "tmpfs", "tmpfs", "")), "nofail");
    }

    #[test]
    fn a_newline_cannot_smuggle_a_line_into_the_file() {
        assert!(writable(&mount("/a", "h:/b", "nfs4", "ro\nLazyUnmount=yes")).is_err());
        assert!(writable(&mount("/a", "h:/b\\", "nfs4", "")).is_err());
        assert!(writable(&mount("/a b", "h:/b", "nfs4", "ro")).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            point in "/[a-z%/. -]{0,12}[a-z]",
            what in "[a-z%:/]{1,12}",
            options_text in "[a-z,%=]{0,12}",
        ) {
            let wanted = mount(&point, &what, "nfs", &options_text);
            let declared = parse(&render(&wanted));
            let expected = Declared {
                mount_point: point.into(),
                what,
                fs_type: "nfs".into(),
                options: options(&wanted),
            };
            prop_assert_eq!(declared, Some(expected));
        }

        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            prop_assert!(parse(&text).is_none() || text.contains(MARK));
        }

        #[test]
        fn any_path_has_a_name_that_systemd_takes(path in "/\\PC{0,20}") {
            let name = name(Path::new(&path));
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'/'));
            prop_assert!(!name.starts_with('.'));
        }
    }
}
