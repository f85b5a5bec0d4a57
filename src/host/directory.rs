//! Word when a file changes, by inotify on its directory.
//!
//! The directory, because a file is written by replacing it, and may not be there yet. A file that
//! is being written to says nothing until it is closed. Word does not come from other hosts on a
//! network file system, nor through a symbolic link: whoever listens looks now and then as well.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::ready;

/// Hears of changes of one file.
#[derive(Debug)]
pub struct FileNews {
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    name: OsString,
}

impl FileNews {
    /// Listens to the directory of a file, which must be there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let (Some(directory), Some(name)) = (directory, path.file_name()) else {
            return Err(Errno::EINVAL.into());
        };
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(directory, changes)?;
        let ready = ready::readable(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(FileNews { inotify, ready, name: name.to_owned() })
    }

    /// Waits until the file may have changed. `false`: no word will come any more.
    pub async fn changed(&mut self) -> bool {
        let lost = AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_IGNORED
            | AddWatchFlags::IN_UNMOUNT;
        loop {
            let Ok(mut ready) = self.ready.readable().await else { return false };
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(_) => return false,
            };
            if events.iter().any(|event| event.mask.intersects(lost)) {
                return false;
            }
            let overflow = AddWatchFlags::IN_Q_OVERFLOW;
            let ours = events.iter().any(|event| {
                event.mask.contains(overflow) || event.name.as_ref() == Some(&self.name)
            });
            if ours {
                return true;
            }
        }
    }
}
