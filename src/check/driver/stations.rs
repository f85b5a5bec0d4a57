//! The stations: opened when the first check of their sort is to be made, and where each run is.
//!
//! One that cannot be opened is tried again, but not for every check: its checks are not made as
//! long as it fails, and that is said once.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use tokio::runtime::Handle;

use super::ping::Ping;
use super::station::{Done, Station};
use super::tasks::Tasks;
use super::vip::Vip;
use crate::check::config::{CheckConfig, Probe};
use crate::check::machine::Run;
use crate::check::outcome::{Failure, Outcome};
use crate::clock::Moment;

/// How soon one that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What epoll(7) calls the first station. Lines have lower numbers.
pub(super) const FIRST: u64 = 1 << 63;

/// The sorts of stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// ICMP echo.
    Ping,
    /// SYNs for VIPs.
    Vip,
    /// Programs and files.
    Tasks,
}

const SORTS: [Sort; 3] = [Sort::Ping, Sort::Vip, Sort::Tasks];

/// How a station stands.
enum Standing {
    Unneeded,
    Failed(String, Moment),
    Open(Box<dyn Station>),
}

/// All stations.
pub(super) struct Stations {
    epoll: Arc<Epoll>,
    tasks: Handle,
    standings: [Standing; SORTS.len()],
    /// The station of each run, by its index.
    places: Vec<Option<(Run, Sort)>>,
}

/// The station that a check needs; none, if it has a socket of its own.
pub(super) fn sort(probe: &Probe) -> Option<Sort> {
    match probe {
        Probe::Ping => Some(Sort::Ping),
        Probe::ThroughVip(_) => Some(Sort::Vip),
        Probe::Script(_) | Probe::File(_) => Some(Sort::Tasks),
        Probe::Connect(_) | Probe::Speak { .. } | Probe::Ask(_) => None,
    }
}

impl Stations {
    pub(super) fn new(epoll: Arc<Epoll>, tasks: Handle) -> Self {
        let standings = SORTS.map(|_| Standing::Unneeded);
        Stations { epoll, tasks, standings, places: Vec::new() }
    }

    /// Begins a run at its station.
    pub(super) fn begin(
        &mut self,
        sort: Sort,
        run: Run,
        check: &Arc<CheckConfig>,
        now: Moment,
        done: &mut Done,
    ) {
        match self.open(sort, now) {
            Ok(station) => {
                station.begin(run, check, now, done);
                if self.places.len() <= run.index() {
                    self.places.resize(run.index() + 1, None);
                }
                self.places[run.index()] = Some((run, sort));
            }
            Err(why) => done.push((run, Outcome::Unmade(why))),
        }
    }

    /// A station's descriptor can be read.
    pub(super) fn handle_event(&mut self, number: u64, now: Moment, done: &mut Done) {
        let number = usize::try_from(number - FIRST).unwrap_or(usize::MAX);
        if let Some(Standing::Open(station)) = self.standings.get_mut(number) {
            station.ready(now, done);
        }
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Moment, done: &mut Done) {
        for standing in &mut self.standings {
            if let Standing::Open(station) = standing
                && station.poll_timeout().is_some_and(|due| due <= now)
            {
                station.handle_timeout(now, done);
            }
        }
    }

    /// When the next station wants to be told the time.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let timeout = |standing: &Standing| match standing {
            Standing::Open(station) => station.poll_timeout(),
            Standing::Unneeded | Standing::Failed(..) => None,
        };
        self.standings.iter().filter_map(timeout).min()
    }

    /// The time of a run is up. `None`: it is not here.
    pub(super) fn expire(&mut self, run: Run) -> Option<Failure> {
        self.station(run).map(|station| station.expire(run))
    }

    /// A run is no longer wanted.
    pub(super) fn abort(&mut self, run: Run) {
        if let Some(station) = self.station(run) {
            station.abort(run);
        }
    }

    fn station(&mut self, run: Run) -> Option<&mut Box<dyn Station>> {
        let place = self.places.get_mut(run.index())?;
        let (_, sort) = place.take_if(|(at, _)| *at == run)?;
        match &mut self.standings[sort as usize] {
            Standing::Open(station) => Some(station),
            Standing::Unneeded | Standing::Failed(..) => None,
        }
    }

    fn open(&mut self, sort: Sort, now: Moment) -> Result<&mut Box<dyn Station>, String> {
        let standing = &mut self.standings[sort as usize];
        match standing {
            Standing::Open(_) => {}
            Standing::Failed(why, tried) if now.since(*tried) < RETRY => return Err(why.clone()),
            Standing::Failed(..) | Standing::Unneeded => {
                *standing = match open(sort, &self.tasks, &self.epoll) {
                    Ok(station) => Standing::Open(station),
                    Err(why) => Standing::Failed(why, now),
                }
            }
        }
        match standing {
            Standing::Open(station) => Ok(station),
            Standing::Failed(why, _) => Err(why.clone()),
            Standing::Unneeded => Err(String::new()),
        }
    }
}

/// Opens a station and has its descriptor waited for.
fn open(sort: Sort, tasks: &Handle, epoll: &Epoll) -> Result<Box<dyn Station>, String> {
    let station = build(sort, tasks)?;
    let event = EpollEvent::new(EpollFlags::EPOLLIN, FIRST + sort as u64);
    epoll.add(station.as_fd(), event).map_err(|e| e.to_string())?;
    Ok(station)
}

fn build(sort: Sort, tasks: &Handle) -> Result<Box<dyn Station>, String> {
    match sort {
        Sort::Ping => match Ping::open() {
            Ok(station) => Ok(Box::new(station)),
            Err(error) => Err(format!("cannot open a socket for pings: {error}")),
        },
        Sort::Vip => match Vip::open() {
            Ok(station) => Ok(Box::new(station)),
            Err(error) => Err(format!("cannot open packet sockets: {error}")),
        },
        Sort::Tasks => match Tasks::open(tasks.clone()) {
            Ok(station) => Ok(Box::new(station)),
            Err(errno) => Err(errno.to_string()),
        },
    }
}
