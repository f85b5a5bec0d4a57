//! Finds processes by name, and holds on to one.
//!
//! A name is the kernel's own, of at most 15 bytes (proc(5): comm), or the whole command line. A
//! zombie does not count: it does nothing any more. A process that is held is told from a later one
//! of the same number, and its end is heard of at once.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use super::ready;

/// What a process is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessName {
    /// The kernel's name for it.
    Short(String),
    /// Its command line, its arguments parted by spaces.
    CommandLine(String),
}

impl ProcessName {
    /// Whether a process is there, is called so, and is no zombie.
    pub fn is(&self, pid: u32) -> bool {
        // One line: "PID (NAME) STATE …", where NAME may have any characters.
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return false };
        let stat = String::from_utf8_lossy(&stat);
        let Some((name, rest)) = stat.rsplit_once(") ") else { return false };
        if rest.starts_with(['Z', 'X']) {
            return false;
        }
        match self {
            ProcessName::Short(own) => name.split_once('(').is_some_and(|(_, name)| name == own),
            ProcessName::CommandLine(own) => command_line(pid).is_some_and(|line| line == *own),
        }
    }

    /// The first process that is called so. Reads all of `/proc`, which may block.
    pub fn find(&self) -> io::Result<Option<u32>> {
        for entry in fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.filter(|pid| self.is(*pid)) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }
}

fn command_line(pid: u32) -> Option<String> {
    let mut bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // Each argument ends with a NUL; a process that rewrote its line may have more at the end.
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

/// A process that cannot be taken for another.
#[derive(Debug)]
pub struct Held {
    pid: u32,
    ended: AsyncFd<OwnedFd>,
}

impl Held {
    /// Takes hold of a process if it is there and called so.
    pub fn new(pid: u32, name: &ProcessName) -> io::Result<Option<Held>> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(number) = number else { return Ok(None) };
        let ended = match pidfd_open(number, PidfdFlags::NONBLOCK) {
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            other => ready::readable(other?)?,
        };
        // Looked at again with the descriptor in hand: now it is the same one for good.
        Ok(name.is(pid).then_some(Held { pid, ended }))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        // An error means that the runtime ends, and we with it.
        let _ready = self.ended.readable().await.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_process_is_found_by_name_or_by_line_until_it_ends() {
        let mut child = Command::new("/bin/sleep").arg("61.2345").spawn().expect("starts");
        let pid = child.id();
        let short = ProcessName::Short("sleep".into());
        let whole = ProcessName::CommandLine("/bin/sleep 61.2345".into());
        // Between fork and exec it has our own name.
        while !short.is(pid) || !whole.is(pid) {
            std::thread::yield_now();
        }
        assert!(!ProcessName::Short("slee".into()).is(pid));
        assert_eq!(whole.find().expect("reads"), Some(pid));
        let held = Held::new(pid, &whole).expect("opens").expect("is there");
        assert!(timeout(Duration::from_millis(50), held.ended()).await.is_err(), "it runs");
        child.kill().expect("ours");
        timeout(Duration::from_secs(5), held.ended()).await.expect("heard of at once");
        // A zombie, for nobody has waited for it.
        assert!(!short.is(pid) && !whole.is(pid));
        child.wait().expect("ours");
        assert!(Held::new(pid, &whole).expect("opens").is_none());
        assert_eq!(whole.find().expect("reads"), None);
    }
}
