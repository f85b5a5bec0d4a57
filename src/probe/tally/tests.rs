//! The tally's laws, by example and for any run.
//!
//! Times are milliseconds since the start of the run. A sample is written as when it was sent,
//! when it was done and who answered, or nobody.

use super::*;
use proptest::prelude::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn good(sent: u64, done: u64, by: &str) -> Sample {
    let outcome = Outcome::Answered { by: by.to_owned() };
    Sample { sent: ms(sent), done: ms(done), outcome }
}

fn bad(sent: u64, done: u64, kind: FailureKind) -> Sample {
    let detail = format!("{kind} at {sent}");
    Sample { sent: ms(sent), done: ms(done), outcome: Outcome::Failed(Failure { kind, detail }) }
}

fn tally(samples: &[Sample], end: u64) -> Tally {
    let mut tally = Tally::default();
    samples.iter().for_each(|sample| tally.record(sample));
    tally.stop(ms(end));
    tally
}

fn gap(start: u64, end: u64, lost: u64) -> Gap {
    Gap { start: ms(start), end: ms(end), lost }
}

/// Good answers every `step` milliseconds, each 1 ms after it was asked for.
fn beat(from: u64, until: u64, step: usize) -> impl Iterator<Item = Sample> {
    (from..until).step_by(step).map(|at| good(at, at + 1, "web1"))
}

#[test]
fn each_server_has_its_share() {
    let samples = [good(0, 1, "web1"), good(1, 2, "web2"), good(2, 3, "web1")];
    let tally = tally(&samples, 3);
    assert_eq!((tally.requests(), tally.ok(), tally.failed()), (3, 3, 0));
    let shares: Vec<(&str, u64)> = tally.servers().iter().map(|(s, n)| (s.as_str(), *n)).collect();
    assert_eq!(shares, [("web1", 2), ("web2", 1)]);
}

#[test]
fn failures_are_counted_by_kind_with_the_words_of_the_first() {
    let refused = FailureKind::Refused;
    let busy = FailureKind::Status(503);
    let tally = tally(&[bad(0, 1, refused), bad(1, 2, busy), bad(2, 3, refused)], 3);
    let errors: Vec<(String, u64)> =
        tally.errors().iter().map(|(kind, f)| (kind.to_string(), f.count)).collect();
    assert_eq!(errors, [("refused".to_owned(), 2), ("status_503".to_owned(), 1)]);
    assert_eq!(tally.errors()[&refused].detail, "refused at 0");
    assert_eq!(tally.latency(), None);
}

#[test]
fn an_outage_is_as_long_as_from_the_last_good_answer_to_the_next() {
    let mut samples: Vec<Sample> = beat(0, 100, 10).collect();
    samples.extend((100..140).step_by(10).map(|at| bad(at, at + 1, FailureKind::Refused)));
    samples.extend(beat(140, 200, 10));
    let tally = tally(&samples, 200);
    assert_eq!(tally.gaps(), [gap(91, 141, 4)]);
    assert_eq!(tally.longest(), ms(50));
}

#[test]
fn a_request_that_hangs_counts_where_it_was_sent_not_where_it_was_given_up() {
    let mut samples: Vec<Sample> = beat(0, 100, 10).collect();
    samples.extend(beat(150, 1_200, 10));
    // Sent at 100 and 110, given up a second later, in the midst of good answers.
    samples.push(bad(100, 1_100, FailureKind::Timeout));
    samples.push(bad(110, 1_110, FailureKind::Timeout));
    samples.sort_by_key(|sample| sample.done);
    assert_eq!(tally(&samples, 1_200).gaps(), [gap(91, 151, 2)]);
}

#[test]
fn an_outage_whose_requests_all_answer_late_is_a_gap_still() {
    let mut samples: Vec<Sample> = beat(0, 100, 10).collect();
    // The first packets were lost and sent again by the kernel after a second.
    samples.extend([good(100, 1_101, "web1"), good(110, 1_111, "web1")]);
    samples.extend(beat(200, 1_200, 10));
    samples.sort_by_key(|sample| sample.done);
    assert_eq!(tally(&samples, 1_200).gaps(), [gap(91, 201, 0)]);
}

