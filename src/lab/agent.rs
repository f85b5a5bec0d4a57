//! The agent in a machine: runs what the lab asks for and sends back what came of it.
//!
//! Speaks [`frame`](super::frame)s on a serial line. Each command is a process group with threads
//! of its own for its streams, so that several run at once and one that hangs holds up no other.
//! A command ends when its first process does; what it left running keeps running.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios::{self, SetArg};
use nix::unistd::Pid;

use super::frame::{Decoder, MAX_PAYLOAD, Message, Size, Start};
use super::stream::read_some;

/// Written by `lab-ready.service` at the end of the boot.
const READY_FILE: &str = "/run/lab-ready";
/// A look at a file costs nothing, and a boot takes seconds.
const READY_POLL: Duration = Duration::from_millis(50);
/// How long a command's output may trail its end: children that stay may hold the pipe for ever.
const TRAILING_OUTPUT: Duration = Duration::from_millis(300);
/// The status that `timeout(1)` gives, too.
const STATUS_TIMEOUT: i32 = 124;
/// The status that a shell gives for what it cannot run.
const STATUS_NOT_RUN: i32 = 127;
/// Added to a signal's number, as a shell does.
const STATUS_SIGNAL: i32 = 128;

const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TERM", "xterm-256color"),
];

/// What the threads of all commands share.
#[derive(Clone)]
struct Agent {
    line: Arc<Mutex<File>>,
    running: Arc<Mutex<BTreeMap<u32, Running>>>,
}

/// The ends of a command that input messages reach.
struct Running {
    group: Pid,
    stdin: Option<Sender<Vec<u8>>>,
    terminal: Option<OwnedFd>,
}

/// One output of a command, and the message that carries it.
type Stream = (File, fn(u32, Vec<u8>) -> Message);

/// A command just started, with the ends that only its own threads need.
struct Started {
    child: Child,
    stdin: Option<File>,
    outputs: Vec<Stream>,
    terminal: Option<OwnedFd>,
}

/// Serves the serial line until it is closed.
pub fn serve(device: &Path) -> io::Result<()> {
    let mut line = OpenOptions::new().read(true).write(true).open(device)?;
    make_raw(&line)?;
    let agent = Agent {
        line: Arc::new(Mutex::new(line.try_clone()?)),
        running: Arc::new(Mutex::new(BTreeMap::new())),
    };
    agent.send(&Message::Hello)?;
    let waiter = agent.clone();
    thread::spawn(move || waiter.tell_when_ready());
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        let count = read_some(&mut line, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        agent.send(&Message::Received(u32::try_from(count).unwrap_or(0)))?;
        decoder.push(&buffer[..count]);
        while let Some(message) = decoder.next_message() {
            agent.handle(message);
        }
    }
}

fn make_raw(line: &File) -> io::Result<()> {
    let mut settings = termios::tcgetattr(line)?;
    termios::cfmakeraw(&mut settings);
    termios::tcsetattr(line, SetArg::TCSANOW, &settings)?;
    Ok(())
}

