//! The machine beside the plain model, over any history; and that every planted bug is found.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::bug::Bug;
use super::history::{History, Told, WITHIN, history};
use super::model::rows;
use super::row::Row;
use super::*;

/// What came out of the machine at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    shares: BTreeMap<SocketAddr, (Option<u32>, Standing)>,
    spare: Option<usize>,
    summary: Summary,
    is_blind: bool,
}

impl From<Row> for Seen {
    fn from(row: Row) -> Seen {
        let Row { shares, spare, summary, is_blind, .. } = row;
        Seen { shares, spare, summary, is_blind }
    }
}

fn seen(pool: &Pool) -> Seen {
    let plain = |(server, share): (&SocketAddr, &Share)| (*server, (share.weight, share.standing));
    Seen {
        shares: pool.shares().members.iter().map(plain).collect(),
        spare: pool.shares().spare,
        summary: pool.summary(),
        is_blind: pool.is_blind(),
    }
}

fn tell(pool: &mut Pool, told: &Told, now: Moment) {
    let (words, peers) = (told.words(), told.peers());
    let witness = told.witness.map(|answers| Witness { answers, within: WITHIN });
    let (health, made) = (&told.health, told.made(now));
    let view = View { health, made, words: &words, peers: &peers, witness };
    pool.handle(&view, now);
}

/// The machine through a history; `look` sees it after each step, with what it was told.
fn run(history: &History, mut look: impl FnMut(&mut Pool, &Told)) {
    let first = &history.told[0];
    let mut pool = Pool::new(first.config.clone(), history.kept.clone(), at(first.now));
    for told in &history.told {
        if told.config != *pool.config() {
            pool.configure(told.config.clone(), at(told.now));
        }
        tell(&mut pool, told, at(told.now));
        look(&mut pool, told);
    }
}

fn results(history: &History) -> Vec<Seen> {
    let mut all = Vec::new();
    run(history, |pool, _| all.push(seen(pool)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_machine_and_the_plain_model_come_to_the_same(history in history(40)) {
        let expected: Vec<Seen> = rows(&history, None).into_iter().map(Seen::from).collect();
        for (i, (got, expected)) in results(&history).iter().zip(&expected).enumerate() {
            prop_assert_eq!(got, expected, "at step {}", i);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn telling_the_same_again_changes_nothing_and_says_nothing(history in history(30)) {
        let mut faults = Vec::new();
        run(&history, |pool, told| {
            while pool.poll_notice().is_some() {}
            let (before, timeout) = (seen(pool), pool.poll_timeout());
            tell(pool, told, at(told.now));
            if let Some(notice) = pool.poll_notice() {
                faults.push(notice.to_string());
            }
            if (seen(pool), pool.poll_timeout()) != (before, timeout) {
                faults.push(format!("{:?}", seen(pool)));
            }
        });
        prop_assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn nothing_changes_by_itself_before_the_timeout_and_the_timeout_is_not_now(
        history in history(30), early in 0u64..1000
    ) {
        let mut faults = Vec::new();
        run(&history, |pool, told| {
            let timeout = pool.poll_timeout();
            if timeout.is_some_and(|timeout| timeout <= at(told.now)) {
                faults.push(format!("{timeout:?} at {}", told.now));
            }
            // A second in fifty parts, or until just before the timeout.
            let until = timeout.unwrap_or(at(told.now + 50_000)) - Duration::from_nanos(1);
            let before = seen(pool);
            while pool.poll_notice().is_some() {}
            let span = until.since(at(told.now)) / 1000 * u32::try_from(early).expect("small");
            tell(pool, told, at(told.now) + span);
            if seen(pool) != before || pool.poll_notice().is_some() {
                faults.push(format!("{:?}, not {before:?}", seen(pool)));
            }
            // The clock goes back here, as it never does; the next step must not see it.
            tell(pool, told, at(told.now));
        });
        prop_assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn whoever_is_up_takes_traffic_unless_somebody_wants_otherwise(history in history(40)) {
        let mut faults = Vec::new();
        run(&history, |pool, told| {
            let wanted = !told.said.is_empty() || told.health.values().any(|health| {
                health.advice != Advice::default()
            });
            for member in &told.config.members {
                let is_up = |health: &Health| health.state == State::Up;
                let up = |check| told.health.get(check).is_some_and(is_up);
                let share = &pool.shares().members[&member.server];
                let has_some = share.weight.is_some_and(|weight| weight > 0);
                let is_up = member.checks.iter().all(up);
                if is_up && !has_some && member.weight > 0 && !wanted
                    && pool.shares().spare.is_none()
                {
                    faults.push(format!("{}: {share:?}", member.host));
                }
                if has_some && share.standing == Standing::Down {
                    faults.push(format!("{}: {share:?}", member.host));
                }
            }
        });
        prop_assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn every_server_that_goes_down_is_said_once(history in history(40)) {
        let mut before: BTreeMap<SocketAddr, Standing> = BTreeMap::new();
        let mut faults = Vec::new();
        run(&history, |pool, _| {
            let left = std::iter::from_fn(|| pool.poll_notice()).filter_map(|n| match n.what {
                What::Left { server, why, .. } if !why.is_empty() => Some(server.at),
                _ => None,
            });
            let left: Vec<SocketAddr> = left.collect();
            let shares = &pool.shares().members;
            let down = shares.iter().filter(|(server, share)| {
                share.standing == Standing::Down && before.get(server) != Some(&Standing::Down)
            });
            let down: Vec<SocketAddr> = down.map(|(server, _)| *server).collect();
            if left != down {
                faults.push(format!("{left:?}, not {down:?}"));
            }
            before = shares.iter().map(|(server, share)| (*server, share.standing)).collect();
        });
        prop_assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn whoever_takes_traffic_was_not_told_last_to_be_without(history in history(40)) {
        let mut without: BTreeMap<SocketAddr, What> = BTreeMap::new();
        let mut faults = Vec::new();
        run(&history, |pool, _| {
            let told = std::iter::from_fn(|| pool.poll_notice()).map(|notice| notice.what);
            for what in told {
                match &what {
                    What::Left { server, .. } | What::Drained { server, .. }
                    | What::Rests { server, .. } | What::Waits { server } => {
                        without.insert(server.at, what.clone());
                    }
                    What::Returned { server, .. } => drop(without.remove(&server.at)),
                    What::SpareOut { .. } => {
                        without.retain(|_, what| !matches!(what, What::Waits { .. }));
                    }
                    _ => {}
                }
            }
            let shares = &pool.shares().members;
            without.retain(|at, _| shares.contains_key(at));
            // Those that are held are told together.
            let is_in = |at: &SocketAddr| {
                shares[at].weight > Some(0) && shares[at].standing != Standing::Held
            };
            let wrong = without.iter().filter(|(at, _)| is_in(at));
            faults.extend(wrong.map(|(at, what)| format!("{at}: {what}, but {:?}", shares[at])));
        });
        prop_assert_eq!(faults, Vec::<String>::new());
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut runner = TestRunner::deterministic();
    let strategy = history(40);
    let mut histories = Vec::new();
    let mut missed: Vec<Bug> = Bug::ALL.to_vec();
    for _ in 0..6000 {
        let history = strategy.new_tree(&mut runner).expect("no filters").current();
        let right = results(&history);
        missed.retain(|bug| {
            let wrong: Vec<Seen> = rows(&history, Some(*bug)).into_iter().map(Seen::from).collect();
            wrong == right
        });
        histories.push(history);
        if missed.is_empty() {
            return;
        }
    }
    panic!("in {} histories these were not found: {missed:?}", histories.len());
}
