//! An arptables rule pair that hides a VIP: the alternative to the ARP sysctls.
//!
//! The rules stand in chains of our own, `converge-in` and `converge-out`, to which the first rules
//! of INPUT and OUTPUT jump. Whatever is in these chains is ours; what stands beside them is not.
//! The ledger says when to look, so that a host without such filters starts no program and loads no
//! module for them.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::xtables::calls::{Call, call, deletions, dismantle, undo};
use crate::host::xtables::listing::{Listing, Options};
use crate::host::xtables::{self, Program};
use crate::host::{CommandError, Host, HostError};

/// Our chain for what comes in, and the chain that jumps to it.
const INCOMING: (&str, &str) = ("converge-in", "INPUT");
/// Our chain for what goes out, and the chain that jumps to it.
const OUTGOING: (&str, &str) = ("converge-out", "OUTPUT");

/// Nobody may learn from this host that it has the VIP: ARP requests for it are dropped on the way
/// in, and our own requests carry the host's address instead on the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArpFilter {
    /// The address to hide.
    pub vip: Ipv4Addr,
    /// The address that our own ARP requests carry instead.
    pub source: Ipv4Addr,
}

impl ArpFilter {
    fn drops(&self) -> Call {
        call(&["-A", INCOMING.0, "-d", &self.vip.to_string(), "-j", "DROP"])
    }

    fn mangles(&self) -> Call {
        let (vip, source) = (self.vip.to_string(), self.source.to_string());
        call(&["-A", OUTGOING.0, "-s", &vip, "-j", "mangle", "--mangle-ip-s", &source])
    }
}

/// A rule of `converge-in` as we write it: the VIP whose requests it drops.
fn dropped(rule: &Options) -> Option<Ipv4Addr> {
    let plain = rule.names() == ["-d", "-j"] && rule.get("-j") == Some("DROP");
    rule.get("-d").filter(|_| plain)?.parse().ok()
}

/// A rule of `converge-out` as we write it: the VIP and what takes its place.
fn mangled(rule: &Options) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let plain = rule.names() == ["--mangle-ip-s", "-j", "-s"] && rule.get("-j") == Some("mangle");
    let vip = rule.get("-s").filter(|_| plain)?.parse().ok()?;
    Some((vip, rule.get("--mangle-ip-s")?.parse().ok()?))
}

/// The rules of one of our chains, each read by `read`; `None` is one that we did not write.
fn read<T>(listing: &Listing, chain: &str, read: impl Fn(&Options) -> Option<T>) -> Vec<Option<T>> {
    listing.rules(chain).unwrap_or_default().iter().map(read).collect()
}

/// What our chains hide. Where a part is missing, or a rule that is not of our making stands in our
/// chains, the source is 0.0.0.0: no wanted filter equals that.
fn hidden(listing: &Listing) -> Vec<ArpFilter> {
    let drops = read(listing, INCOMING.0, dropped);
    let mangles = read(listing, OUTGOING.0, mangled);
    let sound = [INCOMING, OUTGOING].iter().all(|(ours, from)| listing.jumps(from, ours))
        && drops.iter().all(Option::is_some)
        && mangles.iter().all(Option::is_some);
    let mut vips: Vec<Ipv4Addr> = drops.iter().flatten().copied().collect();
    vips.extend(mangles.iter().flatten().map(|(vip, _)| *vip));
    vips.sort_unstable();
    vips.dedup();
    let source = |vip: Ipv4Addr| {
        let (_, source) = mangles.iter().flatten().find(|(v, _)| *v == vip)?;
        let whole = sound && drops.contains(&Some(vip));
        Some(*source).filter(|_| whole)
    };
    let filter = |vip| ArpFilter { vip, source: source(vip).unwrap_or(Ipv4Addr::UNSPECIFIED) };
    vips.into_iter().map(filter).collect()
}

/// The calls that lead from `listing` to `wanted` being hidden.
fn hide(listing: &Listing, wanted: &ArpFilter) -> Vec<Call> {
    let mut calls = Vec::new();
    for (chain, _) in [INCOMING, OUTGOING] {
        if listing.rules(chain).is_none() {
            calls.push(call(&["-N", chain]));
        }
    }
    let drops = read(listing, INCOMING.0, dropped);
    let mangles = read(listing, OUTGOING.0, mangled);
    calls.extend(deletions(INCOMING.0, &drops, |d| d.is_none()));
    let other = |m: &Option<(Ipv4Addr, Ipv4Addr)>| {
        m.is_none_or(|(vip, source)| vip == wanted.vip && source != wanted.source)
    };
    calls.extend(deletions(OUTGOING.0, &mangles, other));
    if !drops.contains(&Some(wanted.vip)) {
        calls.push(wanted.drops());
    }
    if !mangles.contains(&Some((wanted.vip, wanted.source))) {
        calls.push(wanted.mangles());
    }
    for (chain, from) in [INCOMING, OUTGOING] {
        if !listing.jumps(from, chain) {
            calls.push(call(&["-I", from, "-j", chain]));
        }
    }
    calls
}

