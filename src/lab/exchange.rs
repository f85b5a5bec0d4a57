//! A command's streams over a connection to the daemon, from the client's side.
//!
//! Input goes out in a thread of its own, so that a command which answers before it has read
//! everything blocks nobody. There is a limit to the time and to the output.

use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::error::Output;
use super::frame::{Decoder, MAX_PAYLOAD, Message};
use super::stream::read_some;

/// Output beyond this is cut: no test reads more, and a runaway must not fill the memory.
const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// Sends all input and collects all output until the command has ended.
pub(super) fn exchange(
    stream: UnixStream,
    mut reader: BufReader<UnixStream>,
    stdin: &[u8],
    patience: Duration,
) -> io::Result<Output> {
    let started = Instant::now();
    let deadline = started + patience;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    std::thread::scope(|scope| {
        scope.spawn(|| feed(&stream, stdin));
        loop {
            while let Some(message) = decoder.next_message() {
                match message {
                    Message::Stdout(_, bytes) => append(&mut stdout, &bytes),
                    Message::Stderr(_, bytes) => append(&mut stderr, &bytes),
                    Message::Exit(_, status) => {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let (stdout, stderr) = (text(&stdout), text(&stderr));
                        return Ok(Output { status, stdout, stderr, took: started.elapsed() });
                    }
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
            let left = deadline.saturating_duration_since(Instant::now());
            stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let count = read_some(&mut reader, &mut buffer).map_err(|error| {
                close(&stream);
                in_words(error, patience)
            })?;
            if count == 0 {
                return Err(io::Error::other("the machine went down"));
            }
            decoder.push(&buffer[..count]);
        }
    })
}

fn in_words(error: io::Error, patience: Duration) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    io::Error::other(format!("no end of it in {} s", patience.as_secs()))
}

/// Unblocks the thread that still sends input.
fn close(stream: &UnixStream) {
    stream.shutdown(Shutdown::Both).ok();
}

fn feed(mut stream: &UnixStream, stdin: &[u8]) {
    for part in stdin.chunks(MAX_PAYLOAD) {
        // The command may end before its input does; its status is the answer then.
        if stream.write_all(&Message::Stdin(0, part.to_vec()).encode()).is_err() {
            return;
        }
    }
    stream.write_all(&Message::CloseStdin(0).encode()).ok();
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_OUTPUT.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
