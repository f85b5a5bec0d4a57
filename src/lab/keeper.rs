//! The process between the daemon and one machine, so that no machine outlives its owner.
//!
//! A user-mode Linux machine is many processes: killing the first alone leaves the others
//! spinning. The keeper starts it as a process group, is the reaper of all of it, and kills the
//! whole group when the machine ends or when its own standard input does, which is when the
//! daemon lets go of it or dies, by whatever signal.

use std::ffi::OsString;
use std::io::{self, Read, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// Runs a command line as a process group until it ends or standard input does. Writes the group's
/// number on standard output first; the command's own output goes to standard error.
pub fn keep(command: &[OsString]) -> io::Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    set_child_subreaper(true)?;
    let console = io::stderr().as_fd().try_clone_to_owned()?;
    let mut child = Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(console)
        .spawn()?;
    let group = Pid::from_raw(child.id().cast_signed());
    thread::spawn(move || {
        // An error on the lifeline means the same as its end.
        stdin().read_to_end(&mut Vec::new()).ok();
        kill(group);
    });
    writeln!(stdout(), "{group}")?;
    child.wait()?;
    kill(group);
    while waitpid(Pid::from_raw(-1), None) != Err(Errno::ECHILD) {}
    Ok(())
}

/// Kills all that is left of a machine.
pub fn kill(group: Pid) {
    // ESRCH is what we want.
    killpg(group, Signal::SIGKILL).ok();
}
