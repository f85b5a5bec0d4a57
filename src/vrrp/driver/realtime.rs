//! Keeps the driver's threads on time: scheduled before others, and never waiting for a page.
//!
//! Neither is needed to be right, only to be on time under load, so what the kernel refuses is
//! said and no more. Memory is locked as it is touched, not all that could be: the process stays
//! as small as it was.

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;

use crate::host::memory;

/// The real-time priority: above what batch jobs are given by hand, below the kernel's own
/// threads (50 for threaded interrupts).
const PRIORITY: libc::c_int = 20;

/// What the thread touches of its stack beforehand. It uses less than a quarter of that.
const STACK: usize = 64 * 1024;

/// What the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RealtimeError {
    /// Real-time scheduling.
    #[error("real-time scheduling is refused ({0}): advertisements may be late under load")]
    Schedule(Errno),
    /// Locked memory.
    #[error("locking memory is refused ({0}): advertisements may be late when memory is short")]
    Memory(Errno),
}

/// Locks the memory of the process: no page that was touched once is waited for.
pub(super) fn lock_memory() -> Result<(), RealtimeError> {
    memory::lock().map_err(RealtimeError::Memory)
}

/// Schedules the calling thread before those of no real-time priority.
pub(super) fn schedule() -> Result<(), RealtimeError> {
    touch_stack();
    // Without real-time priority the kernel may delay a timer by 50 µs to save a wake-up.
    prctl::set_timerslack(1).map_err(RealtimeError::Schedule)?;
    set_fifo(PRIORITY).map_err(RealtimeError::Schedule)
}

/// A page of the stack that was never used is not there to be locked.
#[inline(never)]
fn touch_stack() {
    let mut stack = [0u8; STACK];
    std::hint::black_box(&mut stack);
}

#[expect(unsafe_code, reason = "neither nix nor rustix has sched_setscheduler(2)")]
fn set_fifo(priority: libc::c_int) -> Result<(), Errno> {
    // Children, such as scripts, begin as ordinary processes.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads `parameter`, which outlives the call; 0 is the calling thread.
    Errno::result(unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) }).map(drop)
}
