//! How often a check is made: the words that every kind has.
//!
//! The defaults are those of a check every second that believes the third failure in a row and the
//! second success. While the answers are about to turn what is held to be true, five checks are
//! made in the time of one, so that a dead server is known sooner than `fall` beats.

use std::num::NonZeroU8;
use std::time::Duration;

use super::super::element::Element;
use crate::check::config::Timing;
use crate::document::Spanned;

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
/// Faster than this nothing is asked unless a role says so.
const FAST: Duration = Duration::from_millis(200);

/// Reads `every`, `timeout`, `fast`, `rise` and `fall`.
pub fn read(e: &Element<'_>) -> Option<Timing> {
    let every = within(e, e.get_or("every", EVERY), "every")?;
    let timeout = below(e, "timeout", every, TIMEOUT.min(every))?;
    let fast = below(e, "fast", every, (every / 5).max(FAST).min(every))?;
    let count = |key, standard| {
        let standard = NonZeroU8::new(standard).expect("above 0");
        e.get_or::<NonZeroU8>(key, standard).value
    };
    Some(Timing { every, timeout, fast, rise: count("rise", 2), fall: count("fall", 3) })
}

fn within(e: &Element<'_>, time: Spanned<Duration>, key: &'static str) -> Option<Duration> {
    if (SHORTEST..=LONGEST).contains(&time.value) {
        return Some(time.value);
    }
    let title = format!("`{}` is from 10ms to 1h", e.called(key));
    e.report(e.mistake(key, title));
    None
}

/// A time that is no longer than the one between two checks: one has ended before the next begins.
fn below(
    e: &Element<'_>,
    key: &'static str,
    every: Duration,
    standard: Duration,
) -> Option<Duration> {
    let time = e.get_or(key, standard);
    if time.value > every {
        let written = super::super::words::written;
        let (long, every) = (written(time.value), written(every));
        let (called, often) = (e.called(key), e.called("every"));
        let title = format!("`{called}` = {long} is longer than `{often}` = {every}");
        let help = match key {
            "timeout" => format!(
                "a check has ended before the next begins: at most {every}, or `{often}` of {long}"
            ),
            _ => format!("it takes the place of `{often}`: at most {every}"),
        };
        e.report(e.mistake(key, title).help(help));
        return None;
    }
    within(e, time, key)
}
