//! The laws of the words, by example and for any that directors may say.

use proptest::prelude::*;

use super::*;

fn whom(host: &str, pool: Option<&str>) -> Whom {
    Whom { host: host.into(), pool: pool.map(str::to_owned) }
}

fn said(word: Word, at: u64) -> Said {
    Said { word, at, by: "lb1".into(), until: None }
}

fn word(words: &Words, pool: &str) -> Option<Word> {
    words.of("web1", pool, 1000).map(|effective| effective.word)
}

#[test]
fn the_last_word_holds_whether_of_one_pool_or_of_all() {
    let mut words = Words::default();
    assert_eq!(word(&words, "a"), None);
    words.say(whom("web1", None), said(Word::Drain, 10));
    assert_eq!((word(&words, "a"), word(&words, "b")), (Some(Word::Drain), Some(Word::Drain)));
    words.say(whom("web1", Some("a")), said(Word::Ready, 20));
    assert_eq!((word(&words, "a"), word(&words, "b")), (None, Some(Word::Drain)));
    words.say(whom("web1", None), said(Word::Maintenance, 30));
    assert_eq!(word(&words, "a"), Some(Word::Maintenance));
    words.say(whom("web1", None), said(Word::Ready, 40));
    assert_eq!((word(&words, "a"), word(&words, "b")), (None, None));
    assert_eq!(words.of("web2", "a", 1000), None);
}

#[test]
fn a_word_that_is_said_wins_even_if_a_clock_was_far_ahead() {
    let mut words = Words::default();
    words.say(whom("web1", Some("a")), said(Word::Maintenance, 1 << 50));
    words.say(whom("web1", None), said(Word::Ready, 10));
    assert_eq!(word(&words, "a"), None);
    let mut other = Words::default();
    other.say(whom("web1", Some("a")), said(Word::Maintenance, 1 << 50));
    assert!(other.merge(&words));
    assert_eq!(word(&other, "a"), None);
}

#[test]
fn a_drain_becomes_maintenance_at_its_deadline_and_says_when_that_is() {
    let mut words = Words::default();
    assert_eq!(words.next_end(|_| 0), None);
    words.say(whom("web1", None), Said { until: Some(500), ..said(Word::Drain, 10) });
    words.say(whom("web2", None), Said { until: Some(300), ..said(Word::Drain, 10) });
    words.say(whom("web3", None), said(Word::Drain, 10));
    let left = |words: &Words, now| words.next_end(|_| now).map(|left| left.as_millis());
    assert_eq!((left(&words, 0), left(&words, 400)), (Some(300), Some(0)));
    let word = |wall| words.of("web1", "a", wall).map(|effective| effective.word);
    assert_eq!((word(499), word(500)), (Some(Word::Drain), Some(Word::Maintenance)));
    assert!(!words.expire(|_| 299));
    assert!(words.expire(|_| 300) && !words.expire(|_| 300));
    assert_eq!(left(&words, 300), Some(200));
}

#[test]
fn a_drain_ends_once_whatever_clocks_say_later_and_by_the_clock_of_who_said_it() {
    let mut words = Words::default();
    words.say(whom("web1", None), Said { until: Some(5_000), ..said(Word::Drain, 1000) });
    let mut other = words.clone();
    // Here it is much later than on lb1.
    let clock = |by: &str| if by == "lb1" { 4_999 } else { 9_999 };
    assert!(!words.expire(clock));
    assert!(words.expire(|_| 5_000));
    // It went back, and after a restart it is in 1970.
    assert_eq!(words.of("web1", "a", 0).map(|said| said.word), Some(Word::Maintenance));
    assert!(other.merge(&words) && !words.merge(&other) && other == words);
    other.say(whom("web1", None), said(Word::Ready, 0));
    assert!(words.merge(&other));
    assert_eq!(words.of("web1", "a", 0), None);
}

