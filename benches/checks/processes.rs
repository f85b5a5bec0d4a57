//! What a contestant takes: all processes here but those of the benchmark.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Of ended children in `/proc/PID/stat`, whatever the kernel's own clock is (proc(5), USER_HZ).
const TICK: Duration = Duration::from_millis(10);
/// In the environment of what belongs to the benchmark.
pub(crate) const OURS: &str = "CONVERGE_BENCH_OWN";

/// Memory in kilobytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    /// With what several share parted between them.
    pub(crate) pss: u64,
}

/// The processor time that all contestants' processes have had since they began, with what ended
/// children had.
pub(crate) fn cpu() -> Duration {
    contestants().into_iter().map(|pid| own_cpu(pid) + cpu_of_children(pid)).sum()
}

/// Of all threads that run, exactly: ticks would lose what ten processes take a little of.
fn own_cpu(pid: i32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanos = threads.flatten().filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn cpu_of_children(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold anything: state is field 3, cutime 16 and cstime 17.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u32 = fields.skip(13).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// What they take.
pub(crate) fn memory() -> Memory {
    let mut sum = Memory::default();
    for pid in contestants() {
        let file = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let value = |name: &str| -> u64 {
            let line = file.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        sum.rss += value("Rss:");
        sum.pss += value("Pss:");
    }
    sum
}

/// Ends all of them.
pub(crate) fn kill_contestants() {
    for pid in contestants() {
        // One that ended meanwhile is as well.
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}

/// All processes of this namespace but this, what belongs to it, and those that have ended.
fn contestants() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("proc is mounted").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = std::process::id().cast_signed();
    numbers.filter(|pid| *pid != own && !is_ours(*pid) && !has_ended(*pid)).collect()
}

fn is_ours(pid: i32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(OURS.as_bytes()))
}

fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
