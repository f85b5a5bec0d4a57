//! How much the machine was somebody else's while something was measured.
//!
//! A thread that sleeps for a moment, again and again, sees how late it is woken: a contestant is
//! woken no sooner. What was measured while it was very late is measured again.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(5);
/// A program that is woken so late does not keep any beat, whatever it is.
pub(crate) const TOO_LATE: Duration = Duration::from_millis(100);

/// A look at the machine.
pub(crate) struct Calm {
    is_over: Arc<AtomicBool>,
    sleeper: JoinHandle<Duration>,
    idle: (u64, u64),
}

impl Calm {
    pub(crate) fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let sleeper = thread::spawn(move || {
            let mut worst = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                thread::sleep(NAP);
                worst = worst.max(start.elapsed().saturating_sub(NAP));
            }
            worst
        });
        Calm { is_over, sleeper, idle: idle() }
    }

    /// How late it was woken at worst, and how much of the machine nobody used, in percent.
    pub(crate) fn end(self) -> (Duration, f64) {
        self.is_over.store(true, Ordering::Relaxed);
        let worst = self.sleeper.join().expect("it does not panic");
        let (before, now) = (self.idle, idle());
        let share = (now.0 - before.0) as f64 / (now.1 - before.1).max(1) as f64;
        (worst, share * 100.0)
    }
}

/// Ticks of all processors: when they were idle, and all.
fn idle() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").expect("proc is mounted");
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    // proc(5): user nice system idle iowait irq softirq steal; guests are counted in user.
    let all = ticks.iter().take(8).sum();
    (ticks.iter().skip(3).take(2).sum(), all)
}