#[test]
fn a_tombstone_keeps_a_director_that_was_away_from_bringing_a_word_back() {
    let mut away = Words::default();
    away.say(whom("web1", None), said(Word::Drain, 10));
    let mut here = away.clone();
    here.say(whom("web1", None), said(Word::Ready, 20));
    assert!(!here.merge(&away));
    let day = 24 * 3600 * 1000;
    here.prune(29 * day);
    assert_eq!(here.len(), 1);
    assert!(!here.merge(&away));
    here.prune(31 * day);
    assert!(here.is_empty());
}

#[test]
fn a_tombstone_stays_as_long_as_an_older_word_that_it_overrides() {
    for (first, then) in [(Some("a"), None), (None, Some("a"))] {
        let mut words = Words::default();
        words.say(whom("web1", first), said(Word::Maintenance, 10));
        words.say(whom("web1", then), said(Word::Ready, 20));
        words.prune(u64::MAX);
        assert_eq!((word(&words, "a"), words.len()), (None, 2));
        // Once that is taken back as well, both go.
        words.say(whom("web1", first), said(Word::Ready, 30));
        words.prune(u64::MAX);
        assert!(words.is_empty());
    }
}

#[test]
fn making_room_lets_no_word_hold_that_was_overridden() {
    let mut words = Words::default();
    words.say(whom("web1", Some("a")), said(Word::Maintenance, 1));
    words.say(whom("web1", None), said(Word::Ready, 2));
    words.say(whom("web2", None), said(Word::Drain, 3));
    let full = words.clone();
    assert!(!words.forget_tombstone());
    words.forget_oldest();
    assert!(word(&words, "a").is_none() && words.of("web2", "a", 0).is_some());
    assert_eq!(words.len(), 2);
    // Nobody brings it back, either.
    words.merge(&full);
    assert_eq!(word(&words, "a"), None);
    let more = (0..MOST_WORDS as u64).map(|n| (format!("more{n}"), 10 + n));
    let mut words = full;
    for (host, at) in more.take(MOST_WORDS - 2) {
        words.hosts.entry(host).or_default().insert(None, said(Word::Drain, at));
    }
    words.say(whom("one more", None), said(Word::Drain, 100_000));
    assert_eq!((words.len(), word(&words, "a")), (MOST_WORDS, None));
    assert!(words.of("web2", "a", 0).is_some() || words.of("more0", "a", 0).is_some());
}

#[test]
fn only_tombstones_are_forgotten() {
    let mut words = Words::default();
    words.say(whom("web1", None), said(Word::Drain, 10));
    words.prune(u64::MAX);
    assert_eq!(word(&words, "a"), Some(Word::Drain));
}

#[test]
fn there_is_room_for_a_bounded_number_of_words_and_tombstones_make_room_first() {
    let entry = |host: &str, word: Word, at: u64| {
        let (host, by) = (host.to_owned(), "lb1".to_owned());
        Entry { host, pool: None, word, at, by, until: None }
    };
    let mut entries = vec![entry("oldest", Word::Drain, 1), entry("taken back", Word::Ready, 2)];
    let more = 10..10 + MOST_WORDS as u64 - 2;
    entries.extend(more.map(|n| entry(&format!("web{n}"), Word::Drain, n)));
    let mut words = Words::try_from(entries).expect("just as many as there may be");
    words.say(whom("one more", None), said(Word::Drain, 100_000));
    assert_eq!(words.len(), MOST_WORDS);
    assert!(words.of("oldest", "a", 0).is_some() && words.of("one more", "a", 0).is_some());
    assert!(!words.iter().any(|(host, ..)| host == "taken back"));
    let mut other = Words::default();
    other.say(whom("too many", None), said(Word::Drain, 10));
    assert!(!words.merge(&other));
    other.say(whom("oldest", None), said(Word::Maintenance, 200_000));
    assert!(words.merge(&other), "what is known already can still change");
    // What was taken back makes room for what others say, too.
    words.say(whom("web10", None), said(Word::Ready, 300_000));
    other.say(whom("back", None), said(Word::Ready, 400_000));
    assert!(words.merge(&other) && words.len() == MOST_WORDS);
    assert!(words.of("too many", "a", 0).is_some());
    assert!(!words.iter().any(|(host, ..)| host == "web10" || host == "back"));
    assert_eq!(Words::from_json(&words.to_json()).expect("its own"), words);
}

