//! The note that a converge leaves behind when it is only to be started again.
//!
//! A restart with an unchanged configuration must not move a VIP. So the converge that goes leaves
//! the VIPs in the kernel, has the peers wait, and writes here for which routers and until when;
//! the one that comes takes them up. A note that is too old, or from before a boot, is none.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::host::FileError;
use crate::host::files::Files;
use crate::vrrp::router::RESTART;

const NOTE: &str = "/run/converge/restart.json";

/// How long the next converge may take to come: as long as the other directors were asked to wait.
/// After that one of them is Active, and whoever resumed would take the VIPs away from it.
const PATIENCE: Duration = RESTART;

/// What the note says.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The routers that were Active.
    active: BTreeSet<String>,
    /// Nanoseconds of CLOCK_BOOTTIME until which it holds.
    until: u64,
}

/// Leaves the note.
pub fn leave(files: &Files, active: BTreeSet<String>, now: Moment) -> Result<(), FileError> {
    let until = (now + PATIENCE).since_start().as_nanos();
    let note = Note { active, until: u64::try_from(until).unwrap_or(u64::MAX) };
    let text = serde_json::to_string(&note).expect("names and a number");
    files.replace(NOTE, text.as_bytes(), Some(0o600), None)
}

/// The routers of a note that still holds; none if there is none.
pub fn read(files: &Files, now: Moment) -> Result<BTreeSet<String>, FileError> {
    let Some(text) = files.read_text(NOTE)? else {
        return Ok(BTreeSet::new());
    };
    Ok(match serde_json::from_str::<Note>(&text) {
        Ok(note) if holds(&note, now) => note.active,
        Ok(_) | Err(_) => BTreeSet::new(),
    })
}

/// Takes the note away, once what it says was done.
pub fn clear(files: &Files) -> Result<(), FileError> {
    files.remove(NOTE)
}

/// Neither over, nor so far ahead that it is from another boot.
fn holds(note: &Note, now: Moment) -> bool {
    let until = Moment::after_start(Duration::from_nanos(note.until));
    now < until && until.since(now) <= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;

    #[test]
    fn a_note_holds_for_as_long_as_peers_wait_and_not_over_a_boot() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let now = Moment::after_start(Duration::from_secs(100));
        let active = BTreeSet::from(["web".to_owned()]);
        leave(host.files(), active.clone(), now).expect("can be written");
        let read = |at| read(host.files(), at).expect("can be read");
        assert_eq!(read(now + Duration::from_secs(1)), active);
        assert!(read(now + PATIENCE).is_empty());
        assert!(read(Moment::after_start(Duration::from_secs(10))).is_empty(), "another boot");
        clear(host.files()).expect("can be removed");
        assert!(read(now).is_empty());
        scratch.write(NOTE, "{");
        assert!(read(now).is_empty(), "a torn note is none");
    }
}
