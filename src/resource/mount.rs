//! A file system that is mounted, by a systemd mount unit of ours.
//!
//! The unit's file is in `/run/systemd/system`, so that a reboot leaves nothing behind, and systemd
//! mounts: mount(2) would stay inside our own mount namespace when the service is sandboxed. Its
//! mark tells our files from others. Whether it is mounted is read from the kernel's table, so a
//! `umount` by hand is drift, and so is a mount whose directory the NFS server has made anew
//! (ESTALE).
//!
//! Something else at the mount point that is of the same source and type is as good, and not ours;
//! anything else there is an error, and is never unmounted. Neither is what is busy: the unmount
//! fails, and says so. There is no lazy unmount.

mod unit_file;

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::mounts::{self, Mounted};
use crate::host::units::{Active, Load, Verb};
use crate::host::{CommandError, FileError, Host, HostError, command};
use unit_file::Declared;

const UNITS: &str = "/run/systemd/system";

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where; absolute path.
    pub mount_point: PathBuf,
    /// What: a device or `host:/path`.
    pub what: String,
    /// The file system type, `nfs4` for example.
    pub fs_type: String,
    /// Mount options, comma separated, as mount(8) takes them.
    pub options: String,
    /// Whether it is mounted now.
    pub mounted: bool,
}

/// Why something cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Something else is there.
    #[error("{source_name} ({fs_type}) is mounted on {} already", mount_point.display())]
    Taken {
        /// Where.
        mount_point: PathBuf,
        /// What is there.
        source_name: String,
        /// Its type.
        fs_type: String,
    },
    /// systemd says that it is mounted, the kernel that it is not.
    #[error("{} was started, but is not mounted", unit)]
    NotThere {
        /// The mount unit.
        unit: String,
    },
    /// A unit file cannot say it.
    #[error("`{value}` cannot be written into a unit file")]
    Unwritable {
        /// The value.
        value: String,
    },
}

impl MountError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            MountError::Taken { mount_point, .. } => {
                Some(format!("umount {} if it is not needed", mount_point.display()))
            }
            MountError::NotThere { unit } => Some(format!(
                "`systemctl cat {unit}` shows which file systemd took; one in /etc goes first"
            )),
            MountError::Unwritable { .. } => None,
        }
    }
}

impl ResourceKind for Mount {
    const KIND: Kind = Kind::Mount;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        self.mount_point.display().to_string()
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let mut declared = declared(host)?;
        if scope.wanted.is_empty() && declared.is_empty() {
            return Ok(Vec::new());
        }
        let table = mounts::table(host.files())?;
        let mut found = Vec::new();
        for wanted in scope.wanted {
            let top = top(&table, &wanted.mount_point);
            match declared.remove(&wanted.mount_point) {
                Some(ours) => {
                    let mut standing = standing(host, &ours, Some(wanted), top);
                    // The server's directory was made anew: what is mounted leads nowhere.
                    standing.mounted &= !mounts::is_stale(host.files(), &wanted.mount_point).await;
                    found.push(standing);
                }
                None if top.is_some_and(|m| is(host, m, &wanted.what, &wanted.fs_type)) => {
                    found.push(Mount { mounted: true, ..(*wanted).clone() });
                }
                None => {}
            }
        }
        for (mount_point, ours) in declared {
            found.push(standing(host, &ours, None, top(&table, &mount_point)));
        }
        Ok(found)
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(ensure_one(host, change.after).await);
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for mount in gone {
            results.push(remove_one(host, mount).await);
        }
        results
    }
}

/// The mounts that unit files of ours declare, by mount point.
fn declared(host: &Host) -> Result<BTreeMap<PathBuf, Declared>, FileError> {
    let mut all = BTreeMap::new();
    for name in host.files().list(UNITS)?.iter().filter(|n| n.ends_with(".mount")) {
        let text = host.files().read_text(Path::new(UNITS).join(name))?;
        if let Some(declared) = text.as_deref().and_then(unit_file::parse) {
            all.insert(declared.mount_point.clone(), declared);
        }
    }
    Ok(all)
}

/// What is visible at a mount point: the last one that was mounted there.
fn top<'a>(table: &'a [Mounted], mount_point: &Path) -> Option<&'a Mounted> {
    table.iter().rfind(|m| m.mount_point == mount_point)
}

