//! What two running directors have each other know, and what it costs VRRP.

use std::time::{Duration, Instant};

use converge::vrrp::driver::{Event, MOST_SAID, TooLong, Topic};
use converge::vrrp::router::{Start, State};

use super::lan::{Director, Lan, router, settings};
use crate::kinds::apart::each_in_a_namespace;

fn start(lan: &Lan, host: &str) -> Director {
    let there = if host == "a" { &lan.a } else { &lan.b };
    let router = router(host, Duration::from_millis(100));
    Director::start(there, settings(host, true), vec![(router, Start::Fresh)])
}

fn says(from: &str, about: Topic, word: &[u8]) -> impl Fn(&Event) -> bool {
    move |event| {
        matches!(event, Event::PeerSaid { peer, topic, bytes }
            if peer == from && *topic == about && bytes == word)
    }
}

/// As long as a word may be.
fn long(number: usize) -> Vec<u8> {
    let mut word = number.to_string().into_bytes();
    word.resize(MOST_SAID, b' ');
    word
}

each_in_a_namespace! {
    async fn what_one_wants_known_the_other_hears_and_so_does_its_next_process(_host) {
        let lan = Lan::new();
        let a = start(&lan, "a");
        a.vrrp.tell(Topic::Words, b"early".to_vec()).expect("short");
        let b = start(&lan, "b");
        b.wait(says("a", Topic::Words, b"early"));
        let begin = Instant::now();
        b.vrrp.tell(Topic::Pools, b"one up".to_vec()).expect("short");
        let heard = a.wait_since(begin, says("b", Topic::Pools, b"one up")) - begin;
        println!("a word took {heard:?}");
        assert!(heard < Duration::from_secs(1), "{heard:?}");
        b.vrrp.restart();
        b.wait(|event| *event == Event::Stopped);
        let b = start(&lan, "b");
        b.wait(says("a", Topic::Words, b"early"));
        assert_eq!(a.vrrp.tell(Topic::Pools, vec![0; MOST_SAID + 1]), Err(TooLong {
            bytes: MOST_SAID + 1
        }));
    }

    async fn a_flood_of_the_longest_words_disturbs_nothing_and_ends_with_the_newest(_host) {
        let lan = Lan::new();
        let (a, b) = (start(&lan, "a"), start(&lan, "b"));
        a.becomes(State::Active);
        b.wait(|event| matches!(event, Event::PeerUp { .. }));
        let begin = Instant::now();
        let mut number = 0;
        while begin.elapsed() < Duration::from_secs(3) {
            number += 1;
            for (director, topic) in [(&a, Topic::Pools), (&a, Topic::Words), (&b, Topic::Words)] {
                director.vrrp.tell(topic, long(number)).expect("it fits");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for topic in Topic::ALL {
            b.wait(says("a", topic, &long(number)));
        }
        a.wait(says("b", Topic::Words, &long(number)));
        let said = b.said();
        let words = said.iter().filter(|event| matches!(event, Event::PeerSaid { .. })).count();
        println!("{number} words were given on each topic, {words} on two topics were heard");
        assert!((5..=70).contains(&words), "{words}");
        for director in [&a, &b] {
            let lost = |event: &Event| {
                matches!(event, Event::PeerUnknown { .. } | Event::PeerGone { .. })
            };
            let since_up = director.said().into_iter();
            let since_up = since_up.skip_while(|event| !matches!(event, Event::PeerUp { .. }));
            assert_eq!(since_up.filter(lost).count(), 0, "the connection was lost");
        }
        let moves = said.iter().filter(|event| matches!(event, Event::Changed { .. })).count();
        assert_eq!(moves, 1, "b was a Backup all the time");
        let late = a.vrrp.status().lateness;
        println!("timers of a were late by {:?}, at most {:?}", late.quantile(500), late.max());
    }
}
