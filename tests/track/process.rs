//! Processes that start and end.

use std::process::Child;

use super::*;
use crate::kinds::apart;

/// A process of a name of its own.
struct Process(Child);

impl Process {
    fn start(path: &Path) -> Process {
        loop {
            // A fork of another test may still have the file open that was just written.
            match Command::new(path).arg("600").spawn() {
                Ok(child) => return Process(child),
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

/// Starts, stops and starts again, and says how long it took to hear of the second start.
async fn comes_and_goes(full_command: bool) -> Duration {
    let scratch = Scratch::new();
    let short = format!("it-{}", std::process::id());
    let path = scratch.path(&short);
    fs::copy("/bin/sleep", &path).expect("a program of our own");
    let name = if full_command { format!("{} 600", path.display()) } else { short };
    let mut process = track(Watch::Process { name: name.clone(), full_command });
    // Nothing of what follows is heard of on the beat.
    process.every = Duration::from_secs(3600);
    let mut watched = Watched::new(process);
    assert_eq!(watched.until_bad().await, "not running");
    let shown =
        if full_command { format!("process \"{name}\"") } else { format!("process {name}") };
    assert_eq!(watched.faults(), [format!("{shown}: not running")]);
    let mut first = Process::start(&path);
    watched.until_good().await;
    first.0.kill().expect("our own child");
    // Not yet waited for: a zombie is not running.
    watched.until_bad().await;
    drop(first);
    let second = Process::start(&path);
    let came = watched.until_good().await;
    let _third = Process::start(&path);
    drop(second);
    tokio::time::sleep(4 * BEAT).await;
    assert_eq!(watched.verdict(), Verdict::Good, "another one is running");
    came
}

#[tokio::test]
async fn a_process_that_comes_and_goes_is_heard_of_without_asking() {
    let came = comes_and_goes(false).await;
    match converge::host::births::Births::open().await {
        Ok(_) => assert!(came < Duration::from_millis(500), "{came:?}"),
        Err(error) => apart::skipped("track::process", &format!("nobody tells of starts: {error}")),
    }
}

#[tokio::test]
async fn a_process_can_be_told_by_its_whole_command_line() {
    comes_and_goes(true).await;
}

/// The kernel tells of starts in the first network namespace only.
#[test]
fn where_starts_are_not_heard_of_they_are_looked_for() {
    apart::in_namespace("track::process::where_starts_are_not_heard_of_they_are_looked_for", {
        async |_| {
            assert!(converge::host::births::Births::open().await.is_err(), "they are heard of");
            comes_and_goes(false).await;
        }
    });
}
