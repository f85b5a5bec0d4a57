//! A routing policy rule.
//!
//! Ours carry [`MARK`] as `FRA_PROTOCOL` (`ip rule show proto 118`). Every field is part of the
//! name, so a rule is never changed: the old one goes and the new one comes. Somebody else's equal
//! rule serves.

use ipnet::IpNet;
use nix::errno::Errno;
use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::netlink::{FoundRule, MARK};
use crate::host::{Host, HostError};

/// A routing policy rule (ip-rule(8)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Lower is asked first; 1..=32765.
    pub priority: u32,
    /// Only packets from here.
    pub from: Option<IpNet>,
    /// Only packets to here.
    pub to: Option<IpNet>,
    /// Only packets with this mark.
    pub fwmark: Option<u32>,
    /// Only packets that came in here.
    pub incoming: Option<String>,
    /// The table to look into.
    pub table: u32,
    /// Whether the rule is for IPv6; of use where no prefix tells.
    pub ipv6: bool,
}

impl Rule {
    fn to_kernel(&self) -> FoundRule {
        let prefix = self.from.or(self.to);
        FoundRule {
            priority: self.priority,
            from: self.from.map(|p| p.trunc()).filter(|p| p.prefix_len() > 0),
            to: self.to.map(|p| p.trunc()).filter(|p| p.prefix_len() > 0),
            fwmark: self.fwmark.filter(|m| *m != 0),
            incoming: self.incoming.clone(),
            table: self.table,
            ipv6: prefix.map_or(self.ipv6, |p| matches!(p, IpNet::V6(_))),
            protocol: MARK,
            elaborate: false,
        }
    }
}

fn from_kernel(found: &FoundRule) -> Rule {
    Rule {
        priority: found.priority,
        from: found.from,
        to: found.to,
        fwmark: found.fwmark,
        incoming: found.incoming.clone(),
        table: found.table,
        ipv6: found.ipv6,
    }
}

/// What of the kernel's rules concerns us.
fn concerning(found: &[FoundRule], scope: &Scope<'_, Rule>) -> Vec<Rule> {
    let same = |w: &Rule, f: &FoundRule| w.to_kernel() == FoundRule { protocol: MARK, ..f.clone() };
    let stands = |w: &&&Rule| found.iter().any(|f| same(w, f));
    let mut seen: Vec<Rule> = scope.wanted.iter().filter(stands).map(|w| (*w).clone()).collect();
    let unwanted = |f: &&FoundRule| !scope.wanted.iter().any(|w| same(w, f));
    let ours = found.iter().filter(|f| f.protocol == MARK);
    seen.extend(ours.filter(unwanted).map(from_kernel));
    seen
}

impl ResourceKind for Rule {
    const KIND: Kind = Kind::Rule;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        let kernel = self.to_kernel();
        let family = if kernel.ipv6 { "ipv6 " } else { "" };
        let prefix =
            |word: &str, p: Option<IpNet>| p.map(|p| format!(" {word} {p}")).unwrap_or_default();
        let mark = kernel.fwmark.map(|m| format!(" fwmark {m:#x}")).unwrap_or_default();
        let incoming = self.incoming.as_ref().map(|i| format!(" iif {i}")).unwrap_or_default();
        format!(
            "{family}{}{}{}{mark}{incoming} lookup {}",
            self.priority,
            prefix("from", kernel.from),
            prefix("to", kernel.to),
            self.table
        )
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let found = host.netlink().await?.rules().await?;
        Ok(concerning(&found, scope))
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(add(host, change.after).await);
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for rule in gone {
            results.push(delete(host, rule).await);
        }
        results
    }
}

async fn add(host: &Host, rule: &Rule) -> Result<(), HostError> {
    match host.netlink().await?.add_rule(&rule.to_kernel()).await {
        // Somebody was quicker; an equal rule serves.
        Err(e) if e.errno() == Some(Errno::EEXIST) => Ok(()),
        other => Ok(other?),
    }
}

async fn delete(host: &Host, rule: &Rule) -> Result<(), HostError> {
    Ok(host.netlink().await?.delete_rule(&rule.to_kernel()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            priority: 100,
            from: Some("192.0.2.5/24".parse().expect("a prefix")),
            to: None,
            fwmark: Some(1),
            incoming: Some("eth0".into()),
            table: 1000,
            ipv6: false,
        }
    }

    #[test]
    fn the_name_says_everything_the_rule_does() {
        assert_eq!(rule().name(), "100 from 192.0.2.0/24 fwmark 0x1 iif eth0 lookup 1000");
        let plain = Rule { from: None, fwmark: None, incoming: None, ipv6: true, ..rule() };
        assert_eq!(plain.name(), "ipv6 100 lookup 1000");
    }

    #[test]
    fn a_rule_with_more_to_it_than_we_know_is_not_the_wanted_one() {
        let wanted = rule();
        let scope = Scope { wanted: &[&wanted], ours: [].into() };
        let theirs = FoundRule { protocol: 4, ..wanted.to_kernel() };
        assert_eq!(
            concerning(std::slice::from_ref(&theirs), &scope),
            std::slice::from_ref(&wanted)
        );
        let elaborate = FoundRule { elaborate: true, ..theirs };
        assert!(concerning(&[elaborate], &scope).is_empty());
    }
}
