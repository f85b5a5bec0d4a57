//! What converge on host `a` and another program on host `b` are both told: one virtual router.

/// The virtual router on the wire.
pub const VRID: u8 = 51;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// The address of a host, by its number.
    pub fn address(self, host: u8) -> String {
        match self {
            Family::Ipv4 => format!("192.0.2.{host}"),
            Family::Ipv6 => format!("2001:db8::{host}"),
        }
    }

    /// The VIP that is looked for.
    pub fn vip(self) -> &'static str {
        match self {
            Family::Ipv4 => "192.0.2.100",
            Family::Ipv6 => "2001:db8::100",
        }
    }

    fn prefix(self) -> u8 {
        match self {
            Family::Ipv4 => 24,
            Family::Ipv6 => 64,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Pairing {
    pub version: u8,
    pub family: Family,
    pub transport: &'static str,
    /// Empty: none.
    pub password: &'static str,
    /// The form that converge sends.
    pub checksum: &'static str,
    /// In seconds.
    pub interval: u32,
}

/// Version 3 over IPv4 multicast, a second.
pub const V3: Pairing = Pairing {
    version: 3,
    family: Family::Ipv4,
    transport: "multicast",
    password: "",
    checksum: "pseudo-header",
    interval: 1,
};
pub const V3_UNICAST: Pairing = Pairing { transport: "unicast", ..V3 };
pub const V2: Pairing = Pairing { version: 2, ..V3 };
pub const V2_UNICAST: Pairing = Pairing { transport: "unicast", ..V2 };
/// More than the 8 bytes that fit in a packet, as many have it.
pub const V2_PASS: Pairing = Pairing { password: "as1bs2cs", ..V2 };
pub const IPV6: Pairing = Pairing { family: Family::Ipv6, ..V3 };
pub const IPV6_UNICAST: Pairing = Pairing { transport: "unicast", ..IPV6 };

impl Pairing {
    /// The VIPs in the order in which they are advertised.
    pub fn vips(&self) -> Vec<&'static str> {
        match self.family {
            Family::Ipv4 => vec![self.family.vip()],
            // RFC 9568 5.2.9: the first one is link-local.
            Family::Ipv6 => vec!["fe80::100", self.family.vip()],
        }
    }

    /// The cluster file: `a` and `b` with these priorities, and more lines of `[vars]`.
    pub fn cluster(&self, priorities: [u8; 2], vars: &str) -> String {
        let Pairing { version, family, transport, password, checksum, interval } = self;
        let vips: String =
            self.vips().iter().zip(1..).map(|(vip, n)| format!("v{n} = \"{vip}\"\n")).collect();
        let hosts = ["a", "b"].iter().zip(1..).zip(priorities);
        let host = |((host, number), priority): ((&&str, u8), u8)| {
            let (address, prefix) = (family.address(number), family.prefix());
            format!(
                "\n[host.{host}]\nrole = \"holder\"\naddress = \"{address}/{prefix}\"\n\
                 interface = \"eth0\"\nvars = {{ priority = {priority} }}\n"
            )
        };
        let hosts: String = hosts.map(host).collect();
        format!(
            "version = 1\nname = \"test\"\n\n[vip]\n{vips}{hosts}\n[vars]\n\
             vrrp-version = {version}\ntransport = \"{transport}\"\npassword = \"{password}\"\n\
             checksum = \"{checksum}\"\ninterval = \"{interval}s\"\n{vars}\n"
        )
    }
}
