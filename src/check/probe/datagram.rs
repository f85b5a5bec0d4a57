//! A question in one datagram, and the answers to it.
//!
//! A datagram can be lost, come twice or come from somebody else: [`judge`] says whether one is an
//! answer to this very question before it says what the answer is worth. Who drives it waits on
//! after one that is not, and takes what [`silence`] says when the time is up.

use crate::check::config::Datagram;
use crate::check::outcome::{Advice, Failure, Outcome};

/// What is sent, and what tells an answer to it from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The datagram that is sent.
    pub send: Vec<u8>,
}

/// The question, with these random bytes as its number: two questions have different ones.
pub fn question(datagram: &Datagram, _random: [u8; 16]) -> Question {
    let send = match datagram {
        Datagram::Udp { payload, .. } => payload.clone(),
        Datagram::Dns(_) | Datagram::Sip { .. } | Datagram::Radius { .. } => Vec::new(),
    };
    Question { send }
}

/// What a datagram that came says. None: it is no answer to this question, and one is waited for
/// still.
pub fn judge(_datagram: &Datagram, _question: &Question, _reply: &[u8]) -> Option<Outcome> {
    None
}

/// How the check ends if no answer comes in time.
pub fn silence(datagram: &Datagram) -> Outcome {
    match datagram {
        Datagram::Udp { reply: None, .. } => Outcome::Good(Advice::default()),
        Datagram::Udp { .. }
        | Datagram::Dns(_)
        | Datagram::Sip { .. }
        | Datagram::Radius { .. } => Outcome::Bad(Failure::silent("no answer came")),
    }
}
