//! Watches all that is tracked, and holds the verdicts.
//!
//! One task for each track, on the runtime that [`Tracker::start`] is called in. All verdicts are
//! handed on together whenever one changes, and only the last state matters. A new configuration
//! leaves alone what is watched as before; what has a new beat or limit only keeps its verdict.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::condition::{Verdicts, condition};
use super::config::{TrackConfig, Watch};
use super::tally::{Failure, Outcome, Tally, Verdict};
use super::watch::watch;
use crate::host::lasting::lasting;
use crate::vrrp::config::RouterConfig;
use crate::vrrp::router::Condition;

/// All that is watched.
#[derive(Debug)]
pub struct Tracker {
    tracks: Vec<TrackConfig>,
    watchers: Vec<Watcher>,
    verdicts: watch::Sender<Verdicts>,
}

impl Tracker {
    /// Begins to watch; the first looks are made at once, and until then the worst is assumed.
    pub fn start(tracks: Vec<TrackConfig>) -> Self {
        Tracker::begin(tracks, &Verdict::Unknown)
    }

    /// The same after a planned restart: until its first look a track counts for nothing, for it
    /// was good enough for the process before this one.
    pub fn resume(tracks: Vec<TrackConfig>) -> Self {
        Tracker::begin(tracks, &Verdict::Joining)
    }

    fn begin(tracks: Vec<TrackConfig>, at_first: &Verdict) -> Self {
        let (verdicts, _) = watch::channel(Verdicts::new());
        let mut tracker = Tracker { tracks: Vec::new(), watchers: Vec::new(), verdicts };
        tracker.adopt(tracks, at_first);
        tracker
    }

    /// Watches this from now on. What is new counts for nothing until its first look, so that
    /// nothing moves that did not change.
    pub fn configure(&mut self, tracks: Vec<TrackConfig>) {
        self.adopt(tracks, &Verdict::Joining);
    }

    fn adopt(&mut self, tracks: Vec<TrackConfig>, at_first: &Verdict) {
        let mut before = std::mem::take(&mut self.watchers);
        // All under the lock of the verdicts, so that nobody speaks meanwhile.
        self.verdicts.send_if_modified(|current| {
            let mut verdicts = Verdicts::new();
            for track in &tracks {
                let wanted = essence(track);
                let at = before.iter().position(|watcher| is_akin(&watcher.track, &wanted));
                let known = at.and_then(|_| current.get(&track.name));
                let verdict = known.unwrap_or(at_first).clone();
                // Several routers may each have the same track.
                if self.watchers.iter().any(|watcher| watcher.track == wanted) {
                    continue;
                }
                let same = at.filter(|at| before[*at].track == wanted);
                self.watchers.push(match same {
                    Some(at) => before.swap_remove(at),
                    None => Watcher::new(wanted, verdict.clone(), self.verdicts.clone()),
                });
                verdicts.insert(track.name.clone(), verdict);
            }
            // The others end here and can say nothing any more.
            before.clear();
            let changed = *current != verdicts;
            *current = verdicts;
            changed
        });
        self.tracks = tracks;
    }

    /// The verdicts, and word whenever they change.
    pub fn verdicts(&self) -> watch::Receiver<Verdicts> {
        self.verdicts.subscribe()
    }

    /// Waits until all has been looked at, within a limit. Whether it has. Routers are best started
    /// after it: one that goes on as the Active one must not hear of a fault that is none.
    pub async fn settled(&self, limit: Duration) -> bool {
        let is_known = |verdict: &Verdict| match verdict {
            Verdict::Unknown | Verdict::Joining => false,
            Verdict::Good | Verdict::Bad(_) | Verdict::Number(_) => true,
        };
        let mut verdicts = self.verdicts();
        let all = verdicts.wait_for(|verdicts| verdicts.values().all(is_known));
        timeout(limit, all).await.is_ok()
    }

    /// What all of it means now for this router.
    pub fn condition(&self, router: &RouterConfig) -> Condition {
        condition(&router.name, &router.interface, &self.tracks, &self.verdicts.borrow())
    }
}

/// A task that watches one thing.
#[derive(Debug)]
struct Watcher {
    track: TrackConfig,
    task: JoinHandle<()>,
    /// As long as this is there, the task may speak.
    _licence: Arc<()>,
}

