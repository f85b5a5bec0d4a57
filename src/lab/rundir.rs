//! Where a running lab keeps its files, and what they are called.
//!
//! One directory per lab, for its owner alone, gone with the lab. The disks are in it: a lab is
//! for trying things, and what is worth keeping is in the cluster file. All of them lie in one
//! directory with a name that others may guess, so nothing is done there before it is known to be
//! ours: a lab's daemon runs what it finds, and its sockets obey whoever opens them.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::Image;
use super::spec::LabSpec;

/// The directory of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

/// Why the directory of all labs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Somebody else could put things there.
    #[error("{} {flaw}; remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        .path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// It cannot be looked at or made.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What lets others meddle with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A link leads to wherever its owner wants.
    #[error("is not a directory")]
    NoDirectory,
    /// It has another owner.
    #[error("belongs to another user")]
    Foreign,
    /// Group or others may write.
    #[error("may be written to by others")]
    Writable,
}

/// What the daemon is told, in the file [`RunDir::setup`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The machines.
    pub spec: LabSpec,
    /// The image's root.
    pub root: PathBuf,
    /// The image's template of a disk.
    pub disk: PathBuf,
    /// Decides which frames a lossy link loses.
    pub seed: u64,
    /// Of each machine, in MiB.
    pub memory: u32,
}

impl Setup {
    /// For these machines on this image.
    pub fn new(spec: &LabSpec, image: &Image, seed: u64, memory: u32) -> Setup {
        let (root, disk) = (image.root.clone(), image.disk.clone());
        Setup { spec: spec.clone(), root, disk, seed, memory }
    }
}

impl RunDir {
    /// The directory of the lab of this name, which need not exist.
    pub fn of(name: &str) -> Result<RunDir, RunDirError> {
        let base = base();
        check(&base)?;
        Ok(RunDir(base.join(name)))
    }

    /// A directory given by its path.
    pub fn at(path: &Path) -> RunDir {
        RunDir(path.to_owned())
    }

    /// The labs that have a directory, by name.
    pub fn all() -> Result<Vec<String>, RunDirError> {
        let base = base();
        check(&base)?;
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Makes the directory, for its owner alone, without what a dead lab left in it.
    pub fn create(&self) -> Result<(), RunDirError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| RunDirError::File { path, source }
        };
        if let Some(base) = self.0.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(failed(base))?;
            check(base)?;
        }
        if self.0.exists() {
            self.remove().map_err(failed(&self.0))?;
        }
        fs::DirBuilder::new().mode(0o700).create(&self.0).map_err(failed(&self.0))
    }

    /// Takes it away.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> PathBuf {
        self.0.join("control")
    }

    /// A [`Setup`] as JSON.
    pub fn setup(&self) -> PathBuf {
        self.0.join("setup.json")
    }

    /// What the daemon had to say.
    pub fn log(&self) -> PathBuf {
        self.0.join("daemon.log")
    }

    /// The converge that is the lab: its daemon, its keepers and, in the machines, its agents.
    pub fn binary(&self) -> PathBuf {
        self.0.join("lab")
    }

    /// What the machines find as their converge.
    pub fn inside(&self) -> PathBuf {
        self.0.join("converge")
    }

    /// The files of one machine.
    pub fn machine(&self, name: &str) -> MachineDir {
        MachineDir(self.0.join("machines").join(name))
    }
}

/// The directory of one machine.
#[derive(Debug, Clone)]
pub struct MachineDir(PathBuf);

impl MachineDir {
    /// Itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What survives a boot.
    pub fn disk(&self) -> PathBuf {
        self.0.join("disk.ext4")
    }

    /// What the kernel wrote on its console, of all boots.
    pub fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// What the machine sees of the host's file system.
    pub fn share(&self) -> PathBuf {
        self.0.join("share")
    }

    /// Where the user-mode kernel keeps its process ID and sockets.
    pub fn uml(&self) -> PathBuf {
        self.0.join("uml")
    }
}

fn base() -> PathBuf {
    let user = nix::unistd::geteuid();
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // Under sudo it may be the caller's.
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.uid() == user.as_raw());
    match session.filter(|path| path.is_dir() && own(path)) {
        Some(path) => path.join("converge-lab"),
        None if user.is_root() => "/run/converge-lab".into(),
        None => std::env::temp_dir().join(format!("converge-lab-{user}")),
    }
}

/// That the directory, if it is there, is ours alone. Once it is, nobody can change that.
fn check(path: &Path) -> Result<(), RunDirError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(RunDirError::File { path: path.to_owned(), source }),
    };
    let user = nix::unistd::geteuid().as_raw();
    match flaw(metadata.is_dir(), metadata.uid() == user, metadata.mode()) {
        Some(flaw) => Err(RunDirError::Unsafe { path: path.to_owned(), flaw }),
        None => Ok(()),
    }
}

fn flaw(directory: bool, ours: bool, mode: u32) -> Option<Flaw> {
    match (directory, ours) {
        (false, _) => Some(Flaw::NoDirectory),
        (true, false) => Some(Flaw::Foreign),
        (true, true) if mode & 0o022 != 0 => Some(Flaw::Writable),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_may_have_made_or_may_write_to_is_refused() {
        assert_eq!(flaw(false, true, 0o120777), Some(Flaw::NoDirectory));
        assert_eq!(flaw(true, false, 0o700), Some(Flaw::Foreign));
        assert_eq!(flaw(true, true, 0o770), Some(Flaw::Writable));
        assert_eq!(flaw(true, true, 0o755), None);
    }

    #[test]
    fn the_directory_of_all_labs_is_made_for_its_owner_alone_and_a_link_is_refused() {
        let top = std::env::temp_dir().join(format!("converge-rundir-{}", std::process::id()));
        let base = top.join("labs");
        RunDir::at(&base.join("one")).create().expect("directories in a temporary one");
        for path in [&base, &base.join("one")] {
            let mode = fs::metadata(path).expect("it was made").mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
        let link = top.join("link");
        std::os::unix::fs::symlink(&base, &link).expect("a link in a directory of ours");
        let error = RunDir::at(&link.join("one")).create().expect_err("a link");
        assert!(error.to_string().contains("is not a directory"), "{error}");
        assert!(base.join("one").exists(), "nothing was done through the link");
        fs::remove_dir_all(&top).expect("it is ours");
    }
}
