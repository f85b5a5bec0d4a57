//! Arguments of arptables and iptables, built. Pure.
//!
//! Rules are deleted by their number, last first, so that nothing has to be quoted back to the
//! program in the words in which it listed it.

use super::listing::Listing;

/// The arguments of one call.
pub type Call = Vec<String>;

/// One call.
pub fn call(words: &[&str]) -> Call {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// The calls that delete the rules of a chain that `goes` picks, last first: the numbers of the
/// others stay as they are.
pub fn deletions<T>(chain: &str, rules: &[T], goes: impl Fn(&T) -> bool) -> Vec<Call> {
    let numbered = rules.iter().enumerate().rev().filter(|(_, rule)| goes(rule));
    numbered.map(|(at, _)| call(&["-D", chain, &(at + 1).to_string()])).collect()
}

/// The calls that take a chain of ours away, with the jumps to it from `from`, as far as they are
/// in `listing`.
pub fn dismantle(listing: &Listing, chain: &str, from: &str) -> Vec<Call> {
    let jumps = listing.rules(from).unwrap_or_default().iter().filter(|r| r.jumps_to(chain));
    let mut calls: Vec<Call> = jumps.map(|_| call(&["-D", from, "-j", chain])).collect();
    if listing.rules(chain).is_some() {
        calls.extend([call(&["-F", chain]), call(&["-X", chain])]);
    }
    calls
}

/// The calls that take back whatever of a chain and its one jump was made.
pub fn undo(chain: &str, from: &str) -> Vec<Call> {
    vec![call(&["-D", from, "-j", chain]), call(&["-F", chain]), call(&["-X", chain])]
}
