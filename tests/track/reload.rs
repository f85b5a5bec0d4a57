//! A new configuration, which moves nothing that did not change.

use super::*;

/// A script that is good, and notes each of its runs.
fn noting(scratch: &Scratch, name: &str) -> TrackConfig {
    let path = scratch.write(name, "#!/bin/sh\necho >> $0.runs\n", 0o755);
    let mut noting = track(script(&path));
    // Looked at once, at the start.
    noting.every = Duration::from_secs(3600);
    noting
}

fn runs(scratch: &Scratch, name: &str) -> usize {
    let runs = fs::read_to_string(scratch.path(&format!("{name}.runs")));
    runs.map_or(0, |runs| runs.lines().count())
}

async fn settle(watched: &mut Watched) {
    watched.until_good().await;
    tokio::time::sleep(2 * BEAT).await;
}

#[tokio::test]
async fn what_did_not_change_is_not_looked_at_again() {
    let scratch = Scratch::new();
    let before = noting(&scratch, "check");
    let mut watched = Watched::new(before.clone());
    settle(&mut watched).await;
    let mut heavier = before.clone();
    (heavier.weight, heavier.reverse, heavier.routers) = (-20, false, vec!["web".into()]);
    watched.tracker.configure(vec![heavier]);
    settle(&mut watched).await;
    assert_eq!((runs(&scratch, "check"), watched.tracker.condition(&router()).adjust), (1, 0));
    watched.tracker.configure(vec![before]);
    settle(&mut watched).await;
    assert_eq!(runs(&scratch, "check"), 1);
}

#[tokio::test]
async fn a_new_beat_keeps_the_verdict() {
    let scratch = Scratch::new();
    let mut slow = noting(&scratch, "check");
    let mut watched = Watched::new(slow.clone());
    settle(&mut watched).await;
    slow.every = Duration::from_secs(1800);
    watched.tracker.configure(vec![slow]);
    assert_eq!(watched.verdict(), Verdict::Good);
    settle(&mut watched).await;
    assert_eq!(runs(&scratch, "check"), 2, "the beat begins with a look");
}

#[tokio::test]
async fn what_is_added_is_no_fault_before_it_was_looked_at() {
    let scratch = Scratch::new();
    let mut watched = Watched::new(noting(&scratch, "check"));
    settle(&mut watched).await;
    let mut other = noting(&scratch, "other");
    other.timeout = Duration::from_secs(7);
    watched.tracker.configure(vec![other]);
    assert_eq!(watched.verdict(), Verdict::Joining);
    assert_eq!(watched.faults(), [""; 0]);
    settle(&mut watched).await;
    assert_eq!((runs(&scratch, "check"), runs(&scratch, "other")), (1, 1));
}

#[tokio::test]
async fn what_is_taken_out_is_neither_watched_nor_counted() {
    let scratch = Scratch::new();
    let path = scratch.write("check", "#!/bin/sh\necho >> $0.runs\nexit 1\n", 0o755);
    let mut watched = Watched::new(track(script(&path)));
    watched.until_bad().await;
    watched.tracker.configure(Vec::new());
    assert!(watched.verdicts.borrow_and_update().is_empty());
    tokio::time::sleep(2 * BEAT).await;
    let before = runs(&scratch, "check");
    tokio::time::sleep(5 * BEAT).await;
    assert_eq!(runs(&scratch, "check"), before, "it is still run");
    assert!(watched.verdicts.borrow().is_empty());
}

#[tokio::test]
async fn all_is_known_as_soon_as_all_was_looked_at() {
    let scratch = Scratch::new();
    let slow = scratch.write("slow", "#!/bin/sh\nsleep 0.3\nexit 1\n", 0o755);
    let tracks = vec![
        noting(&scratch, "check"),
        TrackConfig { name: "slow".into(), ..track(script(&slow)) },
    ];
    let tracker = Tracker::start(tracks);
    assert!(!tracker.settled(BEAT).await, "one takes longer");
    assert!(tracker.settled(PATIENCE).await);
    assert_eq!(tracker.condition(&router()).faults.len(), 1);
}

#[tokio::test]
async fn after_a_planned_restart_a_slow_check_is_no_fault_until_it_was_made() {
    let scratch = Scratch::new();
    let slow = scratch.write("slow", "#!/bin/sh\nexec sleep 60\n", 0o755);
    let mut slow = track(script(&slow));
    slow.timeout = Duration::from_secs(60);
    let fresh = Tracker::start(vec![slow.clone()]);
    assert_eq!(fresh.condition(&router()).faults.len(), 1, "nobody knows whether it is good");
    let resumed = Tracker::resume(vec![slow]);
    assert!(resumed.condition(&router()).faults.is_empty());
}
