//! Gives memory back that was used for a moment.
//!
//! Reading the files of a large cluster takes many times the memory that is kept of it, in small
//! pieces between which some stay; the allocator would hold on to all of it for ever. VRRP has the
//! memory locked, and the kernel takes nothing back of that: it is unlocked for that moment.

use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

/// Whether the memory is locked. Held while it is locked or given back.
static LOCKED: Mutex<bool> = Mutex::new(false);

/// So many beats after files were read, what followed from them is done.
const BEATS: u8 = 3;

/// What reading files took: given back at once, and what followed from it some beats later.
#[derive(Debug)]
pub struct Spare(u8);

impl Spare {
    /// Files were read.
    pub fn give_back() -> Self {
        keep_little();
        give_back();
        Spare(BEATS)
    }

    /// Some time has passed.
    pub fn beat(&mut self) {
        if self.0 == 1 {
            give_back();
        }
        self.0 = self.0.saturating_sub(1);
    }
}

/// Locks the memory of the process, now and in the future, page by page as it is touched
/// (mlockall(2) with MCL_ONFAULT, since Linux 4.4): what was touched once is never waited for.
///
/// # Errors
///
/// What the kernel says, mostly EPERM or ENOMEM for want of RLIMIT_MEMLOCK and CAP_IPC_LOCK.
pub fn lock() -> Result<(), Errno> {
    let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    lock_all()?;
    *locked = true;
    Ok(())
}

fn lock_all() -> Result<(), Errno> {
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)
}

/// From this size on, in bytes, what is freed goes back at once. Left alone, the allocator raises
/// it to the largest that it has seen, and keeps megabytes of holes between what is still used.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 * 1024;

/// Has the allocator keep little.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a plain C function that no crate wraps")]
fn keep_little() {
    // SAFETY: it takes the allocator's own lock and sets a number. What it answers tells only
    // whether the number is one that it knows.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other allocators do not need to be told.
#[cfg(not(target_env = "gnu"))]
fn keep_little() {}

/// Gives back what is free. Takes milliseconds for a hundred megabytes, and allocators' locks, so
/// it is for what happens rarely.
fn give_back() {
    let locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*locked {
        return trim();
    }
    // The kernel refuses to take back what is locked (madvise(2), MADV_DONTNEED).
    if let Err(error) = munlockall() {
        tracing::warn!("memory that is free stays with converge: munlockall: {error}");
    }
    trim();
    if let Err(error) = lock_all() {
        tracing::warn!("memory is no longer locked, VRRP may be late when it is short: {error}");
    }
}

/// Has the allocator give back what is free.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a plain C function that no crate wraps")]
fn trim() {
    // SAFETY: it takes the allocator's own locks and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Many times what other tests use at the same time.
    const MUCH: usize = 512 << 20;
    /// Small enough not to be mapped by itself.
    const PIECE: usize = 16 << 10;

    /// Of the process, in bytes, from `/proc/self/status`.
    fn figure(name: &str) -> usize {
        let status = fs::read_to_string("/proc/self/status").expect("proc is mounted");
        let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
        let number = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
        number.expect("kilobytes") << 10
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_is_free_goes_back_of_locked_memory_too_and_the_rest_stays_locked() {
        if let Err(error) = lock() {
            eprintln!("SKIPPED: memory cannot be locked here: {error}");
            return;
        }
        let mut pieces: Vec<Vec<u8>> = (0..MUCH / PIECE).map(|_| vec![1; PIECE]).collect();
        // What stays in use in between keeps the allocator from giving back by itself.
        let mut nth = 0;
        pieces.retain(|_| {
            nth += 1;
            nth % 64 == 0
        });
        let before = figure("VmRSS");
        give_back();
        let after = figure("VmRSS");
        assert!(after + MUCH / 2 < before, "{before} bytes, and {after} then");
        assert!(figure("VmLck") > after / 2, "it is locked again");
        drop(pieces);
        munlockall().expect("everybody may");
        *LOCKED.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
