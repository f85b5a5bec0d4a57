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
            "the quorum is lost: the weights add up to 0, it takes 1",
            "local answers in the servers' place",
        ]
    );
    bench.rises(1);
    assert_eq!(
        bench.notices(),
        [
            "web1 (192.0.2.1:80) is in",
            "the quorum is there again: the weights add up to 1",
            "local does not answer in the servers' place any more",
        ]
    );
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
            "the quorum is lost: the weights add up to 0, it takes 1",
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
            "the quorum is lost: the weights add up to 0, it takes 1",
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
        ["a server answers again; the others that stayed have 3s to do so"]
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
