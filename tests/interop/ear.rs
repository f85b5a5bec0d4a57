//! Hears every advertisement that leaves or reaches a host, as bytes on its interfaces.
//!
//! A packet socket that was made in the host's network namespace, and a thread that reads it until
//! the ear is dropped. What is heard goes through converge's own codec, whose golden packets are
//! keepalived's.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use converge::vrrp::packet::{Discard, Envelope, Expect, PROTOCOL, Received, parse};
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};

use crate::failover::segment::{PATIENCE, Segment};

/// linux/if_ether.h ETH_P_ALL, in network order.
const EVERY_PROTOCOL: i32 = 0x0300;
/// How often the thread looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// One packet of VRRP.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    /// Printed when a test fails.
    #[expect(dead_code, reason = "only Debug reads it")]
    pub envelope: Envelope,
    pub said: Result<Received, Discard>,
}

impl Heard {
    /// The priority, unless the packet is broken.
    pub fn priority(&self) -> Option<u8> {
        self.said.as_ref().ok().map(|received| received.advert.priority)
    }
}

pub struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Hears from now on.
    pub fn on(segment: &Segment, host: &str) -> Ear {
        let socket = within(segment, host, || {
            let every = Some(Protocol::from(EVERY_PROTOCOL));
            Socket::new(Domain::PACKET, Type::DGRAM, every).expect("a packet socket")
        });
        socket.set_read_timeout(Some(GLANCE)).expect("a limit");
        // Only for its safe `recv`.
        let socket = UdpSocket::from(OwnedFd::from(socket));
        let (heard, ends) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (notes, over) = (Arc::clone(&heard), Arc::clone(&ends));
        let thread = Some(spawn(move || listen(&socket, &notes, &over)));
        Ear { heard, ends, thread }
    }

    /// What was heard, in order.
    pub fn all(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was heard since then, in order.
    pub fn since(&self, then: Instant) -> Vec<Heard> {
        self.all().into_iter().filter(|heard| heard.at >= then).collect()
    }

    /// How often this priority was heard since then.
    pub fn count(&self, priority: u8, then: Instant) -> usize {
        self.since(then).iter().filter(|heard| heard.priority() == Some(priority)).count()
    }

    /// Waits for the first advertisement of this priority after then.
    pub fn wait_for(&self, priority: u8, then: Instant) -> Heard {
        let end = Instant::now() + PATIENCE;
        loop {
            let heard = self.since(then);
            if let Some(it) = heard.iter().find(|heard| heard.priority() == Some(priority)) {
                return it.clone();
            }
            assert!(Instant::now() < end, "priority {priority} was not heard in {heard:#?}");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            thread.join().ok();
        }
    }
}

/// Calls `body` in a host's network namespace. A socket stays where it was made.
pub fn within<T: Send>(segment: &Segment, host: &str, body: impl FnOnce() -> T + Send) -> T {
    let path = format!("/var/run/netns/{}", segment.namespace(host));
    let network = File::open(path).expect("the namespace of a host");
    let there = || {
        setns(network, CloneFlags::CLONE_NEWNET).expect("the namespace of a host");
        body()
    };
    std::thread::scope(|scope| scope.spawn(there).join()).expect("what ran there")
}

fn listen(socket: &UdpSocket, heard: &Mutex<Vec<Heard>>, ends: &AtomicBool) {
    let mut buffer = [0; 65536];
    while !ends.load(Ordering::Relaxed) {
        // It times out, and has nothing to say while the interface is down.
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let Some((envelope, payload)) = unwrapped(&buffer[..length]) else { continue };
        let said = parse(payload, &envelope, &Expect { multicast: false });
        let it = Heard { at: Instant::now(), envelope, said };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(it);
    }
}

/// The IP header and payload of a packet, if it is one of VRRP.
fn unwrapped(packet: &[u8]) -> Option<(Envelope, &[u8])> {
    match packet.first()? >> 4 {
        4 if *packet.get(9)? == PROTOCOL => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            let envelope = Envelope {
                source: ipv4(packet.get(12..16)?),
                destination: ipv4(packet.get(16..20)?),
                ttl: Some(packet[8]),
            };
            Some((envelope, packet.get(header..total)?))
        }
        6 if *packet.get(6)? == PROTOCOL => {
            let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
            let envelope = Envelope {
                source: ipv6(packet.get(8..24)?),
                destination: ipv6(packet.get(24..40)?),
                ttl: Some(packet[7]),
            };
            Some((envelope, packet.get(40..40 + length)?))
        }
        _ => None,
    }
}

fn ipv4(bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 4] = bytes.try_into().expect("four bytes");
    Ipv4Addr::from(bytes).into()
}

fn ipv6(bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 16] = bytes.try_into().expect("sixteen bytes");
    Ipv6Addr::from(bytes).into()
}
