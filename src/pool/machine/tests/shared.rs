//! Shares: who gets how much, without guard and slow start.

use super::*;

#[test]
fn a_server_gets_nothing_before_it_is_judged() {
    let mut bench = Bench::new(servers(2));
    assert_eq!(bench.weights(), [None, None]);
    assert!(!bench.pool.is_judged());
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(1), None]);
    bench.refuses(2);
    assert!(bench.pool.is_judged());
    assert_eq!(bench.standings(), [Standing::Up, Standing::Down]);
    assert_eq!(bench.pool.summary(), Summary { up: 1, down: 1, unknown: 0, held: false });
}

#[test]
fn a_server_in_the_kernel_keeps_its_traffic_until_it_is_judged() {
    let mut bench = Bench::after(servers(2), &[1]);
    assert_eq!(bench.weights(), [Some(1), None]);
    assert_eq!(bench.standings(), [Standing::Kept, Standing::Unknown]);
    bench.refuses(1);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn even_before_the_first_view_what_is_in_the_kernel_stays() {
    let pool = Pool::new(servers(2), [address(2)].into(), at(0));
    let weights: Vec<_> = pool.shares().members.values().map(|share| share.weight).collect();
    assert_eq!(weights, [None, Some(1)]);
}

#[test]
fn a_server_that_is_drained_in_the_kernel_stays_there_until_it_is_judged() {
    let mut bench = Bench::new(servers(2));
    let pool = Pool::new(servers(2), [address(2)].into(), at(0));
    bench.pool = pool.with_quiet(&[address(1)].into());
    let weights = |bench: &Bench| -> Vec<_> {
        bench.pool.shares().members.values().map(|share| share.weight).collect()
    };
    assert_eq!(weights(&bench), [Some(0), Some(1)], "before the first view");
    bench.tell();
    assert_eq!(weights(&bench), [Some(0), Some(1)]);
    bench.refuses(1);
    assert_eq!(bench.weights(), [None, Some(1)]);
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(1), Some(1)]);
}

#[test]
fn a_server_is_up_only_if_all_its_checks_are() {
    let mut bench = Bench::new(with(1, |c| c.members[0].checks.push(ping(1))));
    bench.rises(1);
    assert_eq!(bench.standings(), [Standing::Unknown]);
    bench.good(ping(1), Advice::default());
    bench.tell();
    assert_eq!(bench.standings(), [Standing::Up]);
    bench.bad(ping(1), 0, Failure::silent("no echo"));
    bench.tell();
    assert_eq!(bench.share(1).why, "no echo");
    assert_eq!(bench.weights(), [None]);
}

#[test]
fn of_several_checks_that_failed_the_one_that_began_it_says_why() {
    let mut bench = Bench::up(with(1, |c| c.members[0].checks.push(ping(1))));
    bench.bad(ping(1), 5, Failure::silent("no echo"));
    bench.silent(1, 7);
    assert_eq!(bench.share(1).why, "no echo");
    bench.bad(ping(1), 9, Failure::silent("no echo"));
    bench.tell();
    assert_eq!(bench.share(1).why, "no answer");
}

#[test]
fn a_server_without_checks_counts_as_well() {
    let bench = Bench::new(with(1, |c| c.members[0].checks.clear()));
    assert_eq!(bench.weights(), [Some(1)]);
}

#[test]
fn a_failed_server_that_is_quiesced_stays_with_nothing() {
    let mut bench = Bench::up(with(2, |c| c.on_failure = OnFailure::Quiesce));
    bench.refuses(1);
    assert_eq!(bench.weights(), [Some(0), Some(1)]);
    assert_eq!(bench.standings(), [Standing::Down, Standing::Up]);
    // A reload gives it another check: its connections still go on.
    bench.health.remove(&tcp(1));
    bench.tell();
    assert_eq!(bench.weights(), [Some(0), Some(1)]);
}

fn asks(weight: Asked) -> Advice {
    Advice { weight: Some(weight), ..Advice::default() }
}

#[test]
fn a_percentage_is_of_the_configured_weight_and_never_comes_to_nothing() {
    let mut bench = Bench::up(with(1, |c| c.members[0].weight = 50));
    for (percent, weight) in [(100, 50), (50, 25), (1, 1), (200, 100)] {
        bench.says(1, asks(Asked::Percent(percent)));
        assert_eq!(bench.weights(), [Some(weight)], "{percent} %");
        assert_eq!(bench.standings(), [Standing::Up]);
    }
    bench.says(1, asks(Asked::Percent(0)));
    assert_eq!(bench.weights(), [Some(0)]);
    assert_eq!(bench.standings(), [Standing::Draining]);
    assert_eq!(bench.share(1).why, "it asks for weight 0");
}

