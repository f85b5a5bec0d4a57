//! Gives memory back that was used for a moment.
//!
//! Reading the files of a large cluster takes many times the memory that is kept of it, in small
//! pieces between which some stay; the allocator would hold on to all of it for ever.

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

/// From this size on, in bytes, what is freed goes back at once. Left alone, the allocator raises
/// it to the largest that it has seen, and keeps megabytes of holes between what is still used;
/// where VRRP has the memory locked nothing gives those back.
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
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a plain C function that no crate wraps")]
fn give_back() {
    // SAFETY: it takes the allocator's own locks and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}
