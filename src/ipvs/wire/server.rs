//! The nest of a virtual server (`IPVS_SVC_ATTR_*`).
//!
//! Attributes are written in ipvsadm's order and read in any. What does not count while there is no
//! persistence (time, mask, engine) is sent as ipvsadm does and not read, so that equal means
//! equal.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use super::attribute::{self, Attribute, Attributes, DecodeError, Writer};
use crate::ipvs::model::{
    ClientMask, Family, Persistence, PrefixLength6, Protocol, Scheduler, SchedulerFlags,
    SchedulerName, Seconds, ServerSettings, VirtualServerId,
};

const AF: u16 = 1;
const PROTOCOL: u16 = 2;
const ADDR: u16 = 3;
const PORT: u16 = 4;
const FWMARK: u16 = 5;
const SCHED_NAME: u16 = 6;
const FLAGS: u16 = 7;
const TIMEOUT: u16 = 8;
const NETMASK: u16 = 9;
const PE_NAME: u16 = 11;

/// `IP_VS_SVC_F_*`. `HASHED`, 2, belongs to the kernel: it is neither sent nor read.
const PERSISTENT: u32 = 0x01;
const ONE_PACKET: u32 = 0x04;
const SCHED_1: u32 = 0x08;
const SCHED_2: u32 = 0x10;
const SCHED_3: u32 = 0x20;
/// The flags that we decide about: the kernel leaves the others as they are.
const OURS: u32 = PERSISTENT | ONE_PACKET | SCHED_1 | SCHED_2 | SCHED_3;

/// Writes which virtual server is meant.
pub(super) fn write_id(out: &mut Writer<'_>, id: &VirtualServerId) {
    out.u16(AF, attribute::family_number(id.family()));
    match id {
        VirtualServerId::Address { protocol, addr, port } => {
            out.u16(PROTOCOL, protocol_number(*protocol));
            out.address(ADDR, *addr);
            out.be16(PORT, *port);
        }
        VirtualServerId::Fwmark { mark, .. } => out.u32(FWMARK, mark.get()),
    }
}

/// Writes how it works. All of it is there each time: an engine left out would be cleared, and
/// without the others the kernel answers `EINVAL`.
pub(super) fn write_settings(out: &mut Writer<'_>, family: Family, settings: &ServerSettings) {
    let ServerSettings { scheduler, one_packet, persistence } = settings;
    out.name(SCHED_NAME, scheduler.name.as_str());
    if let Some(engine) = persistence.and_then(|p| p.engine) {
        out.name(PE_NAME, engine.as_str());
    }
    let SchedulerFlags { fallback, port, third } = scheduler.flags;
    let bits = [
        (persistence.is_some(), PERSISTENT),
        (*one_packet, ONE_PACKET),
        (fallback, SCHED_1),
        (port, SCHED_2),
        (third, SCHED_3),
    ];
    let flags = bits.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
    let mut struct_flags = [0; 8];
    struct_flags[..4].copy_from_slice(&flags.to_ne_bytes());
    struct_flags[4..].copy_from_slice(&OURS.to_ne_bytes());
    out.bytes(FLAGS, &struct_flags);
    out.u32(TIMEOUT, persistence.map_or(0, |p| p.timeout.get()));
    let each = match family {
        Family::Ipv4 => ClientMask::EACH_V4,
        Family::Ipv6 => ClientMask::EACH_V6,
    };
    match persistence.map_or(each, |p| p.netmask) {
        ClientMask::V4(mask) => out.bytes(NETMASK, &mask.octets()),
        ClientMask::V6(length) => out.u32(NETMASK, length.get().into()),
    }
}

fn protocol_number(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn protocol(number: u16) -> Result<Protocol, DecodeError> {
    match number {
        6 => Ok(Protocol::Tcp),
        17 => Ok(Protocol::Udp),
        132 => Ok(Protocol::Sctp),
        other => Err(DecodeError::Value { attribute: "PROTOCOL", value: other.into() }),
    }
}

/// The attributes of the nest, in whatever order they came.
#[derive(Default)]
pub(super) struct Fields<'a> {
    af: Option<Attribute<'a>>,
    protocol: Option<Attribute<'a>>,
    addr: Option<Attribute<'a>>,
    port: Option<Attribute<'a>>,
    fwmark: Option<Attribute<'a>>,
    scheduler: Option<Attribute<'a>>,
    flags: Option<Attribute<'a>>,
    timeout: Option<Attribute<'a>>,
    netmask: Option<Attribute<'a>>,
    engine: Option<Attribute<'a>>,
}

