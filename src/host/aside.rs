//! Lays the old file aside until the new one is proven.
//!
//! Beside `NAME` stands `.NAME.converge-untested` from before the new content is renamed into place
//! until its check has succeeded: a second name of the old file, with all its attributes, or a
//! symbolic link that says that nothing stood there. Each is made, and put back, by one system
//! call, so that whatever moment we are killed in, what stood before is known.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::files::{FileError, Files, Found, absent, beside, sync_directory};

const SUFFIX: &str = "converge-untested";
/// Where the link leads that stands for "there was no file".
const NOTHING: &str = "(nothing stood here before)";

/// What stood at a path before the content that is not proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// No file.
    Nothing,
    /// This file.
    Old(Found),
}

impl Files {
    /// What is laid aside for a path; `None` if what stands there needs no proof.
    pub fn aside(&self, path: impl AsRef<Path>) -> Result<Option<Aside>, FileError> {
        let path = path.as_ref();
        let marker = self.real(beside(path, SUFFIX));
        let meta = match fs::symlink_metadata(&marker) {
            Ok(meta) => meta,
            Err(e) if absent(&e) => return Ok(None),
            Err(source) => {
                return Err(FileError { doing: "look at", path: path.into(), source });
            }
        };
        if meta.is_symlink() && leads_to_nothing(&marker) {
            return Ok(Some(Aside::Nothing));
        }
        let empty = Found { bytes: Vec::new(), mode: 0o644, uid: meta.uid(), gid: meta.gid() };
        // A link that leads nowhere stood there: put back as it was, but without a content.
        let old = self.read(beside(path, SUFFIX))?.unwrap_or(empty);
        Ok(Some(Aside::Old(old)))
    }

    /// Lays what stands at a path aside. What a crash left laid aside stays: it is the older one,
    /// and the last that was proven.
    pub fn lay_aside(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let real = self.real(path);
        let marker = beside(&real, SUFFIX);
        let lay = || -> io::Result<()> {
            let parent = real.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent)?;
            match fs::hard_link(&real, &marker) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => symlink(NOTHING, &marker),
                other => other,
            }
            .or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })?;
            sync_directory(parent)
        };
        lay().map_err(|source| FileError { doing: "lay aside", path: path.into(), source })
    }

    /// Puts back what was laid aside; does nothing if nothing was.
    pub fn put_back(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let real = self.real(path);
        let marker = beside(&real, SUFFIX);
        let put = || -> io::Result<()> {
            if leads_to_nothing(&marker) {
                gone(fs::remove_file(&real))?;
            } else {
                gone(fs::rename(&marker, &real))?;
            }
            // Two names of one file: rename(2) then does nothing, and both would stay.
            gone(fs::remove_file(&marker))?;
            sync_directory(real.parent().unwrap_or(Path::new("/")))
        };
        put().map_err(|source| FileError { doing: "put back", path: path.into(), source })
    }

    /// Forgets what was laid aside: what stands is proven.
    pub fn drop_aside(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.remove(beside(path.as_ref(), SUFFIX))
    }
}

fn leads_to_nothing(marker: &Path) -> bool {
    fs::read_link(marker).is_ok_and(|to| to == Path::new(NOTHING))
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if absent(&e) => Ok(()),
        other => other,
    }
}
