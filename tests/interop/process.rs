//! A program of somebody else's on a host: started in its namespace, its output in a file, ended by
//! its process id when it is dropped.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failover::segment::{PATIENCE, Segment};

/// A directory of our own, which goes with it.
pub struct Directory(pub PathBuf);

impl Directory {
    /// One for a host.
    pub fn of(segment: &Segment, host: &str, program: &str) -> Directory {
        let name = format!("converge-{}-{program}", segment.namespace(host));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory of our own");
        Directory(path)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file of our own");
    }

    /// Reads a file in it.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub struct Process(Child);

impl Process {
    /// Starts it with these words as its command line.
    pub fn start(segment: &Segment, host: &str, words: &[&str], log: &Path) -> Process {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let also = file.try_clone().expect("a log");
        let mut command = segment.command(host);
        command.args(words).stdin(Stdio::null()).stdout(file).stderr(also);
        // `ip netns exec` becomes the program, so that the process id is the program's.
        Process(command.spawn().expect("ip can be run"))
    }

    /// Whether it is there.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().expect("our own child").is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("our own child");
    }

    /// Waits until it has ended.
    pub fn await_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.runs() {
            if Instant::now() > end {
                self.0.kill().expect("our own child");
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            // Told first: it has processes of its own to end.
            self.signal(Signal::SIGTERM);
            self.signal(Signal::SIGCONT);
            self.await_end();
        }
    }
}
