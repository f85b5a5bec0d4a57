//! What two directors know of each other when processes die, stall and restart and cables are cut.

use std::time::Duration;

use super::super::{Alarm, Contact, News, Refusal};
use super::network::{DELAY, MS, PORT_LINGERS, SECOND, World, digests};
use crate::vrrp::key::Key;

const SEEDS: u64 = 2000;

fn heard(world: &World, host: usize) -> &[News] {
    world.hosts[host].as_ref().map_or(&[], |p| p.heard.as_slice())
}

fn contact(world: &World, host: usize) -> Contact {
    world.contacts()[host].expect("the process runs")
}

#[test]
fn two_directors_find_each_other_within_a_round_trip_or_two() {
    for first in [0, 1] {
        let mut world = World::new(1);
        world.start(first);
        world.run(5 * SECOND);
        assert_eq!(heard(&world, first), [News::Gone], "nobody listened there yet");
        world.start(1 - first);
        world.run(2 * MS);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2]);
    }
}

#[test]
fn two_that_start_together_keep_one_of_their_connections_and_lose_nothing() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.jitter = true;
        world.start(0);
        let offset = DELAY / 8 * world.chance.below(64) as u32;
        world.run(offset);
        world.start(1);
        world.run(5 * SECOND);
        for process in world.hosts.iter().flatten() {
            // One more is dialled if the first was refused because nobody was there yet.
            let ups = process.heard.iter().filter(|news| **news == News::Up).count();
            assert_eq!((ups, process.open.len()), (1, 1), "seed {seed}: {:?}", process.heard);
            let refused = u32::from(process.heard.contains(&News::Gone));
            assert!(process.dials <= 1 + refused, "seed {seed}: {} dials", process.dials);
        }
    }
}

#[test]
fn a_killed_process_is_gone_after_one_try() {
    for (seed, host) in [(1, 0), (2, 1)] {
        let mut world = World::both_up(seed);
        world.kill(host);
        world.run(3 * DELAY + PORT_LINGERS);
        assert_eq!(heard(&world, 1 - host), [News::Gone]);
        world.start(host);
        world.run(2 * MS);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2]);
    }
}

#[test]
fn a_port_that_outlives_its_connections_costs_a_millisecond() {
    let mut world = World::both_up(1);
    world.kill(0);
    world.ports_close[0] = world.now + 3 * DELAY;
    world.run(8 * DELAY + 2 * MS);
    assert_eq!(heard(&world, 1), [News::Gone]);
}

#[test]
fn a_cut_cable_is_unknown_and_never_gone() {
    for cut in [[true, true], [true, false], [false, true]] {
        let mut world = World::both_up(1);
        world.set_cut(cut);
        world.run(60 * SECOND);
        for host in [0, 1] {
            assert_eq!(heard(&world, host), [News::Unknown], "{cut:?}");
        }
        let dials = world.hosts.iter().flatten().map(|p| p.dials);
        assert!(dials.clone().all(|d| (20..80).contains(&d)), "{:?}", dials.collect::<Vec<_>>());
        world.forget();
        world.set_cut([false, false]);
        world.run(3 * SECOND);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2], "{cut:?}");
    }
}

#[test]
fn a_death_behind_a_cut_cable_is_known_when_the_cable_is_back() {
    let mut world = World::both_up(1);
    world.set_cut([true, true]);
    world.run(SECOND);
    world.kill(1);
    world.run(20 * SECOND);
    assert_eq!(heard(&world, 0), [News::Unknown]);
    world.set_cut([false, false]);
    world.run(3 * SECOND);
    assert_eq!(heard(&world, 0), [News::Unknown, News::Gone]);
}

#[test]
fn a_stalled_process_is_unknown_and_back_when_it_goes_on() {
    for host in [0, 1] {
        let mut world = World::both_up(1);
        world.stall(host, true);
        world.run(30 * SECOND);
        assert_eq!(heard(&world, 1 - host), [News::Unknown]);
        world.stall(host, false);
        world.run(3 * SECOND);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2]);
    }
}

#[test]
fn an_announced_restart_is_neither_gone_nor_unknown_until_its_time_is_over() {
    let mut world = World::both_up(1);
    let now = world.now;
    let back_within = 2 * SECOND;
    let restart = |world: &mut World| {
        let process = world.hosts[0].as_mut().expect("it runs");
        process.peering.handle_restart(back_within, now);
        world.drain(0);
        world.kill(0);
    };
    restart(&mut world);
    world.run(SECOND);
    world.start(0);
    world.run(2 * MS);
    let after = heard(&world, 1);
    assert!(matches!(after, [News::Restarting(_), News::Standing(_)]), "{after:?}");
    world.run(5 * SECOND);
    world.forget();
    restart(&mut world);
    world.run(back_within - 10 * MS);
    assert_eq!(heard(&world, 1), [News::Restarting(back_within)]);
    world.run(20 * MS);
    assert_eq!(heard(&world, 1), [News::Restarting(back_within), News::Gone]);
}