/// A mount of ours; the options in the wanted one's words where they mean the same.
fn standing(host: &Host, ours: &Declared, wanted: Option<&Mount>, top: Option<&Mounted>) -> Mount {
    let as_wanted = wanted.filter(|w| unit_file::options(w) == ours.options);
    Mount {
        mount_point: ours.mount_point.clone(),
        what: ours.what.clone(),
        fs_type: ours.fs_type.clone(),
        options: as_wanted.map_or_else(|| ours.options.clone(), |w| w.options.clone()),
        mounted: top.is_some_and(|m| is(host, m, &ours.what, &ours.fs_type)),
    }
}

/// Whether what is mounted is this source and type.
fn is(host: &Host, mounted: &Mounted, what: &str, fs_type: &str) -> bool {
    if matches!(fs_type, "none" | "bind" | "") {
        // A bind mount shows the file system that the directory is on, and where it is in that.
        return Path::new(what).ends_with(mounted.root.strip_prefix("/").unwrap_or(Path::new("")));
    }
    let family = |t: &str| {
        if t == "nfs4" { "nfs".to_owned() } else { t.to_owned() }
    };
    let same_type = fs_type == "auto" || family(&mounted.fs_type) == family(fs_type);
    same_type && device(host, &mounted.source) == device(host, what)
}

/// One name for a source that has several: `UUID=…`, links below `/dev`, a slash at the end.
fn device(host: &Host, source: &str) -> String {
    let path = match source.split_once('=') {
        Some(("UUID", id)) => format!("/dev/disk/by-uuid/{id}"),
        Some(("LABEL", id)) => format!("/dev/disk/by-label/{id}"),
        Some(("PARTUUID", id)) => format!("/dev/disk/by-partuuid/{id}"),
        Some(("PARTLABEL", id)) => format!("/dev/disk/by-partlabel/{id}"),
        Some(_) | None => source.to_owned(),
    };
    if path.starts_with("/dev/") {
        let real = std::fs::canonicalize(host.files().real(&path));
        return real.map_or(path, |p| p.display().to_string());
    }
    match path.strip_suffix('/') {
        Some(short) if !short.is_empty() && !short.ends_with(':') => short.to_owned(),
        Some(_) | None => path,
    }
}

async fn ensure_one(host: &Host, wanted: &Mount) -> Result<(), HostError> {
    unit_file::writable(wanted)?;
    mount_program(&wanted.fs_type)?;
    let unit = unit_file::name(&wanted.mount_point);
    let path = Path::new(UNITS).join(&unit);
    let text = unit_file::render(wanted);
    let ours = declared(host)?.remove(&wanted.mount_point);
    let table = mounts::table(host.files())?;
    if let Some(mounted) = top(&table, &wanted.mount_point) {
        if !ours.as_ref().is_some_and(|o| is(host, mounted, &o.what, &o.fs_type)) {
            return Err(taken(mounted).into());
        }
        host.units().run(Verb::Stop, &unit).await?;
    }
    if host.files().read_text(&path)?.as_deref() != Some(&text) {
        host.files().replace(&path, text.as_bytes(), Some(0o644), None)?;
    }
    let seen = host.units().look(&[&unit]).await?;
    if seen.iter().any(|s| s.stale || s.load == Load::NotFound) {
        host.units().reload().await?;
    }
    forgive(host, &unit).await?;
    host.units().run(Verb::Start, &unit).await?;
    let table = mounts::table(host.files())?;
    match top(&table, &wanted.mount_point) {
        Some(m) if is(host, m, &wanted.what, &wanted.fs_type) => Ok(()),
        Some(other) => Err(taken(other).into()),
        None => Err(MountError::NotThere { unit }.into()),
    }
}

/// mount(8) runs a program of the file system's own for these.
fn mount_program(fs_type: &str) -> Result<(), CommandError> {
    if matches!(fs_type, "nfs" | "nfs4") && command::find("mount.nfs").is_none() {
        return Err(CommandError::Missing { program: "mount.nfs".into() });
    }
    Ok(())
}

fn taken(mounted: &Mounted) -> MountError {
    MountError::Taken {
        mount_point: mounted.mount_point.clone(),
        source_name: mounted.source.clone(),
        fs_type: mounted.fs_type.clone(),
    }
}

/// Has systemd forget that a unit failed; one that failed too often would not be started.
async fn forgive(host: &Host, unit: &str) -> Result<(), HostError> {
    let seen = host.units().look(&[unit]).await?;
    if seen.iter().any(|s| s.active == Active::Failed) {
        host.units().reset_failed(unit).await?;
    }
    Ok(())
}

