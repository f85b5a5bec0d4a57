//! Which other host is Active, so that a Backup's log says it too.
//!
//! It is looked at now and then, and told when it is another one than before. What this host itself
//! becomes is an event and told as such.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::vrrp::config::Peer;
use crate::vrrp::driver::RouterStatus;
use crate::vrrp::router::State;

/// Who was Active at the last look, by router.
#[derive(Debug, Default)]
pub struct Holders(BTreeMap<String, IpAddr>);

impl Holders {
    /// The other host that is Active now, by the name that it has among the peers, if it is not the
    /// one of the last look.
    pub fn news<'p>(
        &mut self,
        router: &str,
        peers: &'p [Peer],
        status: &RouterStatus,
    ) -> Option<(&'p str, IpAddr)> {
        let active = status.active?;
        let is_new = self.0.insert(router.to_owned(), active) != Some(active);
        let peer = peers.iter().find(|peer| peer.address == active);
        let host = peer.map_or("another host", |peer| peer.name.as_str());
        (is_new && status.state != State::Active).then_some((host, active))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_active_host_is_told_once_and_by_name() {
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        let status = |state, active: Option<&str>| RouterStatus {
            state,
            priority: 100,
            holds: state == State::Active,
            active: active.map(at),
        };
        let address = at("192.0.2.2");
        let priority = std::num::NonZeroU8::MIN;
        let peers = [Peer { name: "b".into(), address, priority }];
        let mut holders = Holders::default();
        let mut news = |status| holders.news("main", &peers, &status);
        assert_eq!(news(status(State::Backup, None)), None);
        let by_b = || status(State::Backup, Some("192.0.2.2"));
        assert_eq!(news(by_b()), Some(("b", address)));
        assert_eq!(news(by_b()), None);
        assert_eq!(news(status(State::Active, Some("192.0.2.1"))), None, "this host");
        assert_eq!(news(status(State::Fault, Some("192.0.2.2"))), Some(("b", address)));
        let stranger = news(status(State::Backup, Some("192.0.2.9")));
        assert_eq!(stranger, Some(("another host", at("192.0.2.9"))));
    }
}