impl Watcher {
    fn new(track: TrackConfig, verdict: Verdict, verdicts: watch::Sender<Verdicts>) -> Self {
        let licence = Arc::new(());
        let licensed = Arc::downgrade(&licence);
        let watching =
            watch_on(track.clone(), verdict, verdicts, licensed, |track, mut speaker| {
                watch(track, move |outcome| speaker.tell(outcome))
            });
        Watcher { track, task: tokio::spawn(watching), _licence: licence }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches one thing for ever. After a defect of ours it is bad until it was looked at again.
async fn watch_on<W>(
    track: TrackConfig,
    verdict: Verdict,
    verdicts: watch::Sender<Verdicts>,
    licensed: Weak<()>,
    watching: impl Fn(TrackConfig, Speaker) -> W,
) where
    W: Future<Output = ()> + Send + 'static,
{
    let mut at_first = Some(verdict);
    let begin = || {
        let current = || verdicts.borrow().get(&track.name).cloned();
        let verdict = at_first.take().or_else(current).unwrap_or(Verdict::Unknown);
        let tally = Tally::new(track.rise, track.fall, verdict);
        let (name, verdicts) = (track.name.clone(), verdicts.clone());
        watching(track.clone(), Speaker { name, tally, verdicts, licensed: licensed.clone() })
    };
    lasting(&format!("the watch over track {}", track.name), begin).await;
}

struct Speaker {
    name: String,
    tally: Tally,
    verdicts: watch::Sender<Verdicts>,
    licensed: Weak<()>,
}

impl Speaker {
    /// Whether the verdict is that of this outcome.
    fn tell(&mut self, outcome: Outcome) -> bool {
        tracing::debug!(track = self.name, ?outcome, "looked");
        self.tally.note(outcome);
        self.say(self.tally.verdict());
        self.tally.is_settled()
    }

    fn say(&self, verdict: &Verdict) {
        self.verdicts.send_if_modified(|current| {
            let Some(own) = current.get_mut(&self.name) else { return false };
            if self.licensed.strong_count() == 0 || own == verdict {
                return false;
            }
            log(&self.name, own, verdict);
            own.clone_from(verdict);
            true
        });
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // Nobody looks for a while, and the last verdict would stand.
        if std::thread::panicking() {
            self.say(&Verdict::Bad(Failure::new("converge itself failed to watch it")));
        }
    }
}

fn log(track: &str, before: &Verdict, now: &Verdict) {
    match (before, now) {
        // The same is wrong for another reason, which was logged with the look.
        (Verdict::Bad(_), Verdict::Bad(_)) => {}
        (_, Verdict::Bad(failure)) => tracing::warn!("track {track} is bad: {failure}"),
        (_, Verdict::Good) => tracing::info!("track {track} is good"),
        (_, Verdict::Number(number)) => tracing::info!("track {track} has the number {number}"),
        (_, Verdict::Unknown | Verdict::Joining) => {}
    }
}

/// What of a track decides how it is watched: what follows from it is worked out elsewhere, but for
/// a file, where the weight says what its number means.
fn essence(track: &TrackConfig) -> TrackConfig {
    let counts = matches!(track.what, Watch::File(_)) && !track.is_fault();
    let weight = i16::from(counts);
    TrackConfig { weight, reverse: false, routers: Vec::new(), ..track.clone() }
}

/// Whether a verdict on the one holds for the other.
fn is_akin(one: &TrackConfig, other: &TrackConfig) -> bool {
    (&one.name, &one.what, one.weight) == (&other.name, &other.what, other.weight)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_is_no_longer_watched_because_of_a_fault_of_ours_is_bad() {
        let (verdicts, current) = watch::channel(Verdicts::from([("it".into(), Verdict::Good)]));
        let licence = Arc::new(());
        let tally = Tally::new(NonZeroU8::MIN, NonZeroU8::MIN, Verdict::Good);
        let licensed = Arc::downgrade(&licence);
        let speaker = Speaker { name: "it".into(), tally, verdicts, licensed };
        let watching = std::thread::spawn(move || {
            let _speaker = speaker;
            panic!("on purpose");
        });
        assert!(watching.join().is_err());
        assert!(matches!(current.borrow()["it"], Verdict::Bad(_)));
    }

    #[tokio::test]
    async fn after_a_fault_of_ours_it_is_watched_again() {
        let (verdicts, mut current) =
            watch::channel(Verdicts::from([("it".into(), Verdict::Good)]));
        let (licence, one) = (Arc::new(()), NonZeroU8::MIN);
        let track = TrackConfig {
            name: "it".into(),
            what: Watch::Unit("nginx.service".into()),
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: one,
            fall: one,
            weight: 0,
            reverse: false,
            routers: Vec::new(),
        };
        let (fails, licensed) = (AtomicBool::new(true), Arc::downgrade(&licence));
        let watching = watch_on(track, Verdict::Good, verdicts, licensed, move |_, mut speaker| {
            let fails = fails.swap(false, Ordering::Relaxed);
            async move {
                assert!(!fails, "on purpose");
                speaker.tell(Outcome::Good);
                std::future::pending().await
            }
        });
        let watching = tokio::spawn(watching);
        let is_bad = |all: &Verdicts| matches!(all["it"], Verdict::Bad(_));
        current.wait_for(is_bad).await.expect("it is told");
        current.wait_for(|all| all["it"] == Verdict::Good).await.expect("it is told");
        watching.abort();
    }
}
