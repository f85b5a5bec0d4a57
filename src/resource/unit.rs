//! A systemd unit that runs with the configuration that stands on disk.
//!
//! What a running unit has loaded cannot be asked of it. So after each start and reload we note, in
//! `/run/converge/units`, the digest of the files it reads and which run of the unit, in which
//! state since when, that was. The note holds as long as systemd tells the same: anybody's restart
//! or reload ends it, and so does a reboot. Without a note that holds the unit is reloaded once.
//!
//! A unit that neither ran nor was enabled before we started it is ours: it is stopped and disabled
//! when no role wants it. One that was there before us is left running.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::units::{Active, Boot, Load, Seen, Verb};
use crate::host::{FileError, Host, HostError, UnitError, command};

const NOTES: &str = "/run/converge/units";
/// How long a stop that somebody asked for is let end: a start would cancel it, and they would be
/// told that it failed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a unit that is being stopped.
const LOOK: Duration = Duration::from_millis(50);

/// A systemd unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Full name with its suffix, `nginx.service`.
    pub unit: String,
    /// Whether it runs.
    pub active: bool,
    /// Whether it starts at boot; `None` leaves that alone.
    pub enabled: Option<bool>,
    /// The files whose content it has to have loaded.
    pub reads: Vec<PathBuf>,
    /// [`digest`] of the files in `reads` that the running unit has loaded; `None` if nothing is
    /// read or if it cannot be told.
    pub loaded: Option<String>,
    /// A command that must succeed before any start or reload.
    pub check: Option<Vec<String>>,
}

