//! Names in a cluster file: types that cannot hold a wrong one.
//!
//! They are stricter than the kernel where a name also becomes part of a file name or of a
//! template's path: small letters, digits and dashes.

use std::borrow::Borrow;
use std::fmt;

use serde::Serialize;

use crate::document::Value;

/// The longest interface name that the kernel takes: IFNAMSIZ less the closing null byte.
const LONGEST_INTERFACE: usize = 15;

/// The longest label of a host name (RFC 1123 section 2.1, RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// The longest host name (RFC 1123 section 2.1, RFC 1035 section 2.3.4).
const LONGEST_HOST_NAME: usize = 253;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Value for $name {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, String> {
                $check(text).map(|()| $name(text.to_owned()))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A host's name as RFC 1123 has it, in small letters.
    HostName, "a host name", host_name
);
name!(
    /// A name that the author gives a VIP, a cluster or a role: a word.
    Word, "a word of letters, digits and dashes", word
);
name!(
    /// A network interface's name as the kernel takes it.
    InterfaceName, "an interface name", interface_name
);
name!(
    /// A label that ifconfig(8) shows in place of the interface: `ens33:0`.
    Label, "an interface label such as `ens33:0`", label
);
name!(
    /// An Ethernet address, six bytes in hexadecimal with colons, in small letters.
    MacAddress, "an Ethernet address such as 52:54:00:12:34:56", mac_address
);

/// The name of a VIP.
pub type VipName = Word;

/// The name of a role: that of its file, without `.toml`.
pub type RoleName = Word;

impl HostName {
    /// The part before the first dot.
    pub fn short(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl Label {
    /// The interface that it belongs to.
    pub fn interface(&self) -> &str {
        self.0.split(':').next().unwrap_or(&self.0)
    }
}

fn host_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a host name cannot be empty".into());
    }
    if text.len() > LONGEST_HOST_NAME {
        return Err(format!("a host name has at most {LONGEST_HOST_NAME} characters"));
    }
    for part in text.split('.') {
        if part.is_empty() || part.len() > LONGEST_LABEL {
            return Err(format!(
                "`{text}` is not a host name: each part between dots has 1 to {LONGEST_LABEL} \
                 characters"
            ));
        }
        letters(text, part, "a host name")?;
    }
    Ok(())
}

fn word(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > LONGEST_LABEL {
        return Err(format!("a name has 1 to {LONGEST_LABEL} characters"));
    }
    letters(text, &text.replace('_', "-"), "a name")
}

/// Small letters, digits and dashes, no dash at either end.
fn letters(whole: &str, part: &str, what: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(wrong) = part.chars().find(|c| !allowed(*c)) {
        let lower = whole.to_lowercase();
        return Err(if wrong.is_ascii_uppercase() {
            format!("`{whole}` is not {what} here: write it in small letters, `{lower}`")
        } else if wrong == '_' {
            format!("`{whole}` is not {what}: write a dash for `_`, `{}`", lower.replace('_', "-"))
        } else {
            format!("`{whole}` is not {what}: `{wrong}` is none of a to z, 0 to 9 and dash")
        });
    }
    if part.starts_with('-') || part.ends_with('-') {
        return Err(format!("`{whole}` is not {what}: a dash stands at the end or the start"));
    }
    Ok(())
}

fn interface_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > LONGEST_INTERFACE {
        return Err(format!(
            "`{text}` is not an interface name: it has 1 to {LONGEST_INTERFACE} bytes"
        ));
    }
    if text == "." || text == ".." {
        return Err(format!("`{text}` is not an interface name"));
    }
    match text.chars().find(|c| *c == '/' || *c == ':' || c.is_whitespace() || c.is_control()) {
        Some(':') => Err(format!(
            "`{text}` is a label, not an interface name; the interface is `{}`",
            text.split(':').next().unwrap_or(text)
        )),
        Some(wrong) => Err(format!("`{text}` is not an interface name: it cannot hold `{wrong}`")),
        None => Ok(()),
    }
}

fn label(text: &str) -> Result<(), String> {
    if text.len() > LONGEST_INTERFACE {
        return Err(format!("`{text}` is too long for a label: at most {LONGEST_INTERFACE} bytes"));
    }
    match text.split_once(':') {
        Some((interface, rest)) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            interface_name(interface)
        }
        Some(_) | None => Err(format!(
            "`{text}` is not a label: it is the interface, a colon and a word, such as `ens33:0`"
        )),
    }
}

fn mac_address(text: &str) -> Result<(), String> {
    let bytes: Vec<&str> = text.split(':').collect();
    let byte = |part: &&str| {
        part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if bytes.len() == 6 && bytes.iter().all(byte) {
        return Ok(());
    }
    let normal = text.to_lowercase().replace('-', ":");
    let meant = normal != text && mac_address(&normal).is_ok();
    let hint = if meant { format!("; write `{normal}`") } else { String::new() };
    Err(format!("`{text}` is not an Ethernet address such as `52:54:00:12:34:56`{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T: Value + fmt::Debug>(text: &str) -> String {
        T::parse(text).err().unwrap_or_default()
    }

    #[test]
    fn a_host_name_is_what_rfc_1123_says() {
        for name in ["web1", "web-1.example.com", "1", "3com"] {
            assert_eq!(said::<HostName>(name), "");
        }
        let cases = [
            ("", "a host name cannot be empty"),
            ("Web1", "`Web1` is not a host name here: write it in small letters, `web1`"),
            ("web_1", "`web_1` is not a host name: write a dash for `_`, `web-1`"),
            ("web 1", "`web 1` is not a host name: ` ` is none of a to z, 0 to 9 and dash"),
            ("-web", "`-web` is not a host name: a dash stands at the end or the start"),
        ];
        for (name, wrong) in cases {
            assert_eq!(said::<HostName>(name), wrong);
        }
        assert!(said::<HostName>("web..com").contains("1 to 63"));
        assert!(said::<HostName>(&"a".repeat(64)).contains("1 to 63"));
        assert!(said::<HostName>(&"a.".repeat(127)).contains("at most 253"));
    }

    #[test]
    fn an_interface_name_is_what_the_kernel_takes() {
        for name in ["ens33", "eth0.100", "lo", "a23456789012345"] {
            assert_eq!(said::<InterfaceName>(name), "");
        }
        for name in ["", "a234567890123456", "a b", "a/b", "..", "lo:0"] {
            assert_ne!(said::<InterfaceName>(name), "", "{name:?}");
        }
        assert!(said::<InterfaceName>("lo:0").ends_with("the interface is `lo`"));
    }

    #[test]
    fn a_label_begins_with_its_interface() {
        assert_eq!(Label::parse("ens33:1").map(|l| l.interface().to_owned()), Ok("ens33".into()));
        for label in ["ens33", "ens33:", ":0", "enp130s0f0np0:00"] {
            assert_ne!(said::<Label>(label), "", "{label:?}");
        }
    }

    #[test]
    fn an_ethernet_address_is_asked_for_in_its_usual_form() {
        assert_eq!(said::<MacAddress>("52:54:00:12:34:5f"), "");
        assert!(said::<MacAddress>("52-54-00-12-34-5F").ends_with("write `52:54:00:12:34:5f`"));
        assert_ne!(said::<MacAddress>("52:54:00:12:34"), "");
    }
}
