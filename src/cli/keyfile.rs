//! The directors' key as it lies on this host: whether it is one, and who can read it.
//!
//! A key that is none keeps the service from starting, and a reload from being taken, so that it is
//! told before. Nothing of the key is shown but a character that does not belong there. That there
//! is none at all is no mistake, unless the cluster file names it: directors can do without.

use std::path::Path;

use super::load::{self, Failure};
use crate::cluster::Cluster;
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::host::Host;
use crate::host::files::{Found, What};
use crate::vrrp::key::{Key, KeyError, KeyFault, fresh};

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// A longer file is no key that somebody mistyped, and its lines are of no use.
const MOST_SHOWN: usize = 512;

/// The file; `None` if there is none. What is no file is refused.
pub fn find(host: &Host, path: &Path) -> Result<Option<Found>, Failure> {
    match host.files().stat(path)?.map(|standing| standing.what) {
        None => Ok(None),
        Some(What::File) => Ok(host.files().read(path)?),
        Some(what) => {
            let what = if what == What::Directory { "a directory" } else { "no file" };
            let shown = path.display().to_string();
            Err(Failure::Key(format!("{shown} is {what}; {}", fresh(&shown))))
        }
    }
}

/// What is wrong with who can read it, and what would help.
pub fn seen_by_others(path: &Path, found: &Found) -> Option<(String, String)> {
    let shown = path.display();
    let seen = found.mode & OTHERS != 0;
    seen.then(|| (format!("{shown} can be read by others"), format!("`chmod 600 {shown}`")))
}

/// What is wrong with the key of a director. Nothing where only another user could tell.
pub fn wrong(host: &Host, cluster: &Cluster) -> Option<Diagnostic> {
    let path = &cluster.key_file.value;
    let shown = path.display().to_string();
    let found = match find(host, path) {
        Ok(Some(found)) => found,
        Ok(None) => return missing(cluster, &shown),
        Err(Failure::Host(error)) if error.is_permission() => return None,
        Err(failure) => return Some(Diagnostic::error(start(&shown), load::text(&failure))),
    };
    let text = String::from_utf8_lossy(&found.bytes);
    match Key::parse(&shown, &text) {
        Err(error) => Some(told(&error, &text)),
        Ok(_) => seen_by_others(path, &found)
            .map(|(title, help)| Diagnostic::warning(start(&shown), title).help(help)),
    }
}

fn missing(cluster: &Cluster, shown: &str) -> Option<Diagnostic> {
    let place = cluster.key_file.place.clone();
    let title = format!("there is no file {shown}, which `key-file` names");
    let named = !place.span.is_empty();
    named.then(|| Diagnostic::warning(place, title).label("on this host").help(fresh(shown)))
}

/// A place in a file of which nothing is shown.
fn start(shown: &str) -> Place {
    Place::new(&Source::new(shown, ""), 0..0)
}

fn told(error: &KeyError, text: &str) -> Diagnostic {
    let digits = text.trim_ascii();
    let begin = text.len() - text.trim_ascii_start().len();
    let span = match error.fault {
        KeyFault::NotHexadecimal { place, character } => {
            begin + place - 1..begin + place - 1 + character.len_utf8()
        }
        KeyFault::Empty => 0..0,
        KeyFault::Length { .. } => begin..begin + digits.len(),
    };
    let hidden: String = match text.len() <= MOST_SHOWN {
        true => text.bytes().map(hide).collect(),
        false => String::new(),
    };
    let place = Place::new(&Source::new(error.file.as_str(), hidden), span);
    Diagnostic::error(place, error.fault.to_string()).help(fresh(&error.file))
}

fn hide(byte: u8) -> char {
    if byte.is_ascii_whitespace() { byte.into() } else { '*' }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::host::scratch::Scratch;
    use crate::vrrp::key::KEY_BYTES;

    const NAMED: &str = "key-file = \"/etc/shop.key\"\n";

    fn said(scratch: &Scratch, line: &str) -> Option<Diagnostic> {
        let text = format!(
            "version = 1\nname = \"c\"\n{line}[host.one]\nrole = \"director-master\"\n\
             address = \"192.0.2.1/24\"\ninterface = \"eth0\"\n"
        );
        let (cluster, _) = Cluster::parse("cluster.toml", text).expect("a cluster");
        wrong(&scratch.host(), &cluster)
    }

    fn with(text: &str, mode: u32) -> (Scratch, Option<Diagnostic>) {
        let scratch = Scratch::new();
        scratch.write("/etc/shop.key", text);
        let path = scratch.real("/etc/shop.key");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        let said = said(&scratch, NAMED);
        (scratch, said)
    }

    fn shown(diagnostic: Diagnostic) -> String {
        let mut found = Diagnostics::default();
        found.push(diagnostic);
        found.render(false)
    }

    #[test]
    fn a_key_that_is_none_is_an_error_with_its_file_and_what_would_be_right() {
        let key = Key::text(&[7; KEY_BYTES]);
        let mut odd = key.clone();
        odd.replace_range(21..22, "g");
        let twice = format!("{key}\n{key}\n");
        for (text, title, place) in [
            ("", "the file is empty", "1:1"),
            (" \n", "the file is empty", "1:1"),
            (&key[..62], "a key has 64 hexadecimal digits, not 62", "1:1"),
            (&odd, "character 22 of the key is 'g', which is no hexadecimal digit", "1:22"),
            (&twice, "character 65 of the key is '\\n'", "1:65"),
            (&key.repeat(20), "not 1280", "1:1"),
        ] {
            let told = with(text, 0o600).1.map(shown).expect(title);
            assert!(told.starts_with(&format!("error: {title}")) || told.contains(title), "{told}");
            assert!(told.contains(&format!("--> /etc/shop.key:{place}")), "{told}");
            assert!(told.contains("= help: `umask 077; converge key > /etc/shop.key`"), "{told}");
            assert!(!told.contains("0707"), "{told}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_warned_of_with_the_line_that_mends_it() {
        let key = Key::text(&[7; KEY_BYTES]);
        for mode in [0o600, 0o400] {
            assert_eq!(with(&key, mode).1, None);
        }
        for mode in [0o640, 0o604] {
            let told = with(&key, mode).1.map(shown).expect("a warning");
            assert!(told.starts_with("warning: /etc/shop.key can be read by others"), "{told}");
            assert!(told.contains("`chmod 600 /etc/shop.key`"), "{told}");
        }
    }

    #[test]
    fn a_key_that_is_not_there_is_missed_only_where_it_is_named() {
        let scratch = Scratch::new();
        assert_eq!(said(&scratch, ""), None);
        let told = said(&scratch, NAMED).map(shown).expect("a warning");
        assert!(told.starts_with("warning: there is no file /etc/shop.key"), "{told}");
        assert!(told.contains("--> cluster.toml:3:12"), "{told}");
        scratch.write("/etc/shop.key/file", "");
        let told = said(&scratch, NAMED).map(shown).expect("an error");
        assert!(told.starts_with("error: /etc/shop.key is a directory"), "{told}");
    }
}
