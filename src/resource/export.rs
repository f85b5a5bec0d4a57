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
const EXPORTFS: &str = "exportfs";
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
    /// It should be in force no more and is.
    #[error("exportfs did not take it out of force, and clients may mount it as before")]
    Stays {
        /// What exportfs(8) said against it, if it did.
        #[source]
        refusal: Option<Arc<CommandError>>,
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
            ExportError::Stays { refusal } => refusal.as_ref()?.hint(),
            ExportError::NoDirectory { .. } | ExportError::NotThere { .. } => None,
        }
    }
}

impl Export {
    fn key(&self) -> (PathBuf, String) {
        (self.path.clone(), self.client.clone())
    }

    /// As exportfs(8) takes it on its command line: `192.0.2.7:/srv`, `[2001:db8::7]:/srv`.
    fn live_name(&self) -> String {
        match self.client.contains(':') {
            true => format!("[{}]:{}", self.client, self.path.display()),
            false => format!("{}:{}", self.client, self.path.display()),
        }
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
        // `exportfs -a` leaves the options of what is exported already as they are.
        let again: Vec<_> = changes.iter().filter(|c| c.before.is_some() && here(c)).collect();
        let calls = again.iter().map(|c| {
            let options = c.after.options.iter().cloned().collect::<Vec<_>>().join(",");
            vec!["-o".to_owned(), options, c.after.live_name()]
        });
        let answer = match rewrite(host, edit, calls.collect()).await {
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
        match take_back(host, gone).await {
            Ok(results) => results,
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

/// Takes exports out of force, and then out of our file: a run that is cut short in between still
/// has the line, which tells the next one to go on.
async fn take_back(
    host: &Host,
    gone: &[&Export],
) -> Result<Vec<Result<(), HostError>>, RewriteError> {
    must_have_exportfs()?;
    let mut refusals = Vec::new();
    for export in gone {
        refusals.push(command::run(&[EXPORTFS, "-u", &export.live_name()]).await.err());
    }
    let live = live(host)?;
    let ended = |(export, refusal): (&&Export, Option<CommandError>)| ended(export, &live, refusal);
    let results: Vec<_> = gone.iter().zip(refusals).map(ended).collect();
    let ended = gone.iter().zip(&results).filter(|(_, result)| result.is_ok());
    let keys: BTreeSet<_> = ended.map(|(export, _)| export.key()).collect();
    declare(host, |own| own.retain(|key, _| !keys.contains(key)))?;
    // Somebody's own line for the same client may have gone out of force with ours.
    if let Err(error) = command::run(&[EXPORTFS, "-a"]).await {
        tracing::debug!(%error, "exportfs complains, but not about what was removed");
    }
    Ok(results.into_iter().map(|result| Ok(result?)).collect())
}

/// Whether an export is out of force. exportfs(8) complains also when it was so before.
fn ended(
    export: &Export,
    live: &Exports,
    refusal: Option<CommandError>,
) -> Result<(), ExportError> {
    match table::has(live, export) {
        true => Err(ExportError::Stays { refusal: refusal.map(Arc::new) }),
        false => Ok(()),
    }
}

/// Writes our file and has exportfs(8) take it; `calls` are made with it besides. Never
/// `exportfs -r`: it would end every export that somebody made by hand.
async fn rewrite(
    host: &Host,
    edit: impl FnOnce(&mut Exports),
    calls: Vec<Vec<String>>,
) -> Result<Answer, RewriteError> {
    must_have_exportfs()?;
    declare(host, edit)?;
    for call in calls {
        let line: Vec<&str> =
            std::iter::once(EXPORTFS).chain(call.iter().map(String::as_str)).collect();
        // The live table, which is looked at afterwards, tells whether it helped.
        if let Err(error) = command::run(&line).await {
            tracing::debug!(%error, "exportfs complains");
        }
    }
    let answer = command::run(&[EXPORTFS, "-a"]).await;
    Ok(answer.map(|output| output.stderr).map_err(Arc::new))
}

fn must_have_exportfs() -> Result<(), RewriteError> {
    match command::find(EXPORTFS) {
        Some(_) => Ok(()),
        None => Err(RewriteError::Missing { program: EXPORTFS.into() }),
    }
}

/// Writes our file anew, or removes it when it has no line any more.
fn declare(host: &Host, edit: impl FnOnce(&mut Exports)) -> Result<(), FileError> {
    let mut exports = own(host)?;
    edit(&mut exports);
    if exports.is_empty() {
        return host.files().remove(OWN);
    }
    host.files().replace(OWN, table::render(&exports).as_bytes(), Some(0o644), None)
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

    #[test]
    fn an_export_counts_as_ended_only_when_the_live_table_has_it_no_more() {
        let refusal = || Some(CommandError::Missing { program: EXPORTFS.into() });
        let web = export("/opt", "web", &["ro"]);
        let other = table::parse("/opt web2.example.org(ro)\n/opt 192.0.2.0/24(ro)\n");
        assert!(ended(&web, &other, refusal()).is_ok(), "it was out of force before");
        let still = table::parse("/opt web.example.org(ro)\n");
        assert!(matches!(ended(&web, &still, None), Err(ExportError::Stays { refusal: None })));
        let stays = ended(&web, &still, refusal());
        assert!(matches!(stays, Err(ExportError::Stays { refusal: Some(_) })));
    }
}
