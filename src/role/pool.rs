//! The words of a pool, which `[[virtual-server]]` and `[[upstream]]` share: when it is of use, and
//! what becomes of a server that fails.
//!
//! A quorum that could never be gained, or never be lost, is refused: nobody would notice before
//! the day that it is for.

use std::net::SocketAddr;
use std::time::Duration;

use super::check::Check;
use super::element::Element;
use super::fallback::Fallback;
use crate::diagnostic::Diagnostic;
use crate::document::{Field, Shape, Value, one_of};
use crate::pool::config::{Member, OnFailure, PoolConfig, Spare};

const COUNT: Shape = Shape::Integer { min: 1, max: i32::MAX as i64 };
const MARGIN: Shape = Shape::Integer { min: 0, max: i32::MAX as i64 };

/// `quorum`.
pub const QUORUM: Field = Field::optional(
    "quorum",
    COUNT,
    "The sum of weights of servers that are well below which the fallback answers.",
)
.default("1");

/// `hysteresis`.
pub const HYSTERESIS: Field = Field::optional(
    "hysteresis",
    MARGIN,
    "How far above the quorum a lost one has to rise, and how far below it one has to fall.",
)
.default("0");

/// `on-failure`.
pub const ON_FAILURE: Field = Field::optional(
    "on-failure",
    Shape::OneOf(&["remove", "quiesce"]),
    "A server that failed leaves the table, or gets no new connections.",
)
.default("remove");

/// `guard`.
pub const GUARD: Field = Field::optional(
    "guard",
    Shape::Bool,
    "Keeps the last good servers when all of them seem to fail at once, which is likely our fault.",
)
.default("true");

/// `slow-start`.
pub const SLOW_START: Field = Field::optional(
    "slow-start",
    Shape::Duration,
    "How long a server that comes back takes to its full weight.",
)
.default("0s");

impl Value for OnFailure {
    const WHAT: &'static str = "what becomes of a server that failed";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("remove", OnFailure::Remove), ("quiesce", OnFailure::Quiesce)];
        one_of("word", &words, text)
    }
}

/// A server that takes traffic there, with what is asked of it.
pub fn member(host: &str, server: SocketAddr, weight: u32, checks: &[Check]) -> Member {
    let checks = checks.iter().filter_map(|check| check.of(server)).collect();
    Member { host: host.to_owned(), server, weight, checks }
}

/// What holds for all servers of a pool.
#[derive(Clone, Debug)]
pub struct Words {
    quorum: u32,
    hysteresis: u32,
    on_failure: OnFailure,
    guard: bool,
    slow_start: Duration,
}

impl Words {
    /// Reads them. `weights` are those of the servers: a quorum that they cannot reach is an error.
    pub fn read(e: &Element<'_>, weights: impl Iterator<Item = u32>) -> Option<Words> {
        let quorum = e.get_or("quorum", 1_u32).value;
        let hysteresis = e.get_or("hysteresis", 0_u32).value;
        let sum: u64 = weights.map(u64::from).sum();
        if let Some(wrong) = unreachable(e, quorum, hysteresis, sum) {
            e.report(wrong);
            return None;
        }
        Some(Words {
            quorum,
            hysteresis,
            on_failure: e.get_or("on-failure", OnFailure::Remove).value,
            guard: e.get_or("guard", true).value,
            slow_start: e.get_or("slow-start", Duration::ZERO).value,
        })
    }

    /// The pool.
    pub fn pool(&self, name: String, members: Vec<Member>, spares: Vec<Spare>) -> PoolConfig {
        PoolConfig {
            name,
            members,
            quorum: self.quorum,
            hysteresis: self.hysteresis,
            on_failure: self.on_failure,
            guard: self.guard,
            slow_start: self.slow_start,
            spares,
        }
    }
}

/// A spare, asked what the servers are asked.
pub fn spare(fallback: Fallback, checks: &[Check]) -> Spare {
    let asked = match fallback {
        Fallback::At(at) => checks.iter().filter_map(|check| check.of_spare(at)).collect(),
        // What this host does itself it knows by other ways.
        Fallback::Sorry | Fallback::Local => Vec::new(),
    };
    Spare { name: fallback.to_string(), checks: asked }
}

/// What is wrong with a quorum that could never be gained, or never be lost.
fn unreachable(e: &Element<'_>, quorum: u32, hysteresis: u32, sum: u64) -> Option<Diagnostic> {
    let (most, margin) = (u64::from(quorum), u64::from(hysteresis));
    if margin >= most {
        let title = format!("a hysteresis of {margin} never lets a quorum of {most} be lost");
        let help = format!("it is lost below {most} - {margin}; at most {} would do", most - 1);
        return Some(e.mistake("hysteresis", title).help(help));
    }
    // Without servers, or with all of them drained, any quorum is lost, and meant to be.
    if sum == 0 || most + margin <= sum {
        return None;
    }
    if most > sum {
        let title = format!("a quorum of {most} cannot be reached: all weights together are {sum}");
        let help = "a quorum is a sum of weights, not a number of servers";
        return Some(e.mistake("quorum", title).help(help));
    }
    let title = format!(
        "a quorum that was lost would never come back: it takes {most} + {margin}, and all weights \
         together are {sum}"
    );
    Some(e.mistake("hysteresis", title))
}

#[cfg(test)]
mod tests;
