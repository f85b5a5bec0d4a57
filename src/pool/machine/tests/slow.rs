//! Slow start.

use super::*;

fn slow() -> PoolConfig {
    with(2, |c| c.slow_start = ms(10_000))
}

#[test]
fn weights_are_ten_times_as_large_and_a_start_is_not_slow() {
    let mut bench = Bench::new(slow());
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(10), None]);
    assert_eq!(bench.standings(), [Standing::Up, Standing::Unknown]);
}

#[test]
fn a_server_that_comes_back_climbs_in_ten_steps() {
    let mut bench = Bench::up(slow());
    bench.refuses(1);
    bench.at(200_000);
    bench.rises(1);
    assert_eq!(bench.standings(), [Standing::Starting, Standing::Up]);
    let mut seen = vec![bench.share(1).weight];
    while let Some(next) = bench.pool.poll_timeout() {
        assert!(next > at(bench.now));
        bench.now = 1 + u64::try_from(next.since_start().as_millis()).expect("fits");
        bench.tell();
        seen.push(bench.share(1).weight);
    }
    assert_eq!(seen, (1..=10).map(Some).collect::<Vec<_>>());
    assert_eq!(bench.standings(), [Standing::Up, Standing::Up]);
    assert!(bench.now.abs_diff(210_000) < 20, "{}", bench.now);
}

#[test]
fn half_of_what_it_asks_for_after_half_of_the_time() {
    let mut bench = Bench::up(with(1, |c| {
        c.slow_start = ms(10_000);
        c.members[0].weight = 50;
    }));
    bench.refuses(1);
    bench.says(1, Advice { weight: Some(Asked::Percent(40)), ..Advice::default() });
    bench.at(105_000);
    assert_eq!(bench.weights(), [Some(100)]);
}

#[test]
fn a_server_that_was_kept_does_not_climb() {
    let mut bench = Bench::after(slow(), &[1]);
    assert_eq!(bench.weights(), [Some(10), None]);
    bench.rises(1);
    assert_eq!(bench.weights(), [Some(10), None]);
}

#[test]
fn a_server_that_is_added_while_running_climbs() {
    let mut bench = Bench::up(slow());
    let config = with(3, |c| c.slow_start = ms(10_000));
    bench.pool.configure(config, at(bench.now));
    bench.rises(3);
    assert_eq!(bench.weights(), [Some(10), Some(10), Some(1)]);
}

#[test]
fn a_server_climbs_when_its_maintenance_is_over_and_not_when_its_drain_is() {
    let mut bench = Bench::up(slow());
    bench.says_operator(1, Word::Maintenance);
    bench.says_operator(2, Word::Drain);
    bench.says_operator(1, Word::Ready);
    bench.says_operator(2, Word::Ready);
    assert_eq!(bench.weights(), [Some(1), Some(10)]);
}

#[test]
fn a_reload_can_begin_and_end_slow_start_for_the_whole_pool() {
    let mut bench = Bench::up(servers(2));
    bench.pool.configure(slow(), at(bench.now));
    bench.tell();
    assert_eq!(bench.weights(), [Some(10), Some(10)]);
    bench.refuses(1);
    bench.rises(1);
    bench.pool.configure(servers(2), at(bench.now));
    bench.tell();
    assert_eq!(bench.weights(), [Some(1), Some(1)]);
    assert_eq!(bench.pool.poll_timeout(), None);
}
