//! A thread that dies, and one that hangs.

use std::sync::Arc;
use std::sync::mpsc;

use nix::unistd::geteuid;
use tokio::time::timeout;

use super::*;

/// Longer than anything takes on a busy computer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A link that is here and that nobody else is on.
fn link() -> WireConfig {
    let (vip, interface) = ([192, 0, 2, 1].into(), "lo".to_owned());
    let (servers, directors) = (Arc::default(), Vec::new());
    WireConfig { vip, interface, servers, directors, direct: false }
}

/// Something that is wrong there.
fn leak() -> Fault {
    let (vip, interface) = (link().vip, link().interface);
    Fault::Leak { vip, interface, mac: [2, 0, 0, 0, 0, 1], host: None }
}

/// Nothing, which is right only where packet sockets are not allowed.
fn watching() -> Option<Wiring> {
    let mut wiring = Wiring::new();
    wiring.configure(&[link()], &[]);
    assert!(wiring.running.is_some() || !geteuid().is_root(), "packet sockets are for root");
    wiring.running.is_some().then_some(wiring)
}

impl Wiring {
    async fn word(&mut self) -> Word {
        timeout(PATIENCE, self.next()).await.expect("something comes")
    }

    fn plant(&self, plant: impl FnOnce() + Send + 'static) {
        self.running.as_ref().expect("it runs").0.plant(plant);
    }
}

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_thread_that_dies_is_started_again_and_what_it_found_is_not_known() {
    let Some(mut wiring) = watching() else { return };
    wiring.take(Word::Found(Finding::Found(leak())));
    wiring.plant(|| panic!("on purpose"));
    let died = wiring.word().await;
    assert!(matches!(died, Word::Died));
    wiring.take(died);
    assert!(wiring.running.is_none() && wiring.faults.is_empty());
    assert!(wiring.unwatched().is_some());
    let due = wiring.word().await;
    assert!(matches!(due, Word::Due));
    wiring.take(due);
    assert!(wiring.running.is_some() && wiring.unwatched().is_none());
}

#[tokio::test]
async fn a_thread_that_hangs_is_seen_and_another_one_begins_when_it_is_gone() {
    let Some(mut wiring) = watching() else { return };
    wiring.take(Word::Found(Finding::Found(leak())));
    let (hangs, hung) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    wiring.plant(move || {
        hangs.send(()).expect("somebody waits");
        held.recv().expect("somebody lets go");
    });
    hung.recv_timeout(PATIENCE).expect("it hangs");
    for second in (1000..1010).step_by(2) {
        wiring.look(at(second));
        assert!(wiring.unwatched().is_none() && wiring.faults.len() == 1);
    }
    wiring.look(at(1010));
    assert!(wiring.running.is_none() && wiring.faults.is_empty(), "no alarm stays");
    let since = wiring.unwatched().expect("nobody watches");
    assert!(since + 10_000 <= wall());
    // Neither a reload nor time begins a second one.
    wiring.configure(&[link()], &[]);
    wiring.look(at(2000));
    assert!(wiring.running.is_none() && wiring.unwatched() == Some(since));
    assert!(timeout(Duration::from_millis(50), wiring.next()).await.is_err());
    release.send(()).expect("it waits");
    let end = Instant::now() + PATIENCE;
    while wiring.stuck.is_some() {
        assert!(Instant::now() < end, "it never ends");
        std::thread::yield_now();
        wiring.look(at(2002));
    }
    let due = wiring.word().await;
    assert!(matches!(due, Word::Due));
    wiring.take(due);
    assert!(wiring.running.is_some() && wiring.unwatched().is_none());
}

#[tokio::test]
async fn what_is_not_watched_any_more_is_neither_wrong_nor_missed() {
    let Some(mut wiring) = watching() else { return };
    wiring.take(Word::Found(Finding::Found(leak())));
    wiring.configure(&[link()], &[]);
    assert_eq!(wiring.faults.len(), 1, "it is the same link");
    wiring.take(Word::Found(Finding::Over(leak())));
    assert!(wiring.faults.is_empty());
    wiring.take(Word::Found(Finding::Found(leak())));
    wiring.configure(&[], &[]);
    assert!(wiring.faults.is_empty());
    wiring.running = None;
    wiring.forget(1);
    assert_eq!(wiring.unwatched(), None);
}
