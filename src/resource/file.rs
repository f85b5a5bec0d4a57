//! A file, whole.
//!
//! What stands is replaced in one step; mode and owner are kept where the role leaves them open. A
//! file with a check is proven before anything relies on it: the old one is laid aside, and put
//! back if the check fails ([`transaction`]). While something lies aside, [`File::observe`] reports
//! the old file, so a run that was cut short is made again and proven then.
//!
//! Nothing is removed but what we created (the ledger says so) and nobody changed since
//! ([`written`]): a file that an operator rewrote by hand stays. A file that stood before us stays
//! too, with our content. A symbolic link counts as the file that it leads to as long as that is
//! right; otherwise a file takes the link's place, and what it led to is not touched.

mod transaction;

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub use transaction::UnprovenError;
use transaction::Write;

use super::{Ensure, Kind, Kinds, Memory, ResourceKind, Scope};
use crate::host::aside::Aside;
use crate::host::blocking::apart;
use crate::host::files::{Files, Found, Standing, What};
use crate::host::{Host, HostError, UserError, ledger, users, written};

/// Permission bits, `0o000..=0o7777`; written in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// User and group, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
}

impl Owner {
    /// User and group id.
    pub(super) fn ids(&self) -> Result<(u32, u32), UserError> {
        Ok((users::uid(&self.user)?, users::gid(&self.group)?))
    }

    /// The owner that stands, in the words of the wanted one where they mean the same; `None`
    /// where nothing is wanted.
    pub(super) fn observed(wanted: Option<&Owner>, uid: u32, gid: u32) -> Option<Owner> {
        let wanted = wanted?;
        let user = match users::uid(&wanted.user) {
            Ok(id) if id == uid => wanted.user.clone(),
            Ok(_) | Err(_) => users::user_name(uid),
        };
        let group = match users::gid(&wanted.group) {
            Ok(id) if id == gid => wanted.group.clone(),
            Ok(_) | Err(_) => users::group_name(gid),
        };
        Some(Owner { user, group })
    }
}

/// A file with its whole content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Absolute path.
    pub path: PathBuf,
    /// The whole text.
    pub content: String,
    /// Permission bits; `None` keeps those of the file that stands there, 0644 for a new one.
    pub mode: Option<Mode>,
    /// Owner; `None` keeps the one that stands there, root for a new file.
    pub owner: Option<Owner>,
    /// Only write it when it is missing: the content belongs to the user afterwards.
    pub once: bool,
    /// A command that must succeed with the new file in place (`nginx -t`), else the old one
    /// is put back. Files with the same check are proven together. Of a file that was observed it
    /// is the check that it has passed.
    pub check: Option<Vec<String>>,
}

impl ResourceKind for File {
    const KIND: Kind = Kind::File;
    const MEMORY: Memory = Memory::OnDisk;

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_given_away(&self) -> bool {
        self.once
    }

    /// One that somebody rewrote is left alone, but it is not gone.
    fn is_gone(host: &Host, name: &str) -> bool {
        matches!(host.files().stat(name), Ok(None))
    }

    /// Beside whatever else runs: the disk may hang, and so may the user database.
    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let files = host.files().clone();
        let wanted: Vec<File> = scope.wanted.iter().map(|file| (*file).clone()).collect();
        let ours: BTreeSet<String> = scope.ours.iter().map(|&name| name.to_owned()).collect();
        apart(move || look(&files, &wanted, &ours)).await
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results: BTreeMap<usize, Result<(), HostError>> = BTreeMap::new();
        let mut writes: BTreeMap<Option<&[String]>, Vec<Write<'_>>> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            match write_of(host, index, change) {
                Err(error) => drop(results.insert(index, Err(error))),
                Ok(None) => drop(results.insert(index, Ok(()))),
                Ok(Some(write)) => {
                    writes.entry(change.after.check.as_deref()).or_default().push(write);
                }
            }
        }
        for (check, writes) in writes {
            results.extend(transaction::run(host, check, &writes).await);
        }
        results.into_values().collect()
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let ours = match ledger::read(host.files(), Kinds::Only(Kind::File)) {
            Ok(mut ours) => ours.remove(&Kind::File).unwrap_or_default(),
            Err(e) => {
                return gone.iter().map(|_| Err(HostError::File(e.again()))).collect();
            }
        };
        let results: Vec<_> = gone.iter().map(|file| remove_one(host, &ours, file)).collect();
        let names = gone.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(f, _)| f.name());
        let names: BTreeSet<String> = names.collect();
        let forget = |all: &mut written::Written| all.retain(|path, _| !names.contains(path));
        if let Err(error) = written::change(host.files(), forget) {
            tracing::warn!(%error, "what was written into removed files is still remembered");
        }
        results
    }
}

