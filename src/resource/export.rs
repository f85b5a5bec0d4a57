//! A directory exported over NFS to one client or network.
//!
//! Ours are the lines of `/etc/exports.d/converge.exports`, which is written whole; what
//! `/etc/exports` or anybody else exports is invisible. An export stands if our file has it and the
//! server's live table has it too, so an `exportfs -u` by hand is drift. The table shows every
//! option, with all defaults: a live export is right if it has the wanted options, and beyond them
//! nothing that differs from the defaults.

mod table;

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{CommandError, FileError, Host, HostError, command};

const OWN: &str = "/etc/exports.d/converge.exports";
const LIVE: &str = "/var/lib/nfs/etab";
const DUPLICATED: &str = "another line, in /etc/exports for example, exports it to the same \
                          client; \
                          the first one counts";

/// One line of `/etc/exports.d/converge.exports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// The directory.
    pub path: PathBuf,
    /// The client: an address, a network `a.b.c.d/n`, a host name or `*`.
    pub client: String,
    /// Options as in exports(5).
    pub options: BTreeSet<String>,
}

/// What is exported: options by directory and client.
type Exports = BTreeMap<(PathBuf, String), BTreeSet<String>>;

/// Why something is not exported as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// exportfs(8) said no.
    #[error("exportfs did not export it")]
    Refused(#[source] Arc<CommandError>),
    /// There is nothing to export.
    #[error("there is no directory {}", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// exportfs(8) took it and exports something else.
    #[error("it is exported with other options: {live}")]
    Differs {
        /// The options in force.
        live: String,
    },
    /// exportfs(8) took it and does not export it.
    #[error("exportfs took it, but does not export it: {said}")]
    NotThere {
        /// What exportfs(8) said besides.
        said: String,
    },
}

impl ExportError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            ExportError::Refused(error) if error.to_string().contains("duplicated") => {
                Some(DUPLICATED.into())
            }
            ExportError::Refused(error) => error.hint(),
            ExportError::Differs { .. } => Some(DUPLICATED.into()),
            ExportError::NoDirectory { .. } | ExportError::NotThere { .. } => None,
        }
    }
}

impl Export {
    fn key(&self) -> (PathBuf, String) {
        (self.path.clone(), self.client.clone())
    }
}

impl ResourceKind for Export {
    const KIND: Kind = Kind::Export;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        format!("{} to {}", self.path.display(), self.client)
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let mut own = own(host)?;
        if scope.wanted.is_empty() && own.is_empty() {
            return Ok(Vec::new());
        }
        let live = live(host)?;
        let standing = |wanted: &&Export| {
            let declared = own.remove(&wanted.key())?;
            standing(wanted, declared, &live)
        };
        let mut found: Vec<Export> = scope.wanted.iter().filter_map(standing).collect();
        let unwanted = own.into_iter();
        found.extend(unwanted.map(|((path, client), options)| Export { path, client, options }));
        Ok(found)
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        // exportfs takes a directory that is not there, but nobody can mount it.
        let here =
            |c: &Ensure<'_, Self>| host.files().stat(&c.after.path).is_ok_and(|s| s.is_some());
        let edit = |own: &mut Exports| {
            let good = changes.iter().filter(|c| here(c));
            own.extend(good.map(|c| (c.after.key(), c.after.options.clone())));
        };
        let answer = match rewrite(host, edit).await {
            Ok(answer) => answer,
            Err(error) => return changes.iter().map(|_| Err(error.again())).collect(),
        };
        let live = match live(host) {
            Ok(live) => live,
            Err(error) => return changes.iter().map(|_| Err(error.again().into())).collect(),
        };
        let outcome = |c: &Ensure<'_, Self>| {
            if !here(c) {
                return Err(ExportError::NoDirectory { path: c.after.path.clone() }.into());
            }
            Ok(verdict(c.after, &live, &answer)?)
        };
        changes.iter().map(outcome).collect()
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let keys: BTreeSet<_> = gone.iter().map(|export| export.key()).collect();
        match rewrite(host, |own| own.retain(|key, _| !keys.contains(key))).await {
            // What exportfs complains about then is not what was removed.
            Ok(_) => gone.iter().map(|_| Ok(())).collect(),
            Err(error) => gone.iter().map(|_| Err(error.again())).collect(),
        }
    }
}

fn own(host: &Host) -> Result<Exports, FileError> {
    Ok(table::parse(&host.files().read_text(OWN)?.unwrap_or_default()))
}

fn live(host: &Host) -> Result<Exports, FileError> {
    Ok(table::parse(&host.files().read_text(LIVE)?.unwrap_or_default()))
}

/// A declared export as it is in force; `None` if it is not exported at all.
fn standing(wanted: &Export, declared: BTreeSet<String>, live: &Exports) -> Option<Export> {
    let in_force = table::find(live, wanted)?;
    let options = if declared != wanted.options {
        declared
    } else if table::satisfies(&wanted.options, in_force) {
        wanted.options.clone()
    } else {
        in_force.clone()
    };
    Some(Export { options, ..wanted.clone() })
}

