//! Source NAT for an IPVS service (FULLNAT on a mainline kernel).
//!
//! `-m ipvs` picks the packets of one virtual server, MASQUERADE gives them an address of the
//! director. It works only with `net.ipv4.vs.conntrack=1`, which is the role's to ask for. The
//! rules stand in the chain `CONVERGE` of table `nat`, to which POSTROUTING jumps; whatever is in
//! it is ours. The ledger says when to look, so that a host without them starts no program.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::xtables::calls::{Call, call, deletions, dismantle, undo};
use crate::host::xtables::listing::{Listing, Options};
use crate::host::xtables::{self, Program};
use crate::host::{CommandError, Host, HostError};

/// Our chain.
const CHAIN: &str = "CONVERGE";
/// The chain that jumps to it.
const FROM: &str = "POSTROUTING";

/// Packets that IPVS sends to a real server for this virtual server leave with an address of the
/// director, so that replies come back through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snat {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The virtual server's address.
    pub vip: IpAddr,
    /// The virtual server's port.
    pub port: u16,
}

/// Names and numbers of the protocols that IPVS balances.
const PROTOCOLS: [(&str, &str); 3] = [("tcp", "6"), ("udp", "17"), ("sctp", "132")];

impl Snat {
    fn program(&self) -> Program {
        match self.vip {
            IpAddr::V4(_) => Program::Iptables,
            IpAddr::V6(_) => Program::Ip6tables,
        }
    }

    fn rule(&self) -> Call {
        let known = PROTOCOLS.iter().find(|(name, _)| *name == self.protocol);
        // A protocol that we do not know is for the program to refuse, by its name.
        let number = known.map_or(self.protocol.as_str(), |(_, number)| number);
        let (vip, port) = (self.vip.to_string(), self.port.to_string());
        let matching = ["-m", "ipvs", "--vproto", number, "--vaddr", &vip, "--vport", &port];
        call(&[&["-A", CHAIN], &matching[..], &["-j", "MASQUERADE"]].concat())
    }
}

/// The other way round from [`Snat::name`].
fn parse(name: &str) -> Option<Snat> {
    let (protocol, address) = name.split_once(' ')?;
    let address: SocketAddr = address.parse().ok()?;
    Some(Snat { protocol: protocol.to_owned(), vip: address.ip(), port: address.port() })
}

/// A rule of our chain as we write it.
fn read(rule: &Options) -> Option<Snat> {
    let names = rule.names();
    let plain = names == ["--vaddr", "--vport", "--vproto", "-j", "-m"]
        && rule.get("-j") == Some("MASQUERADE")
        && rule.get("-m") == Some("ipvs");
    let number = rule.get("--vproto").filter(|_| plain)?;
    let (name, _) = PROTOCOLS.iter().find(|(name, n)| *n == number || *name == number)?;
    // A version may add the length of the whole address.
    let vip = rule.get("--vaddr")?.split('/').next()?.parse().ok()?;
    Some(Snat { protocol: (*name).to_owned(), vip, port: rule.get("--vport")?.parse().ok()? })
}

fn rules(listing: &Listing) -> Vec<Option<Snat>> {
    listing.rules(CHAIN).unwrap_or_default().iter().map(read).collect()
}

/// What our chain does. Where the jump to it is missing, or a rule that is not of our making stands
/// in it, what is wanted is not there: making it puts both right.
fn doing(listing: &Listing, wanted: &[&Snat]) -> Vec<Snat> {
    let rules = rules(listing);
    let sound = listing.jumps(FROM, CHAIN) && rules.iter().all(Option::is_some);
    let counts = |r: &Snat| sound || !wanted.contains(&r);
    rules.into_iter().flatten().filter(counts).collect()
}

/// The calls that lead from `listing` to `wanted` being done.
fn bring(listing: &Listing, wanted: &Snat) -> Vec<Call> {
    let mut calls = Vec::new();
    if listing.rules(CHAIN).is_none() {
        calls.push(call(&["-N", CHAIN]));
    }
    let rules = rules(listing);
    calls.extend(deletions(CHAIN, &rules, Option::is_none));
    if !rules.iter().flatten().any(|r| r == wanted) {
        calls.push(wanted.rule());
    }
    if !listing.jumps(FROM, CHAIN) {
        calls.push(call(&["-I", FROM, "-j", CHAIN]));
    }
    calls
}

/// The calls that take `gone` out of our chain, and the chain away when nothing is left in it.
fn take_away(listing: &Listing, gone: &Snat) -> Vec<Call> {
    let rules = rules(listing);
    let mut calls = deletions(CHAIN, &rules, |r| r.as_ref() == Some(gone));
    if rules.iter().flatten().all(|r| r == gone) {
        calls.extend(dismantle(listing, CHAIN, FROM));
    }
    calls
}

