//! What a link believes and what it refuses, byte by byte.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::frame::{Codec, MAX_FRAME, MAX_PAYLOAD, Piece, Side};
use super::super::message::{Hello, Message};
use super::super::{MOST_SAID, Refusal, Standing, Topic};
use super::Chance;
use crate::vrrp::fingerprint::Fingerprint;
use crate::vrrp::key::Key;
use crate::vrrp::router::State;

/// Streams that the fuzzer reads.
const SEEDS: u64 = 120_000;

fn key(byte: u8) -> Key {
    Key::new(&[byte; 32])
}

/// Two ends that have read each other's greeting, and the dialler's greeting.
fn pair(chance: &mut Chance, keys: [&Key; 2]) -> (Codec, Codec) {
    let mut dialler = Codec::new(Side::Dialler, chance.nonce());
    let mut listener = Codec::new(Side::Listener, chance.nonce());
    let (ours, theirs) = (dialler.greeting(), listener.greeting());
    let read = dialler.read(&mut theirs.as_slice(), keys[0]);
    assert_eq!(read, Ok(Some(Piece::Greeting)));
    assert_eq!(listener.read(&mut ours.as_slice(), keys[1]), Ok(Some(Piece::Greeting)));
    (dialler, listener)
}

fn hello(host: &str) -> Message {
    Message::Hello(Hello {
        host: host.into(),
        peer: "b".into(),
        incarnation: 7,
        epoch: 1,
        fingerprint: Fingerprint([9; 32]),
    })
}

fn standing(router: impl Into<String>, state: State) -> Standing {
    Standing { router: router.into(), state, priority: 100 }
}

fn digests(count: usize) -> BTreeMap<String, [u8; 8]> {
    (0..count).map(|i| (format!("host.web{i:05}.address"), [i as u8; 8])).collect()
}

fn every_message() -> Vec<Message> {
    let states = [State::Initialize, State::Backup, State::Active, State::Fault];
    let standings = states.into_iter().enumerate();
    vec![
        hello("a"),
        Message::Standing(standings.map(|(i, s)| standing(format!("r{i}"), s)).collect()),
        Message::Standing(Vec::new()),
        Message::Resigned("web".into()),
        Message::Restarting(Duration::from_millis(2500)),
        Message::Fingerprint(Fingerprint([3; 32])),
        Message::digests(&digests(40)),
        Message::Ping,
        Message::Said { topic: Topic::Words, number: 5, bytes: b"{}".to_vec() },
        Message::Heard { topic: Topic::Pools, number: u32::MAX },
    ]
}

/// Everything that can be read, and what stopped it.
fn read_all(codec: &mut Codec, mut bytes: &[u8], key: &Key) -> (Vec<Piece>, Result<(), Refusal>) {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        match codec.read(&mut bytes, key) {
            Ok(piece) => pieces.extend(piece),
            Err(refusal) => return (pieces, Err(refusal)),
        }
    }
    (pieces, codec.end())
}

#[test]
fn what_is_said_is_heard_in_pieces_of_any_size() {
    let (key, mut chance) = (key(1), Chance(1));
    for size in 1..200 {
        let (mut dialler, mut listener) = pair(&mut chance, [&key, &key]);
        let said = every_message();
        let bytes: Vec<u8> = said.iter().flat_map(|m| dialler.seal(m).expect("greeted")).collect();
        let mut heard = Vec::new();
        for mut chunk in bytes.chunks(size) {
            while !chunk.is_empty() {
                heard.extend(listener.read(&mut chunk, &key).expect("all is right"));
            }
        }
        assert_eq!(heard, said.into_iter().map(Piece::Message).collect::<Vec<_>>());
        assert_eq!(listener.end(), Ok(()));
    }
}

#[test]
fn nothing_can_be_said_before_the_greeting() {
    assert_eq!(Codec::new(Side::Dialler, [1; 32]).seal(&Message::Ping), None);
}

#[test]
fn a_stranger_and_another_version_are_named_at_the_first_wrong_byte() {
    let first = |bytes: &[u8]| read_all(&mut Codec::new(Side::Listener, [1; 32]), bytes, &key(1)).1;
    assert_eq!(first(b"GET / HTTP/1.1\r\n"), Err(Refusal::Foreign));
    assert_eq!(first(b"cox"), Err(Refusal::Foreign));
    assert_eq!(first(b"converge\x02"), Err(Refusal::Version { theirs: 2 }));
    assert_eq!(first(b"converge\x01abc"), Err(Refusal::Truncated { missing: 29 }));
}

#[test]
fn what_comes_back_from_a_mirror_is_refused() {
    let key = key(1);
    let mut codec = Codec::new(Side::Dialler, [5; 32]);
    let own = codec.greeting();
    assert_eq!(codec.read(&mut own.as_slice(), &key), Err(Refusal::Reflected));
    // With a nonce of its own the mirror gets further, but keys are those of a direction.
    let (mut dialler, _) = pair(&mut Chance(2), [&key, &key]);
    let hello = dialler.seal(&hello("a")).expect("greeted");
    assert_eq!(dialler.read(&mut hello.as_slice(), &key), Err(Refusal::Key));
}

