//! Other makers' programs that speak VRRP, each in the namespace of its host.
//!
//! They are killed, with whatever they started, when the value goes; what they write lies in a
//! directory of its own.

#![allow(dead_code, reason = "each program that has this module uses a part of it")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::segment::Net;

const KEEPALIVED: &str = "/usr/sbin/keepalived";
const FRR: &str = "/usr/lib/frr";
/// No program takes longer to be up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tells the directories apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What is missing for keepalived, in words that say what to install.
pub(crate) fn keepalived_is_missing() -> Option<&'static str> {
    (!Path::new(KEEPALIVED).exists()).then_some("install with: apt-get install keepalived")
}

/// What is missing for FRR's vrrpd.
pub(crate) fn frr_is_missing() -> Option<&'static str> {
    (!Path::new(FRR).join("vrrpd").exists()).then_some("install with: apt-get install frr")
}

/// A running peer.
pub(crate) struct Peer {
    programs: Vec<Child>,
    place: PathBuf,
}

impl Peer {
    /// Debian's keepalived, VRRP alone, with this configuration.
    pub(crate) fn keepalived(net: &Net, configuration: &str) -> io::Result<Self> {
        let place = place()?;
        let file = place.join("keepalived.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new(KEEPALIVED);
        command.args(["--dont-fork", "--vrrp", "--log-console", "--use-file"]).arg(file);
        for (option, name) in [("--pid", "pid"), ("--vrrp_pid", "vrrp"), ("--bfd_pid", "bfd")] {
            command.arg(option).arg(place.join(name));
        }
        let programs = vec![start(net, &mut command, &place.join("log"))?];
        Ok(Self { programs, place })
    }

    /// FRR's vrrpd beside the zebra that it needs, with these lines of configuration. Its virtual
    /// addresses live on macvlan devices of the virtual MAC, which have to be there before.
    pub(crate) fn frr(net: &Net, configuration: &str) -> io::Result<Self> {
        let place = place()?;
        let mut programs = Vec::new();
        for name in ["zebra", "vrrpd"] {
            let file = place.join(format!("{name}.conf"));
            let lines = if name == "vrrpd" { configuration } else { "" };
            fs::write(&file, format!("{lines}\n"))?;
            let mut command = Command::new(Path::new(FRR).join(name));
            command.arg("--config_file").arg(file);
            command.arg("--pid_file").arg(place.join(format!("{name}.pid")));
            command.arg("--socket").arg(place.join("zserv.api"));
            command.arg("--vty_socket").arg(&place).args(["--vty_port", "0"]);
            command.args(["--user", "root", "--group", "root", "--log", "stdout"]);
            command.args(["--log-level", "debugging"]);
            programs.push(start(net, &mut command, &place.join(format!("{name}.log")))?);
            wait_for(|| place.join(format!("{name}.vty")).exists(), name)?;
        }
        Ok(Self { programs, place })
    }

    /// The process that is told to stop.
    pub(crate) fn pid(&self) -> Pid {
        let last = self.programs.last().expect("there is one at least");
        Pid::from_raw(last.id().cast_signed())
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        let logs = fs::read_dir(&self.place).into_iter().flatten().flatten();
        let logs = logs.map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("log"))
        });
        logs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            signal(Pid::from_raw(program.id().cast_signed()), Signal::SIGTERM);
            program.wait().expect("our own child");
        }
        self.programs.clear();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // A program that is killed takes along what it started, each in its own way: keepalived's
            // children ask the kernel for a signal at their parent's end.
            program.kill().and_then(|()| program.wait()).expect("our own child");
        }
        if let Err(error) = fs::remove_dir_all(&self.place) {
            eprintln!("{} stays behind: {error}", self.place.display());
        }
    }
}

/// Sends a signal to a process that may have ended.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    let sent = kill(pid, signal);
    assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{signal} to {pid}: {sent:?}");
}

fn start(net: &Net, command: &mut Command, log: &Path) -> io::Result<Child> {
    let log = fs::File::create(log)?;
    net.spawn(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

fn place() -> io::Result<PathBuf> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("converge-peer-{}-{number}", std::process::id());
    let place = Path::new("/run").join(name);
    fs::create_dir_all(&place)?;
    Ok(place)
}

fn wait_for(ready: impl Fn() -> bool, what: &str) -> io::Result<()> {
    let start = Instant::now();
    while !ready() {
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("{what} does not come up")));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
