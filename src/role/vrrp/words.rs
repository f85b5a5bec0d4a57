//! The words of `[[vrrp]]`, and the VRID that follows from names.
//!
//! Every tutorial has the same VRID, so two clusters on one link that were both copied from it
//! take each other's VIPs for their own. Where none is given it is derived from the names of
//! cluster and router: the same on every host of the cluster, and mostly another in another one.

use std::num::NonZeroU8;
use std::time::Duration;

use crate::document::{Value, one_of};
use crate::vrrp::config::{Checksum, Preempt, Transport, Version};

/// The words for [`Transport`].
pub(super) const TRANSPORTS: &[&str] = &["unicast", "multicast"];
/// The words for [`Checksum`].
pub(super) const CHECKSUMS: &[&str] = &["pseudo-header", "message"];
/// The words for [`FamilyChoice`].
pub(super) const FAMILIES: &[&str] = &["auto", "ipv4", "ipv6"];

/// The longest name of a router: it becomes an argument, a log field and a line of a status.
const LONGEST_NAME: usize = 63;

/// The name of a virtual router.
#[derive(Clone, Debug)]
pub struct RouterName(pub String);

impl Value for RouterName {
    const WHAT: &'static str = "a router's name";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST_NAME {
            return Err(format!("a router's name has 1 to {LONGEST_NAME} characters"));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        match text.chars().find(|c| !allowed(c)) {
            Some(wrong) => Err(format!(
                "`{text}` is not a router's name: `{wrong}` is no letter, digit, dash, dot or `_`"
            )),
            None => Ok(RouterName(text.to_owned())),
        }
    }
}

/// A virtual router identifier as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vrid {
    /// One that follows from the names.
    Auto,
    /// This one.
    Given(NonZeroU8),
}

impl Vrid {
    /// The one that is given, else that of these names: FNV-1a of 32 bits over `cluster/router`,
    /// brought to 1 to 255. It must never change: it is on the wire between versions of converge.
    pub fn or_of(self, cluster: &str, router: &str) -> NonZeroU8 {
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let names = cluster.bytes().chain([b'/']).chain(router.bytes());
        let rest = names.fold(0x811c_9dc5, hash) % 255;
        let derived = u8::try_from(rest + 1).ok().and_then(NonZeroU8::new);
        match self {
            Vrid::Given(vrid) => vrid,
            Vrid::Auto => derived.expect("1 to 255"),
        }
    }
}

impl Value for Vrid {
    const WHAT: &'static str = "a whole number from 1 to 255, or auto";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Vrid::Auto);
        }
        let given: Option<NonZeroU8> = text.parse().ok();
        given.map(Vrid::Given).ok_or_else(|| match text.parse::<i128>() {
            Ok(_) => format!("`{text}` is no VRID: it is a number from 1 to 255 (RFC 9568 5.2.3)"),
            Err(_) => format!("`{text}` is no VRID: it is a number from 1 to 255, or `auto`"),
        })
    }
}

/// The family of a router's packets as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyChoice {
    /// IPv4 if the router has an IPv4 VIP, else IPv6.
    Auto,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Value for FamilyChoice {
    const WHAT: &'static str = "auto, ipv4 or ipv6";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [
            ("auto", FamilyChoice::Auto),
            ("ipv4", FamilyChoice::Ipv4),
            ("ipv6", FamilyChoice::Ipv6),
        ];
        one_of("family", &words, text)
    }
}

impl Value for NonZeroU8 {
    const WHAT: &'static str = "a whole number from 1 to 255";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number from 1 to 255"))
    }
}

impl Value for Version {
    const WHAT: &'static str = "2 or 3";

    fn parse(text: &str) -> Result<Self, String> {
        one_of("version of VRRP", &[("2", Version::V2), ("3", Version::V3)], text)
    }
}

impl Value for Transport {
    const WHAT: &'static str = "unicast or multicast";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("unicast", Transport::Unicast), ("multicast", Transport::Multicast)];
        one_of("transport", &words, text)
    }
}

