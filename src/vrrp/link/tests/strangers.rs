//! Who connects and is not the other director, or not as expected.

use std::time::Duration;

use super::super::frame::{Codec, Side};
use super::super::message::{Hello, Message};
use super::super::{Alarm, ConnectionId, Dialled, Ends, News, Output, Peering, Refusal};
use super::network::{MS, SECOND, address, digests};
use crate::clock::Moment;
use crate::vrrp::fingerprint::Fingerprint;
use crate::vrrp::key::Key;

const NOW: Moment = Moment::ZERO;

fn key() -> Key {
    Key::new(&[1; 32])
}

/// d0, whose first try was refused.
fn peering() -> Peering {
    let ends = Ends {
        host: "d0".into(),
        address: address(0),
        peer: "d1".into(),
        peer_address: address(1),
        incarnation: 1,
        key: key(),
    };
    let mut peering = Peering::new(ends, digests(&key(), "a = 1"), NOW);
    let outputs = outputs(&mut peering);
    let [Output::Dial(id)] = outputs.as_slice() else { panic!("{outputs:?}") };
    peering.handle_dialled(*id, Dialled::Refused, NOW);
    assert_eq!(self::outputs(&mut peering), [Output::News(News::Gone)]);
    peering
}

fn outputs(peering: &mut Peering) -> Vec<Output> {
    std::iter::from_fn(|| peering.poll_output()).collect()
}

/// Somebody who has the key connects and says these; with the peering's answers read.
fn connect(peering: &mut Peering, nonce: u8, said: &[Message]) -> ConnectionId {
    let mut codec = Codec::new(Side::Dialler, [nonce; 32]);
    let id = peering.handle_accepted([nonce ^ 0xFF; 32], NOW);
    let answer = outputs(peering);
    let Some(Output::Write(to, greeting)) = answer.last() else { panic!("{answer:?}") };
    assert_eq!(*to, id);
    codec.read(&mut greeting.as_slice(), &key()).expect("it is a greeting");
    peering.handle_bytes(id, &codec.greeting(), NOW);
    for message in said {
        let bytes = codec.seal(message).expect("greeted");
        peering.handle_bytes(id, &bytes, NOW);
    }
    id
}

fn hello(host: &str, peer: &str, epoch: u64) -> Message {
    let (host, peer, fingerprint) = (host.into(), peer.into(), Fingerprint([0; 32]));
    Message::Hello(Hello { host, peer, incarnation: 5, epoch, fingerprint })
}

fn alarms(peering: &mut Peering) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for output in outputs(peering) {
        if let Output::Alarm(alarm) = output {
            alarms.push(alarm);
        }
    }
    alarms
}

#[test]
fn another_host_with_the_key_is_not_taken_for_the_peer() {
    let mut peering = peering();
    connect(&mut peering, 1, &[hello("d2", "d0", 1)]);
    let (says, expected) = ("d2".into(), "d1".into());
    assert_eq!(alarms(&mut peering), [Alarm::Refused(Refusal::WrongHost { says, expected })]);
    connect(&mut peering, 2, &[hello("d1", "d9", 1)]);
    let meant = "d9".into();
    assert_eq!(alarms(&mut peering), [Alarm::Refused(Refusal::WrongTarget { meant })]);
    connect(&mut peering, 3, &[Message::Resigned("web".into())]);
    assert_eq!(alarms(&mut peering), [Alarm::Refused(Refusal::Nameless)]);
}

#[test]
fn a_stranger_who_comes_again_and_again_is_named_once() {
    let mut peering = peering();
    for i in 0..100 {
        let id = peering.handle_accepted([i; 32], NOW);
        peering.handle_bytes(id, b"SSH-2.0-x\r\n", NOW);
        let said = outputs(&mut peering);
        assert!(said.contains(&Output::Close(id)));
        let named = said.contains(&Output::Alarm(Alarm::Refused(Refusal::Foreign)));
        assert_eq!(named, i == 0);
    }
}

