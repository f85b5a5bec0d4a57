//! What this host looks like (stand-in).

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::{Host, HostError};

/// A web server.
#[derive(Clone, Debug, Serialize)]
pub struct WebServer {
    /// Unit.
    pub unit: String,
    /// Drop-ins.
    pub drop_in_directory: PathBuf,
    /// Test.
    pub test: Vec<String>,
    /// Whether another file has the default server.
    pub default_server_taken: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Survey {
    /// Host name.
    pub hostname: String,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// nginx.
    pub nginx: Option<WebServer>,
    /// Apache.
    pub httpd: Option<WebServer>,
}

impl Survey {
    /// A Debian.
    pub fn typical() -> Self {
        let server = |unit: &str, dir: &str, test: &str| WebServer {
            unit: unit.into(),
            drop_in_directory: dir.into(),
            test: test.split(' ').map(str::to_owned).collect(),
            default_server_taken: true,
        };
        Survey {
            nginx: Some(server("nginx.service", "/etc/nginx/conf.d", "nginx -t")),
            httpd: Some(server("apache2.service", "/etc/apache2/conf-enabled", "apachectl configtest")),
            ..Survey::default()
        }
    }
}

/// Looks.
pub fn survey(_host: &Host) -> Result<Survey, HostError> {
    Ok(Survey::default())
}

/// The host name.
pub fn hostname() -> String {
    String::new()
}
