//! Who cannot be on a link, by the addresses alone, and who has to be there.
//!
//! In direct routing a packet for the VIP reaches a server by its Ethernet address, so a server in
//! another subnet gets none, unless two subnets share one link.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::check::config::CheckConfig;
use crate::check::outcome::{Health, State};

/// Those servers, each a host and an address, that lie outside of an interface's subnet. Of another
/// family nothing is said.
pub fn outside(subnet: IpNet, servers: &[(String, IpAddr)]) -> Vec<&(String, IpAddr)> {
    let same_family = |address: IpAddr| address.is_ipv4() == subnet.addr().is_ipv4();
    let lies_outside =
        |(_, address): &&(String, IpAddr)| same_family(*address) && !subnet.contains(address);
    servers.iter().filter(lies_outside).collect()
}

/// The addresses that answer checks, to the last one: who is not on the link all the same is
/// somewhere else. Through the VIP, where that is so, nobody answers.
pub fn answering(health: &BTreeMap<Arc<CheckConfig>, Health>) -> BTreeSet<IpAddr> {
    let well = health.iter().filter(|(_, health)| {
        // One that was not answered the last time may be dead.
        health.state == State::Up && health.failing.is_none()
    });
    let by_ip = well.filter(|(check, _)| check.probe.is_answered_by_ip());
    by_ip.map(|(check, _)| check.target.address).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::time::Duration;

    use super::*;
    use crate::check::config::{Probe, Target, ThroughVip, Timing, Way};
    use crate::check::outcome::Advice;
    use crate::clock::Moment;

    #[test]
    fn servers_of_another_subnet_lie_outside() {
        let server = |host: &str, address: &str| (host.to_owned(), address.parse().expect("one"));
        let servers = [
            server("w1", "10.77.0.11"),
            server("w2", "10.77.1.12"),
            server("w3", "2001:db8:1::13"),
            server("w4", "10.77.0.255"),
        ];
        let subnet = |text: &str| text.parse::<IpNet>().expect("a subnet");
        assert_eq!(outside(subnet("10.77.0.1/24"), &servers), [&servers[1]]);
        assert_eq!(outside(subnet("10.77.0.1/16"), &servers), Vec::<&(String, IpAddr)>::new());
        assert_eq!(outside(subnet("2001:db8::1/64"), &servers), [&servers[2]]);
        assert_eq!(outside(subnet("10.77.0.11/32"), &servers), [&servers[1], &servers[3]]);
    }

    #[test]
    fn a_server_answers_by_its_own_address_also_where_it_does_not_through_the_vip() {
        let second = Duration::from_secs(1);
        let (rise, fall) = (NonZeroU8::MIN, NonZeroU8::MIN);
        let timing = Timing { every: second, timeout: second, fast: second, rise, fall };
        let vip: IpAddr = [10, 77, 0, 100].into();
        let through = ThroughVip { vip, interface: "eth0".into(), way: Way::Direct };
        let known = |last: u8, probe: Probe, state: State| {
            let target = Target { address: [10, 77, 0, last].into(), port: 80 };
            let check = Arc::new(CheckConfig { target, probe: probe.into(), timing });
            (check, Health { state, since: Moment::ZERO, advice: Advice::default(), failing: None })
        };
        let health = BTreeMap::from([
            known(11, Probe::Connect(None), State::Up),
            known(11, Probe::ThroughVip(through.clone()), State::Down),
            known(12, Probe::Connect(None), State::Down),
            known(13, Probe::ThroughVip(through), State::Up),
        ]);
        assert_eq!(answering(&health), BTreeSet::from([IpAddr::from([10, 77, 0, 11])]));
    }
}
