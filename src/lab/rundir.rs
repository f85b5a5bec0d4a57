//! Where a running lab keeps its files, and what they are called.
//!
//! One directory per lab, for its owner alone, gone with the lab. The disks are in it: a lab is
//! for trying things, and what is worth keeping is in the cluster file.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::Image;
use super::spec::LabSpec;

/// The directory of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

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
    pub fn of(name: &str) -> RunDir {
        RunDir(base().join(name))
    }

    /// A directory given by its path.
    pub fn at(path: &Path) -> RunDir {
        RunDir(path.to_owned())
    }

    /// The labs that have a directory, by name.
    pub fn all() -> Vec<String> {
        let entries = fs::read_dir(base()).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Makes the directory, for its owner alone, without what a dead lab left in it.
    pub fn create(&self) -> io::Result<()> {
        if self.0.exists() {
            self.remove()?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
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
    match session.filter(|path| path.is_dir()) {
        Some(path) => path.join("converge-lab"),
        None if user.is_root() => "/run/converge-lab".into(),
        None => std::env::temp_dir().join(format!("converge-lab-{user}")),
    }
}
