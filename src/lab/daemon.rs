//! The process that owns a lab's machines and its switch.
//!
//! Listens on a socket in the run directory, one thread per connection, one request per
//! connection. With a lifeline it ends, and everything with it, when standard input does: tests
//! and `lab run` hold the other end, and a process that is killed lets go of it like any other.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write, stdin, stdout};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use super::control::{MAX_LINE, Refusal, Request, Response, parse_request, to_line};
use super::frame::{Decoder, Message, Start};
use super::line::Line;
use super::machine::Machine;
use super::rundir::{RunDir, Setup};
use super::stream::read_some;
use super::wire::Wire;

/// Far more commands at once than tests start; each holds two threads.
const MAX_CONNECTIONS: usize = 512;

/// Why a lab could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The file that says what to start.
    #[error("cannot read {}", .0.display())]
    Setup(std::path::PathBuf, #[source] io::Error),
    /// A machine's files, the switch, the socket.
    #[error("cannot {what}")]
    Start {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A machine did not start.
    #[error(transparent)]
    Boot(#[from] Refusal),
}

struct Daemon {
    run: RunDir,
    machines: Vec<Arc<Machine>>,
    wire: Arc<Wire>,
    connections: AtomicUsize,
}

/// Starts the machines and serves until told to end, or until the lifeline ends. Says one line on
/// standard output when it listens.
pub fn serve(run: RunDir, lifeline: bool) -> Result<(), DaemonError> {
    let daemon = Arc::new(start(run)?);
    let failed = |what| move |source| DaemonError::Start { what, source };
    let socket = daemon.run.socket();
    let listener = UnixListener::bind(&socket).map_err(failed("listen"))?;
    if lifeline {
        let daemon = Arc::clone(&daemon);
        thread::spawn(move || {
            // An error on the lifeline means the same as its end.
            stdin().read_to_end(&mut Vec::new()).ok();
            daemon.end();
        });
    }
    for machine in &daemon.machines {
        machine.boot()?;
    }
    writeln!(stdout(), "up").map_err(failed("report"))?;
    for stream in listener.incoming().flatten() {
        if daemon.connections.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        daemon.connections.fetch_add(1, Ordering::Relaxed);
        let daemon = Arc::clone(&daemon);
        thread::spawn(move || {
            // A client that has gone does not wait for an answer.
            daemon.converse(stream).ok();
            daemon.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

fn start(run: RunDir) -> Result<Daemon, DaemonError> {
    let path = run.setup();
    let text = fs::read(&path).map_err(|source| DaemonError::Setup(path.clone(), source))?;
    let setup: Setup = serde_json::from_slice(&text)
        .map_err(|error| DaemonError::Setup(path, io::Error::other(error)))?;
    let count = setup.spec.hosts.len();
    let failed = |what| move |source| DaemonError::Start { what, source };
    let wire = Wire::start(count, setup.seed).map_err(failed("start the switch"))?;
    let machine = |port| Machine::new(&setup, port, &run, Arc::clone(&wire)).map(Arc::new);
    let machines: io::Result<Vec<_>> = (0..count).map(machine).collect();
    let machines = machines.map_err(failed("lay out the machines' files"))?;
    Ok(Daemon { run, machines, wire, connections: AtomicUsize::new(0) })
}

impl Daemon {
    fn converse(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        reader.by_ref().take(limit).read_line(&mut line)?;
        let request = match parse_request(&line) {
            Ok(request) => request,
            Err(refusal) => return answer(&mut stream, Err(refusal)),
        };
        let result = match request {
            Request::Open { host, start } => return self.open(&host, start, stream, reader),
            Request::Down => {
                answer(&mut stream, Ok(Response::Done))?;
                self.end()
            }
            Request::Status => Ok(self.status()),
            Request::Await { host, patience } => {
                self.with(&host, |machine| machine.await_ready(patience))
            }
            Request::Kill { host } => self.with(&host, |machine| machine.kill()),
            Request::Boot { host } => self.with(&host, Machine::boot),
            Request::Stop { host } => self.with(&host, |machine| machine.set_stopped(true)),
            Request::Resume { host } => self.with(&host, |machine| machine.set_stopped(false)),
            Request::Damage { host, direction, damage } => self.with(&host, |machine| {
                self.wire.damage(machine.port, direction, damage);
                Ok(())
            }),
            Request::Capture { host, path } => self.capture(host.as_deref(), &path),
        };
        answer(&mut stream, result)
    }

    fn status(&self) -> Response {
        Response::Status(self.machines.iter().map(|machine| machine.status()).collect())
    }

    fn with(
        &self,
        host: &str,
        act: impl FnOnce(&Arc<Machine>) -> Result<(), Refusal>,
    ) -> Result<Response, Refusal> {
        act(self.machine(host)?)?;
        Ok(Response::Done)
    }

    fn capture(&self, host: Option<&str>, path: &Path) -> Result<Response, Refusal> {
        let machine = host.map(|host| self.machine(host)).transpose()?;
        let port = machine.map(|machine| machine.port);
        self.wire.capture(port, path).map_err(|error| Refusal::System {
            what: format!("write {}", path.display()),
            reason: error.to_string(),
        })?;
        Ok(Response::Done)
    }

    fn machine(&self, host: &str) -> Result<&Arc<Machine>, Refusal> {
        let found = self.machines.iter().find(|machine| machine.spec.name == host);
        found.ok_or_else(|| Refusal::NoSuchHost {
            host: host.to_owned(),
            hosts: self.machines.iter().map(|machine| machine.spec.name.clone()).collect(),
        })
    }

    /// Connects a client with a command on a machine until the command has ended.
    fn open(
        &self,
        host: &str,
        start: Start,
        mut stream: UnixStream,
        reader: BufReader<UnixStream>,
    ) -> io::Result<()> {
        let line = match self.machine(host).and_then(|machine| machine.line()) {
            Ok(line) => line,
            Err(refusal) => return answer(&mut stream, Err(refusal)),
        };
        let (id, messages) = line.open();
        line.send(&Message::Start(id, start))?;
        answer(&mut stream, Ok(Response::Done))?;
        let upward = Arc::clone(&line);
        thread::spawn(move || relay_input(reader, &upward, id));
        // Without an exit message the machine has gone, and the stream just ends.
        while let Ok(message) = messages.recv() {
            let last = matches!(message, Message::Exit(..));
            if stream.write_all(&message.encode()).is_err() || last {
                break;
            }
        }
        line.close(id);
        stream.shutdown(std::net::Shutdown::Both)
    }

    /// Ends everything. Does not return.
    fn end(&self) -> ! {
        for machine in &self.machines {
            // One that is down already, or does not die, must not keep the others alive.
            machine.kill().ok();
        }
        let status = i32::from(self.run.remove().is_err());
        std::process::exit(status)
    }
}

fn answer(stream: &mut UnixStream, result: Result<Response, Refusal>) -> io::Result<()> {
    let response = result.unwrap_or_else(Response::Refused);
    stream.write_all(to_line(&response).as_bytes())
}

/// A client that goes away takes its command with it; one that has ended does not mind.
fn relay_input(mut reader: BufReader<UnixStream>, line: &Line, id: u32) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut reader, &mut buffer) {
        decoder.push(&buffer[..count]);
        while let Some(message) = decoder.next_message() {
            if line.send(&message.with_id(id)).is_err() {
                return;
            }
        }
    }
    let signal = Signal::SIGKILL as i32;
    line.send(&Message::Signal(id, signal)).ok();
}
