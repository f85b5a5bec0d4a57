//! Hooks: in order, one at a time, never without the last state.

use std::collections::BTreeSet;

use converge::hook::Notifier;
use converge::hook::config::{HookConfig, On};
use converge::hook::queue::Happening;
use converge::vrrp::router::State;

use super::*;

fn hook(path: &Path) -> HookConfig {
    HookConfig {
        on: On::ALL.into_iter().collect(),
        argv: vec![path.display().to_string()],
        user: None,
        timeout: PATIENCE,
        router: None,
    }
}

fn happening(router: &str, from: State, to: State) -> Happening {
    let reason = "nginx: not running".to_owned();
    Happening { router: router.into(), from, to, priority: 150, reason }
}

fn lines(scratch: &Scratch, name: &str) -> Vec<String> {
    let text = fs::read_to_string(scratch.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file has so many lines.
async fn until_lines(scratch: &Scratch, name: &str, count: usize) {
    let start = Instant::now();
    while lines(scratch, name).len() < count {
        assert!(start.elapsed() < PATIENCE, "{:?}", lines(scratch, name));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_hook_gets_what_keepalived_gives_and_more() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\n{ echo \"$@\"; env | grep CONVERGE | sort; cat; } > $0.out\n";
    let path = scratch.write("hook", text, 0o755);
    let notifier = Notifier::start(vec![hook(&path)]);
    notifier.tell(happening("web", State::Active, State::Fault));
    assert!(notifier.finish(PATIENCE).await);
    let expected = [
        "INSTANCE web FAULT 150",
        "CONVERGE_FROM=Active",
        "CONVERGE_PRIORITY=150",
        "CONVERGE_REASON=nginx: not running",
        "CONVERGE_ROUTER=web",
        "CONVERGE_SEQUENCE=1",
        "CONVERGE_STATE=Fault",
        "{\"alias\":\"FAULT\",\"from\":\"Active\",\"priority\":150,\
         \"reason\":\"nginx: not running\",\"router\":\"web\",\"sequence\":1,\"state\":\"Fault\"}",
    ];
    assert_eq!(lines(&scratch, "hook.out"), expected);
}

#[tokio::test]
async fn hooks_never_overlap_and_the_last_state_is_never_left_out() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\nd=$(dirname $0)\nmkdir $d/lock || echo overlap >> $d/out\n\
                echo $1 $3 $4 $CONVERGE_SEQUENCE >> $d/out\n\
                while [ ! -e $d/go ]; do sleep 0.01; done\nrmdir $d/lock\n";
    let path = scratch.write("hook", text, 0o755);
    let named = |name: &str| {
        let mut hook = hook(&path);
        hook.argv.push(name.into());
        hook
    };
    let notifier = Notifier::start(vec![named("first"), named("second")]);
    notifier.tell(happening("web", State::Initialize, State::Backup));
    until_lines(&scratch, "out", 1).await;
    // While it runs, a router flaps and another changes once.
    for _ in 0..3 {
        notifier.tell(happening("web", State::Backup, State::Active));
        notifier.tell(happening("web", State::Active, State::Backup));
    }
    notifier.tell(happening("db", State::Initialize, State::Backup));
    notifier.tell(happening("web", State::Backup, State::Active));
    fs::write(scratch.path("go"), "").expect("ours");
    assert!(notifier.finish(PATIENCE).await);
    let told = [
        "first web BACKUP 1",
        "second web BACKUP 1",
        "first web MASTER 8",
        "second web MASTER 8",
        "first db BACKUP 1",
        "second db BACKUP 1",
    ];
    assert_eq!(lines(&scratch, "out"), told);
}

#[tokio::test]
async fn a_hook_that_hangs_or_is_gone_does_not_keep_the_next_from_running() {
    let scratch = Scratch::new();
    let hanging = scratch.write("hang", "#!/bin/sh\necho $$ > $0.pid\nsleep 600\n", 0o755);
    let good = scratch.write("good", "#!/bin/sh\necho $3 >> $0.out\n", 0o755);
    let mut limited = hook(&hanging);
    limited.timeout = Duration::from_millis(300);
    let hooks = vec![hook(&scratch.path("gone")), limited, hook(&good)];
    let notifier = Notifier::start(hooks);
    notifier.tell(happening("web", State::Backup, State::Active));
    notifier.tell(happening("web", State::Active, State::Initialize));
    assert!(notifier.finish(PATIENCE).await);
    assert_eq!(lines(&scratch, "good.out").last().map(String::as_str), Some("STOP"));
    let pid = lines(&scratch, "hang.pid").concat();
    dies(&pid).await;
}

#[tokio::test]
async fn what_is_not_done_at_the_end_is_killed() {
    let scratch = Scratch::new();
    let path = scratch.write("hang", "#!/bin/sh\necho $$ > $0.pid\nsleep 600\n", 0o755);
    let notifier = Notifier::start(vec![hook(&path)]);
    notifier.tell(happening("web", State::Backup, State::Active));
    until_lines(&scratch, "hang.pid", 1).await;
    assert!(!notifier.finish(BEAT).await);
    let pid = lines(&scratch, "hang.pid").concat();
    dies(&pid).await;
}

#[tokio::test]
async fn new_hooks_are_told_what_happens_from_then_on() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\necho $3 >> $0.out\n";
    let (before, after) = (scratch.write("a", text, 0o755), scratch.write("b", text, 0o755));
    let notifier = Notifier::start(vec![hook(&before)]);
    notifier.tell(happening("web", State::Initialize, State::Backup));
    until_lines(&scratch, "a.out", 1).await;
    let only_active = HookConfig { on: BTreeSet::from([On::Active]), ..hook(&after) };
    notifier.configure(vec![only_active]);
    notifier.tell(happening("web", State::Backup, State::Fault));
    notifier.tell(happening("db", State::Backup, State::Active));
    assert!(notifier.finish(PATIENCE).await);
    assert_eq!(
        (lines(&scratch, "a.out"), lines(&scratch, "b.out")),
        (vec!["BACKUP".to_owned()], vec!["MASTER".to_owned()])
    );
}
