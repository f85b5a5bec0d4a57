//! Asks a server once, over TCP with TLS where the conversation wants it, or by a datagram.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use converge::check::config::{Datagram, Login, Protocol, Target, Tls, TlsStart};
use converge::check::outcome::{Advice, Evidence, Outcome};
use converge::check::probe::{Step, datagram, dialogue};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than any answer takes that comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For answers that do not come.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// What is known after a server was asked: well, with its advice, or what is wrong.
pub(crate) type Answer = Result<Advice, String>;

/// A server that is well and wants nothing.
pub(crate) const WELL: Answer = Ok(Advice { weight: None, wish: None, note: None });

pub(crate) fn login(user: &str, password: &str) -> Login {
    Login { user: user.to_owned(), password: password.into() }
}

fn target(address: SocketAddr) -> Target {
    Target { address: address.ip(), port: address.port() }
}

fn random() -> [u8; 16] {
    let number = || RandomState::new().build_hasher().finish().to_be_bytes();
    [number(), number()].concat().try_into().expect("two of eight")
}

/// The answer of a server that gave one.
#[track_caller]
pub(crate) fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Good(advice) => Ok(advice),
        Outcome::Bad(failure) => {
            assert_eq!(failure.evidence, Evidence::Answered, "{failure}");
            Err(failure.what)
        }
        Outcome::Unmade(why) => panic!("{why}"),
    }
}

/// Asks in the clear.
#[track_caller]
pub(crate) fn ask(protocol: &Protocol, address: SocketAddr) -> Answer {
    asked(protocol, stream(address, PATIENCE), None)
}

/// Asks one of whom no answer comes in time, or who breaks the connection.
#[track_caller]
pub(crate) fn ask_in_vain(protocol: &Protocol, address: SocketAddr) -> Answer {
    asked(protocol, stream(address, IMPATIENCE), None)
}

/// Asks one who speaks first, and then no more: what it says has come before.
#[track_caller]
pub(crate) fn ask_who_stops(protocol: &Protocol, address: SocketAddr) -> Answer {
    let stream = stream(address, PATIENCE);
    stream.peek(&mut [0]).expect("it speaks first");
    stream.set_read_timeout(Some(IMPATIENCE)).expect("a stream");
    asked(protocol, stream, None)
}

/// Asks with TLS, which begins when the protocol says so, trusting the certificate in this file.
#[track_caller]
pub(crate) fn ask_upgraded(protocol: &Protocol, address: SocketAddr, trusted: &Path) -> Answer {
    asked(protocol, stream(address, PATIENCE), Some(trusted))
}

/// A connection whose reads take at most as long.
pub(crate) fn stream(address: SocketAddr, patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(patience)).expect("a stream");
    stream
}

/// Drives a conversation over a connection. What it says of a timeout begins with "silent: ".
#[track_caller]
pub(crate) fn asked(protocol: &Protocol, stream: TcpStream, trusted: Option<&Path>) -> Answer {
    let address = stream.peer_addr().expect("connected");
    let tls = trusted.map(|ca| Tls {
        start: TlsStart::Upgrade,
        name: Some(NAME.to_owned()),
        verify: true,
        ca: Some(ca.to_owned()),
        warn_before: Duration::ZERO,
    });
    let mut dialogue = dialogue(protocol, &target(address), tls.as_ref(), random());
    let mut line: Box<dyn Line> = Box::new(stream.try_clone().expect("a stream"));
    let (mut out, mut bytes) = (Vec::new(), [0; 4096]);
    let mut step = dialogue.open(&mut out);
    let mut covered = false;
    loop {
        line.write_all(&out).and_then(|()| line.flush()).ok();
        out.clear();
        step = match step {
            Step::More => match line.read(&mut bytes) {
                Ok(0) => dialogue.end(),
                Ok(n) => dialogue.feed(&bytes[..n], &mut out),
                // TLS that ends without a goodbye.
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => dialogue.end(),
                Err(_) => return Err(format!("silent: {}", dialogue.so_far())),
            },
            Step::Upgrade => {
                covered = true;
                line = Box::new(cover(&stream, trusted.expect("TLS was asked for")));
                dialogue.upgraded(&mut out)
            }
            Step::Again => panic!("one connection is enough"),
            Step::Done(outcome) => {
                assert!(covered || trusted.is_none() || matches!(outcome, Outcome::Bad(_)));
                return answer(outcome);
            }
        };
    }
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// The name that servers' certificates have here.
pub(crate) const NAME: &str = "server.example";

fn cover(stream: &TcpStream, trusted: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).expect("a certificate")).expect("good");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    StreamOwned::new(connection, stream.try_clone().expect("a stream"))
}

/// Writes `cert.pem` and `key.pem` for a server.
pub(crate) fn write_certificate(directory: &Path) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    fs::write(directory.join("cert.pem"), made.cert.pem()).expect("a file of our own");
    let key = directory.join("key.pem");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file of our own");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, private).expect("a file of our own");
}

/// Asks by a datagram.
#[track_caller]
pub(crate) fn ask_by_datagram(datagram: &Datagram, address: SocketAddr) -> Answer {
    asked_by_datagram(datagram, address, PATIENCE)
}

/// The same, where no answer comes.
#[track_caller]
pub(crate) fn ask_by_datagram_in_vain(datagram: &Datagram, address: SocketAddr) -> Answer {
    asked_by_datagram(datagram, address, IMPATIENCE)
}

fn asked_by_datagram(datagram: &Datagram, address: SocketAddr, patience: Duration) -> Answer {
    let own: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((own, 0)).expect("loopback");
    socket.connect(address).expect("loopback");
    let question = datagram::question(datagram, &target(address), random()).expect("a question");
    socket.send(&question.send).expect("loopback");
    let end = Instant::now() + patience;
    let mut bytes = [0; 4096];
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
        socket.set_read_timeout(Some(left)).expect("a socket");
        let Ok(length) = socket.recv(&mut bytes) else { break };
        if let Some(outcome) = datagram::judge(datagram, &question, &bytes[..length]) {
            return answer(outcome);
        }
    }
    match datagram::silence(datagram) {
        Outcome::Good(advice) => Ok(advice),
        Outcome::Bad(failure) => {
            assert_eq!(failure.evidence, Evidence::Silent);
            Err(format!("silent: {failure}"))
        }
        Outcome::Unmade(why) => panic!("{why}"),
    }
}