#[test]
fn json_is_a_line_for_each_word() {
    let mut words = Words::default();
    assert_eq!(words.to_json(), "[]\n");
    words.say(whom("web1", None), Said { until: Some(5), ..said(Word::Drain, 1) });
    words.say(whom("web1", Some("a")), said(Word::Ready, 1));
    assert_eq!(
        words.to_json(),
        "[\n{\"host\":\"web1\",\"word\":\"drain\",\"at\":1,\"by\":\"lb1\",\"until\":5},\n\
         {\"host\":\"web1\",\"pool\":\"a\",\"word\":\"ready\",\"at\":2,\"by\":\"lb1\"}\n]\n"
    );
    // Serde's own way, inside of something larger.
    let json = serde_json::to_string(&words).expect("strings");
    assert_eq!(serde_json::from_str::<Words>(&json).expect("its own"), words);
}

#[test]
fn what_is_no_list_of_words_is_refused_with_its_reason() {
    let long = "w".repeat(254);
    let entry = |host: &str, at: u64| {
        format!("[{{\"host\":\"{host}\",\"word\":\"drain\",\"at\":{at},\"by\":\"lb1\"}}]")
    };
    let many =
        format!("[{}]", vec![&entry("web1", 1)[1..entry("web1", 1).len() - 1]; 10_001].join(","));
    for (text, reason) in [
        ("", "it is not a list of words"),
        ("{}", "it is not a list of words"),
        (
            "[{\"host\":\"web1\",\"word\":\"stop\",\"at\":1,\"by\":\"lb1\"}]",
            "it is not a list of words",
        ),
        (&many, "it has 10001 words, and 10000 are the most"),
        (&entry("", 1), "the name \"\" is empty or longer than 253 bytes"),
        (&entry(&long, 1), &format!("the name {long:?} is empty or longer than 253 bytes")),
        (
            &entry("web1", 1 << 53),
            "the time 9007199254740992 is not one in milliseconds since 1970",
        ),
    ] {
        assert_eq!(Words::from_json(text).expect_err("refused").to_string(), reason);
    }
    let newer = "[{\"host\":\"web1\",\"word\":\"drain\",\"at\":1,\"by\":\"lb1\",\"why\":\"disk\"}]";
    assert_eq!(Words::from_json(newer).expect("a newer converge wrote it").len(), 1);
}

fn any_words() -> impl Strategy<Value = Words> {
    let word = prop::sample::select(vec![Word::Ready, Word::Drain, Word::Maintenance]);
    let whom = (0..3u8, prop::option::of(0..2u8));
    let said = (word, 0..6u64, 0..2u8, prop::option::of(0..4u64));
    prop::collection::vec((whom, said), 0..8).prop_map(|entries| {
        let entries = entries.into_iter().map(|((host, pool), (word, at, by, until))| Entry {
            host: format!("web{host}"),
            pool: pool.map(|pool| format!("pool{pool}")),
            word,
            at,
            by: format!("lb{by}"),
            until,
        });
        Words::try_from(entries.collect::<Vec<_>>()).expect("few and short")
    })
}