#[test]
fn a_weight_that_is_asked_for_replaces_the_configured_one_and_the_smallest_of_several_holds() {
    let mut bench = Bench::up(with(1, |c| {
        c.members[0].weight = 50;
        c.members[0].checks.push(ping(1));
    }));
    bench.says(1, asks(Asked::Weight(70)));
    assert_eq!(bench.weights(), [Some(70)]);
    bench.good(ping(1), asks(Asked::Percent(10)));
    bench.tell();
    assert_eq!(bench.weights(), [Some(5)]);
}

#[test]
fn a_server_that_wishes_to_drain_does_and_one_that_wishes_for_maintenance_leaves() {
    let mut bench = Bench::up(servers(1));
    bench.says(1, Advice { wish: Some(Wish::Drain), ..Advice::default() });
    assert_eq!((bench.weights(), bench.standings()), (vec![Some(0)], vec![Standing::Draining]));
    bench.says(1, Advice { wish: Some(Wish::Maintenance), ..Advice::default() });
    assert_eq!((bench.weights(), bench.standings()), (vec![None], vec![Standing::Maintenance]));
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(1)]);
}

#[test]
fn the_operators_word_wins_over_the_servers_own_wish() {
    let mut bench = Bench::up(servers(1));
    bench.says_operator(1, Word::Drain);
    bench.says(1, Advice { wish: Some(Wish::Maintenance), ..Advice::default() });
    assert_eq!(bench.share(1).weight, Some(0));
    assert_eq!(bench.share(1).why, "said on lb1");
    bench.says_operator(1, Word::Maintenance);
    assert_eq!(bench.weights(), [None]);
    bench.says_operator(1, Word::Ready);
    assert_eq!(bench.standings(), [Standing::Maintenance]);
    assert_eq!(bench.share(1).why, "it asks for it");
}

#[test]
fn a_drain_becomes_maintenance_when_its_time_is_over() {
    let mut bench = Bench::up(servers(1));
    let said = Said { word: Word::Drain, at: 5, by: "lb1".into(), until: Some(1_000_500) };
    bench.words.say(Whom { host: "web1".into(), pool: None }, said);
    bench.tell();
    assert_eq!(bench.weights(), [Some(0)]);
    bench.wall = 1_000_500;
    bench.tell();
    assert_eq!(bench.weights(), [None]);
}

#[test]
fn a_drained_server_that_fails_is_down() {
    let mut bench = Bench::up(servers(2));
    bench.says_operator(1, Word::Drain);
    bench.refuses(1);
    assert_eq!(bench.weights(), [None, Some(1)]);
    assert_eq!(bench.standings(), [Standing::Down, Standing::Up]);
}

#[test]
fn a_drain_lets_nobody_in_who_was_not() {
    let mut bench = Bench::new(servers(1));
    bench.says_operator(1, Word::Drain);
    assert_eq!(bench.weights(), [None]);
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(0)]);
}

fn weighted(quorum: u32, hysteresis: u32) -> PoolConfig {
    with(3, |c| {
        (c.quorum, c.hysteresis) = (quorum, hysteresis);
        for (member, weight) in c.members.iter_mut().zip([3, 2, 1]) {
            member.weight = weight;
        }
        c.spares = vec![spare(10), spare(11)];
    })
}

#[test]
fn a_quorum_is_lost_below_and_had_again_above_by_the_hysteresis() {
    let mut bench = Bench::up(weighted(4, 1));
    bench.rises(10);
    // 6, 4, 3: still had at 4 - 1.
    bench.refuses(2);
    bench.refuses(3);
    assert_eq!(bench.pool.shares().spare, None);
    bench.refuses(1);
    assert_eq!(bench.pool.shares().spare, Some(0));
    // 3 and 4 are not 4 + 1.
    bench.rises(1);
    bench.rises(3);
    assert_eq!(bench.pool.shares().spare, Some(0));
    assert_eq!(bench.standings(), [Standing::Spared, Standing::Down, Standing::Spared]);
    assert_eq!(bench.weights(), [None; 3]);
    bench.rises(2);
    assert_eq!(bench.pool.shares().spare, None);
    assert_eq!(bench.weights(), [Some(3), Some(2), Some(1)]);
}

#[test]
fn with_nobody_left_a_quorum_is_lost_whatever_the_hysteresis() {
    let mut bench = Bench::up(weighted(1, 5));
    bench.rises(10);
    (1..=3).for_each(|n| bench.refuses(n));
    assert_eq!(bench.pool.shares().spare, Some(0));
}

#[test]
fn without_a_spare_that_is_well_those_that_are_up_stay() {
    let mut bench = Bench::up(weighted(6, 0));
    bench.refuses(3);
    assert_eq!(bench.weights(), [Some(3), Some(2), None]);
    bench.rises(11);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![None; 3], Some(1)));
    bench.rises(10);
    assert_eq!(bench.pool.shares().spare, Some(0));
    bench.refuses(10);
    bench.refuses(11);
    assert_eq!(bench.weights(), [Some(3), Some(2), None]);
}

