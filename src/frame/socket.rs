//! Announcing VIPs on the link, and hearing whoever else says that they have one.
//!
//! Whole frames go out by one packet socket for all interfaces. Claims come in by one each for ARP
//! and IPv6, also for all interfaces; a filter in the kernel lets through only what is about an
//! address of ours, so that the noise of a big link wakes nobody.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    LinkAddr, MsgFlags, SockaddrLike, bind, recvfrom, sendto, setsockopt, sockopt,
};
use socket2::{Domain, SockFilter, Socket, Type};

use super::filter::{Instruction, filter};
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
        let protocol = match family {
            Family::Ipv4 => arp::ETHERTYPE,
            Family::Ipv6 => ndisc::ETHERTYPE,
        };
        // Born deaf, so that nothing comes before the filter stands.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        let listener = Listener { socket, family };
        listener.follow(addresses)?;
        bind(listener.socket.as_raw_fd(), &link_address(0, protocol))?;
        Ok(listener)
    }

    /// Whose claims it hears.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// Hears claims of these from now on, and of none before: the kernel changes filters at once,
    /// and takes tens of milliseconds to close a packet socket.
    pub(crate) fn follow(&self, addresses: &[IpAddr]) -> io::Result<()> {
        let instruction =
            |i: Instruction| SockFilter::new(i.code, i.on_true, i.on_false, i.operand);
        let program = filter(self.family, addresses).into_iter().map(instruction);
        self.socket.attach_filter(&program.collect::<Vec<_>>())
    }

    /// The next claim, and the number of the interface that heard it. `Ok(None)`: a frame that
    /// claims nothing.
    pub(crate) fn receive(&self) -> Result<Option<(u32, Claim)>, Errno> {
        let mut frame = [0u8; FRAME];
        let (length, from) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut frame)?;
        let frame = &frame[..length.min(FRAME)];
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
