//! What becomes of files on a host, through `reconcile` as a user's run does it.
//!
//! The host is a scratch directory. The check of these tests fails when a file says "bad".

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::host::scratch::Scratch;
use crate::reconcile::{Outcome, Report, look, reconcile};
use crate::resource::{Desired, Id, Kinds};

const CONF: &str = "/etc/nginx/conf.d/web.conf";
const MAIN: &str = "/etc/nginx/nginx.conf";

fn file(path: &str, content: &str) -> File {
    File {
        path: path.into(),
        content: content.into(),
        mode: None,
        owner: None,
        once: false,
        check: None,
    }
}

/// A file whose check is that neither it nor any other says "bad".
fn checked(scratch: &Scratch, path: &str, content: &str) -> File {
    let script = "! cat \"$@\" 2>/dev/null | grep bad >&2";
    let mut check: Vec<String> = ["/bin/sh", "-c", script, "sh"].map(String::from).into();
    check.extend([CONF, MAIN].map(|p| scratch.real(p).display().to_string()));
    File { check: Some(check), ..file(path, content) }
}

fn desired(files: &[File]) -> Desired {
    let mut desired = Desired::default();
    for file in files {
        assert!(desired.state.insert(file.clone().into()).is_none());
    }
    desired
}

#[tokio::main(flavor = "current_thread")]
async fn converge(scratch: &Scratch, files: &[File]) -> Report {
    reconcile(&scratch.host(), &desired(files), Kinds::All, |_, _| {})
        .await
        .expect("can be looked at")
}

#[tokio::main(flavor = "current_thread")]
async fn planned(scratch: &Scratch, files: &[File]) -> Vec<String> {
    let (plan, _) = look(&scratch.host(), &desired(files)).await.expect("can be looked at");
    plan.changes.iter().map(|c| format!("{}{}", sign(c.removes()), c.id())).collect()
}

fn sign(removes: bool) -> &'static str {
    if removes { "-" } else { "+" }
}

fn assert_settled(scratch: &Scratch, files: &[File]) {
    let report = converge(scratch, files);
    assert!(report.converged(), "{report:?}");
    assert_eq!(planned(scratch, files), [""; 0]);
}

#[test]
fn a_missing_file_is_made_and_then_left_alone() {
    let scratch = Scratch::new();
    let files = [file(CONF, "listen 80;\n")];
    assert_settled(&scratch, &files);
    assert_eq!(scratch.read(CONF).as_deref(), Some("listen 80;\n"));
    assert_eq!(scratch.names("/etc/nginx/conf.d"), ["web.conf"]);
    assert!(converge(&scratch, &files).changes.is_empty());
}

#[test]
fn damage_by_hand_is_put_right_with_mode_and_owner_kept() {
    let scratch = Scratch::new();
    let files = [file(CONF, "a\n")];
    assert_settled(&scratch, &files);
    scratch.write(CONF, "b\n");
    let real = scratch.real(CONF);
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    std::os::unix::fs::chown(&real, Some(7), Some(9)).expect("chown");
    assert_settled(&scratch, &files);
    assert_eq!(scratch.read(CONF).as_deref(), Some("a\n"));
    let meta = std::fs::metadata(&real).expect("stands");
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o640, 7, 9));
}

#[test]
fn a_wrong_mode_is_put_right_without_a_new_file() {
    let scratch = Scratch::new();
    let owner = Some(Owner { user: "root".into(), group: "0".into() });
    let files = [File { mode: Some(Mode(0o600)), owner, ..file(CONF, "a\n") }];
    assert_settled(&scratch, &files);
    let real = scratch.real(CONF);
    let inode = std::fs::metadata(&real).expect("stands").ino();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o666)).expect("chmod");
    std::os::unix::fs::chown(&real, Some(7), Some(0)).expect("chown");
    assert_settled(&scratch, &files);
    let meta = std::fs::metadata(&real).expect("stands");
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.ino()), (0o600, 0, inode));
}

#[test]
fn an_unknown_owner_is_an_error_that_names_it() {
    let scratch = Scratch::new();
    let owner = Some(Owner { user: "nobody-has-this-name".into(), group: "root".into() });
    let report = converge(&scratch, &[File { owner, ..file(CONF, "a\n") }]);
    let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
    assert_eq!(error.to_string(), "there is no user `nobody-has-this-name` on this host");
    assert_eq!(scratch.read(CONF), None);
}

