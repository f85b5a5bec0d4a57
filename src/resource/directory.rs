//! A directory with owner and mode.
//!
//! Directories above it are made as they are needed, for root and with mode 0755, and are nobody's
//! afterwards. One of ours that no role wants is removed if it is empty; otherwise it belongs to
//! whoever put something into it. A file system that is mounted on a directory hides it: mode and
//! owner count as right then, and no dead NFS server is asked about them.

use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::file::{Mode, Owner};
use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::blocking::apart;
use crate::host::files::{Files, What};
use crate::host::{Host, HostError, mounts};

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Absolute path.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: Mode,
    /// Owner; `None` leaves it as it is (root for a new one).
    pub owner: Option<Owner>,
}

impl ResourceKind for Directory {
    const KIND: Kind = Kind::Directory;
    const MEMORY: Memory = Memory::OnDisk;

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What is mounted on a directory hides it, and it is ours still when that is gone.
    fn is_gone(host: &Host, name: &str) -> bool {
        let hides = |m: &mounts::Mounted| m.mount_point == Path::new(name);
        mounts::table(host.files()).is_ok_and(|table| !table.iter().any(hides))
    }

    /// Beside whatever else runs: the disk may hang, and so may the user database.
    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        if scope.wanted.is_empty() && scope.ours.is_empty() {
            return Ok(Vec::new());
        }
        let files = host.files().clone();
        let wanted: Vec<Directory> = scope.wanted.iter().map(|wanted| (*wanted).clone()).collect();
        let ours: BTreeSet<PathBuf> = scope.ours.iter().map(PathBuf::from).collect();
        apart(move || look(&files, wanted, &ours)).await
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        changes.iter().map(|change| ensure_one(host, change.after)).collect()
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let remove = |directory: &&Self| {
            if !host.files().remove_directory(&directory.path)? {
                let path = directory.path.display();
                tracing::info!(%path, "not empty: left to whoever uses it");
            }
            Ok(())
        };
        gone.iter().map(remove).collect()
    }
}

fn look(
    files: &Files,
    wanted: Vec<Directory>,
    ours: &BTreeSet<PathBuf>,
) -> Result<Vec<Directory>, HostError> {
    let table = mounts::table(files)?;
    let hidden: BTreeSet<&Path> = table.iter().map(|m| m.mount_point.as_path()).collect();
    let mut found = Vec::new();
    let is_wanted = |path: &PathBuf| wanted.iter().any(|wanted| wanted.path == *path);
    for path in ours.iter().filter(|path| !is_wanted(path) && !hidden.contains(path.as_path())) {
        found.extend(standing(files, path, None)?);
    }
    for wanted in wanted {
        if hidden.contains(wanted.path.as_path()) {
            found.push(wanted);
            continue;
        }
        found.extend(standing(files, &wanted.path, wanted.owner.as_ref())?);
    }
    Ok(found)
}

fn standing(
    files: &Files,
    path: &Path,
    wanted: Option<&Owner>,
) -> Result<Option<Directory>, HostError> {
    let stat = files.stat(path)?.filter(|s| s.what == What::Directory);
    Ok(stat.map(|s| Directory {
        path: path.into(),
        mode: Mode(s.mode),
        owner: Owner::observed(wanted, s.uid, s.gid),
    }))
}

