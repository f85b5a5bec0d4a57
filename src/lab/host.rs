//! One machine of a lab, and its cable, as a test handles them.
//!
//! Both are names with a reference to the lab, so they are cheap and can be copied into threads.
//! Every call asks the daemon and blocks until it is done.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::client::Lab;
use super::control::{HostStatus, Life, Request, to_line};
use super::error::{LabError, Output};
use super::exchange::exchange;
use super::frame::Start;
use super::switch::{Damage, Direction};
use super::verdict;
use crate::probe::report::Report;

/// Twenty times what a boot takes on two cores with nothing else to do.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// Long for any command of a test; [`Host::run_for`] takes another limit.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// Beyond a command's own limit, for the machine to say that it was reached.
const GRACE: Duration = Duration::from_secs(5);
/// Between two tries of [`Host::until`].
const RETRY: Duration = Duration::from_millis(100);
/// Longer than systemd in a machine waits for a unit, which is 10 s.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(30);
/// Lines of the journal in an error.
const JOURNAL: usize = 15;

/// One machine of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl<'a> Host<'a> {
    pub(super) fn new(lab: &'a Lab, name: &'a str) -> Host<'a> {
        Host { lab, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Runs a line of bash, and waits for its end.
    pub fn run(&self, command: &str) -> Result<Output, LabError> {
        self.run_for(command, b"", COMMAND_PATIENCE)
    }

    /// Runs a line of bash that has to succeed.
    pub fn ok(&self, command: &str) -> Result<Output, LabError> {
        let output = self.run(command)?;
        if output.success() {
            return Ok(output);
        }
        Err(self.failed(command, output))
    }

    /// Runs a line of bash with this input, killed after this long.
    pub fn run_for(
        &self,
        command: &str,
        stdin: &[u8],
        patience: Duration,
    ) -> Result<Output, LabError> {
        let timeout_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let start = Start { line: command.to_owned(), terminal: None, timeout_ms };
        let (stream, reader) = self.open(start)?;
        let exchanged = exchange(stream, reader, stdin, patience + GRACE);
        exchanged.map_err(|source| LabError::Lost {
            host: self.name.to_owned(),
            command: command.to_owned(),
            source,
            logs: self.lab.console(self.name),
        })
    }

    /// Runs a line of bash again and again until it succeeds, or fails when this time is over.
    pub fn until(&self, command: &str, patience: Duration) -> Result<Output, LabError> {
        let deadline = Instant::now() + patience;
        loop {
            let output = self.run(command)?;
            if output.success() {
                return Ok(output);
            }
            if Instant::now() >= deadline {
                return Err(self.failed(command, output));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Starts a command and gives its stream of [`Message`]s, all with the ID 0.
    pub(super) fn open(
        &self,
        start: Start,
    ) -> Result<(UnixStream, BufReader<UnixStream>), LabError> {
        let command = start.line.clone();
        let lost = |source| LabError::Lost {
            host: self.name.to_owned(),
            command: command.clone(),
            source,
            logs: self.lab.console(self.name),
        };
        let mut stream = self.lab.connect()?;
        let request = Request::Open { host: self.name.to_owned(), start };
        stream.write_all(to_line(&request).as_bytes()).map_err(lost)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(lost)?);
        let mut line = String::new();
        reader.read_line(&mut line).map_err(lost)?;
        if line.is_empty() {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        self.lab.understand(&line)?;
        Ok((stream, reader))
    }

    /// What it sees in so many requests to this URL, one after the other.
    pub fn probe(&self, url: &str, count: u32) -> Result<Report, LabError> {
        let command = format!("converge probe {} --count {count} -o json", quote(url));
        let output = self.run(&command)?;
        // A probe with errors fails, and its report says so.
        verdict::read(&output.stdout).map_err(|_| self.failed(&command, output))
    }

    /// Writes a file, and the directories it needs. It is whole even if the plug is pulled right
    /// after.
    pub fn write_file(&self, path: &str, text: impl AsRef<[u8]>) -> Result<(), LabError> {
        let (path, new) = (quote(path), quote(&format!("{path}.new")));
        let command = format!(
            "mkdir -p \"$(dirname {path})\" && cat > {new} && sync {new} && mv {new} {path}"
        );
        let output = self.run_for(&command, text.as_ref(), COMMAND_PATIENCE)?;
        if output.success() { Ok(()) } else { Err(self.failed(&command, output)) }
    }

    /// Reads a file.
    pub fn read_file(&self, path: &str) -> Result<String, LabError> {
        self.ok(&format!("cat {}", quote(path))).map(|output| output.stdout)
    }

    /// Pulls the plug: what was not on the disk yet is lost.
    pub fn kill(&self) -> Result<(), LabError> {
        self.ask(Request::Kill { host: self.name.to_owned() })
    }

    /// Powers it on, with the disk it had, and waits until it is ready.
    pub fn boot(&self) -> Result<(), LabError> {
        self.power_on()?;
        self.await_ready(BOOT_PATIENCE)
    }

    /// Powers it on without waiting.
    pub fn power_on(&self) -> Result<(), LabError> {
        self.ask(Request::Boot { host: self.name.to_owned() })
    }

    /// Shuts it down in order; it stays down.
    pub fn shut_down(&self) -> Result<(), LabError> {
        self.ok("systemctl --no-block poweroff")?;
        self.wait_for(|status| status.life == Life::Down)
    }

    /// Lets it boot itself again in order, and waits until it is ready.
    pub fn reboot(&self) -> Result<(), LabError> {
        let boots = self.status()?.boots;
        self.ok("systemctl --no-block reboot")?;
        self.wait_for(|status| status.boots > boots)?;
        self.await_ready(BOOT_PATIENCE)
    }

    /// How it is.
    pub fn status(&self) -> Result<HostStatus, LabError> {
        let all = self.lab.status()?;
        let found = all.into_iter().find(|status| status.name == self.name);
        found.ok_or_else(|| LabError::NotUp { name: self.lab.name().to_owned() })
    }

    fn wait_for(&self, come: impl Fn(&HostStatus) -> bool) -> Result<(), LabError> {
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        while !come(&self.status()?) {
            if Instant::now() >= deadline {
                return Err(LabError::NoEnd {
                    host: self.name.to_owned(),
                    patience: SHUTDOWN_PATIENCE,
                    logs: self.logs(),
                });
            }
            std::thread::sleep(RETRY);
        }
        Ok(())
    }

    /// Lets none of its instructions run: a virtual machine whose host is busy elsewhere.
    pub fn stop(&self) -> Result<(), LabError> {
        self.ask(Request::Stop { host: self.name.to_owned() })
    }

    /// Lets it run on after [`stop`](Host::stop).
    pub fn resume(&self) -> Result<(), LabError> {
        self.ask(Request::Resume { host: self.name.to_owned() })
    }

    /// Writes what it sends and receives to this file from now on.
    pub fn pcap(&self, path: &Path) -> Result<(), LabError> {
        self.lab.capture(Some(self.name), path)
    }

    /// Waits until it has booted.
    pub fn await_ready(&self, patience: Duration) -> Result<(), LabError> {
        self.ask(Request::Await { host: self.name.to_owned(), patience })
    }

    /// The end of its console and journal.
    pub fn logs(&self) -> String {
        let journal =
            format!("journalctl --no-pager --no-hostname -o short-monotonic --lines={JOURNAL}");
        let journal = self.run_for(&journal, b"", GRACE).map(|output| output.stdout);
        let console = self.lab.console(self.name);
        format!("{console}\n{}", journal.unwrap_or_default())
    }

    fn ask(&self, request: Request) -> Result<(), LabError> {
        self.lab.ask(&request).map(drop)
    }

    /// The error of a command that ended like this.
    pub fn failed(&self, command: &str, output: Output) -> LabError {
        LabError::Failed {
            host: self.name.to_owned(),
            command: command.to_owned(),
            output: Box::new(output),
            logs: self.logs(),
        }
    }
}

/// The cable between a machine and the switch.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl<'a> Link<'a> {
    pub(super) fn new(host: Host<'a>) -> Link<'a> {
        Link { lab: host.lab, name: host.name }
    }

    /// Nothing passes any more.
    pub fn cut(&self, direction: Direction) -> Result<(), LabError> {
        self.damage(direction, Damage::Cut)
    }

    /// Everything passes this much later.
    pub fn delay(&self, direction: Direction, delay: Duration) -> Result<(), LabError> {
        self.damage(direction, Damage::Delay(delay))
    }

    /// This share of the frames, 0 to 1, is lost.
    pub fn loss(&self, direction: Direction, share: f64) -> Result<(), LabError> {
        self.damage(direction, Damage::Loss(share))
    }

    /// This share of the frames, 0 to 1, arrives twice.
    pub fn duplicate(&self, direction: Direction, share: f64) -> Result<(), LabError> {
        self.damage(direction, Damage::Duplicate(share))
    }

    /// As good as new.
    pub fn heal(&self) -> Result<(), LabError> {
        self.damage(Direction::Both, Damage::Heal)
    }

    /// Any of these.
    pub fn damage(&self, direction: Direction, damage: Damage) -> Result<(), LabError> {
        let host = self.name.to_owned();
        self.lab.ask(&Request::Damage { host, direction, damage }).map(drop)
    }
}

/// A word for the shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
