//! The targets: a process with a listening socket for each, which counts who asks.
//!
//! It is told on its standard input, a line at a time, and answers each with a line: `refuse N`,
//! `drop N` and `heal N` change a target, `mark` begins to count anew, and `tell` says what was
//! counted as JSON. A target that refuses has no socket any more, so that the kernel answers with a
//! reset; one that drops has a filter on it that takes nothing, so that nothing answers.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};
use socket2::{SockFilter, SockRef};

use super::contestant::{Kind, Plan};
use super::ground::{self, PORT};
use super::processes::OURS;

/// The first argument of the process that serves.
pub(crate) const WORD: &str = "be-the-targets";
/// Descriptors: a listener and a connection for each target, and some.
const DESCRIPTORS: u64 = 50_000;
/// The answer to any request.
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\
                      Connection: close\r\n\r\nok\n";
/// What standard input is to epoll; connections are numbered by descriptor beyond the targets.
const ORDERS: u64 = u64::MAX;
const FIRST_CONNECTION: u64 = 1 << 32;
/// A filter that takes nothing (BPF_RET with 0).
const NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// What was counted since the mark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Count {
    /// Connections.
    pub(crate) asked: u64,
    /// Targets that were asked at all.
    pub(crate) targets: usize,
    /// For how long.
    pub(crate) seconds: f64,
    /// How far the time from one connection to the next of a target was from a second, in
    /// milliseconds: 99 of 100 were less, and the most.
    pub(crate) p99: f64,
    pub(crate) most: f64,
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

    pub(crate) fn count(&mut self) -> io::Result<Count> {
        let answer = self.order("tell")?;
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
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS).expect("root may");
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
    /// When each was asked last.
    last: Vec<Option<Instant>>,
    /// How many times were so many milliseconds from a second; the last is that and more.
    off: Vec<u64>,
    asked: u64,
    since: Instant,
}

impl Server {
    fn new(kind: Kind, targets: usize) -> io::Result<Self> {
        let mut server = Server {
            kind,
            epoll: Epoll::new(EpollCreateFlags::empty())?,
            listeners: (0..targets).map(|_| None).collect(),
            connections: HashMap::new(),
            last: vec![None; targets],
            off: vec![0; 10_001],
            asked: 0,
            since: Instant::now(),
        };
        for n in 0..targets {
            server.listen(n)?;
        }
        let orders = EpollEvent::new(EpollFlags::EPOLLIN, ORDERS);
        server.epoll.add(io::stdin(), orders)?;
        Ok(server)
    }

    fn listen(&mut self, n: usize) -> io::Result<()> {
        let listener = TcpListener::bind(SocketAddr::from((ground::target(n), PORT)))?;
        listener.set_nonblocking(true)?;
        self.epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, n as u64))?;
        self.listeners[n] = Some(listener);
        Ok(())
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
                    n @ FIRST_CONNECTION.. => self.answer((n - FIRST_CONNECTION) as RawFd),
                    n => self.accept(n as usize)?,
                }
            }
        }
    }

    fn accept(&mut self, n: usize) -> io::Result<()> {
        let Some(listener) = &self.listeners[n] else { return Ok(()) };
        // One that was reset meanwhile is not there any more, and none that asked.
        let Ok((stream, _)) = listener.accept() else { return Ok(()) };
        let now = Instant::now();
        self.asked += 1;
        if let Some(last) = self.last[n].replace(now) {
            let off = (now - last).abs_diff(Duration::from_secs(1)).as_millis() as usize;
            let bucket = off.min(self.off.len() - 1);
            self.off[bucket] += 1;
        }
        match self.kind {
            // A connection is all that was asked for.
            Kind::Tcp => drop(stream),
            Kind::Http => {
                stream.set_nonblocking(true)?;
                let fd = stream.as_raw_fd();
                let event = EpollEvent::new(EpollFlags::EPOLLIN, FIRST_CONNECTION + fd as u64);
                self.epoll.add(&stream, event)?;
                self.connections.insert(fd, stream);
            }
        }
        Ok(())
    }

    /// A request is never so long that it comes in pieces.
    fn answer(&mut self, fd: RawFd) {
        let Some(mut stream) = self.connections.remove(&fd) else { return };
        let mut request = [0; 4096];
        if matches!(stream.read(&mut request), Ok(1..)) {
            // Whoever asked and left does not want it.
            stream.write_all(PAGE).ok();
        }
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
            Some("drop") => self.deafen(n)?,
            Some("heal") => {
                self.listeners[n] = None;
                self.listen(n)?;
            }
            Some("mark") => self.mark(),
            Some("tell") => {
                say(&serde_json::to_string(&self.count()).map_err(io::Error::other)?);
                return Ok(true);
            }
            Some(_) => return Err(io::Error::other(order)),
            None => return Ok(false),
        }
        say("done");
        Ok(true)
    }

    fn deafen(&self, n: usize) -> io::Result<()> {
        match &self.listeners[n] {
            Some(listener) => SockRef::from(listener).attach_filter(&[NOTHING]),
            None => Ok(()),
        }
    }

    fn mark(&mut self) {
        self.asked = 0;
        self.since = Instant::now();
        self.last.fill(None);
        self.off.fill(0);
    }

    fn count(&self) -> Count {
        let all: u64 = self.off.iter().sum();
        let mut below = 0;
        let p99 = self.off.iter().position(|n| {
            below += n;
            below * 100 >= all * 99
        });
        let most = self.off.iter().rposition(|n| *n > 0);
        Count {
            asked: self.asked,
            targets: self.last.iter().flatten().count(),
            seconds: self.since.elapsed().as_secs_f64(),
            p99: p99.unwrap_or(0) as f64,
            most: most.unwrap_or(0) as f64,
        }
    }
}
