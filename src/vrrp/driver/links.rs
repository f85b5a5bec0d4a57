//! The connections with the other directors: their sockets, driven by one [`Peering`] each.
//!
//! What is decided is decided there. Here connections are made, read and written without ever
//! waiting; one of nobody that is in the cluster file is closed before a byte of it is read.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use ring::rand::{SecureRandom, SystemRandom};
use socket2::Socket;

use super::tcp::{self, Dialling};
use crate::clock::Moment;
use crate::vrrp::fingerprint::Digests;
use crate::vrrp::key::Key;
use crate::vrrp::link::{
    Alarm, ConnectionId, Dialled, Ends, LINK_PORT, News, Nonce, Output, Peering, Standing, Topic,
};

/// Bytes read at a time; nobody says more at once but digests and words.
const BUFFER: usize = 4096;

/// Reads of one connection in a row, so that a flood of it does not keep the loop.
const READS: usize = 32;

/// Connections accepted in a row.
const ACCEPTS: usize = 32;

/// How soon a port that could not be listened on is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What is needed to speak with the other directors.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// This host's name in the cluster file.
    pub host: String,
    /// This host's address in the cluster file.
    pub address: IpAddr,
    /// The interface that has this address: connections are made by no other way.
    pub interface: Option<String>,
    /// The other directors with their addresses in the cluster file.
    pub peers: BTreeMap<String, IpAddr>,
    /// The cluster's key.
    pub key: Key,
    /// Of this host's files.
    pub digests: Arc<Digests>,
}

/// Something that a peering said.
pub(super) enum Said {
    News(News),
    Alarm(Alarm),
}

struct Connection {
    socket: Socket,
    dialling: bool,
}

struct Peer {
    peering: Peering,
    connections: BTreeMap<ConnectionId, Connection>,
}

/// All connections.
pub(super) struct Links {
    settings: LinkSettings,
    random: SystemRandom,
    /// Tells this process from the one before and the one after it.
    incarnation: u64,
    listener: Result<Socket, Moment>,
    /// Until when nobody is accepted, for want of descriptors. The port stays open meanwhile: one
    /// that refuses says that this process has died.
    full: Option<Moment>,
    failed: Option<Errno>,
    peers: Vec<Peer>,
}

/// What poll(2) is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Somebody may have connected.
    Listener,
    /// A connection of the peer of that number.
    Connection(usize, ConnectionId),
}

impl Links {
    /// Listens, and dials everybody.
    pub(super) fn open(settings: LinkSettings, now: Moment) -> io::Result<Self> {
        let random = SystemRandom::new();
        let incarnation = u64::from_ne_bytes(*fresh(&random)?.first_chunk().expect("32 bytes"));
        let (listener, full, failed, peers) = (Err(now), None, None, Vec::new());
        let mut links = Links { settings, random, incarnation, listener, full, failed, peers };
        links.peer_with_all(now);
        links.keep_listening(now);
        Ok(links)
    }

    /// The files say something else now. Connections that it does not concern stay; gives the peers
    /// of which nothing is known any more.
    pub(super) fn handle_settings(&mut self, settings: LinkSettings, now: Moment) -> Vec<String> {
        let old = std::mem::replace(&mut self.settings, settings);
        let new = &self.settings;
        let same_end = (&old.host, old.address, &old.interface)
            == (&new.host, new.address, &new.interface)
            && old.key.is_same(&new.key);
        if old.address != new.address {
            self.listener = Err(now);
        }
        let stays = |peer: &Peer| {
            let address = Some(&peer.peering.peer_address());
            same_end && new.peers.get(peer.peering.peer()) == address
        };
        let (kept, lost): (Vec<Peer>, Vec<Peer>) =
            std::mem::take(&mut self.peers).into_iter().partition(stays);
        self.peers = kept;
        let digests = Arc::clone(&self.settings.digests);
        self.each(|peering| peering.handle_digests(Arc::clone(&digests), now));
        self.peer_with_all(now);
        self.keep_listening(now);
        lost.iter().map(|peer| peer.peering.peer().to_owned()).collect()
    }

    /// The other directors.
    pub(super) fn peers(&self) -> Vec<String> {
        self.peers.iter().map(|peer| peer.peering.peer().to_owned()).collect()
    }

