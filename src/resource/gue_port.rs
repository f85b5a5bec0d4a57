//! A UDP port on which the kernel takes packets out of GUE, for a real server behind IPVS with
//! `tunnel = "gue"`.
//!
//! Opening it needs the module `fou`. What comes out goes on as if it had come by IP in IP, so a
//! tunnel device (`tunl0`) has to be up. The kernel has no field for whose a port is: the ledger
//! remembers ours.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::netlink::FouPort;
use crate::host::{Foreign, Host, HostError};

/// An open UDP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuePort {
    /// The port, 6080 by IANA's choice.
    pub port: u16,
    /// Whether it is for packets over IPv6.
    pub ipv6: bool,
    /// The protocol of bare packets, where somebody else opened the port without GUE; we never do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare: Option<u8>,
}

impl GuePort {
    /// A port for GUE.
    pub fn new(port: u16, ipv6: bool) -> Self {
        GuePort { port, ipv6, bare: None }
    }

    fn to_kernel(&self) -> FouPort {
        FouPort { port: self.port, ipv6: self.ipv6, bare: self.bare }
    }
}

impl ResourceKind for GuePort {
    const KIND: Kind = Kind::GuePort;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        let family = if self.ipv6 { " over IPv6" } else { "" };
        format!("{}{family}", self.port)
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        // Asking makes the kernel load the module, which a host without such ports is to be spared.
        if scope.wanted.is_empty() && scope.ours.is_empty() {
            return Ok(Vec::new());
        }
        let found = host.netlink().await?.fou_ports().await?;
        let port = |f: FouPort| GuePort { port: f.port, ipv6: f.ipv6, bare: f.bare };
        let ports = found.into_iter().map(port);
        Ok(ports.filter(|p| scope.covers(&p.name())).collect())
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(match change.before {
                None => open(host, change.after).await,
                Some(before) => Err(bare(before).into()),
            });
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for port in gone {
            results.push(close(host, port).await);
        }
        results
    }
}

async fn open(host: &Host, port: &GuePort) -> Result<(), HostError> {
    Ok(host.netlink().await?.add_fou_port(port.to_kernel()).await?)
}

async fn close(host: &Host, port: &GuePort) -> Result<(), HostError> {
    Ok(host.netlink().await?.delete_fou_port(port.to_kernel()).await?)
}

/// We open ports for GUE only, so one for bare packets is somebody else's.
fn bare(before: &GuePort) -> Foreign {
    let protocol = before.bare.unwrap_or_default();
    Foreign {
        wanted: format!("UDP port {} for GUE", before.name()),
        stands: format!("the same port for bare packets of protocol {protocol}"),
    }
}
