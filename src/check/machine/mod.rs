//! The checker: when each check is made, and what its outcomes add up to.
//!
//! Pure: it is told the time, and says what is to begin and to end. For now it only names the
//! executions of checks.

/// One execution of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Run {
    /// The number of its check: as small as it can be, and of no other run in flight.
    pub fn index(self) -> u32 {
        self.index
    }
}
