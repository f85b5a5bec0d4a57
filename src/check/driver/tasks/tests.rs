//! Real programs and files, asked through the station as the engine asks.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::num::NonZeroU8;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::check::config::{Target, Timing};
use crate::check::machine::{Checker, Limits, Output};
use crate::check::outcome::{Advice, Asked, Evidence};
use crate::host::scratch::{Hanging, Scratch};
use crate::host::script::ScriptError;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
/// Enough to start a program on a busy computer.
const SOME: Duration = Duration::from_secs(2);

/// The station, and a checker that names the runs.
struct Rig {
    runtime: Runtime,
    tasks: Tasks,
    checker: Checker,
    now: Moment,
}

impl Rig {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let tasks = Tasks::open(runtime.handle().clone()).expect("an eventfd");
        let checker = Checker::new(Limits { at_once: 1000 }, 1);
        Rig { runtime, tasks, checker, now: Moment::ZERO }
    }

    /// A run of this check, that the checker knows of.
    fn name(&mut self, check: &Arc<CheckConfig>) -> Run {
        self.checker.configure(&[].into(), self.now);
        self.checker.configure(&[Arc::clone(check)].into(), self.now);
        self.now = self.now + Duration::from_secs(1);
        self.checker.handle_timeout(self.now);
        let mut outputs = std::iter::from_fn(|| self.checker.poll_output());
        let begun = outputs.find_map(|output| match output {
            Output::Begin { run, .. } => Some(run),
            Output::Expire(_) | Output::Abort(_) | Output::Changed(..) => None,
        });
        begun.expect("it was due")
    }

    fn begin(&mut self, check: &Arc<CheckConfig>) -> Run {
        let run = self.name(check);
        let mut done = Done::new();
        self.tasks.begin(run, check, self.now, &mut done);
        assert_eq!(done, [], "it takes its time");
        run
    }

    /// What comes within a time.
    fn wait(&mut self, limit: Duration) -> Done {
        let (over, mut done) = (Instant::now() + limit, Done::new());
        while done.is_empty() && Instant::now() < over {
            let mut fds = [PollFd::new(self.tasks.as_fd(), PollFlags::POLLIN)];
            let left = over.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).expect("not long");
            if poll(&mut fds, left).expect("can be polled") > 0 {
                self.tasks.ready(self.now, &mut done);
            }
        }
        done
    }

    /// How a check ends.
    fn ask(&mut self, check: &Arc<CheckConfig>) -> Outcome {
        loop {
            let run = self.begin(check);
            let mut done = self.wait(LONG);
            let (ended, outcome) = done.pop().expect("it ends");
            assert_eq!((ended, done.len()), (run, 0));
            match &outcome {
                // A fork of another test still has the file open that we have just written.
                Outcome::Bad(failure) if failure.what.contains("Text file busy") => {}
                _ => return outcome,
            }
        }
    }
}

fn check(probe: Probe, timeout: Duration) -> Arc<CheckConfig> {
    let one = NonZeroU8::MIN;
    let timing = Timing { every: timeout, timeout, fast: timeout, rise: one, fall: one };
    let target = Target { address: Ipv4Addr::new(192, 0, 2, 7).into(), port: 8080 };
    Arc::new(CheckConfig { target, probe: probe.into(), timing })
}

fn program(argv: &[&str], dynamic: bool, timeout: Duration) -> Arc<CheckConfig> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    check(Probe::Script(Script { argv, user: None, dynamic }), timeout)
}

fn shell(line: &str, dynamic: bool) -> Arc<CheckConfig> {
    program(&["/bin/sh", "-c", line], dynamic, LONG)
}

fn file(path: PathBuf, dynamic: bool) -> Arc<CheckConfig> {
    check(Probe::File(File { path, dynamic }), LONG)
}

fn weighed(weight: Option<u32>) -> Outcome {
    Outcome::Good(Advice { weight: weight.map(Asked::Weight), ..Advice::default() })
}

fn what(outcome: Outcome) -> String {
    match outcome {
        Outcome::Bad(failure) => failure.what,
        other => panic!("{other:?} is not bad"),
    }
}