    /// Dials those of the settings that there is no peering with yet.
    fn peer_with_all(&mut self, now: Moment) {
        for (name, address) in &self.settings.peers {
            if self.peers.iter().any(|peer| peer.peering.peer() == name) {
                continue;
            }
            let ends = Ends {
                host: self.settings.host.clone(),
                address: self.settings.address,
                peer: name.clone(),
                peer_address: *address,
                incarnation: self.incarnation,
                key: self.settings.key.clone(),
            };
            let peering = Peering::new(ends, Arc::clone(&self.settings.digests), now);
            self.peers.push(Peer { peering, connections: BTreeMap::new() });
        }
    }

    /// Why nobody can connect to us, if it is news.
    pub(super) fn poll_failure(&mut self) -> Option<Errno> {
        self.failed.take()
    }

    /// What to wait for.
    pub(super) fn doors(&self) -> impl Iterator<Item = (Door, BorrowedFd<'_>, PollFlags)> {
        let listener = self.listener.as_ref().ok().filter(|_| self.full.is_none());
        let listener = listener.map(|l| (Door::Listener, l.as_fd(), PollFlags::POLLIN));
        let connections = self.peers.iter().enumerate().flat_map(|(n, peer)| {
            peer.connections.iter().map(move |(id, connection)| {
                let flags = match connection.dialling {
                    true => PollFlags::POLLOUT,
                    false => PollFlags::POLLIN,
                };
                (Door::Connection(n, *id), connection.socket.as_fd(), flags)
            })
        });
        listener.into_iter().chain(connections)
    }

    /// Something has happened there.
    pub(super) fn handle_door(&mut self, door: Door, now: Moment) {
        match door {
            Door::Listener => self.accept(now),
            Door::Connection(peer, id) => self.attend(peer, id, now),
        }
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        self.keep_listening(now);
        self.full = self.full.filter(|until| *until > now);
        for peer in &mut self.peers {
            if peer.peering.poll_timeout().is_some_and(|due| due <= now) {
                peer.peering.handle_timeout(now);
            }
        }
    }

