//! Writes files that one check proves, all or none.
//!
//! Every old file is laid aside, every new one is renamed into place, the check runs once, and then
//! either nothing lies aside any more or everything is put back. Whatever moment the run is cut
//! short in, a file whose new content is not proven has something laid aside.

use std::path::Path;
use std::sync::Arc;

use crate::host::files::{FileError, Files};
use crate::host::{CommandError, Host, HostError, command, written};

/// Why a file is as it was before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnprovenError {
    /// The check failed, or could not be run.
    #[error("the new file did not pass its check, and the old one stands again")]
    Check(#[source] Arc<CommandError>),
    /// Another file of the same check could not be written.
    #[error("the old file stands, because {path} could not be written and one check proves both")]
    Sibling {
        /// The other file.
        path: String,
    },
}

impl UnprovenError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            UnprovenError::Check(error) => error.hint(),
            UnprovenError::Sibling { .. } => None,
        }
    }
}

/// One file to write.
pub(super) struct Write<'a> {
    /// Which change it belongs to.
    pub(super) index: usize,
    pub(super) path: &'a Path,
    pub(super) content: &'a [u8],
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<(u32, u32)>,
}

type Results = Vec<(usize, Result<(), HostError>)>;

/// Writes files with one check, or files without any. One result for each, with its index.
pub(super) async fn run(host: &Host, check: Option<&[String]>, writes: &[Write<'_>]) -> Results {
    let files = host.files();
    if let Err(e) = note(files, writes, check.is_some()) {
        return writes.iter().map(|w| (w.index, Err(HostError::Ledger(e.again())))).collect();
    }
    let Some(check) = check else {
        return writes.iter().map(|w| (w.index, plain(files, w))).collect();
    };
    if let Err((failed, error)) = write_all(files, writes) {
        let path = failed.path.display().to_string();
        let mut results = put_back(files, writes, &UnprovenError::Sibling { path });
        for (index, result) in results.iter_mut().filter(|(i, _)| *i == failed.index) {
            tracing::trace!(index, "the one that failed tells its own error");
            *result = Err(HostError::File(error.again()));
        }
        return results;
    }
    let argv: Vec<&str> = check.iter().map(String::as_str).collect();
    match command::run(&argv).await {
        Ok(_) => accept(files, writes),
        Err(error) => put_back(files, writes, &UnprovenError::Check(Arc::new(error))),
    }
}

/// A write without a check takes what an earlier one with a check left aside along.
fn plain(files: &Files, write: &Write<'_>) -> Result<(), HostError> {
    files.replace(write.path, write.content, write.mode, write.owner)?;
    Ok(files.drop_aside(write.path)?)
}

fn write_all<'a, 'b>(
    files: &Files,
    writes: &'a [Write<'b>],
) -> Result<(), (&'a Write<'b>, FileError)> {
    for write in writes {
        files.lay_aside(write.path).map_err(|e| (write, e))?;
        files
            .replace(write.path, write.content, write.mode, write.owner)
            .map_err(|e| (write, e))?;
    }
    Ok(())
}

fn accept(files: &Files, writes: &[Write<'_>]) -> Results {
    let drop = |w: &Write<'_>| Ok(files.drop_aside(w.path)?);
    let results = writes.iter().map(|w| (w.index, drop(w))).collect();
    settle(files, writes);
    results
}

fn put_back(files: &Files, writes: &[Write<'_>], why: &UnprovenError) -> Results {
    let back = |w: &Write<'_>| {
        files.put_back(w.path)?;
        files.remove_temporary(w.path)?;
        Err(why.clone().into())
    };
    let results: Results = writes.iter().map(|w| (w.index, back(w))).collect();
    settle(files, writes);
    results
}

/// Remembers what is about to be written, before it is.
fn note(files: &Files, writes: &[Write<'_>], untested: bool) -> Result<(), FileError> {
    written::change(files, |all| {
        for write in writes {
            let entry = all.entry(write.path.display().to_string()).or_default();
            entry.note(write.content);
            entry.untested = untested;
        }
    })
}

/// Forgets that these are to be proven, except where something still lies aside.
fn settle(files: &Files, writes: &[Write<'_>]) {
    let settled = |write: &&Write<'_>| matches!(files.aside(write.path), Ok(None));
    let paths: Vec<String> =
        writes.iter().filter(settled).map(|w| w.path.display().to_string()).collect();
    let outcome = written::change(files, |all| {
        for path in &paths {
            all.entry(path.clone()).or_default().untested = false;
        }
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "files stay noted as untested; the next run looks at them again");
    }
}
