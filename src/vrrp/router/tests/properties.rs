//! What holds whatever comes in, in whatever order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Input {
    Advert { from: usize, priority: u8, every: u64 },
    Junk { priority: u8, kind: u8 },
    Condition { faults: bool, unreachable: bool, adjust: i16 },
    Peer { peer: usize, news: PeerNews },
    Claim,
    Use,
    LostVip,
    Config(u8),
    GroupActive,
    GroupYield,
    Restart,
    Release,
    Timeout,
}

const PEERS: [&str; 2] = [LOW, HIGH];

fn states() -> impl Strategy<Value = State> {
    let all = [State::Initialize, State::Backup, State::Active, State::Fault];
    prop::sample::select(all.to_vec())
}

fn news() -> impl Strategy<Value = PeerNews> {
    prop_oneof![
        Just(PeerNews::Gone),
        Just(PeerNews::Resigned),
        Just(PeerNews::Unknown),
        (states(), 1u8..=255).prop_map(|(state, priority)| PeerNews::Present { state, priority }),
        (0u64..100_000).prop_map(|span| PeerNews::Restarting(ms(span))),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (0..2usize, any::<u8>(), 1u64..=4095)
            .prop_map(|(from, priority, every)| Input::Advert { from, priority, every }),
        2 => (any::<u8>(), 0u8..4).prop_map(|(priority, kind)| Input::Junk { priority, kind }),
        2 => (any::<bool>(), any::<bool>(), any::<i16>()).prop_map(
            |(faults, unreachable, adjust)| Input::Condition { faults, unreachable, adjust }
        ),
        3 => (0..2usize, news()).prop_map(|(peer, news)| Input::Peer { peer, news }),
        1 => Just(Input::Claim),
        1 => Just(Input::Use),
        1 => Just(Input::LostVip),
        1 => any::<u8>().prop_map(Input::Config),
        1 => Just(Input::GroupActive),
        1 => Just(Input::GroupYield),
        1 => Just(Input::Restart),
        1 => prop::strategy::Union::new_weighted(vec![
            (1, Just(Input::Release).boxed()),
            (9, Just(Input::Timeout).boxed()),
        ]),
        8 => Just(Input::Timeout),
    ]
}

/// How the next moment lies to the next timer.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Same,
    Due,
    After(u64),
}

fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![
        3 => Just(Pace::Same),
        5 => Just(Pace::Due),
        3 => (0u64..5_000_000).prop_map(Pace::After),
        1 => (0u64..100_000_000).prop_map(Pace::After),
    ]
}

fn any_config(bits: u8, version: Version) -> RouterConfig {
    with(version, |c| {
        c.priority = priority([100, 40, 200, 255][usize::from(bits & 3)]);
        c.preempt = [Preempt::Now, Preempt::Never, Preempt::After(ms(0)), Preempt::After(ms(7000))]
            [usize::from(bits >> 2 & 3)];
        if bits & 16 != 0 {
            c.interval = match version {
                Version::V2 => interval(version, SECOND * 3),
                Version::V3 => interval(version, ms(10)),
            };
        }
        if bits & 32 != 0 {
            c.transport = Transport::Multicast;
        }
        if bits & 64 != 0 {
            c.vips.push(vip("192.0.2.101"));
            c.announcing.delay = Duration::ZERO;
        }
        if bits & 128 != 0 {
            c.peers.truncate(1);
        }
    })
}

fn junk(bench: &Bench, priority: u8, kind: u8) -> (IpAddr, Advert) {
    let mut advert = bench.advert(priority);
    match kind {
        0 => advert.vrid = 52,
        1 => {
            advert.version = match advert.version {
                Version::V2 => Version::V3,
                Version::V3 => Version::V2,
            };
        }
        2 => return (ip(OWN), advert),
        _ => advert.vrid = 0,
    }
    (ip(HIGH), advert)
}

