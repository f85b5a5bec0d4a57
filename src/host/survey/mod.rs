//! What this host looks like, found by looking.
//!
//! Distributions name the same things differently: units, drop-in directories, users. Nobody is
//! asked which distribution this is, and no version is compared; what counts is which files are
//! there. A host that is rooted in a directory is surveyed there, except for its addresses, which
//! the kernel knows.

mod nginx;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use serde::Serialize;

use super::files::{FileError, Files};
use super::{Host, HostError};

/// The name of our own drop-in, which says nothing about what others have configured.
const OURS: &str = "converge.conf";

/// Where programs may lie, as [`command::find`](super::command::find) has it.
const PROGRAMS: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// A web server that is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebServer {
    /// Its systemd unit.
    pub unit: String,
    /// Where a file of ours is read by it.
    pub drop_in_directory: PathBuf,
    /// The command that tests its configuration.
    pub test: Vec<String>,
    /// Whether a file that is not ours declares itself the default server of port 80. A second one
    /// would keep nginx from starting; Apache knows no such word.
    pub default_server_taken: bool,
    /// The user that its workers run as.
    pub user: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Host name.
    pub hostname: String,
    /// Addresses of all interfaces, without loopback and link-local ones; sorted.
    pub addresses: Vec<IpAddr>,
    /// nginx, if it is installed.
    pub nginx: Option<WebServer>,
    /// Apache, if it is installed, under whichever name.
    pub httpd: Option<WebServer>,
}

impl Survey {
    /// A Debian with nginx and Apache as their packages leave them.
    pub fn typical() -> Self {
        let test = |words: &str| words.split(' ').map(str::to_owned).collect();
        let server = |unit: &str, directory: &str, words: &str, taken: bool| WebServer {
            unit: unit.into(),
            drop_in_directory: directory.into(),
            test: test(words),
            default_server_taken: taken,
            user: "www-data".into(),
        };
        let apache = "/etc/apache2/conf-enabled";
        Survey {
            hostname: String::new(),
            addresses: Vec::new(),
            nginx: Some(server("nginx.service", "/etc/nginx/conf.d", "nginx -t", true)),
            httpd: Some(server("apache2.service", apache, "apachectl configtest", false)),
        }
    }
}

/// Looks at the host.
pub fn survey(host: &Host) -> Result<Survey, HostError> {
    let files = host.files();
    Ok(Survey {
        hostname: name(files)?,
        addresses: addresses(),
        nginx: find_nginx(files)?,
        httpd: find_httpd(files)?,
    })
}

/// The name of the machine we run on.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn name(files: &Files) -> Result<String, FileError> {
    for path in ["/proc/sys/kernel/hostname", "/etc/hostname"] {
        if let Some(text) = files.read_text(path)? {
            return Ok(text.trim().to_owned());
        }
    }
    Ok(String::new())
}

/// Without the kernel's answer there are none: then the host is known by its name or not at all.
fn addresses() -> Vec<IpAddr> {
    let Ok(found) = getifaddrs() else {
        return Vec::new();
    };
    let address = |entry: nix::ifaddrs::InterfaceAddress| {
        let address = entry.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    let ordinary = |address: &IpAddr| match address {
        IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local(),
        IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local(),
    };
    let mut all: Vec<IpAddr> = found.filter_map(address).filter(ordinary).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn installed(files: &Files, program: &str) -> bool {
    PROGRAMS.iter().any(|d| there(files, Path::new(d).join(program)))
}

fn there(files: &Files, path: impl AsRef<Path>) -> bool {
    files.real(path).exists()
}

fn find_nginx(files: &Files) -> Result<Option<WebServer>, FileError> {
    if !installed(files, "nginx") {
        return Ok(None);
    }
    let mut directives = Vec::new();
    let main = Path::new("/etc/nginx/nginx.conf");
    read_nginx(files, main, &mut BTreeSet::new(), &mut directives)?;
    let word = |name: &str| {
        let found = directives.iter().find(|d| d.name() == name);
        found.and_then(|d| d.word(1)).map(str::to_owned)
    };
    let user = match word("user") {
        Some(user) => user,
        None => first_user(files, &["nginx", "www-data"])?,
    };
    Ok(Some(WebServer {
        unit: "nginx.service".into(),
        drop_in_directory: "/etc/nginx/conf.d".into(),
        test: vec!["nginx".into(), "-t".into()],
        default_server_taken: directives.iter().any(nginx::Directive::is_default_server),
        user,
    }))
}

/// Reads one file and, where it stands, everything that it includes; our own drop-in is left out.
fn read_nginx(
    files: &Files,
    path: &Path,
    seen: &mut BTreeSet<PathBuf>,
    into: &mut Vec<nginx::Directive>,
) -> Result<(), FileError> {
    // Each file once, so that files which include each other come to an end.
    if !seen.insert(path.to_owned()) {
        return Ok(());
    }
    let Some(found) = files.read(path)? else {
        return Ok(());
    };
    for directive in nginx::directives(&String::from_utf8_lossy(&found.bytes)) {
        if directive.name() == "include" {
            // nginx takes a relative path from the directory of its main file.
            let pattern = Path::new("/etc/nginx").join(directive.word(1).unwrap_or_default());
            for included in matching(files, &pattern)? {
                read_nginx(files, &included, seen, into)?;
            }
        } else {
            into.push(directive);
        }
    }
    Ok(())
}

/// The files that a pattern names; a star may stand in the last part of the path.
fn matching(files: &Files, pattern: &Path) -> Result<Vec<PathBuf>, FileError> {
    let (Some(directory), Some(last)) = (pattern.parent(), pattern.file_name()) else {
        return Ok(Vec::new());
    };
    let last = last.to_string_lossy();
    if !last.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let names = files.list(directory)?.into_iter();
    let fitting = names.filter(|name| name != OURS && nginx::fits(name, &last));
    Ok(fitting.map(|name| directory.join(name)).filter(|p| files.real(p).is_file()).collect())
}

/// Apache under Debian's, SUSE's and the RHEL family's names.
fn find_httpd(files: &Files) -> Result<Option<WebServer>, FileError> {
    if !installed(files, "apache2") && !installed(files, "httpd") {
        return Ok(None);
    }
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let controls = ["apachectl", "apache2ctl"];
    let test = match controls.iter().find(|c| installed(files, c)) {
        Some(control) => words(&[control, "configtest"]),
        None => words(&["httpd", "-t"]),
    };
    let debian = there(files, "/etc/apache2");
    let places = ["/etc/apache2/conf-enabled", "/etc/apache2/conf.d", "/etc/httpd/conf.d"];
    Ok(Some(WebServer {
        unit: if debian { "apache2.service" } else { "httpd.service" }.into(),
        drop_in_directory: first(files, &places),
        test,
        default_server_taken: false,
        user: first_user(files, &["www-data", "apache", "wwwrun"])?,
    }))
}

/// The first of these that is there; without any, the first.
fn first(files: &Files, paths: &[&str]) -> PathBuf {
    let found = paths.iter().find(|p| there(files, p)).or(paths.first());
    found.map(PathBuf::from).unwrap_or_default()
}

/// The first of these users that the host has; without any, the first.
fn first_user(files: &Files, users: &[&str]) -> Result<String, FileError> {
    let passwd = files.read_text("/etc/passwd")?.unwrap_or_default();
    let has = |user: &&&str| passwd.lines().any(|l| l.split(':').next() == Some(**user));
    let found = users.iter().find(has).or(users.first());
    Ok(found.map(|u| (*u).to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
