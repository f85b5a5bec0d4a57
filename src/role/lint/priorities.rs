//! Whether priorities say who is to hold the VIPs, and say it clearly enough.
//!
//! Two hosts of one priority leave it to their addresses; two of nearly the same, at a short
//! interval, take over at nearly the same moment, and a busy machine is late by more than that.

use std::time::Duration;

use crate::diagnostic::{Collector, Diagnostic, suggest};
use crate::document::listed;
use crate::role::election::Member;
use crate::role::vrrp::PREFERRED;
use crate::role::words::written;
use crate::vrrp::config::{OWNER, Version};

/// A process that is not scheduled in real time is often late by this much.
const NOISE: Duration = Duration::from_millis(1);

pub(super) fn check(members: &[&Member], found: &Collector) {
    let mut ranked = members.to_vec();
    ranked.sort_by_key(|member| std::cmp::Reverse(member.config.priority));
    for pair in ranked.windows(2) {
        let [higher, lower] = pair else { continue };
        if higher.config.priority == lower.config.priority {
            found.push(equal(higher, lower));
        } else {
            found.extend(too_close(higher, lower));
        }
    }
    if let Some(member) = members.first() {
        found.extend(preferred(member, members));
    }
}

fn equal(one: &Member, other: &Member) -> Diagnostic {
    let (name, priority) = (&one.config.name, one.config.priority);
    let title = format!(
        "hosts `{}` and `{}` have the same priority for router `{name}`, {priority}",
        one.host.value, other.host.value
    );
    let lower = priority.get().saturating_sub(5).max(1);
    let by_variable = other.vrrp.says.priority.place.text().contains("vars.priority");
    let help = match by_variable {
        true => format!("one of them is to be preferred: `vars = {{ priority = {lower} }}`"),
        false => format!("one of them is to be preferred: `priority = {lower}` for the other"),
    };
    Diagnostic::error(other.place().clone(), title)
        .related(one.place().clone(), "the same here")
        .help(help)
}

/// RFC 9568 6.1: Skew_Time is (256 - priority) / 256 of the interval; in version 2 of a second, so
/// that one step of priority is 3.9 ms.
fn too_close(higher: &Member, lower: &Member) -> Option<Diagnostic> {
    let router = &higher.config;
    if router.version == Version::V2 || router.priority == OWNER {
        return None;
    }
    let (high, low) = (router.priority.get(), lower.config.priority.get());
    let interval = router.interval.get();
    let apart = interval * u32::from(high - low) / 256;
    if apart >= NOISE {
        return None;
    }
    let steps = (256 * NOISE.as_nanos()).div_ceil(interval.as_nanos().max(1));
    let slower = (NOISE * 256 / u32::from(high - low)).as_millis().div_ceil(10) * 10;
    let (one, other, name) = (&higher.host.value, &lower.host.value, &router.name);
    let title =
        format!("hosts `{one}` and `{other}` would take over router `{name}` at the same moment");
    let help = format!(
        "({high} - {low}) / 256 of {} is {} µs, and a busy machine is late by more: put {steps} \
         between their priorities, or take an interval of {slower}ms",
        written(interval),
        apart.as_micros()
    );
    let diagnostic = Diagnostic::warning(lower.place().clone(), title)
        .related(higher.place().clone(), format!("priority {high}"))
        .label(format!("priority {low}"));
    Some(diagnostic.help(help))
}

/// A host that is preferred has the router, and nobody has more.
fn preferred(first: &Member, members: &[&Member]) -> Option<Diagnostic> {
    let prefer = first.vrrp.says.prefer.as_ref()?;
    let name = &first.config.name;
    let hosts: Vec<&str> = members.iter().map(|member| member.host.as_str()).collect();
    if !hosts.contains(&prefer.value.as_str()) {
        let title = format!("router `{name}` prefers `{prefer}`, which is no host that has it");
        let title = match suggest(&prefer.value, hosts.iter().copied()) {
            Some(meant) => format!("{title}; did you mean `{meant}`?"),
            None => title,
        };
        let help = format!("its hosts are {}", listed(&hosts));
        return Some(Diagnostic::error(prefer.place.clone(), title).help(help));
    }
    let above = members.iter().find(|member| member.config.priority > PREFERRED)?;
    let title = format!(
        "router `{name}` prefers `{prefer}`, which has {PREFERRED} for it, but `{}` has {}",
        above.host.value, above.config.priority
    );
    let diagnostic = Diagnostic::error(prefer.place.clone(), title);
    let help = format!("give `{}` less than {PREFERRED}", above.host.value);
    Some(diagnostic.related(above.place().clone(), "more than the preferred one").help(help))
}
