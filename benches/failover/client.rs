//! A client that asks a VIP every millisecond whether it is there: ICMP echo, which the kernel of
//! whoever holds the VIP answers, so that no program on the director is measured beside it.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::segment::Net;

/// Between two questions.
const PACE: Duration = Duration::from_millis(1);
/// An answer that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_millis(100);
const ECHO: u8 = 8;
const REPLY: u8 = 0;
/// Ours among the answers.
const IDENTIFIER: u16 = 0x6376;

/// A question, and whether it was answered.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    answered: bool,
}

/// Asks until it is told to end.
pub(crate) struct Client {
    asked: Arc<Mutex<Vec<Asked>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    /// Begins to ask.
    pub(crate) fn start(net: &Net, vip: Ipv4Addr) -> Self {
        let socket = net.within(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)));
        let socket = socket.expect("root may have a raw socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let receiver = socket.try_clone().expect("a second handle");
        let (asked, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (a, e) = (Arc::clone(&asked), Arc::clone(&end));
        let asking = thread::spawn(move || ask(&socket, vip, &a, &e));
        let (a, e) = (Arc::clone(&asked), Arc::clone(&end));
        let hearing = thread::spawn(move || hear(&receiver, &a, &e));
        Self { asked, end, threads: vec![asking, hearing] }
    }

    /// Whether the last tenth of a second had an answer.
    pub(crate) fn is_answered(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().rev().take(100).any(|a| a.answered)
    }

    /// Ends it, and says for how long questions since then remained unanswered, in milliseconds.
    pub(crate) fn lost_since(mut self, since: Instant) -> f64 {
        thread::sleep(PATIENCE);
        self.stop();
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // What was asked last may be under way still.
        let whole = asked.iter().filter(|a| a.at >= since && a.at.elapsed() > PATIENCE);
        let whole: Vec<Asked> = whole.copied().collect();
        let spans = whole.windows(2).filter(|pair| !pair[0].answered);
        spans.fold(0.0, |sum, pair| sum + (pair[1].at - pair[0].at).as_secs_f64() * 1000.0)
    }

    fn stop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it does not panic");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ask(socket: &Socket, vip: Ipv4Addr, asked: &Mutex<Vec<Asked>>, end: &AtomicBool) {
    let to = SockAddr::from(SocketAddrV4::new(vip, 0));
    let mut next = Instant::now();
    for number in 0_u32.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let asks = Asked { at: Instant::now(), answered: false };
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(asks);
        // Where nobody is to be found the kernel says so later: that question is lost.
        if let Err(error) = socket.send_to(&question(number), &to) {
            assert!(error.kind() != ErrorKind::PermissionDenied, "{error}");
        }
        // After a pause of its own it does not make up for what it has missed.
        next = (next + PACE).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn hear(mut socket: &Socket, asked: &Mutex<Vec<Asked>>, end: &AtomicBool) {
    let mut buffer = [0; 128];
    while !end.load(Ordering::Relaxed) {
        let Ok(length) = socket.read(&mut buffer) else { continue };
        let at = Instant::now();
        let Some(number) = answered(&buffer[..length]) else { continue };
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = asked.get_mut(number) {
            question.answered = at - question.at < PATIENCE;
        }
    }
}

/// An echo request; its number is also its payload, for a sequence has 16 bits only.
fn question(number: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = ECHO;
    bytes[4..6].copy_from_slice(&IDENTIFIER.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded");
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Which question a packet with its IP header answers.
fn answered(packet: &[u8]) -> Option<usize> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let icmp = packet.get(header..)?;
    let ours = icmp.first() == Some(&REPLY) && icmp.get(4..6)? == IDENTIFIER.to_be_bytes();
    let number: [u8; 4] = icmp.get(8..12)?.try_into().ok()?;
    ours.then(|| u32::from_be_bytes(number)).and_then(|n| usize::try_from(n).ok())
}