/// What stands of what is wanted, and what of ours is not wanted.
fn look(files: &Files, wanted: &[File], ours: &BTreeSet<String>) -> Result<Vec<File>, HostError> {
    let mut found = Vec::new();
    for wanted in wanted {
        found.extend(standing(files, wanted)?);
    }
    let written = written::read(files)?;
    let wanted: BTreeSet<String> = wanted.iter().map(File::name).collect();
    let untested = written.iter().filter(|(_, e)| e.untested).map(|(path, _)| path.as_str());
    let others: BTreeSet<&str> = untested.chain(ours.iter().map(String::as_str)).collect();
    for path in others.into_iter().filter(|p| !wanted.contains(*p)) {
        let entry = written.get(path).filter(|_| ours.contains(path));
        found.extend(unwanted(files, path, entry)?);
    }
    Ok(found)
}

/// The file that stands where one is wanted.
fn standing(files: &Files, wanted: &File) -> Result<Option<File>, HostError> {
    match files.aside(&wanted.path)? {
        Some(Aside::Nothing) => return Ok(None),
        Some(Aside::Old(old)) => {
            // Never equal to the wanted one, so that it is written and proven again.
            let check = if wanted.check.is_some() { None } else { Some(Vec::new()) };
            return Ok(Some(File { check, ..described(wanted, &old) }));
        }
        None => {}
    }
    if wanted.once {
        let stat = files.stat(&wanted.path)?.filter(|s| s.what == What::File);
        return Ok(stat.map(|Standing { mode, uid, gid, .. }| {
            let bytes = wanted.content.clone().into_bytes();
            described(wanted, &Found { bytes, mode, uid, gid })
        }));
    }
    Ok(files.read(&wanted.path)?.map(|found| described(wanted, &found)))
}

fn described(wanted: &File, found: &Found) -> File {
    File {
        path: wanted.path.clone(),
        content: String::from_utf8_lossy(&found.bytes).into_owned(),
        mode: wanted.mode.map(|_| Mode(found.mode)),
        owner: Owner::observed(wanted.owner.as_ref(), found.uid, found.gid),
        once: wanted.once,
        check: wanted.check.clone(),
    }
}

/// A file that no role wants, if it is ours to remove (`entry` is what we know of one of ours), or
/// to put back.
fn unwanted(
    files: &Files,
    path: &str,
    entry: Option<&written::Entry>,
) -> Result<Option<File>, HostError> {
    let file = |bytes: &[u8], mode| File {
        path: PathBuf::from(path),
        content: String::from_utf8_lossy(bytes).into_owned(),
        mode,
        owner: None,
        once: false,
        check: None,
    };
    match files.aside(path)? {
        Some(Aside::Nothing) => return Ok(Some(file(b"", None))),
        Some(Aside::Old(old)) => return Ok(Some(file(&old.bytes, Some(Mode(old.mode))))),
        None => {}
    }
    let Some(found) = files.read(path)? else {
        return Ok(None);
    };
    if entry.is_some_and(|e| e.knows(&found.bytes)) {
        return Ok(Some(file(&found.bytes, Some(Mode(found.mode)))));
    }
    tracing::debug!(path, "no role wants it, but it was changed by hand: left alone");
    Ok(None)
}

/// What a change has to write; `None` if mode and owner were all, and they are set.
fn write_of<'a>(
    host: &Host,
    index: usize,
    change: &Ensure<'a, File>,
) -> Result<Option<Write<'a>>, HostError> {
    let after = change.after;
    let owner = after.owner.as_ref().map(Owner::ids).transpose()?;
    let mode = after.mode.map(|m| m.0);
    let same = |before: &File| before.content == after.content && before.check == after.check;
    // What a link leads to is not changed: a file takes the link's place, if the content is ours.
    let stays = after.once || !host.files().is_link(&after.path);
    if stays && change.before.is_some_and(same) {
        host.files().set_attributes(&after.path, What::File, mode, owner)?;
        return Ok(None);
    }
    Ok(Some(Write { index, path: &after.path, content: after.content.as_bytes(), mode, owner }))
}

/// Removes a file of ours. One that is only here because its check never ran gives way to what
/// stood there before.
fn remove_one(host: &Host, ours: &BTreeSet<String>, file: &File) -> Result<(), HostError> {
    let files = host.files();
    let path: &Path = &file.path;
    if !ours.contains(&file.name()) {
        return Ok(files.put_back(path)?);
    }
    files.remove(path)?;
    files.drop_aside(path)?;
    files.remove_temporary(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
