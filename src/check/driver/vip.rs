//! The station of checks through a VIP: one packet socket hears all answers of a family.
//!
//! Packet sockets hear what the kernel would drop: on the Active director an answer comes from an
//! address of its own. The port that SYNs come from is held by a socket that is bound and nothing
//! else, so that no program of this host gets it. On a Backup the kernel does see the answers, and
//! resets what it knows nothing of; that goes to whoever holds the VIP, who knows nothing of it
//! either and says nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::random::Random;
use super::station::{Done, Station};
use crate::check::config::{CheckConfig, Probe, ThroughVip, Way};
use crate::check::machine::Run;
use crate::check::outcome::{Advice, Failure, Outcome};
use crate::check::wire::host;
use crate::check::wire::knock::{Door, Knocker, Origin, Output};
use crate::check::wire::ports::{Port, Ports};
use crate::clock::Moment;
use crate::frame::socket::{Announcer, Listener, Tap};
use crate::frame::tunnel::{self, Carrier, Tunnel};
use crate::frame::{filter, icmp, tcp};
use crate::vrrp::config::Family;

/// How long what was read of the host's interfaces is believed. A VIP that has just left is a
/// source for so long, and its answers go to the other director.
const BELIEVED: Duration = Duration::from_secs(2);

/// Packets that are read before others get their turn.
const BATCH: usize = 512;

/// Longer packets are no answers.
const PACKET: usize = 256;

/// All runs of such checks.
pub(super) struct Vip {
    epoll: Epoll,
    announcer: Announcer,
    sides: Vec<Side>,
    /// By the family outside.
    tunnels: BTreeMap<(Family, Carrier), Socket>,
    ports: Option<(Moment, Ports)>,
    knocker: Knocker<Run>,
}

/// What hears one family.
struct Side {
    family: Family,
    tap: Tap,
    neighbours: Listener,
    /// Holds the port.
    held: SocketAddr,
    _holder: Socket,
}

impl Vip {
    pub(super) fn open() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut sides = vec![Side::open(Family::Ipv4)?];
        // A host without IPv6 has no VIPs of it.
        sides.extend(Side::open(Family::Ipv6));
        let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        for side in &sides {
            epoll.add(&side.tap, event)?;
            epoll.add(&side.neighbours, event)?;
        }
        let [seed @ .., _, _, _, _, _, _, _, _] = Random::default().next();
        Ok(Vip {
            epoll,
            announcer: Announcer::open()?,
            sides,
            tunnels: BTreeMap::new(),
            ports: None,
            knocker: Knocker::new(u64::from_ne_bytes(seed)),
        })
    }

    /// Begins a run; its outcome, if that is known already.
    fn knock(
        &mut self,
        run: Run,
        check: &CheckConfig,
        now: Moment,
    ) -> Result<Option<Outcome>, String> {
        let Probe::ThroughVip(through) = &*check.probe else {
            return Err("this is no check through a VIP".to_owned());
        };
        let port = self.held(through.vip).ok_or("this host has no IPv6")?;
        let server = check.target.address;
        // IPVS hands its own host's packets over without any link, and the VIP comes with the
        // traffic: there is nothing to prove.
        if self.ports(now)?.values().any(|port| port.has(server)) {
            return Ok(Some(Outcome::Good(Advice::default())));
        }
        let origin = self.origin(through, server, port, now)?;
        let vip = SocketAddr::new(through.vip, check.target.port);
        let door = Door { vip, server, way: through.way };
        self.knocker.begin(run, door, origin, check.timing.timeout, now);
        Ok(None)
    }

    /// The port of ours that answers from this address go to.
    fn held(&self, vip: IpAddr) -> Option<u16> {
        let side = self.sides.iter().find(|side| side.family == Family::of(vip))?;
        Some(side.held.port())
    }

    fn origin(
        &mut self,
        through: &ThroughVip,
        server: IpAddr,
        port: u16,
        now: Moment,
    ) -> Result<Origin, String> {
        let (vip, interface) = (through.vip, &through.interface);
        let ports = self.ports(now)?;
        let there: &Port = ports.get(interface).ok_or("there is no such interface")?;
        // The server's address may be of another family in a tunnel.
        let towards = if vip.is_ipv4() == server.is_ipv4() { server } else { vip };
        let own = there.own(towards, vip);
        let own = own.ok_or_else(|| format!("{interface} has no address to ask from"))?;
        let mac = match (there.mac, through.way) {
            (Some(mac), _) => mac,
            (None, Way::Tunnel(_)) => [0; 6],
            (None, Way::Direct) => return Err(format!("{interface} is not of Ethernet")),
        };
        Ok(Origin { index: there.index, mac, own: SocketAddr::new(own, port) })
    }

    fn ports(&mut self, now: Moment) -> Result<&Ports, String> {
        let fresh = self.ports.take().filter(|(read, _)| now.since(*read) < BELIEVED);
        let known = match fresh {
            Some(known) => known,
            None => (now, host::ports().map_err(|errno| errno.desc().to_owned())?),
        };
        Ok(&self.ports.insert(known).1)
    }

    /// Does what the machine wants.
    fn follow(&mut self, done: &mut Done) {
        while let Some(output) = self.knocker.poll_output() {
            let (run, sent) = match output {
                Output::Frame { run, index, frame } => (run, self.announcer.send(index, &frame)),
                Output::Tunnel { run, tunnel, server, packet } => {
                    (run, self.tunnel(tunnel, server, &packet))
                }
                Output::Done(run, outcome) => {
                    done.push((run, outcome));
                    continue;
                }
            };
            if let (Some(run), Err(errno)) = (run, sent)
                && is_local(errno)
            {
                self.knocker.abort(run);
                done.push((run, Outcome::Unmade(format!("cannot send: {}", errno.desc()))));
            }
        }
    }

    /// Sends a packet inside of another.
    fn tunnel(&mut self, tunnel: Tunnel, server: IpAddr, packet: &[u8]) -> Result<(), Errno> {
        let key = (Family::of(server), tunnel.carrier(tunnel::is_v6(packet)));
        let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
        let socket = match self.tunnels.entry(key) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(carrier(key).map_err(errno)?),
        };
        let to = SockAddr::from(SocketAddr::new(server, tunnel.port()));
        socket.send_to(&tunnel.wrap(packet), &to).map(drop).map_err(errno)
    }
}

