//! A program between its start and its burial.
//!
//! The end of the program is seen through a descriptor of the process, so that its number is not
//! given to another before the rest of its group is dealt with. Dropped, it is killed at once with
//! all of its group.

use std::io::{self, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};

use super::{End, INPUT, OUTPUT, Prepared, Script, ScriptError, Strays, watching};
use crate::host::{orphan, ready};

/// Between asking a late program to end and killing it.
const GRACE: Duration = Duration::from_secs(1);

/// Where programs find others, whatever we were started with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program, its group and its output.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    process: AsyncFd<OwnedFd>,
    /// Until the program is buried.
    group: Option<Pid>,
    pipe: Option<Receiver>,
    text: Vec<u8>,
}

impl Running {
    pub(super) fn start(prepared: &Prepared, script: &Script) -> Result<Self, ScriptError> {
        let watching = |source| watching(prepared, source);
        let mut command = Command::new(&prepared.program);
        command.args(&script.argv[1..]).current_dir("/").process_group(0).kill_on_drop(true);
        command.env_clear().env("PATH", PATH).env("SHELL", "/bin/sh").env("LANG", "C.UTF-8");
        prepared.account.assume(&mut command);
        command.envs(script.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(input(&script.input).map_err(watching)?);
        let (reader, writer) = pipe().map_err(watching)?;
        command.stdout(writer.try_clone().map_err(watching)?).stderr(writer);
        orphan::forbid(&mut command);
        let pipe = Receiver::from_owned_fd(reader.into()).map_err(watching)?;
        let started = command.spawn();
        let child = started.map_err(|source| {
            let program = prepared.program.clone();
            ScriptError::Start { program, source }
        })?;
        let number = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let number = number.expect("a child that nobody waited for has its number");
        let process = pidfd_open(number, PidfdFlags::NONBLOCK).map_err(io::Error::from);
        let process = process.and_then(ready::readable).map_err(watching)?;
        Ok(Running { child, process, group: Some(number), pipe: Some(pipe), text: Vec::new() })
    }

    /// Reads what it prints until it has ended. `false`: it had not by then.
    pub(super) async fn wait(&mut self, over: Instant) -> bool {
        let mut chunk = [0; 1024];
        loop {
            let Running { process, pipe, text, .. } = self;
            tokio::select! {
                // A program that never stops printing must not keep the clock from being seen.
                biased;
                // An error would come again and again; the program is taken for ended.
                _ready = process.readable() => return true,
                () = sleep_until(over) => return false,
                read = read(pipe.as_mut(), &mut chunk), if pipe.is_some() => match read {
                    Ok(0) | Err(_) => *pipe = None,
                    Ok(n) => keep(text, &chunk[..n]),
                },
            }
        }
    }

    /// Buries a program that has ended.
    pub(super) async fn end(&mut self, strays: Strays) -> io::Result<End> {
        self.read_the_rest();
        // Before the burial, for after it the number may be another group's.
        match (self.group.take(), strays) {
            (Some(group), Strays::Kill) => signal(group, Signal::KILL),
            (Some(_), Strays::Leave) | (None, _) => {}
        }
        let status = self.child.wait().await?;
        // It has either ended by itself or by a signal.
        Ok(status
            .code()
            .map_or_else(|| End::Killed(status.signal().unwrap_or_default()), End::Exited))
    }

    /// What others in the group hold open does not end, so only what is there is read.
    fn read_the_rest(&mut self) {
        let mut chunk = [0; 1024];
        while let Some(pipe) = &self.pipe
            && self.text.len() < OUTPUT
        {
            // Past the runtime, which may not have heard yet that there is something.
            match nix::unistd::read(pipe, &mut chunk) {
                Ok(n) if n > 0 => keep(&mut self.text, &chunk[..n]),
                Ok(_) | Err(_) => self.pipe = None,
            }
        }
    }

    /// What it has printed up to now.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&self.text).trim().to_owned()
    }

    /// Kills it with all of its group: asks first, then does.
    pub(super) async fn kill(mut self) {
        let Some(group) = self.group else { return };
        signal(group, Signal::TERM);
        // In time or not, the rest of the group goes the hard way.
        let _in_time = timeout(GRACE, self.process.readable()).await.is_ok();
        signal(group, Signal::KILL);
        self.group = None;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "a killed script cannot be waited for");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            signal(group, Signal::KILL);
        }
    }
}

fn signal(group: Pid, signal: Signal) {
    match kill_process_group(group, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => {
            tracing::warn!(group = group.as_raw_nonzero(), %error, "cannot kill a script")
        }
    }
}

async fn read(pipe: Option<&mut Receiver>, chunk: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(chunk).await,
        None => Ok(0),
    }
}

fn keep(text: &mut Vec<u8>, chunk: &[u8]) {
    let room = OUTPUT - text.len();
    text.extend_from_slice(&chunk[..chunk.len().min(room)]);
}

/// What the program can read, put where it waits for it.
fn input(text: &str) -> io::Result<Stdio> {
    if text.is_empty() {
        return Ok(Stdio::null());
    }
    let (reader, mut writer) = pipe()?;
    writer.write_all(&text.as_bytes()[..text.len().min(INPUT)])?;
    Ok(reader.into())
}
