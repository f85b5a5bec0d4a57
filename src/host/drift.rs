//! Says that something on the host may have changed. It never says what: whoever hears it looks.
//!
//! The kernel tells of links, addresses, routes and rules; inotify tells of the directories in
//! which our files lie. Both may lose events, and much changes without one (sysctls, IPVS), so the
//! resident loop also looks from time to time unasked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::{netlink, ready};

/// What can happen to a file that we care for.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_ONLYDIR);

/// A source of "look again".
pub struct Drift {
    kernel: BoxStream<'static, ()>,
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    /// The watched directories and which of their entries matter.
    directories: BTreeMap<PathBuf, Watched>,
}

struct Watched {
    descriptor: WatchDescriptor,
    names: BTreeSet<std::ffi::OsString>,
}

impl Drift {
    /// Begins to listen.
    pub fn open() -> io::Result<Self> {
        let kernel = netlink::changes()?.boxed();
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let ready = ready::readable(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Drift { kernel, inotify, ready, directories: BTreeMap::new() })
    }

    /// Follows these files and no others. A directory that does not exist is followed as soon as
    /// this is called after it came to be.
    pub fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let mut wanted: BTreeMap<PathBuf, BTreeSet<std::ffi::OsString>> = BTreeMap::new();
        for file in files {
            if let (Some(directory), Some(name)) = (file.parent(), file.file_name()) {
                wanted.entry(directory.to_owned()).or_default().insert(name.to_owned());
            }
        }
        let gone = self.directories.keys().filter(|d| !wanted.contains_key(*d));
        for directory in gone.cloned().collect::<Vec<_>>() {
            self.forget(&directory);
        }
        for (directory, names) in wanted {
            match self.inotify.add_watch(&directory, EVENTS) {
                Ok(descriptor) => {
                    self.directories.insert(directory, Watched { descriptor, names });
                }
                Err(Errno::ENOENT | Errno::ENOTDIR) => self.forget(&directory),
                Err(error) => {
                    tracing::warn!(directory = %directory.display(), %error, "cannot be watched");
                    self.forget(&directory);
                }
            }
        }
    }

    /// Waits until something may have changed. May be dropped and called again.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.kernel.next() => return,
                guard = self.ready.readable() => match guard {
                    Ok(mut guard) => {
                        match self.inotify.read_events() {
                            Ok(events) if events.iter().any(|e| self.concerns(e)) => return,
                            Ok(_) => {}
                            Err(Errno::EAGAIN) => guard.clear_ready(),
                            Err(error) => {
                                tracing::warn!(%error, "file events cannot be read");
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "file events cannot be waited for");
                        return;
                    }
                },
            }
        }
    }

    fn concerns(&self, event: &nix::sys::inotify::InotifyEvent) -> bool {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return true;
        }
        let mut of = self.directories.values().filter(|w| w.descriptor == event.wd);
        of.any(|w| event.name.as_ref().is_none_or(|name| w.names.contains(name)))
    }

    fn forget(&mut self, directory: &Path) {
        if let Some(watched) = self.directories.remove(directory) {
            // The directory may be gone, and its watch with it.
            self.inotify.rm_watch(watched.descriptor).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn changes(drift: &mut Drift) -> bool {
        tokio::time::timeout(Duration::from_millis(500), drift.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn only_what_happens_to_a_followed_file_is_told() {
        let scratch = crate::host::scratch::Scratch::new();
        scratch.write("/etc/ours", "a");
        scratch.write("/etc/theirs", "a");
        let mut drift = Drift::open().expect("sockets can be opened");
        drift.follow(&BTreeSet::from([scratch.real("/etc/ours")]));
        scratch.write("/etc/theirs", "b");
        assert!(!changes(&mut drift).await, "a file that nobody follows");
        scratch.write("/etc/ours", "b");
        assert!(changes(&mut drift).await, "a followed file");
        drift.follow(&BTreeSet::new());
        while changes(&mut drift).await {}
        scratch.write("/etc/ours", "c");
        assert!(!changes(&mut drift).await, "no longer followed");
    }
}
