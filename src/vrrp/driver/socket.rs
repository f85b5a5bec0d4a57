//! The socket of VRRP on one interface for one family.
//!
//! It sends to the group and to single peers from the address that it is told, with TTL or hop
//! limit 255, and hears both, with what the IP header said. Nothing of it blocks.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recv, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::frame::socket::PRIORITY;
use crate::vrrp::config::Family;
use crate::vrrp::packet::{Envelope, GROUP_IPV4, GROUP_IPV6, PROTOCOL, TTL};

/// TOS and traffic class of network control, class selector 6 (RFC 4594 3.2), as keepalived has it.
pub(super) const CONTROL: u32 = 0xc0;

/// Room for packets that come while we are not scheduled. It holds a thousand.
const ROOM: usize = 1024 * 1024;

/// The shortest IPv4 header.
const IPV4_HEADER: usize = 20;

/// A raw socket.
pub(super) struct VrrpSocket {
    socket: Socket,
    family: Family,
    index: u32,
    multicast: bool,
}

/// A packet of protocol 112; the payload is in the reader's buffer.
pub(super) struct Packet<'a> {
    pub(super) envelope: Envelope,
    pub(super) payload: &'a [u8],
}

impl VrrpSocket {
    /// Opens it on an interface. It is in the group only if a router there multicasts.
    pub(super) fn open(
        interface: &str,
        index: u32,
        family: Family,
        multicast: bool,
    ) -> std::io::Result<Self> {
        let protocol = Some(Protocol::from(i32::from(PROTOCOL)));
        let socket = match family {
            Family::Ipv4 => Socket::new(Domain::IPV4, Type::RAW, protocol)?,
            Family::Ipv6 => Socket::new(Domain::IPV6, Type::RAW, protocol)?,
        };
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(interface.as_bytes()))?;
        match family {
            Family::Ipv4 => prepare_v4(&socket, index, multicast)?,
            Family::Ipv6 => prepare_v6(&socket, index, multicast)?,
        }
        // After the type of service, which sets another one.
        socket.set_priority(PRIORITY)?;
        // Without the privilege the room is the system's default.
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM).ok();
        Ok(VrrpSocket { socket, family, index, multicast })
    }

    /// Whether it is what would be opened.
    pub(super) fn is(&self, index: u32, multicast: bool) -> bool {
        self.index == index && self.multicast == multicast
    }

    /// Sends an advertisement from an address of this host.
    pub(super) fn send(&self, from: IpAddr, to: IpAddr, payload: &[u8]) -> Result<(), Errno> {
        let (fd, data) = (self.socket.as_raw_fd(), [IoSlice::new(payload)]);
        let flags = MsgFlags::MSG_DONTWAIT;
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: libc::c_int::try_from(self.index).unwrap_or(0),
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &data, &control, flags, Some(&to)).map(drop)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
                    ipi6_ifindex: self.index,
                };
                let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, self.index));
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &data, &control, flags, Some(&to)).map(drop)
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The next packet that is there. `Ok(None)`: one that is no packet for us.
    pub(super) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<Packet<'a>>, Errno> {
        match self.family {
            Family::Ipv4 => {
                let fd = self.socket.as_raw_fd();
                let length = recv(fd, buffer, MsgFlags::MSG_DONTWAIT)?;
                Ok(unwrap_v4(&buffer[..length.min(buffer.len())]))
            }
            Family::Ipv6 => self.receive_v6(buffer),
        }
    }

    fn receive_v6<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<Packet<'a>>, Errno> {
        let mut control = cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut data = [IoSliceMut::new(buffer)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let message = recvmsg::<SockaddrIn6>(fd, &mut data, Some(&mut control), flags)?;
        let (mut destination, mut ttl) = (None, None);
        for control in message.cmsgs()? {
            if let ControlMessageOwned::Ipv6PacketInfo(info) = control {
                destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            if let ControlMessageOwned::Ipv6HopLimit(limit) = control {
                ttl = u8::try_from(limit).ok();
            }
        }
        let (source, length) = (message.address.map(|a| a.ip()), message.bytes);
        let (Some(source), Some(destination)) = (source, destination) else {
            return Ok(None);
        };
        let (source, destination) = (IpAddr::V6(source), IpAddr::V6(destination));
        let envelope = Envelope { source, destination, ttl };
        Ok(Some(Packet { envelope, payload: &buffer[..length.min(buffer.len())] }))
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn prepare_v4(socket: &Socket, index: u32, multicast: bool) -> std::io::Result<()> {
    // RFC 9568 5.1.1.3: the TTL must be 255.
    socket.set_ttl_v4(TTL.into())?;
    socket.set_multicast_ttl_v4(TTL.into())?;
    socket.set_multicast_loop_v4(false)?;
    // Only the group of this interface, not what others on this host have joined.
    socket.set_multicast_all_v4(false)?;
    socket.set_tos_v4(CONTROL)?;
    match multicast {
        true => socket.join_multicast_v4_n(&GROUP_IPV4, &InterfaceIndexOrAddress::Index(index)),
        false => Ok(()),
    }
}

fn prepare_v6(socket: &Socket, index: u32, multicast: bool) -> std::io::Result<()> {
    // RFC 9568 5.1.2.3: the hop limit must be 255.
    socket.set_unicast_hops_v6(TTL.into())?;
    socket.set_multicast_hops_v6(TTL.into())?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_all_v6(false)?;
    socket.set_tclass_v6(CONTROL)?;
    socket.set_recv_hoplimit_v6(true)?;
    // IPV6_CHECKSUM stays off: we compute and verify it, so that a wrong one is not dropped unsaid.
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    match multicast {
        true => socket.join_multicast_v6(&GROUP_IPV6, index),
        false => Ok(()),
    }
}

/// A raw IPv4 socket gives the IP header, too.
fn unwrap_v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = bytes.get(..IPV4_HEADER)?;
    let long = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let payload = bytes.get(long.max(IPV4_HEADER)..total.min(bytes.len()))?;
    let address = |at: usize| {
        let octets = <[u8; 4]>::try_from(&header[at..at + 4]).expect("four bytes");
        IpAddr::V4(Ipv4Addr::from(octets))
    };
    let (source, destination) = (address(12), address(16));
    Some(Packet { envelope: Envelope { source, destination, ttl: Some(header[8]) }, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_begins_after_the_options_and_ends_with_the_packet() {
        let mut bytes = vec![0u8; 30];
        bytes[0] = 0x46;
        bytes[3] = 28;
        bytes[8] = 255;
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 224, 0, 0, 18]);
        bytes[24..].copy_from_slice(b"abcdef");
        let packet = unwrap_v4(&bytes).expect("a packet");
        assert_eq!(packet.payload, b"abcd");
        let source = [10, 0, 0, 1].into();
        let destination = [224, 0, 0, 18].into();
        assert_eq!(packet.envelope, Envelope { source, destination, ttl: Some(255) });
    }

    #[test]
    fn a_header_that_lies_about_lengths_is_no_packet() {
        for (first, total) in [(0x4f, 20), (0x46, 20), (0x45, 10)] {
            let mut bytes = [0u8; 20];
            bytes[0] = first;
            bytes[3] = total;
            assert!(unwrap_v4(&bytes).is_none_or(|p| p.payload.is_empty()), "{first:x} {total}");
        }
        assert!(unwrap_v4(&[0x45; 19]).is_none());
    }
}