fn apply(bench: &mut Bench, input: &Input) {
    let (now, version) = (bench.now, bench.router.config().version);
    let router = &mut bench.router;
    match input {
        Input::Advert { from, priority, every } => {
            let mut advert = bench.advert(*priority);
            if version == Version::V3 {
                advert.interval = interval(version, ms(every * 10));
            }
            // A stranger, once the peer is no longer in the configuration.
            drop(bench.router.handle_advert(ip(PEERS[*from]), &advert, now));
        }
        Input::Junk { priority, kind } => {
            let (from, advert) = junk(bench, *priority, *kind);
            let before = (bench.is(), bench.router.poll_timeout());
            assert!(bench.router.handle_advert(from, &advert, now).is_err());
            assert_eq!((bench.is(), bench.router.poll_timeout()), before, "junk moved something");
        }
        Input::Condition { faults, unreachable, adjust } => {
            let faults = faults.then(|| "a fault".to_owned()).into_iter().collect();
            let unreachable = *unreachable;
            router.handle_condition(Condition { faults, unreachable, adjust: *adjust }, now);
        }
        Input::Peer { peer, news } => router.handle_peer(ip(PEERS[*peer]), *news, now),
        Input::Claim => router.handle_claim(now),
        Input::Use => router.handle_use(now),
        Input::LostVip => router.handle_lost_vip(now),
        Input::Config(bits) => router.handle_config(any_config(*bits, version), now),
        Input::GroupActive => router.handle_group_active("other", now),
        Input::GroupYield => router.handle_group_yield("other", now),
        Input::Restart => router.handle_restart(now),
        Input::Release => router.handle_release(now),
        Input::Timeout => router.handle_timeout(now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_that_comes_in_breaks_the_machine(
        bits in any::<u8>(),
        is_v2 in any::<bool>(),
        start in prop::sample::select(vec![Start::Fresh, Start::Resume, Start::Leaving]),
        inputs in prop::collection::vec((pace(), input()), 1..80),
    ) {
        let version = if is_v2 { Version::V2 } else { Version::V3 };
        let mut bench = Bench::unstarted(any_config(bits, version), start);
        let mut is_done = false;
        for (pace, input) in inputs {
            bench.now = match (pace, bench.router.poll_timeout()) {
                (Pace::Due, Some(due)) => due.max(bench.now),
                (Pace::After(micros), _) => bench.now + Duration::from_micros(micros),
                (Pace::Same | Pace::Due, _) => bench.now,
            };
            let before = bench.router.state();
            apply(&mut bench, &input);
            let outputs = bench.drain();
            // At most a notice of lateness, a resignation or two, two bursts.
            prop_assert!(outputs.len() <= 16, "{outputs:?}");
            if bench.router.state() == State::Active {
                prop_assert!(bench.router.holds());
                prop_assert_eq!(bench.router.active(), Some(ip(OWN)));
            }
            // The changes join up, from the state before to the state now.
            let mut state = before;
            for output in &outputs {
                if let Output::Changed { from, to, .. } = output {
                    prop_assert_eq!(*from, state);
                    prop_assert!(from != to);
                    state = *to;
                }
            }
            prop_assert_eq!(state, bench.router.state());
            prop_assert!(!is_done || outputs.is_empty(), "after Done: {outputs:?}");
            is_done |= outputs.contains(&Output::Done);
            prop_assert!(!is_done || !bench.router.holds());
            if matches!(input, Input::Timeout) {
                let next = bench.router.poll_timeout();
                prop_assert!(next.is_none_or(|next| next > bench.now), "{next:?}");
            }
        }
    }

    /// Time alone brings every router that may be Active to be so, and settles.
    #[test]
    fn whoever_hears_nobody_is_active_in_the_end(
        bits in any::<u8>(),
        is_v2 in any::<bool>(),
        inputs in prop::collection::vec((pace(), input()), 1..40),
    ) {
        let version = if is_v2 { Version::V2 } else { Version::V3 };
        let mut bench = Bench::new(any_config(bits, version));
        for (pace, input) in inputs {
            if let Pace::After(micros) = pace {
                bench.now = bench.now + Duration::from_micros(micros);
            }
            if !matches!(input, Input::Release) {
                apply(&mut bench, &input);
            }
        }
        bench.fault(&[]);
        // Three of the longest interval, the skew time, and a restart that was announced.
        bench.run(ms(4 * 40_950 + 60_000));
        prop_assert_eq!(bench.is(), (State::Active, true));
    }
}