impl Value for Checksum {
    const WHAT: &'static str = "pseudo-header or message";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("pseudo-header", Checksum::PseudoHeader), ("message", Checksum::Message)];
        one_of("checksum", &words, text)
    }
}

impl Value for Preempt {
    const WHAT: &'static str = "now, never, or after and a length of time";

    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("after ")) {
            ("now", _) => Ok(Preempt::Now),
            ("never", _) => Ok(Preempt::Never),
            (_, Some(time)) => Duration::parse(time.trim()).map(Preempt::After),
            (_, None) if Duration::parse(text).is_ok() => {
                Err(format!("`{text}` does not say what it is; write `after {text}`"))
            }
            (_, None) => {
                let words = [("now", ()), ("never", ()), ("after 30s", ())];
                one_of("way to preempt", &words, text).map(|()| Preempt::Now)
            }
        }
    }
}

/// The word for a version.
pub fn of_version(version: Version) -> &'static str {
    match version {
        Version::V2 => "2",
        Version::V3 => "3",
    }
}

/// The word for a transport.
pub fn of_transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Unicast => "unicast",
        Transport::Multicast => "multicast",
    }
}

/// The words for a way to preempt.
pub fn of_preempt(preempt: Preempt) -> String {
    match preempt {
        Preempt::Now => "now".into(),
        Preempt::Never => "never".into(),
        Preempt::After(time) => format!("after {}", written(time)),
    }
}

pub(super) fn of_family(family: FamilyChoice) -> &'static str {
    match family {
        FamilyChoice::Auto => "auto",
        FamilyChoice::Ipv4 => "ipv4",
        FamilyChoice::Ipv6 => "ipv6",
    }
}

pub(super) fn of_checksum(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::PseudoHeader => "pseudo-header",
        Checksum::Message => "message",
    }
}

/// A length of time as it is written in a file.
pub fn written(time: Duration) -> String {
    let millis = time.as_millis();
    match millis % 1000 {
        0 => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vrid_that_follows_from_names_is_the_same_for_ever() {
        let of = |cluster, router| Vrid::Auto.or_of(cluster, router).get();
        // Written down: routers of two versions of converge have to agree.
        assert_eq!(of("six-hosts", "main"), 113);
        assert_eq!(of("five-hosts", "main"), 189);
        assert_eq!(of("six-hosts", "other"), 211);
        assert_eq!(Vrid::Given(NonZeroU8::MAX).or_of("six-hosts", "main").get(), 255);
    }

    #[test]
    fn a_vrid_is_a_number_from_1_to_255_or_auto() {
        assert_eq!(Vrid::parse("auto"), Ok(Vrid::Auto));
        assert_eq!(Vrid::parse("1"), Ok(Vrid::Given(NonZeroU8::MIN)));
        for wrong in ["0", "256", "-1", "", "fifty"] {
            assert!(Vrid::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn preempt_says_when() {
        assert_eq!(Preempt::parse("now"), Ok(Preempt::Now));
        assert_eq!(Preempt::parse("never"), Ok(Preempt::Never));
        let after = |seconds| Ok(Preempt::After(Duration::from_secs(seconds)));
        assert_eq!(Preempt::parse("after 30s"), after(30));
        let said = |text| Preempt::parse(text).expect_err("wrong");
        assert!(said("30s").ends_with("write `after 30s`"));
        assert!(said("nevr").ends_with("did you mean `never`?"));
        assert!(said("after 30").contains("no unit"));
    }

    #[test]
    fn a_routers_name_may_be_that_of_a_tutorial() {
        for name in ["VI_1", "YN_API_GATEWAY", "main", "10.0.0.1"] {
            assert!(RouterName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "web/api", &"x".repeat(64)] {
            assert!(RouterName::parse(name).is_err(), "{name}");
        }
    }
}
