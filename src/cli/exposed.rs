//! Whether everybody on this host can read a password that stands in a file of ours.
//!
//! The cluster file and the roles are as a rule for all to read; one with a password in it is not.
//! A template that only names the password of another file is none itself, and that of VRRP is none
//! at all: it stands in every packet.

use crate::cluster::Cluster;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;
use crate::host::Host;
use crate::host::shelf::EMBEDDED;
use crate::role::Catalog;

/// What the names of keys have whose values are to be hidden.
const SECRET: [&str; 2] = ["password", "secret"];
/// A key that ends so says where the password is.
const ELSEWHERE: [&str; 2] = ["-file", "_file"];
/// Whose `password` is that of VRRP: the section, and the variable that gives it in our own roles.
const OF_VRRP: [&str; 2] = ["vrrp", "vars"];

/// The files that have a password and can be read by everybody.
pub fn passwords(host: &Host, cluster: &Cluster, catalog: &Catalog) -> Diagnostics {
    let mut found = Diagnostics::default();
    let source = &cluster.source;
    // Of a large file most is no password, and most files have none.
    if SECRET.iter().any(|word| source.text.contains(word)) {
        let (document, _) = Document::parse(source.name.as_str(), source.text.as_str());
        told(host, &document).into_iter().for_each(|wrong| found.push(wrong));
    }
    let embedded = |document: &&Document| document.source().name.ends_with(EMBEDDED);
    let own = catalog.documents().filter(|document| !embedded(document));
    own.filter_map(|document| told(host, document)).for_each(|wrong| found.push(wrong));
    found
}

fn told(host: &Host, document: &Document) -> Option<Diagnostic> {
    let place = first_of(document)?;
    let name = &document.source().name;
    let path = std::path::absolute(name).ok().filter(|path| host.files().is_for_all(path))?;
    let title = format!("everybody on this host can read {name}, in which a password stands");
    let help = format!("`chmod 600 {}`", path.display());
    Some(Diagnostic::warning(place, title).label("as this one").help(help))
}

/// Where its first password stands.
fn first_of(document: &Document) -> Option<Place> {
    let values = document.values().into_iter();
    let mut secret = values.filter(|(keys, value)| is_secret(keys) && is_said(&value.value));
    secret.next().map(|(_, value)| value.place)
}

fn is_secret(keys: &[&str]) -> bool {
    let Some((key, above)) = keys.split_last() else { return false };
    // The keys there are names that somebody gave.
    if above == ["vip"] {
        return false;
    }
    let elsewhere = ELSEWHERE.iter().any(|end| key.ends_with(end));
    let of_vrrp = *key == "password" && above.last().is_some_and(|key| OF_VRRP.contains(key));
    SECRET.iter().any(|word| key.contains(word)) && !elsewhere && !of_vrrp
}

/// Whether there is anything in it but templates.
fn is_said(text: &str) -> bool {
    let mut pieces = text.split("{{");
    let first = pieces.next().unwrap_or_default();
    let after = pieces.map(|piece| piece.split_once("}}").map_or(piece, |(_, after)| after));
    std::iter::once(first).chain(after).any(|piece| !piece.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::host::scratch::Scratch;
    use crate::host::shelf::{Directory, Shelf};

    const HOST: &str = "[host.one]\nrole = \"own\"\naddress = \"192.0.2.1/24\"\n\
                        interface = \"eth0\"\n";

    /// What is said of a cluster file with these variables, a role with these lines, and of which
    /// line.
    fn said(vars: &str, role: &str, mode: u32) -> Vec<String> {
        let scratch = Scratch::new();
        scratch.write("/cluster.toml", &format!("version = 1\nname = \"c\"\n{HOST}{vars}\n"));
        scratch.write("/roles/own.toml", &format!("version = 1\n{role}\n"));
        let set = |path, mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(scratch.real(path), mode).expect("ours");
        };
        ["/cluster.toml", "/roles/own.toml"].iter().for_each(|path| set(path, mode));
        ["/roles", "/"]
            .iter()
            .for_each(|path| set(path, if mode == 0o644 { 0o755 } else { 0o711 }));
        let told = passwords_of(&scratch);
        set("/", 0o700);
        let private = passwords_of(&scratch);
        assert!(private.is_empty(), "nobody gets there: {private:?}");
        told
    }

    fn passwords_of(scratch: &Scratch) -> Vec<String> {
        let path = scratch.real("/cluster.toml");
        let text = fs::read_to_string(&path).expect("it is there");
        let (cluster, _) = Cluster::parse(path.display().to_string(), text).expect("right");
        let root = scratch.real("/");
        let directory = Directory { path: Path::new("/"), shown: &root };
        let shelf = Shelf::with_directories(scratch.host().files(), &[directory]).expect("read");
        let (catalog, _) = Catalog::new(shelf, &cluster).expect("right");
        let told = passwords(&Host::this(), &cluster, &catalog);
        let line = |d: &Diagnostic| {
            let (line, column) = d.place.line_column();
            let file = Path::new(&d.place.source.name).file_name().expect("a name");
            assert!(d.help.as_ref().is_some_and(|help| help.starts_with("`chmod 600 /")));
            format!("{}:{line}:{column}", file.display())
        };
        told.iter().map(line).collect()
    }

    /// Where tests write may be hidden from others by a directory above.
    fn is_hidden() -> bool {
        !Host::this().files().is_for_all(std::env::temp_dir())
    }

    #[test]
    fn a_password_that_everybody_can_read_is_told_with_the_line_that_mends_it() {
        if is_hidden() {
            eprintln!("SKIPPED: nobody but us can read what tests write here");
            return;
        }
        let vars = "[vars]\nport = 80\nredis-password = \"hunter2\"\nb-password = \"x\"";
        let own = "[vars]\nport = 1\nredis-password = \"{{vars.port}}\"\nb-password = \"\"";
        assert_eq!(said(vars, own, 0o644), ["cluster.toml:9:18"]);
        assert_eq!(said(vars, own, 0o604), ["cluster.toml:9:18"]);
        let host = "vars = { secret = 12345678 }";
        let own = "[vars]\nsecret = \"a{{vars.b}}\"\nb = 1";
        assert_eq!(said(host, own, 0o644), ["cluster.toml:7:19", "own.toml:3:10"]);
        let check = "[[virtual-server]]\n[[virtual-server.check]]\npassword = \"a\"";
        assert_eq!(said("", check, 0o644), ["own.toml:4:12"]);
    }

    #[test]
    fn a_file_without_passwords_or_for_its_owner_alone_is_not_told() {
        let (vars, own) = ("[vars]\nx-password = \"hunter2\"", "[vars]\nx-password = \"hunter\"");
        for mode in [0o600, 0o640] {
            assert_eq!(said(vars, own, mode), [""; 0]);
        }
        let vars = "# password = \"no\"\n[vars]\nx-password = \"\"\npassword-file = \"/etc/x\"";
        let own = "[vars]\npassword-file = \"\"\nx-password = \"{{vars.password-file}}\"";
        assert_eq!(said(vars, own, 0o644), [""; 0]);
        let vip = "[vip]\npassword-portal = \"192.0.2.9\"\n[vars]\npassword-protected = true";
        let own = "[vars]\npassword-protected = false";
        assert_eq!(said(vip, own, 0o644), [""; 0]);
        let vrrp = "[vars]\npassword = \"a\"\n[[vrrp]]\nname = \"a\"\npassword = \"b\"";
        assert_eq!(said("[vars]\npassword = \"c\"", vrrp, 0o644), [""; 0], "all on the link can");
    }
}
