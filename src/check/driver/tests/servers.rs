//! Servers that do one thing to whoever connects.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};

/// Serves each connection on a thread of its own for as long as the test runs.
pub(super) fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that nobody listens on, and that nobody else gets while the socket is kept.
pub(super) fn nobody() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let own = getsockname(&socket).expect("an address");
    (socket, own.try_into().expect("an address of IPv4"))
}

/// A listener whose queue is full: what comes is dropped.
pub(super) fn hole() -> (OwnedFd, Vec<TcpStream>, SocketAddr) {
    let (socket, at) = nobody();
    listen(&socket, 0).expect("listens");
    let knock = || TcpStream::connect_timeout(&at, Duration::from_millis(200));
    let filling = (0..4).map_while(|_| knock().ok()).collect();
    (socket, filling, at)
}

/// Says it and then nothing, but stays.
pub(super) fn saying(text: &'static str) -> SocketAddr {
    server(move |mut stream| {
        stream.write_all(text.as_bytes()).ok();
        while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    })
}

/// Resets the connection.
pub(super) fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
}
