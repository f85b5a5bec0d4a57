//! What belongs to the whole table: timeouts, the kernel's own figures, synchronisation daemons.
//!
//! Timeouts and figures are outermost attributes, a daemon is a nest (`IPVS_DAEMON_ATTR_*`). The
//! numbers of timeout attributes and of nests share one space, those of figures do not.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};

use super::attribute::{self, Attribute, Attributes, DecodeError, Writer};
use crate::ipvs::model::{Family, Info, Seconds, SyncDaemon, SyncState, Timeouts};

/// `IPVS_CMD_ATTR_TIMEOUT_*`, in seconds, beside the nests.
const TIMEOUT_TCP: u16 = 4;
const TIMEOUT_TCP_FIN: u16 = 5;
const TIMEOUT_UDP: u16 = 6;

/// `IPVS_INFO_ATTR_*`.
const VERSION: u16 = 1;
const CONN_TAB_SIZE: u16 = 2;

/// `IPVS_DAEMON_ATTR_*`.
const STATE: u16 = 1;
const MCAST_IFN: u16 = 2;
const SYNC_ID: u16 = 3;
const SYNC_MAXLEN: u16 = 4;
const MCAST_GROUP: u16 = 5;
const MCAST_GROUP6: u16 = 6;
const MCAST_PORT: u16 = 7;
const MCAST_TTL: u16 = 8;

/// `IP_VS_STATE_*`.
const MASTER: u32 = 1;
const BACKUP: u32 = 2;

/// Writes the timeouts.
pub(super) fn write_timeouts(out: &mut Writer<'_>, timeouts: &Timeouts) {
    out.u32(TIMEOUT_TCP, timeouts.tcp.get());
    out.u32(TIMEOUT_TCP_FIN, timeouts.tcp_fin.get());
    out.u32(TIMEOUT_UDP, timeouts.udp.get());
}

/// Reads the timeouts. In a request 0 means "as it is", which is not a value of ours.
pub(super) fn read_timeouts(attributes: &[u8]) -> Result<Timeouts, DecodeError> {
    let (mut tcp, mut tcp_fin, mut udp) = (None, None, None);
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            TIMEOUT_TCP => tcp = Some(seconds(&attribute, "TIMEOUT_TCP")?),
            TIMEOUT_TCP_FIN => tcp_fin = Some(seconds(&attribute, "TIMEOUT_TCP_FIN")?),
            TIMEOUT_UDP => udp = Some(seconds(&attribute, "TIMEOUT_UDP")?),
            _ => {}
        }
    }
    Ok(Timeouts {
        tcp: tcp.ok_or(DecodeError::Missing { attribute: "TIMEOUT_TCP" })?,
        tcp_fin: tcp_fin.ok_or(DecodeError::Missing { attribute: "TIMEOUT_TCP_FIN" })?,
        udp: udp.ok_or(DecodeError::Missing { attribute: "TIMEOUT_UDP" })?,
    })
}

fn seconds(attribute: &Attribute<'_>, name: &'static str) -> Result<Seconds, DecodeError> {
    match attribute.u32(name)? {
        0 => Err(DecodeError::Value { attribute: name, value: 0 }),
        number => Ok(Seconds::saturating(number)),
    }
}

/// Reads what the kernel says about itself.
pub(super) fn read_info(attributes: &[u8]) -> Result<Info, DecodeError> {
    let (mut version, mut size) = (None, None);
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            VERSION => version = Some(attribute.u32("VERSION")?),
            CONN_TAB_SIZE => size = Some(attribute.u32("CONN_TAB_SIZE")?),
            _ => {}
        }
    }
    let version = version.ok_or(DecodeError::Missing { attribute: "VERSION" })?;
    let [_, major, minor, patch] = version.to_be_bytes();
    let connection_table_size = size.ok_or(DecodeError::Missing { attribute: "CONN_TAB_SIZE" })?;
    Ok(Info { version: (major, minor, patch), connection_table_size })
}

/// Writes which daemon is to stop.
pub(super) fn write_state(out: &mut Writer<'_>, state: SyncState) {
    out.u32(
        STATE,
        match state {
            SyncState::Master => MASTER,
            SyncState::Backup => BACKUP,
        },
    );
}

/// Writes a daemon; what is absent the kernel chooses.
pub(super) fn write_daemon(out: &mut Writer<'_>, daemon: &SyncDaemon) {
    let SyncDaemon { state, interface, sync_id, max_length, group, port, ttl } = daemon;
    write_state(out, *state);
    out.name(MCAST_IFN, interface.as_str());
    out.u32(SYNC_ID, (*sync_id).into());
    if let Some(bytes) = max_length {
        out.u16(SYNC_MAXLEN, bytes.get());
    }
    if let Some(port) = port {
        // The one port of the family that is in host order.
        out.u16(MCAST_PORT, port.get());
    }
    if let Some(ttl) = ttl {
        out.u8(MCAST_TTL, ttl.get());
    }
    match group {
        None => {}
        Some(IpAddr::V4(group)) => out.bytes(MCAST_GROUP, &group.octets()),
        Some(IpAddr::V6(group)) => out.bytes(MCAST_GROUP6, &group.octets()),
    }
}

/// Reads which daemon is to stop.
pub(super) fn read_state(nest: &[u8]) -> Result<SyncState, DecodeError> {
    for attribute in Attributes::new(nest) {
        let attribute = attribute?;
        if attribute.kind == STATE {
            return state(&attribute);
        }
    }
    Err(DecodeError::Missing { attribute: "STATE" })
}

fn state(attribute: &Attribute<'_>) -> Result<SyncState, DecodeError> {
    match attribute.u32("STATE")? {
        MASTER => Ok(SyncState::Master),
        BACKUP => Ok(SyncState::Backup),
        value => Err(DecodeError::Value { attribute: "STATE", value }),
    }
}

/// Reads a daemon.
pub(super) fn read_daemon(nest: &[u8]) -> Result<SyncDaemon, DecodeError> {
    let (mut interface, mut sync_id) = (None, None);
    let (mut max_length, mut group, mut port, mut ttl) = (None, None, None, None);
    for attribute in Attributes::new(nest) {
        let attribute = attribute?;
        match attribute.kind {
            MCAST_IFN => interface = attribute.name("MCAST_IFN")?,
            SYNC_ID => sync_id = Some(attribute.u32("SYNC_ID")?),
            SYNC_MAXLEN => max_length = NonZeroU16::new(attribute.u16("SYNC_MAXLEN")?),
            MCAST_GROUP => {
                group = Some(attribute::address(&attribute, Family::Ipv4, "MCAST_GROUP")?);
            }
            MCAST_GROUP6 => {
                group = Some(attribute::address(&attribute, Family::Ipv6, "MCAST_GROUP6")?);
            }
            MCAST_PORT => port = NonZeroU16::new(attribute.u16("MCAST_PORT")?),
            MCAST_TTL => ttl = NonZeroU8::new(attribute.u8("MCAST_TTL")?),
            _ => {}
        }
    }
    let state = read_state(nest)?;
    let interface = interface.ok_or(DecodeError::Missing { attribute: "MCAST_IFN" })?;
    let sync_id = sync_id.ok_or(DecodeError::Missing { attribute: "SYNC_ID" })?;
    let sync_id = u8::try_from(sync_id)
        .map_err(|_| DecodeError::Value { attribute: "SYNC_ID", value: sync_id })?;
    Ok(SyncDaemon { state, interface, sync_id, max_length, group, port, ttl })
}
