//! The codec against chance: what is sent is heard as it was, and no bytes make it panic.
//!
//! Every thousand packets have a seed of their own, printed before them, so that a failure names
//! the one that repeats it: put it in place of the range.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

const SEEDS: std::ops::Range<u64> = 0..150;
const PACKETS_OF_A_SEED: usize = 1000;

/// Random numbers that are the same for the same seed everywhere.
struct Chance(TestRng);

impl Chance {
    fn new(seed: u64) -> Self {
        let seed = [seed.to_be_bytes(), (!seed).to_be_bytes()].concat();
        Chance(TestRng::from_seed(RngAlgorithm::XorShift, &seed))
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let number = usize::try_from(self.0.next_u32()).expect("32 bits fit");
        number % end
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u32().to_be_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    fn envelope(&mut self) -> Envelope {
        let ttl = self.of(&[Some(255), Some(255), Some(255), Some(64), None]);
        let group = self.below(2) == 0;
        let host = self.byte();
        let (source, destination) = match self.below(9) {
            0 => ("10.77.0.1".to_owned(), "ff02::12"),
            1..5 => (format!("10.77.0.{host}"), if group { "224.0.0.18" } else { "10.77.0.2" }),
            5 => (format!("2001:db8::{host:x}"), "ff02::12"),
            _ => (format!("fe80::{host:x}"), if group { "ff02::12" } else { "fe80::2" }),
        };
        Envelope { source: ip(&source), destination: ip(destination), ttl }
    }

    /// A packet that is good for the envelope.
    fn good(&mut self, envelope: &Envelope) -> Vec<u8> {
        let family = Family::of(envelope.destination);
        let count = 1 + self.below(5);
        let addresses = (0..count).map(|_| match family {
            Family::Ipv4 => IpAddr::from([10, 77, 0, self.byte()]),
            Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(self.byte())]),
        });
        let addresses = addresses.collect();
        let version = match family {
            Family::Ipv4 => self.of(&[Version::V2, Version::V3]),
            Family::Ipv6 => Version::V3,
        };
        let auth = self.of(&[Auth::None, Auth::Pass(*b"abcdefgh"), Auth::Other(2)]);
        let (vrid, priority) = (self.byte(), self.byte());
        let sent = Advert { version, vrid, priority, interval: Interval::DEFAULT, addresses, auth };
        let checksum = self.of(&[Checksum::PseudoHeader, Checksum::Message]);
        // A source of the other family is the envelope's fault, not the packet's.
        let source = match Family::of(envelope.source) == family {
            true => envelope.source,
            false => envelope.destination,
        };
        let mut packet = Vec::new();
        emit(&sent, source, envelope.destination, checksum, &mut packet);
        packet
    }

    /// Damages it in one of the ways in which packets are damaged, or made by somebody else.
    fn mutate(&mut self, packet: &mut Vec<u8>) {
        match self.below(6) {
            0 => packet.truncate(self.below(packet.len() + 1)),
            1 => {
                let count = self.below(40);
                packet.extend(self.bytes(count));
            }
            2 if !packet.is_empty() => {
                let place = self.below(packet.len());
                packet[place] ^= 1 << self.below(8);
            }
            // The bytes that decide about all others.
            3 | 4 if packet.len() >= HEADER => {
                let place = self.below(HEADER);
                packet[place] = self.byte() & self.of(&[0x00, 0x03, 0x0f, 0xff]);
            }
            _ => packet.iter_mut().for_each(|byte| *byte = byte.rotate_left(1)),
        }
    }

    /// Puts the right checksum in, so that what comes after the check is reached.
    fn mend(packet: &mut [u8], envelope: &Envelope) {
        if packet.len() < HEADER {
            return;
        }
        packet[CHECKSUM].fill(0);
        let start = match Family::of(envelope.destination) {
            Family::Ipv4 => Sum::default(),
            Family::Ipv6 => {
                let (from, to) = (envelope.source, envelope.destination);
                Sum::pseudo_header(from, to, PROTOCOL, packet.len())
            }
        };
        let sum = start.add(packet).checksum();
        packet[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    }

    /// Noise, or a good packet damaged up to three times, its checksum mended or not.
    fn packet(&mut self, envelope: &Envelope) -> Vec<u8> {
        let mut packet = match self.below(8) {
            0 => {
                let count = self.below(64);
                self.bytes(count)
            }
            _ => self.good(envelope),
        };
        for _ in 0..self.below(4) {
            self.mutate(&mut packet);
        }
        if self.below(2) == 0 {
            Self::mend(&mut packet, envelope);
        }
        packet
    }
}

