//! A real server of the tests: what answers HTTP on a host of the segment.
//!
//! It is a socket in the host's namespace and a thread of this process. It can answer with any
//! status, or be closed, so that the host's kernel refuses.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::failover::segment::Segment;

/// Between two looks for a connection.
const LOOK: Duration = Duration::from_millis(2);
/// How long a client may take.
const LIMIT: Duration = Duration::from_millis(500);

/// A web server. It is closed when it is dropped.
pub(crate) struct Web {
    status: Arc<AtomicU16>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Opens one on port 80 of a host; it answers that all is well.
    pub(crate) fn open(segment: &Segment, host: &str) -> Web {
        let listener = listen(segment, host, 80);
        let status = Arc::new(AtomicU16::new(200));
        let end = Arc::new(AtomicBool::new(false));
        let (says, ends) = (Arc::clone(&status), Arc::clone(&end));
        let thread = spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => answer(stream, says.load(Ordering::Relaxed), LIMIT),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(LOOK),
                    // The client is gone already.
                    Err(_) => {}
                }
            }
        });
        Web { status, end, thread: Some(thread) }
    }

    /// From now on it answers with this status.
    pub(crate) fn say(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

/// A socket that listens in a host's namespace, and does not block.
pub(crate) fn listen(segment: &Segment, host: &str, port: u16) -> TcpListener {
    let network = File::open(format!("/run/netns/{}", segment.namespace(host)));
    let network = network.expect("a namespace of our own");
    // Only the thread is there; the socket stays where it was made.
    let there = move || {
        setns(network, CloneFlags::CLONE_NEWNET).expect("a namespace of our own");
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("nobody else is there")
    };
    let listener = spawn(there).join().expect("it listens");
    listener.set_nonblocking(true).expect("a socket of our own");
    listener
}

/// A client that goes away is none of our concern. Who asks by TCP alone says nothing.
pub(super) fn answer(mut stream: TcpStream, status: u16, limit: Duration) {
    stream.set_nonblocking(false).expect("a socket of our own");
    stream.set_read_timeout(Some(limit)).expect("a socket of our own");
    let mut request = [0; 1024];
    if stream.read(&mut request).is_ok_and(|length| length > 0) {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).ok();
    }
}
