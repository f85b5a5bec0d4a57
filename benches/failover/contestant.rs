//! The two that are compared, each told the same: who its peer is, its priority, the interval, and
//! which VIPs.

use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::keepalived::{self, Keepalived};
use super::segment::{Net, PREFIX};

/// The directors' key, in a directory that goes with the namespaces.
const KEY: &str = "/run/bench.key";
const CONVERGE: &str = env!("CARGO_BIN_EXE_converge");

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contestant {
    /// This program.
    Converge,
    /// keepalived as the distribution has it.
    Keepalived,
}

/// What both directors are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Between advertisements.
    pub(crate) interval: Duration,
    /// Virtual routers, with one VIP each.
    pub(crate) instances: u8,
}

/// Which of the two directors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Director {
    /// Priority 150.
    First,
    /// Priority 100.
    Second,
}

impl Director {
    /// Its own address.
    pub(crate) fn address(self) -> Ipv4Addr {
        match self {
            Director::First => Ipv4Addr::new(198, 18, 0, 1),
            Director::Second => Ipv4Addr::new(198, 18, 0, 2),
        }
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Director::First => "first",
            Director::Second => "second",
        }
    }

    /// Its peer.
    pub(crate) fn other(self) -> Self {
        match self {
            Director::First => Director::Second,
            Director::Second => Director::First,
        }
    }

    /// Who is preferred.
    pub(crate) fn priority(self) -> u8 {
        match self {
            Director::First => 150,
            Director::Second => 100,
        }
    }
}

/// The VIP of a router, by its number.
pub(crate) fn vip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 1, number)
}

impl Contestant {
    /// The name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contestant::Converge => "converge",
            Contestant::Keepalived => "keepalived",
        }
    }

    /// Why it cannot be measured, if so.
    pub(crate) fn is_missing(self) -> Option<&'static str> {
        match self {
            Contestant::Keepalived => keepalived::is_missing(),
            Contestant::Converge => {
                let help = Command::new(CONVERGE).arg("--help").output();
                let help = help.map(|output| output.stdout).unwrap_or_default();
                let watches = String::from_utf8_lossy(&help).contains("--watch");
                (!watches).then_some("this build has no --watch yet")
            }
        }
    }

    /// Starts it on its host.
    pub(crate) fn start(self, net: &Net, at: Director, told: Settings) -> io::Result<Running> {
        match self {
            Contestant::Keepalived => Ok(Running::Keepalived(Keepalived::start(net, at, told)?)),
            Contestant::Converge => Ok(Running::Converge(Converge::start(net, at, told)?)),
        }
    }
}

/// A program that runs; it is killed when this goes.
pub(crate) enum Running {
    Converge(Converge),
    Keepalived(Keepalived),
}

impl Running {
    /// The process that is told to stop.
    pub(crate) fn pid(&self) -> Pid {
        match self {
            Running::Converge(converge) => Pid::from_raw(converge.child.id().cast_signed()),
            Running::Keepalived(keepalived) => keepalived.pid(),
        }
    }

    /// What it has logged, for when it does not what it should.
    pub(crate) fn log(&self) -> String {
        match self {
            Running::Converge(converge) => {
                fs::read_to_string(converge.place.join("log")).unwrap_or_default()
            }
            Running::Keepalived(keepalived) => keepalived.log(),
        }
    }
}

/// Sends a signal to a process that may have ended.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    let sent = kill(pid, signal);
    assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{signal} to {pid}: {sent:?}");
}

/// Sends a signal to everything that runs on a host.
pub(crate) fn signal_all(net: &Net, which: Signal) {
    net.processes().into_iter().for_each(|pid| signal(Pid::from_raw(pid), which));
}

/// This program, staying resident.
pub(crate) struct Converge {
    child: Child,
    place: PathBuf,
}

impl Converge {
    /// Each director has a `/run` and a `/var/lib` of its own, as on a machine of its own.
    fn start(net: &Net, at: Director, told: Settings) -> io::Result<Self> {
        let place = Path::new("/run").join(format!("bench-{}", at.name()));
        fs::create_dir_all(place.join("roles"))?;
        fs::write(place.join("roles/director.toml"), role(told))?;
        fs::write(place.join("cluster.toml"), cluster(told))?;
        let mut key = fs::OpenOptions::new();
        key.write(true).create(true).truncate(true).mode(0o600);
        key.open(KEY)?.write_all("0123456789abcdef".repeat(4).as_bytes())?;
        let log = fs::File::create(place.join("log"))?;
        let own = "for own in /run/converge /var/lib/converge; do mkdir -p $own && \
                   mount -t tmpfs own $own || exit; done; cd \"$1\" && \
                   exec \"$2\" --watch --cluster cluster.toml --host \"$3\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", own, "sh"]).arg(&place).args([CONVERGE, at.name()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: net.spawn(&mut command)?, place })
    }
}

impl Drop for Converge {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("our own child");
        fs::remove_dir_all(&self.place).expect("our own directory");
    }
}

fn role(told: Settings) -> String {
    format!(
        "version = 1\n\n[vars]\npriority = 100\n\n\
         [[vrrp]]\nfor-each = \"vip\"\nname = \"{{{{each.name}}}}\"\n\
         vrid = \"{{{{minus 255 each.index}}}}\"\npriority = \"{{{{vars.priority}}}}\"\n\
         interval = \"{}ms\"\n\n\
         [[hold]]\nfor-each = \"vip\"\naddress = \"{{{{each.cidr}}}}\"\n\
         interface = \"{{{{each.interface}}}}\"\nrouter = \"{{{{each.name}}}}\"\n",
        told.interval.as_millis()
    )
}

fn cluster(told: Settings) -> String {
    let mut text = format!("version = 1\nname = \"bench\"\nkey-file = \"{KEY}\"\n\n[vip]\n");
    for number in 1..=told.instances {
        text += &format!("v{number} = \"{}\"\n", vip(number));
    }
    for at in [Director::First, Director::Second] {
        text += &format!(
            "\n[host.{}]\nrole = \"director\"\naddress = \"{}/{PREFIX}\"\ninterface = \"eth0\"\n\
             vars = {{ priority = {} }}\n",
            at.name(),
            at.address(),
            at.priority(),
        );
    }
    text
}
