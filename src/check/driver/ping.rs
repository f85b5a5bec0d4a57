//! The station of pings: one ICMP socket for each family.
//!
//! The kernel's own sort of ICMP socket is used where `net.ipv4.ping_group_range` allows it, which
//! needs no privilege; else a raw one, with a filter so that other programs' echoes wake nobody. A
//! reply counts only if it comes from the address that was asked and brings back what was sent.
//! What routers say of an echo that cannot get there is read from the socket's error queue.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{sock_extended_err, sockaddr_in, sockaddr_in6};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvfrom, recvmsg, sendto, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::random::Random;
use super::station::{Done, Station};
use crate::check::config::CheckConfig;
use crate::check::machine::Run;
use crate::check::outcome::{Advice, Failure, Outcome};
use crate::clock::Moment;
use crate::frame::filter;
use crate::frame::icmp::{Echo, Refused};
use crate::frame::socket::attach;
use crate::frame::tcp::Ip;
use crate::vrrp::config::Family;

/// Replies that are read before others get their turn.
const BATCH: usize = 512;

/// A reply, with its IPv4 header.
const PACKET: usize = 256;

/// Room for the replies to some thousand pings that come while we are not scheduled.
const ROOM: usize = 4 * 1024 * 1024;

/// So many pings of an address may find no word from a router before the last one is forgotten.
const HOLDS: u8 = 10;

/// Of more addresses than this, what routers say is not remembered.
const MOST_SAID: usize = 4096;

/// What an echo brings back: nobody guesses it.
type Token = [u8; 16];

/// All pings.
pub(super) struct Ping {
    epoll: Epoll,
    sides: Vec<Side>,
    random: Random,
    runs: BTreeMap<Run, (Family, u16)>,
}

/// The pings of one family.
struct Side {
    family: Family,
    socket: Socket,
    raw: bool,
    identifier: u16,
    next: u16,
    asked: BTreeMap<u16, Asked>,
    /// What was last said of an address that does not answer, and for how many more pings that
    /// holds: routers say it once a second at most, and a reason is not to come and go.
    said: BTreeMap<IpAddr, (Failure, u8)>,
}

#[derive(Clone, Copy)]
struct Asked {
    run: Run,
    address: IpAddr,
    token: Token,
}

impl Ping {
    pub(super) fn open() -> io::Result<Self> {
        let mut random = Random::default();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut sides = vec![Side::open(Family::Ipv4, &mut random)?];
        // A host without IPv6 pings none of it.
        sides.extend(Side::open(Family::Ipv6, &mut random));
        for side in &sides {
            epoll.add(&side.socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        Ok(Ping { epoll, sides, random, runs: BTreeMap::new() })
    }

    /// Ends a run; what routers said of its address.
    fn end(&mut self, run: Run) -> Option<Failure> {
        let (family, sequence) = self.runs.remove(&run)?;
        let side = self.sides.iter_mut().find(|side| side.family == family)?;
        let address = side.asked.remove(&sequence)?.address;
        let (failure, left) = side.said.get_mut(&address)?;
        let failure = failure.clone();
        *left -= 1;
        if *left == 0 {
            side.said.remove(&address);
        }
        Some(failure)
    }
}

impl Station for Ping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>, _now: Moment, done: &mut Done) {
        let (address, token) = (check.target.address, self.random.next());
        let family = Family::of(address);
        let Some(side) = self.sides.iter_mut().find(|side| side.family == family) else {
            return done.push((run, Outcome::Unmade("this host has no IPv6".to_owned())));
        };
        match side.ask(Asked { run, address, token }, done) {
            Ok(sequence) => drop(self.runs.insert(run, (family, sequence))),
            Err(outcome) => done.push((run, outcome)),
        }
        for (ended, _) in done.iter() {
            self.runs.remove(ended);
        }
    }

    fn ready(&mut self, _now: Moment, done: &mut Done) {
        let before = done.len();
        for side in &mut self.sides {
            side.hear(done);
            side.hear_errors(done);
        }
        for (ended, _) in &done[before..] {
            self.runs.remove(ended);
        }
    }

    fn expire(&mut self, run: Run) -> Failure {
        self.end(run).unwrap_or_else(|| Failure::silent("no echo came back"))
    }

    fn abort(&mut self, run: Run) {
        self.end(run);
    }

    fn handle_timeout(&mut self, _now: Moment, _done: &mut Done) {}

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }
}

