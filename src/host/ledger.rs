//! Remembers what we made, for the kinds whose resources cannot carry a mark.
//!
//! Two JSON files: `/run/converge/made.json` for what a reboot takes away, `/var/lib/converge/
//! made.json` for what stays on the disk. A name is entered before the thing is made and struck out
//! after it is removed, so a crash leaves a name too many, never a thing that nobody remembers.

use std::collections::{BTreeMap, BTreeSet};

use super::blocking::apart;
use super::files::{FileError, Files};
use crate::resource::{Kind, Kinds, Memory, Ours};

const UNTIL_REBOOT: &str = "/run/converge/made.json";
const ON_DISK: &str = "/var/lib/converge/made.json";

/// Reads the names of these kinds: whoever wants none that are on the disk waits for no disk. A
/// name of an unknown kind (a newer converge wrote it) is kept out of sight.
pub fn read(files: &Files, kinds: Kinds) -> Result<Ours, FileError> {
    let mut ours = Ours::new();
    let both = [(UNTIL_REBOOT, Memory::UntilReboot), (ON_DISK, Memory::OnDisk)];
    for (path, _) in both.into_iter().filter(|(_, memory)| has(kinds, *memory)) {
        for (word, names) in read_one(files, path)? {
            if let Some(kind) = Kind::from_word(&word).filter(|kind| kinds.contains(*kind)) {
                ours.entry(kind).or_default().extend(names);
            }
        }
    }
    Ok(ours)
}

/// The same, and a disk that hangs holds up nobody else on this thread.
pub async fn look(files: &Files, kinds: Kinds) -> Result<Ours, FileError> {
    if !has(kinds, Memory::OnDisk) {
        return read(files, kinds);
    }
    let files = files.clone();
    apart(move || read(&files, kinds)).await
}

fn has(kinds: Kinds, memory: Memory) -> bool {
    Kind::ALL.iter().any(|kind| kinds.contains(*kind) && kind.memory() == memory)
}

/// Enters names of one kind. Returns those that were not there before.
pub fn enter(files: &Files, kind: Kind, names: &[String]) -> Result<Vec<String>, FileError> {
    let mut new = Vec::new();
    change(files, kind, |entries| {
        new.extend(names.iter().filter(|name| entries.insert((*name).clone())).cloned());
    })?;
    Ok(new)
}

/// Strikes names of one kind out.
pub fn strike(files: &Files, kind: Kind, names: &[String]) -> Result<(), FileError> {
    change(files, kind, |entries| entries.retain(|e| !names.contains(e)))
}

type Entries = BTreeMap<String, BTreeSet<String>>;

fn change(
    files: &Files,
    kind: Kind,
    edit: impl FnOnce(&mut BTreeSet<String>),
) -> Result<(), FileError> {
    let path = match kind.memory() {
        Memory::UntilReboot => UNTIL_REBOOT,
        Memory::OnDisk => ON_DISK,
        Memory::Mark | Memory::Never => return Ok(()),
    };
    let mut entries = read_one(files, path)?;
    let before = entries.get(kind.word()).cloned().unwrap_or_default();
    let mut after = before.clone();
    edit(&mut after);
    if before == after {
        return Ok(());
    }
    entries.insert(kind.word().to_owned(), after);
    let text = serde_json::to_string_pretty(&entries).expect("strings always serialise");
    files.replace(path, text.as_bytes(), Some(0o644), None)
}

fn read_one(files: &Files, path: &str) -> Result<Entries, FileError> {
    let Some(text) = files.read_text(path)? else {
        return Ok(Entries::new());
    };
    // A torn or hand-edited ledger must not stop the host from converging; what it named is then
    // left alone, which is the safe side.
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!(path, %error, "the ledger cannot be read; what it named is left alone");
        Entries::new()
    }))
}
