//! The thread that watches the links to real servers: started when there is something to watch,
//! and again when it dies; what it finds is told, but never without end.
//!
//! Nothing hangs on it but alarms.

use std::cmp::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Healths;
use super::again::Again;
use crate::check::wire::config::WireConfig;
use crate::check::wire::finding::Finding;
use crate::check::wire::flow::{self, FlowConfig};
use crate::check::wire::{Findings, Up, Wire, segment};
use crate::daemon::log;

/// As many findings are told within this time.
const MOST: u32 = 20;
const WITHIN: Duration = Duration::from_secs(60);

/// The thread, or the place for it.
pub(super) struct Wiring {
    running: Option<(Wire, Findings)>,
    wanted: Vec<WireConfig>,
    flows: Vec<FlowConfig>,
    up: Up,
    again: Again,
    /// How many findings there were of late.
    found: u32,
    found_since: Instant,
}

/// What it woke up for.
pub enum Word {
    /// Something on a link that nobody asked for.
    Found(Finding),
    /// The thread is no more.
    Died,
    /// It is to be started again.
    Due,
}

impl Wiring {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Wiring {
            running: None,
            wanted: Vec::new(),
            flows: Vec::new(),
            up: Up::default(),
            again: Again::new(now),
            found: 0,
            found_since: now,
        }
    }

    /// Watches these from now on.
    pub(super) fn configure(&mut self, wires: &[WireConfig], flows: &[FlowConfig]) {
        (self.wanted, self.flows) = (wires.to_vec(), flows.to_vec());
        match &self.running {
            Some((running, _)) => running.configure(self.wanted.clone(), self.flows.clone()),
            None if self.wanted.is_empty() && self.flows.is_empty() => {}
            None => self.begin(),
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        match Wire::start(self.wanted.clone(), self.flows.clone()) {
            Ok((wire, findings)) => {
                wire.reachable(self.up.clone());
                self.running = Some((wire, findings));
                self.again.began(now);
            }
            Err(error) => {
                let rest = self.again.died(now);
                let text = "the link to the real servers is not watched; tried again in";
                tracing::error!(%error, "{text} {rest:?}");
            }
        }
    }

    /// Waits for what comes next. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Word {
        match &mut self.running {
            Some((_, findings)) => findings.next().await.map_or(Word::Died, Word::Found),
            None => {
                self.again.wait().await;
                Word::Due
            }
        }
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, word: Word) {
        match word {
            Word::Found(finding) => self.tell(&finding),
            Word::Died => {
                self.running = None;
                let rest = self.again.died(Instant::now());
                tracing::error!(
                    "the thread that watches the link to the real servers has died, which is a \
                     defect of converge: it is started again in {rest:?}"
                );
            }
            Word::Due => self.begin(),
        }
    }

    /// A thousand servers on the wrong link are one mistake and no thousand lines.
    fn tell(&mut self, finding: &Finding) {
        if self.found_since.elapsed() > WITHIN {
            (self.found_since, self.found) = (Instant::now(), 0);
        }
        self.found += 1;
        match self.found.cmp(&MOST) {
            Ordering::Less => log::finding(finding),
            Ordering::Equal => tracing::warn!(
                "there is more of this kind; CONVERGE_LOG=converge=debug tells all of it"
            ),
            Ordering::Greater => {}
        }
        tracing::debug!("{finding}");
    }

    /// Who answers checks has to be on the link, too, and its replies have to come by.
    pub(super) fn reachable(&mut self, health: &Healths) {
        if let Some((wire, _)) = &self.running {
            let flows = flow::answering(&self.flows, health);
            self.up = Up { addresses: segment::answering(health), flows };
            wire.reachable(self.up.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nix::unistd::geteuid;
    use tokio::time::timeout;

    use super::*;

    /// Longer than anything takes on a busy computer.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn word(wiring: &mut Wiring) -> Word {
        timeout(PATIENCE, wiring.next()).await.expect("something comes")
    }

    #[tokio::test]
    async fn a_thread_that_dies_is_started_again() {
        let (vip, interface) = ([192, 0, 2, 1].into(), "lo".to_owned());
        let (servers, directors) = (Arc::default(), Vec::new());
        let mut wiring = Wiring::new();
        let wire = WireConfig { vip, interface, servers, directors, direct: false };
        wiring.configure(&[wire], &[]);
        let Some((wire, _)) = &wiring.running else {
            return assert!(!geteuid().is_root(), "packet sockets are for root");
        };
        wire.fail();
        let died = word(&mut wiring).await;
        assert!(matches!(died, Word::Died));
        wiring.take(died);
        assert!(wiring.running.is_none());
        let due = word(&mut wiring).await;
        assert!(matches!(due, Word::Due));
        wiring.take(due);
        assert!(wiring.running.is_some());
    }
}
