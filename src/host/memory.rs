//! Gives memory back that was used for a moment.
//!
//! Reading the files of a large cluster takes many times the memory that is kept of it, in small
//! pieces between which some stay; the allocator would hold on to all of it for ever.

/// Gives back what is free. Takes milliseconds for a hundred megabytes, so it is for what happens
/// rarely.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a plain C function that no crate wraps")]
pub fn give_back() {
    // SAFETY: it takes the allocator's own locks and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
