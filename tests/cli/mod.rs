//! What the command says and how it ends, through the binary that people run.

mod check;
mod files;
mod key;
mod pages;
mod places;
mod servers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A cluster that is right.
const GOOD: &str = include_str!("../topologies/one-director/cluster.toml");
/// nobody, who may do nothing here.
const NOBODY: u32 = 65534;

/// A directory with a cluster file, gone with the test.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str, cluster: &str) -> Desk {
        let path = std::env::temp_dir().join(format!("converge-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(path.join("cluster.toml"), cluster).expect("it is ours");
        Desk(path)
    }

    /// The built binary with this desk's cluster file.
    fn converge(&self, arguments: &[&str]) -> Said {
        said(self.command(Path::new(env!("CARGO_BIN_EXE_converge")), arguments))
    }

    fn command(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.current_dir(&self.0).args(arguments).env("CONVERGE_CLUSTER", "cluster.toml");
        command.env_remove("CONVERGE_ROLE").env_remove("CONVERGE_HOST").env_remove("NO_COLOR");
        command
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What is left of a test lies in the temporary directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What came of a command.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// That standard error has all of these.
    #[track_caller]
    fn complains(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in:\n{}", self.err);
        }
    }
}

fn said(mut command: Command) -> Said {
    let busy = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ExecutableFileBusy;
    // A copy is busy while a child of another test still has the descriptor that wrote it.
    let output = loop {
        match command.output() {
            Err(error) if busy(&error) => std::thread::sleep(Duration::from_millis(10)),
            other => break other.expect("the binary runs"),
        }
    };
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("converge prints UTF-8");
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

#[test]
fn wrong_arguments_end_with_64() {
    let desk = Desk::new("arguments", GOOD);
    for line in ["--nonsense", "frobnicate", "lint extra", "schema nothing", "lab", "man nothing"] {
        let arguments: Vec<_> = line.split(' ').collect();
        let said = desk.converge(&arguments).ends(64);
        assert!(said.out.is_empty() && !said.err.is_empty(), "{line}: {}", said.out);
    }
    desk.converge(&["lnit"]).ends(64).complains(&["a similar subcommand exists: 'lint'"]);
}

#[test]
fn who_is_not_root_is_told_so_and_changes_nothing() {
    let desk = Desk::new("nobody", GOOD);
    // The one of cargo may lie where only its owner may look.
    let binary = desk.0.join("converge");
    fs::copy(env!("CARGO_BIN_EXE_converge"), &binary).expect("the desk takes a copy");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = desk.command(&binary, &["--host", "web1"]);
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let said = said(command).ends(77);
    said.complains(&["only root may change this host", "help: `converge plan` shows"]);
}

#[test]
fn without_a_cluster_file_the_way_on_is_shown() {
    let desk = Desk::new("none", GOOD);
    let said = desk.converge(&["lint", "--cluster", "other.toml"]).ends(78);
    said.complains(&["there is no cluster file", "other.toml", "--cluster FILE", "lab run"]);
}

#[test]
fn a_role_that_the_file_contradicts_is_refused_with_both_roles() {
    let desk = Desk::new("role", GOOD);
    let said = desk.converge(&["plan", "--host", "web1", "--role", "nfs"]).ends(78);
    said.complains(&["web1", "realserver", "not nfs", "cluster.toml", "--host"]);
}

#[test]
fn a_host_that_does_not_exist_is_answered_with_the_one_that_was_meant() {
    let desk = Desk::new("host", GOOD);
    let said = desk.converge(&["render", "--host", "wbe1"]).ends(78);
    said.complains(&["no host `wbe1`", "did you mean", "web1", "director"]);
}
