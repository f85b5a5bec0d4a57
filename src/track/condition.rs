//! From verdicts to what a virtual router is told: its faults and what is added to its priority.
//!
//! Always the whole truth, worked out anew from all verdicts: nothing is counted up and down. The
//! weights mean what they mean to keepalived.

use std::collections::BTreeMap;

use super::config::{MOST_WEIGHT, TrackConfig, Watch};
use super::tally::Verdict;
use crate::vrrp::router::Condition;

/// The verdicts on all tracks, by their names.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What is watched, in the words that begin a reason: "script chk_nginx", "tcp 127.0.0.1:80".
pub fn subject(track: &TrackConfig) -> String {
    match &track.what {
        // Its command line may be long; its name is what the file calls it.
        Watch::Script { .. } => format!("script {}", track.name),
        Watch::Http { url, .. } => format!("http {url}"),
        Watch::Interface(_)
        | Watch::Process { .. }
        | Watch::Unit(_)
        | Watch::File(_)
        | Watch::Tcp(_) => track.what.to_string(),
    }
}

/// What the tracks mean for a router of this name on this interface.
pub fn condition(
    router: &str,
    interface: &str,
    tracks: &[TrackConfig],
    verdicts: &Verdicts,
) -> Condition {
    let mut condition = Condition::default();
    let mut adjust = 0_i32;
    for track in tracks.iter().filter(|track| track.concerns(router)) {
        // One that nobody has heard of yet is one that was not looked at.
        let verdict = verdicts.get(&track.name).unwrap_or(&Verdict::Unknown);
        if let Some(words) = fault(track, verdict) {
            condition.faults.insert(format!("{}: {words}", subject(track)));
            condition.unreachable |= is_link_lost(track, verdict, interface);
        }
        adjust += i32::from(weigh(track, verdict));
    }
    let most = i32::from(MOST_WEIGHT);
    condition.adjust = i16::try_from(adjust.clamp(-most, most)).expect("253 fits");
    condition
}

/// Whether the router's own link is known to be lost; before the first look nothing is known.
fn is_link_lost(track: &TrackConfig, verdict: &Verdict, interface: &str) -> bool {
    let is_own = matches!(&track.what, Watch::Interface(name) if name == interface);
    is_own && matches!(verdict, Verdict::Bad(_))
}

fn fault(track: &TrackConfig, verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Number(number) => out_of_range(track, *number),
        Verdict::Unknown if track.is_fault() => Some("not looked at yet".into()),
        Verdict::Bad(failure) if track.is_fault() && !track.reverse => Some(failure.what.clone()),
        Verdict::Good if track.is_fault() && track.reverse => {
            Some("it is good, which is a fault (reverse)".into())
        }
        Verdict::Unknown | Verdict::Joining | Verdict::Bad(_) | Verdict::Good => None,
    }
}

/// keepalived's rule: what would take the priority below anything it could be is a fault.
fn out_of_range(track: &TrackConfig, number: i64) -> Option<String> {
    let weight = i64::from(if track.reverse { -track.weight } else { track.weight });
    let moved = number.saturating_mul(weight);
    (moved < -i64::from(MOST_WEIGHT))
        .then(|| format!("its number {number} takes {} from the priority", moved.unsigned_abs()))
}

