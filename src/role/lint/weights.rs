//! Whether a track's weight can ever move the VIPs.
//!
//! A weight of 2 between priorities 100 and 90 looks like a safeguard and is none: the check fails,
//! 102 becomes 100, and the backup has 92. Every combination of what else may be good or bad is
//! tried, so whatever is reported here cannot happen at all.

use std::collections::BTreeSet;

use crate::diagnostic::{Collector, Diagnostic};
use crate::role::election::Member;
use crate::role::track::Track;
use crate::track::config::{MOST_WEIGHT, Watch};
use crate::vrrp::config::{OWNER, Preempt};

pub(super) fn check(members: &[&Member], found: &Collector) {
    let mut ranked = members.to_vec();
    ranked.sort_by_key(|member| std::cmp::Reverse(member.config.priority));
    let mut told: Vec<&Track> = Vec::new();
    for member in &ranked {
        for track in member.tracks.iter().filter(|track| !track.config.is_fault()) {
            // One section of a role is one mistake, on however many hosts.
            if told.iter().any(|other| other.place == track.place) {
                continue;
            }
            let wrong = match member.config.priority == OWNER {
                true => Some(of_an_owner(member, track)),
                false => moves_nothing(member, track, &ranked),
            };
            if let Some(diagnostic) = wrong {
                told.push(track);
                found.push(diagnostic);
            }
        }
    }
}

/// RFC 9568 5.2.4: the owner of the addresses says 255, whatever it watches.
fn of_an_owner(member: &Member, track: &Track) -> Diagnostic {
    let (name, host) = (&track.config.name, &member.host.value);
    let title = format!("track `{name}` has a weight, but `{host}` owns the addresses");
    Diagnostic::error(track.weight.clone(), title)
        .help("a priority of 255 stays 255; leave the weight out: then a bad track is a fault")
}

/// What may come of a track: a number in a file may be any.
fn sums(member: &Member, except: Option<&Track>) -> BTreeSet<i32> {
    let mut sums = BTreeSet::from([0]);
    for track in &member.tracks {
        let config = &track.config;
        if config.is_fault() || except.is_some_and(|except| except.config.name == config.name) {
            continue;
        }
        let outcomes: Vec<i32> = match config.what {
            Watch::File(_) => (-MOST_WEIGHT..=MOST_WEIGHT).map(i32::from).collect(),
            Watch::Interface(_)
            | Watch::Process { .. }
            | Watch::Unit(_)
            | Watch::Script { .. }
            | Watch::Tcp(_)
            | Watch::Http { .. } => [true, false].map(|good| config.adjust(good).into()).into(),
        };
        sums = sums.iter().flat_map(|sum| outcomes.iter().map(move |o| sum + o)).collect();
    }
    sums
}

/// The sum while nothing is wrong.
fn best(member: &Member, except: Option<&Track>) -> i32 {
    let other =
        |track: &&Track| except.is_none_or(|except| except.config.name != track.config.name);
    let tracks = member.tracks.iter().filter(other).map(|track| &track.config);
    let counted = tracks.filter(|config| !matches!(config.what, Watch::File(_)));
    counted.map(|config| i32::from(config.adjust(!config.reverse))).sum()
}

/// The priority that the others see: 1 to 254, for 0 and 255 mean something else.
fn effective(member: &Member, sum: i32) -> i32 {
    if member.config.priority == OWNER {
        return OWNER.get().into();
    }
    (i32::from(member.config.priority.get()) + sum).clamp(1, 254)
}

/// What a track does to a host: the priority is higher by the first than by the second.
fn span(track: &Track) -> (i32, i32) {
    let (good, bad) = (track.config.adjust(true).into(), track.config.adjust(false).into());
    (i32::max(good, bad), i32::min(good, bad))
}

fn moves_nothing(member: &Member, track: &Track, members: &[&Member]) -> Option<Diagnostic> {
    if matches!(track.config.what, Watch::File(_)) {
        return None;
    }
    let (high, low) = span(track);
    let mine = sums(member, Some(track));
    let mut below: Vec<&Member> = Vec::new();
    for peer in members.iter().filter(|peer| peer.host.value != member.host.value) {
        let theirs: BTreeSet<i32> =
            sums(peer, None).into_iter().map(|sum| effective(peer, sum)).collect();
        let beaten = |sum: &i32| theirs.iter().any(|peer| effective(member, sum + high) > *peer);
        if !mine.iter().any(beaten) {
            continue;
        }
        // A backup of the same priority leaves the active one alone (RFC 9568 6.4.2), and so does
        // one that never preempts.
        let moves = |sum: &i32| {
            let (from, to) = (effective(member, sum + high), effective(member, sum + low));
            theirs.iter().any(|peer| to < *peer && *peer < from)
        };
        if mine.iter().any(moves) && peer.config.preempt != Preempt::Never {
            return None;
        }
        below.push(peer);
    }
    let backup = below.first()?;
    Some(report(member, track, backup))
}

fn report(member: &Member, track: &Track, backup: &Member) -> Diagnostic {
    let (high, low) = span(track);
    let base = best(member, Some(track));
    let (from, to) = (effective(member, base + high), effective(member, base + low));
    let has = effective(backup, best(backup, None));
    let (name, router) = (&track.config.name, &member.config.name);
    let (host, peer) = (&member.host.value, &backup.host.value);
    let never = backup.config.preempt == Preempt::Never && to < has;
    let (but, help) = match never {
        true => (
            format!("`{peer}` never preempts"),
            "leave the weight out: then a bad track is a fault, and the active one gives up".into(),
        ),
        false => (format!("`{peer}` has {has}"), enough(member, track, backup)),
    };
    let can = format!("it can lower `{host}` to {to}, but {but}");
    let title = format!("track `{name}` never moves the VIPs of `{router}`: {can}");
    Diagnostic::error(track.weight.clone(), title)
        .label(format!("`{host}` falls from {from} to {to}"))
        .related(backup.place().clone(), format!("priority {}", backup.config.priority))
        .related(member.place().clone(), format!("priority {}", member.config.priority))
        .help(help)
}

/// The weight that would do: one that takes the host below the backup while the track is bad.
fn enough(member: &Member, track: &Track, backup: &Member) -> String {
    let ours = effective(member, best(member, Some(track)));
    let theirs = effective(backup, best(backup, Some(track)));
    let weight = -(ours - theirs + 1);
    match weight >= -i32::from(MOST_WEIGHT) && ours + weight >= 1 {
        true => format!(
            "`weight = {weight}` would ({ours} - {} is less than {theirs}), or none: then a bad \
             track is a fault",
            -weight
        ),
        false => "leave the weight out: then a bad track is a fault".into(),
    }
}
