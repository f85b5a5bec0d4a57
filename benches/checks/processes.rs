//! What a contestant takes: all processes here but those of the benchmark.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Of `/proc/PID/stat`, whatever the kernel's own clock is (proc(5), USER_HZ).
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
    let ticks = |pid: &i32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which may hold anything: state is field 3, utime 14 to cstime 17.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
    };
    let all: u64 = contestants().iter().map(ticks).sum();
    TICK * u32::try_from(all).expect("less than a year")
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
