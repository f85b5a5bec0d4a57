//! Why a connection between two directors was not believed.
//!
//! Each reason says what was seen, and where it is somebody's slip, which one. They are told apart
//! by [`Refusal::name`], so that a stranger who tries again and again is spoken of once.

use super::frame::VERSION;

/// Why a connection was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The first bytes are not those of a link.
    #[error("what connected there is not converge")]
    Foreign,
    /// Another version of the link.
    #[error("its link speaks version {theirs}, this host {VERSION}; converge differs there")]
    Version {
        /// The other's version.
        theirs: u8,
    },
    /// Our own nonce came back.
    #[error("somebody sends back what this host sent")]
    Reflected,
    /// The first frame was not signed with our key.
    #[error("its cluster key is another; every director needs the same cluster.key")]
    Key,
    /// A later frame was not: bytes were changed, lost or put in.
    #[error("frame {counter} was changed on the way")]
    Forged {
        /// The number that the frame gives itself.
        counter: u64,
    },
    /// A frame came a second time.
    #[error("frame {counter} came again where {expected} was next")]
    Replayed {
        /// The frame's number.
        counter: u64,
        /// The number that was next.
        expected: u64,
    },
    /// A frame came before its turn.
    #[error("frame {counter} came where {expected} was next")]
    Reordered {
        /// The frame's number.
        counter: u64,
        /// The number that was next.
        expected: u64,
    },
    /// A frame that is longer than any that we send.
    #[error("a frame of {length} bytes, where at most {most} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The most.
        most: usize,
    },
    /// The bytes end within a frame.
    #[error("the bytes end {missing} short of a whole frame")]
    Truncated {
        /// How many more were to come, as far as can be told.
        missing: usize,
    },
    /// A signed frame that does not hold what its kind has.
    #[error("a message has a wrong {what}")]
    Malformed {
        /// What is wrong in it.
        what: &'static str,
    },
    /// Something was said before the name.
    #[error("it does not begin with its name")]
    Nameless,
    /// Another host than the one that has the address.
    #[error(
        "it calls itself {says}, but has the address of {expected}; do the cluster files differ?"
    )]
    WrongHost {
        /// The name that it gives.
        says: String,
        /// The name that belongs to the address.
        expected: String,
    },
    /// It takes us for another.
    #[error("it takes this host for {meant}; do the cluster files differ?")]
    WrongTarget {
        /// Whom it wanted.
        meant: String,
    },
    /// It did not prove itself in time.
    #[error("it did not prove itself in time; is its process stalled?")]
    Late,
}

impl Refusal {
    /// The reason without its details.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Foreign => "foreign",
            Refusal::Version { .. } => "version",
            Refusal::Reflected => "reflected",
            Refusal::Key => "key",
            Refusal::Forged { .. } => "forged",
            Refusal::Replayed { .. } => "replayed",
            Refusal::Reordered { .. } => "reordered",
            Refusal::TooLong { .. } => "too-long",
            Refusal::Truncated { .. } => "truncated",
            Refusal::Malformed { .. } => "malformed",
            Refusal::Nameless => "nameless",
            Refusal::WrongHost { .. } => "wrong-host",
            Refusal::WrongTarget { .. } => "wrong-target",
            Refusal::Late => "late",
        }
    }
}
