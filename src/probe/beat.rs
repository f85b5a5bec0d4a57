//! Asks again and again, on a steady beat or as fast as answers come.
//!
//! With an interval, requests leave at fixed times, each on its own task, whatever became of the
//! earlier ones; so many may wait at once that a dead VIP does not slow the beat. Without one,
//! the next request leaves when an answer has come. The loop ends by count, by time or by the
//! caller's wish, and always returns what it has.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::Client;
use super::tally::{Sample, Tally};

/// Requests waiting at once on a beat, unless told otherwise: two seconds' worth at one every
/// millisecond. Each holds a descriptor.
pub const WAITING: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// A delay of our own beyond which the beat starts anew, instead of sending all that was missed.
const STALL: Duration = Duration::from_millis(100);

/// How often the caller hears of progress.
const PROGRESS: Duration = Duration::from_millis(100);

/// When to ask, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// Time between two requests; none to send the next when an answer has come.
    pub interval: Option<Duration>,
    /// Requests to send.
    pub count: Option<u64>,
    /// How long to send.
    pub length: Option<Duration>,
    /// Requests waiting at once; with an interval [`WAITING`] by default, else one.
    pub concurrency: Option<NonZeroUsize>,
}

/// A run's samples and its length.
#[derive(Debug)]
pub struct Run {
    /// The samples, added up.
    pub tally: Tally,
    /// From the first request to the end of the last.
    pub duration: Duration,
}

/// Asks until the beat ends or `stop` does. `progress` hears of it now and then.
pub async fn run(
    client: Arc<Client>,
    beat: Beat,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(&Tally, Duration),
) -> Run {
    let mut pulse = Pulse::new(client, beat);
    let mut next_progress = pulse.start + PROGRESS;
    tokio::pin!(stop);
    loop {
        pulse.send_what_is_due();
        if pulse.is_over() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stop => {
                pulse.interrupt();
                break;
            }
            () = sleep_until(pulse.due), if pulse.waits_for_beat() => {}
            Some(sample) = pulse.waiting.join_next() => pulse.take(sample),
            () = sleep_until(next_progress) => {
                progress(&pulse.tally, pulse.start.elapsed());
                next_progress = Instant::now() + PROGRESS;
            }
        }
    }
    Run { duration: pulse.start.elapsed(), tally: pulse.tally }
}

struct Pulse {
    client: Arc<Client>,
    beat: Beat,
    start: Instant,
    /// When the next request is due.
    due: Instant,
    sent: u64,
    places: usize,
    waiting: JoinSet<Sample>,
    tally: Tally,
    sending: bool,
}

impl Pulse {
    fn new(client: Arc<Client>, beat: Beat) -> Pulse {
        let start = Instant::now();
        let default = beat.interval.map_or(NonZeroUsize::MIN, |_| WAITING);
        Pulse {
            client,
            beat,
            start,
            due: start,
            sent: 0,
            places: beat.concurrency.unwrap_or(default).get(),
            waiting: JoinSet::new(),
            tally: Tally::default(),
            sending: true,
        }
    }

    fn send_what_is_due(&mut self) {
        while self.sending {
            let now = Instant::now();
            self.sending = self.is_wanted(now);
            if !self.sending {
                self.stop_sending();
                return;
            }
            match self.beat.interval {
                None if self.waiting.len() >= self.places => return,
                None => self.send(),
                Some(_) if now < self.due => return,
                Some(interval) => {
                    self.tally.late(now - self.due);
                    if self.waiting.len() < self.places {
                        self.send();
                    } else {
                        self.tally.skip();
                        self.sent += 1;
                    }
                    self.due += interval;
                    if now > self.due + interval + STALL {
                        self.due = now + interval;
                    }
                }
            }
        }
    }

    fn is_wanted(&self, now: Instant) -> bool {
        let time_left = self.beat.length.is_none_or(|length| now - self.start < length);
        time_left && self.beat.count.is_none_or(|count| self.sent < count)
    }

    fn send(&mut self) {
        self.sent += 1;
        let client = Arc::clone(&self.client);
        let start = self.start;
        let sent = start.elapsed();
        self.waiting.spawn(async move {
            let outcome = client.ask().await;
            Sample { sent, done: start.elapsed(), outcome }
        });
    }

    fn stop_sending(&mut self) {
        // On a beat, nobody asks from here on, so silence from here on proves nothing. Without
        // one, the requests still waiting are the asking: the end is when the last is done.
        if self.beat.interval.is_some() {
            self.tally.stop(self.start.elapsed());
        }
    }

    fn waits_for_beat(&self) -> bool {
        self.sending && self.beat.interval.is_some()
    }

    fn take(&mut self, sample: Result<Sample, tokio::task::JoinError>) {
        match sample {
            Ok(sample) => self.tally.record(&sample),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Nobody cancels a request but `interrupt`, which takes no more of them.
            Err(error) => unreachable!("a request was cancelled: {error}"),
        }
    }

    /// Whether all is sent and answered; then the last stretch is closed.
    fn is_over(&mut self) -> bool {
        let over = !self.sending && self.waiting.is_empty();
        if over {
            self.tally.stop(self.start.elapsed());
        }
        over
    }

    /// Ends at once. Requests in flight are forgotten: nobody knows what became of them.
    fn interrupt(&mut self) {
        self.tally.stop(self.start.elapsed());
        self.waiting.abort_all();
    }
}
