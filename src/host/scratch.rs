//! A directory that stands for a host in tests, and is gone afterwards; and a disk that hangs.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::Host;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The directory.
pub(crate) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("converge-test-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&root).expect("the temporary directory can be written");
        Scratch { root }
    }

    pub(crate) fn host(&self) -> Host {
        Host::rooted(&self.root)
    }

    /// Where a path of the host really is.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.real(path)).ok()
    }

    /// Writes a file as some other program would.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let real = self.real(path);
        std::fs::create_dir_all(real.parent().unwrap_or(Path::new("/"))).expect("makes parents");
        std::fs::write(real, text).expect("writes");
    }

    /// Names in a directory, hidden ones too, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        self.host().files().list(path).expect("lists")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let gone = std::fs::remove_dir_all(&self.root);
        assert!(gone.is_ok() || std::thread::panicking(), "cannot remove {}", self.root.display());
    }
}

/// A file system that answers nobody, in the place of a directory, until it is dropped. Only this
/// thread and those that it begins from now on see it.
pub(crate) struct Hanging {
    path: PathBuf,
    device: Option<File>,
}

impl Hanging {
    /// Puts it there. None without root or without FUSE, which is said loudly.
    pub(crate) fn over(path: PathBuf) -> Option<Hanging> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let Some(device) = device.ok().filter(|_| geteuid().is_root()) else {
            eprintln!("SKIPPED: a disk that hangs, for it needs root and /dev/fuse");
            return None;
        };
        let none = None::<&str>;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(none, "/", none, private, none))
            .and_then(|()| mount(Some("none"), &path, Some("fuse"), flags, Some(&*options)));
        if let Err(error) = mounted {
            eprintln!("SKIPPED: a disk that hangs, for FUSE cannot be mounted: {error}");
            return None;
        }
        Some(Hanging { path, device: Some(device) })
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // Whoever waits is told that nobody will answer.
        self.device = None;
        umount2(&self.path, MntFlags::MNT_DETACH).expect("a mount of our own");
    }
}
