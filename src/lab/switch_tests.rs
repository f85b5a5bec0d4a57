//! What the switch promises, under a clock of its own.

use super::*;
use proptest::prelude::*;

const BROADCAST: Mac = Mac([0xff; 6]);

fn mac(port: Port) -> Mac {
    Mac([2, 0, 0, 0, 0, u8::try_from(port).expect("a small port")])
}

fn frame(from: Port, to: Mac, tag: u8) -> Vec<u8> {
    [&to.0[..], &mac(from).0, &[8, 0, tag]].concat()
}

fn drain(switch: &mut Switch) -> Vec<(Port, u8)> {
    let next = || switch.poll_output().map(|out| (out.port, out.frame[ETHERNET_HEADER]));
    std::iter::from_fn(next).collect()
}

/// A switch of three ports that knows all addresses.
fn learnt(now: Instant) -> Switch {
    let mut switch = Switch::new(3, 1, now);
    for port in 0..3 {
        switch.handle_frame(port, frame(port, BROADCAST, 0), now);
    }
    drain(&mut switch);
    switch
}

#[test]
fn a_frame_to_a_known_address_goes_to_its_port_alone() {
    let now = Instant::now();
    let mut switch = learnt(now);
    switch.handle_frame(0, frame(0, mac(2), 7), now);
    assert_eq!(drain(&mut switch), [(2, 7)]);
}

#[test]
fn unknown_and_group_addresses_go_everywhere_but_back() {
    let now = Instant::now();
    let mut switch = learnt(now);
    switch.handle_frame(1, frame(1, mac(99), 1), now);
    switch.handle_frame(1, frame(1, Mac([1, 0, 0x5e, 0, 0, 18]), 2), now);
    assert_eq!(drain(&mut switch), [(0, 1), (2, 1), (0, 2), (2, 2)]);
}

#[test]
fn an_address_that_moves_is_followed() {
    let now = Instant::now();
    let mut switch = learnt(now);
    let mut moved = frame(0, BROADCAST, 0);
    moved[6..12].copy_from_slice(&mac(2).0);
    switch.handle_frame(1, moved, now);
    drain(&mut switch);
    switch.handle_frame(0, frame(0, mac(2), 3), now);
    assert_eq!(drain(&mut switch), [(1, 3)]);
}

#[test]
fn a_cut_is_one_way_when_asked_for_one_way() {
    let now = Instant::now();
    let mut switch = learnt(now);
    switch.damage(1, Direction::Out, Damage::Cut);
    switch.handle_frame(1, frame(1, mac(0), 1), now);
    assert_eq!(drain(&mut switch), []);
    switch.handle_frame(0, frame(0, mac(1), 2), now);
    assert_eq!(drain(&mut switch), [(1, 2)]);
    switch.damage(1, Direction::Both, Damage::Heal);
    switch.handle_frame(1, frame(1, mac(0), 3), now);
    assert_eq!(drain(&mut switch), [(0, 3)]);
    assert_eq!(switch.lost(), 1);
}

#[test]
fn a_delay_holds_frames_back_and_keeps_their_order() {
    let now = Instant::now();
    let delay = Duration::from_millis(40);
    let mut switch = learnt(now);
    switch.damage(0, Direction::Out, Damage::Delay(delay));
    switch.damage(1, Direction::In, Damage::Delay(delay));
    switch.handle_frame(0, frame(0, mac(1), 1), now);
    switch.handle_frame(0, frame(0, mac(1), 2), now);
    assert_eq!(drain(&mut switch), []);
    assert_eq!(switch.poll_timeout(), Some(now + delay));
    switch.handle_timeout(now + delay);
    assert_eq!(drain(&mut switch), []);
    switch.handle_timeout(now + 2 * delay);
    assert_eq!(drain(&mut switch), [(1, 1), (1, 2)]);
    assert_eq!(switch.poll_timeout(), None);
}

#[test]
fn loss_and_duplication_come_near_their_shares_and_repeat_with_the_seed() {
    let now = Instant::now();
    let count = |seed| {
        let mut switch = Switch::new(2, seed, now);
        switch.damage(0, Direction::Out, Damage::Loss(0.2));
        switch.damage(1, Direction::In, Damage::Duplicate(0.5));
        for _ in 0..1000 {
            switch.handle_frame(0, frame(0, mac(1), 1), now);
        }
        drain(&mut switch).len()
    };
    assert_eq!(count(7), count(7));
    assert!((1100..1300).contains(&count(7)), "{}", count(7));
}

#[test]
fn a_queue_that_is_full_loses_and_does_not_grow() {
    let now = Instant::now();
    let mut switch = Switch::new(2, 1, now);
    switch.damage(0, Direction::Out, Damage::Delay(Duration::from_secs(60)));
    for _ in 0..MAX_WAITING + 10 {
        switch.handle_frame(0, frame(0, mac(1), 1), now);
    }
    assert_eq!(switch.waiting.len(), MAX_WAITING);
    assert_eq!(switch.lost(), 10);
}

proptest! {
    #[test]
    fn arbitrary_frames_reach_no_port_they_came_from_and_none_that_is_cut(
        frames in prop::collection::vec(
            (0usize..5, prop::collection::vec(any::<u8>(), 0..40)), 0..60),
        cut in 0usize..4,
    ) {
        let now = Instant::now();
        let mut switch = Switch::new(4, 3, now);
        switch.damage(cut, Direction::In, Damage::Cut);
        for (from, bytes) in frames {
            switch.handle_frame(from, bytes.clone(), now);
            while let Some(out) = switch.poll_output() {
                prop_assert!(out.port != from && out.port != cut && out.port < 4);
                prop_assert_eq!(&out.frame, &bytes);
            }
        }
        prop_assert!(switch.addresses.len() <= MAX_ADDRESSES);
    }
}
