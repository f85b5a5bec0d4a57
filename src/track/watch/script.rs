//! A script that ends with status 0.
//!
//! One that cannot be run has failed: that is the only safe reading of a check that is gone. What
//! it printed stands with the reason.

use std::time::Duration;

use super::{Failure, Outcome, Source, bad};
use crate::host::chain;
use crate::host::script::{End, Ran, Runner, Script, Strays};

pub(super) struct Check {
    script: Script,
    limit: Duration,
    runner: Runner,
}

impl Check {
    pub(super) fn new(argv: Vec<String>, user: Option<String>, limit: Duration) -> Self {
        let script = Script { argv, user, ..Script::default() };
        Check { script, limit, runner: Runner::default() }
    }
}

impl Source for Check {
    async fn look(&mut self) -> Outcome {
        match self.runner.run(&self.script, self.limit, Strays::Kill).await {
            Ok(Ran { end: End::Exited(0), .. }) => Outcome::Good,
            Ok(Ran { end, output }) => {
                Outcome::Bad(Failure { what: end.to_string(), said: output })
            }
            Err(error) => bad(chain(&error)),
        }
    }
}
