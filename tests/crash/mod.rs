//! A run that is killed between any two system calls, and run again, ends in the same state.
//!
//! The test binary starts itself again for the run. The parent traces it, and kills it on its way
//! into the n-th call that could change a file system, for every n until a run comes through. Then
//! converge runs once more, and what stands is compared with what an undisturbed run makes.

mod tracer;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use converge::host::Host;
use converge::reconcile::{Report, look, reconcile};
use converge::resource::directory::Directory;
use converge::resource::file::{File, Mode};
use converge::resource::{Desired, Kinds, Resource};

use tracer::Run;

/// More calls than any of these runs makes; reached only if the tracer does not count.
const CALLS: usize = 400;

fn file(root: &Path, path: &str, content: &str) -> Resource {
    let all = ["main.conf", "a.conf", "b.conf"].map(|n| root.join("etc").join(n));
    let script = "! cat \"$@\" 2>/dev/null | grep -q bad";
    let mut check: Vec<String> = ["/bin/sh", "-c", script, "sh"].map(String::from).into();
    check.extend(all.map(|p| p.display().to_string()));
    File {
        path: path.into(),
        content: content.into(),
        mode: None,
        owner: None,
        once: false,
        check: Some(check),
    }
    .into()
}

/// Two files that one check proves, one that needs none, and a directory.
fn role(root: &Path, word: &str) -> Desired {
    let directory = Directory { path: "/srv/pages".into(), mode: Mode(0o750), owner: None };
    let page = File {
        path: "/srv/pages/index.html".into(),
        content: word.into(),
        mode: Some(Mode(0o640)),
        owner: None,
        once: false,
        check: None,
    };
    let parts = [
        file(root, "/etc/main.conf", &format!("main {word}\n")),
        file(root, "/etc/a.conf", &format!("a {word}\n")),
        page.into(),
        directory.into(),
    ];
    let mut desired = Desired::default();
    for part in parts {
        assert!(desired.state.insert(part).is_none());
    }
    desired
}

/// The roles that a host goes through: what it has before, and what the killed run is to bring.
fn before(root: &Path, case: &str) -> Option<Desired> {
    match case {
        "create" => None,
        "change" | "refuse" | "remove" => Some(role(root, "one")),
        other => panic!("no case {other}"),
    }
}

fn after(root: &Path, case: &str) -> Desired {
    match case {
        "create" | "change" => role(root, "two"),
        "refuse" => role(root, "bad"),
        _ => Desired::default(),
    }
}

fn converge(root: &Path, desired: &Desired) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let host = Host::rooted(root);
        reconcile(&host, desired, Kinds::All, |_, _| {}).await.expect("the ledger can be read")
    })
}

/// A fresh host in a directory, with a package's file on it.
fn host(case: &str, number: usize) -> PathBuf {
    let name = format!("converge-crash-{}-{case}-{number}", std::process::id());
    let root = std::env::temp_dir().join(name);
    fs::create_dir_all(root.join("etc")).expect("makes");
    fs::write(root.join("etc/main.conf"), "the package's\n").expect("writes");
    if let Some(before) = before(&root, case) {
        assert!(converge(&root, &before).converged());
    }
    root
}

/// Everything on the host but our own records: path, mode, and content.
fn standing(root: &Path) -> BTreeMap<PathBuf, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.join("etc"), root.join("srv")];
    while let Some(path) = left.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let mut content = String::new();
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("lists");
            left.extend(entries.map(|entry| entry.expect("lists").path()));
        } else {
            content = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(meta.nlink(), 1, "{} has a second name", path.display());
        }
        let mode = meta.permissions().mode();
        found.insert(path.strip_prefix(root).expect("below").into(), (mode, content));
    }
    found
}

fn survives(case: &str, name: &str) {
    if let Some(root) = tracer::child() {
        converge(&root, &after(&root, case));
        return;
    }
    let whole = host(case, 0);
    converge(&whole, &after(&whole, case));
    let expected = standing(&whole);
    fs::remove_dir_all(&whole).expect("removes");
    for number in 1..=CALLS {
        let root = host(case, number);
        let run = tracer::killed_at(number, name, &root);
        let wanted = after(&root, case);
        let report = converge(&root, &wanted);
        assert_eq!(report.converged(), case != "refuse", "call {number}: {report:#?}");
        assert_eq!(standing(&root), expected, "killed at call {number}, then run again");
        let pending = pending(&root, &wanted);
        assert_eq!(pending == 0, case != "refuse", "call {number}: {pending} changes pending");
        fs::remove_dir_all(&root).expect("removes");
        if run == Run::Through {
            println!("{case}: killed at each of {} calls", number - 1);
            assert!(number > 10, "the run was over after {number} calls");
            return;
        }
    }
    panic!("the run makes more than {CALLS} calls");
}

fn pending(root: &Path, desired: &Desired) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let host = Host::rooted(root);
        look(&host, desired).await.expect("the ledger can be read").0.changes.len()
    })
}

macro_rules! each_case {
    ($($name:ident: $case:literal,)*) => {$(
        #[test]
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            survives($case, path.split_once("::").expect("a path below the crate").1);
        }
    )*};
}

each_case! {
    killed_while_it_creates_it_creates_all_the_next_time: "create",
    killed_while_it_changes_it_changes_all_the_next_time: "change",
    killed_at_any_time_it_never_leaves_a_file_that_fails_its_check: "refuse",
    killed_while_it_removes_it_removes_all_the_next_time: "remove",
}