/// The line that a script writes.
fn line(path: &std::path::Path) -> String {
    for _ in 0..1000 {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("nothing was written to {}", path.display());
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn dies(pid: &str) {
    for _ in 0..1000 {
        if !lives(pid) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} lives on");
}

#[test]
fn a_program_is_good_with_exit_code_0_and_bad_with_its_code_and_words_otherwise() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&shell("exit 0", false)), weighed(None));
    let line = "echo; echo ' no leader '; echo more; exit 3";
    let failure = match rig.ask(&shell(line, false)) {
        Outcome::Bad(failure) => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure, Failure::silent("exit code 3: no leader"));
    assert_eq!(failure.evidence, Evidence::Silent);
    assert_eq!(what(rig.ask(&shell("exit 1", false))), "exit code 1");
    assert_eq!(what(rig.ask(&shell("kill -SEGV $$", false))), "ended by SIGSEGV");
    let endless = "yes $(yes | head -500) | tr -d '\\n' | head -c 90000; exit 1";
    assert!(what(rig.ask(&shell(endless, false))).len() < 200);
}

#[test]
fn a_dynamic_program_sets_the_weight_to_its_exit_code_less_two() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&shell("exit 0", true)), weighed(None));
    assert_eq!(what(rig.ask(&shell("exit 1", true))), "exit code 1");
    assert_eq!(rig.ask(&shell("exit 2", true)), weighed(Some(0)));
    assert_eq!(rig.ask(&shell("exit 255", true)), weighed(Some(253)));
}

#[test]
fn a_program_is_told_the_target() {
    let mut rig = Rig::new();
    let line = "echo $CONVERGE_TARGET_ADDRESS $CONVERGE_TARGET_PORT; exit 1";
    assert_eq!(what(rig.ask(&shell(line, false))), "exit code 1: 192.0.2.7 8080");
    let mut check = CheckConfig::clone(&shell("echo ${CONVERGE_TARGET_PORT-none}; exit 1", false));
    check.target.port = 0;
    assert_eq!(what(rig.ask(&Arc::new(check))), "exit code 1: none");
}

#[test]
fn a_program_that_cannot_be_run_is_bad() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/check", "#!/bin/sh\nexit 0\n");
    let path = scratch.real("/check");
    let own = program(&[&path.display().to_string()], false, LONG);
    let mut with_mode = |mode| {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
        rig.ask(&own)
    };
    assert_eq!(with_mode(0o755), weighed(None));
    let closed = what(with_mode(0o600));
    assert!(closed.ends_with("/check is not executable"), "{closed}");
    let open = what(with_mode(0o777));
    assert!(open.contains("can be written by everybody"), "{open}");
    fs::remove_file(&path).expect("ours");
    let gone = what(rig.ask(&own));
    assert!(gone.contains("No such file"), "{gone}");
    let unknown = what(rig.ask(&program(&["no-such-program"], false, LONG)));
    assert_eq!(unknown, "no-such-program is not installed on this host");
    let script = Script { argv: Vec::new(), user: None, dynamic: false };
    let empty = rig.ask(&check(Probe::Script(script), LONG));
    assert_eq!(what(empty), "there is no program to run");
}

#[test]
fn a_program_that_the_kernel_has_no_room_for_is_not_held_against_the_server() {
    let refused = |errno: Errno| {
        let error = ScriptError::Start { program: "/check".into(), source: errno.into() };
        program::refused(&error, &shell("exit 0", false))
    };
    for errno in [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE] {
        assert!(matches!(refused(errno), Outcome::Unmade(_)), "{errno}");
    }
    for errno in [Errno::EACCES, Errno::ENOENT, Errno::ENOEXEC, Errno::ETXTBSY] {
        assert!(what(refused(errno)).starts_with("cannot run /check: "), "{errno}");
    }
}

#[test]
fn without_room_for_another_nothing_is_held_against_the_server() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    let all = |room: &Arc<Semaphore>| {
        let most = u32::try_from(room.available_permits()).expect("few");
        Arc::clone(room).try_acquire_many_owned(most).expect("all of it")
    };
    let full = (all(&rig.tasks.programs), all(&rig.tasks.files));
    let path = scratch.real("/word");
    let program = program(&["true"], false, SOME);
    let file = check(Probe::File(File { path, dynamic: false }), SOME);
    for check in [&program, &file] {
        assert!(matches!(rig.ask(check), Outcome::Unmade(_)));
    }
    drop(full);
    for check in [&program, &file] {
        assert_eq!(rig.ask(check), weighed(None));
    }
}

