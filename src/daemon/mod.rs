//! `converge --watch`: stays, elects, tracks, repairs.
//!
//! One loop. Everything that happens updates the situation or says "look again"; the one reconcile
//! does the rest, one at a time, beside the loop and never in its way. VRRP has a thread of its
//! own, which holds the VIPs and is told only whether this host may be Active. A bad file at a
//! reload changes nothing: what ran goes on.

mod balance;
mod heart;
mod holders;
mod lane;
mod log;
mod needs;
mod planned;
mod pulse;
pub mod release;
mod resident;
mod signals;
mod sorry;
mod upkeep;

use crate::check::driver::CheckError;
use crate::host::{FileError, Host};
use crate::role::Role;
use crate::vrrp::driver::{Settings, VrrpError};
use resident::{Resident, Turn};

/// What the files say that this host is to be.
pub struct Configuration {
    /// `dr1 (director-master)`.
    pub heading: String,
    /// The role of the host.
    pub role: Role,
    /// What the VRRP thread needs to know beside the routers.
    pub vrrp: Settings,
    /// What a person should see, one text for each.
    pub warnings: Vec<String>,
    /// Looks what the role names and this host has not got, one text for each.
    pub missing: Look,
}

/// A look at the host, its user database included, which may take its time.
pub type Look = Box<dyn FnOnce() -> Vec<String> + Send>;

/// Why it cannot stay, or not begin.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Events cannot be waited for.
    #[error("cannot wait for {what}")]
    Wait {
        /// Which events.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// VRRP cannot be spoken.
    #[error(transparent)]
    Vrrp(#[from] VrrpError),
    /// VRRP has ended by itself.
    #[error("a thread of VRRP has died, which is a defect of converge")]
    Died,
    /// Real servers cannot be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file of its own cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Stays until it is told to end. `load` reads the files again for a reload; its error is a text
/// for people.
pub async fn run<L>(host: &Host, first: Configuration, load: L) -> Result<(), WatchError>
where
    L: AsyncFn() -> Result<Configuration, String>,
{
    let mut resident = Resident::new(host, first).await?;
    loop {
        match resident.next().await {
            Turn::Table(step) => resident.table(step)?,
            Turn::Rest(step) => resident.rest(step)?,
            Turn::Vrrp(event) => resident.heard(event),
            // Started anew it may do better; a converge that does not elect helps nobody.
            Turn::Died => return Err(WatchError::Died),
            Turn::Tracked => resident.tell_conditions(),
            Turn::Balance(news) => resident.balance(news),
            Turn::Desire => resident.desire(),
            Turn::Drifted => resident.drifted(),
            Turn::Beat => resident.beat(),
            Turn::Reload => {
                resident.reloading();
                resident.reloaded(load().await)?;
            }
            Turn::Stop if !resident.is_restarting().await => return resident.leave().await,
            // One that could not start would leave the VIPs to nobody.
            Turn::Stop | Turn::Restart => match load().await {
                Ok(_) => return resident.give_over().await,
                Err(text) => {
                    log::cannot_return(&text);
                    return resident.leave().await;
                }
            },
        }
    }
}
