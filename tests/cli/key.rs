//! A key is fresh each time, reads back, and its help says where it goes.

use std::collections::BTreeSet;
use std::fs::File;

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
