//! A TCP port that takes a connection.
//!
//! The connection is let go by a reset, as load balancers' checks do, so that no port of ours stays
//! in TIME_WAIT.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use tokio::net::TcpStream;

use super::{Outcome, Source, bad, words};

pub(super) struct Tcp(SocketAddr);

impl Tcp {
    pub(super) fn new(at: SocketAddr) -> Self {
        Tcp(at)
    }

    async fn connect(&self) -> io::Result<()> {
        let stream = TcpStream::connect(self.0).await?;
        // A port that nobody listens on can connect to itself, when the kernel happens to choose
        // it for our end.
        if stream.local_addr()? == stream.peer_addr()? {
            return Err(Errno::ECONNREFUSED.into());
        }
        stream.set_zero_linger()
    }
}

impl Source for Tcp {
    async fn look(&mut self) -> Outcome {
        match self.connect().await {
            Ok(()) => Outcome::Good,
            Err(error) => bad(words(&error)),
        }
    }
}
