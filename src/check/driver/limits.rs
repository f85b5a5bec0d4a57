//! How many checks may run at the same time: as many as there are descriptors for.
//!
//! The soft limit is raised to the hard one, which costs nothing. The rest of the process keeps a
//! share for itself, so that checks which hang do not take the last descriptor from it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The rest of the process needs no more than this beside what it has open now.
const RESERVE: usize = 512;

/// Raises the limit of descriptors as far as it is allowed. How many there are, is answered.
pub(super) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    usize::try_from(raised.map_or(soft, |()| hard)).unwrap_or(usize::MAX)
}

/// How many descriptors this process has open.
pub(super) fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(RESERVE, Iterator::count)
}

/// How many of so many descriptors are for checks.
pub(super) fn share(limit: usize, open: usize) -> usize {
    limit.saturating_sub(open).saturating_sub(RESERVE.min(limit / 4)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_process_keeps_some_and_one_check_can_always_run() {
        assert_eq!(share(65_536, 24), 65_000);
        assert_eq!(share(256, 24), 168);
        assert_eq!(share(16, 24), 1);
    }
}
