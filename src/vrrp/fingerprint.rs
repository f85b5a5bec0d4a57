//! What two directors compare to know that their files say the same.
//!
//! Every value of the cluster file and of the role files has a digest under its key's path, every
//! template one of its text: `host.web1.address`, `role director-master: vars.priority`, `template
//! proxy.conf`. Comments, whitespace, the order of keys and the way in which a number is written
//! make no difference. Digests are keyed with the cluster's key, because they are sent: a bare
//! hash of a short password would give it away to whoever listens.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeInteger, DeTable, DeValue};

use super::key::Key;

/// Bytes of a value's digest: enough that two values never have the same one by chance.
pub const DIGEST_BYTES: usize = 8;
/// The longest key path; the rest of a longer one is in its digest only.
pub const MAX_PATH: usize = 255;
/// How many paths of each sort a message names before it only counts.
const NAMED: usize = 5;

/// The digest of a value.
pub type Digest = [u8; DIGEST_BYTES];

/// Stands for all the files of a director: equal if, and only if, they say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// The digests of a director's files by key path.
#[derive(Clone, Debug)]
pub struct Digests {
    key: Key,
    leaves: BTreeMap<String, Digest>,
}

impl Digests {
    /// Of no files yet.
    pub fn new(key: &Key) -> Digests {
        Digests { key: key.clone(), leaves: BTreeMap::new() }
    }

    /// Adds the cluster file.
    pub fn add_cluster(&mut self, text: &str) {
        self.add_toml("", text);
        // Ten thousand hosts have as many keys: a map that is built at once takes half the room.
        self.leaves = std::mem::take(&mut self.leaves).into_iter().collect();
    }

    /// Adds a role file.
    pub fn add_role(&mut self, name: &str, text: &str) {
        self.add_toml(&format!("role {name}: "), text);
    }

    /// Adds a template, as a whole.
    pub fn add_template(&mut self, name: &str, text: &str) {
        self.add(format!("template {name}"), text);
    }

    /// The digests by key path.
    pub fn leaves(&self) -> &BTreeMap<String, Digest> {
        &self.leaves
    }

    /// One value for all.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut text = Vec::new();
        for (path, digest) in &self.leaves {
            text.extend_from_slice(&(path.len() as u64).to_be_bytes());
            text.extend_from_slice(path.as_bytes());
            text.extend_from_slice(digest);
        }
        Fingerprint(self.key.sign("converge fingerprint", &[&text]))
    }

    /// In what ours differ from `theirs`. If those are not `complete`, nothing is said of the paths
    /// behind their last one.
    pub fn compare(&self, theirs: &BTreeMap<String, Digest>, complete: bool) -> Mismatch {
        let last = theirs.last_key_value().map(|(path, _)| path);
        let known = |path: &String| complete || last.is_some_and(|last| path <= last);
        let mut mismatch = Mismatch { complete, ..Mismatch::default() };
        for (path, digest) in self.leaves.iter().filter(|(path, _)| known(path)) {
            match theirs.get(path) {
                Some(their) if their == digest => {}
                Some(_) => mismatch.differing.push(path.clone()),
                None => mismatch.only_here.push(path.clone()),
            }
        }
        let foreign = theirs.keys().filter(|path| !self.leaves.contains_key(*path));
        mismatch.only_there.extend(foreign.cloned());
        mismatch
    }

    fn add_toml(&mut self, before: &str, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        self.add_table(before, table.get_ref());
        // Such a file is never loaded; should it be asked for, it is like no other.
        if !errors.is_empty() {
            self.add(format!("{before}(not TOML)"), text);
        }
    }

    /// `before` ends where the name of a key may stand.
    fn add_table(&mut self, before: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = format!("{before}{}", key_text(key.get_ref()));
            self.add_value(path, value.get_ref());
        }
    }

    fn add_value(&mut self, path: String, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) if !table.is_empty() => {
                self.add_table(&format!("{path}."), table);
            }
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                // Tables of one kind have no names; people count them from 1.
                for (number, item) in (1..).zip(items.iter()) {
                    self.add_value(format!("{path}[{number}]"), item.get_ref());
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.add(path, &canonical(value)),
        }
    }

    fn add(&mut self, mut path: String, value: &str) {
        let parts = [path.as_bytes(), value.as_bytes()];
        let signed = self.key.sign("converge digest", &parts);
        if path.len() > MAX_PATH {
            // Still one path for one key: its own digest takes the place of what is cut off.
            let rest = self.key.sign("converge path", &[path.as_bytes()]);
            let rest: String = rest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            path.truncate(path.floor_char_boundary(MAX_PATH - rest.len() - 3));
            path = format!("{path}…{rest}");
        }
        let digest = *signed.first_chunk().expect("32 bytes begin with 8");
        self.leaves.insert(path, digest);
    }
}

/// A key as TOML writes it: quoted if it would otherwise read as several.
fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !key.is_empty() && key.chars().all(bare) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    }
}

