//! A program that says by its exit code how the server is.
//!
//! One that cannot be run is a server that nobody knows to be well: that is bad, too. Only a kernel
//! that has no room for a process leaves things as they are. What a program found does not prove
//! that the way to the server is open, so it counts as silence. Its environment is that of all
//! programs of the administrator ([`script::Script`]), and `CONVERGE_TARGET_ADDRESS`.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::check::config::{CheckConfig, Script};
use crate::check::outcome::{Advice, Asked, Failure, Outcome};
use crate::host::chain;
use crate::host::script::{self, End, Ran, Runner, ScriptError, Strays};

/// Why a program was not run.
pub(super) const BUSY: &str = "users and files of too many other programs are still looked up";

/// How much of what it printed stands with the reason.
const SHOWN: usize = 120;

pub(super) async fn ask(
    script: &Script,
    looks: Arc<Semaphore>,
    check: &CheckConfig,
    runner: &mut Runner,
    over: Instant,
) -> Outcome {
    let left = || over.saturating_duration_since(Instant::now());
    // Looks that hang are of other programs, and say nothing of this server.
    let soon = Instant::now() + left() / 2;
    let Ok(Ok(look)) = timeout_at(soon, looks.acquire_owned()).await else {
        return Outcome::Unmade(BUSY.to_owned());
    };
    let mut environment = vec![("CONVERGE_TARGET_ADDRESS", check.target.address.to_string())];
    let port = Some(check.target.port).filter(|port| *port != 0);
    environment.extend(port.map(|port| ("CONVERGE_TARGET_PORT", port.to_string())));
    let (argv, user) = (script.argv.clone(), script.user.clone());
    let program = script::Script { argv, user, environment, input: String::new() };
    match runner.run_keeping(look, &program, left(), Strays::Kill).await {
        Ok(ran) => judge(&ran, script.dynamic, check),
        Err(error) => refused(&error, check),
    }
}

fn judge(ran: &Ran, dynamic: bool, check: &CheckConfig) -> Outcome {
    match ran.end {
        End::Exited(0) => Outcome::Good(Advice::default()),
        // As keepalived's misc_dynamic: 2 is weight 0, 255 is weight 253.
        End::Exited(code @ 2..=255) if dynamic => {
            let weight = Some(Asked::Weight(code.unsigned_abs() - 2));
            Outcome::Good(Advice { weight, ..Advice::default() })
        }
        // How much of the limit was left to it differs each time.
        End::Late(_) => Outcome::Bad(super::late(check)),
        End::Exited(_) | End::Killed(_) => {
            let said = shown(&ran.output);
            let colon = if said.is_empty() { "" } else { ": " };
            Outcome::Bad(Failure::silent(format!("{}{colon}{said}", ran.end)))
        }
    }
}

pub(super) fn refused(error: &ScriptError, check: &CheckConfig) -> Outcome {
    match error {
        ScriptError::Start { source, .. } | ScriptError::Watch { source, .. }
            if super::is_ours(source) =>
        {
            Outcome::Unmade(chain(error))
        }
        ScriptError::Slow { .. } => {
            let limit = ScriptError::Slow { limit: check.timing.timeout };
            Outcome::Bad(Failure::silent(chain(&limit)))
        }
        ScriptError::Empty
        | ScriptError::Missing { .. }
        | ScriptError::User(_)
        | ScriptError::Unsafe(_)
        | ScriptError::Directory { .. }
        | ScriptError::NotExecutable { .. }
        | ScriptError::Unkillable
        | ScriptError::Start { .. }
        | ScriptError::Watch { .. } => Outcome::Bad(Failure::silent(chain(error))),
    }
}

/// The first line that it printed, as far as it can be shown.
fn shown(output: &str) -> String {
    let line = output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}
