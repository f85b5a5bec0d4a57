//! Lets no program that we start outlive us, and gives it the limits that it expects.
//!
//! The kernel kills it when the thread that started it ends, however that came about. Programs are
//! therefore started on the main thread, or on a worker of a runtime that lasts as long as the
//! process, and never on a thread that comes and goes. What the program itself starts is not
//! covered; a script has a process group for that.

use std::io;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit,
};
use tokio::process::Command;

/// The descriptors that a program may have unless it asks for more (systemd's standard): one that
/// uses select(2) breaks with more, and we ourselves raise the limit for our checks.
const FILES: u64 = 1024;

/// Has the kernel kill what this command starts when we end.
#[expect(unsafe_code, reason = "no crate runs code in a child before it is the program")]
pub fn forbid(command: &mut Command) {
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes some system calls and allocates nothing.
    unsafe { command.pre_exec(move || die_with(parent)) };
}

fn die_with(parent: Pid) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = Some(current.map_or(FILES, |current| current.min(FILES)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    // Comes after the change of user, which would undo it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended in between, and then no signal would come any more.
    match getppid() == Some(parent) {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(nix::errno::Errno::ESRCH as i32)),
    }
}