#[test]
fn a_process_that_was_replaced_unseen_is_gone_before_its_successor_is_up() {
    let mut world = World::both_up(1);
    world.stall(1, true);
    world.kill(0);
    world.start(0);
    world.run(10 * MS);
    world.stall(1, false);
    world.run(10 * MS);
    let after = heard(&world, 1);
    assert!(matches!(after, [News::Gone, News::Up, News::Standing(_), ..]), "{after:?}");
}

#[test]
fn what_is_said_last_before_an_end_is_heard() {
    let mut world = World::both_up(1);
    let now = world.now;
    world.hosts[0].as_mut().expect("it runs").peering.handle_resigned("web", now);
    world.drain(0);
    world.kill(0);
    world.run(5 * MS);
    assert_eq!(heard(&world, 1), [News::Resigned("web".into()), News::Gone]);
}

#[test]
fn another_key_is_an_alarm_on_both_sides_once_and_no_death() {
    let mut world = World::new(1);
    world.keys[1] = Key::new(&[2; 32]);
    world.start(0);
    world.start(1);
    world.run(60 * SECOND);
    for process in world.hosts.iter().flatten() {
        assert_eq!(process.alarms, [Alarm::Refused(Refusal::Key)]);
        let told = process.heard.iter().filter(|news| **news == News::Gone).count();
        assert!(told <= 1 && process.peering.contact() == Contact::Unknown, "{:?}", process.heard);
    }
}

#[test]
fn files_that_differ_are_named_once_and_agreement_too() {
    let mut world = World::new(1);
    world.files = ["a = 1\nb = 2\nc = 3", "a = 1\nb = 4\nd = 3"];
    world.start(0);
    world.start(1);
    world.run(SECOND);
    for (host, text) in [
        (0, "different values of b; only here c; only there d"),
        (1, "different values of b; only here d; only there c"),
    ] {
        let alarms = &world.hosts[host].as_ref().expect("it runs").alarms;
        let [Alarm::Mismatch(mismatch)] = alarms.as_slice() else { panic!("{alarms:?}") };
        assert_eq!(mismatch.to_string(), text);
    }
    let reread = |world: &mut World, host: usize, text: &str| {
        let (now, digests) = (world.now, digests(&world.keys[host], text));
        world.hosts[host].as_mut().expect("it runs").peering.handle_digests(digests, now);
        world.drain(host);
        world.run(SECOND);
    };
    world.forget();
    // The connection comes again, the mismatch is the same: nobody is told twice.
    world.set_cut([true, true]);
    world.run(10 * SECOND);
    world.set_cut([false, false]);
    world.run(10 * SECOND);
    assert!(world.hosts.iter().flatten().all(|p| p.alarms.is_empty()));
    reread(&mut world, 1, "a = 1\nb = 2\nd = 3");
    reread(&mut world, 1, "# the same\na = 1\nb = 2\nc = 3");
    for process in world.hosts.iter().flatten() {
        let alarms = &process.alarms;
        assert!(matches!(alarms.as_slice(), [Alarm::Mismatch(_), Alarm::Agreed]), "{alarms:?}");
    }
}

#[test]
fn whatever_happened_both_are_present_once_all_is_well() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.jitter = world.chance.below(2) == 0;
        for _ in 0..3 + world.chance.below(20) {
            let host = world.chance.below(2);
            match world.chance.below(8) {
                0 => world.kill(host),
                1 | 2 if world.hosts[host].is_none() => world.start(host),
                1 => {
                    world.kill(host);
                    world.start(host);
                }
                2 => world.stall(host, true),
                3 => world.stall(host, false),
                4 => world.set_cut([true, true]),
                5 => world.set_cut([host == 0, host == 1]),
                _ => world.set_cut([false, false]),
            }
            let span = [DELAY / 2, DELAY, 3 * DELAY, 100 * MS, 5 * SECOND];
            let span = span[world.chance.below(5)];
            let span = Duration::from_nanos(world.chance.next() % (2 * span.as_nanos() as u64));
            world.run(span);
        }
        world.set_cut([false, false]);
        world.jitter = false;
        for host in [0, 1] {
            world.stall(host, false);
            if world.hosts[host].is_none() {
                world.start(host);
            }
        }
        world.run(5 * SECOND);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2], "seed {seed}");
        // Each knows the other's present process, and they speak on one connection.
        for host in [0, 1] {
            let other = world.hosts[1 - host].as_ref().map(|p| p.number);
            let process = world.hosts[host].as_ref().expect("it runs");
            assert_eq!(process.knows, other, "seed {seed}");
            assert_eq!(process.open.len(), 1, "seed {seed}");
        }
        world.forget();
        world.run(10 * SECOND);
        for process in world.hosts.iter().flatten() {
            assert!(process.heard.is_empty() && process.dials == 0, "seed {seed}: {process:?}");
        }
        let host = world.chance.below(2);
        world.kill(host);
        world.run(3 * DELAY + PORT_LINGERS);
        assert_eq!(contact(&world, 1 - host), Contact::Gone, "seed {seed}");
    }
}
