//! What of the running converge stands still: its checks, or its watch over the links.
//!
//! Whoever looks at servers, or checks them by hand, is told so beside: what the running converge
//! knows is then as old as that.

use std::time::Duration;

use super::servers::warn;
use super::wait::spoken;
use crate::control::checks::{self, Figures};
use crate::control::{report, wall};
use crate::host::{Host, chain};

/// How the running converge makes its checks.
pub fn figures(host: &Host) -> Option<Figures> {
    checks::read(host.files()).unwrap_or_else(|error| {
        warn(&format!("how checks are made is not shown: {}", chain(&error)));
        None
    })
}

/// Says what stands still by these figures.
pub fn tell(made: &Figures) {
    stalls(made, wall()).iter().for_each(|line| warn(line));
}

/// The same of the running converge, if there is one.
pub fn tell_of(host: &Host) {
    match report::is_written(host.files()) {
        Ok(true) => figures(host).iter().for_each(tell),
        Ok(false) => {}
        Err(error) => warn(&format!("whether a converge runs is not shown: {}", chain(&error))),
    }
}

fn stalls(made: &Figures, now: u64) -> Vec<String> {
    let age = |since: u64| spoken(Duration::from_millis(now.saturating_sub(since)));
    let checks = made.stalled.map(|since| {
        format!(
            "the checks of the running converge have stood still for {}: what it knows of servers \
             is as old",
            age(since)
        )
    });
    let links = made.unwatched.map(|since| {
        format!(
            "the running converge has not watched the link to the real servers for {}: what is \
             wrong there is not known",
            age(since)
        )
    });
    checks.into_iter().chain(links).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_that_stands_still_is_told_with_its_time() {
        let told = |stalled, unwatched| {
            let made = Figures { stalled, unwatched, ..Figures::default() };
            stalls(&made, 60_000)
        };
        assert!(told(None, None).is_empty());
        let both = told(Some(48_000), Some(30_000));
        assert!(both[0].starts_with("the checks ") && both[0].contains(" for 12 s: "), "{both:?}");
        assert!(both[1].contains("not watched the link") && both[1].contains(" for 30 s: "));
    }
}