impl Agent {
    fn send(&self, message: &Message) -> io::Result<()> {
        let bytes = message.encode();
        self.line.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes)
    }

    fn tell_when_ready(&self) {
        while !Path::new(READY_FILE).exists() {
            thread::sleep(READY_POLL);
        }
        // A line that cannot be written to ends the reading loop as well.
        self.send(&Message::Ready).ok();
    }

    fn handle(&self, message: Message) {
        match message {
            Message::Start(id, start) => self.start(id, start),
            Message::Stdin(id, bytes) => self.with(id, |running| {
                // A command that has closed its input gets no more of it.
                running.stdin.as_ref().map(|stdin| stdin.send(bytes).ok());
            }),
            Message::CloseStdin(id) => self.with(id, |running| running.stdin = None),
            Message::Signal(id, number) => self.with(id, |running| {
                // The group may have ended just now.
                Signal::try_from(number).map(|signal| killpg(running.group, signal).ok()).ok();
            }),
            Message::Resize(id, size) => self.with(id, |running| resize(running, size)),
            // These go the other way; an echoing line would bring them back.
            Message::Stdout(..)
            | Message::Stderr(..)
            | Message::Exit(..)
            | Message::Hello
            | Message::Ready
            | Message::Received(_) => {}
        }
    }

    fn with(&self, id: u32, act: impl FnOnce(&mut Running)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(command) = running.get_mut(&id) {
            act(command);
        }
    }

    fn start(&self, id: u32, start: Start) {
        match spawn(&start) {
            Ok(started) => self.attend(id, &start, started),
            Err(error) => {
                let text = format!("the lab's agent cannot run bash: {error}\n");
                self.send(&Message::Stderr(id, text.into_bytes())).ok();
                self.send(&Message::Exit(id, STATUS_NOT_RUN)).ok();
            }
        }
    }

    /// Gives a started command its threads.
    fn attend(&self, id: u32, start: &Start, started: Started) {
        let Started { child, stdin, outputs, terminal } = started;
        let (sender, receiver) = mpsc::channel();
        let group = Pid::from_raw(child.id().cast_signed());
        let running = Running { group, stdin: stdin.is_some().then_some(sender), terminal };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, running);
        if let Some(stdin) = stdin {
            thread::spawn(move || feed(stdin, &receiver));
        }
        let readers: Vec<_> = outputs
            .into_iter()
            .map(|(file, wrap)| {
                let agent = self.clone();
                thread::spawn(move || agent.forward(id, file, wrap))
            })
            .collect();
        let limit = (start.timeout_ms > 0).then(|| Duration::from_millis(start.timeout_ms));
        let agent = self.clone();
        thread::spawn(move || agent.finish(id, child, limit, &readers));
    }

    fn forward(&self, id: u32, mut file: File, wrap: fn(u32, Vec<u8>) -> Message) {
        let mut buffer = vec![0; MAX_PAYLOAD];
        // A terminal says EIO when its last user is gone: the end, like any other error here.
        while let Ok(count @ 1..) = read_some(&mut file, &mut buffer) {
            if self.send(&wrap(id, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    }

    fn finish(&self, id: u32, child: Child, limit: Option<Duration>, readers: &[JoinHandle<()>]) {
        let status = wait(child, limit);
        let deadline = Instant::now() + TRAILING_OUTPUT;
        while readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.send(&Message::Exit(id, status)).ok();
    }
}

fn spawn(start: &Start) -> io::Result<Started> {
    match start.terminal {
        None => spawn_on_pipes(&start.line),
        Some(size) => spawn_on_terminal(&start.line, size),
    }
}

fn spawn_on_pipes(line: &str) -> io::Result<Started> {
    let mut child = Command::new("/bin/bash")
        .args(["-c", line])
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/root")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut outputs: Vec<Stream> = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        outputs.push((OwnedFd::from(stdout).into(), Message::Stdout));
    }
    if let Some(stderr) = child.stderr.take() {
        outputs.push((OwnedFd::from(stderr).into(), Message::Stderr));
    }
    let stdin = child.stdin.take().map(|stdin| OwnedFd::from(stdin).into());
    Ok(Started { child, stdin, outputs, terminal: None })
}

/// `setsid --ctty` makes the terminal the shell's own, which takes a hook between fork and exec
/// that safe Rust does not have.
fn spawn_on_terminal(line: &str, size: Size) -> io::Result<Started> {
    let window = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&window), None)?;
    let shell: &[&str] = if line.is_empty() { &["-l"] } else { &["-c", line] };
    let child = Command::new("setsid")
        .args(["--ctty", "--wait", "/bin/bash"])
        .args(shell)
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/root")
        .stdin(pty.slave.try_clone()?)
        .stdout(pty.slave.try_clone()?)
        .stderr(pty.slave)
        .spawn()?;
    let outputs: Vec<Stream> = vec![(pty.master.try_clone()?.into(), Message::Stdout)];
    let stdin = Some(pty.master.try_clone()?.into());
    Ok(Started { child, stdin, outputs, terminal: Some(pty.master) })
}

/// The master side of a terminal takes `stty` as well as the slave side.
fn resize(running: &Running, size: Size) {
    let Some(terminal) = running.terminal.as_ref().and_then(|fd| fd.try_clone().ok()) else {
        return;
    };
    let (rows, columns) = (size.rows.to_string(), size.columns.to_string());
    // A terminal of the old size is a blemish and no failure.
    Command::new("stty").args(["rows", &rows, "cols", &columns]).stdin(terminal).status().ok();
}

fn feed(mut stdin: File, receiver: &Receiver<Vec<u8>>) {
    while let Ok(bytes) = receiver.recv() {
        if stdin.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn wait(mut child: Child, limit: Option<Duration>) -> i32 {
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more if the time was up.
        sender.send(()).ok();
        status
    });
    let up = limit.is_some_and(|limit| {
        matches!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
    });
    if up {
        // The group may have ended just now.
        killpg(group, Signal::SIGKILL).ok();
    }
    let status = waiter.join().ok().and_then(Result::ok).map_or(STATUS_NOT_RUN, number);
    if up { STATUS_TIMEOUT } else { status }
}

fn number(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| STATUS_SIGNAL + signal);
    status.code().or(signal).unwrap_or(STATUS_NOT_RUN)
}
