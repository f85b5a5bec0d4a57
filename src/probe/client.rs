//! Asks a target once, and says what became of it.
//!
//! A page is asked for over a connection of its own (unless told otherwise), past any proxy of
//! the environment, without following redirects; a port is connected to and let go. Every answer
//! is bounded in time and in size. Failures are told apart by the types of their causes, never by
//! their words.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::errno::Errno;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONNECTION, HeaderMap, HeaderValue, SERVER};
use reqwest::{Response, Url, redirect};
use tokio::net::TcpStream;

use super::answer;
use super::tally::{Failure, FailureKind, Outcome};
use super::target::Target;

/// How much of a body is read: a page, but not a server that never stops.
pub const BODY: usize = 1 << 20;

/// How much of a body is looked through for the server's name.
const HEAD: usize = 4096;

/// Redirects followed in one request, where asked for; browsers give up at 20.
const REDIRECTS: usize = 10;

/// The kernel's errors that are this machine's own fault.
const ERRNOS: [(Errno, FailureKind); 6] = [
    (Errno::EMFILE, FailureKind::Local),
    (Errno::ENFILE, FailureKind::Local),
    (Errno::ENOBUFS, FailureKind::Local),
    (Errno::EADDRNOTAVAIL, FailureKind::Local),
    (Errno::EACCES, FailureKind::Local),
    (Errno::EPERM, FailureKind::Local),
];

/// What the other I/O errors mean for a VIP.
const KINDS: [(ErrorKind, FailureKind); 10] = [
    (ErrorKind::ConnectionRefused, FailureKind::Refused),
    (ErrorKind::ConnectionReset, FailureKind::Reset),
    (ErrorKind::ConnectionAborted, FailureKind::Reset),
    (ErrorKind::BrokenPipe, FailureKind::Reset),
    (ErrorKind::TimedOut, FailureKind::Timeout),
    (ErrorKind::UnexpectedEof, FailureKind::Closed),
    (ErrorKind::HostUnreachable, FailureKind::Unreachable),
    (ErrorKind::NetworkUnreachable, FailureKind::Unreachable),
    (ErrorKind::NetworkDown, FailureKind::Unreachable),
    // From a TLS stream that makes no sense.
    (ErrorKind::InvalidData, FailureKind::Garbage),
];

/// How to ask.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long an answer may take, name lookup and body included.
    pub timeout: Duration,
    /// Take any certificate.
    pub insecure: bool,
    /// Ask again over the same connection.
    pub keep_alive: bool,
    /// Follow redirects.
    pub follow: bool,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct SetupError {
    source: reqwest::Error,
}

/// Asks one target.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Way {
    Http { client: reqwest::Client, url: Url },
    Tcp { host: String, port: u16, shown: String },
}

impl Client {
    /// A client for this target.
    pub fn new(target: &Target, manner: &Manner) -> Result<Client, SetupError> {
        let way = match target {
            Target::Page(url) => Way::Http {
                client: http(url, manner).map_err(|source| SetupError { source })?,
                url: url.clone(),
            },
            Target::Port { host, port } => Way::Tcp {
                host: host.clone(),
                port: *port,
                shown: target.to_string().trim_start_matches("tcp://").to_owned(),
            },
        };
        Ok(Client { way, timeout: manner.timeout })
    }

    /// Asks once.
    pub async fn ask(&self) -> Outcome {
        let asked = async {
            match &self.way {
                Way::Http { client, url } => page(client, url).await,
                Way::Tcp { host, port, shown } => connect(host, *port, shown).await,
            }
        };
        match self.within_limit(asked).await {
            Ok(by) => Outcome::Answered { by },
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Asks for a page once, to its end, and returns the status, whatever it says. `None`: the port
    /// took the connection, and there is no page.
    pub async fn status(&self) -> Result<Option<u16>, Failure> {
        let asked = async {
            match &self.way {
                Way::Http { client, url } => status(client, url).await.map(Some),
                Way::Tcp { host, port, shown } => connect(host, *port, shown).await.map(|_| None),
            }
        };
        self.within_limit(asked).await
    }

    /// Asks for a page once and returns its status and all of its body. `None`: there is no page.
    pub async fn body(&self) -> Result<Option<(u16, Vec<u8>)>, Failure> {
        let asked = async {
            match &self.way {
                Way::Http { client, url } => body(client, url).await.map(Some),
                Way::Tcp { host, port, shown } => connect(host, *port, shown).await.map(|_| None),
            }
        };
        self.within_limit(asked).await
    }

    async fn within_limit<T>(
        &self,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        // The time limit is ours alone: the HTTP client's would not cover a slow name lookup.
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure {
                kind: FailureKind::Timeout,
                detail: format!("no answer within {:?}", self.timeout),
            }),
        }
    }
}