/// SHA-256 in hexadecimal over files and their contents; the order does not matter.
pub fn digest<P: AsRef<Path>, C: AsRef<[u8]>>(files: &[(P, C)]) -> String {
    let mut sorted: Vec<(&Path, &[u8])> =
        files.iter().map(|(path, content)| (path.as_ref(), content.as_ref())).collect();
    sorted.sort();
    let mut context = Context::new(&SHA256);
    for (path, content) in sorted {
        // The lengths keep one file's end apart from the next one's begin.
        let path = path.as_os_str().as_encoded_bytes();
        for part in [path, content] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    context.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// What a unit had loaded, and when that was.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    digest: String,
    invocation: String,
    changed: u64,
}

impl ResourceKind for Unit {
    const KIND: Kind = Kind::Unit;
    const MEMORY: Memory = Memory::OnDisk;

    fn name(&self) -> String {
        self.unit.clone()
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let wanted: BTreeSet<&str> = scope.wanted.iter().map(|w| w.unit.as_str()).collect();
        let others: Vec<&str> =
            scope.ours.iter().filter(|name| !wanted.contains(**name)).copied().collect();
        let mut names: Vec<&str> = scope.wanted.iter().map(|w| w.unit.as_str()).collect();
        names.extend(&others);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let seen = host.units().look(&names).await?;
        let mut found = Vec::new();
        for (wanted, seen) in scope.wanted.iter().zip(&seen) {
            found.extend(standing(host, wanted, seen)?);
        }
        let others = others.iter().zip(&seen[scope.wanted.len()..]);
        found.extend(others.filter_map(|(name, seen)| unwanted(name, seen)));
        Ok(found)
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut enabled = Vec::new();
        for change in changes {
            enabled.push(enable_one(host, change.after).await);
        }
        let mut reloaded = Ok(());
        if enabled.iter().any(|outcome| matches!(outcome, Ok(true))) {
            reloaded = host.units().reload().await;
        }
        let mut results = Vec::new();
        for (change, outcome) in changes.iter().zip(enabled) {
            // The first unit tells why all of this failed; the others are brought up regardless.
            let reloaded = std::mem::replace(&mut reloaded, Ok(()));
            results.push(match (outcome, reloaded) {
                (Err(error), _) => Err(error),
                (Ok(_), Err(error)) => Err(error.into()),
                (Ok(_), Ok(())) => ensure_one(host, change.after).await,
            });
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for unit in gone {
            results.push(remove_one(host, &unit.unit).await);
        }
        results
    }

    /// Forgets what each had loaded, so that a run that is cut short between writing a file and
    /// the reload still reloads the next time, whatever the file says then.
    async fn prepare(host: &Host, changes: &[Ensure<'_, Self>]) -> Result<(), HostError> {
        for change in changes {
            host.files().remove(note_path(&change.after.unit))?;
        }
        Ok(())
    }
}

/// The unit that stands where one is wanted. A unit that neither runs nor is enabled is "not there"
/// when it should run, so that it is ours once it does.
fn standing(host: &Host, wanted: &Unit, seen: &Seen) -> Result<Option<Unit>, HostError> {
    let active = seen.active == Active::Yes;
    if seen.load == Load::NotFound && !wanted.active {
        return Ok(Some(wanted.clone()));
    }
    // What cannot be started is not "absent": it would be entered as ours without being made.
    let makeable = matches!(seen.load, Load::Loaded | Load::NotFound);
    if wanted.active && !active && makeable && seen.boot != Boot::Enabled {
        return Ok(None);
    }
    let enabled = wanted.enabled.map(|wish| match seen.boot {
        Boot::Enabled => true,
        Boot::Disabled => false,
        Boot::Fixed => wish,
    });
    let loaded = match wanted.loaded {
        Some(_) if active => loaded(host, wanted, seen)?,
        Some(_) | None => None,
    };
    Ok(Some(Unit { active, enabled, loaded, ..wanted.clone() }))
}

/// What the unit has loaded, if the note about it holds and the files are still the same.
fn loaded(host: &Host, wanted: &Unit, seen: &Seen) -> Result<Option<String>, FileError> {
    let Some(text) = host.files().read_text(note_path(&wanted.unit))? else {
        return Ok(None);
    };
    let Ok(note) = serde_json::from_str::<Note>(&text) else {
        return Ok(None);
    };
    if note.invocation != seen.invocation || note.changed != seen.changed {
        return Ok(None);
    }
    let on_disk = on_disk(host, &wanted.reads)?;
    Ok(on_disk.filter(|digest| *digest == note.digest))
}

/// Digest of what the files hold now; `None` if one is missing.
fn on_disk(host: &Host, reads: &[PathBuf]) -> Result<Option<String>, FileError> {
    let mut files = Vec::new();
    for path in reads {
        let Some(found) = host.files().read(path)? else {
            return Ok(None);
        };
        files.push((path, found.bytes));
    }
    Ok(Some(digest(&files)))
}

fn note_path(unit: &str) -> PathBuf {
    Path::new(NOTES).join(format!("{unit}.json"))
}

/// A unit of ours that no role wants, unless it is down and stays down.
fn unwanted(name: &str, seen: &Seen) -> Option<Unit> {
    let active = matches!(seen.active, Active::Yes | Active::Starting | Active::Stopping);
    let enabled = seen.boot == Boot::Enabled;
    (active || enabled).then(|| Unit {
        unit: name.into(),
        active,
        enabled: Some(enabled),
        reads: Vec::new(),
        loaded: None,
        check: None,
    })
}

/// Has it start at boot, or not, as wanted. Says whether systemd has to read its files again.
async fn enable_one(host: &Host, wanted: &Unit) -> Result<bool, HostError> {
    let units = host.units();
    let name = wanted.unit.as_str();
    let mut seen = look_one(host, name).await?;
    if seen.stale {
        units.reload().await?;
        seen = look_one(host, name).await?;
    }
    loadable(wanted, &seen)?;
    let wish = wanted.enabled.filter(|wish| match seen.boot {
        Boot::Enabled => !wish,
        Boot::Disabled => *wish,
        Boot::Fixed => false,
    });
    if let Some(wish) = wish {
        units.enable(name, wish).await?;
    }
    Ok(wish.is_some())
}

async fn ensure_one(host: &Host, wanted: &Unit) -> Result<(), HostError> {
    let units = host.units();
    let name = wanted.unit.as_str();
    let seen = look_one(host, name).await?;
    if !wanted.active {
        if seen.active != Active::No {
            units.run(Verb::Stop, name).await?;
        }
        return Ok(());
    }
    let seen = stopped(host, name, seen).await?;
    let stands = match wanted.loaded {
        Some(_) => {
            loaded(host, wanted, &seen)?.is_some() && wanted.loaded == on_disk(host, &wanted.reads)?
        }
        None => true,
    };
    if seen.active == Active::Yes && stands {
        return Ok(());
    }
    if let Some(check) = &wanted.check {
        let argv: Vec<&str> = check.iter().map(String::as_str).collect();
        command::run(&argv).await?;
    }
    start_or_reload(host, wanted, &seen).await
}

/// Waits until a stop that is under way has ended, but not for ever; how the unit is then.
async fn stopped(host: &Host, name: &str, mut seen: Seen) -> Result<Seen, HostError> {
    let end = Instant::now() + STOP_LIMIT;
    while seen.active == Active::Stopping && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
        seen = look_one(host, name).await?;
    }
    Ok(seen)
}

async fn look_one(host: &Host, name: &str) -> Result<Seen, HostError> {
    let mut seen = host.units().look(&[name]).await?;
    Ok(seen.pop().expect("one answer for one name"))
}

fn loadable(wanted: &Unit, seen: &Seen) -> Result<(), UnitError> {
    let unit = wanted.unit.clone();
    match &seen.load {
        Load::Loaded => Ok(()),
        Load::Masked if !wanted.active => Ok(()),
        Load::NotFound => Err(UnitError::NoSuchUnit { unit }),
        Load::Masked => Err(UnitError::Masked { unit }),
        Load::Bad(state) => Err(UnitError::Bad { unit, state: state.clone() }),
    }
}

/// Brings the unit to what its files say, and notes that. The files are read before the job: if one
/// changes meanwhile, the note is about the older content, and the next look sees the difference.
async fn start_or_reload(host: &Host, wanted: &Unit, seen: &Seen) -> Result<(), HostError> {
    let name = wanted.unit.as_str();
    let digest = on_disk(host, &wanted.reads)?;
    let verb = match seen.active {
        Active::Yes => Verb::ReloadOrRestart,
        Active::No | Active::Failed | Active::Starting | Active::Stopping => Verb::Start,
    };
    if seen.active == Active::Failed {
        host.units().reset_failed(name).await?;
    }
    host.units().run(verb, name).await?;
    let Some(digest) = digest.filter(|_| wanted.loaded.is_some()) else {
        return Ok(());
    };
    let Seen { invocation, changed, .. } = look_one(host, name).await?;
    let note = Note { digest, invocation, changed };
    let text = serde_json::to_string(&note).expect("strings and numbers always serialise");
    Ok(host.files().replace(note_path(name), text.as_bytes(), Some(0o600), None)?)
}

async fn remove_one(host: &Host, name: &str) -> Result<(), HostError> {
    let units = host.units();
    let seen = look_one(host, name).await?;
    if !matches!(seen.active, Active::No | Active::Failed) {
        units.run(Verb::Stop, name).await?;
    }
    if seen.boot == Boot::Enabled {
        units.enable(name, false).await?;
        units.reload().await?;
    }
    Ok(host.files().remove(note_path(name))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;
    use proptest::prelude::*;

    fn seen() -> Seen {
        Seen {
            load: Load::Loaded,
            active: Active::Yes,
            boot: Boot::Enabled,
            stale: false,
            invocation: "0a".into(),
            changed: 7,
        }
    }

    /// A unit that reads one file, and a host where the note about it holds.
    fn noted() -> (Scratch, Unit) {
        let scratch = Scratch::new();
        scratch.write("/etc/a.conf", "a");
        let reads = vec![PathBuf::from("/etc/a.conf")];
        let loaded = Some(digest(&[("/etc/a.conf", "a")]));
        let note = Note {
            digest: loaded.clone().unwrap_or_default(),
            invocation: "0a".into(),
            changed: 7,
        };
        let text = serde_json::to_string(&note).expect("serialises");
        scratch.write("/run/converge/units/a.service.json", &text);
        let unit = "a.service".into();
        (scratch, Unit { unit, active: true, enabled: None, reads, loaded, check: None })
    }

    fn observed(scratch: &Scratch, wanted: &Unit, seen: &Seen) -> Option<Unit> {
        standing(&scratch.host(), wanted, seen).expect("can be looked at")
    }

    #[test]
    fn a_note_that_fits_says_what_is_loaded() {
        let (scratch, unit) = noted();
        assert_eq!(observed(&scratch, &unit, &seen()), Some(unit));
    }

    #[test]
    fn a_reload_or_restart_by_anybody_ends_the_note() {
        let (scratch, unit) = noted();
        for seen in [Seen { changed: 8, ..seen() }, Seen { invocation: "0b".into(), ..seen() }] {
            let found = observed(&scratch, &unit, &seen).expect("runs");
            assert_eq!(found.loaded, None);
        }
    }

    #[test]
    fn a_file_that_changed_since_is_not_loaded() {
        let (scratch, unit) = noted();
        scratch.write("/etc/a.conf", "b");
        assert_eq!(observed(&scratch, &unit, &seen()).expect("runs").loaded, None);
    }

    #[test]
    fn a_torn_note_counts_as_none() {
        let (scratch, unit) = noted();
        scratch.write("/run/converge/units/a.service.json", "{\"dig");
        assert_eq!(observed(&scratch, &unit, &seen()).expect("runs").loaded, None);
    }

    #[test]
    fn only_a_unit_that_neither_ran_nor_was_enabled_becomes_ours() {
        let (scratch, unit) = noted();
        let down = Seen { active: Active::Failed, ..seen() };
        assert!(!observed(&scratch, &unit, &down).expect("enabled by somebody").active);
        let off = Seen { boot: Boot::Disabled, ..down };
        assert_eq!(observed(&scratch, &unit, &off), None);
    }

    #[test]
    fn a_unit_that_is_to_be_down_and_does_not_exist_is_right() {
        let (scratch, unit) = noted();
        let wanted = Unit { active: false, enabled: Some(false), loaded: None, ..unit };
        let none = Seen { load: Load::NotFound, active: Active::No, ..seen() };
        assert_eq!(observed(&scratch, &wanted, &none), Some(wanted));
    }

    proptest! {
        #[test]
        fn the_digest_tells_names_from_contents(a in "[a-z/]{0,6}", b in "[a-z/]{0,6}") {
            let one = digest(&[(a.as_str(), b.as_str())]);
            prop_assert_eq!(one == digest(&[(b.as_str(), a.as_str())]), a == b);
            let longer = digest(&[(format!("{a}x"), b.clone())]);
            prop_assert_ne!(longer, digest(&[(a.clone(), format!("x{b}"))]));
            let (first, second) = ((a.clone(), "1"), (format!("{a}/"), "2"));
            let forth = [first.clone(), second.clone()];
            prop_assert_eq!(digest(&forth), digest(&[second, first]));
        }
    }
}
