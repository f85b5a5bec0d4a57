//! The sockets of all checks that have one of their own, and what each is used for.
//!
//! A line is one socket in the epoll set. What has ended leaves its line to the next check of the
//! same family, registered as it is. An event speaks of the line as it is when epoll_wait(2)
//! returns, so lines are only used again after all events of a batch were handled; one of a line
//! that was closed meanwhile is told by its serial number.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::datagram::{self, Asking};
use super::desk::Desk;
use super::stream::{Stream, Turn};
use super::tcp;
use crate::check::config::{CheckConfig, Probe};
use crate::check::machine::Run;
use crate::check::outcome::{Advice, Outcome};
use crate::clock::Moment;

/// Sockets of one family that wait to be used again.
const IDLE: usize = 1024;

/// Everything that happens on a connection, told once.
const STREAM: EpollFlags = EpollFlags::EPOLLIN
    .union(EpollFlags::EPOLLOUT)
    .union(EpollFlags::EPOLLRDHUP)
    .union(EpollFlags::EPOLLET);

/// A socket.
struct Line {
    socket: OwnedFd,
    serial: u32,
    family: Family,
    work: Work,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// A socket of datagrams, which is used once.
    Once,
}

/// What a line is used for.
enum Work {
    Idle,
    Look(Run, SocketAddr),
    Talk(Box<Stream>),
    Ask(Box<Asking>),
}

/// All lines.
pub(super) struct Lines {
    epoll: Arc<Epoll>,
    lines: Vec<Option<Line>>,
    /// Places in `lines` where there is none.
    free: Vec<u32>,
    idle: [Vec<u32>; 2],
    /// The line of each run, by its index.
    places: Vec<Option<(Run, u32)>>,
    /// Lines with more to read.
    unread: Vec<u32>,
    pub(super) desk: Desk,
    most: usize,
    open: usize,
    busy: usize,
    serial: u32,
}

impl Lines {
    /// At most so many at a time.
    pub(super) fn new(epoll: Arc<Epoll>, most: usize) -> Self {
        Lines {
            epoll,
            lines: Vec::new(),
            free: Vec::new(),
            idle: [Vec::new(), Vec::new()],
            places: Vec::new(),
            unread: Vec::new(),
            desk: Desk::new(),
            most,
            open: 0,
            busy: 0,
            serial: 0,
        }
    }

    /// Sockets that are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Sockets that are in use.
    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    /// Whether there is something to read that no event will tell of.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Begins a run. It may end at once.
    pub(super) fn begin(&mut self, run: Run, check: &Arc<CheckConfig>) -> Option<Outcome> {
        let to = check.target.socket();
        let begun = match &*check.probe {
            Probe::Connect(None) => self.connect(to).map(|line| (line, Work::Look(run, to))),
            Probe::Ask(_) => self.ask(run, check),
            Probe::Connect(Some(_)) | Probe::Speak { .. } => self.connect(to).map(|line| {
                let stream = Stream::new(run, check, self.desk.random.next());
                (line, Work::Talk(Box::new(stream)))
            }),
            Probe::Ping | Probe::ThroughVip(_) | Probe::Script(_) | Probe::File(_) => {
                Err(Outcome::Unmade("this check needs no socket of its own".to_owned()))
            }
        };
        match begun {
            Ok((line, work)) => {
                self.occupy(run, line, work);
                None
            }
            Err(outcome) => Some(outcome),
        }
    }

    /// Something happened on a line.
    pub(super) fn handle_event(
        &mut self,
        event: EpollEvent,
        now: Moment,
    ) -> Option<(Run, Outcome)> {
        let (serial, index) = parts(event.data());
        let line = self.lines.get(index as usize)?.as_ref()?;
        if line.serial != serial {
            return None;
        }
        self.attend(index, event.events(), now)
    }

    /// Goes on with what was left unread.
    pub(super) fn handle_unread(&mut self, now: Moment, mut done: impl FnMut(Run, Outcome)) {
        for index in std::mem::take(&mut self.unread) {
            if let Some((run, outcome)) = self.attend(index, EpollFlags::EPOLLRDHUP, now) {
                done(run, outcome);
            }
        }
    }

    /// The time of a run is up. `None`: it is not here.
    pub(super) fn expire(&mut self, run: Run) -> Option<Outcome> {
        let index = self.place(run)?;
        let outcome = match &self.lines[index as usize].as_ref()?.work {
            Work::Idle => None,
            Work::Look(..) => Some(Outcome::Bad(tcp::unanswered())),
            Work::Talk(stream) => Some(Outcome::Bad(stream.expire())),
            Work::Ask(asking) => Some(asking.expire()),
        };
        self.leave(run, index);
        outcome
    }

    /// A run is no longer wanted.
    pub(super) fn abort(&mut self, run: Run) {
        if let Some(index) = self.place(run) {
            self.leave(run, index);
        }
    }

    fn place(&self, run: Run) -> Option<u32> {
        let (at, index) = (*self.places.get(run.index())?)?;
        (at == run).then_some(index)
    }

