//! The nest of a destination (`IPVS_DEST_ATTR_*`).
//!
//! Attributes are written in ipvsadm's order and read in any. How many connections and packets a
//! destination has had is read apart, as it is no part of what it should be; counters of bytes are
//! skipped, and so are the narrow ones of kernels before 4.1.

use std::num::NonZeroU16;

use super::attribute::{self, Attribute, Attributes, DecodeError, Writer};
use crate::ipvs::model::{
    Connections, Destination, DestinationId, Family, Forward, Thresholds, Tunnel, TunnelFlags,
    Weight,
};

const ADDR: u16 = 1;
const PORT: u16 = 2;
const FWD_METHOD: u16 = 3;
const WEIGHT: u16 = 4;
const U_THRESH: u16 = 5;
const L_THRESH: u16 = 6;
const ACTIVE_CONNS: u16 = 7;
const INACT_CONNS: u16 = 8;
const PERSIST_CONNS: u16 = 9;
const ADDR_FAMILY: u16 = 11;
const STATS64: u16 = 12;
const TUN_TYPE: u16 = 13;
const TUN_PORT: u16 = 14;
const TUN_FLAGS: u16 = 15;

/// In the nest of counters (`IPVS_STATS_ATTR_*`).
const PACKETS_IN: u16 = 2;
const PACKETS_OUT: u16 = 3;

/// `IP_VS_CONN_F_FWD_MASK`: the other bits of the method are the kernel's.
const FORWARD_MASK: u32 = 0x7;
const MASQUERADE: u32 = 0;
const LOCAL: u32 = 1;
const TUNNEL: u32 = 2;
const ROUTE: u32 = 3;
const BYPASS: u32 = 4;

/// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
const IPIP: u8 = 0;
const GUE: u8 = 1;
const GRE: u8 = 2;

/// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
const CHECKSUM: u16 = 1;
const REMOTE_CHECKSUM: u16 = 2;

/// Writes which destination is meant. Its family is always said: without it a destination of the
/// other family than its virtual server's could not be named.
pub(super) fn write_id(out: &mut Writer<'_>, id: &DestinationId) {
    out.u16(ADDR_FAMILY, attribute::family_number(Family::of(id.addr)));
    out.address(ADDR, id.addr);
    out.be16(PORT, id.port);
}

/// Writes how it is served, all of it: a tunnel attribute left out would be reset to 0, and a
/// change of weight would turn GUE into IPIP.
pub(super) fn write_settings(out: &mut Writer<'_>, destination: &Destination) {
    let Destination { forward, weight, thresholds } = destination;
    let (tunnel_type, port, flags) = tunnel_numbers(*forward);
    out.u32(FWD_METHOD, forward_number(*forward));
    out.u32(WEIGHT, weight.get());
    out.u8(TUN_TYPE, tunnel_type);
    out.be16(TUN_PORT, port);
    out.u16(TUN_FLAGS, flags);
    out.u32(U_THRESH, thresholds.upper());
    out.u32(L_THRESH, thresholds.lower());
}

fn forward_number(forward: Forward) -> u32 {
    match forward {
        Forward::Masquerade => MASQUERADE,
        Forward::Local => LOCAL,
        Forward::Tunnel(_) => TUNNEL,
        Forward::Route => ROUTE,
        Forward::Bypass => BYPASS,
    }
}

/// Type, port and flags of a tunnel; zeros for what is none.
fn tunnel_numbers(forward: Forward) -> (u8, u16, u16) {
    let Forward::Tunnel(tunnel) = forward else {
        return (0, 0, 0);
    };
    match tunnel {
        Tunnel::Ipip => (IPIP, 0, 0),
        Tunnel::Gue { port, flags } => {
            let TunnelFlags { checksum, remote_checksum } = flags;
            let first = if checksum { CHECKSUM } else { 0 };
            let second = if remote_checksum { REMOTE_CHECKSUM } else { 0 };
            (GUE, port.get(), first | second)
        }
        Tunnel::Gre { checksum } => (GRE, 0, if checksum { CHECKSUM } else { 0 }),
    }
}