#[test]
fn who_connects_and_says_nothing_takes_no_more_than_a_few_places() {
    let mut peering = peering();
    let ids: Vec<ConnectionId> = (0..50).map(|i| peering.handle_accepted([i; 32], NOW)).collect();
    let closed = outputs(&mut peering);
    let closed: Vec<&ConnectionId> =
        ids.iter().filter(|id| closed.contains(&Output::Close(**id))).collect();
    assert_eq!(closed, ids[..46].iter().collect::<Vec<_>>(), "the oldest go first");
    // The last ones have a second.
    peering.handle_timeout(NOW + SECOND);
    let said = outputs(&mut peering);
    assert!(ids[46..].iter().all(|id| said.contains(&Output::Close(*id))));
    // Not even these can keep the peer away.
    connect(&mut peering, 99, &[hello("d1", "d0", 1)]);
    assert!(outputs(&mut peering).contains(&Output::News(News::Up)));
}

#[test]
fn of_two_connections_made_at_once_both_ends_keep_the_same() {
    let mut peering = peering();
    let first = connect(&mut peering, 1, &[hello("d1", "d0", 5)]);
    let said = outputs(&mut peering);
    assert!(said.contains(&Output::News(News::Up)));
    // Begun earlier there: epoch 4 with our 2 makes no more than 5 with our 1, and equal sums are
    // decided by who dialled.
    let second = connect(&mut peering, 2, &[hello("d1", "d0", 4)]);
    peering.handle_timeout(NOW + SECOND);
    let said = outputs(&mut peering);
    assert!(said.contains(&Output::Close(second)) && !said.contains(&Output::Close(first)));
    let third = connect(&mut peering, 3, &[hello("d1", "d0", 6)]);
    peering.handle_timeout(NOW + SECOND + SECOND);
    let said = outputs(&mut peering);
    assert!(said.contains(&Output::Close(first)) && !said.contains(&Output::Close(third)));
}

#[test]
fn what_was_asked_before_the_other_came_is_given_up() {
    let mut peering = peering();
    let due = peering.poll_timeout().expect("the next try");
    peering.handle_timeout(due);
    let said = outputs(&mut peering);
    let [Output::Dial(asked)] = said.as_slice() else { panic!("{said:?}") };
    connect(&mut peering, 1, &[hello("d1", "d0", 1)]);
    let said = outputs(&mut peering);
    assert!(said.contains(&Output::Close(*asked)), "{said:?}");
    // The answer has crossed that; it is of the past.
    peering.handle_dialled(*asked, Dialled::Refused, due);
    assert_eq!(outputs(&mut peering), []);
}

#[test]
fn who_has_nothing_to_say_says_so_every_second_and_is_missed_after_three() {
    let mut peering = peering();
    let id = connect(&mut peering, 1, &[hello("d1", "d0", 1)]);
    outputs(&mut peering);
    for second in 1..3 {
        let due = peering.poll_timeout().expect("a keepalive is due");
        assert_eq!(due, NOW + SECOND * second);
        peering.handle_timeout(due);
        let said = outputs(&mut peering);
        assert!(matches!(said.as_slice(), [Output::Write(to, _)] if *to == id), "{said:?}");
    }
    peering.handle_timeout(NOW + SECOND * 3);
    let said = outputs(&mut peering);
    assert!(matches!(said.as_slice(), [Output::Close(to), Output::Dial(_)] if *to == id));
}

#[test]
fn a_refusal_that_was_read_late_is_asked_for_again() {
    let mut peering = peering();
    connect(&mut peering, 1, &[hello("d1", "d0", 1)]);
    let lost = NOW + SECOND * 2;
    peering.handle_closed(ConnectionId(2), lost);
    let said = outputs(&mut peering);
    let Some(Output::Dial(id)) = said.last() else { panic!("{said:?}") };
    // This process was stalled for a minute, and the other one has long been back.
    let late = lost + Duration::from_secs(60);
    peering.handle_dialled(*id, Dialled::Refused, late);
    let said = outputs(&mut peering);
    let [Output::Dial(id)] = said.as_slice() else { panic!("{said:?}") };
    peering.handle_dialled(*id, Dialled::Refused, late + MS);
    assert_eq!(outputs(&mut peering), [Output::News(News::Gone)]);
}
