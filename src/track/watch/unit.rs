//! A systemd unit that is active.
//!
//! systemd says when it changes; then it is asked how it stands. One that is being started or
//! stopped is not active.

use std::path::PathBuf;
use std::time::Duration;

use super::{Outcome, Source, bad, word};
use crate::host::chain;
use crate::host::units::{Active, Load, UnitError, UnitNews, Units};

/// systemd answers nobody while it reloads, which takes some seconds on a large host; that says
/// nothing about the unit.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Unit {
    name: String,
    units: Units,
    news: Option<UnitNews>,
}

impl Unit {
    pub(super) fn new(name: String) -> Self {
        Unit { name, units: Units::new(PathBuf::from("/")), news: None }
    }

    async fn ask(&mut self) -> Result<Outcome, UnitError> {
        if self.news.is_none() {
            // Listening comes first, so that no change falls between.
            self.news = Some(self.units.follow(&self.name).await?);
        }
        let seen = self.units.look(&[&self.name]).await?;
        let Some(seen) = seen.first() else { return Ok(bad("nothing answers")) };
        Ok(match (seen.active, &seen.load) {
            (Active::Yes, _) => Outcome::Good,
            (Active::Failed, _) => bad("failed"),
            (Active::Starting, _) => bad("starting"),
            (Active::Stopping, _) => bad("stopping"),
            (Active::No, Load::NotFound) => bad("there is no such unit"),
            (Active::No, Load::Masked) => bad("masked"),
            (Active::No, Load::Loaded | Load::Bad(_)) => bad("not active"),
        })
    }
}

impl Source for Unit {
    async fn look(&mut self) -> Outcome {
        match self.ask().await {
            Ok(outcome) => outcome,
            Err(error) => {
                // The next look connects anew.
                self.news = None;
                bad(chain(&error))
            }
        }
    }

    async fn changed(&mut self) {
        word(&mut self.news).await;
    }

    fn tells(&self) -> bool {
        self.news.is_some()
    }
}
