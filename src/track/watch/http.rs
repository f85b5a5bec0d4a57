//! A page that answers with a good status.
//!
//! It is asked for past any proxy, over a connection of its own and without following redirects,
//! and read to its end: a server that stops half-way is not well.

use std::time::Duration;

use super::{Outcome, Source, bad};
use crate::host::chain;
use crate::probe::client::{Client, Manner};
use crate::probe::target::Target;
use crate::track::config::Statuses;

pub(super) struct Http {
    url: String,
    good: Statuses,
    timeout: Duration,
    client: Option<Client>,
}

impl Http {
    pub(super) fn new(url: String, good: Statuses, timeout: Duration) -> Self {
        Http { url, good, timeout, client: None }
    }

    fn client(&mut self) -> Result<&Client, String> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let target: Target = self.url.parse().map_err(|e| format!("{e}"))?;
                let timeout = self.timeout;
                let manner = Manner { timeout, insecure: false, keep_alive: false, follow: false };
                Client::new(&target, &manner).map_err(|error| chain(&error))?
            }
        };
        Ok(self.client.insert(client))
    }
}

impl Source for Http {
    async fn look(&mut self) -> Outcome {
        let asked = match self.client() {
            Ok(client) => client.status().await,
            Err(words) => return bad(words),
        };
        match asked {
            Ok(Some(status)) if !self.good.contains(status) => bad(format!("status {status}")),
            Ok(_) => Outcome::Good,
            Err(failure) => bad(failure.detail),
        }
    }
}
