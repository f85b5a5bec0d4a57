//! `lab sh`: a command on a machine with this terminal, or this pipe, as its own.
//!
//! On a terminal the command gets one, too, of the same size, and every key goes there. In a pipe
//! it gets pipes, so that files can be sent in and out.

use std::io::{self, IsTerminal, Read, Write, stdin, stdout};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::termios::{self, SetArg, Termios};
use tokio::signal::unix::{SignalKind, signal};

use super::error::LabError;
use super::frame::{Decoder, Message, Size, Start};
use super::host::Host;
use super::stream::read_some;

/// Runs a line of bash, or a shell for an empty line, until it ends; its status.
pub fn attach(host: &Host<'_>, line: &str) -> Result<i32, LabError> {
    let interactive = stdin().is_terminal() && stdout().is_terminal();
    let terminal = if interactive { size() } else { None };
    let start = Start { line: line.to_owned(), terminal, timeout_ms: 0 };
    let (stream, reader) = host.open(start)?;
    let lost = |source| LabError::Start { what: format!("talk to `{}`", host.name()), source };
    let input = stream.try_clone().map_err(lost)?;
    let _raw = terminal.and_then(|_| Raw::enter());
    if terminal.is_some() {
        let resize = stream.try_clone().map_err(lost)?;
        thread::spawn(move || follow_size(resize));
    }
    // These threads end with the process: they wait for a person.
    thread::spawn(move || send_input(input));
    show_output(reader).map_err(lost)
}

/// A terminal that passes every key on, until it is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Raw> {
        let before = termios::tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs no settings.
        termios::tcsetattr(stdin(), SetArg::TCSADRAIN, &self.0).ok();
    }
}

/// `stty` asks the kernel, for which safe Rust has no call.
fn size() -> Option<Size> {
    let output = Command::new("stty").arg("size").stdin(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    Some(Size { rows: rows.parse().ok()?, columns: columns.parse().ok()? })
}

fn follow_size(mut stream: UnixStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(mut changes) = signal(SignalKind::window_change()) else {
            return;
        };
        while changes.recv().await.is_some() {
            let Some(size) = size() else { continue };
            if stream.write_all(&Message::Resize(0, size).encode()).is_err() {
                return;
            }
        }
    });
}

fn send_input(mut stream: UnixStream) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = read_some(&mut stdin(), &mut buffer) {
        let message = Message::Stdin(0, buffer[..count].to_vec());
        if stream.write_all(&message.encode()).is_err() {
            return;
        }
    }
    // The command has ended, if it does not want to know this.
    stream.write_all(&Message::CloseStdin(0).encode()).ok();
}

fn show_output(mut reader: impl Read) -> io::Result<i32> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some(message) = decoder.next_message() {
            match message {
                Message::Stdout(_, bytes) => {
                    stdout().write_all(&bytes)?;
                    stdout().flush()?;
                }
                Message::Stderr(_, bytes) => io::stderr().write_all(&bytes)?,
                Message::Exit(_, status) => return Ok(status),
                Message::Start(..)
                | Message::Stdin(..)
                | Message::CloseStdin(_)
                | Message::Signal(..)
                | Message::Resize(..)
                | Message::Hello
                | Message::Ready
                | Message::Received(_) => {}
            }
        }
        let count = read_some(&mut reader, &mut buffer)?;
        if count == 0 {
            return Err(io::Error::other("the machine went down"));
        }
        decoder.push(&buffer[..count]);
    }
}
