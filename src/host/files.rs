//! Reads and writes files, whole.
//!
//! [`Files::replace`] writes a temporary file beside the target, syncs it, and renames it over: a
//! reader, or a crash, sees the old file or the new one. Mode, owner, SELinux label and ACL of the
//! file that stands are kept. A symbolic link is read through, but never written through: it is
//! replaced by a file, and what it led to stays as it is. Files under `/proc` and `/sys` are
//! written in place, as the kernel wants it. What is laid aside is in [`super::aside`].

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use rustix::fs::{OFlags, XattrFlags};

/// Attributes beyond mode and owner that a replaced file keeps.
const KEPT_ATTRIBUTES: [&str; 2] = ["security.selinux", "system.posix_acl_access"];
/// A label is some dozens of bytes, an ACL eight for each entry; the kernel's limit is 64 KiB.
const ATTRIBUTE_SIZE: usize = 4096;

/// The permission of everybody to read a file, and that to go through a directory.
const READ: u32 = 0o004;
const ENTER: u32 = 0o001;

/// Lets everybody enter the directories that are made above what is written, whatever mask we were
/// started with: a web server's worker has to. What is to be seen by root alone has its own mode.
pub fn set_umask() {
    umask(Mode::from_bits_truncate(0o022));
}

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
        FileError { doing: self.doing, path: self.path.clone(), source }
    }

    /// Whether only another user may.
    pub fn is_permission(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => Some("run converge as root".into()),
            io::ErrorKind::ReadOnlyFilesystem => Some(
                "the file system is read-only here; an image host keeps /etc and /var writable"
                    .into(),
            ),
            io::ErrorKind::IsADirectory => Some("a directory stands where a file is wanted".into()),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Some("something that is not a directory stands in the way".into())
            }
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

/// What stands at a path, symbolic links followed, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// A directory or something else.
    pub what: What,
    /// Permission bits.
    pub mode: u32,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
}

/// Sorts of things that a path may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, socket or pipe.
    Special,
}

