//! The targets: a process with a listening socket for each, which can see who asks.
//!
//! It is told on its standard input, a line at a time, and answers each with a line: `refuse N` and
//! `drop N` end a target, `watch` begins to look at who asks, `tell` says what was seen as JSON,
//! and `rest` does so and ceases to look. A target that refuses has no socket any more, so that the
//! kernel answers with a reset; one that drops has a filter on it that takes nothing, so that
//! nothing answers.
//!
//! Who asks is seen by the first packet of a connection: some checks are over before a program
//! that listens hears of them.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use socket2::{SockFilter, SockRef};

use super::contestant::{Kind, Plan};
use super::ground::{self, PORT};
use super::processes::OURS;
use super::watch::Watch;

/// The first argument of the process that serves.
pub(crate) const WORD: &str = "be-the-targets";
/// The answer to any request.
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\
                      Connection: close\r\n\r\nok\n";
/// What standard input and the packets of a watch are to epoll; connections are numbered by
/// descriptor beyond the targets.
const ORDERS: u64 = u64::MAX;
const PACKETS: u64 = u64::MAX - 1;
const FIRST_CONNECTION: u64 = 1 << 32;
/// A filter that takes nothing (BPF_RET with 0).
const NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// What was seen of a watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Targets that were asked at all.
    pub(crate) targets: usize,
    /// How far the time from one check to the next of a target was from a second, in milliseconds:
    /// 99 of 100 were less, and the most.
    pub(crate) p99: f64,
    pub(crate) most: f64,
    /// Checks that were left out between two others.
    pub(crate) skipped: u64,
    /// First packets that there was no room for: what they would have told is not known.
    pub(crate) missed: u64,
}

/// The process, for the one that measures.
pub(crate) struct Targets {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Targets {
    pub(crate) fn start(plan: Plan) -> io::Result<Self> {
        let kind = match plan.kind {
            Kind::Tcp => "tcp",
            Kind::Http => "http",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORD, kind, &plan.targets.to_string()]).env(OURS, "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut targets = Targets { child, orders, answers };
        targets.answer()?;
        Ok(targets)
    }

    /// Tells it something. It is done when this returns.
    pub(crate) fn order(&mut self, order: &str) -> io::Result<String> {
        self.orders.write_all(format!("{order}\n").as_bytes())?;
        self.answer()
    }

    /// What was seen since a watch began.
    pub(crate) fn tell(&mut self) -> io::Result<Seen> {
        let answer = self.order("tell")?;
        serde_json::from_str(&answer).map_err(io::Error::other)
    }

    /// Ends a watch.
    pub(crate) fn rest(&mut self) -> io::Result<Seen> {
        let answer = self.order("rest")?;
        serde_json::from_str(&answer).map_err(io::Error::other)
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err(io::Error::other("the targets have ended")),
            _ => Ok(line),
        }
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("our own child");
    }
}

/// Serves until standard input ends.
pub(crate) fn serve(told: &[String]) -> ExitCode {
    let kind = if told[0] == "http" { Kind::Http } else { Kind::Tcp };
    let targets = told[1].parse().expect("a number");
    // A listener for each target, and the connections that are open at the moment.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel knows");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("everybody may");
    let mut server = Server::new(kind, targets).expect("addresses that nobody has");
    say("ready");
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("targets: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).expect("somebody reads");
    stdout.flush().expect("somebody reads");
}

struct Server {
    kind: Kind,
    epoll: Epoll,
    listeners: Vec<Option<TcpListener>>,
    connections: HashMap<RawFd, TcpStream>,
    watch: Option<Watch>,
}

impl Server {
    fn new(kind: Kind, targets: usize) -> io::Result<Self> {
        let mut server = Server {
            kind,
            epoll: Epoll::new(EpollCreateFlags::empty())?,
            listeners: (0..targets).map(|_| None).collect(),
            connections: HashMap::new(),
            watch: None,
        };
        for n in 0..targets {
            let listener = TcpListener::bind(SocketAddr::from((ground::target(n), PORT)))?;
            listener.set_nonblocking(true)?;
            server.epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, n as u64))?;
            server.listeners[n] = Some(listener);
        }
        server.epoll.add(io::stdin(), EpollEvent::new(EpollFlags::EPOLLIN, ORDERS))?;
        Ok(server)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 1024];
        loop {
            let n = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..n] {
                match event.data() {
                    ORDERS => {
                        if !self.obey()? {
                            return Ok(());
                        }
                    }
                    PACKETS => self.watch.iter_mut().for_each(Watch::look),
                    n @ FIRST_CONNECTION.. => {
                        let fd = (n - FIRST_CONNECTION) as RawFd;
                        let left = self.connections.remove(&fd).and_then(answer);
                        self.connections.extend(left.map(|stream| (fd, stream)));
                    }
                    n => self.accept(n as usize)?,
                }
            }
        }
    }

    fn accept(&mut self, n: usize) -> io::Result<()> {
        let Some(listener) = &self.listeners[n] else { return Ok(()) };
        // A connection is all that a TCP check asks for; one may have been reset meanwhile.
        let (Kind::Http, Ok((stream, _))) = (self.kind, listener.accept()) else { return Ok(()) };
        stream.set_nonblocking(true)?;
        if let Some(stream) = answer(stream) {
            let fd = stream.as_raw_fd();
            let event = EpollEvent::new(EpollFlags::EPOLLIN, FIRST_CONNECTION + fd as u64);
            self.epoll.add(&stream, event)?;
            self.connections.insert(fd, stream);
        }
        Ok(())
    }

    /// Returns whether to go on.
    fn obey(&mut self) -> io::Result<bool> {
        let mut order = [0; 100];
        let n = io::stdin().lock().read(&mut order)?;
        let order = String::from_utf8_lossy(&order[..n]).into_owned();
        let mut words = order.split_whitespace();
        let (verb, number) = (words.next(), words.next());
        let n: usize = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        match verb {
            Some("refuse") => self.listeners[n] = None,
            Some("drop") => {
                let listener = self.listeners[n].as_ref().expect("it was not ended yet");
                SockRef::from(listener).attach_filter(&[NOTHING])?;
            }
            Some("watch") => {
                let watch = Watch::new(self.listeners.len())?;
                let event = EpollEvent::new(EpollFlags::EPOLLIN, PACKETS);
                self.epoll.add(&watch.packets, event)?;
                self.watch = Some(watch);
            }
            Some("tell") => {
                let seen = self.watch.as_mut().map(|watch| {
                    watch.look();
                    watch.seen()
                });
                let seen = seen.transpose()?;
                say(&serde_json::to_string(&seen).map_err(io::Error::other)?);
                return Ok(true);
            }
            Some("rest") => {
                let mut watch = self.watch.take().ok_or_else(|| io::Error::other("no watch"))?;
                watch.look();
                say(&serde_json::to_string(&watch.seen()?).map_err(io::Error::other)?);
                return Ok(true);
            }
            Some(_) => return Err(io::Error::other(order)),
            None => return Ok(false),
        }
        say("done");
        Ok(true)
    }
}

/// Answers, if the request has come, and ends the connection; otherwise gives it back. A request is
/// never so long that it comes in pieces.
fn answer(mut stream: TcpStream) -> Option<TcpStream> {
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(stream),
        Ok(1..) => {
            // Whoever asked and left does not want it.
            stream.write_all(PAGE).ok();
            None
        }
        Ok(0) | Err(_) => None,
    }
}
