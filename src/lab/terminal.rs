//! How a person waits: one line that lives on a terminal, plain lines in a pipe.
//!
//! The line says what is being done and for how many seconds, and is gone when it is done. A pipe
//! gets one line per phase and nothing that moves.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the seconds on a terminal are renewed.
const TICK: Duration = Duration::from_secs(1);

/// Announces phases of something slow on stderr.
#[derive(Debug)]
pub struct Announcer {
    sender: Option<Sender<String>>,
    writer: Option<JoinHandle<()>>,
}

impl Announcer {
    /// Announces as `NAME: PHASE N s`.
    pub fn new(name: &'static str) -> Announcer {
        let (sender, receiver) = mpsc::channel::<String>();
        let live = stderr().is_terminal();
        let writer = thread::spawn(move || {
            let started = Instant::now();
            let mut phase = String::new();
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(next) => phase = next,
                    Err(RecvTimeoutError::Timeout) if live => {}
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                show(live, name, &phase, started.elapsed());
            }
            if live {
                // The line is taken away again; nobody is told if the terminal is gone.
                write!(stderr(), "\r\x1b[K").ok();
            }
        });
        Announcer { sender: Some(sender), writer: Some(writer) }
    }

    /// Something new is being done.
    pub fn phase(&self, text: &str) {
        if let Some(sender) = &self.sender {
            // The writer only ends with this announcer.
            sender.send(text.to_owned()).ok();
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(writer) = self.writer.take() {
            writer.join().ok();
        }
    }
}

fn show(live: bool, name: &str, phase: &str, elapsed: Duration) {
    if phase.is_empty() {
        return;
    }
    let (start, end) = if live { ("\r\x1b[K", "") } else { ("", "\n") };
    let seconds = elapsed.as_secs();
    write!(stderr(), "{start}{name}: {phase} … {seconds} s{end}").ok();
}
