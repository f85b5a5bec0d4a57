//! A key is fresh each time, reads back, and its help says where it goes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use converge::vrrp::key::Key;

use super::{Desk, GOOD};

#[test]
fn a_key_is_64_digits_on_a_line_and_never_the_same() {
    let desk = Desk::new("key", GOOD);
    let printed: BTreeSet<String> = (0..3).map(|_| desk.converge(&["key"]).ends(0).out).collect();
    assert_eq!(printed.len(), 3);
    for text in printed {
        assert_eq!((text.lines().count(), text.len()), (1, 65), "{text:?}");
        Key::parse("cluster.key", &text).expect("what is printed is a key");
    }
}

#[test]
fn a_key_that_could_not_be_written_is_a_failure() {
    let desk = Desk::new("key-full", GOOD);
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_converge"));
    let full = File::options().write(true).open("/dev/full").expect("Linux has one");
    let status = desk.command(binary, &["key"]).stdout(full).status().expect("the binary runs");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn the_help_says_where_a_key_goes_and_who_may_read_it() {
    let desk = Desk::new("key-help", GOOD);
    let help = desk.converge(&["key", "--help"]).ends(0).out;
    for part in ["/etc/converge/cluster.key", "0600", "every director", "umask 077"] {
        assert!(help.contains(part), "no {part:?} in:\n{help}");
    }
}

#[test]
fn a_key_that_is_none_is_told_before_a_reload_would_fail_for_it() {
    let desk = Desk::new("key-broken", GOOD);
    let path = desk.0.join("shop.key");
    let shown = path.display();
    let (begin, _) = GOOD.split_once("[host.").expect("a host");
    let backup = "[host.backup]\nrole = \"director-backup\"\naddress = \"192.168.142.9/24\"\n\
                  interface = \"ens33\"\n\n";
    let named = begin.replacen("[vip]", &format!("key-file = \"{shown}\"\n[vip]"), 1);
    let cluster = GOOD.replacen(begin, &format!("{named}{backup}"), 1);
    fs::write(desk.0.join("cluster.toml"), cluster).expect("it is ours");
    let lint = |host: &str| desk.converge(&["lint", "--host", host]);
    let missing = format!("warning: there is no file {shown}, which `key-file` names");
    lint("director").ends(0).complains(&[&missing, "--> cluster.toml:", "converge key > "]);
    let write = |text: &str, mode| {
        fs::write(&path, text).expect("it is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    write("abcdef\n", 0o600);
    let wrong = [format!("--> {shown}:1:1"), "a key has 64 hexadecimal digits, not 6".to_owned()];
    let [place, title] = wrong.each_ref().map(String::as_str);
    let said = lint("director").ends(78);
    said.complains(&[&format!("error: {title}"), place, "******", "= help: `umask 077; converge"]);
    assert!(!said.err.contains("abcdef"), "{}", said.err);
    let planned = desk.converge(&["plan", "--host", "director"]);
    planned.complains(&[&format!("warning: {title}"), place]);
    // Nobody reads it on another host.
    assert_eq!(lint("web1").ends(0).err, "");
    let key = desk.converge(&["key"]).out;
    write(&key, 0o600);
    assert_eq!(lint("director").ends(0).err, "");
    write(&key, 0o644);
    lint("director").ends(0).complains(&["can be read by others", &format!("`chmod 600 {shown}`")]);
}