/// The disk, or a directory that stands for it.
#[derive(Clone, Debug)]
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
            Err(source) => Err(FileError { doing: "read", path: path.into(), source }),
        }
    }

    /// A regular file with its mode and owner; `None` if there is none.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Option<Found>, FileError> {
        let path = path.as_ref();
        let Some(standing) = self.stat(path)? else {
            return Ok(None);
        };
        if standing.what != What::File {
            return Ok(None);
        }
        let Standing { mode, uid, gid, .. } = standing;
        match fs::read(self.real(path)) {
            Ok(bytes) => Ok(Some(Found { bytes, mode, uid, gid })),
            Err(e) if absent(&e) => Ok(None),
            Err(source) => Err(FileError { doing: "read", path: path.into(), source }),
        }
    }

    /// What stands at a path; `None` if nothing does.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Option<Standing>, FileError> {
        let path = path.as_ref();
        let meta = match fs::metadata(self.real(path)) {
            Ok(meta) => meta,
            Err(e) if absent(&e) => return Ok(None),
            Err(source) => {
                return Err(FileError { doing: "look at", path: path.into(), source });
            }
        };
        let what = match (meta.is_dir(), meta.is_file()) {
            (true, _) => What::Directory,
            (false, true) => What::File,
            (false, false) => What::Special,
        };
        let mode = meta.permissions().mode() & 0o7777;
        Ok(Some(Standing { what, mode, uid: meta.uid(), gid: meta.gid() }))
    }

    /// Whether every user can get to a file and read it. Symbolic links are followed.
    pub fn is_for_all(&self, path: impl AsRef<Path>) -> bool {
        let allows = |path: &Path, what| {
            fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & what != 0)
        };
        let Ok(real) = fs::canonicalize(self.real(path)) else { return false };
        allows(&real, READ) && real.ancestors().skip(1).all(|above| allows(above, ENTER))
    }

    /// Names in a directory, sorted; none if there is no such directory.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<String>, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError { doing: "list", path: path.into(), source };
        let entries = match fs::read_dir(self.real(path)) {
            Ok(entries) => entries,
            Err(e) if absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(wrap(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(wrap)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Writes into a file that exists, as `/proc/sys` wants it.
    pub fn write_in_place(&self, path: impl AsRef<Path>, text: &str) -> Result<(), FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError { doing: "write", path: path.into(), source };
        let mut file = fs::OpenOptions::new().write(true).open(self.real(path)).map_err(wrap)?;
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
        try_replace(&self.real(path), bytes, mode, owner).map_err(|source| FileError {
            doing: "write",
            path: path.into(),
            source,
        })
    }

    /// Takes an exclusive lock on a file, which is made if need be; `None` if somebody has it.
    /// The lock is held until the file is dropped.
    pub fn lock(&self, path: impl AsRef<Path>) -> Result<Option<fs::File>, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError { doing: "lock", path: path.into(), source };
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

    /// Whether somebody holds the lock on a file. Whoever can read it can ask.
    pub fn is_locked(&self, path: impl AsRef<Path>) -> Result<bool, FileError> {
        let path = path.as_ref();
        let wrap = |source| FileError { doing: "look at the lock", path: path.into(), source };
        let file = match fs::File::open(self.real(path)) {
            Ok(file) => file,
            Err(e) if absent(&e) => return Ok(false),
            Err(e) => return Err(wrap(e)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(e)) => Err(wrap(e)),
        }
    }

    /// Makes the directories above a path.
    pub fn make_parents(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let wrap =
            |source| FileError { doing: "make the directories above", path: path.into(), source };
        fs::create_dir_all(self.real(path).parent().unwrap_or(Path::new("/"))).map_err(wrap)
    }

    /// Gives a file another name as well, in the same directory.
    pub fn link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), FileError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let wrap = |source| FileError { doing: "give another name to", path: from.into(), source };
        let real = self.real(from);
        fs::hard_link(&real, self.real(to)).map_err(wrap)?;
        sync_directory(real.parent().unwrap_or(Path::new("/"))).map_err(wrap)
    }

    /// Removes a file or a symbolic link; that it is gone already is a success.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        match fs::remove_file(self.real(path)) {
            Ok(()) => Ok(()),
            Err(e) if absent(&e) => Ok(()),
            Err(source) => Err(FileError { doing: "remove", path: path.into(), source }),
        }
    }

    /// Removes what a crash may have left of [`Files::replace`].
    pub fn remove_temporary(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        self.remove(beside(path.as_ref(), "converge-new"))
    }

    /// Sets owner, then mode, of a file or directory; the other way round the owner's change would
    /// take a set-user-ID bit away. A symbolic link is refused, for it may lead to anything.
    pub fn set_attributes(
        &self,
        path: impl AsRef<Path>,
        what: What,
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
    ) -> Result<(), FileError> {
        let path = path.as_ref();
        let wrap = |doing| move |source| FileError { doing, path: path.into(), source };
        // O_NONBLOCK: a pipe that took the file's place would keep us waiting.
        let mut flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        if what == What::Directory {
            flags |= OFlags::DIRECTORY;
        }
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let real = self.real(path);
        let name_link = |e| if real.is_symlink() { link_stands(&real) } else { e };
        let opened = options.open(&real).map_err(name_link);
        let file = opened.map_err(wrap("change the attributes of"))?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid)).map_err(wrap("change the owner of"))?;
        }
        if let Some(mode) = mode {
            let mode = fs::Permissions::from_mode(mode);
            file.set_permissions(mode).map_err(wrap("change the mode of"))?;
        }
        Ok(())
    }

    /// Makes a directory, and those above it, unless it stands; nobody but the owner may enter
    /// until its attributes are set. A link to a directory is not one.
    pub fn make_directory(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let real = self.real(path);
        let wrap = |source| FileError { doing: "make the directory", path: path.into(), source };
        if let Some(parent) = real.parent() {
            fs::create_dir_all(parent).map_err(wrap)?;
        }
        let Err(error) = fs::DirBuilder::new().mode(0o700).create(&real) else {
            return Ok(());
        };
        match fs::symlink_metadata(&real) {
            Ok(meta) if meta.is_dir() => Ok(()),
            Ok(meta) if meta.is_symlink() => Err(wrap(link_stands(&real))),
            Ok(_) | Err(_) => Err(wrap(error)),
        }
    }

    /// Whether a symbolic link stands at a path.
    pub fn is_link(&self, path: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.real(path)).is_ok_and(|meta| meta.is_symlink())
    }

    /// Removes a directory that is empty. Says whether it is gone; one that is not empty stays.
    pub fn remove_directory(&self, path: impl AsRef<Path>) -> Result<bool, FileError> {
        let path = path.as_ref();
        match fs::remove_dir(self.real(path)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(source) => {
                Err(FileError { doing: "remove the directory", path: path.into(), source })
            }
        }
    }
}

fn link_stands(real: &Path) -> io::Error {
    let to = fs::read_link(real).unwrap_or_default();
    let said = format!("a symbolic link to {} stands there", to.display());
    io::Error::new(io::ErrorKind::AlreadyExists, said)
}

fn try_replace(
    real: &Path,
    bytes: &[u8],
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    let parent = real.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let standing = fs::metadata(real).ok().filter(fs::Metadata::is_file);
    let mode = mode.or(standing.as_ref().map(|m| m.permissions().mode() & 0o7777));
    let owner = owner.or(standing.as_ref().map(|m| (m.uid(), m.gid())));
    let temporary = beside(real, "converge-new");
    match fs::remove_file(&temporary) {
        Err(e) if !absent(&e) => return Err(e),
        _ => {}
    }
    // O_EXCL: in a directory that others may write, a link planted here is not followed.
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        fchown(&file, Some(uid), Some(gid))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode.unwrap_or(0o644)))?;
    if standing.is_some() {
        copy_attributes(real, &file)?;
    }
    file.sync_all()?;
    fs::rename(&temporary, real)?;
    sync_directory(parent)
}

/// Copies label and ACL, where there are any; a file system without them has none to lose.
fn copy_attributes(from: &Path, to: &fs::File) -> io::Result<()> {
    for name in KEPT_ATTRIBUTES {
        let mut value = vec![0u8; ATTRIBUTE_SIZE];
        if let Ok(length) = rustix::fs::getxattr(from, name, &mut value[..]) {
            rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
        }
    }
    Ok(())
}

/// The hidden name beside a file: no include of `*.conf` matches it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Makes what was done to the names in a directory last through a power cut.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

pub(super) fn absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
