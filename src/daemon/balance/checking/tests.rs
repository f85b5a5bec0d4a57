//! A thread that dies, and one that hangs.

use std::net::TcpListener;
use std::num::NonZeroU8;
use std::sync::mpsc;

use tokio::time::timeout;

use super::*;
use crate::check::config::{Probe, Target, Timing};
use crate::check::outcome::State;

/// Longer than anything takes on a busy computer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A check of a port that is open.
fn open_port() -> (TcpListener, BTreeSet<Arc<CheckConfig>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let (every, one) = (Duration::from_millis(100), NonZeroU8::MIN);
    let timing = Timing { every, timeout: every, fast: every, rise: one, fall: one };
    let target = Target { address: at.ip(), port: at.port() };
    let check = CheckConfig { target, probe: Probe::Connect(None).into(), timing };
    (listener, BTreeSet::from([Arc::new(check)]))
}

impl Checking {
    async fn word(&mut self) -> Word {
        timeout(PATIENCE, self.next()).await.expect("something comes")
    }

    async fn until_up(&mut self) {
        loop {
            let Word::Said(events) = self.word().await else { panic!("it died") };
            let is_up = |event: &Event| match event {
                Event::Changed(_, health) => health.state == State::Up,
                Event::Noticed(_) => false,
            };
            if events.iter().any(is_up) {
                return;
            }
        }
    }

    fn plant(&self, plant: impl FnOnce() + Send + 'static) {
        self.running.as_ref().expect("it runs").0.plant(plant);
    }
}

#[tokio::test]
async fn a_thread_that_dies_is_started_again_and_checks_again() {
    let (_listener, checks) = open_port();
    let mut checking = Checking::new();
    checking.configure(checks).expect("it starts");
    checking.until_up().await;
    checking.plant(|| panic!("on purpose"));
    while !matches!(checking.word().await, Word::Died) {}
    checking.died();
    assert!(checking.status().is_none() && checking.turns().is_some());
    let dead = checking.made().0;
    assert!(matches!(checking.word().await, Word::Due));
    assert_eq!(checking.made().0, dead, "nobody makes checks");
    checking.start_again();
    checking.until_up().await;
    let (made, _) = checking.made();
    assert!(made.before >= dead.until && made.since > made.before, "{made:?} after {dead:?}");
}

#[tokio::test]
async fn a_thread_that_hangs_is_seen_and_trusted_again_once_it_has_caught_up() {
    let (_listener, checks) = open_port();
    let mut checking = Checking::new();
    checking.configure(checks).expect("it starts");
    checking.until_up().await;
    let (hangs, hung) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    checking.plant(move || {
        hangs.send(()).expect("somebody waits");
        held.recv().expect("somebody lets go");
    });
    hung.recv_timeout(PATIENCE).expect("it hangs");
    let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
    let judged = Duration::from_secs(3);
    for second in (1000..1010).step_by(2) {
        checking.look(judged, at(second));
        assert!(!checking.is_blind() && checking.stalled().is_none());
    }
    checking.look(judged, at(1010));
    assert!(checking.is_blind() && checking.stalled().is_some());
    let turns = checking.turns().expect("it runs");
    let before = turns.load(Ordering::Relaxed);
    release.send(()).expect("it waits");
    while turns.load(Ordering::Relaxed) == before {
        std::thread::yield_now();
    }
    checking.look(judged, at(1012));
    assert!(checking.is_blind() && checking.stalled().is_none(), "not all is judged anew");
    // Its clock is not the one that is told here.
    checking.heart = Heart::default();
    checking.look(judged, at(1015));
    assert!(!checking.is_blind());
}

#[tokio::test]
async fn a_thread_that_turned_once_and_died_again_is_not_trusted() {
    let mut checking = Checking::new();
    let turns = Arc::new(AtomicU64::new(1));
    checking.turns = Some(Arc::clone(&turns));
    let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
    let judged = Duration::from_secs(3);
    let look = |checking: &mut Checking, second| {
        checking.look(judged, at(second));
        checking.is_blind()
    };
    assert!(!look(&mut checking, 1000));
    let blind: Vec<bool> = (1002..1014).step_by(2).map(|at| look(&mut checking, at)).collect();
    assert_eq!(blind, [false, false, false, false, true, true]);
    turns.store(2, Ordering::Relaxed);
    assert!((1014..1040).step_by(2).all(|at| look(&mut checking, at)), "it turned once");
    turns.store(3, Ordering::Relaxed);
    assert!(look(&mut checking, 1040));
    for second in [1042, 1044] {
        turns.fetch_add(1, Ordering::Relaxed);
        look(&mut checking, second);
    }
    assert!(!checking.is_blind());
}
