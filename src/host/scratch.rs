//! A directory that stands for a host in tests, and is gone afterwards.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

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
