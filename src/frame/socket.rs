//! Packet sockets: whole frames go out by one of all interfaces, and what a filter in the kernel
//! lets through comes in.
//!
//! Claims of addresses come by one socket each for ARP and IPv6, as frames. What is read beyond the
//! link is heard as packets without its header, so that the kind of the link does not matter.
//! Packet sockets hear before the kernel has its own thoughts about a packet: what it would drop
//! for its source, or answer by itself, is heard all the same.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    LinkAddr, MsgFlags, SockaddrLike, bind, recvfrom, sendto, setsockopt, sockopt,
};
use socket2::{Domain, SockFilter, Socket, Type};

use super::filter::{self, Instruction};
use super::tcp::IPV4_ETHERTYPE;
use crate::frame::claim::Claim;
use crate::frame::{arp, ndisc};
use crate::vrrp::config::Family;

/// The highest priority that needs no privilege: the first band of the default queues.
pub(crate) const PRIORITY: u32 = 6;

/// Room for the announcements of a thousand VIPs, should the link be slow.
const ROOM: usize = 4 * 1024 * 1024;

/// A claim in more bytes than Ethernet carries is none.
const FRAME: usize = 1600;

/// Sends frames.
pub(crate) struct Announcer(Socket);

impl Announcer {
    pub(crate) fn open() -> io::Result<Self> {
        // Protocol 0: it hears nothing.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        socket.set_priority(PRIORITY)?;
        // Without the privilege the room is the system's default.
        setsockopt(&socket, sockopt::SndBuf, &ROOM).ok();
        Ok(Announcer(socket))
    }

    /// Sends a frame by the interface of that number.
    pub(crate) fn send(&self, index: u32, frame: &[u8]) -> Result<(), Errno> {
        let (fd, to) = (self.0.as_raw_fd(), link_address(index, 0));
        sendto(fd, frame, &to, MsgFlags::MSG_DONTWAIT).map(drop)
    }
}

/// Hears claims of one family.
pub(crate) struct Listener {
    socket: Socket,
    family: Family,
}

impl Listener {
    /// Hears who claims one of these addresses, those of the family.
    pub(crate) fn open(family: Family, addresses: &[IpAddr]) -> io::Result<Self> {
        Listener::with(family, &filter::claims(family, addresses))
    }

    /// Hears whoever answers who has an address.
    pub(crate) fn of_replies(family: Family) -> io::Result<Self> {
        Listener::with(family, &filter::replies(family))
    }

    fn with(family: Family, program: &[Instruction]) -> io::Result<Self> {
        let protocol = match family {
            Family::Ipv4 => arp::ETHERTYPE,
            Family::Ipv6 => ndisc::ETHERTYPE,
        };
        Ok(Listener { socket: hearing(Type::RAW, protocol, program)?, family })
    }

    /// Whose claims it hears.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// Hears claims of these from now on, and of none before: the kernel changes filters at once,
    /// and takes tens of milliseconds to close a packet socket.
    pub(crate) fn follow(&self, addresses: &[IpAddr]) -> io::Result<()> {
        attach(&self.socket, &filter::claims(self.family, addresses))
    }

    /// The next claim, and the number of the interface that heard it. `Ok(None)`: a frame that
    /// claims nothing.
    pub(crate) fn receive(&self) -> Result<Option<(u32, Claim)>, Errno> {
        let mut frame = [0u8; FRAME];
        let (length, from) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut frame)?;
        let frame = &frame[..length.min(FRAME)];
        // What is for another host is none of our business, and maybe of another VLAN: frames of
        // one that this host has no interface for come in like this, without their tag.
        if from.is_some_and(|from| from.pkttype() == libc::PACKET_OTHERHOST) {
            return Ok(None);
        }
        let claim = match self.family {
            Family::Ipv4 => arp::claimed(frame),
            Family::Ipv6 => ndisc::claimed(frame),
        };
        let index = from.and_then(|from| u32::try_from(from.ifindex()).ok());
        Ok(index.zip(claim))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Hears packets of one family, without the headers of their links.
pub(crate) struct Tap(Socket);

/// Where a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The number of the interface.
    pub(crate) index: u32,
    /// Who sent it there; tunnels have no such thing.
    pub(crate) mac: Option<[u8; 6]>,
    /// Whether the frame was for this host alone.
    pub(crate) for_us: bool,
    /// How many bytes there are.
    pub(crate) length: usize,
}

impl Tap {
    /// Hears what this filter lets through.
    pub(crate) fn open(family: Family, program: &[Instruction]) -> io::Result<Self> {
        let protocol = match family {
            Family::Ipv4 => IPV4_ETHERTYPE,
            Family::Ipv6 => ndisc::ETHERTYPE,
        };
        hearing(Type::DGRAM, protocol, program).map(Tap)
    }

    /// Hears what this one lets through from now on.
    pub(crate) fn follow(&self, program: &[Instruction]) -> io::Result<()> {
        attach(&self.0, program)
    }

    /// The next packet.
    pub(crate) fn receive(&self, packet: &mut [u8]) -> Result<Arrival, Errno> {
        let (length, from) = recvfrom::<LinkAddr>(self.0.as_raw_fd(), packet)?;
        let from = from.ok_or(Errno::EINVAL)?;
        let mac = (from.hatype() == libc::ARPHRD_ETHER).then(|| from.addr()).flatten();
        let index = u32::try_from(from.ifindex()).unwrap_or(0);
        let for_us = from.pkttype() == libc::PACKET_HOST;
        Ok(Arrival { index, mac, for_us, length: length.min(packet.len()) })
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A packet socket of all interfaces with a filter.
fn hearing(kind: Type, protocol: u16, program: &[Instruction]) -> io::Result<Socket> {
    // Born deaf, so that nothing comes before the filter stands.
    let socket = Socket::new(Domain::PACKET, kind, None)?;
    socket.set_nonblocking(true)?;
    attach(&socket, program)?;
    bind(socket.as_raw_fd(), &link_address(0, protocol))?;
    Ok(socket)
}

/// Lets a socket hear only what this lets through.
pub(crate) fn attach(socket: &Socket, program: &[Instruction]) -> io::Result<()> {
    let instruction = |i: &Instruction| SockFilter::new(i.code, i.on_true, i.on_false, i.operand);
    socket.attach_filter(&program.iter().map(instruction).collect::<Vec<_>>())
}

/// An interface, 0 for all, and an EtherType, 0 for none.
#[expect(unsafe_code, reason = "nix makes a packet socket's address only from a raw one")]
fn link_address(index: u32, ethertype: u16) -> LinkAddr {
    let raw = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).expect("it is 17"),
        sll_protocol: ethertype.to_be(),
        sll_ifindex: libc::c_int::try_from(index).unwrap_or(0),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    // SAFETY: `raw` is a whole address of the family that it names, and is copied before it ends.
    unsafe { LinkAddr::from_raw((&raw const raw).cast(), None) }.expect("of that family")
}