fn ensure_one(host: &Host, wanted: &Directory) -> Result<(), HostError> {
    let owner = wanted.owner.as_ref().map(Owner::ids).transpose()?;
    host.files().make_directory(&wanted.path)?;
    let mode = Some(wanted.mode.0);
    Ok(host.files().set_attributes(&wanted.path, What::Directory, mode, owner)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::host::scratch::Scratch;
    use crate::reconcile::{Outcome, Report, reconcile};
    use crate::resource::Desired;
    use crate::resource::Kinds;

    fn directory(path: &str, mode: u32) -> Directory {
        Directory { path: path.into(), mode: Mode(mode), owner: None }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn converge(scratch: &Scratch, directories: &[Directory]) -> Report {
        let mut desired = Desired::default();
        for d in directories {
            assert!(desired.state.insert(d.clone().into()).is_none());
        }
        reconcile(&scratch.host(), &desired, Kinds::All, |_, _| {}).await.expect("can be looked at")
    }

    fn mode(scratch: &Scratch, path: &str) -> u32 {
        let meta = std::fs::metadata(scratch.real(path)).expect("stands");
        meta.permissions().mode() & 0o7777
    }

    #[test]
    fn a_missing_directory_is_made_with_those_above_it() {
        let scratch = Scratch::new();
        let wanted = [directory("/srv/nfs/111", 0o2775)];
        assert!(converge(&scratch, &wanted).converged());
        assert_eq!(mode(&scratch, "/srv/nfs/111"), 0o2775);
        assert!(converge(&scratch, &wanted).changes.is_empty());
    }

    #[test]
    fn a_wrong_mode_is_put_right_and_the_content_stays() {
        let scratch = Scratch::new();
        scratch.write("/srv/page", "x");
        assert!(converge(&scratch, &[directory("/srv", 0o700)]).converged());
        assert_eq!(mode(&scratch, "/srv"), 0o700);
        assert_eq!(scratch.read("/srv/page").as_deref(), Some("x"));
    }

    #[test]
    fn an_empty_directory_of_ours_goes_when_no_role_wants_it() {
        let scratch = Scratch::new();
        assert!(
            converge(&scratch, &[directory("/a", 0o755), directory("/a/b", 0o755)]).converged()
        );
        assert!(converge(&scratch, &[]).converged());
        assert!(!scratch.real("/a").exists());
    }

    #[test]
    fn a_directory_in_use_stays_and_is_nobodys_business_afterwards() {
        let scratch = Scratch::new();
        assert!(converge(&scratch, &[directory("/a", 0o755)]).converged());
        scratch.write("/a/theirs", "x");
        assert!(converge(&scratch, &[]).converged());
        assert_eq!(scratch.read("/a/theirs").as_deref(), Some("x"));
        assert!(converge(&scratch, &[]).changes.is_empty());
    }

    #[test]
    fn a_directory_that_stood_before_us_is_not_removed() {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.real("/a")).expect("makes");
        assert!(converge(&scratch, &[directory("/a", 0o755)]).converged());
        assert!(converge(&scratch, &[]).converged());
        assert!(scratch.real("/a").exists());
    }

    #[test]
    fn a_file_in_the_way_is_told_and_not_removed() {
        let scratch = Scratch::new();
        scratch.write("/a", "x");
        let report = converge(&scratch, &[directory("/a", 0o755)]);
        assert!(matches!(report.changes[0].1, Outcome::Failed(_)), "{report:?}");
        assert_eq!(scratch.read("/a").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_mounted_on_a_directory_hides_its_mode() {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.real("/var")).expect("makes");
        scratch.write("/proc/self/mountinfo", "9 1 0:9 / /var rw - nfs4 nfs:/opt rw\n");
        assert!(converge(&scratch, &[directory("/var", 0o700)]).changes.is_empty());
    }

    #[test]
    fn a_directory_of_ours_that_is_out_of_sight_for_a_while_stays_ours() {
        let scratch = Scratch::new();
        assert!(converge(&scratch, &[directory("/a", 0o755)]).converged());
        scratch.write("/proc/self/mountinfo", "9 1 0:9 / /a rw - nfs4 nfs:/opt rw\n");
        assert!(converge(&scratch, &[]).changes.is_empty());
        scratch.write("/proc/self/mountinfo", "");
        assert_eq!(converge(&scratch, &[]).changes.len(), 1);
        assert!(!scratch.real("/a").exists());
    }

    #[test]
    fn what_a_link_leads_to_does_not_get_a_directorys_mode() {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.real("/theirs")).expect("makes");
        std::os::unix::fs::symlink("theirs", scratch.real("/a")).expect("links");
        let before = mode(&scratch, "/theirs");
        let report = converge(&scratch, &[directory("/a", 0o700)]);
        let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
        assert_eq!(error.to_string(), "cannot make the directory /a");
        let cause = std::error::Error::source(error).expect("a cause").to_string();
        assert_eq!(cause, "a symbolic link to theirs stands there");
        assert_eq!(mode(&scratch, "/theirs"), before);
    }
}
