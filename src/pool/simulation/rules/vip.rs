//! Who has the VIP: whoever sees more, never nobody, and it does not go back and forth.
//!
//! VRRP itself is not here: a director has it, as far as these rules go, unless it leaves it to the
//! other one.

use super::*;

/// As often may a director find otherwise after a change of the world: either may lose one pool
/// after the other, or find it again.
const MOST_MOVES: u32 = 4;

/// What was seen of the VIP.
#[derive(Debug, Default)]
pub(super) struct Vip {
    is_left: [bool; 2],
    moves: [u32; 2],
}

impl Vip {
    /// Something happened that may move it.
    pub(super) fn upset(&mut self) {
        self.moves = [0; 2];
    }
}

impl Rules {
    pub(super) fn vip_moves(
        &mut self,
        world: &World<'_>,
        d: usize,
        process: &Process,
    ) -> Result<(), String> {
        let both = world.directors.iter().all(|director| {
            let runs = director.process.as_ref().filter(|_| director.stopped.is_none());
            runs.is_some_and(|process| process.is_left)
        });
        let most = Duration::from_millis(1500);
        self.no_longer(2, "both give the VIP to the other".into(), both, most, world.now)?;
        if std::mem::replace(&mut self.vip.is_left[d], process.is_left) != process.is_left {
            self.vip.moves[d] += 1;
        }
        match self.vip.moves[d] > MOST_MOVES {
            true => Err(format!("{}: the VIP goes back and forth", NAMES[d])),
            false => Ok(()),
        }
    }

    pub(super) fn vip_is_right(
        &mut self,
        world: &World<'_>,
        d: usize,
        process: &Process,
    ) -> Result<(), String> {
        let goes = world.connection.is_some() && world.link && is_awake(world, 1 - d);
        let lasts = |d: usize, n: usize, good: bool, least: Duration| {
            let (is, since) = self.truth[d][n];
            is == good && world.now >= since.max(self.disturbed[d]) + least
        };
        let [mut more, mut most_more, mut less, mut most_less] = [0; 4];
        for pool in &process.pools {
            let members = || (0..SERVERS).filter(|n| has(pool.config(), *n));
            let none = |d: usize| members().all(|n| lasts(d, n, false, fall(world)));
            let some = |d: usize| members().any(|n| lasts(d, n, true, rise(world)));
            let o = 1 - d;
            more += u32::from(none(d) && some(o));
            most_more += u32::from(!some(d) && !none(o));
            less += u32::from(some(d) && none(o));
            most_less += u32::from(!none(d) && !some(o));
        }
        let most = window(world) * 2 + TELLING;
        let (left, now) = (process.is_left, world.now);
        let missed = goes && more > most_less && !left;
        self.no_longer(d, "does not see that it is blind".into(), missed, most, now)?;
        let needless =
            goes && left && !process.stands_still && (most_more == 0 || most_more < less);
        self.no_longer(d, "leaves the VIP for nothing".into(), needless, most, now)
    }
}