impl Side {
    fn open(family: Family, random: &mut Random) -> io::Result<Self> {
        let (domain, protocol) = match family {
            Family::Ipv4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::Ipv6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let [a, b, ..] = random.next();
        let identifier = u16::from_be_bytes([a, b]);
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, true),
        };
        if raw {
            attach(&socket, &filter::echoes(family, identifier))?;
        }
        socket.set_nonblocking(true)?;
        match family {
            Family::Ipv4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            Family::Ipv6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        // Without the privilege the room is the system's default.
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM).ok();
        Ok(Side {
            family,
            socket,
            raw,
            identifier,
            next: 0,
            asked: BTreeMap::new(),
            said: BTreeMap::new(),
        })
    }

    fn is_v6(&self) -> bool {
        self.family == Family::Ipv6
    }

    /// Sends an echo; its number.
    fn ask(&mut self, asked: Asked, done: &mut Done) -> Result<u16, Outcome> {
        let unmade = |why: &str| Outcome::Unmade(why.to_owned());
        let number = (0..=u16::MAX).map(|step| self.next.wrapping_add(step));
        let sequence = number.into_iter().find(|number| !self.asked.contains_key(number));
        let sequence = sequence.ok_or_else(|| unmade("too many pings are under way"))?;
        self.next = sequence.wrapping_add(1);
        let echo = Echo { identifier: self.identifier, sequence, payload: &asked.token };
        let request = echo.request(self.is_v6());
        let to = SockaddrStorage::from(SocketAddr::new(asked.address, 0));
        let send = || sendto(self.socket.as_raw_fd(), &request, &to, MsgFlags::MSG_DONTWAIT);
        let mut sent = send();
        if sent.is_err() {
            // What a router said of another echo is told to whoever calls next.
            sent = send();
        }
        match sent {
            Ok(_) => {
                self.asked.insert(sequence, asked);
                Ok(sequence)
            }
            Err(errno @ (Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN)) => {
                self.hear_errors(done);
                Err(Outcome::Bad(Failure::silent(lower(errno))))
            }
            Err(errno) => Err(unmade(&format!("cannot send: {}", lower(errno)))),
        }
    }

    /// Takes replies.
    fn hear(&mut self, done: &mut Done) {
        let mut packet = [0; PACKET];
        for _ in 0..BATCH {
            match recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), &mut packet) {
                Ok((length, Some(from))) => {
                    let reply = self.reply(&packet[..length.min(PACKET)], &from);
                    done.extend(reply.map(|run| (run, Outcome::Good(Advice::default()))));
                }
                // No reply; or the kernel's word for what is in the error queue.
                Ok((_, None)) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {}
            }
        }
    }

    /// Whose reply it is.
    fn reply(&mut self, packet: &[u8], from: &SockaddrStorage) -> Option<Run> {
        let message = match self.raw && !self.is_v6() {
            true => Ip::of(packet)?.payload,
            false => packet,
        };
        let from = ip(from)?;
        let echo = Echo::reply(message, self.is_v6())?;
        let asked = self.asked.get(&echo.sequence)?;
        let right = asked.address == from && asked.token == echo.payload;
        if !right {
            return None;
        }
        self.said.remove(&from);
        self.asked.remove(&echo.sequence).map(|asked| asked.run)
    }

    /// Takes what routers say of echoes.
    fn hear_errors(&mut self, done: &mut Done) {
        for _ in 0..BATCH {
            let mut packet = [0; PACKET];
            let mut control = cmsg_space!(sock_extended_err, sockaddr_in, sockaddr_in6);
            let mut data = [IoSliceMut::new(&mut packet)];
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_ERRQUEUE);
            let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), flags);
            let Ok(message) = message else { return };
            let (length, errors) = (message.bytes.min(PACKET), message.cmsgs());
            let error = errors.ok().and_then(|mut errors| errors.find_map(|e| word(&e)));
            done.extend(error.and_then(|(from, why)| self.refused(&packet[..length], from, why)));
        }
    }

    fn refused(&mut self, quote: &[u8], from: IpAddr, why: Refused) -> Option<(Run, Outcome)> {
        let echo = Echo::asked(quote, self.is_v6())?;
        // Routers need not quote the token whole.
        let asked = self.asked.get(&echo.sequence)?;
        if !asked.token.starts_with(echo.payload) {
            return None;
        }
        let (run, address) = (asked.run, asked.address);
        self.asked.remove(&echo.sequence);
        let failure = match from == address {
            true => Failure::answered(why.to_string()),
            false => Failure::silent(format!("{why}, says {from}")),
        };
        if self.said.len() < MOST_SAID {
            self.said.insert(address, (failure.clone(), HOLDS));
        }
        Some((run, Outcome::Bad(failure)))
    }
}

/// Who says what.
fn word(message: &ControlMessageOwned) -> Option<(IpAddr, Refused)> {
    let (error, from) = match message {
        ControlMessageOwned::Ipv4RecvErr(error, Some(from)) => {
            (error, IpAddr::from(u32::from_be(from.sin_addr.s_addr).to_be_bytes()))
        }
        ControlMessageOwned::Ipv6RecvErr(error, Some(from)) => {
            (error, IpAddr::from(from.sin6_addr.s6_addr))
        }
        _ => return None,
    };
    Some((from, Refused::of(error.ee_type, error.ee_code, from.is_ipv6())?))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// The kernel's words, as they stand in the middle of a sentence.
fn lower(errno: Errno) -> String {
    errno.desc().to_lowercase()
}