fn weigh(track: &TrackConfig, verdict: &Verdict) -> i16 {
    match verdict {
        Verdict::Unknown | Verdict::Joining => 0,
        Verdict::Good => track.adjust(true),
        Verdict::Bad(_) => match track.what {
            // A file that cannot be read says no number.
            Watch::File(_) => 0,
            Watch::Interface(_)
            | Watch::Process { .. }
            | Watch::Unit(_)
            | Watch::Script { .. }
            | Watch::Tcp(_)
            | Watch::Http { .. } => track.adjust(false),
        },
        Verdict::Number(number) => track.adjust_by(*number),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroU8;
    use std::time::Duration;

    use super::*;
    use crate::track::tally::Failure;

    fn track(name: &str, what: Watch, weight: i16) -> TrackConfig {
        TrackConfig {
            name: name.into(),
            what,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: NonZeroU8::MIN,
            fall: NonZeroU8::MIN,
            weight,
            reverse: false,
            routers: Vec::new(),
        }
    }

    fn script(weight: i16) -> TrackConfig {
        let argv = vec!["/usr/local/bin/check".into()];
        track("chk_nginx", Watch::Script { argv, user: None }, weight)
    }

    fn of(track: &TrackConfig, verdict: Verdict) -> (Vec<String>, i16) {
        let verdicts = BTreeMap::from([(track.name.clone(), verdict)]);
        let condition = on_eth0("web", std::slice::from_ref(track), &verdicts);
        (condition.faults.into_iter().collect(), condition.adjust)
    }

    fn on_eth0(router: &str, tracks: &[TrackConfig], verdicts: &Verdicts) -> Condition {
        condition(router, "eth0", tracks, verdicts)
    }

    fn bad() -> Verdict {
        Verdict::Bad(Failure { what: "exit code 1".into(), said: "12:00 down".into() })
    }

    #[test]
    fn what_is_not_known_at_the_start_is_a_fault_and_has_no_weight() {
        let words = "script chk_nginx: not looked at yet".to_owned();
        assert_eq!(of(&script(0), Verdict::Unknown), (vec![words.clone()], 0));
        assert_eq!(on_eth0("web", &[script(0)], &Verdicts::new()).faults, BTreeSet::from([words]));
        for weight in [20, -20] {
            assert_eq!(of(&script(weight), Verdict::Unknown), (vec![], 0), "{weight}");
        }
    }

    #[test]
    fn what_is_added_while_running_moves_nothing_until_it_was_looked_at() {
        for weight in [0, 20, -20] {
            assert_eq!(of(&script(weight), Verdict::Joining), (vec![], 0), "{weight}");
        }
    }

    #[test]
    fn a_bad_track_without_weight_is_a_fault_in_words_that_stay() {
        assert_eq!(of(&script(0), bad()), (vec!["script chk_nginx: exit code 1".into()], 0));
        assert_eq!(of(&script(0), Verdict::Good), (vec![], 0));
    }

    #[test]
    fn reversed_good_is_bad() {
        let reversed = |weight| TrackConfig { reverse: true, ..script(weight) };
        assert_eq!(of(&reversed(0), bad()), (vec![], 0));
        assert_eq!(of(&reversed(0), Verdict::Good).0.len(), 1);
        assert_eq!(of(&reversed(20), bad()), (vec![], 20));
        assert_eq!(of(&reversed(-20), Verdict::Good), (vec![], -20));
    }

    #[test]
    fn weights_of_all_tracks_add_up_within_bounds() {
        let tracks: Vec<TrackConfig> =
            (0..3).map(|i| TrackConfig { name: i.to_string(), ..script(-100) }).collect();
        let verdicts = |n: usize| {
            let verdict = |i| if i < n { bad() } else { Verdict::Good };
            (0..3).map(|i| (i.to_string(), verdict(i))).collect::<Verdicts>()
        };
        assert_eq!(on_eth0("web", &tracks, &verdicts(0)).adjust, 0);
        assert_eq!(on_eth0("web", &tracks, &verdicts(2)).adjust, -200);
        assert_eq!(on_eth0("web", &tracks, &verdicts(3)).adjust, -253);
    }

    #[test]
    fn only_the_tracks_of_a_router_move_it() {
        let track = TrackConfig { routers: vec!["db".into()], ..script(0) };
        let verdicts = Verdicts::from([(track.name.clone(), bad())]);
        assert!(on_eth0("web", std::slice::from_ref(&track), &verdicts).faults.is_empty());
        assert_eq!(on_eth0("db", &[track], &verdicts).faults.len(), 1);
    }

    #[test]
    fn a_files_number_moves_the_priority_and_a_huge_one_is_a_fault() {
        let file = |weight| track("load", Watch::File("/run/load".into()), weight);
        assert_eq!(of(&file(-1), Verdict::Number(30)), (vec![], -30));
        assert_eq!(of(&file(2), Verdict::Number(30)), (vec![], 60));
        assert_eq!(of(&file(2), Verdict::Number(3000)), (vec![], 253));
        let words = "file /run/load: its number 254 takes 254 from the priority".to_owned();
        assert_eq!(of(&file(-1), Verdict::Number(254)), (vec![words], -253));
        assert_eq!(of(&file(-1), bad()), (vec![], 0));
    }

    #[test]
    fn only_the_loss_of_the_routers_own_link_makes_it_unreachable() {
        let link = |name: &str| track("link", Watch::Interface(name.into()), 0);
        let is_lost = |track: TrackConfig, verdict: Verdict| {
            let verdicts = Verdicts::from([(track.name.clone(), verdict)]);
            on_eth0("web", &[track], &verdicts).unreachable
        };
        assert!(is_lost(link("eth0"), bad()));
        assert!(!is_lost(link("eth0"), Verdict::Unknown) && !is_lost(link("eth0"), Verdict::Good));
        assert!(!is_lost(link("eth1"), bad()) && !is_lost(script(0), bad()));
    }
}