#[test]
fn a_file_for_the_user_is_written_once() {
    let scratch = Scratch::new();
    let files = [File { once: true, ..file(CONF, "start here\n") }];
    assert_settled(&scratch, &files);
    scratch.write(CONF, "mine now\n");
    assert!(converge(&scratch, &files).changes.is_empty());
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.read(CONF).as_deref(), Some("mine now\n"));
}

#[test]
fn a_file_of_ours_goes_when_no_role_wants_it() {
    let scratch = Scratch::new();
    assert_settled(&scratch, &[file(CONF, "a\n")]);
    assert_settled(&scratch, &[file(CONF, "b\n")]);
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.names("/etc/nginx/conf.d"), [""; 0]);
}

#[test]
fn a_file_that_the_operator_rewrote_is_not_removed() {
    let scratch = Scratch::new();
    assert_settled(&scratch, &[file(CONF, "a\n")]);
    scratch.write(CONF, "the operator's\n");
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.read(CONF).as_deref(), Some("the operator's\n"));
}

#[test]
fn a_file_that_stood_before_us_is_not_removed() {
    let scratch = Scratch::new();
    scratch.write(CONF, "the package's\n");
    assert_settled(&scratch, &[file(CONF, "ours\n")]);
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.read(CONF).as_deref(), Some("ours\n"));
}

#[test]
fn a_link_is_replaced_and_what_it_led_to_is_not_touched() {
    let scratch = Scratch::new();
    scratch.write("/usr/share/vendor.conf", "vendor\n");
    scratch.write("/etc/other", "");
    symlink(scratch.real("/usr/share/vendor.conf"), scratch.real("/etc/web.conf")).expect("link");
    assert_settled(&scratch, &[file("/etc/web.conf", "vendor\n")]);
    assert!(scratch.real("/etc/web.conf").is_symlink(), "it leads to what is wanted");
    assert_settled(&scratch, &[file("/etc/web.conf", "ours\n")]);
    assert!(!scratch.real("/etc/web.conf").is_symlink());
    assert_eq!(scratch.read("/usr/share/vendor.conf").as_deref(), Some("vendor\n"));
}

#[test]
fn what_a_link_leads_to_does_not_get_a_files_mode() {
    let scratch = Scratch::new();
    scratch.write("/theirs", "x\n");
    let before = scratch.host().files().stat("/theirs").expect("stands");
    symlink("theirs", scratch.real("/once")).expect("link");
    symlink("theirs", scratch.real("/ours")).expect("link");
    let wanted = |path| File { mode: Some(Mode(0o600)), ..file(path, "x\n") };
    assert_settled(&scratch, &[wanted("/ours")]);
    assert!(!scratch.real("/ours").is_symlink());
    let report = converge(&scratch, &[File { once: true, ..wanted("/once") }]);
    let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
    assert_eq!(error.to_string(), "cannot change the attributes of /once");
    assert_eq!(scratch.host().files().stat("/theirs").expect("stands"), before);
}

#[test]
fn a_directory_in_the_way_stops_this_file_and_no_other() {
    let scratch = Scratch::new();
    scratch.write("/etc/nginx/conf.d/web.conf/inside", "");
    let report = converge(&scratch, &[file(CONF, "a\n"), file(MAIN, "m\n")]);
    let failed: Vec<Id> = report
        .changes
        .iter()
        .filter(|(_, o)| matches!(o, Outcome::Failed(_)))
        .map(|(c, _)| c.id())
        .collect();
    assert_eq!(failed, [Id { kind: Kind::File, name: CONF.into() }]);
    assert_eq!(scratch.read(MAIN).as_deref(), Some("m\n"));
}

#[test]
fn a_failed_check_puts_the_old_file_back_and_tells_what_the_check_said() {
    let scratch = Scratch::new();
    assert_settled(&scratch, &[checked(&scratch, CONF, "good\n")]);
    let inode = std::fs::metadata(scratch.real(CONF)).expect("stands").ino();
    let bad = [checked(&scratch, CONF, "bad directive\n")];
    let report = converge(&scratch, &bad);
    let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
    let cause = std::error::Error::source(error).expect("has a cause").to_string();
    assert!(cause.contains("bad directive"), "{cause}");
    assert_eq!(scratch.read(CONF).as_deref(), Some("good\n"));
    assert_eq!(std::fs::metadata(scratch.real(CONF)).expect("stands").ino(), inode);
    assert_eq!(scratch.names("/etc/nginx/conf.d"), ["web.conf"]);
    assert_settled(&scratch, &[checked(&scratch, CONF, "good\n")]);
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.read(CONF), None);
}

#[test]
fn a_new_file_that_fails_its_check_is_gone_again() {
    let scratch = Scratch::new();
    let report = converge(&scratch, &[checked(&scratch, CONF, "bad\n")]);
    assert!(!report.converged());
    assert_eq!(scratch.names("/etc/nginx/conf.d"), [""; 0]);
}