/// The calls that take `vip` out of our chains, and the chains away when nothing is left in them.
fn unhide(listing: &Listing, vip: Ipv4Addr) -> Vec<Call> {
    let drops = read(listing, INCOMING.0, dropped);
    let mangles = read(listing, OUTGOING.0, mangled);
    let mut calls = deletions(INCOMING.0, &drops, |d| *d == Some(vip));
    calls.extend(deletions(OUTGOING.0, &mangles, |m| m.is_some_and(|(v, _)| v == vip)));
    if drops.iter().flatten().all(|d| *d == vip) && mangles.iter().flatten().all(|m| m.0 == vip) {
        for (chain, from) in [INCOMING, OUTGOING] {
            calls.extend(dismantle(listing, chain, from));
        }
    }
    calls
}

async fn standing() -> Result<Option<(xtables::Flavour, Listing)>, CommandError> {
    xtables::holding(Program::Arptables, &[INCOMING.0, OUTGOING.0]).await
}

impl ResourceKind for ArpFilter {
    const KIND: Kind = Kind::ArpFilter;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        self.vip.to_string()
    }

    /// Nobody else has anything in our chains, so a name too many does no harm. What a killed run
    /// had started may make a rule yet.
    fn is_gone(_host: &Host, _name: &str) -> bool {
        false
    }

    async fn observe(_host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        if scope.wanted.is_empty() && scope.ours.is_empty() {
            return Ok(Vec::new());
        }
        let listing = match standing().await {
            Ok(Some((_, listing))) => listing,
            Ok(None) => return Ok(Vec::new()),
            // Nothing of ours can be there, and whoever makes the first one hears why.
            Err(_) if scope.ours.is_empty() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = hidden(&listing);
        // Removed rule by rule: what a crash left of the chains goes with the last name.
        for vip in scope.ours.iter().filter_map(|name| name.parse().ok()) {
            if !found.iter().any(|f| f.vip == vip) {
                found.push(ArpFilter { vip, source: Ipv4Addr::UNSPECIFIED });
            }
        }
        Ok(found)
    }

    async fn ensure(_host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(bring_about(change.after).await);
        }
        results
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for filter in gone {
            results.push(take_away(filter).await);
        }
        results
    }
}

async fn take_away(gone: &ArpFilter) -> Result<(), HostError> {
    if let Some((flavour, listing)) = standing().await? {
        flavour.run_all(&unhide(&listing, gone.vip)).await?;
    }
    Ok(())
}

async fn bring_about(wanted: &ArpFilter) -> Result<(), HostError> {
    if let Some((flavour, listing)) = standing().await? {
        return Ok(flavour.run_all(&hide(&listing, wanted)).await?);
    }
    let undo: Vec<Call> =
        [INCOMING, OUTGOING].iter().flat_map(|(ours, from)| undo(ours, from)).collect();
    let calls = hide(&Listing::default(), wanted);
    Ok(xtables::establish(Program::Arptables, &calls, &undo).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> ArpFilter {
        ArpFilter { vip: Ipv4Addr::new(192, 0, 2, 1), source: Ipv4Addr::new(192, 0, 2, 7) }
    }

    const WHOLE: &str = "Chain INPUT (policy ACCEPT)\n-j converge-in\n\n\
        Chain OUTPUT (policy ACCEPT)\n-j converge-out\n\n\
        Chain converge-in (1 references)\n-j DROP -d 192.0.2.1\n\n\
        Chain converge-out (1 references)\n-j mangle -s 192.0.2.1 --mangle-ip-s 192.0.2.7\n";

    fn shown(calls: &[Call]) -> Call {
        calls.iter().map(|c| c.join(" ")).collect()
    }

    #[test]
    fn a_whole_filter_is_seen_and_needs_no_call() {
        let listing = Listing::of_arptables(WHOLE);
        assert_eq!(hidden(&listing), [filter()]);
        assert!(hide(&listing, &filter()).is_empty());
    }

    #[test]
    fn a_filter_that_lacks_a_part_equals_none() {
        for part in ["-j converge-out\n", "-j DROP -d 192.0.2.1\n"] {
            let listing = Listing::of_arptables(&WHOLE.replace(part, ""));
            assert_eq!(hidden(&listing)[0].source, Ipv4Addr::UNSPECIFIED);
            assert_eq!(hide(&listing, &filter()).len(), 1, "only the part is made");
        }
    }

    #[test]
    fn a_rule_in_our_chain_that_is_not_of_our_making_is_deleted() {
        let stray = WHOLE.replace("-j DROP", "-j ACCEPT -i eth0\n-j DROP");
        let listing = Listing::of_arptables(&stray);
        assert_eq!(shown(&hide(&listing, &filter())), ["-D converge-in 1"]);
    }

    #[test]
    fn another_source_takes_the_place_of_the_old_one() {
        let wanted = ArpFilter { source: Ipv4Addr::new(192, 0, 2, 9), ..filter() };
        let calls = hide(&Listing::of_arptables(WHOLE), &wanted);
        let mangle = "-A converge-out -s 192.0.2.1 -j mangle --mangle-ip-s 192.0.2.9";
        assert_eq!(shown(&calls), ["-D converge-out 1", mangle]);
    }

    #[test]
    fn the_chains_go_with_the_last_filter() {
        let calls = unhide(&Listing::of_arptables(WHOLE), filter().vip);
        assert_eq!(calls.len(), 2 + 6);
        let two = WHOLE.replace("-j DROP", "-j DROP -d 192.0.2.2\n-j DROP");
        let calls = unhide(&Listing::of_arptables(&two), filter().vip);
        assert_eq!(shown(&calls), ["-D converge-in 2", "-D converge-out 1"]);
    }
}
