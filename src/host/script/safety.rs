//! Who else could change the program that we are about to run.
//!
//! A script runs with its user's rights, so nobody but root and that user may be able to put
//! another in its place. Every directory and link on the way to it is looked at, as the kernel
//! walks it; the error names the one that is unsafe and why. A directory with the sticky bit is
//! safe where what lies in it is.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::host::users;

/// Links followed on one way, as the kernel has it (path_resolution(7)).
const LINKS: usize = 40;

/// Bits of a mode (inode(7)).
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why a program is not run.
#[derive(Debug, thiserror::Error)]
pub enum UnsafeError {
    /// It is not where it is said to be, or cannot be reached.
    #[error("cannot look at {}", path.display())]
    Look {
        /// The part of the way.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The way goes in a circle.
    #[error("{} leads through more than {LINKS} symbolic links", path.display())]
    Links {
        /// The whole way.
        path: PathBuf,
    },
    /// Somebody else owns a part of the way.
    #[error("{} belongs to {owner}, who could put another program there", path.display())]
    Owner {
        /// The part of the way.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// Others may write to a part of the way.
    #[error("{} can be written by {who} (mode {mode:04o})", path.display())]
    Writable {
        /// The part of the way.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Who may.
        who: String,
    },
}

/// Whether only root and `user` can change what is run under this absolute path.
pub fn check(program: &Path, user: u32) -> Result<(), UnsafeError> {
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = parts(program).collect();
    let mut links = 0;
    look(&here, user)?;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(part);
        if !look(&next, user)? {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(UnsafeError::Links { path: program.to_owned() });
        }
        let target = fs::read_link(&next).map_err(|source| cannot_look(&next, source))?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        rest = parts(&target).chain(rest).collect();
    }
    Ok(())
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Looks at one part of the way; whether it is a link.
fn look(path: &Path, user: u32) -> Result<bool, UnsafeError> {
    let found = fs::symlink_metadata(path).map_err(|source| cannot_look(path, source))?;
    let path = || path.to_owned();
    if found.uid() != 0 && found.uid() != user {
        return Err(UnsafeError::Owner { path: path(), owner: users::user_name(found.uid()) });
    }
    if found.is_symlink() {
        // A link has no mode of its own: who may change it is a matter of its directory.
        return Ok(true);
    }
    let mode = found.mode() & 0o7777;
    let guarded = found.is_dir() && mode & STICKY != 0;
    let group = (mode & GROUP_WRITES != 0 && found.gid() != 0)
        .then(|| format!("the group {}", users::group_name(found.gid())));
    let everybody = (mode & OTHERS_WRITE != 0).then(|| "everybody".to_owned());
    match everybody.or(group) {
        Some(who) if !guarded => Err(UnsafeError::Writable { path: path(), mode, who }),
        Some(_) | None => Ok(false),
    }
}

fn cannot_look(path: &Path, source: io::Error) -> UnsafeError {
    UnsafeError::Look { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use nix::unistd::geteuid;

    use super::*;
    use crate::host::scratch::Scratch;

    const NOBODY: u32 = 65534;

    fn mode(scratch: &Scratch, path: &str, mode: u32) {
        fs::set_permissions(scratch.real(path), Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn a_script_that_only_its_user_can_change_is_safe() {
        let scratch = Scratch::new();
        scratch.write("/bin/check", "#!/bin/sh\n");
        mode(&scratch, "/bin", 0o755);
        mode(&scratch, "/bin/check", 0o700);
        let us = geteuid().as_raw();
        check(&scratch.real("/bin/check"), us).expect("safe");
        check(Path::new("/bin/sh"), us).expect("a system's shell is safe");
    }

    #[test]
    fn the_part_of_the_way_that_others_can_write_is_named() {
        let scratch = Scratch::new();
        scratch.write("/bin/deep/check", "#!/bin/sh\n");
        scratch.write("/links/unrelated", "");
        let us = geteuid().as_raw();
        symlink(scratch.real("/bin/deep"), scratch.real("/links/there")).expect("a link");
        let way = scratch.real("/links/there/../deep/check");
        mode(&scratch, "/bin/deep/check", 0o700);
        for (path, bits) in [("/bin", 0o777), ("/bin/deep", 0o702), ("/bin/deep/check", 0o777)] {
            mode(&scratch, path, bits);
            let error = check(&way, us).expect_err(path).to_string();
            let path = scratch.real(path);
            let words = format!("{} can be written by everybody (mode {bits:04o})", path.display());
            assert_eq!(error, words);
            fs::set_permissions(path, Permissions::from_mode(0o700)).expect("ours");
        }
        check(&way, us).expect("safe again");
        mode(&scratch, "/bin", 0o1777);
        check(&way, us).expect("a sticky directory guards what is ours in it");
    }

    #[test]
    fn a_script_of_somebody_else_is_unsafe_unless_it_runs_as_them() {
        if !geteuid().is_root() {
            eprintln!("######## SKIPPED: only root can give a file away ########");
            return;
        }
        let scratch = Scratch::new();
        scratch.write("/bin/check", "#!/bin/sh\n");
        let path = scratch.real("/bin/check");
        chown(&path, Some(NOBODY), None).expect("root may");
        let error = check(&path, 0).expect_err("not ours").to_string();
        assert!(error.ends_with("who could put another program there"), "{error}");
        check(&path, NOBODY).expect("their own");
    }

    #[test]
    fn a_missing_script_and_a_circle_are_told_apart() {
        let scratch = Scratch::new();
        scratch.write("/x", "");
        let missing = check(&scratch.real("/missing"), 0);
        assert!(matches!(missing, Err(UnsafeError::Look { .. })), "{missing:?}");
        symlink(scratch.real("/b"), scratch.real("/a")).expect("a link");
        symlink(scratch.real("/a"), scratch.real("/b")).expect("a link");
        let circle = check(&scratch.real("/a"), 0);
        assert!(matches!(circle, Err(UnsafeError::Links { .. })), "{circle:?}");
    }
}