#[test]
fn a_program_that_hangs_expires_and_is_killed_with_its_children() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/x", "");
    let child = scratch.real("/child");
    let hangs = format!("trap '' TERM; sh -c 'echo $$ > {}; sleep 60' & wait", child.display());
    let hangs = program(&["/bin/sh", "-c", &hangs], false, SOME);
    let run = rig.begin(&hangs);
    let pid = line(&child);
    assert_eq!(rig.tasks.expire(run).what, "it did not end within 2s and was killed");
    dies(&pid);
    assert_eq!(rig.wait(SHORT), [], "nothing is said of it any more");
    // Whether it ends by its own clock or by the checker's, the words are the same.
    let run = rig.begin(&hangs);
    let late = Failure::silent("it did not end within 2s and was killed");
    assert_eq!(rig.wait(LONG), [(run, Outcome::Bad(late))]);
}

#[test]
fn looks_that_hang_are_bounded_whatever_checks_come_and_go() {
    let scratch = Scratch::new();
    scratch.write("/disk/program", "#!/bin/sh\n");
    let Some(disk) = Hanging::over(scratch.real("/disk")) else { return };
    let mut rig = Rig::new();
    let path = scratch.real("/disk/program").display().to_string();
    let late = "its user or its file could not be looked up within 300ms";
    for number in 0..LOOKS + 10 {
        // Each is another check, as after a reload.
        rig.begin(&program(&[&path, &number.to_string()], false, SHORT));
    }
    let (mut done, end) = (Vec::new(), Instant::now() + LONG);
    while done.len() < LOOKS + 10 {
        assert!(Instant::now() < end, "{done:?}");
        done.extend(rig.wait(SHORT));
    }
    // Those that came too late for a look say nothing of their servers.
    let (unmade, bad): (Vec<_>, Vec<_>) =
        done.into_iter().map(|(_, outcome)| outcome).partition(|o| matches!(o, Outcome::Unmade(_)));
    assert_eq!(unmade, [(); 10].map(|()| Outcome::Unmade(program::BUSY.to_owned())));
    assert!(bad.iter().all(|outcome| what(outcome.clone()) == late), "{bad:?}");
    let left = || rig.tasks.looks.available_permits();
    assert_eq!(left(), 0, "those that hang hold on");
    drop(disk);
    while left() < LOOKS {
        assert!(Instant::now() < end, "{}", left());
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_is_no_longer_wanted_is_killed_with_its_children() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/x", "");
    let child = scratch.real("/child");
    let hangs = shell(&format!("sh -c 'echo $$ > {}; sleep 60' & wait", child.display()), false);
    let run = rig.begin(&hangs);
    let pid = line(&child);
    rig.tasks.abort(run);
    dies(&pid);
    assert_eq!(rig.wait(SHORT), []);
    fs::remove_file(&child).expect("ours");
    rig.begin(&hangs);
    let pid = line(&child);
    drop(rig.tasks);
    dies(&pid);
    drop(rig.runtime);
}

#[test]
fn what_a_program_leaves_behind_is_killed() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/x", "");
    let child = scratch.real("/child");
    let stray = format!(
        "sh -c 'echo $$ > {0}; exec sleep 60' & until [ -s {0} ]; do :; done",
        child.display()
    );
    assert_eq!(rig.ask(&shell(&stray, false)), weighed(None));
    dies(&line(&child));
}

#[test]
fn runs_of_one_program_never_overlap() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/x", "");
    // Whoever ignores the request to end is still there when the next run begins.
    let lock = scratch.real("/lock");
    let text = format!("mkdir {0} || exit 9; trap '' TERM; sleep 0.5; rmdir {0}", lock.display());
    let slow = program(&["/bin/sh", "-c", &text], false, SHORT);
    let run = rig.begin(&slow);
    rig.tasks.expire(run);
    let second = rig.begin(&slow);
    let done = rig.wait(LONG);
    let words: Vec<_> = done.iter().map(|(run, outcome)| (*run, outcome.clone())).collect();
    assert_eq!(words.len(), 1);
    assert_eq!(words[0].0, second);
    assert!(!what(words[0].1.clone()).contains("exit code 9"), "{words:?}");
}

