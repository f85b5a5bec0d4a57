//! Reads and writes files, whole.
//!
//! [`Files::replace`] writes a temporary file beside the target, syncs it, and renames it over: a
//! reader, or a crash, sees the old file or the new one. Files under `/proc` and `/sys` are written
//! in place, as the kernel wants it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    /// The verb, for the sentence "cannot … PATH".
    pub doing: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl FileError {
    /// The same error once more, for each of several changes that it stops.
    pub fn again(&self) -> FileError {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::from(self.source.kind()),
        };
        FileError {
            doing: self.doing,
            path: self.path.clone(),
            source,
        }
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => Some("run converge as root".into()),
            io::ErrorKind::ReadOnlyFilesystem => Some(
                "the file system is read-only here; an image host keeps /etc and /var writable"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// A file as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
}

/// The disk, or a directory that stands for it.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// All paths lie below `root`.
    pub fn new(root: PathBuf) -> Self {
        Files { root }
    }

    /// Where a path really is.
    pub fn real(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file, lossy UTF-8; `None` if there is no such file.
    pub fn read_text(&self, path: impl AsRef<Path>) -> Result<Option<String>, FileError> {
        let path = path.as_ref();
        match fs::read(self.real(path)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if absent(&e) => Ok(None),
            Err(source) => Err(FileError {
                doing: "read",
                path: path.into(),
                source,
            }),
        }
    }

    /// A file with its mode and owner; `None` if there is no such file.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Option<Found>, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError {
            doing: "read",
            path: path.into(),
            source,
        };
        let meta = match fs::metadata(self.real(path)) {
            Ok(meta) => meta,
            Err(e) if absent(&e) => return Ok(None),
            Err(e) => return Err(wrap(e)),
        };
        let bytes = fs::read(self.real(path)).map_err(wrap)?;
        let mode = meta.permissions().mode() & 0o7777;
        Ok(Some(Found {
            bytes,
            mode,
            uid: meta.uid(),
            gid: meta.gid(),
        }))
    }

    /// Writes into a file that exists, as `/proc/sys` wants it.
    pub fn write_in_place(&self, path: impl AsRef<Path>, text: &str) -> Result<(), FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError {
            doing: "write",
            path: path.into(),
            source,
        };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(self.real(path))
            .map_err(wrap)?;
        file.write_all(text.as_bytes()).map_err(wrap)
    }

    /// Replaces a file whole: temporary file, fsync, rename, fsync of the directory. Directories
    /// above it are made as needed. `owner` is uid and gid; `None` keeps the one that stands there.
    pub fn replace(
        &self,
        path: impl AsRef<Path>,
        bytes: &[u8],
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
    ) -> Result<(), FileError> {
        let path = path.as_ref();
        self.try_replace(&self.real(path), bytes, mode, owner)
            .map_err(|source| FileError {
                doing: "write",
                path: path.into(),
                source,
            })
    }

    fn try_replace(
        &self,
        real: &Path,
        bytes: &[u8],
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
    ) -> io::Result<()> {
        let parent = real.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent)?;
        let standing = fs::metadata(real).ok();
        let mode = mode.or(standing.as_ref().map(|m| m.permissions().mode() & 0o7777));
        let owner = owner.or(standing.as_ref().map(|m| (m.uid(), m.gid())));
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let temporary = parent.join(format!(".{name}.converge-new"));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode.unwrap_or(0o644)))?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&temporary, Some(uid), Some(gid))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, real)?;
        fs::File::open(parent)?.sync_all()
    }

    /// The names in a directory, sorted; none if there is no such directory.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<String>, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError {
            doing: "list",
            path: path.into(),
            source,
        };
        let entries = match fs::read_dir(self.real(path)) {
            Ok(entries) => entries,
            Err(e) if absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(wrap(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(
                entry
                    .map_err(wrap)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        names.sort();
        Ok(names)
    }

    /// Takes an exclusive lock on a file, which is made if need be; `None` if somebody has it.
    /// The lock is held until the file is dropped.
    pub fn lock(&self, path: impl AsRef<Path>) -> Result<Option<fs::File>, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError {
            doing: "lock",
            path: path.into(),
            source,
        };
        let real = self.real(path);
        fs::create_dir_all(real.parent().unwrap_or(Path::new("/"))).map_err(wrap)?;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(real)
            .map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(wrap(e)),
        }
    }

    /// Removes a file; that it is gone already is a success.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        match fs::remove_file(self.real(path)) {
            Ok(()) => Ok(()),
            Err(e) if absent(&e) => Ok(()),
            Err(source) => Err(FileError {
                doing: "remove",
                path: path.into(),
                source,
            }),
        }
    }
}

fn absent(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