async fn remove_one(host: &Host, mount: &Mount) -> Result<(), HostError> {
    let unit = unit_file::name(&mount.mount_point);
    if mount.mounted {
        host.units().run(Verb::Stop, &unit).await?;
    }
    host.files().remove(Path::new(UNITS).join(&unit))?;
    // Without its file, and not mounted, systemd forgets the unit by itself, unless it failed.
    forgive(host, &unit).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;
    use crate::reconcile::{Outcome, look, reconcile};
    use crate::resource::Desired;
    use crate::resource::Kinds;

    fn pages() -> Mount {
        Mount {
            mount_point: "/var/www/html".into(),
            what: "nfs:/opt/111".into(),
            fs_type: "nfs4".into(),
            options: "ro".into(),
            mounted: true,
        }
    }

    fn desired(mount: Mount) -> Desired {
        let mut desired = Desired::default();
        desired.state.insert(mount.into());
        desired
    }

    fn mounted(scratch: &Scratch, source: &str, fs_type: &str) {
        let line = format!("9 1 0:9 / /var/www/html rw shared:9 - {fs_type} {source} rw\n");
        scratch.write("/proc/self/mountinfo", &line);
    }

    fn declare(scratch: &Scratch, mount: &Mount) {
        scratch.write("/run/systemd/system/var-www-html.mount", &unit_file::render(mount));
    }

    #[tokio::main(flavor = "current_thread")]
    async fn observed(scratch: &Scratch, wanted: Mount) -> Option<Mount> {
        let (_, seen) = look(&scratch.host(), &desired(wanted)).await.expect("can be looked at");
        assert!(seen.unknown.is_empty(), "{:?}", seen.unknown);
        seen.state.iter().find_map(|(_, r)| match r {
            crate::resource::Resource::Mount(m) => Some(m.clone()),
            _ => None,
        })
    }

    #[test]
    fn a_mount_of_ours_that_stands_is_as_wanted() {
        let scratch = Scratch::new();
        declare(&scratch, &pages());
        mounted(&scratch, "nfs:/opt/111/", "nfs4");
        assert_eq!(observed(&scratch, pages()), Some(pages()));
    }

    #[test]
    fn an_unmount_by_hand_is_drift() {
        let scratch = Scratch::new();
        declare(&scratch, &pages());
        let found = observed(&scratch, pages());
        assert_eq!(found, Some(Mount { mounted: false, ..pages() }));
    }

    #[test]
    fn other_options_or_another_source_differ() {
        let scratch = Scratch::new();
        mounted(&scratch, "nfs:/opt/111", "nfs4");
        let others = [
            Mount { options: "ro,soft".into(), ..pages() },
            Mount { what: "nfs:/opt/222".into(), ..pages() },
        ];
        for other in others {
            declare(&scratch, &other);
            assert_ne!(observed(&scratch, pages()), Some(pages()));
        }
    }

    #[test]
    fn a_foreign_mount_of_the_same_source_satisfies_and_is_not_ours() {
        let scratch = Scratch::new();
        mounted(&scratch, "nfs:/opt/111", "nfs4");
        assert_eq!(observed(&scratch, pages()), Some(pages()));
        let elsewhere = Mount { mount_point: "/elsewhere".into(), ..pages() };
        assert_eq!(observed(&scratch, elsewhere), None);
    }

    #[tokio::test]
    async fn a_foreign_mount_of_another_source_is_an_error_and_stays() {
        if command::find("mount.nfs").is_none() {
            return;
        }
        let scratch = Scratch::new();
        mounted(&scratch, "/dev/sdb1", "ext4");
        let report = reconcile(&scratch.host(), &desired(pages()), Kinds::All, |_, _| {}).await;
        let report = report.expect("can be looked at");
        let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
        assert_eq!(error.to_string(), "/dev/sdb1 (ext4) is mounted on /var/www/html already");
    }

    #[test]
    fn a_unit_file_without_our_mark_is_nobodys_business() {
        let scratch = Scratch::new();
        let text = unit_file::render(&pages()).replace("X-Converge", "X-Other");
        scratch.write("/run/systemd/system/var-www-html.mount", &text);
        assert_eq!(observed(&scratch, pages()), None);
    }
}