/// The attributes of the nest, in whatever order they came.
#[derive(Default)]
pub(super) struct Fields<'a> {
    addr: Option<Attribute<'a>>,
    port: Option<Attribute<'a>>,
    forward: Option<Attribute<'a>>,
    weight: Option<Attribute<'a>>,
    upper: Option<Attribute<'a>>,
    lower: Option<Attribute<'a>>,
    active: Option<Attribute<'a>>,
    inactive: Option<Attribute<'a>>,
    persistent: Option<Attribute<'a>>,
    family: Option<Attribute<'a>>,
    counters: Option<Attribute<'a>>,
    tunnel_type: Option<Attribute<'a>>,
    tunnel_port: Option<Attribute<'a>>,
    tunnel_flags: Option<Attribute<'a>>,
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
                ADDR => fields.addr = Some(attribute),
                PORT => fields.port = Some(attribute),
                FWD_METHOD => fields.forward = Some(attribute),
                WEIGHT => fields.weight = Some(attribute),
                U_THRESH => fields.upper = Some(attribute),
                L_THRESH => fields.lower = Some(attribute),
                ACTIVE_CONNS => fields.active = Some(attribute),
                INACT_CONNS => fields.inactive = Some(attribute),
                PERSIST_CONNS => fields.persistent = Some(attribute),
                ADDR_FAMILY => fields.family = Some(attribute),
                STATS64 => fields.counters = Some(attribute),
                TUN_TYPE => fields.tunnel_type = Some(attribute),
                TUN_PORT => fields.tunnel_port = Some(attribute),
                TUN_FLAGS => fields.tunnel_flags = Some(attribute),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// Which destination is meant. A kernel before 3.18 does not say the family, and there it is
    /// the one of the virtual server.
    pub(super) fn id(&self, server: Family) -> Result<DestinationId, DecodeError> {
        let family = match self.family {
            Some(family) => match family.u16("ADDR_FAMILY")? {
                0 => server,
                number => attribute::family(number)?,
            },
            None => server,
        };
        let addr = attribute::address(&need(self.addr, "ADDR")?, family, "ADDR")?;
        Ok(DestinationId { addr, port: need(self.port, "PORT")?.be16("PORT")? })
    }

    /// How it is served.
    pub(super) fn settings(&self) -> Result<Destination, DecodeError> {
        let weight = need(self.weight, "WEIGHT")?.u32("WEIGHT")?;
        let upper = need(self.upper, "U_THRESH")?.u32("U_THRESH")?;
        let lower = need(self.lower, "L_THRESH")?.u32("L_THRESH")?;
        Ok(Destination {
            forward: self.forward()?,
            weight: Weight::new(weight)
                .map_err(|_| DecodeError::Value { attribute: "WEIGHT", value: weight })?,
            thresholds: Thresholds::new(upper, lower)
                .map_err(|_| DecodeError::Value { attribute: "L_THRESH", value: lower })?,
        })
    }

    /// How many connections and packets it has had; none where the message does not say.
    pub(super) fn connections(&self) -> Result<Connections, DecodeError> {
        let count = |field: Option<Attribute<'a>>, name| field.map_or(Ok(0), |f| f.u32(name));
        let (mut sent, mut returned) = (0, 0);
        for counter in Attributes::new(self.counters.map_or(&[], |nest| nest.value)) {
            let counter = counter?;
            match counter.kind {
                PACKETS_IN => sent = counter.u64("INPKTS")?,
                PACKETS_OUT => returned = counter.u64("OUTPKTS")?,
                _ => {}
            }
        }
        Ok(Connections {
            sent,
            returned,
            active: count(self.active, "ACTIVE_CONNS")?,
            inactive: count(self.inactive, "INACT_CONNS")?,
            persistent: count(self.persistent, "PERSIST_CONNS")?,
        })
    }

    fn forward(&self) -> Result<Forward, DecodeError> {
        let method = need(self.forward, "FWD_METHOD")?.u32("FWD_METHOD")? & FORWARD_MASK;
        match method {
            MASQUERADE => Ok(Forward::Masquerade),
            LOCAL => Ok(Forward::Local),
            TUNNEL => self.tunnel().map(Forward::Tunnel),
            ROUTE => Ok(Forward::Route),
            BYPASS => Ok(Forward::Bypass),
            value => Err(DecodeError::Value { attribute: "FWD_METHOD", value }),
        }
    }

    /// Kernels before 5.3 know IPIP only and say nothing about it.
    fn tunnel(&self) -> Result<Tunnel, DecodeError> {
        let flags = match self.tunnel_flags {
            Some(flags) => flags.u16("TUN_FLAGS")?,
            None => 0,
        };
        let checksum = flags & CHECKSUM != 0;
        let number = match self.tunnel_type {
            Some(number) => number.u8("TUN_TYPE")?,
            None => IPIP,
        };
        match number {
            IPIP => Ok(Tunnel::Ipip),
            GUE => {
                let port = need(self.tunnel_port, "TUN_PORT")?.be16("TUN_PORT")?;
                let port = NonZeroU16::new(port)
                    .ok_or(DecodeError::Value { attribute: "TUN_PORT", value: 0 })?;
                let remote_checksum = flags & REMOTE_CHECKSUM != 0;
                Ok(Tunnel::Gue { port, flags: TunnelFlags { checksum, remote_checksum } })
            }
            GRE => Ok(Tunnel::Gre { checksum }),
            other => Err(DecodeError::Value { attribute: "TUN_TYPE", value: other.into() }),
        }
    }
}
