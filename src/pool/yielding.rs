//! Whether a director leaves a virtual router to another one, for that one sees more.
//!
//! The VIPs of a router may lead to several pools, and of two directors each may be blind to
//! another one. So it is counted: a router is left to one that is answered by more pools that
//! nobody here is answered by than the other way round. Of two that know the same at most one finds
//! that so, and the one that sees most never does. Whoever left a router takes it back when it sees
//! more, or when there is nothing more that the other sees; where both see as much it stays where
//! it is.

/// How many pools of a router one director is answered by, and another one is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Pools that we are known to be blind to, and that the other one is answered by.
    pub more: usize,
    /// Pools that answer here, and not there as far as it told.
    pub less: usize,
}

impl Weight {
    /// Counts one pool. `blind` is whether we are known to be, `here` and `there` whether anybody
    /// of it answers.
    pub fn add(&mut self, blind: bool, here: bool, there: bool) {
        self.more += usize::from(blind && there);
        self.less += usize::from(here && !there);
    }
}

/// Whether one router is left to another director.
#[derive(Clone, Debug, Default)]
pub struct Yielding {
    is_left: bool,
}

impl Yielding {
    /// Looks at all directors that could have the router now, and says to whom it is left.
    pub fn look<T>(&mut self, others: impl IntoIterator<Item = (T, Weight)>) -> Option<T> {
        let sees_more = |Weight { more, less }: Weight| match self.is_left {
            true => more > 0 && more >= less,
            false => more > less,
        };
        let whom = others.into_iter().find(|(_, weight)| sees_more(*weight));
        self.is_left = whom.is_some();
        whom.map(|(whom, _)| whom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at one other director.
    fn yields(yielding: &mut Yielding, more: usize, less: usize) -> bool {
        yielding.look([((), Weight { more, less })]).is_some()
    }

    #[test]
    fn a_router_is_left_only_to_one_that_sees_more() {
        for (more, less, is_left) in [(0, 0, false), (0, 1, false), (1, 1, false), (1, 2, false)] {
            assert_eq!(yields(&mut Yielding::default(), more, less), is_left, "{more} {less}");
        }
        assert!(yields(&mut Yielding::default(), 1, 0));
        assert!(yields(&mut Yielding::default(), 2, 1));
        let several = [("b", Weight { more: 1, less: 1 }), ("c", Weight { more: 1, less: 0 })];
        assert_eq!(Yielding::default().look(several), Some("c"));
    }

    #[test]
    fn what_was_left_stays_so_while_both_see_as_much() {
        let mut yielding = Yielding::default();
        assert!(!yields(&mut yielding, 1, 1));
        assert!(yields(&mut yielding, 1, 0));
        assert!(yields(&mut yielding, 1, 1));
        assert!(!yields(&mut yielding, 1, 2));
        assert!(!yields(&mut yielding, 1, 1), "now it is here");
        assert!(yields(&mut yielding, 2, 1));
        assert!(!yields(&mut yielding, 0, 0), "nothing more is seen there");
        assert!(yields(&mut yielding, 1, 0));
        assert_eq!(yielding.look(Vec::<((), Weight)>::new()), None);
        assert!(!yields(&mut yielding, 1, 1), "nobody was there");
    }

    #[test]
    fn of_two_that_know_the_same_never_both_yield() {
        // Of three pools each director sees any; who is blind is known to be so, or not yet.
        for bits in 0..1u32 << 9 {
            let is = |at: u32, pool: u32| bits >> (3 * at + pool) & 1 == 1;
            let yields = |of: u32| {
                let mut weight = Weight::default();
                for pool in 0..3 {
                    let (here, there) = (is(of, pool), is(1 - of, pool));
                    weight.add(!here && is(2, pool), here, there);
                }
                Yielding::default().look([((), weight)]).is_some()
            };
            assert!(!(yields(0) && yields(1)), "{bits:b}");
        }
    }
}