#[test]
fn frames_of_another_connection_mean_nothing_here() {
    let (key, mut chance) = (key(1), Chance(3));
    let (mut dialler, _) = pair(&mut chance, [&key, &key]);
    let (_, mut listener) = pair(&mut chance, [&key, &key]);
    let hello = dialler.seal(&hello("a")).expect("greeted");
    assert_eq!(listener.read(&mut hello.as_slice(), &key), Err(Refusal::Key));
}

#[test]
fn another_key_is_named_as_such() {
    let (ours, theirs) = (key(1), key(2));
    let (mut dialler, mut listener) = pair(&mut Chance(4), [&ours, &theirs]);
    let hello = dialler.seal(&hello("a")).expect("greeted");
    assert_eq!(listener.read(&mut hello.as_slice(), &theirs), Err(Refusal::Key));
}

#[test]
fn who_has_proven_nothing_cannot_make_us_wait_for_much() {
    let key = key(1);
    let (_, mut listener) = pair(&mut Chance(5), [&key, &key]);
    let claim = [0xFF; 10];
    let refusal = listener.read(&mut claim.as_slice(), &key);
    assert!(matches!(refusal, Err(Refusal::TooLong { most: 1066, .. })), "{refusal:?}");
    assert!(listener.allocated() < 2048);
}

#[test]
fn a_proven_end_may_send_no_more_than_a_frame_holds() {
    let key = key(1);
    let (mut dialler, mut listener) = pair(&mut Chance(6), [&key, &key]);
    let first = dialler.seal(&Message::Ping).expect("greeted");
    assert!(read_all(&mut listener, &first, &key).1.is_ok());
    let claim = [(MAX_PAYLOAD as u16 + 1).to_be_bytes().as_slice(), &[0; 8]].concat();
    let refusal = listener.read(&mut claim.as_slice(), &key);
    let (length, most) = (MAX_FRAME + 1, MAX_FRAME);
    assert_eq!(refusal, Err(Refusal::TooLong { length, most }));
}

#[test]
fn the_largest_messages_fit_and_say_what_they_leave_out() {
    let all = digests(5000);
    let Message::Digests { leaves, complete } = Message::digests(&all) else { panic!("digests") };
    assert!(!complete && leaves.len() < all.len() && leaves.len() > 1500, "{}", leaves.len());
    assert!(all.keys().zip(leaves.keys()).all(|(a, b)| a == b), "the first ones, in order");
    let many = |name: String| (0..2000).map(move |i| standing(format!("{name}{i}"), State::Backup));
    for message in [
        Message::digests(&all),
        Message::Standing(many(String::new()).collect()),
        Message::Standing(many("n".repeat(300)).collect()),
        hello(&"ü".repeat(300)),
        Message::Said { topic: Topic::Pools, number: 1, bytes: vec![7; MOST_SAID] },
    ] {
        let bytes = message.to_bytes();
        assert!(bytes.len() <= MAX_PAYLOAD, "{}", bytes.len());
        let read = Message::from_bytes(&bytes).expect("it is right").expect("it is known");
        assert_eq!(read.to_bytes(), bytes);
    }
}

#[test]
fn a_later_kind_of_message_is_passed_over_and_a_wrong_one_is_not() {
    assert_eq!(Message::from_bytes(&[200, 1, 2, 3]), Ok(None));
    let malformed = |what| Err(Refusal::Malformed { what });
    assert_eq!(Message::from_bytes(&[]), malformed("kind"));
    assert_eq!(Message::from_bytes(&[8, 99, 0, 0, 0, 1, 2, 3]), Ok(None), "a later topic");
    assert_eq!(Message::from_bytes(&[9, 99, 0, 0, 0, 1]), Ok(None), "a later topic");
    assert_eq!(Message::from_bytes(&[8]), malformed("topic"));
    assert_eq!(Message::from_bytes(&[8, 1, 0]), malformed("number"));
    assert_eq!(Message::from_bytes(&[9, 1, 0, 0, 0, 1, 0]), malformed("length"));
    let too_long = [[8, 1, 0, 0, 0, 1].as_slice(), &[0; MOST_SAID + 1]].concat();
    assert_eq!(Message::from_bytes(&too_long), malformed("length"));
    assert_eq!(Message::from_bytes(&[7, 0]), malformed("length"));
    assert_eq!(Message::from_bytes(&[2, 1, b'a', 4, 100]), malformed("state"));
    assert_eq!(Message::from_bytes(&[3, 2, b'a']), malformed("router"));
    assert_eq!(Message::from_bytes(&[3, 1, 0xFF]), malformed("router"));
    for message in every_message() {
        let bytes = message.to_bytes();
        // A list may end earlier and still be one; nothing else may.
        for end in 1..bytes.len() {
            let shorter = Message::from_bytes(&bytes[..end]);
            assert_ne!(shorter, Ok(Some(message.clone())));
        }
    }
}

