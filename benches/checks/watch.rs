//! Who asks whom, and when: the first packet of every connection, as a packet socket sees it.
//!
//! It costs those that are watched a little, so the processor time is measured without it.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::{GetStruct, RcvBufForce};
use nix::sys::socket::{getsockopt, setsockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::ground::{self, PORT};
use super::targets::Seen;

/// ETH_P_IP, in the order of the wire.
const IPV4: u16 = 0x0800_u16.to_be();
/// Room for all packets of a burst.
const ROOM: usize = 32 << 20;
/// Beyond this a time is far off, however far.
const FARTHEST: usize = 10_000;

/// Packets that came and those that found no room, since it was asked last (linux/if_packet.h).
#[derive(Clone, Copy)]
struct Statistics;

nix::getsockopt_impl!(
    Statistics,
    libc::SOL_PACKET,
    libc::PACKET_STATISTICS,
    libc::tpacket_stats,
    GetStruct<libc::tpacket_stats>
);

/// A watch.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) packets: Socket,
    /// When each was asked last.
    last: Vec<Option<Instant>>,
    /// How many times were so many milliseconds from a second; the last is that and more.
    off: Vec<u64>,
    /// Packets that found no room.
    missed: u64,
}

impl Watch {
    pub(crate) fn new(targets: usize) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(IPV4));
        let packets = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        packets.attach_filter(&first_packets())?;
        packets.set_nonblocking(true)?;
        setsockopt(&packets, RcvBufForce, &ROOM)?;
        Ok(Watch { packets, last: vec![None; targets], off: vec![0; FARTHEST + 1], missed: 0 })
    }

    /// Takes in what came.
    pub(crate) fn look(&mut self) {
        let mut header = [0; 20];
        let now = Instant::now();
        while let Ok(20) = (&self.packets).read(&mut header) {
            let to = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
            let n = u32::from(to).wrapping_sub(u32::from(ground::target(0)));
            let Some(last) = self.last.get_mut(n as usize) else { continue };
            if let Some(last) = last.replace(now) {
                let off = (now - last).abs_diff(Duration::from_secs(1)).as_millis() as usize;
                self.off[off.min(FARTHEST)] += 1;
            }
        }
    }

    /// What was seen until now.
    pub(crate) fn seen(&mut self) -> io::Result<Seen> {
        self.missed += u64::from(getsockopt(&self.packets, Statistics)?.tp_drops);
        let all: u64 = self.off.iter().sum();
        let mut below = 0;
        let p99 = self.off.iter().position(|n| {
            below += n;
            below * 100 >= all * 99
        });
        let most = self.off.iter().rposition(|n| *n > 0);
        Ok(Seen {
            targets: self.last.iter().flatten().count(),
            p99: p99.unwrap_or(0) as f64,
            most: most.unwrap_or(0) as f64,
            skipped: self.off[500..].iter().sum(),
            missed: self.missed,
        })
    }
}

/// A filter that takes the IP header of SYNs for the targets' port, as they come in: on `lo` every
/// packet goes by twice.
fn first_packets() -> [SockFilter; 11] {
    // linux/bpf_common.h: BPF_LD, BPF_JMP, BPF_RET and what goes with them.
    let byte = |at| SockFilter::new(0x30, 0, 0, at);
    let half = |at| SockFilter::new(0x28, 0, 0, at);
    let word = |at| SockFilter::new(0x20, 0, 0, at);
    let unless = |value, skip| SockFilter::new(0x15, 0, skip, value);
    [
        // SKF_AD_OFF + SKF_AD_PKTTYPE: PACKET_HOST.
        word(0xffff_f004),
        unless(0, 8),
        byte(9),
        unless(6, 6),
        byte(33),
        SockFilter::new(0x54, 0, 0, 0x12),
        unless(2, 3),
        half(22),
        unless(PORT.into(), 1),
        SockFilter::new(0x06, 0, 0, 20),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}
