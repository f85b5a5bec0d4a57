//! The sorry page: what clients see when no real server is left and the role names no better place.
//!
//! It is answered by converge itself on the VIP's own port, so that a director needs no web server
//! for it. The sockets are bound whether the VIP is here or not; packets come only while the IPVS
//! table, or nginx, sends them. Status 503 with Retry-After, so that no cache and no search engine
//! takes it for the site. Connections are bounded in number and time.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::host::lasting::lasting;

/// Connections at the same time; one more waits in the backlog.
const MOST: usize = 1024;
/// How long a client may take for its request and for the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a port that somebody else has is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// After what the kernel would not accept: no descriptor, no memory.
const PAUSE: Duration = Duration::from_millis(100);
/// The kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4096;
/// When a client is to come again, in seconds.
const RETRY: &str = "10";

type Page = Arc<RwLock<Bytes>>;

/// The places where the page is answered.
#[derive(Debug, Default)]
pub struct Sorry {
    page: Page,
    places: BTreeMap<SocketAddr, Place>,
}

#[derive(Debug)]
struct Place(JoinHandle<()>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sorry {
    /// Answers here and nowhere else from now on, with this page. A place that was there before
    /// loses no connection.
    pub fn configure(&mut self, places: &[SocketAddr], page: &str) {
        let text = Bytes::copy_from_slice(page.as_bytes());
        *self.page.write().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
        let wanted: BTreeSet<SocketAddr> = places.iter().copied().collect();
        self.places.retain(|at, _| wanted.contains(at));
        for at in wanted {
            let page = Arc::clone(&self.page);
            self.places.entry(at).or_insert_with(|| Place(tokio::spawn(serve_on(at, page))));
        }
    }
}

/// Answers at one place, whatever happens.
async fn serve_on(at: SocketAddr, page: Page) {
    lasting("the sorry page", || serve(at, Arc::clone(&page))).await;
}

/// Answers at one place, for ever.
async fn serve(at: SocketAddr, page: Page) {
    let listener = listen_patiently(at).await;
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    // A client that goes away, or takes too long, is no failure of ours.
                    timeout(LIMIT, answer(stream, page)).await.ok();
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%at, %error, "a connection for the sorry page was not accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Another server may have the port and let it go later.
async fn listen_patiently(at: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match listen(at) {
            Ok(listener) => return listener,
            Err(error) if !told => {
                told = true;
                tracing::error!(
                    "the sorry page cannot be answered at {at}: {error}; let the web server that \
                     has this port answer it instead (fallback = \"local\"), or have it listen \
                     elsewhere"
                );
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    // The VIP may be on another director now.
    match at {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn answer(stream: TcpStream, page: Page) -> Result<(), hyper::Error> {
    let service = service_fn(|_: Request<Incoming>| {
        let page = page.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        async move { Ok::<_, Infallible>(sorry(page)) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(LIMIT);
    server.serve_connection(TokioIo::new(stream), service).await
}

fn sorry(page: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(at: SocketAddr, request: &str) -> String {
        let mut stream = loop {
            match TcpStream::connect(at).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        stream.write_all(request.as_bytes()).await.expect("somebody listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
        answer
    }

    #[tokio::test]
    async fn a_client_is_told_to_come_again_and_what_is_told_can_change() {
        let at = listen("127.0.0.1:0".parse().expect("an address"))
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let mut sorry = Sorry::default();
        sorry.configure(&[at], "<p>first</p>");
        let answer = ask(at, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 10\r\n"), "{answer}");
        assert!(answer.ends_with("<p>first</p>"), "{answer}");
        sorry.configure(&[at], "<p>second</p>");
        let answer = ask(at, "POST /form HTTP/1.0\r\nContent-Length: 1\r\n\r\nx").await;
        assert!(answer.ends_with("<p>second</p>"), "{answer}");
        let answer = ask(at, "HEAD / HTTP/1.0\r\n\r\n").await;
        assert!(answer.contains("503") && !answer.contains("<p>"), "{answer}");
        sorry.configure(&[], "");
        sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(at).await.is_err(), "nobody listens any more");
    }

    #[test]
    fn a_vip_that_is_elsewhere_can_be_listened_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _guard = runtime.as_ref().expect("a runtime").enter();
        let listener = listen("192.0.2.77:0".parse().expect("an address"));
        assert!(listener.is_ok(), "{listener:?}");
    }
}