/// What is sent on is heard as what was heard; only what was odd about the bytes is gone.
fn assert_comes_back(first: &Received, envelope: &Envelope, expect: &Expect) {
    let again = emitted(&first.advert, envelope, first.checksum);
    let second = parse(&again, envelope, expect).expect("what we send is good");
    assert_eq!((&second.advert, second.checksum), (&first.advert, first.checksum));
    let lasting = first.notes.iter().filter(|note| !matches!(note, Note::Trailing(_)));
    assert!(second.notes.iter().eq(lasting), "{:?} {:?}", second.notes, first.notes);
}

#[test]
fn no_packet_makes_it_panic_and_whatever_is_heard_comes_back() {
    let (mut heard, mut reasons) = (0_u32, BTreeSet::new());
    for seed in SEEDS {
        println!("seed {seed}");
        let mut chance = Chance::new(seed);
        for _ in 0..PACKETS_OF_A_SEED {
            let envelope = chance.envelope();
            let packet = chance.packet(&envelope);
            let expect = Expect { multicast: chance.below(2) == 0 };
            match parse(&packet, &envelope, &expect) {
                Ok(received) => {
                    heard += 1;
                    assert_comes_back(&received, &envelope, &expect);
                }
                Err(discard) => {
                    assert!(!discard.to_string().is_empty());
                    let name = format!("{discard:?}");
                    let end = name.find(' ').unwrap_or(name.len());
                    reasons.insert(name[..end].to_owned());
                }
            }
        }
    }
    // It would prove little if most were thrown away at the first check.
    assert!(heard > 20_000, "only {heard} were heard");
    let all = "AuthHeader AuthType Checksum Families NoAddress NoInterval Truncated Ttl TtlUnknown \
        Type V2OverIpv6 Version";
    assert_eq!(reasons.into_iter().collect::<Vec<_>>().join(" "), all);
}

fn address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::Ipv4 => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        Family::Ipv6 => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
    }
}

/// Everything that can be said, with the addresses between which it is.
fn said() -> impl Strategy<Value = (Advert, Envelope)> {
    let auth = prop_oneof![Just(Auth::None), any::<[u8; 8]>().prop_map(Auth::Pass)];
    let v2 = (1..=255_u8, auth).prop_map(|(seconds, auth)| {
        let interval = Interval::from_seconds(seconds).expect("in range");
        (Version::V2, Family::Ipv4, interval, auth)
    });
    let families = prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)];
    let v3 = (1..=4095_u16, families).prop_map(|(field, family)| {
        let interval = Interval::from_centiseconds(field).expect("in range");
        (Version::V3, family, interval, Auth::None)
    });
    let head = prop_oneof![v2, v3];
    head.prop_flat_map(|(version, family, interval, auth)| {
        let addresses = vec(address(family), 1..=MOST_ADDRESSES);
        let rest = (any::<[u8; 2]>(), addresses, address(family), address(family));
        rest.prop_map(move |([vrid, priority], addresses, source, destination)| {
            let advert = Advert { version, vrid, priority, interval, addresses, auth };
            (advert, Envelope { source, destination, ttl: Some(TTL) })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_can_be_said_is_heard_as_it_was(
        (advert, envelope) in said(),
        chosen in prop_oneof![Just(Checksum::PseudoHeader), Just(Checksum::Message)],
    ) {
        let packet = emitted(&advert, &envelope, chosen);
        prop_assert!(packet.len() <= MOST_BYTES);
        let received = parse(&packet, &envelope, &MULTICAST);
        let received = received.map_err(|discard| TestCaseError::fail(discard.to_string()))?;
        prop_assert_eq!(&received.advert, &advert);
        let family = Family::of(envelope.source);
        let form = covered(advert.version, family, chosen);
        // For a few addresses both forms come to the same sum.
        let other = emitted(&advert, &envelope, Checksum::PseudoHeader);
        prop_assert!(received.checksum == form || packet == other);
    }
}