fn merged(one: &Words, other: &Words) -> Words {
    let mut merged = one.clone();
    let changed = merged.merge(other);
    assert_eq!(changed, &merged != one);
    merged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn directors_that_merge_in_any_order_know_the_same(
        a in any_words(), b in any_words(), c in any_words()
    ) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(Words::from_json(&a.to_json()).expect("its own"), a);
    }

    #[test]
    fn what_is_said_holds_at_once_and_everywhere(
        a in any_words(), b in any_words(), pool in prop::option::of(0..2u8)
    ) {
        let mut here = merged(&a, &b);
        let pool = pool.map(|pool| format!("pool{pool}"));
        let whom = Whom { host: "web1".into(), pool: pool.clone() };
        here.say(whom, Said { word: Word::Drain, at: 0, by: "lb0".into(), until: None });
        let there = merged(&b, &here);
        for words in [&here, &there] {
            for of in ["pool0", "pool1"] {
                if pool.as_deref().is_none_or(|pool| pool == of) {
                    let effective = words.of("web1", of, 0).expect("something was said");
                    prop_assert_eq!(effective.word, Word::Drain);
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_in_time_changes_nothing_that_holds(
        a in any_words(), age in 0..8u64, other in any_words()
    ) {
        let holds = |words: &Words| -> Vec<_> {
            let hosts = ["web0", "web1", "web2"].into_iter();
            let pools = ["pool0", "pool1", "pool2"];
            hosts.flat_map(|host| pools.map(|pool| words.now(host, pool))).collect()
        };
        let tombstone = TOMBSTONE.as_millis() as u64;
        let mut pruned = a.clone();
        pruned.prune(tombstone + age);
        prop_assert_eq!(holds(&pruned), holds(&a));
        prop_assert_eq!(holds(&merged(&pruned, &a)), holds(&a));
        let mut less = a.clone();
        while less.forget_tombstone() {
            prop_assert_eq!(holds(&less), holds(&a));
        }
        let mut both = merged(&a, &other);
        let before = holds(&both);
        both.prune(u64::MAX);
        prop_assert_eq!(holds(&both), before);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        drop(Words::from_json(&text));
    }
}

#[test]
fn what_is_told_fits_has_the_newest_and_all_the_others_some_turns_later() {
    let mut words = Words::default();
    for n in 0..1000 {
        words.say(whom(&format!("web{n}"), None), said(Word::Drain, n));
    }
    assert_eq!(words.to_json_within(1 << 20, 3), words.to_json());
    let mut heard = Words::default();
    for turn in 0..10 {
        let told = words.to_json_within(32 * 1024, turn);
        assert!(told.len() <= 32 * 1024 && told.len() > 16 * 1024, "{}", told.len());
        let told = Words::from_json(&told).expect("our own");
        assert!(told.of("web999", "a", 2000).is_some());
        assert!(!words.merge(&told), "nothing of it is news");
        heard.merge(&told);
    }
    assert_eq!(heard, words);
    assert!(Words::from_json(&words.to_json_within(3, 1)).expect("an empty list").is_empty());
}

#[test]
fn of_a_text_that_is_damaged_what_can_be_read_is_kept() {
    let mut words = Words::default();
    words.say(whom("web1", None), Said { until: Some(5), ..said(Word::Drain, 1) });
    words.say(whom("web2", Some("a")), said(Word::Maintenance, 1));
    words.say(whom("web3", None), said(Word::Drain, 1));
    let text = words.to_json();
    assert_eq!(Words::salvage(&text), (words.clone(), 0));
    // The end is lost, in the middle of the last word.
    let (some, lost) = Words::salvage(&text[..text.len() - 20]);
    assert_eq!((some.len(), lost), (2, 1));
    assert!(some.of("web1", "b", 0).is_some() && some.of("web2", "a", 0).is_some());
    // A newer converge knows a word more.
    let (some, lost) = Words::salvage(&text.replace("maintenance", "paused"));
    assert_eq!((some.len(), lost), (2, 1));
    let (some, lost) = Words::salvage(&text.replace("web1", ""));
    assert_eq!((some.len(), lost), (2, 1));
    assert_eq!(Words::salvage("\0\0\0\0"), (Words::default(), 1));
    assert_eq!(Words::salvage(""), (Words::default(), 0));
}