/// Why a rewrite did not come to anything.
enum RewriteError {
    File(FileError),
    Missing { program: String },
}

impl RewriteError {
    fn again(&self) -> HostError {
        match self {
            RewriteError::File(error) => error.again().into(),
            RewriteError::Missing { program } => {
                CommandError::Missing { program: program.clone() }.into()
            }
        }
    }
}

impl From<FileError> for RewriteError {
    fn from(error: FileError) -> Self {
        RewriteError::File(error)
    }
}

/// What exportfs(8) said, or its complaint; it exports what it can, whatever its status is.
type Answer = Result<String, Arc<CommandError>>;

/// Writes our file and has exportfs(8) take it.
async fn rewrite(host: &Host, edit: impl FnOnce(&mut Exports)) -> Result<Answer, RewriteError> {
    let program = "exportfs";
    if command::find(program).is_none() {
        return Err(RewriteError::Missing { program: program.into() });
    }
    let mut exports = own(host)?;
    edit(&mut exports);
    if exports.is_empty() {
        host.files().remove(OWN)?;
    } else {
        host.files().replace(OWN, table::render(&exports).as_bytes(), Some(0o644), None)?;
    }
    let answer = command::run(&[program, "-ra"]).await;
    Ok(answer.map(|output| output.stderr).map_err(Arc::new))
}

fn verdict(wanted: &Export, live: &Exports, answer: &Answer) -> Result<(), ExportError> {
    let in_force = table::find(live, wanted);
    match (in_force, answer) {
        (Some(options), _) if table::satisfies(&wanted.options, options) => Ok(()),
        (_, Err(error)) => Err(ExportError::Refused(error.clone())),
        (Some(options), Ok(_)) => {
            let live = options.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            Err(ExportError::Differs { live })
        }
        (None, Ok(said)) => Err(ExportError::NotThere { said: said.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;
    use crate::reconcile::look;
    use crate::resource::Desired;

    fn export(path: &str, client: &str, options: &[&str]) -> Export {
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        Export { path: path.into(), client: client.into(), options }
    }

    fn live(scratch: &Scratch, path: &str, client: &str, options: &str) {
        scratch.write(
            LIVE,
            &format!(
                "{path}\t{client}({options},wdelay,hide,nocrossmnt,secure,root_squash,\
                 no_all_squash,no_subtree_check,secure_locks,acl,no_pnfs,anonuid=65534,\
                 anongid=65534,sec=sys,{options},secure,root_squash,no_all_squash)\n"
            ),
        );
    }

    #[tokio::main(flavor = "current_thread")]
    async fn planned(scratch: &Scratch, exports: &[Export]) -> Vec<String> {
        let mut desired = Desired::default();
        for export in exports {
            assert!(desired.state.insert(export.clone().into()).is_none());
        }
        let (plan, _) = look(&scratch.host(), &desired).await.expect("can be looked at");
        let sign = |removes: bool| if removes { "-" } else { "+" };
        plan.changes.iter().map(|c| format!("{}{}", sign(c.removes()), c.id().name)).collect()
    }

    #[test]
    fn an_export_of_ours_that_is_in_force_is_as_wanted() {
        let scratch = Scratch::new();
        scratch.write(OWN, "/opt/111 192.0.2.0/24(rw,sync)\n");
        live(&scratch, "/opt/111", "192.0.2.0/24", "rw,sync");
        let wanted = export("/opt/111", "192.0.2.0/24", &["rw", "sync"]);
        assert_eq!(planned(&scratch, &[wanted]), [""; 0]);
    }

    #[test]
    fn an_unexport_by_hand_is_drift() {
        let scratch = Scratch::new();
        scratch.write(OWN, "/opt/111 192.0.2.0/24(rw,sync)\n");
        let wanted = export("/opt/111", "192.0.2.0/24", &["rw", "sync"]);
        assert_eq!(planned(&scratch, &[wanted]), ["+/opt/111 to 192.0.2.0/24"]);
    }

    #[test]
    fn a_looser_export_in_force_is_drift() {
        let scratch = Scratch::new();
        scratch.write(OWN, "/opt/111 *(ro)\n");
        live(&scratch, "/opt/111", "*", "ro,sync,no_root_squash");
        assert_eq!(planned(&scratch, &[export("/opt/111", "*", &["ro"])]), ["+/opt/111 to *"]);
    }

    #[test]
    fn a_foreign_export_is_invisible_and_one_of_ours_that_is_not_wanted_goes() {
        let scratch = Scratch::new();
        scratch.write("/etc/exports", "/home *(rw)\n");
        scratch.write(OWN, "/opt/111 *(ro)\n");
        live(&scratch, "/home", "*", "rw,sync");
        assert_eq!(planned(&scratch, &[]), ["-/opt/111 to *"]);
    }
}