    fn attend(&mut self, index: u32, ready: EpollFlags, now: Moment) -> Option<(Run, Outcome)> {
        let line = self.lines.get_mut(index as usize)?.as_mut()?;
        let socket = line.socket.as_fd();
        let (run, turn) = match &mut line.work {
            Work::Idle => return None,
            Work::Look(run, to) => {
                let is_echo = || self.desk.may_echo(*to) && tcp::is_own_echo(socket, *to);
                let failed = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
                let error = ready.intersects(failed).then(|| tcp::error(socket)).flatten();
                let outcome = match error {
                    Some(error) => Outcome::Bad(tcp::failure(error)),
                    None if !ready.contains(EpollFlags::EPOLLOUT) => return None,
                    None if is_echo() => Outcome::Bad(tcp::failure(Errno::CONNREFUSED)),
                    None => Outcome::Good(Advice::default()),
                };
                (*run, Turn::Done(outcome))
            }
            Work::Talk(stream) => {
                (stream.run, stream.handle_event(socket, ready, &mut self.desk, now))
            }
            Work::Ask(asking) => {
                let outcome = asking.handle_event(socket, &mut self.desk.wire);
                (asking.run, outcome.map_or(Turn::Wait, Turn::Done))
            }
        };
        let outcome = match turn {
            Turn::Wait => return None,
            Turn::More => {
                self.unread.push(index);
                return None;
            }
            Turn::Again => self.connect_again(index)?,
            Turn::Done(outcome) => outcome,
        };
        self.leave(run, index);
        Some((run, outcome))
    }

    /// Has a conversation go on over another connection. It may end at once.
    fn connect_again(&mut self, index: u32) -> Option<Outcome> {
        let line = self.lines[index as usize].as_mut()?;
        let Work::Talk(stream) = &mut line.work else { return None };
        stream.begin_again();
        let socket = line.socket.as_fd();
        let connected = tcp::dissolve(socket).and_then(|()| tcp::connect(socket, stream.target()));
        connected.err().map(tcp::refusal)
    }

    /// A line that begins to connect.
    fn connect(&mut self, to: SocketAddr) -> Result<u32, Outcome> {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        if let Some(index) = self.idle[family as usize].pop()
            && let Some(line) = &self.lines[index as usize]
        {
            if tcp::connect(line.socket.as_fd(), to).is_ok() {
                return Ok(index);
            }
            // A new one may fare better, and knows better what is wrong.
            self.close(index);
        }
        self.make_room();
        let number = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = self.with_room(|| tcp::open(number)).map_err(unmade)?;
        tcp::connect(socket.as_fd(), to).map_err(tcp::refusal)?;
        self.add(socket, family, STREAM)
    }

    /// A line with a question on it.
    fn ask(&mut self, run: Run, check: &Arc<CheckConfig>) -> Result<(u32, Work), Outcome> {
        self.make_room();
        let socket = self.with_room(|| datagram::open(check.target.socket()));
        let socket = socket.map_err(tcp::refusal)?;
        let asking = Asking::begin(run, check, self.desk.random.next(), &socket)?;
        let line = self.add(socket, Family::Once, EpollFlags::EPOLLIN)?;
        Ok((line, Work::Ask(Box::new(asking))))
    }

    /// Keeps the bound, idle sockets included.
    fn make_room(&mut self) {
        while self.open >= self.most && self.close_idle() {}
    }

    /// Opens a socket; if there is no descriptor, once more after the idle ones were closed.
    fn with_room(
        &mut self,
        open: impl Fn() -> rustix::io::Result<OwnedFd>,
    ) -> rustix::io::Result<OwnedFd> {
        match open() {
            Err(Errno::MFILE | Errno::NFILE) if self.close_idle() => {
                while self.close_idle() {}
                open()
            }
            other => other,
        }
    }

    fn close_idle(&mut self) -> bool {
        let index = self.idle.iter_mut().find_map(Vec::pop);
        index.inspect(|index| self.close(*index)).is_some()
    }

    fn add(&mut self, socket: OwnedFd, family: Family, flags: EpollFlags) -> Result<u32, Outcome> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.lines.push(None);
            u32::try_from(self.lines.len() - 1).expect("fewer descriptors than 2^32")
        });
        self.serial = self.serial.wrapping_add(1) & MOST_SERIAL;
        let data = u64::from(self.serial) << 32 | u64::from(index);
        if let Err(error) = self.epoll.add(&socket, EpollEvent::new(flags, data)) {
            self.free.push(index);
            return Err(Outcome::Unmade(tcp::local(Errno::from_raw_os_error(error as i32))));
        }
        self.open += 1;
        let line = Line { socket, serial: self.serial, family, work: Work::Idle };
        self.lines[index as usize] = Some(line);
        Ok(index)
    }

    fn occupy(&mut self, run: Run, index: u32, work: Work) {
        if self.places.len() <= run.index() {
            self.places.resize(run.index() + 1, None);
        }
        self.places[run.index()] = Some((run, index));
        self.busy += 1;
        if let Some(line) = &mut self.lines[index as usize] {
            line.work = work;
        }
    }

    /// A run has ended; its line is idle, or no more.
    fn leave(&mut self, run: Run, index: u32) {
        self.places[run.index()] = None;
        self.busy -= 1;
        let Some(line) = &mut self.lines[index as usize] else { return };
        line.work = Work::Idle;
        let family = line.family;
        let is_kept = family != Family::Once
            && self.idle[family as usize].len() < IDLE
            && self.open <= self.most
            && tcp::dissolve(line.socket.as_fd()).is_ok();
        match is_kept {
            true => self.idle[family as usize].push(index),
            false => self.close(index),
        }
    }

    /// Closes a socket, which takes it out of the epoll set.
    fn close(&mut self, index: u32) {
        if self.lines[index as usize].take().is_some() {
            self.open -= 1;
            self.free.push(index);
        }
    }
}

/// Serial numbers end here; what is above is not a line's.
const MOST_SERIAL: u32 = u32::MAX >> 1;

/// The serial number and the place of a line, as the epoll set has them.
fn parts(data: u64) -> (u32, u32) {
    let low = data & u64::from(u32::MAX);
    (u32::try_from(data >> 32).unwrap_or(u32::MAX), u32::try_from(low).unwrap_or(u32::MAX))
}

fn unmade(error: Errno) -> Outcome {
    Outcome::Unmade(tcp::local(error))
}