fn http(url: &Url, manner: &Manner) -> Result<reqwest::Client, reqwest::Error> {
    // The first caller in the process wins; all of them install the same one.
    let _already = rustls::crypto::ring::default_provider().install_default().is_err();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .user_agent(concat!("converge-probe/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Lookup)
        .redirect(match manner.follow {
            true => redirect::Policy::limited(REDIRECTS),
            false => redirect::Policy::none(),
        });
    if !manner.keep_alive {
        // Lets the server close first, so that its side keeps the port in TIME_WAIT and not ours:
        // 28,000 ports at a request a millisecond would last for half a minute.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        builder = builder.pool_max_idle_per_host(0);
    }
    // A host without any root certificate can still ask in plain HTTP.
    if manner.insecure || (url.scheme() == "http" && !manner.follow) {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.default_headers(headers).build()
}

/// Asks for the page and returns the server's name.
async fn page(client: &reqwest::Client, url: &Url) -> Result<String, Failure> {
    let request = client.get(url.clone()).send();
    let mut response = request.await.map_err(|e| failure(&e))?;
    let head = read(&mut response).await?;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Err(Failure {
            kind: FailureKind::Status(status.as_u16()),
            detail: status.to_string(),
        });
    }
    let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
    let served_by = header("x-served-by").map(String::from_utf8_lossy);
    let server = header(SERVER.as_str()).map(String::from_utf8_lossy);
    let text = String::from_utf8_lossy(&head);
    Ok(answer::name(served_by.as_deref(), &text, server.as_deref()))
}

async fn status(client: &reqwest::Client, url: &Url) -> Result<u16, Failure> {
    let request = client.get(url.clone()).send();
    let mut response = request.await.map_err(|e| failure(&e))?;
    read(&mut response).await?;
    Ok(response.status().as_u16())
}

async fn body(client: &reqwest::Client, url: &Url) -> Result<(u16, Vec<u8>), Failure> {
    let request = client.get(url.clone()).send();
    let mut response = request.await.map_err(|e| failure(&e))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failure(&e))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY {
            let detail = format!("the page is longer than {BODY} bytes");
            return Err(Failure { kind: FailureKind::Other, detail });
        }
    }
    Ok((response.status().as_u16(), body))
}

/// Reads the body to its end or to [`BODY`] bytes, and returns its head.
async fn read(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::new();
    let mut length = 0;
    while length < BODY {
        let Some(chunk) = response.chunk().await.map_err(|e| failure(&e))? else {
            break;
        };
        length += chunk.len();
        let room = HEAD - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(head)
}

/// Connects, and lets go at once. The port itself stands for the server.
async fn connect(host: &str, port: u16, shown: &str) -> Result<String, Failure> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|source| {
        let unresolved = Unresolved { name: host.to_owned(), source };
        Failure { kind: FailureKind::Unresolved, detail: chain(&unresolved) }
    })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Closed by a reset, as load balancers' checks do, so that no port of ours stays
                // in TIME_WAIT. Where that is not possible, it is closed the slow way.
                let _slow = stream.set_zero_linger().is_err();
                return Ok(shown.to_owned());
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::Error::from(ErrorKind::AddrNotAvailable));
    Err(Failure { kind: io_kind(&error), detail: error.to_string() })
}

/// Looks names up with the system's resolver, and marks its errors as what they are.
struct Lookup;

#[derive(Debug, thiserror::Error)]
#[error("cannot look {name:?} up")]
struct Unresolved {
    name: String,
    source: io::Error,
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str();
            match tokio::net::lookup_host((name, 0)).await {
                Ok(found) => {
                    let addresses: Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
                    Ok(addresses)
                }
                Err(source) => Err(Unresolved { name: name.to_owned(), source }.into()),
            }
        })
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    let kind = match cause_kind(error) {
        Some(kind) => kind,
        None if error.is_timeout() => FailureKind::Timeout,
        None => FailureKind::Other,
    };
    // The innermost cause says what happened; what is around it repeats the URL.
    Failure { kind, detail: innermost(error).to_string() }
}

/// The first cause whose type tells what happened.
fn cause_kind(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if error.is::<Unresolved>() {
        return Some(FailureKind::Unresolved);
    }
    if error.is::<rustls::Error>() {
        return Some(FailureKind::Tls);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        if error.is_incomplete_message() {
            return Some(FailureKind::Closed);
        }
        if error.is_parse() {
            return Some(FailureKind::Garbage);
        }
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An error wrapped in an I/O error is not among its sources.
        let wrapped = error.get_ref().and_then(|inner| cause_kind(inner));
        return Some(wrapped.unwrap_or_else(|| io_kind(error)));
    }
    error.source().and_then(cause_kind)
}

fn io_kind(error: &io::Error) -> FailureKind {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let by_errno = ERRNOS.iter().find(|(known, _)| Some(*known) == errno);
    let by_kind = KINDS.iter().find(|(known, _)| *known == error.kind());
    match (by_errno, by_kind) {
        (Some((_, kind)), _) | (None, Some((_, kind))) => *kind,
        (None, None) => FailureKind::Other,
    }
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
