//! Notices: what is said, in which words, and that it is said once.

use super::*;

#[test]
fn a_start_says_how_many_are_up_and_names_those_that_are_not() {
    let mut bench = Bench::new(servers(3));
    bench.rises(1);
    bench.rises(2);
    assert_eq!(bench.notices(), [""; 0]);
    bench.refuses(3);
    assert_eq!(
        bench.notices(),
        ["web3 (192.0.2.3:80) is out: connection refused", "2 of 3 servers are up"]
    );
}

#[test]
fn every_change_is_said_once_and_with_its_reason() {
    let mut bench = Bench::up(servers(2));
    bench.refuses(1);
    bench.tell();
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is out: connection refused"]);
    bench.rises(1);
    bench.tell();
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is in"]);
    bench.says_operator(1, Word::Drain);
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is drained: said on lb1"]);
    bench.says_operator(1, Word::Maintenance);
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is in maintenance: said on lb1"]);
    bench.says_operator(1, Word::Ready);
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is in"]);
    bench.says(1, Advice { wish: Some(Wish::Drain), ..Advice::default() });
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80) is drained: it asks for it"]);
}

#[test]
fn a_quiesced_server_and_one_that_climbs_are_said_to() {
    let mut bench = Bench::up(with(2, |c| {
        c.on_failure = OnFailure::Quiesce;
        c.slow_start = ms(30_000);
    }));
    bench.refuses(1);
    bench.rises(1);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) gets no new connections: connection refused",
            "web1 (192.0.2.1:80) is in, and climbs to its full weight within 30s",
        ]
    );
    bench.at(200_000);
    assert_eq!(bench.notices(), [""; 0]);
}

#[test]
fn the_quorum_and_the_spare_are_said() {
    let mut bench = Bench::up(with(1, |c| {
        c.spares = vec![Spare { name: "local".into(), checks: Vec::new() }];
    }));
    bench.refuses(1);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is out: connection refused",
            "the quorum is lost: no server is left for new connections",
            "local answers in the servers' place",
        ]
    );
    bench.rises(1);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is in",
            "the quorum is there again: the servers for new connections weigh 1 together",
            "local does not answer in the servers' place any more: those that are well are in",
        ]
    );
}

/// A fallback that is always well.
fn local() -> Vec<Spare> {
    vec![Spare { name: "local".into(), checks: Vec::new() }]
}

#[test]
fn who_is_drained_below_the_quorum_and_what_becomes_of_the_others_is_one_story() {
    let mut bench = Bench::up(with(3, |c| (c.quorum, c.spares) = (2, local())));
    bench.says_operator(1, Word::Drain);
    bench.says_operator(2, Word::Drain);
    // One that comes back meanwhile gets no traffic, and is not to be taken for one that is out.
    bench.refuses(3);
    bench.rises(3);
    bench.says_operator(2, Word::Maintenance);
    bench.says_operator(1, Word::Ready);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is drained: said on lb1",
            "web2 (192.0.2.2:80) is drained: said on lb1",
            "the quorum is lost: the servers for new connections weigh 1 together, it takes 2",
            "local answers in the servers' place",
            "web3 (192.0.2.3:80) is out: connection refused",
            "web3 (192.0.2.3:80) is well, and gets traffic once the quorum is there",
            "web2 (192.0.2.2:80) is in maintenance: said on lb1",
            "web1 (192.0.2.1:80) is in",
            "the quorum is there again: the servers for new connections weigh 2 together",
            "local does not answer in the servers' place any more: those that are well are in",
        ]
    );
    assert_eq!(bench.weights(), [Some(1), None, Some(1)]);
}

#[test]
fn one_that_is_ready_again_while_a_spare_answers_is_not_left_drained_in_the_log() {
    let mut bench = Bench::up(with(3, |c| {
        (c.quorum, c.hysteresis, c.spares) = (2, 1, local());
    }));
    (1..=3).for_each(|n| bench.says_operator(n, Word::Drain));
    bench.notices();
    bench.says_operator(1, Word::Ready);
    bench.says_operator(2, Word::Ready);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is well, and gets traffic once the quorum is there",
            "web2 (192.0.2.2:80) is well, and gets traffic once the quorum is there",
        ]
    );
    bench.says_operator(3, Word::Ready);
    assert_eq!(
        bench.notices(),
        [
            "web3 (192.0.2.3:80) is in",
            "the quorum is there again: the servers for new connections weigh 3 together",
            "local does not answer in the servers' place any more: those that are well are in",
        ]
    );
}

#[test]
fn a_quorum_that_is_lost_says_who_answers_and_what_it_takes() {
    let mut bench = Bench::up(with(4, |c| (c.quorum, c.hysteresis) = (3, 1)));
    [1, 2, 3].into_iter().for_each(|n| bench.refuses(n));
    assert_eq!(
        bench.notices()[3],
        "the quorum is lost: the servers for new connections weigh 1 together, it takes 2, and 4 \
         to have it again; no fallback answers, and the servers that are left do"
    );
    assert_eq!(bench.weights(), [None, None, None, Some(1)]);
}

