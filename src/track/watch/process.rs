//! At least one process of a name.
//!
//! One that was found is held by a descriptor, so its end is heard of at once, and nothing is read
//! again and again. While there is none, the kernel says when a program starts; where it does not
//! (another network namespace, no CAP_NET_ADMIN), `/proc` is read each second.

use std::time::Duration;

use tokio::time::sleep;

use super::{Outcome, Source, bad, words};
use crate::host::births::Births;
use crate::host::blocking::Blocking;
use crate::host::processes::{Held, ProcessName};

/// How often `/proc` is read where starts are not heard of: it takes some milliseconds.
const POLL: Duration = Duration::from_secs(1);

/// One may end between being found and being held, and another be found in its place.
const TRIES: u32 = 5;

pub(super) struct Process {
    name: ProcessName,
    held: Option<Held>,
    births: Option<Births>,
    blocking: Blocking,
    /// That nobody tells of starts is logged once.
    told: bool,
}

impl Process {
    pub(super) fn new(name: String, full_command: bool) -> Self {
        let name = match full_command {
            true => ProcessName::CommandLine(name),
            false => ProcessName::Short(name),
        };
        Process { name, held: None, births: None, blocking: Blocking::default(), told: false }
    }

    async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&ProcessName) -> T + Send + 'static,
    ) -> Option<T> {
        let name = self.name.clone();
        self.blocking.call(move || call(&name)).await
    }

    /// Whether the one that is held is still there and called so: it may have become another
    /// program.
    async fn is_held(&mut self) -> bool {
        let Some(pid) = self.held.as_ref().map(Held::pid) else { return false };
        self.call(move |name| name.is(pid)).await == Some(true)
    }

    async fn listen(&mut self) {
        if self.births.is_some() {
            return;
        }
        match Births::open().await {
            Ok(births) => self.births = Some(births),
            Err(error) if !self.told => {
                self.told = true;
                tracing::debug!(%error, "starts of processes are not heard of, /proc is read");
            }
            Err(_) => {}
        }
    }
}

impl Source for Process {
    async fn look(&mut self) -> Outcome {
        if self.is_held().await {
            return Outcome::Good;
        }
        self.held = None;
        // Listening comes before reading, so that none starts in between.
        self.listen().await;
        for _ in 0..TRIES {
            let pid = match self.call(|name| name.find()).await {
                Some(Ok(Some(pid))) => pid,
                Some(Ok(None)) => return bad("not running"),
                Some(Err(error)) => return bad(words(&error)),
                None => return bad("the end is near"),
            };
            match Held::new(pid, &self.name) {
                Ok(None) => {}
                Ok(Some(held)) => {
                    self.held = Some(held);
                    self.births = None;
                    return Outcome::Good;
                }
                Err(error) => return bad(words(&error)),
            }
        }
        bad("it ends as soon as it has started")
    }

    async fn changed(&mut self) {
        if let Some(held) = &self.held {
            return held.ended().await;
        }
        while let Some(births) = &self.births {
            match births.changed().await {
                Ok(None) => return,
                Ok(Some(pid)) => {
                    if self.call(move |name| name.is(pid)).await == Some(true) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "starts of processes are no longer heard of");
                    self.births = None;
                }
            }
        }
        sleep(POLL).await;
    }

    fn tells(&self) -> bool {
        true
    }
}
