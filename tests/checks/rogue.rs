//! Servers that do what none should: they read a request and then go wrong in one way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::spawn;
use std::time::Duration;

/// How a server goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rogue {
    /// Says this and closes.
    Says(&'static [u8]),
    /// Says this and then the other thing again and again, until nobody listens.
    Repeats(&'static [u8], &'static [u8]),
    /// Says this and then the other thing from time to time, until nobody listens.
    Drips(&'static [u8], &'static [u8]),
    /// Says this and then nothing more.
    Stalls(&'static [u8]),
    /// Says this and tears the connection down.
    Resets(&'static [u8]),
}

/// Serves one connection.
pub(crate) fn rogue(rogue: Rogue) -> SocketAddr {
    listening(rogue, true, "127.0.0.1:0")
}

/// The same, of one that does not wait until it is asked.
pub(crate) fn hasty(rogue: Rogue) -> SocketAddr {
    listening(rogue, false, "127.0.0.1:0")
}

/// The same over IPv6.
pub(crate) fn hasty_over_six(rogue: Rogue) -> SocketAddr {
    listening(rogue, false, "[::1]:0")
}

fn listening(rogue: Rogue, waits: bool, at: &str) -> SocketAddr {
    let listener = TcpListener::bind(at).expect("loopback");
    let address = listener.local_addr().expect("bound");
    spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            serve(rogue, stream, waits);
        }
    });
    address
}

fn serve(rogue: Rogue, mut stream: TcpStream, waits: bool) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a stream");
    // All of a request that is small enough to come at once; otherwise nobody asked.
    if waits && stream.read(&mut [0; 4096]).is_ok_and(|n| n == 0) {
        return;
    }
    match rogue {
        Rogue::Says(bytes) => {
            stream.write_all(bytes).ok();
        }
        Rogue::Repeats(first, again) => {
            let again = again.repeat(1 + 4096 / again.len());
            let mut going = stream.write_all(first);
            while going.is_ok() {
                going = stream.write_all(&again);
            }
        }
        Rogue::Drips(first, again) => {
            let mut going = stream.write_all(first);
            while going.is_ok() {
                std::thread::sleep(Duration::from_millis(30));
                going = stream.write_all(again);
            }
        }
        Rogue::Stalls(bytes) => {
            stream.write_all(bytes).ok();
            // Until the other side has had enough.
            while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
        }
        Rogue::Resets(bytes) => {
            stream.write_all(bytes).ok();
            std::thread::sleep(Duration::from_millis(50));
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a stream");
        }
    }
}