    /// When that is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let peerings = self.peers.iter().filter_map(|peer| peer.peering.poll_timeout());
        peerings.chain(self.listener.as_ref().err().copied()).chain(self.full).min()
    }

    /// How our routers stand.
    pub(super) fn handle_standing(&mut self, standings: &[Standing], now: Moment) {
        self.each(|peering| peering.handle_standing(standings.to_vec(), now));
    }

    /// Which of our routers are Active, once more.
    pub(super) fn handle_repeat(&mut self, now: Moment) {
        self.each(|peering| peering.handle_repeat(now));
    }

    /// One of our routers resigns.
    pub(super) fn handle_resigned(&mut self, router: &str, now: Moment) {
        self.each(|peering| peering.handle_resigned(router, now));
    }

    /// This process is about to be replaced.
    pub(super) fn handle_restart(&mut self, back_within: Duration, now: Moment) {
        self.each(|peering| peering.handle_restart(back_within, now));
    }

    /// The other directors are to know this, if they were not told already.
    pub(super) fn handle_tell(&mut self, topic: Topic, bytes: &[u8], now: Moment) {
        self.each(|peering| peering.handle_tell(topic, bytes, now));
    }

    fn each(&mut self, tell: impl Fn(&mut Peering)) {
        self.peers.iter_mut().for_each(|peer| tell(&mut peer.peering));
    }

    /// Carries out what the peerings want, and returns the next thing that one of them said.
    pub(super) fn poll_said(&mut self, now: Moment) -> Option<(String, Said)> {
        for number in 0..self.peers.len() {
            while let Some(output) = self.peers[number].peering.poll_output() {
                let name = |links: &Self| links.peers[number].peering.peer().to_owned();
                match output {
                    Output::Dial(id) => self.dial(number, id, now),
                    Output::Write(id, bytes) => self.write(number, id, &bytes, now),
                    Output::Close(id) => drop(self.peers[number].connections.remove(&id)),
                    Output::News(news) => return Some((name(self), Said::News(news))),
                    Output::Alarm(alarm) => return Some((name(self), Said::Alarm(alarm))),
                }
            }
        }
        None
    }

    fn keep_listening(&mut self, now: Moment) {
        if !self.listener.as_ref().is_err_and(|again| *again <= now) {
            return;
        }
        self.listener =
            tcp::listen(SocketAddr::new(self.settings.address, LINK_PORT)).map_err(|e| {
                self.failed = e.raw_os_error().map(Errno::from_raw);
                now + RETRY
            });
    }

    fn accept(&mut self, now: Moment) {
        for _ in 0..ACCEPTS {
            let Ok(listener) = &self.listener else { return };
            let (socket, from) = match tcp::accept(listener) {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => match e.raw_os_error().map(Errno::from_raw) {
                    // One that waits still would wake us again and again, before all others.
                    Some(
                        why @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM),
                    ) => {
                        (self.full, self.failed) = (Some(now + RETRY), Some(why));
                        return;
                    }
                    // One that is gone again.
                    Some(_) | None => return,
                },
            };
            let peer = self.peers.iter_mut().find(|p| Some(p.peering.peer_address()) == from);
            // A stranger's is closed here, unread.
            if let (Some(peer), Ok(nonce)) = (peer, fresh(&self.random)) {
                let id = peer.peering.handle_accepted(nonce, now);
                peer.connections.insert(id, Connection { socket, dialling: false });
            }
        }
    }

    fn dial(&mut self, number: usize, id: ConnectionId, now: Moment) {
        let peer = &mut self.peers[number];
        let to = SocketAddr::new(peer.peering.peer_address(), LINK_PORT);
        let device = self.settings.interface.as_deref();
        match tcp::dial(self.settings.address, to, device) {
            Ok(socket) => {
                peer.connections.insert(id, Connection { socket, dialling: true });
            }
            Err(e) => peer.peering.handle_dialled(id, verdict(tcp::judge(&e, None)), now),
        }
    }

    fn attend(&mut self, number: usize, id: ConnectionId, now: Moment) {
        // Since poll(2) was asked peers may have gone, and others have come in their places: who
        // looks there finds nothing, and does no harm.
        let Some(peer) = self.peers.get_mut(number) else { return };
        let Some(connection) = peer.connections.get_mut(&id) else {
            return;
        };
        if !connection.dialling {
            return self.read(number, id, now);
        }
        let outcome = match tcp::outcome(&connection.socket) {
            Dialling::UnderWay => return,
            Dialling::Connected => match fresh(&self.random) {
                Ok(nonce) => Dialled::Connected(nonce),
                Err(_) => Dialled::Unreachable,
            },
            failed => verdict(failed),
        };
        match outcome {
            Dialled::Connected(_) => connection.dialling = false,
            Dialled::Refused | Dialled::TimedOut | Dialled::Unreachable => {
                peer.connections.remove(&id);
            }
        }
        peer.peering.handle_dialled(id, outcome, now);
    }

    fn read(&mut self, number: usize, id: ConnectionId, now: Moment) {
        let peer = &mut self.peers[number];
        let mut buffer = [0; BUFFER];
        for _ in 0..READS {
            let Some(connection) = peer.connections.get(&id) else { return };
            match tcp::read(connection.socket.as_fd(), &mut buffer) {
                Ok(length @ 1..) => peer.peering.handle_bytes(id, &buffer[..length], now),
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Ok(0) | Err(_) => {
                    peer.connections.remove(&id);
                    return peer.peering.handle_closed(id, now);
                }
            }
        }
    }

    fn write(&mut self, number: usize, id: ConnectionId, bytes: &[u8], now: Moment) {
        let peer = &mut self.peers[number];
        let Some(connection) = peer.connections.get(&id) else { return };
        if !tcp::write(connection.socket.as_fd(), bytes) {
            peer.connections.remove(&id);
            peer.peering.handle_closed(id, now);
        }
    }
}

fn verdict(dialling: Dialling) -> Dialled {
    match dialling {
        Dialling::Refused => Dialled::Refused,
        Dialling::TimedOut => Dialled::TimedOut,
        Dialling::Unreachable | Dialling::UnderWay | Dialling::Connected => Dialled::Unreachable,
    }
}

fn fresh(random: &SystemRandom) -> io::Result<Nonce> {
    let mut nonce = Nonce::default();
    random.fill(&mut nonce).map_err(|_| io::Error::other("the kernel has no random bytes"))?;
    Ok(nonce)
}
