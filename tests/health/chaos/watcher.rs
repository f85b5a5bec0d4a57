//! Looks all the time at what the directors make of the servers, and at the file that nginx reads:
//! no server leaves that has been good for long.
//!
//! Both are replaced whole, so that what is read is always what somebody wanted.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use converge::control::report::Report;

use super::lock;
use super::truth::{HOSTS, PORTS, Truth, pools};

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(4);
/// A look that comes so late says that this computer is too busy to check anything in time.
const LATE: Duration = Duration::from_millis(250);
const UPSTREAM: &str = "nginx/conf.d/converge-upstream-app.conf";

/// Who serves, by pool and host; nobody while a spare does.
type Serving = BTreeMap<(String, usize), bool>;

/// The thread that looks.
pub(super) struct Watcher {
    wrongs: Arc<Mutex<Vec<String>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn start(directories: [PathBuf; 2], truth: Arc<Mutex<Truth>>) -> Self {
        let (wrongs, end) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (told, ends) = (Arc::clone(&wrongs), Arc::clone(&end));
        let thread = spawn(move || {
            let begun = Instant::now();
            let mut last = Instant::now();
            let mut seen = Seen::default();
            while !ends.load(Ordering::Relaxed) {
                if last.elapsed() > LATE {
                    lock(&truth).stalls();
                }
                last = Instant::now();
                for (d, directory) in directories.iter().enumerate() {
                    for wrong in seen.look(d, directory, &truth) {
                        lock(&told).push(format!("{:?}: {wrong}", begun.elapsed()));
                    }
                }
                sleep(LOOK);
            }
        });
        Watcher { wrongs, end, thread: Some(thread) }
    }

    /// What was wrong.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let wrongs = lock(&self.wrongs);
        match wrongs.is_empty() {
            true => Ok(()),
            false => Err(wrongs.join("\n")),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

/// What was seen last, by director and file.
#[derive(Default)]
struct Seen {
    inodes: BTreeMap<(usize, &'static str), (u64, i64)>,
    serving: BTreeMap<(usize, &'static str), Serving>,
}

impl Seen {
    fn look(&mut self, d: usize, directory: &std::path::Path, truth: &Mutex<Truth>) -> Vec<String> {
        let mut wrongs = Vec::new();
        for file in ["run/pools.json", UPSTREAM] {
            let path = directory.join(file);
            let Ok(meta) = fs::metadata(&path) else { continue };
            let inode = (meta.ino(), meta.mtime_nsec());
            if self.inodes.insert((d, file), inode) == Some(inode) {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let serving = match file {
                UPSTREAM => Some(of_file(&text)),
                _ => of_report(&text),
            };
            let Some(serving) = serving else { continue };
            let before = self.serving.insert((d, file), serving.clone()).unwrap_or_default();
            let truth = lock(truth);
            for ((pool, host), served) in before {
                let port = pools().into_iter().find(|(name, _)| *name == pool).map_or(0, |p| p.1);
                let leaves = served && serving.get(&(pool.clone(), host)) == Some(&false);
                // Of a table that this kernel has not, a process that begins knows nothing.
                let restarts = pool.starts_with("upstream");
                if leaves && truth.must_stay(d, (&pool, host, port), restarts) {
                    let (host, port) = (HOSTS[host], PORTS[port]);
                    wrongs.push(format!("{host}:{port} left {pool} on {d} for nothing ({file})"));
                }
            }
        }
        wrongs
    }
}

/// Nothing of a pool whose spare answers.
fn of_report(text: &str) -> Option<Serving> {
    let report: Report = serde_json::from_str(text).ok()?;
    let mut serving = Serving::new();
    for (name, pool) in report.pools.iter().filter(|(_, pool)| pool.spare.is_none()) {
        for (at, member) in &pool.members {
            let host = HOSTS.iter().position(|host| *host == member.host)?;
            let share = pool.shares.members.get(at)?;
            serving.insert((name.clone(), host), share.weight.is_some_and(|weight| weight > 0));
        }
    }
    Some(serving)
}

/// What nginx is told.
fn of_file(text: &str) -> Serving {
    let mut serving = Serving::new();
    if text.contains("127.0.0.1:8850 max_fails") {
        return serving;
    }
    for (n, _) in HOSTS.iter().enumerate() {
        let start = format!("server 192.0.2.{}:80 ", n + 3);
        if let Some(line) = text.lines().find(|line| line.trim().starts_with(&start)) {
            serving.insert(("upstream app".to_owned(), n), line.contains("weight="));
        }
    }
    serving
}
