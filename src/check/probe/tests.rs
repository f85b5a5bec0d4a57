//! What real servers said, spoiled in every way: for every protocol the same comes of it however
//! it is cut, an end comes, and nothing panics.
//!
//! `CONVERGE_SEEDS=n` looks at that many cases of each transcript; `CONVERGE_SEED=n` at that one.

mod said;

use super::{Dialogue, MOST_BYTES, Step, dialogue};
use crate::check::config::{Protocol, Target, Tls, TlsStart};
use crate::check::outcome::Outcome;

/// How many cases of each transcript a test looks at: what takes about a second for all of them
/// without optimisation.
const SEEDS: u64 = 100;

/// What a check asks, and what a server said to it.
struct Transcript {
    protocol: Protocol,
    upgrade: bool,
    said: &'static [u8],
}

impl Transcript {
    fn dialogue(&self) -> Box<dyn Dialogue> {
        let target = Target { address: [192, 0, 2, 1].into(), port: 1 };
        let tls = self.upgrade.then_some(Tls {
            start: TlsStart::Upgrade,
            name: None,
            verify: false,
            ca: None,
            warn_before: std::time::Duration::ZERO,
        });
        dialogue(&self.protocol, &target, tls.as_ref(), said::RANDOM)
    }

    /// How it goes with these bytes in such pieces.
    fn went<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Went {
        let mut dialogue = self.dialogue();
        let mut said = Vec::new();
        let mut step = dialogue.open(&mut said);
        for piece in pieces {
            if step != Step::More {
                break;
            }
            step = dialogue.feed(piece, &mut said);
        }
        let far = (step == Step::More).then(|| dialogue.so_far());
        if step == Step::More {
            step = dialogue.end();
        }
        Went { said, far, step: as_if_whole(step) }
    }
}

/// What came behind the word for TLS is bad if it came with it; else TLS has to make sense of it.
fn as_if_whole(step: Step) -> Step {
    match step {
        Step::Done(Outcome::Bad(failure)) if failure.what.contains("before TLS began") => {
            Step::Upgrade
        }
        other => other,
    }
}

/// What was said, how far it got if all was heard, and how it ended.
#[derive(Debug, PartialEq)]
struct Went {
    said: Vec<u8>,
    far: Option<String>,
    step: Step,
}

/// Numbers that look random, the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Bytes that mean something to some protocol.
const LOUD: &[u8] = b"\0\x01\x02\x04\x0a\x0d\x7f\x80\x81\xc0\xfe\xff 0159-#%,;*+\"\\nRSZEKN";

/// The bytes with some of them changed, dropped, doubled, inserted, or taken from another server.
fn spoil(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(40)).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 => {
                let from = random.below(other.len());
                let to = (from + random.below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            4 => bytes.insert(at, LOUD[random.below(LOUD.len())]),
            5 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            6 if at < bytes.len() => bytes[at] = random.next() as u8,
            _ if at < bytes.len() => bytes[at] = LOUD[random.below(LOUD.len())],
            _ => {}
        }
    }
    bytes
}

/// Pieces of random length.
fn pieces<'a>(mut bytes: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((1 + random.below(40)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One case: the same bytes whole, byte by byte and in pieces.
fn a_case(transcript: &Transcript, other: &[u8], seed: u64) {
    let mut random = Random(seed);
    let bytes = spoil(transcript.said, other, &mut random);
    let whole = transcript.went([&bytes[..]].into_iter());
    assert!(whole.said.len() < 2 * MOST_BYTES, "it said {} bytes", whole.said.len());
    let is_over = matches!(whole.step, Step::Done(_) | Step::Upgrade);
    assert!(is_over, "the end is the end");
    let pieces = pieces(&bytes, &mut random);
    let (protocol, shown) = (&transcript.protocol, bytes.escape_ascii());
    let context = || format!("CONVERGE_SEED={seed} {protocol:?}: {shown}");
    assert_eq!(transcript.went(pieces.into_iter()), whole, "{}", context());
    assert_eq!(transcript.went(bytes.chunks(1)), whole, "{}", context());
}

#[test]
fn what_real_servers_say_means_the_same_however_it_is_spoiled_and_cut() {
    let transcripts = said::transcripts();
    let one = told("CONVERGE_SEED").map(|seed| seed..seed + 1);
    let seeds = one.unwrap_or(0..told("CONVERGE_SEEDS").unwrap_or(SEEDS));
    let others: Vec<&[u8]> = transcripts.iter().map(|transcript| transcript.said).collect();
    std::thread::scope(|scope| {
        for (transcript, number) in transcripts.iter().zip(1..) {
            let (seeds, other) = (seeds.clone(), others[number % others.len()]);
            scope.spawn(move || seeds.for_each(|seed| a_case(transcript, other, seed)));
        }
    });
}

#[test]
fn what_real_servers_said_is_good() {
    for transcript in said::transcripts() {
        let went = transcript.went([transcript.said].into_iter());
        let is_good = match &went.step {
            Step::Upgrade => transcript.upgrade,
            Step::Done(outcome) => matches!(outcome, Outcome::Good(_)),
            Step::More | Step::Again => false,
        };
        assert!(is_good, "{:?}: {went:?}", transcript.protocol);
    }
}

/// Where a protocol stands among all; whoever adds one is stopped here by the compiler.
fn number(protocol: &Protocol) -> usize {
    match protocol {
        Protocol::Http(_) => 0,
        Protocol::Smtp { .. } => 1,
        Protocol::Ftp(_) => 2,
        Protocol::Imap(_) => 3,
        Protocol::Pop3(_) => 4,
        Protocol::Nntp(_) => 5,
        Protocol::Redis { .. } => 6,
        Protocol::Mysql { .. } => 7,
        Protocol::Postgres { .. } => 8,
        Protocol::Ldap { .. } => 9,
        Protocol::Dns(_) => 10,
        Protocol::Sip { .. } => 11,
        Protocol::Expect(_) => 12,
        Protocol::Agent { .. } => 13,
    }
}

#[test]
fn every_protocol_is_there() {
    let mut there: Vec<usize> =
        said::transcripts().iter().map(|transcript| number(&transcript.protocol)).collect();
    there.sort_unstable();
    there.dedup();
    assert_eq!(there, (0..=13).collect::<Vec<usize>>());
}