#[test]
fn an_even_beat_has_no_gap_however_slow_it_is() {
    let samples: Vec<Sample> = beat(0, 10_000, 1_000).collect();
    let tally = tally(&samples, 9_001);
    assert_eq!(tally.gaps(), []);
    assert_eq!(tally.longest(), ms(1_000));
}

#[test]
fn a_vip_that_never_answers_is_one_gap() {
    let samples: Vec<Sample> = (0..50).map(|at| bad(at, at + 1, FailureKind::Refused)).collect();
    assert_eq!(tally(&samples, 50).gaps(), [gap(0, 50, 50)]);
}

#[test]
fn an_outage_at_the_end_counts_up_to_the_last_request() {
    let mut samples: Vec<Sample> = beat(0, 100, 10).collect();
    samples.push(bad(100, 101, FailureKind::Refused));
    let mut tally = tally(&samples, 120);
    // Known only after the last request was sent.
    tally.record(&bad(110, 2_110, FailureKind::Timeout));
    tally.record(&good(120, 2_500, "web1"));
    assert_eq!(tally.gaps(), [gap(91, 120, 2)]);
    assert_eq!(tally.longest(), ms(29));
}

#[test]
fn a_page_that_says_the_time_does_not_fill_the_memory() {
    let mut tally = Tally::default();
    for at in 0..3 * SERVERS as u64 {
        tally.record(&good(at, at + 1, &format!("it is {at}")));
    }
    assert_eq!(tally.servers().len(), SERVERS + 1);
    assert_eq!(tally.servers()[OTHERS], 2 * SERVERS as u64);
}

/// Any run: when each request was sent, how long it took, and who answered.
fn any_run() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (0u64..5_000, 0u64..1_500, 0u8..5).prop_map(|(sent, took, what)| match what {
        0 => bad(sent, sent + took, FailureKind::Timeout),
        1 => bad(sent, sent + took, FailureKind::Refused),
        server => good(sent, sent + took, &format!("web{server}")),
    });
    prop::collection::vec(sample, 0..120).prop_map(|mut samples| {
        samples.sort_by_key(|sample| sample.done);
        samples
    })
}

/// The longest stretch, as one would find it with all samples at hand.
fn longest_of(samples: &[Sample], end: u64) -> Duration {
    let is_good = |s: &&Sample| matches!(s.outcome, Outcome::Answered { .. });
    let mut times: Vec<Duration> = samples.iter().filter(is_good).map(|s| s.done).collect();
    times.insert(0, Duration::ZERO);
    times.push(ms(end));
    let stretches = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    stretches.max().unwrap_or_default()
}

proptest! {
    #[test]
    fn every_request_is_counted_once(samples in any_run()) {
        let tally = tally(&samples, 6_500);
        prop_assert_eq!(tally.requests(), samples.len() as u64);
        prop_assert_eq!(tally.servers().values().sum::<u64>(), tally.ok());
        prop_assert_eq!(tally.errors().values().map(|f| f.count).sum::<u64>(), tally.failed());
    }

    #[test]
    fn the_longest_stretch_is_exact(samples in any_run()) {
        let tally = tally(&samples, 6_500);
        prop_assert_eq!(tally.longest(), longest_of(&samples, 6_500));
    }

    #[test]
    fn gaps_are_in_order_apart_and_hold_no_more_than_was_lost(samples in any_run()) {
        let tally = tally(&samples, 6_500);
        let gaps = tally.gaps();
        prop_assert!(gaps.len() <= GAPS);
        prop_assert!(gaps.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert!(gaps.iter().all(|gap| gap.length() <= tally.longest()));
        prop_assert!(gaps.iter().map(|gap| gap.lost).sum::<u64>() <= tally.failed());
    }

    #[test]
    fn a_request_lost_in_the_longest_stretch_makes_it_a_gap(
        before in 1u64..100, lost in 0u64..300, took in 0u64..2_000,
    ) {
        let mut samples: Vec<Sample> = beat(0, before, 1).collect();
        samples.extend(beat(before + 300, before + 400, 1));
        let sent = before + lost;
        samples.push(bad(sent, sent + took, FailureKind::Timeout));
        samples.sort_by_key(|sample| sample.done);
        let tally = tally(&samples, before + 400);
        prop_assert_eq!(tally.gaps().iter().map(|gap| gap.lost).max(), Some(1));
    }
}
