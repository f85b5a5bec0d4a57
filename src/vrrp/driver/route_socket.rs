//! Conversations with the kernel about addresses: raw rtnetlink, without a runtime.
//!
//! One socket asks and waits for each answer, another one hears what changes. The kernel answers
//! within the call unless somebody else holds its lock, which is why this is not done on the
//! thread that advertises.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;

use super::interfaces::Interfaces;

/// Longer than any answer: the kernel fills at most 32 KiB at a time of a dump.
const BUFFER: usize = 64 * 1024;

/// Room for what is heard while nobody listens; a message is about 1 KiB. More is read anew.
const HEARD: usize = 4 * 1024 * 1024;

/// An answer comes within the call. This is for a kernel that lost it.
const PATIENCE: i64 = 2;

/// Datagrams taken from one dump or one burst, a bound for a kernel that never ends.
const MOST_DATAGRAMS: usize = 100_000;

/// A netlink socket and room for what comes from it.
pub(super) struct RouteSocket {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// What was heard.
pub(super) enum Heard {
    /// Everything that there was.
    All,
    /// Something was lost: read everything anew.
    Lost,
}

impl RouteSocket {
    /// For asking.
    pub(super) fn asking() -> Result<Self, Errno> {
        let asking = Self::open(SockFlag::empty(), 0)?;
        setsockopt(&asking.fd, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        Ok(asking)
    }

    /// For hearing of links and addresses.
    pub(super) fn hearing() -> Result<Self, Errno> {
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        let groups = u32::try_from(groups).expect("three low bits");
        let hearing = Self::open(SockFlag::SOCK_NONBLOCK, groups)?;
        // Without the privilege there is less room, and a full dump more often.
        setsockopt(&hearing.fd, sockopt::RcvBufForce, &HEARD).ok();
        Ok(hearing)
    }

    fn open(flags: SockFlag, groups: u32) -> Result<Self, Errno> {
        let flags = flags | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(RouteSocket { fd, buffer: vec![0; BUFFER], sequence: 0 })
    }

    /// Everything that the host has now.
    pub(super) fn dump(&mut self) -> Result<Interfaces, Errno> {
        let mut interfaces = Interfaces::default();
        for question in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        ] {
            self.ask(question, NLM_F_DUMP)?;
            self.answers(|message| interfaces.apply(message))?;
        }
        Ok(interfaces)
    }

    /// Has the kernel do something.
    pub(super) fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Errno> {
        self.ask(message, flags | NLM_F_ACK)?;
        self.answers(|_| {})
    }

    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()).map(drop)
    }

    /// Reads to the end of the answer to the last question.
    fn answers(&mut self, mut each: impl FnMut(&RouteNetlinkMessage)) -> Result<(), Errno> {
        for _ in 0..MOST_DATAGRAMS {
            let length = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for message in Messages(&self.buffer[..length]) {
                // The answer to a question that was given up.
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => each(&inner),
                    NetlinkPayload::Error(e) => {
                        return e.code.map_or(Ok(()), |code| Err(Errno::from_raw(-code.get())));
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
        Err(Errno::EOVERFLOW)
    }

    /// Takes in everything that was heard.
    pub(super) fn hear(&mut self, interfaces: &mut Interfaces) -> Heard {
        for _ in 0..MOST_DATAGRAMS {
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => return Heard::Lost,
                Ok(length) => {
                    for message in Messages(&self.buffer[..length]) {
                        if let NetlinkPayload::InnerMessage(inner) = message.payload {
                            interfaces.apply(&inner);
                        }
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Heard::All,
                // ENOBUFS: the kernel had no room for what it had to say.
                Err(_) => return Heard::Lost,
            }
        }
        Heard::All
    }
}

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The messages in a datagram. One that cannot be read is left out: it is about something else.
struct Messages<'a>(&'a [u8]);

impl Iterator for Messages<'_> {
    type Item = NetlinkMessage<RouteNetlinkMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        /// Of a netlink header, whose first four bytes are the length of the message.
        const HEADER: usize = 16;
        while self.0.len() >= HEADER {
            let length = self.0[..4].try_into().map_or(0, u32::from_ne_bytes) as usize;
            if length < HEADER || length > self.0.len() {
                return None;
            }
            let (message, rest) = self.0.split_at(length);
            self.0 = &rest[(length.next_multiple_of(4) - length).min(rest.len())..];
            if let Ok(message) = NetlinkMessage::deserialize(message) {
                return Some(message);
            }
        }
        None
    }
}