fn need<'a>(
    field: Option<Attribute<'a>>,
    attribute: &'static str,
) -> Result<Attribute<'a>, DecodeError> {
    field.ok_or(DecodeError::Missing { attribute })
}

impl<'a> Fields<'a> {
    /// Takes the value of the nest.
    pub(super) fn read(nest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        for attribute in Attributes::new(nest) {
            let attribute = attribute?;
            match attribute.kind {
                AF => fields.af = Some(attribute),
                PROTOCOL => fields.protocol = Some(attribute),
                ADDR => fields.addr = Some(attribute),
                PORT => fields.port = Some(attribute),
                FWMARK => fields.fwmark = Some(attribute),
                SCHED_NAME => fields.scheduler = Some(attribute),
                FLAGS => fields.flags = Some(attribute),
                TIMEOUT => fields.timeout = Some(attribute),
                NETMASK => fields.netmask = Some(attribute),
                PE_NAME => fields.engine = Some(attribute),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// Which virtual server is meant.
    pub(super) fn id(&self) -> Result<VirtualServerId, DecodeError> {
        let family = attribute::family(need(self.af, "AF")?.u16("AF")?)?;
        // A mark of 0 is no mark: the kernel compares it so.
        let mark = match self.fwmark {
            Some(fwmark) => NonZeroU32::new(fwmark.u32("FWMARK")?),
            None => None,
        };
        if let Some(mark) = mark {
            return Ok(VirtualServerId::Fwmark { mark, family });
        }
        Ok(VirtualServerId::Address {
            protocol: protocol(need(self.protocol, "PROTOCOL")?.u16("PROTOCOL")?)?,
            addr: attribute::address(&need(self.addr, "ADDR")?, family, "ADDR")?,
            port: need(self.port, "PORT")?.be16("PORT")?,
        })
    }

    /// How it works.
    pub(super) fn settings(&self, family: Family) -> Result<ServerSettings, DecodeError> {
        let name = need(self.scheduler, "SCHED_NAME")?.name("SCHED_NAME")?;
        let name = name.ok_or(DecodeError::Missing { attribute: "SCHED_NAME" })?;
        let [f0, f1, f2, f3, m0, m1, m2, m3] = need(self.flags, "FLAGS")?.array("FLAGS")?;
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]) & u32::from_ne_bytes([m0, m1, m2, m3]);
        let scheduler = Scheduler {
            name: SchedulerName::from(name),
            flags: SchedulerFlags {
                fallback: flags & SCHED_1 != 0,
                port: flags & SCHED_2 != 0,
                third: flags & SCHED_3 != 0,
            },
        };
        let persistence =
            if flags & PERSISTENT != 0 { Some(self.persistence(family)?) } else { None };
        Ok(ServerSettings { scheduler, one_packet: flags & ONE_PACKET != 0, persistence })
    }

    fn persistence(&self, family: Family) -> Result<Persistence, DecodeError> {
        let timeout = Seconds::saturating(need(self.timeout, "TIMEOUT")?.u32("TIMEOUT")?);
        let netmask = need(self.netmask, "NETMASK")?;
        let netmask = match family {
            Family::Ipv4 => ClientMask::V4(Ipv4Addr::from(netmask.array::<4>("NETMASK")?)),
            Family::Ipv6 => {
                let value = netmask.u32("NETMASK")?;
                let length = PrefixLength6::new(value);
                let unknown = |_| DecodeError::Value { attribute: "NETMASK", value };
                ClientMask::V6(length.map_err(unknown)?)
            }
        };
        let engine = match self.engine {
            Some(engine) => engine.name("PE_NAME")?,
            None => None,
        };
        Ok(Persistence { timeout, netmask, engine })
    }
}
