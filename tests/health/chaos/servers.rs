//! The real servers: some ports on each host, which answer as they are told.
//!
//! A thread for each host has its sockets; modes are told to it by numbers that it looks at.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use super::super::web::answer;
use super::truth::{HOSTS, PORTS};
use crate::failover::segment::Segment;

/// Between two looks for a connection.
const LOOK: Duration = Duration::from_millis(3);
/// How long a client may take.
const LIMIT: Duration = Duration::from_millis(300);
/// Connections that are held at the same time by one that hangs.
const HELD: usize = 50;

/// How a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Serves,
    /// The kernel refuses.
    Closed,
    /// It takes connections and says nothing.
    Hangs,
    /// With status 500.
    Errs,
    /// It takes connections and closes them.
    Resets,
}

impl Mode {
    pub(super) const ALL: [Mode; 5] =
        [Mode::Serves, Mode::Closed, Mode::Hangs, Mode::Errs, Mode::Resets];
}

/// All of them.
pub(super) struct Servers<'s> {
    segment: &'s Segment,
    modes: Vec<Arc<[AtomicUsize; PORTS.len()]>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<'s> Servers<'s> {
    pub(super) fn open(segment: &'s Segment) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (mut modes, mut threads) = (Vec::new(), Vec::new());
        for host in HOSTS {
            let network = File::open(format!("/run/netns/{}", segment.namespace(host)));
            let network = network.expect("a namespace of our own");
            let of_host: Arc<[AtomicUsize; PORTS.len()]> = Arc::default();
            let (says, ends) = (Arc::clone(&of_host), Arc::clone(&end));
            threads.push(spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET).expect("a namespace of our own");
                serve(&says, &ends);
            }));
            modes.push(of_host);
        }
        Servers { segment, modes, end, threads }
    }

    /// From now on a port answers so.
    pub(super) fn set(&self, host: usize, port: usize, mode: Mode) {
        let number = Mode::ALL.iter().position(|one| *one == mode).expect("one of all");
        self.modes[host][port].store(number, Ordering::Relaxed);
    }

    /// A host drops all that comes for its ports, or no longer.
    pub(super) fn silence(&self, host: usize, silent: bool) {
        let line = match silent {
            true => {
                "nft add table ip port && nft add chain ip port in \
                 '{ type filter hook input priority 0; }' \
                 && nft add rule ip port in ip protocol tcp drop"
            }
            false => "nft delete table ip port",
        };
        self.segment.ok(HOSTS[host], line);
    }
}

impl Drop for Servers<'_> {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it does not panic");
        }
    }
}

fn serve(modes: &[AtomicUsize; PORTS.len()], end: &AtomicBool) {
    let mut listeners: [Option<TcpListener>; PORTS.len()] = Default::default();
    let mut held: Vec<TcpStream> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        for ((listener, mode), port) in listeners.iter_mut().zip(modes).zip(PORTS) {
            let mode = Mode::ALL[mode.load(Ordering::Relaxed)];
            if mode == Mode::Closed {
                *listener = None;
                continue;
            }
            let open = listener.get_or_insert_with(|| {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
                let listener = listener.expect("nobody else is there");
                listener.set_nonblocking(true).expect("a socket of our own");
                listener
            });
            while let Ok((stream, _)) = open.accept() {
                match mode {
                    Mode::Serves => answer(stream, 200, LIMIT),
                    Mode::Errs => answer(stream, 500, LIMIT),
                    Mode::Hangs => held.push(stream),
                    Mode::Resets | Mode::Closed => drop(stream),
                }
            }
        }
        held.drain(..held.len().saturating_sub(HELD));
        sleep(LOOK);
    }
}
