//! What is tracked, against real scripts, processes, files, ports and interfaces.

mod hooks;
mod network;
mod process;
mod reload;
mod scripts;
mod unit;

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use converge::track::Tracker;
use converge::track::condition::Verdicts;
use converge::track::config::{TrackConfig, Watch};
use converge::track::tally::Verdict;
use converge::vrrp::config::{
    Announcing, Checksum, Family, Interval, Preempt, RouterConfig, Transport, Version,
};
use tokio::sync::watch;
use tokio::time::timeout;

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The beat of the tests.
const BEAT: Duration = Duration::from_millis(50);

/// A track of no weight, called "it".
fn track(what: Watch) -> TrackConfig {
    TrackConfig {
        name: "it".into(),
        what,
        every: BEAT,
        timeout: Duration::from_secs(5),
        rise: NonZeroU8::MIN,
        fall: NonZeroU8::MIN,
        weight: 0,
        reverse: false,
        routers: Vec::new(),
    }
}

/// A router that all of it matters to.
fn router() -> RouterConfig {
    let address = IpAddr::from([192, 0, 2, 1]);
    RouterConfig {
        name: "web".into(),
        vrid: NonZeroU8::MIN,
        family: Family::Ipv4,
        version: Version::V3,
        interface: "one".into(),
        source: address,
        transport: Transport::Unicast,
        peers: Vec::new(),
        priority: NonZeroU8::new(100).expect("not zero"),
        interval: Interval::DEFAULT,
        preempt: Preempt::Now,
        start_delay: Duration::ZERO,
        checksum: Checksum::PseudoHeader,
        password: None,
        sync_group: None,
        vips: Vec::new(),
        announcing: Announcing::default(),
    }
}

/// Watches one thing.
struct Watched {
    tracker: Tracker,
    verdicts: watch::Receiver<Verdicts>,
}

impl Watched {
    fn new(track: TrackConfig) -> Watched {
        let tracker = Tracker::start(vec![track]);
        let verdicts = tracker.verdicts();
        Watched { tracker, verdicts }
    }

    fn verdict(&self) -> Verdict {
        self.verdicts.borrow()["it"].clone()
    }

    /// Waits for a verdict, and says how long that took.
    async fn until(&mut self, wanted: impl Fn(&Verdict) -> bool) -> Duration {
        let start = Instant::now();
        let waited = timeout(PATIENCE, self.verdicts.wait_for(|all| wanted(&all["it"]))).await;
        let came = waited.is_ok_and(|verdicts| verdicts.is_ok());
        assert!(came, "the verdict stays {:?}", self.verdict());
        start.elapsed()
    }

    async fn until_good(&mut self) -> Duration {
        self.until(|verdict| *verdict == Verdict::Good).await
    }

    /// Waits until it is bad, and returns why.
    async fn until_bad(&mut self) -> String {
        self.until_bad_as("").await
    }

    /// Waits until it is bad for a reason with these words, and returns all of it.
    async fn until_bad_as(&mut self, words: &str) -> String {
        let has = |v: &Verdict| matches!(v, Verdict::Bad(f) if f.to_string().contains(words));
        self.until(has).await;
        match self.verdict() {
            Verdict::Bad(failure) => failure.to_string(),
            other => panic!("it is {other:?} again"),
        }
    }

    /// The faults that a router has of it.
    fn faults(&self) -> Vec<String> {
        self.tracker.condition(&router()).faults.into_iter().collect()
    }
}

/// A directory of a test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("converge-track-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the temporary directory can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file as most programs do, by replacing it. Another process writes it: what this
    /// one has open, a fork of another test has open too, and what is open cannot be executed.
    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let (new, path) = (self.path("new"), self.path(name));
        let command = ["-c", "printf %s \"$0\" > \"$1\"", text];
        let written = Command::new("sh").args(command).arg(&new).status().expect("a shell");
        assert!(written.success(), "cannot write {}", new.display());
        fs::set_permissions(&new, Permissions::from_mode(mode)).expect("ours");
        fs::rename(new, &path).expect("ours");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let gone = fs::remove_dir_all(&self.0);
        assert!(gone.is_ok() || std::thread::panicking(), "cannot remove {}", self.0.display());
    }
}

/// Waits for a process that was killed: it has gone or is a zombie, for not every PID 1 buries
/// what it is left with.
async fn dies(pid: &str) {
    let start = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        match stat.rsplit_once(") ") {
            Some((_, rest)) if !rest.starts_with(['Z', 'X']) => {}
            Some(_) | None => return,
        }
        assert!(start.elapsed() < PATIENCE, "process {pid} lives on");
        tokio::time::sleep(BEAT).await;
    }
}

fn script(path: &Path) -> Watch {
    Watch::Script { argv: vec![path.display().to_string()], user: None }
}
