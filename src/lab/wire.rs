//! Moves frames between the machines' network cards and the [`switch`](super::switch).
//!
//! One thread owns the sockets. A card is a socket that keeps message boundaries, one frame each;
//! a receiver whose socket is full loses the frame, as on any network. It decides nothing.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};
use nix::sys::time::TimeSpec;

use super::pcap;
use super::switch::{Damage, Delivery, Direction, Impairment, Port, Switch};

/// The most a card hands over at once, with segmentation offload.
const MAX_FRAME: usize = 65_536 + 64;
/// Per card and round, so that one that floods does not starve the others.
const FRAMES_PER_ROUND: usize = 64;
/// Holds a full TCP window and more.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// The switch and its sockets.
pub struct Wire {
    shared: Mutex<Shared>,
    wake: UnixStream,
}

struct Shared {
    switch: Switch,
    cards: Vec<Option<Arc<OwnedFd>>>,
    captures: Vec<Capture>,
}

struct Capture {
    port: Option<Port>,
    file: File,
}

impl Wire {
    /// Starts the thread.
    pub fn start(ports: usize, seed: u64) -> io::Result<Arc<Wire>> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let switch = Switch::new(ports, seed, Instant::now());
        let shared =
            Shared { switch, cards: (0..ports).map(|_| None).collect(), captures: Vec::new() };
        let wire = Arc::new(Wire { shared: Mutex::new(shared), wake });
        let driver = Arc::clone(&wire);
        thread::Builder::new().name("wire".into()).spawn(move || driver.run(&woken))?;
        Ok(wire)
    }

    /// Plugs a new cable into a port; returns the end for the machine.
    pub fn plug(&self, port: Port) -> io::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        for end in [&ours, &theirs] {
            // Beyond the system's maximum with the right to, else up to it; either will do.
            setsockopt(end, sockopt::SndBufForce, &SOCKET_BUFFER)
                .or_else(|_| setsockopt(end, sockopt::SndBuf, &SOCKET_BUFFER))?;
        }
        if let Some(card) = self.lock().cards.get_mut(port) {
            *card = Some(Arc::new(ours));
        }
        self.wake();
        Ok(theirs)
    }

    /// Changes what a link does to frames.
    pub fn damage(&self, port: Port, direction: Direction, damage: Damage) {
        self.lock().switch.damage(port, direction, damage);
    }

    /// What a link does to frames: outward, inward.
    pub fn impairments(&self, port: Port) -> (Impairment, Impairment) {
        self.lock().switch.impairments(port).unwrap_or_default()
    }

    /// Writes frames to a file from now on: those one host sends and receives, or, without a
    /// port, every frame as its host sends it.
    pub fn capture(&self, port: Option<Port>, path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&pcap::header())?;
        self.lock().captures.push(Capture { port, file });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // If the pipe is full, the thread has enough reasons to wake up.
        (&self.wake).write_all(&[0]).ok();
    }

    fn run(&self, woken: &UnixStream) {
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let (cards, timeout) = self.lock().awaited();
            let readable = wait(woken, &cards, timeout);
            // Only that there was something matters.
            while io::Read::read(&mut &*woken, &mut buffer).is_ok_and(|count| count > 0) {}
            let mut shared = self.lock();
            for (port, card) in readable {
                shared.receive(port, &card, &mut buffer);
            }
            shared.switch.handle_timeout(Instant::now());
            shared.transmit();
        }
    }
}

type Cards = Vec<(Port, Arc<OwnedFd>)>;

fn wait(woken: &UnixStream, cards: &Cards, timeout: Option<Instant>) -> Cards {
    let mut polled = vec![PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
    polled.extend(cards.iter().map(|(_, card)| PollFd::new(card.as_fd(), PollFlags::POLLIN)));
    let left = timeout.map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now())));
    // A signal wakes up as well; then there is nothing to read.
    ppoll(&mut polled, left, None).ok();
    let ready = polled[1..].iter().map(|fd| fd.any().unwrap_or(false));
    cards.iter().zip(ready).filter(|(_, ready)| *ready).map(|(card, _)| card.clone()).collect()
}

impl Shared {
    fn awaited(&self) -> (Cards, Option<Instant>) {
        let plugged = |(port, card): (Port, &Option<Arc<OwnedFd>>)| Some((port, card.clone()?));
        let cards = self.cards.iter().enumerate().filter_map(plugged).collect();
        (cards, self.switch.poll_timeout())
    }

    fn receive(&mut self, port: Port, card: &Arc<OwnedFd>, buffer: &mut [u8]) {
        for _ in 0..FRAMES_PER_ROUND {
            match recv(card.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Ok(0) | Err(_) => {
                    self.unplug(port, card);
                    return;
                }
                Ok(count) => {
                    self.write(&buffer[..count], |wanted| wanted.is_none_or(|only| only == port));
                    self.switch.handle_frame(port, buffer[..count].to_vec(), Instant::now());
                }
            }
        }
    }

    /// The machine is gone; a later boot may have plugged in another card already.
    fn unplug(&mut self, port: Port, card: &Arc<OwnedFd>) {
        let slot = &mut self.cards[port];
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, card)) {
            *slot = None;
        }
    }

    fn transmit(&mut self) {
        while let Some(Delivery { port, frame }) = self.switch.poll_output() {
            let Some(card) = self.cards[port].clone() else {
                continue;
            };
            self.write(&frame, |wanted| wanted == Some(port));
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            // A full socket loses the frame; a closed one is noticed by reading.
            send(card.as_raw_fd(), &frame, flags).ok();
        }
    }

    fn write(&mut self, frame: &[u8], wanted: impl Fn(Option<Port>) -> bool) {
        if self.captures.is_empty() {
            return;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = pcap::record(at, frame);
        // A capture that cannot be written to, a full disk, say, ends.
        self.captures
            .retain_mut(|capture| !wanted(capture.port) || capture.file.write_all(&record).is_ok());
    }
}