#[test]
fn files_with_one_check_change_together_or_not_at_all() {
    let scratch = Scratch::new();
    scratch.write(MAIN, "the package's\n");
    let both = |conf| [checked(&scratch, CONF, conf), checked(&scratch, MAIN, "main\n")];
    assert!(!converge(&scratch, &both("bad\n")).converged());
    assert_eq!(scratch.read(MAIN).as_deref(), Some("the package's\n"));
    assert_eq!(scratch.read(CONF), None);
    assert_settled(&scratch, &both("good\n"));
    assert_eq!(scratch.read(MAIN).as_deref(), Some("main\n"));
}

#[test]
fn one_that_cannot_be_written_holds_its_siblings_back() {
    let scratch = Scratch::new();
    scratch.write("/etc/nginx/nginx.conf/inside", "");
    let files = [checked(&scratch, CONF, "good\n"), checked(&scratch, MAIN, "main\n")];
    let report = converge(&scratch, &files);
    let texts: Vec<String> = report
        .changes
        .iter()
        .map(|(_, outcome)| match outcome {
            Outcome::Failed(error) => error.to_string(),
            Outcome::Done | Outcome::Held { .. } => "done".into(),
        })
        .collect();
    assert!(texts[0].contains("nginx.conf could not be written"), "{texts:?}");
    assert!(texts[1].starts_with("cannot"), "{texts:?}");
    assert_eq!(scratch.names("/etc/nginx/conf.d"), [""; 0]);
}

#[test]
fn a_missing_check_program_is_named_with_its_package() {
    let scratch = Scratch::new();
    let check = Some(vec!["mount.nfs4".into(), "-t".into()]);
    let report = converge(&scratch, &[File { check, ..file(CONF, "a\n") }]);
    let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
    assert!(error.hint().is_some_and(|h| h.contains("nfs-common")), "{error:?}");
    assert_eq!(scratch.read(CONF), None);
}

/// What a run leaves that is killed after the new file stands and before the check.
fn cut_short(scratch: &Scratch, content: &str) {
    let host = scratch.host();
    written::change(host.files(), |all| {
        let entry = all.entry(CONF.into()).or_default();
        entry.note(content.as_bytes());
        entry.untested = true;
    })
    .expect("writes");
    host.files().lay_aside(CONF).expect("lays aside");
    host.files().replace(CONF, content.as_bytes(), None, None).expect("writes");
}

#[test]
fn an_unproven_file_is_proven_by_the_next_run() {
    let scratch = Scratch::new();
    assert_settled(&scratch, &[checked(&scratch, CONF, "good\n")]);
    cut_short(&scratch, "bad\n");
    assert!(!converge(&scratch, &[checked(&scratch, CONF, "bad\n")]).converged());
    assert_eq!(scratch.read(CONF).as_deref(), Some("good\n"));
    cut_short(&scratch, "better\n");
    assert_eq!(planned(&scratch, &[checked(&scratch, CONF, "good\n")]).len(), 1);
    assert_settled(&scratch, &[checked(&scratch, CONF, "better\n")]);
    assert_eq!(scratch.names("/etc/nginx/conf.d"), ["web.conf"]);
}

#[test]
fn an_unproven_file_that_no_role_wants_gives_way_to_the_old_one() {
    let scratch = Scratch::new();
    scratch.write(CONF, "the package's\n");
    cut_short(&scratch, "bad\n");
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.read(CONF).as_deref(), Some("the package's\n"));
    assert_eq!(scratch.names("/etc/nginx/conf.d"), ["web.conf"]);
}

#[test]
fn an_unproven_file_of_ours_that_no_role_wants_goes_with_the_old_one() {
    let scratch = Scratch::new();
    assert_settled(&scratch, &[checked(&scratch, CONF, "good\n")]);
    cut_short(&scratch, "bad\n");
    assert_settled(&scratch, &[]);
    assert_eq!(scratch.names("/etc/nginx/conf.d"), [""; 0]);
}

#[test]
fn an_unproven_file_whose_check_is_wanted_no_more_is_written_anew() {
    let scratch = Scratch::new();
    scratch.write(CONF, "good\n");
    cut_short(&scratch, "bad\n");
    assert_settled(&scratch, &[file(CONF, "good\n")]);
    assert_eq!(scratch.read(CONF).as_deref(), Some("good\n"));
    assert_eq!(scratch.names("/etc/nginx/conf.d"), ["web.conf"]);
}
