//! A watch over a link, by one of its hosts, and what it finds.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use converge::check::wire::config::WireConfig;
use converge::check::wire::flow::FlowConfig;
use converge::check::wire::{Findings, Up, Wire};
use converge::ipvs::VirtualServerId;
use tokio::time::timeout;

use super::host::{Host, VIP, VIP6};

/// Rounds and rests, and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three rounds and their rests, while something is suspected.
const QUIET: Duration = Duration::from_secs(6);

/// By one director.
pub(crate) struct Watch {
    wire: Wire,
    findings: Findings,
}

impl Watch {
    /// By that director, over these servers and these other directors.
    pub(crate) fn start(director: &Host, servers: &[&Host], others: &[&Host]) -> Watch {
        Watch::over(VIP, director, servers, others)
    }

    /// The same over another VIP, of the family of the hosts' addresses.
    pub(crate) fn over(vip: &str, director: &Host, servers: &[&Host], others: &[&Host]) -> Watch {
        let named = |host: &&Host| {
            let address = if vip.contains(':') { host.address6() } else { host.address() };
            (host.name(), address)
        };
        let directors = [director].iter().chain(others).map(named).collect();
        Watch::with(vip, director, servers.iter().map(named).collect(), directors)
    }

    /// The same over IPv6.
    pub(crate) fn start_v6(director: &Host, servers: &[&Host], others: &[&Host]) -> Watch {
        Watch::over(VIP6, director, servers, others)
    }

    /// By that director, of these names and addresses.
    pub(crate) fn with(
        vip: &str,
        director: &Host,
        servers: Vec<(String, IpAddr)>,
        directors: Vec<(String, IpAddr)>,
    ) -> Watch {
        let vip = vip.parse().expect("an address");
        let interface = director.interface.to_owned();
        let servers = servers.into();
        let config = WireConfig { vip, interface, servers, directors, direct: true };
        let start = || Wire::start(vec![config], Vec::new()).expect("a link can be watched");
        let (wire, findings) = director.neighbour.within(start);
        Watch { wire, findings }
    }

    /// By that director, over what masqueraded servers reply.
    pub(crate) fn over_flows(director: &Host, flows: Vec<FlowConfig>) -> Watch {
        let start = || Wire::start(Vec::new(), flows).expect("a table can be watched");
        let (wire, findings) = director.neighbour.within(start);
        Watch { wire, findings }
    }

    /// Tells it which addresses answer checks.
    pub(crate) fn reachable(&self, servers: &[IpAddr]) {
        let addresses = servers.iter().copied().collect();
        self.wire.reachable(Up { addresses, ..Up::default() });
    }

    /// Tells it that this masqueraded server answers its checks.
    pub(crate) fn answering(&self, id: VirtualServerId, server: SocketAddr) {
        let flows = BTreeSet::from([(id, server)]);
        self.wire.reachable(Up { flows, ..Up::default() });
    }

    /// Waits until it finds something.
    pub(crate) async fn finds(&mut self) -> String {
        let found = timeout(PATIENCE, self.findings.next()).await;
        found.expect("it finds something").expect("it lives").to_string()
    }

    /// Waits until it finds something, doing this now and then.
    pub(crate) async fn finds_while(&mut self, does: impl Fn()) -> String {
        let found = async {
            loop {
                does();
                let soon = timeout(Duration::from_millis(500), self.findings.next()).await;
                if let Ok(found) = soon {
                    return found.expect("it lives").to_string();
                }
            }
        };
        timeout(PATIENCE, found).await.expect("it finds something")
    }

    /// Waits for as long as it would take to find something.
    pub(crate) async fn finds_nothing(&mut self) {
        let found = timeout(QUIET, self.findings.next()).await;
        assert!(found.is_err(), "{}", found.map_or_else(|e| e.to_string(), |f| format!("{f:?}")));
    }
}
