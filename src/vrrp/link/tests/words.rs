//! What directors have each other know: the newest, everywhere, at a measured pace.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::message::Message;
use super::super::telling::{EVERY, HEARD_EVERY, Hearing, MOST_SAID, Telling, Topic};
use super::super::{Contact, News};
use super::network::{Bug, DELAY, MS, SECOND, World};
use crate::clock::Moment;

const SEEDS: u64 = 1500;

fn word(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// What this host knows of the other.
fn knows(world: &World, host: usize, topic: Topic) -> Option<&[u8]> {
    let said = &world.hosts[host].as_ref()?.said;
    said.get(&topic).map(|(bytes, _)| bytes.as_slice())
}

/// Each knows what the other's present process last wanted known, and nothing of one that is gone.
fn judge(world: &World) -> Result<(), String> {
    for host in [0, 1] {
        let Some(process) = &world.hosts[host] else { continue };
        let said: BTreeMap<Topic, &[u8]> =
            process.said.iter().map(|(topic, (bytes, _))| (*topic, bytes.as_slice())).collect();
        let told: BTreeMap<Topic, &[u8]> = match &world.hosts[1 - host] {
            Some(other) if process.peering.contact() == Contact::Present => {
                other.told.iter().map(|(topic, bytes)| (*topic, bytes.as_slice())).collect()
            }
            _ => BTreeMap::new(),
        };
        if said != told {
            return Err(format!("{host} knows {said:?}, not {told:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_word_is_heard_at_once_and_again_by_each_process_that_comes() {
    let mut world = World::both_up(1);
    world.tell(0, Topic::Words, word(1));
    world.run(2 * DELAY);
    assert_eq!(knows(&world, 1, Topic::Words), Some(b"1".as_slice()));
    world.kill(1);
    world.run(SECOND);
    world.start(1);
    world.run(SECOND);
    assert_eq!(knows(&world, 1, Topic::Words), Some(b"1".as_slice()));
    // It was told as early as anything may be: after Up, which is when the other's life began.
    let heard = &world.hosts[1].as_ref().expect("it runs").heard;
    assert!(matches!(heard.as_slice(), [News::Up, News::Standing(_)]), "{heard:?}");
}

#[test]
fn of_what_changes_fast_the_newest_is_heard_and_few_are_said() {
    let mut world = World::both_up(1);
    for number in 0..1000 {
        world.tell(0, Topic::Pools, word(number));
        world.run(MS);
    }
    world.run(EVERY);
    assert_eq!(knows(&world, 1, Topic::Pools), Some(b"999".as_slice()));
    let last = world.hosts[0].as_ref().expect("it runs").peering.telling.poll_timeout();
    assert_eq!(last, None, "there is nothing left to say");
}

#[test]
fn one_who_takes_nothing_has_one_word_on_each_topic_waiting() {
    let mut world = World::both_up(1);
    world.stall(1, true);
    for number in 0..2000 {
        let mut bytes = word(number);
        bytes.resize(MOST_SAID, b' ');
        Topic::ALL.into_iter().for_each(|topic| world.tell(0, topic, bytes.clone()));
        world.run(MS);
    }
    let most = Topic::ALL.len() * (MOST_SAID + 100) + 1000;
    assert!(world.under_way(1) <= most, "{} bytes", world.under_way(1));
    world.stall(1, false);
    world.run(SECOND);
    assert_eq!(judge(&world), Ok(()));
}

/// Processes die and stall, cables are cut, words change; in the end all is well.
fn storm(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut world = World::new(seed);
    (world.jitter, world.bug) = (world.chance.below(2) == 0, bug);
    let mut number = 0;
    for _ in 0..3 + world.chance.below(25) {
        let host = world.chance.below(2);
        match world.chance.below(12) {
            0 => world.kill(host),
            1 if world.hosts[host].is_none() => world.start(host),
            1 | 2 => {
                world.kill(host);
                world.start(host);
            }
            3 => world.stall(host, true),
            4 => world.stall(host, false),
            5 => world.set_cut([host == 0, host == 1]),
            6 => world.set_cut([false, false]),
            topic => {
                number += 1;
                world.tell(host, Topic::ALL[topic % 2], word(number));
            }
        }
        let span = [DELAY, 3 * DELAY, 30 * MS, 100 * MS, 2 * SECOND][world.chance.below(5)];
        let nanos = world.chance.next() % (2 * span.as_nanos() as u64);
        world.run(Duration::from_nanos(nanos));
    }
    [0, 1].into_iter().for_each(|host| world.stall(host, false));
    world.set_cut([false, false]);
    world.jitter = false;
    world.run(8 * SECOND);
    judge(&world)?;
    for host in [0, 1] {
        if world.hosts[host].is_none() {
            world.start(host);
        }
    }
    world.run(5 * SECOND);
    judge(&world)
}

#[test]
fn whatever_happened_each_knows_the_newest_once_all_is_well() {
    for seed in 0..SEEDS {
        assert_eq!(storm(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for bug in [Bug::OldestOfABurst, Bug::OutlivesItsSpeaker] {
        let found = (0..SEEDS).find(|seed| storm(*seed, Some(bug)).is_err());
        assert!(found.is_some(), "{bug:?} is not found in {SEEDS} runs");
    }
}

#[test]
fn nothing_is_said_before_its_time_nor_before_the_last_was_heard() {
    let start = Moment::ZERO + SECOND;
    let mut telling = Telling::default();
    telling.keep(Topic::Words, b"1", start);
    let said = |message: Option<Message>| match message {
        Some(Message::Said { number, bytes, .. }) => Some((number, bytes)),
        _ => None,
    };
    assert_eq!(said(telling.next(start)), Some((1, b"1".to_vec())));
    telling.keep(Topic::Words, b"2", start);
    assert_eq!((telling.poll_timeout(), said(telling.next(start + SECOND))), (None, None));
    telling.handle_heard(Topic::Words, 7);
    telling.handle_heard(Topic::Pools, 1);
    assert_eq!(telling.poll_timeout(), None, "that was not said");
    telling.handle_heard(Topic::Words, 1);
    assert_eq!(telling.poll_timeout(), Some(start + EVERY));
    assert_eq!(said(telling.next(start + EVERY - MS)), None);
    telling.keep(Topic::Words, b"3", start);
    telling.keep(Topic::Words, b"3", start);
    assert_eq!(said(telling.next(start + EVERY)), Some((3, b"3".to_vec())));
    // On another connection it is said again, though not sooner.
    telling.begin();
    assert_eq!(telling.poll_timeout(), Some(start + 2 * EVERY));
    assert_eq!(said(telling.next(start + 2 * EVERY)), Some((3, b"3".to_vec())));
    telling.handle_heard(Topic::Words, 3);
    telling.keep(Topic::Words, b"3", start + SECOND);
    assert_eq!(telling.poll_timeout(), None, "the same is no news");
}

#[test]
fn of_a_flood_the_newest_is_handed_on_and_no_more_is_kept() {
    let start = Moment::ZERO + SECOND;
    let mut hearing = Hearing::default();
    let mut handed = Vec::new();
    for number in 0..1000 {
        let now = start + MS * number;
        hearing.handle_said(Topic::Pools, number, word(number.into()), now);
        handed.extend(hearing.next(now).map(|(_, number, _)| number));
    }
    let pace = HEARD_EVERY.as_millis() as u32;
    assert_eq!(handed, (0..1000).step_by(pace as usize).collect::<Vec<_>>());
    assert_eq!(hearing.next(start + SECOND), Some((Topic::Pools, 999, word(999))));
    assert_eq!((hearing.next(start + 2 * SECOND), hearing.poll_timeout()), (None, None));
}
