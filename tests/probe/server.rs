//! A server on loopback that misbehaves on request.
//!
//! It takes its answers in turn, one for each request, as a round-robin of servers does. Dropping
//! or stopping it closes the port, so that the next request is refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Sends this and closes.
    Raw(String),
    /// Sends this page and waits for the next request.
    Page(String),
    /// Tears the connection down.
    Reset,
    /// Closes without a word.
    Close,
    /// Never answers.
    Hang,
    /// Sends a body a byte at a time, for ever.
    Slow,
    /// Sends a body as fast as it can, for ever.
    Endless,
}

impl Answer {
    /// A page behind these header lines.
    pub(crate) fn page(header: &str, body: &str) -> Answer {
        Answer::Page(format!("{header}content-length: {}\r\n\r\n{body}", body.len()))
    }

    /// A good page that names the server.
    pub(crate) fn ok(name: &str) -> Answer {
        Answer::page("HTTP/1.1 200 OK\r\n", name)
    }
}

#[derive(Debug, Default)]
struct Shared {
    connections: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    /// Held for writing, no request is answered.
    gate: RwLock<()>,
}

/// A server; its port closes with it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Listens, and answers by turns. Without answers, the port is closed at once.
    pub(crate) async fn start(address: &str, answers: Vec<Answer>) -> Server {
        let listener = listen(address.parse().expect("an address"));
        let address = listener.local_addr().expect("bound");
        let shared = Arc::<Shared>::default();
        let answers: Arc<[Answer]> = answers.into();
        let accepting = match answers.is_empty() {
            true => tokio::spawn(async {}),
            false => tokio::spawn(accept(listener, answers, Arc::clone(&shared))),
        };
        Server { address, shared, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes of endless bodies that were sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Keeps all requests waiting for a while.
    pub(crate) async fn hold(&self, time: Duration) {
        let _closed = self.shared.gate.write().await;
        tokio::time::sleep(time).await;
    }

    /// Closes the port, and returns when it is closed.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        let ended = (&mut self.accepting).await;
        assert!(ended.is_err_and(|e| e.is_cancelled()), "the server had ended before");
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.expect("a socket");
    socket.set_reuseaddr(true).expect("an option every kernel has");
    socket.bind(address).expect("a free port");
    socket.listen(1024).expect("bound")
}

async fn accept(listener: TcpListener, answers: Arc<[Answer]>, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("loopback accepts");
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let (answers, shared) = (Arc::clone(&answers), Arc::clone(&shared));
        tokio::spawn(async move {
            // A client that goes away early is what some tests are about.
            let _gone = serve(stream, &answers, &shared).await.is_err();
        });
    }
}

async fn serve(mut stream: TcpStream, answers: &[Answer], shared: &Shared) -> std::io::Result<()> {
    const BLOCK: [u8; 8192] = [b'x'; 8192];
    const START: &str = "HTTP/1.1 200 OK\r\n\r\nendless\n";
    let mut request = [0; 4096];
    loop {
        // A probe's request fits one packet.
        if stream.read(&mut request).await? == 0 {
            return Ok(());
        }
        let turn = shared.requests.fetch_add(1, Ordering::Relaxed) as usize;
        drop(shared.gate.read().await);
        match &answers[turn % answers.len()] {
            Answer::Page(page) => stream.write_all(page.as_bytes()).await?,
            Answer::Raw(text) => return stream.write_all(text.as_bytes()).await,
            Answer::Reset => return stream.set_zero_linger(),
            Answer::Close => return Ok(()),
            Answer::Hang => std::future::pending().await,
            Answer::Slow => {
                stream.write_all(START.as_bytes()).await?;
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.write_all(b"x").await?;
                }
            }
            Answer::Endless => {
                stream.write_all(START.as_bytes()).await?;
                loop {
                    stream.write_all(&BLOCK).await?;
                    shared.bytes.fetch_add(BLOCK.len() as u64, Ordering::Relaxed);
                }
            }
        }
    }
}
