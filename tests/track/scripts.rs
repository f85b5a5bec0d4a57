//! Scripts that fail, hang, are gone, or are not safe to run; and files with numbers.

use super::*;

#[tokio::test]
async fn a_script_is_good_as_long_as_it_ends_with_zero() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\nexit 0\n", 0o755);
    let mut watched = Watched::new(track(script(&path)));
    assert_eq!(watched.faults(), ["script it: not looked at yet"]);
    watched.until_good().await;
    assert_eq!(watched.faults(), [""; 0]);
    scratch.write("check", "#!/bin/sh\necho nginx is gone\nexit 7\n", 0o755);
    let reason = watched.until_bad_as("exit code").await;
    assert_eq!(reason, "exit code 7, it said \"nginx is gone\"");
    assert_eq!(watched.faults(), ["script it: exit code 7"]);
    scratch.write("check", "#!/bin/sh\nexit 0\n", 0o755);
    watched.until_good().await;
}

/// keepalived takes a failing check whose script is deleted for healthy.
#[tokio::test]
async fn a_failing_script_that_is_deleted_stays_failed() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\nexit 1\n", 0o755);
    let mut watched = Watched::new(track(script(&path)));
    watched.until_bad_as("exit code 1").await;
    fs::remove_file(&path).expect("ours");
    let reason = watched.until_bad_as("o such file").await.to_lowercase();
    assert!(reason.contains("check"), "{reason}");
    for _ in 0..5 {
        tokio::time::sleep(BEAT).await;
        assert!(matches!(watched.verdict(), Verdict::Bad(_)));
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_executed_has_failed() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\nexit 0\n", 0o644);
    let mut watched = Watched::new(track(script(&path)));
    watched.until_bad_as("is not executable").await;
    scratch.write("check", "#!/no/such/interpreter\n", 0o755);
    watched.until_bad_as("o such file").await;
    scratch.write("check", "#!/bin/sh\nexit 0\n", 0o755);
    watched.until_good().await;
}

#[tokio::test]
async fn a_script_that_others_can_change_is_not_run_and_the_part_of_its_path_is_named() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\ntouch $0.ran\n", 0o755);
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o777)).expect("ours");
    let mut watched = Watched::new(track(script(&path)));
    let reason = watched.until_bad().await;
    let directory = scratch.0.display();
    assert_eq!(reason, format!("{directory} can be written by everybody (mode 0777)"));
    assert!(!scratch.path("check.ran").exists(), "it was run");
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o755)).expect("ours");
    watched.until_good().await;
}

#[tokio::test]
async fn a_script_that_hangs_fails_at_its_limit_and_is_killed_with_its_children() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $! >> $0.children\nwait\n";
    let path = scratch.write("check", text, 0o755);
    let mut hanging = track(script(&path));
    hanging.timeout = Duration::from_millis(300);
    let mut watched = Watched::new(hanging);
    let took = watched.until(|verdict| matches!(verdict, Verdict::Bad(_))).await;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert_eq!(watched.until_bad().await, "did not end within 300ms and was killed");
    scratch.write("check", "#!/bin/sh\nexit 0\n", 0o755);
    watched.until_good().await;
    let children = fs::read_to_string(scratch.path("check.children")).expect("they were written");
    for child in children.split_whitespace() {
        dies(child).await;
    }
}

#[tokio::test]
async fn runs_of_a_slow_script_do_not_overlap_and_keep_to_the_beat() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\nmkdir $0.lock || exit 9\nsleep 0.07\nrmdir $0.lock\necho >> $0.runs\n";
    let path = scratch.write("check", text, 0o755);
    let mut watched = Watched::new(track(script(&path)));
    watched.until_good().await;
    tokio::time::sleep(20 * BEAT).await;
    assert_eq!(watched.verdict(), Verdict::Good);
    let runs = fs::read_to_string(scratch.path("check.runs")).expect("it ran").lines().count();
    // Each takes more than one beat and less than two, where the machine is not busy.
    assert!((2..=11).contains(&runs), "{runs} runs");
}

#[tokio::test]
async fn a_script_in_the_way_of_a_stop_is_killed() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\necho $$ > $0.pid\nsleep 600\n", 0o755);
    let watched = Watched::new(track(script(&path)));
    let pid = loop {
        match fs::read_to_string(scratch.path("check.pid")) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            Ok(_) | Err(_) => tokio::time::sleep(BEAT).await,
        }
    };
    drop(watched);
    dies(&pid).await;
}

#[tokio::test]
async fn a_number_in_a_file_moves_the_priority_as_soon_as_it_is_written() {
    let scratch = Scratch::new();
    let mut file = track(Watch::File(scratch.path("load")));
    (file.weight, file.every) = (-2, Duration::from_secs(3600));
    let mut watched = Watched::new(file);
    watched.until(|verdict| *verdict == Verdict::Number(0)).await;
    scratch.write("load", " 15\n", 0o644);
    watched.until(|verdict| *verdict == Verdict::Number(15)).await;
    assert_eq!(watched.tracker.condition(&router()).adjust, -30);
    // Written in place: nothing is said before it is closed.
    fs::write(scratch.path("load"), "-4").expect("ours");
    watched.until(|verdict| *verdict == Verdict::Number(-4)).await;
    assert_eq!(watched.tracker.condition(&router()).adjust, 8);
    fs::remove_file(scratch.path("load")).expect("ours");
    watched.until(|verdict| *verdict == Verdict::Number(0)).await;
    scratch.write("load", "much\n", 0o644);
    assert_eq!(watched.until_bad().await, "\"much\" is not a number");
    assert_eq!(watched.tracker.condition(&router()).adjust, 0);
}

#[tokio::test]
async fn a_file_without_weight_is_a_fault_unless_it_says_zero() {
    let scratch = Scratch::new();
    let directory = scratch.path("later");
    let file = directory.join("down");
    let mut watched = Watched::new(track(Watch::File(file.clone())));
    watched.until_good().await;
    fs::create_dir(&directory).expect("ours");
    fs::write(&file, "1\n").expect("ours");
    assert_eq!(watched.until_bad().await, "its number is 1");
    let words = format!("file {}: its number is 1", file.display());
    assert_eq!(watched.faults(), [words]);
    fs::remove_dir_all(&directory).expect("ours");
    watched.until_good().await;
}
