//! What all conversations share: buffers, random bytes, whose certificates are trusted.
//!
//! Only one conversation moves at a time, so ten thousand need no more buffers than one.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::random::Random;
use super::trust::Trust;

/// What is read at a time: the most that a datagram holds.
const READ: usize = 64 * 1024;

/// Local ports, where the kernel does not say which.
const PORTS: RangeInclusive<u16> = 1024..=u16::MAX;

/// What all conversations share.
pub(super) struct Desk {
    /// Bytes as they came.
    pub(super) wire: Vec<u8>,
    /// Bytes as they were meant, without TLS.
    pub(super) plain: Vec<u8>,
    /// What is to go through TLS.
    pub(super) said: Vec<u8>,
    pub(super) random: Random,
    pub(super) trust: Trust,
    /// The ports that connections begin from.
    ports: RangeInclusive<u16>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Desk {
            wire: vec![0; READ],
            plain: Vec::new(),
            said: Vec::new(),
            random: Random::default(),
            trust: Trust::default(),
            ports: local_ports().unwrap_or(PORTS),
        }
    }

    /// Whether a connection to there may come to begin from there.
    pub(super) fn may_echo(&self, target: SocketAddr) -> bool {
        self.ports.contains(&target.port())
    }
}

fn local_ports() -> Option<RangeInclusive<u16>> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ports = text.split_whitespace().map(str::parse);
    Some(ports.next()?.ok()?..=ports.next()?.ok()?)
}
