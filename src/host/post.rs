//! How threads of drivers are told something without anybody waiting for anybody.
//!
//! A [`Slot`] holds the newest word of the daemon: only the daemon ever waits for it, the thread
//! tries and is rung again if it comes at a bad moment. A [`post`] carries letters between a
//! driver's own threads, in order and never more than [`LETTERS`]; who finds it full writes again
//! later. Both ring an eventfd, which poll(2) hears.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Letters on their way. Each says the whole truth, so nobody reads but the last ones; a reader
/// that is so far behind has worse troubles.
const LETTERS: usize = 64;

/// A bell that poll(2) hears.
#[derive(Clone)]
struct Bell(Arc<EventFd>);

impl Bell {
    fn new() -> Result<Self, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Bell(Arc::new(EventFd::from_flags(flags)?)))
    }

    fn ring(&self) {
        // EAGAIN: it has rung 2^64 - 2 times and rings still.
        self.0.write(1).ok();
    }

    fn silence(&self) {
        // EAGAIN: it did not ring.
        self.0.read().ok();
    }
}

/// What another thread wants by now.
pub struct Slot<T> {
    newest: Arc<Mutex<T>>,
    bell: Bell,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Slot { newest: Arc::clone(&self.newest), bell: self.bell.clone() }
    }
}

impl<T: Default> Slot<T> {
    /// One that nobody wants anything by yet.
    pub fn new() -> Result<Self, Errno> {
        Ok(Slot { newest: Arc::default(), bell: Bell::new()? })
    }

    /// Changes what is wanted, and rings.
    pub fn put(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.newest.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.ring();
    }

    /// What came since the last time. `None` if it is being written right now: it will ring.
    pub fn take(&self) -> Option<T> {
        self.bell.silence();
        self.newest.try_lock().ok().map(|mut newest| std::mem::take(&mut *newest))
    }
}

impl<T> AsFd for Slot<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}

/// The end of a [`Post`] that writes.
pub struct Writer<T> {
    letters: SyncSender<T>,
    bell: Bell,
}

impl<T> Writer<T> {
    /// Sends a letter. `false`: there is no room for it now.
    pub fn send(&self, letter: T) -> bool {
        let sent = self.letters.try_send(letter).is_ok();
        self.bell.ring();
        sent
    }
}

impl<T> Drop for Writer<T> {
    /// Rings, for the reader to see that nobody writes any more.
    fn drop(&mut self) {
        let (nobody, _) = mpsc::sync_channel(1);
        self.letters = nobody;
        self.bell.ring();
    }
}

/// The end of a [`Post`] that reads.
pub struct Reader<T> {
    letters: Receiver<T>,
    bell: Bell,
}

/// What a [`Reader`] found.
pub enum Mail<T> {
    /// The letters that came, in order.
    Letters(Vec<T>),
    /// The writer is gone.
    Closed,
}

impl<T> Reader<T> {
    /// The letters that came since the last time.
    pub fn drain(&self) -> Mail<T> {
        self.bell.silence();
        let mut letters = Vec::new();
        loop {
            match self.letters.try_recv() {
                Ok(letter) => letters.push(letter),
                Err(mpsc::TryRecvError::Empty) => return Mail::Letters(letters),
                Err(mpsc::TryRecvError::Disconnected) if letters.is_empty() => return Mail::Closed,
                Err(mpsc::TryRecvError::Disconnected) => {
                    // The next time nothing is left, and that has to be seen, too.
                    self.bell.ring();
                    return Mail::Letters(letters);
                }
            }
        }
    }
}

impl<T> AsFd for Reader<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}

/// A way for letters.
pub fn post<T>() -> Result<(Writer<T>, Reader<T>), Errno> {
    let bell = Bell::new()?;
    let (sender, receiver) = mpsc::sync_channel(LETTERS);
    Ok((Writer { letters: sender, bell: bell.clone() }, Reader { letters: receiver, bell }))
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn rings(bell: impl AsFd) -> bool {
        let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).expect("can be polled") == 1
    }

    #[test]
    fn a_slot_that_is_being_written_is_taken_after_it_has_rung_again() {
        let slot = Slot::<Vec<u8>>::new().expect("an eventfd");
        assert!(!rings(&slot));
        slot.put(|words| words.push(1));
        slot.put(|words| {
            assert_eq!(slot.take(), None);
            words.push(2);
        });
        assert!(rings(&slot));
        assert_eq!(slot.take(), Some(vec![1, 2]));
        assert!(!rings(&slot));
    }

    #[test]
    fn letters_come_in_order_and_too_many_are_refused() {
        let (writer, reader) = post().expect("an eventfd");
        let sent = (0..100).filter(|n| writer.send(*n)).count();
        assert_eq!(sent, LETTERS);
        assert!(rings(&reader));
        assert!(matches!(reader.drain(), Mail::Letters(l) if l.iter().copied().eq(0..64)));
        assert!(!rings(&reader));
        assert!(writer.send(64));
        drop(writer);
        assert!(rings(&reader));
        assert!(matches!(reader.drain(), Mail::Letters(l) if l == [64]));
        assert!(rings(&reader), "the last letters do not hide that nobody writes any more");
        assert!(matches!(reader.drain(), Mail::Closed));
    }
}