#[test]
fn many_programs_at_once_all_end_as_they_do_alone() {
    let mut rig = Rig::new();
    let shell = |n: usize| shell(&format!(": {n}; exit {}", n % 2), false);
    let checks: Vec<_> = (0..40).map(shell).collect();
    rig.checker.configure(&checks.iter().cloned().collect(), rig.now);
    rig.now = rig.now + Duration::from_secs(1);
    rig.checker.handle_timeout(rig.now);
    let mut begun = BTreeMap::new();
    while let Some(Output::Begin { run, check }) = rig.checker.poll_output() {
        let number = checks.iter().position(|other| *other == check);
        begun.insert(run, number.expect("one of them"));
        rig.tasks.begin(run, &check, rig.now, &mut Done::new());
    }
    assert_eq!(begun.len(), checks.len());
    while !begun.is_empty() {
        for (run, outcome) in rig.wait(LONG) {
            let number = begun.remove(&run).expect("it was begun");
            assert_eq!(matches!(outcome, Outcome::Bad(_)), number % 2 == 1);
        }
    }
}

#[test]
fn a_file_says_how_the_server_is() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    let path = scratch.real("/word");
    let plain = file(path.clone(), false);
    let dynamic = file(path.clone(), true);
    let mut both = |text: Option<&str>| {
        text.inspect(|text| scratch.write("/word", text));
        (rig.ask(&plain), rig.ask(&dynamic))
    };
    assert_eq!(both(None), (weighed(None), weighed(None)));
    assert_eq!(both(Some("")), (weighed(None), weighed(None)));
    assert_eq!(both(Some(" 0\n")), (weighed(None), weighed(Some(0))));
    let (plain, dynamic) = both(Some("7\n"));
    assert_eq!((what(plain), dynamic), ("its number is 7".to_owned(), weighed(Some(7))));
    let (plain, dynamic) = both(Some("-1"));
    assert_eq!(what(plain), "its number is -1");
    assert_eq!(what(dynamic), "-1 is no weight");
    let (plain, dynamic) = both(Some("down for maintenance"));
    assert_eq!(what(plain), "\"down for maintenance\" is not a number");
    assert!(matches!(dynamic, Outcome::Bad(f) if f.evidence == Evidence::Answered));
}

#[test]
fn what_is_no_file_is_bad_and_is_not_waited_for() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    scratch.write("/x", "");
    let pipe = scratch.real("/pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("ours");
    let began = Instant::now();
    for path in [pipe, scratch.real("/"), PathBuf::from("/dev/zero")] {
        let text = what(rig.ask(&file(path, true)));
        assert!(text.ends_with("it is no regular file"), "{text}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_defect_of_ours_is_held_against_no_program() {
    let mut rig = Rig::new();
    let check = shell("true", false);
    let run = rig.name(&check);
    let letter = Letter { answers: rig.tasks.answers.clone(), run, outcome: None };
    let task = rig.runtime.spawn(async move {
        let _letter = letter;
        panic!("on purpose");
    });
    rig.tasks.running.insert(run, Running { check, task });
    let done = rig.wait(LONG);
    assert!(matches!(&done[..], [(of, Outcome::Unmade(_))] if *of == run), "{done:?}");
}

#[test]
fn a_run_that_is_aborted_or_late_is_not_answered_and_desks_are_cleared() {
    let (mut rig, scratch) = (Rig::new(), Scratch::new());
    for n in 0..3 * DESKS {
        let run = rig.begin(&file(scratch.real(&format!("/{n}")), false));
        rig.now = rig.now + LONG;
        if n % 2 == 0 {
            rig.tasks.abort(run);
        } else {
            assert_eq!(rig.tasks.expire(run).what, "it could not be read within 20s");
        }
    }
    assert_eq!(rig.wait(SHORT), []);
    assert!(rig.tasks.desks.len() <= DESKS && rig.tasks.running.is_empty());
}