#[test]
fn what_is_drained_does_not_count_towards_the_quorum_and_stays_while_a_spare_answers() {
    let mut bench = Bench::up(weighted(4, 0));
    bench.rises(10);
    bench.says_operator(1, Word::Drain);
    assert_eq!(bench.weights(), [Some(0), None, None]);
    assert_eq!(bench.standings(), [Standing::Draining, Standing::Spared, Standing::Spared]);
}

#[test]
fn a_start_does_not_begin_with_the_spares_page() {
    let mut bench = Bench::new(weighted(4, 0));
    bench.rises(10);
    bench.rises(3);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![None, None, Some(1)], None));
    bench.refuses(1);
    bench.refuses(2);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![None; 3], Some(0)));
}

#[test]
fn a_server_that_is_never_judged_does_not_keep_the_spare_away_for_ever() {
    let mut bench = Bench::new(weighted(4, 0));
    bench.rises(10);
    // 1 s for the first round, 3 failures in a row, 1 s of timeout.
    assert_eq!(bench.pool.poll_timeout(), Some(at(5000)));
    bench.at(5000);
    assert_eq!(bench.pool.shares().spare, Some(0));
}

#[test]
fn a_spare_that_answered_before_a_restart_goes_on() {
    let mut bench = Bench::after(weighted(4, 0), &[99]);
    bench.rises(10);
    assert_eq!(bench.pool.shares().spare, Some(0));
}

#[test]
fn a_pool_without_servers_has_its_spare() {
    let mut bench = Bench::new(with(0, |c| c.spares = vec![spare(10)]));
    bench.rises(10);
    assert_eq!(bench.pool.shares().spare, Some(0));
    assert!(bench.pool.is_judged());
}

#[test]
fn a_reload_moves_nothing_that_it_does_not_change() {
    let mut bench = Bench::up(servers(3));
    bench.refuses(3);
    let before = bench.pool.shares().clone();
    let config = bench.pool.config().clone();
    bench.pool.configure(config, at(bench.now));
    assert_eq!(bench.pool.shares(), &before);
    bench.tell();
    assert_eq!(bench.pool.shares(), &before);
    let known = bench.pool.shares().clone();
    bench.tell();
    assert!(Arc::ptr_eq(bench.pool.shares(), &known), "what stays so is not made anew");
}

#[test]
fn a_reload_that_gives_a_server_another_check_leaves_it_in_until_that_has_judged() {
    let mut bench = Bench::up(servers(2));
    bench.refuses(2);
    let config =
        with(2, |c| c.members.iter_mut().for_each(|m| m.checks = vec![ping(m.weight as u8)]));
    bench.pool.configure(config, at(bench.now));
    bench.tell();
    assert_eq!(bench.standings(), [Standing::Kept, Standing::Unknown]);
    assert_eq!(bench.weights(), [Some(1), None]);
}

#[test]
fn a_reload_takes_servers_out_and_in_and_keeps_the_spare_that_answers() {
    let mut bench = Bench::up(weighted(4, 0));
    bench.rises(11);
    (1..=3).for_each(|n| bench.refuses(n));
    assert_eq!(bench.pool.shares().spare, Some(1));
    let config = with(0, |c| {
        c.members = vec![member(2, 2), member(4, 1)];
        c.spares = vec![spare(11)];
    });
    bench.pool.configure(config, at(bench.now));
    assert_eq!(bench.pool.shares().spare, Some(0));
    assert_eq!(bench.standings(), [Standing::Down, Standing::Unknown]);
    bench.tell();
    assert_eq!(bench.pool.shares().spare, Some(0));
    bench.rises(4);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![None, Some(1)], None));
}

#[test]
fn ten_thousand_servers_that_fail_in_one_moment_are_no_hundred_million_steps() {
    let members = |n: u32| -> Vec<Member> {
        let one = |i: u32| {
            let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + i)), 80);
            let target = Target { address: server.ip(), port: 80 };
            let probe = Probe::Connect(None);
            let check =
                Arc::new(CheckConfig { target, probe: probe.into(), timing: timing(1000, 2, 3) });
            Member { host: format!("web{i}"), server, weight: 1, checks: vec![check] }
        };
        (0..n).map(one).collect()
    };
    let took = |n: u32| {
        let mut bench = Bench::up(with(0, |c| {
            c.members = members(n);
            c.guard = true;
        }));
        let start = std::time::Instant::now();
        for check in members(n).into_iter().flat_map(|member| member.checks) {
            bench.bad(check, 100_000, Failure::silent("no answer"));
        }
        bench.tell();
        assert!(bench.pool.summary().held);
        start.elapsed()
    };
    // Half a second would do for a hundred million of the shortest steps and is a hundred times
    // what this takes; the best of some, for the machine may be busy.
    let best = (0..5).map(|_| took(10_000)).min().expect("five");
    assert!(best < ms(500), "{best:?}");
}