impl Station for Vip {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>, now: Moment, done: &mut Done) {
        let known = self.knock(run, check, now);
        done.extend(known.unwrap_or_else(|why| Some(Outcome::Unmade(why))).map(|it| (run, it)));
        self.follow(done);
    }

    fn ready(&mut self, now: Moment, done: &mut Done) {
        for side in &self.sides {
            side.hear(&mut self.knocker, now);
        }
        self.follow(done);
    }

    fn expire(&mut self, run: Run) -> Failure {
        self.knocker.expire(run)
    }

    fn abort(&mut self, run: Run) {
        self.knocker.abort(run);
    }

    fn handle_timeout(&mut self, now: Moment, done: &mut Done) {
        self.knocker.handle_timeout(now);
        self.follow(done);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.knocker.poll_timeout()
    }
}

impl Side {
    fn open(family: Family) -> io::Result<Self> {
        let (domain, any) = match family {
            Family::Ipv4 => (Domain::IPV4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Family::Ipv6 => (Domain::IPV6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let holder = Socket::new(domain, Type::STREAM, None)?;
        if family == Family::Ipv6 {
            holder.set_only_v6(true)?;
        }
        holder.bind(&SockAddr::from(SocketAddr::new(any, 0)))?;
        let held = holder.local_addr()?.as_socket().ok_or(Errno::EAFNOSUPPORT)?;
        let tap = Tap::open(family, &filter::answers(family, held.port()))?;
        let neighbours = Listener::of_replies(family)?;
        Ok(Side { family, tap, neighbours, held, _holder: holder })
    }

    /// Tells the machine what has come in.
    fn hear(&self, knocker: &mut Knocker<Run>, now: Moment) {
        for _ in 0..BATCH {
            match self.neighbours.receive() {
                Ok(Some((index, claim))) => knocker.handle_claim(index, &claim, now),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        let mut packet = [0; PACKET];
        for _ in 0..BATCH {
            let arrival = match self.tap.receive(&mut packet) {
                Ok(arrival) => arrival,
                Err(Errno::EINTR) => continue,
                Err(_) => break,
            };
            let packet = &packet[..arrival.length];
            if let Some(answer) = tcp::segment(packet).filter(|_| arrival.for_us) {
                knocker.handle_answer(arrival.index, arrival.mac, &answer, now);
            } else if let Some(refusal) = icmp::refusal(packet) {
                knocker.handle_refusal(&refusal);
            }
        }
    }
}

/// A socket that sends packets inside of others, of this family.
fn carrier((outside, carrier): (Family, Carrier)) -> io::Result<Socket> {
    let domain = match outside {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    let socket = match carrier {
        Carrier::Protocol(number) => {
            Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(number))))?
        }
        Carrier::Udp => Socket::new(domain, Type::DGRAM, None)?,
    };
    socket.set_nonblocking(true)?;
    // It would hear every packet of its protocol: it hears none.
    crate::frame::socket::attach(&socket, &filter::nothing())?;
    Ok(socket)
}

/// Whether a packet did not leave through no fault of the server's or of the way to it.
fn is_local(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::EPERM | Errno::EACCES)
}
