//! Two directors, two dozen real servers, and whatever comes to mind, in an order of a seed.
//!
//! Servers stop, hang, answer wrongly and return; operators say words on either director; files
//! change; processes are killed, stopped and started; ways are cut and healed. A plain model of the
//! test ([`truth`]) knows who is up and what was said. After each round all ways are healed, and
//! both directors have to come to what is true; and all the time somebody ([`watcher`]) looks that
//! no good server leaves, not even for a moment.
//!
//! `CONVERGE_CHAOS_SECONDS=n` goes on for that long, `CONVERGE_SEED=n` begins with that seed.

mod directors;
mod servers;
mod truth;
mod watcher;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::directors::Directors;
use self::servers::{Mode, Servers};
use self::truth::{HOSTS, PORTS, Shape, Truth};
use self::watcher::Watcher;
use super::site::segment_of;

/// Longer than any of it takes on a busy computer.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long it goes on by default.
const SECONDS: u64 = 7;

/// SplitMix64, as in the simulations.
pub(super) struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("small");
        usize::try_from(self.number() % end).expect("small")
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|told| told.parse().ok())
}

#[test]
fn whatever_happens_good_servers_stay_in_and_both_directors_come_to_the_truth() {
    let hosts: Vec<&'static str> = ["a", "b"].into_iter().chain(HOSTS).collect();
    let Some(segment) = segment_of(&hosts) else { return };
    let seed = number("CONVERGE_SEED").unwrap_or(u64::from(std::process::id()));
    let span = Duration::from_secs(number("CONVERGE_CHAOS_SECONDS").unwrap_or(SECONDS));
    let mut random = Random(seed);
    let truth = Arc::new(Mutex::new(Truth::new(Shape::first())));
    let servers = Servers::open(&segment);
    let mut directors = Directors::start(&segment, &lock(&truth).shape);
    let watcher = Watcher::start(directors.directories(), Arc::clone(&truth));
    let mut story = vec![format!("CONVERGE_SEED={seed}")];
    let settle = |directors: &mut Directors<'_>, story: &[String]| {
        let told = await_truth(directors, &truth).and_then(|()| watcher.verdict());
        if let Err(wrong) = told {
            let story = story.join("\n");
            panic!("{wrong}\n---- story\n{story}\n{}", directors.logs());
        }
    };
    settle(&mut directors, &story);
    let begun = Instant::now();
    while begun.elapsed() < span {
        story.push(format!("-- {:?}", begun.elapsed()));
        for _ in 0..3 + random.below(5) {
            let step = step(&mut random, &truth, &servers, &mut directors);
            story.push(format!("{:?} {step}", begun.elapsed()));
            sleep(Duration::from_millis(random.pick(&[5, 50, 200, 600, 1500])));
        }
        story.push(format!("{:?} all ways are healed", begun.elapsed()));
        directors.heal(&truth);
        settle(&mut directors, &story);
    }
    println!("{} steps with seed {seed}", story.len());
}

/// Waits until both directors come to what is true, and stay there.
fn await_truth(directors: &mut Directors<'_>, truth: &Mutex<Truth>) -> Result<(), String> {
    let begun = Instant::now();
    let mut right = 0;
    loop {
        let wrong = directors.wrong(&lock(truth));
        match wrong {
            None if right == 3 => return Ok(()),
            None => right += 1,
            Some(wrong) if begun.elapsed() > PATIENCE => return Err(wrong),
            Some(_) => right = 0,
        }
        sleep(Duration::from_millis(60));
    }
}

/// Something happens.
fn step(
    random: &mut Random,
    truth: &Mutex<Truth>,
    servers: &Servers,
    directors: &mut Directors<'_>,
) -> String {
    let (d, host, port) = (random.below(2), random.below(HOSTS.len()), random.below(PORTS.len()));
    match random.below(20) {
        0..7 => {
            let mode = random.pick(&Mode::ALL);
            let mode = if random.below(3) == 0 { Mode::Serves } else { mode };
            servers.set(host, port, mode);
            lock(truth).becomes(host, port, mode);
            format!("{} port {} {mode:?}", HOSTS[host], PORTS[port])
        }
        7 => {
            let silent = !lock(truth).is_silent(host);
            // Before it is, so that it is never believed to be good when it is not.
            lock(truth).silence(host, silent);
            servers.silence(host, silent);
            format!("{} silent {silent}", HOSTS[host])
        }
        8 => {
            let mode = random.pick(&[Mode::Closed, Mode::Hangs, Mode::Serves]);
            for host in 0..HOSTS.len() {
                servers.set(host, port, mode);
                lock(truth).becomes(host, port, mode);
            }
            format!("all port {} {mode:?}", PORTS[port])
        }
        9..13 => directors.says(d, host, random, truth),
        13 => {
            let open = !lock(truth).is_open(d);
            lock(truth).way(d, open);
            directors.way(d, open);
            format!("way of {d} open {open}")
        }
        14 => directors.link(random.below(2) == 0),
        15 | 16 => {
            let shape = lock(truth).shape.other(random);
            let text = format!("{shape:?}");
            directors.reload(shape, truth);
            text
        }
        17 | 18 => directors.restart(d, random, truth),
        _ => directors.stop(d, Duration::from_millis(random.pick(&[100, 700, 2500])), truth),
    }
}
