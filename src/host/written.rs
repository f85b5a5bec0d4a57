//! Remembers what we wrote into which file.
//!
//! `/var/lib/converge/files.json` holds, for every file that we ever wrote, the SHA-256 of the last
//! few contents, entered before they are written. A file is removed only while its content is one
//! of these: what an operator wrote instead is the operator's. It also names the files whose check
//! has not succeeded yet, so that they are found when no role wants them any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::{FileError, Files};

const PATH: &str = "/var/lib/converge/files.json";
/// The one that stands, the one that replaces it, and two for runs that were cut short.
const KEPT: usize = 4;

/// What we know about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Digests of what we wrote, the newest last.
    #[serde(default)]
    pub wrote: Vec<String>,
    /// Whether its check has not succeeded yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untested: bool,
}

/// All entries, by path.
pub type Written = BTreeMap<String, Entry>;

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads the entries. One that was torn or edited by hand counts as empty, which is the safe side:
/// nothing is removed then.
pub fn read(files: &Files) -> Result<Written, FileError> {
    let Some(text) = files.read_text(PATH)? else {
        return Ok(Written::new());
    };
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!(PATH, %error, "cannot be read; no file is removed on its word");
        Written::new()
    }))
}

/// Changes the entries on the disk, if `edit` changes anything.
pub fn change(files: &Files, edit: impl FnOnce(&mut Written)) -> Result<(), FileError> {
    let before = read(files)?;
    let mut after = before.clone();
    edit(&mut after);
    if before == after {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&after).expect("strings always serialise");
    files.replace(PATH, text.as_bytes(), Some(0o600), None)
}

impl Entry {
    /// Enters a content that is about to be written.
    pub fn note(&mut self, content: &[u8]) {
        let digest = digest(content);
        self.wrote.retain(|d| *d != digest);
        self.wrote.push(digest);
        let old = self.wrote.len().saturating_sub(KEPT);
        self.wrote.drain(..old);
    }

    /// Whether this content is ours.
    pub fn knows(&self, content: &[u8]) -> bool {
        self.wrote.contains(&digest(content))
    }
}