#[test]
fn servers_that_are_up_and_drained_at_the_start_are_counted_as_both() {
    let mut bench = Bench::new(servers(3));
    bench.says_operator(1, Word::Drain);
    bench.says_operator(3, Word::Maintenance);
    bench.notices();
    [1, 2].into_iter().for_each(|n| bench.rises(n));
    bench.refuses(3);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is drained: said on lb1",
            "2 of 3 servers are up, and 1 of them gets no new connections",
        ]
    );
}

#[test]
fn a_fallback_that_new_files_take_away_is_said_to_answer_no_more() {
    let mut bench = Bench::up(with(1, |c| c.spares = local()));
    bench.refuses(1);
    bench.notices();
    bench.pool.configure(servers(1), at(100_000));
    bench.tell();
    assert_eq!(bench.notices(), ["local does not answer in the servers' place any more"]);
}

#[test]
fn a_note_is_said_once_for_each_text() {
    let mut bench = Bench::up(servers(1));
    let note = |days: u8| Advice {
        note: Some(format!("its certificate ends in {days} days")),
        ..Advice::default()
    };
    bench.says(1, note(5));
    bench.says(1, note(5));
    bench.refuses(1);
    bench.notices();
    bench.says(1, note(5));
    assert!(!bench.notices().iter().any(|notice| notice.contains("certificate")));
    bench.says(1, note(4));
    assert_eq!(bench.notices(), ["web1 (192.0.2.1:80): its certificate ends in 4 days"]);
}

#[test]
fn the_alarm_is_raised_once_and_only_when_every_other_had_time_to_see() {
    let mut bench = Bench::up(with(2, |c| c.guard = true));
    bench.silent(1, 99_000);
    bench.notices();
    bench.silent(2, 99_500);
    assert_eq!(bench.notices(), [""; 0]);
    assert_eq!(bench.pool.poll_timeout(), Some(at(102_100)));
    bench.now = 102_100;
    bench.tell();
    bench.tell();
    let alarm = bench.pool.poll_notice().expect("the alarm");
    assert_eq!(alarm.severity(), Severity::Alarm);
    assert_eq!(
        alarm.to_string(),
        "tcp 192.0.2.100:80: no server answers, but the fault is likely here and the 2 that were \
         in stay: all of them fell silent in the same moment"
    );
    assert_eq!(bench.notices(), [""; 0]);
    assert_eq!(bench.pool.poll_timeout(), None);
    bench.peers = vec![Summary { down: 2, ..Summary::default() }];
    bench.tell();
    assert_eq!(bench.notices(), [""; 0]);
    bench.at(105_100);
    assert_eq!(
        bench.notices(),
        [
            "the servers that stayed go after all: another director sees none of them up either",
            "web1 (192.0.2.1:80) is out: no answer",
            "web2 (192.0.2.2:80) is out: no answer",
            "the quorum is lost: no server is left for new connections, nor does a fallback answer",
        ]
    );
}

#[test]
fn when_all_fail_and_both_directors_see_it_nobody_is_alarmed() {
    let mut bench = Bench::up(with(1, |c| c.guard = true));
    bench.peers = vec![Summary { up: 1, ..Summary::default() }];
    bench.refuses(1);
    assert_eq!(bench.standings(), [Standing::Held]);
    // A second later the other has looked too.
    bench.peers = vec![Summary { down: 1, ..Summary::default() }];
    bench.at(101_000);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is out: connection refused",
            "the quorum is lost: no server is left for new connections, nor does a fallback answer",
        ]
    );
}

#[test]
fn what_is_held_and_comes_back_is_said() {
    let mut bench = Bench::up(with(2, |c| c.guard = true));
    bench.silent(1, 99_000);
    bench.silent(2, 99_500);
    bench.at(200_000);
    bench.notices();
    bench.rises(1);
    bench.rises(2);
    assert_eq!(
        bench.notices(),
        [
            "a server answers again; the others that stayed have 3s to do so",
            // It was told to be out before the other one failed too.
            "web1 (192.0.2.1:80) is in",
        ]
    );
}

#[test]
fn a_thousand_servers_that_fail_together_are_no_thousand_lines() {
    let many = with(0, |c| {
        let host = |i: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from(i))), 80);
        let one = |i| Member { server: host(i), ..member(1, 1) };
        c.members = (0..1000).map(one).collect();
    });
    let mut bench = Bench::up(many);
    bench.refuses(1);
    let notices = bench.notices();
    assert_eq!(notices.len(), 202);
    assert!(notices[200].starts_with("the quorum is lost"), "{}", notices[200]);
    assert_eq!(notices[201], "800 more servers changed");
}