/// What somebody on the way does to a stream of frames.
fn meddle(chance: &mut Chance, frames: &mut Vec<Vec<u8>>) -> &'static [&'static str] {
    let at = chance.below(frames.len());
    match chance.below(7) {
        0 => {
            let byte = chance.below(frames[at].len());
            frames[at][byte] ^= 1 << chance.below(8);
            &["key", "forged", "too-long", "truncated"]
        }
        1 => {
            let left = chance.below(frames[at].len());
            frames[at].truncate(left);
            // Without its frame's rest the stream goes on with the next one's bytes.
            &["key", "forged", "too-long", "truncated", "reordered"]
        }
        2 => {
            let again = frames[at].clone();
            let later = at + 1 + chance.below(frames.len() - at);
            frames.insert(later, again);
            &["replayed"]
        }
        3 => {
            let other = chance.below(frames.len());
            frames.swap(at, other);
            if at == other { &[] } else { &["reordered", "too-long"] }
        }
        4 => {
            frames.remove(at);
            &["reordered", "too-long"]
        }
        5 => {
            let junk: Vec<u8> = (0..1 + chance.below(200)).map(|_| chance.next() as u8).collect();
            frames.insert(at, junk);
            &["key", "forged", "too-long", "truncated"]
        }
        _ => &[],
    }
}

#[test]
fn whatever_is_done_to_a_stream_nothing_changed_is_believed() {
    let (ours, foreign) = (key(1), key(2));
    let messages = every_message();
    let mut named: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut chance = Chance(seed);
        let alien = chance.below(16) == 0;
        let (mut dialler, mut listener) = match alien {
            true => pair(&mut chance, [&foreign, &ours]),
            false => pair(&mut chance, [&ours, &ours]),
        };
        let count = chance.below(5);
        // The name comes first, and is all that may: it is short.
        let others = (0..count).map(|_| &messages[chance.below(messages.len())]);
        let said: Vec<&Message> = messages.iter().take(1).chain(others).collect();
        let mut frames: Vec<Vec<u8>> =
            said.iter().map(|m| dialler.seal(m).expect("greeted")).collect();
        let untouched = frames.clone();
        let expected = meddle(&mut chance, &mut frames);
        let stream = frames.concat();
        let mut heard = Vec::new();
        let mut end = Ok(());
        let mut left = stream.as_slice();
        while !left.is_empty() && end.is_ok() {
            let (chunk, rest) = left.split_at((1 + chance.below(3000)).min(left.len()));
            left = rest;
            let pieces;
            (pieces, end) = read_all(&mut listener, chunk, &ours);
            if let Err(Refusal::Truncated { .. }) = end
                && !left.is_empty()
            {
                end = Ok(());
            }
            heard.extend(pieces);
            assert!(listener.allocated() <= MAX_FRAME, "seed {seed}");
        }
        // What was heard is the beginning of what was said.
        let beginning = said.iter().map(|m| Piece::Message((*m).clone()));
        assert!(heard.iter().eq(beginning.take(heard.len()).collect::<Vec<_>>().iter()), "{seed}");
        match &end {
            Ok(()) if alien => assert!(heard.is_empty() && stream.is_empty(), "seed {seed}"),
            // What was cut off at the very end cannot be told from what was never sent.
            Ok(()) => assert!(untouched.concat().starts_with(&stream), "seed {seed}"),
            Err(refusal) => {
                let name = refusal.name();
                let fits = expected.contains(&name) || (alien && !stream.is_empty());
                assert!(fits, "seed {seed}: {refusal:?}, not one of {expected:?}");
                *named.entry(name).or_default() += 1;
            }
        }
    }
    for name in ["key", "forged", "replayed", "reordered", "too-long", "truncated"] {
        assert!(named.get(name).is_some_and(|n| *n > 100), "{name} was hardly tried: {named:?}");
    }
}

#[test]
fn no_bytes_make_the_reader_of_messages_panic() {
    let messages = every_message();
    for seed in 0..SEEDS {
        let mut chance = Chance(seed ^ 0xABCD);
        let mut bytes = messages[chance.below(messages.len())].to_bytes();
        for _ in 0..chance.below(4) {
            let at = chance.below(bytes.len());
            bytes[at] = chance.next() as u8;
        }
        bytes.truncate(1 + chance.below(bytes.len()));
        if let Ok(Some(message)) = Message::from_bytes(&bytes) {
            assert!(message.to_bytes().len() <= MAX_PAYLOAD, "seed {seed}");
        }
    }
}
