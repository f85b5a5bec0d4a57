//! Real programs, started and killed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use nix::unistd::geteuid;
use tokio::time::{sleep, timeout};

use super::*;
use crate::host::chain;
use crate::host::scratch::Scratch;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn shell(line: &str) -> Script {
    let argv = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    Script { argv, ..Script::default() }
}

async fn run(script: &Script, limit: Duration) -> Result<Ran, ScriptError> {
    loop {
        match Runner::default().run(script, limit, Strays::Kill).await {
            // A fork of another test still has the file open that we have just written.
            Err(ScriptError::Start { source, .. })
                if source.kind() == io::ErrorKind::ExecutableFileBusy => {}
            other => return other,
        }
    }
}

/// A directory with a script in it.
fn with_script(text: &str, mode: u32) -> (Scratch, Script) {
    let scratch = Scratch::new();
    scratch.write("/check", text);
    let path = scratch.real("/check");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
    let script = Script { argv: vec![path.display().to_string()], ..Script::default() };
    (scratch, script)
}

/// Waits until a file has a line, and returns it.
async fn line(path: &std::path::Path) -> String {
    for _ in 0..500 {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            Ok(_) | Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("nothing was written to {}", path.display());
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn dies(pid: &str) {
    for _ in 0..500 {
        if !lives(pid) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} lives on");
}

#[tokio::test]
async fn how_a_program_ended_and_what_it_said_is_told() {
    let ran = run(&shell("echo out; echo err >&2; exit 3"), LONG).await.expect("runs");
    assert_eq!(ran, Ran { end: End::Exited(3), output: "out\nerr".into() });
    let ran = run(&shell("kill -SEGV $$"), LONG).await.expect("runs");
    assert_eq!(ran.end.to_string(), "ended by SIGSEGV");
}

#[tokio::test]
async fn output_without_end_is_bounded_and_does_not_hide_the_limit() {
    let ran = run(&shell("yes"), SHORT).await.expect("runs");
    assert_eq!(ran.end, End::Late(SHORT));
    assert!(ran.output.len() <= OUTPUT, "{}", ran.output.len());
    let ran = run(&shell("head -c 1000000 /dev/zero; echo"), LONG).await.expect("runs");
    assert_eq!((ran.end, ran.output.len()), (End::Exited(0), OUTPUT));
}

#[tokio::test]
async fn a_late_program_dies_with_its_children_even_if_none_listens() {
    let scratch = Scratch::new();
    scratch.write("/x", "");
    let (parent, child) = (scratch.real("/parent"), scratch.real("/child"));
    let child_line = format!("trap \"\" TERM; echo $$ > {}; sleep 60; sleep 60", child.display());
    let line_of_both = format!(
        "trap '' TERM; echo $$ > {}; sh -c '{child_line}' & while :; do sleep 60; done",
        parent.display()
    );
    let mut runner = Runner::default();
    let ran = runner.run(&shell(&line_of_both), SHORT, Strays::Kill).await.expect("runs");
    assert_eq!(ran.end.to_string(), "did not end within 300ms and was killed");
    dies(&line(&child).await).await;
    dies(&line(&parent).await).await;
    // The next run waits for the burial and is not disturbed by it.
    let ran = runner.run(&shell("exit 0"), LONG, Strays::Kill).await.expect("runs");
    assert_eq!(ran.end, End::Exited(0));
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed_or_left_as_asked() {
    for (strays, stays) in [(Strays::Kill, false), (Strays::Leave, true)] {
        let script = shell("sleep 60 & echo $!");
        let mut runner = Runner::default();
        let ran = timeout(LONG, runner.run(&script, LONG, strays)).await.expect("at once");
        let ran = ran.expect("runs");
        assert_eq!(ran.end, End::Exited(0));
        if stays {
            assert!(lives(&ran.output), "it was to stay");
            let pid = nix::unistd::Pid::from_raw(ran.output.parse().expect("a number"));
            nix::sys::signal::kill(pid, Signal::SIGKILL).expect("ours");
        }
        dies(&ran.output).await;
    }
}

#[tokio::test]
async fn a_cancelled_run_is_killed_with_its_children() {
    let scratch = Scratch::new();
    scratch.write("/x", "");
    let child = scratch.real("/child");
    let script = shell(&format!("sh -c 'echo $$ > {}; sleep 60' & wait", child.display()));
    let mut runner = Runner::default();
    tokio::select! {
        ran = runner.run(&script, LONG, Strays::Kill) => panic!("it ended: {ran:?}"),
        _pid = line(&child) => {}
    }
    dies(&line(&child).await).await;
}

#[tokio::test]
async fn a_script_that_is_gone_or_cannot_be_executed_says_so() {
    let (scratch, script) = with_script("#!/bin/sh\nexit 0\n", 0o755);
    assert_eq!(run(&script, LONG).await.expect("runs").end, End::Exited(0));
    let path = scratch.real("/check");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    let error = chain(&run(&script, LONG).await.expect_err("not executable"));
    assert!(error.ends_with("/check is not executable"), "{error}");
    scratch.write("/check", "#!/no/such/interpreter\n");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
    let error = chain(&run(&script, LONG).await.expect_err("no interpreter"));
    assert!(error.contains("cannot run") && error.contains("No such file"), "{error}");
    fs::remove_file(&path).expect("ours");
    let error = chain(&run(&script, LONG).await.expect_err("gone"));
    assert!(error.contains("cannot look at") && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_script_that_others_can_change_is_not_run() {
    let (scratch, script) = with_script("#!/bin/sh\ntouch $0.ran\n", 0o777);
    let error = chain(&run(&script, LONG).await.expect_err("unsafe"));
    assert!(error.contains("/check can be written by everybody (mode 0777)"), "{error}");
    assert_eq!(scratch.names("/"), ["check"]);
}

#[tokio::test]
async fn a_program_gets_its_input_and_its_environment_and_nothing_of_ours() {
    let mut script = shell("cat; echo $USER $HOME $SEQUENCE; env | grep -c CARGO");
    script.environment = vec![("SEQUENCE", "7".into())];
    script.input = "{\"router\": \"web\"}\n".into();
    let ran = run(&script, LONG).await.expect("runs");
    let user = crate::host::users::user_name(geteuid().as_raw());
    let lines: Vec<&str> = ran.output.lines().collect();
    assert_eq!((lines[0], lines[2]), ("{\"router\": \"web\"}", "0"));
    assert!(lines[1].starts_with(&user) && lines[1].ends_with(" 7"), "{}", lines[1]);
}

#[tokio::test]
async fn a_program_runs_as_its_own_user_with_no_group_of_ours() {
    if !geteuid().is_root() {
        eprintln!("######## SKIPPED: only root can become another user ########");
        return;
    }
    let mut script = shell("id -u; id -G");
    script.user = Some("nobody".into());
    let ran = run(&script, LONG).await.expect("runs");
    assert_eq!(ran.output, "65534\n65534");
    script.user = Some("nobody-of-this-name".into());
    let error = run(&script, LONG).await.expect_err("no such user").to_string();
    assert_eq!(error, "there is no user `nobody-of-this-name` on this host");
}

#[tokio::test]
async fn a_program_dies_with_the_one_that_started_it() {
    // A process that starts one, as we do, and is killed.
    let mut command = tokio::process::Command::new("/bin/sleep");
    command.arg("60").kill_on_drop(false);
    crate::host::orphan::forbid(&mut command);
    let (number, numbered) = std::sync::mpsc::channel();
    let starter = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let child = runtime.expect("a runtime").block_on(async { command.spawn() });
        let child = child.expect("starts");
        number.send(child.id().expect("its number")).expect("heard");
        std::mem::forget(child);
    });
    let pid = numbered.recv().expect("started").to_string();
    starter.join().expect("ends");
    dies(&pid).await;
}