/// A value in the one way in which it is written here.
fn canonical(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => whole(number),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) => format!("{number:?}"),
            Err(_) => format!("float {}", number.as_str()),
        },
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => format!("time {time}"),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| canonical(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let mut entries = Vec::new();
            for (key, value) in table {
                entries.push(format!(
                    "{} = {}",
                    key_text(key.get_ref()),
                    canonical(value.get_ref())
                ));
            }
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn whole(number: &DeInteger<'_>) -> String {
    match i128::from_str_radix(number.as_str(), number.radix()) {
        Ok(value) => value.to_string(),
        Err(_) => number.to_string(),
    }
}

/// In what the files of two directors differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Keys that have another value there.
    pub differing: Vec<String>,
    /// Keys that only this host's files have.
    pub only_here: Vec<String>,
    /// Keys that only the other's have.
    pub only_there: Vec<String>,
    /// Whether all keys could be compared.
    pub complete: bool,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorts = [
            ("different values of", &self.differing),
            ("only here", &self.only_here),
            ("only there", &self.only_there),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (what, paths) in sorts.into_iter().filter(|(_, paths)| !paths.is_empty()) {
            let named = paths[..paths.len().min(NAMED)].join(", ");
            parts.push(match paths.len().saturating_sub(NAMED) {
                0 => format!("{what} {named}"),
                more => format!("{what} {named} and {more} more"),
            });
        }
        match (parts.is_empty(), self.complete) {
            (true, _) => f.write_str("the files differ, in keys beyond those compared"),
            (false, true) => f.write_str(&parts.join("; ")),
            (false, false) => write!(f, "{}; not all keys were compared", parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_cluster(text: &str) -> Digests {
        let mut digests = Digests::new(&Key::new(&[1; 32]));
        digests.add_cluster(text);
        digests
    }

    #[test]
    fn comments_order_whitespace_and_the_way_of_writing_make_no_difference() {
        let one = "a = 80 # eighty\nb = \"x\"\nc = [1, 2]\n[host.web1]\naddress = \"192.0.2.1\"\n";
        let other = "host = { web1 = { address = '192.0.2.1' } }\n\nc=[ 0x1,\n 2, ]\n\
            b = \"\\u0078\"\na = 8_0\n";
        assert_eq!(of_cluster(one).leaves(), of_cluster(other).leaves());
        assert_eq!(of_cluster(one).fingerprint(), of_cluster(other).fingerprint());
    }

    #[test]
    fn every_value_counts_and_so_does_its_kind() {
        let base = "a = 80\nb = [1, 2]\nc = true\nd = 1.5\n[e]\n";
        let before = of_cluster(base);
        for (from, to) in [
            ("80", "81"),
            ("80", "\"80\""),
            ("[1, 2]", "[2, 1]"),
            ("[1, 2]", "[\"1, 2\"]"),
            ("true", "\"true\""),
            ("1.5", "1.25"),
        ] {
            let after = of_cluster(&base.replace(from, to));
            assert_ne!(before.fingerprint(), after.fingerprint(), "{from} → {to}");
            let mismatch = before.compare(after.leaves(), true);
            assert_eq!(mismatch.differing.len(), 1, "{from} → {to}: {mismatch}");
        }
        let without = of_cluster(&base.replace("[e]\n", ""));
        assert_eq!(before.compare(without.leaves(), true).only_here, ["e"]);
        assert_eq!(without.compare(before.leaves(), true).only_there, ["e"]);
    }

    #[test]
    fn a_path_reads_as_the_files_are_written() {
        let mut digests = of_cluster("[host.web1]\naddress = \"192.0.2.1/24\"\n");
        let role = "[vars]\npriority = 1\n[sysctl]\n\"net.ipv4.ip_forward\" = 1\n\
            [[hold]]\naddress = \"a\"\n[[hold]]\naddress = \"b\"\nports = [80, 443]\n";
        digests.add_role("director-master", role);
        digests.add_template("proxy.conf", "text");
        let paths: Vec<&str> = digests.leaves().keys().map(String::as_str).collect();
        let expected = [
            "host.web1.address",
            "role director-master: hold[1].address",
            "role director-master: hold[2].address",
            "role director-master: hold[2].ports",
            "role director-master: sysctl.\"net.ipv4.ip_forward\"",
            "role director-master: vars.priority",
            "template proxy.conf",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_mismatch_names_the_keys_and_counts_the_rest() {
        let text: String = (10..20).map(|i| format!("a{i} = 1\n")).collect();
        let (ours, theirs) = (of_cluster(&text), of_cluster(&text.replace("a10 = 1", "b = 1")));
        let mismatch = ours.compare(theirs.leaves(), true);
        assert_eq!(mismatch.to_string(), "only here a10; only there b");
        let theirs = of_cluster(&text.replace('1', "2"));
        let all = ours.compare(theirs.leaves(), true).to_string();
        assert!(all.starts_with("only here a10, a11, a12, a13, a14 and 5 more; only "), "{all}");
    }

    #[test]
    fn behind_the_end_of_what_was_sent_nothing_is_missed() {
        let ours = of_cluster("a = 1\nb = 1\nc = 1\n");
        let mut theirs = of_cluster("a = 2\nb = 1\nd = 1\n").leaves().clone();
        theirs.retain(|path, _| path < &"c".to_owned());
        let mismatch = ours.compare(&theirs, false);
        assert_eq!(
            (mismatch.differing.as_slice(), mismatch.only_here.len()),
            (&["a".into()][..], 0)
        );
        assert!(mismatch.to_string().ends_with("not all keys were compared"));
    }

    #[test]
    fn a_long_path_stays_within_its_bound_and_apart_from_others() {
        let long = "ü".repeat(400);
        let digests = of_cluster(&format!("\"{long}a\" = 1\n\"{long}b\" = 1\n"));
        assert_eq!(digests.leaves().len(), 2);
        assert!(digests.leaves().keys().all(|path| path.len() <= MAX_PATH));
    }

    #[test]
    fn a_digest_tells_nothing_without_the_key() {
        let mut other = Digests::new(&Key::new(&[2; 32]));
        other.add_cluster("password = \"secret\"");
        let ours = of_cluster("password = \"secret\"");
        assert_ne!(ours.leaves(), other.leaves());
        assert_ne!(ours.fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_broken_file_is_like_no_other_and_never_panics() {
        let (one, other) = (of_cluster("a = \nb = 1"), of_cluster("a = =\nb = 1"));
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_ne!(one.fingerprint(), of_cluster("b = 1").fingerprint());
    }
}