async fn standing(program: Program) -> Result<Option<(xtables::Flavour, Listing)>, CommandError> {
    xtables::holding(program, &[CHAIN]).await
}

impl ResourceKind for Snat {
    const KIND: Kind = Kind::Snat;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        format!("{} {}", self.protocol, SocketAddr::new(self.vip, self.port))
    }

    /// Nobody else has anything in our chains, so a name too many does no harm. What a killed run
    /// had started may make a rule yet.
    fn is_gone(_host: &Host, _name: &str) -> bool {
        false
    }

    async fn observe(_host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let mut found = Vec::new();
        for (program, ipv6) in [(Program::Iptables, false), (Program::Ip6tables, true)] {
            let wanted = scope.wanted.iter().any(|w| w.vip.is_ipv6() == ipv6);
            let ours = scope.ours.iter().any(|name| name.contains('[') == ipv6);
            if !wanted && !ours {
                continue;
            }
            let listing = match standing(program).await {
                Ok(Some((_, listing))) => listing,
                Ok(None) => continue,
                // Nothing of ours can be there, and whoever makes the first one hears why.
                Err(_) if !ours => continue,
                Err(error) => return Err(error.into()),
            };
            found.extend(doing(&listing, scope.wanted));
            // What a crash left of the chain goes with the last name.
            let ours = scope.ours.iter().filter_map(|name| parse(name));
            let unwanted = ours.filter(|s| !scope.wanted.contains(&s));
            found.extend(unwanted.filter(|s| s.program() == program));
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
        for snat in gone {
            results.push(end(snat).await);
        }
        results
    }
}

async fn end(gone: &Snat) -> Result<(), HostError> {
    if let Some((flavour, listing)) = standing(gone.program()).await? {
        flavour.run_all(&take_away(&listing, gone)).await?;
    }
    Ok(())
}

async fn bring_about(wanted: &Snat) -> Result<(), HostError> {
    if let Some((flavour, listing)) = standing(wanted.program()).await? {
        return Ok(flavour.run_all(&bring(&listing, wanted)).await?);
    }
    let calls = bring(&Listing::default(), wanted);
    Ok(xtables::establish(wanted.program(), &calls, &undo(CHAIN, FROM)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snat() -> Snat {
        Snat { protocol: "tcp".into(), vip: [192, 0, 2, 1].into(), port: 80 }
    }

    const WHOLE: &str = "-P POSTROUTING ACCEPT\n-N CONVERGE\n-A POSTROUTING -j CONVERGE\n\
        -A CONVERGE -m ipvs --vproto 6 --vaddr 192.0.2.1 --vport 80 -j MASQUERADE\n";

    fn shown(calls: &[Call]) -> Vec<String> {
        calls.iter().map(|c| c.join(" ")).collect()
    }

    #[test]
    fn what_stands_is_seen_and_needs_no_call() {
        let listing = Listing::of_iptables(WHOLE);
        assert_eq!(doing(&listing, &[]), [snat()]);
        assert!(bring(&listing, &snat()).is_empty());
    }

    #[test]
    fn without_the_jump_a_wanted_rule_does_not_count() {
        let listing = Listing::of_iptables(&WHOLE.replace("-A POSTROUTING -j CONVERGE\n", ""));
        assert!(doing(&listing, &[&snat()]).is_empty());
        assert_eq!(doing(&listing, &[]), [snat()]);
        assert_eq!(shown(&bring(&listing, &snat())), ["-I POSTROUTING -j CONVERGE"]);
    }

    #[test]
    fn a_rule_in_our_chain_that_is_not_of_our_making_is_deleted() {
        let listing = Listing::of_iptables(&format!("{WHOLE}-A CONVERGE -j ACCEPT\n"));
        assert!(doing(&listing, &[&snat()]).is_empty());
        assert_eq!(shown(&bring(&listing, &snat())), ["-D CONVERGE 2"]);
    }

    #[test]
    fn the_chain_goes_with_the_last_rule() {
        let calls = take_away(&Listing::of_iptables(WHOLE), &snat());
        let jump = "-D POSTROUTING -j CONVERGE";
        assert_eq!(shown(&calls), ["-D CONVERGE 1", jump, "-F CONVERGE", "-X CONVERGE"]);
    }

    #[test]
    fn an_ipv6_vip_has_brackets_in_its_name_only() {
        let snat = Snat { vip: "2001:db8::1".parse().expect("an address"), ..snat() };
        assert_eq!(snat.name(), "tcp [2001:db8::1]:80");
        assert_eq!(parse(&snat.name()), Some(snat.clone()));
        assert!(snat.rule().contains(&"2001:db8::1".to_owned()));
        assert_eq!(read(&Options::of(&snat.rule()[2..].join(" "))), Some(snat));
    }
}
