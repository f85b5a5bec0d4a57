//! The host's end of a machine's serial line: many commands on one stream.
//!
//! Each command has an id and a route to whoever waits for its messages. A reader that does not
//! keep up holds up the line, as on any wire; when the machine is gone, all routes end. The
//! machine acknowledges what it has read, because its kernel's serial driver stalls for good when
//! more arrives than its terminal layer has room for.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

use super::frame::{Decoder, Message};
use super::stream::read_some;

/// Messages that wait for their reader, 8 MiB at most.
const ROUTE_LENGTH: usize = 256;

/// Unread bytes on the line: half of the 4096 for which the terminal layer has room.
const WINDOW: usize = 2048;

/// The line to one machine, for one boot of it.
#[derive(Debug)]
pub struct Line {
    writer: Mutex<UnixStream>,
    unread: Mutex<Unread>,
    acknowledged: Condvar,
    routes: Mutex<BTreeMap<u32, SyncSender<Message>>>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct Unread {
    bytes: usize,
    /// The machine is gone.
    ended: bool,
}

/// What the machine says on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It listens.
    Reachable,
    /// It has booted.
    Ready,
}

impl Line {
    /// A line on this stream; somebody has to [`attend`](Line::attend) to it.
    pub fn new(stream: UnixStream) -> Line {
        Line {
            writer: Mutex::new(stream),
            unread: Mutex::default(),
            acknowledged: Condvar::new(),
            routes: Mutex::default(),
            next: AtomicU32::new(1),
        }
    }

    /// A new command's id and the messages that will come for it.
    pub fn open(&self) -> (u32, Receiver<Message>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(ROUTE_LENGTH);
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        (id, receiver)
    }

    /// Nobody waits for this command any more.
    pub fn close(&self, id: u32) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Sends a message to the machine.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        let bytes = message.encode();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.chunks(WINDOW) {
            self.wait_for_room(part.len())?;
            writer.write_all(part)?;
        }
        Ok(())
    }

    fn wait_for_room(&self, length: usize) -> io::Result<()> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        while unread.bytes + length > WINDOW {
            if unread.ended {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            unread = self.acknowledged.wait(unread).unwrap_or_else(PoisonError::into_inner);
        }
        unread.bytes += length;
        Ok(())
    }

    fn note_unread(&self, change: impl FnOnce(&mut Unread)) {
        change(&mut self.unread.lock().unwrap_or_else(PoisonError::into_inner));
        self.acknowledged.notify_all();
    }

    /// Distributes what the machine says, until it is gone.
    pub fn attend(&self, mut stream: UnixStream, mut tell: impl FnMut(Event)) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = read_some(&mut stream, &mut buffer) {
            decoder.push(&buffer[..count]);
            while let Some(message) = decoder.next_message() {
                self.distribute(message, &mut tell);
            }
        }
        self.note_unread(|unread| unread.ended = true);
        self.forget_all();
    }

    fn distribute(&self, message: Message, tell: &mut impl FnMut(Event)) {
        match message {
            Message::Hello => {
                // An agent that starts again knows nothing of earlier commands.
                self.forget_all();
                self.note_unread(|unread| unread.bytes = 0);
                tell(Event::Reachable);
            }
            Message::Received(count) => self.note_unread(|unread| {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                unread.bytes = unread.bytes.saturating_sub(count);
            }),
            Message::Ready => tell(Event::Ready),
            Message::Stdout(id, _) | Message::Stderr(id, _) | Message::Exit(id, _) => {
                let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
                let route = routes.get(&id).cloned();
                drop(routes);
                // Whoever does not listen any more does not miss it.
                route.map(|route| route.send(message).ok());
            }
            // These go the other way.
            Message::Start(..)
            | Message::Stdin(..)
            | Message::CloseStdin(_)
            | Message::Signal(..)
            | Message::Resize(..) => {}
        }
    }

    fn forget_all(&self) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
