//! keepalived as the distribution has it, on a host of the segment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

use super::contestant::{Director, Settings, vip};
use super::segment::Net;

const PROGRAM: &str = "/usr/sbin/keepalived";

/// What is missing, in words that say what to install.
pub(crate) fn is_missing() -> Option<&'static str> {
    (!Path::new(PROGRAM).exists()).then_some("install with: apt-get install keepalived")
}

/// keepalived that runs; it is killed when this goes.
pub(crate) struct Keepalived {
    child: Child,
    place: PathBuf,
}

impl Keepalived {
    /// Starts it. What it writes, its process numbers among it, lies in a directory of its own.
    pub(crate) fn start(net: &Net, at: Director, told: Settings) -> io::Result<Self> {
        let place = Path::new("/run").join(format!("keepalived-{}", at.name()));
        fs::create_dir_all(&place)?;
        let file = place.join("keepalived.conf");
        fs::write(&file, configuration(at, told))?;
        let log = fs::File::create(place.join("log"))?;
        let mut command = Command::new(PROGRAM);
        command.args(["--dont-fork", "--vrrp", "--log-console", "--use-file"]).arg(file);
        for (option, name) in [("--pid", "pid"), ("--vrrp_pid", "vrrp"), ("--bfd_pid", "bfd")] {
            command.arg(option).arg(place.join(name));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: net.spawn(&mut command)?, place })
    }

    /// The process that is told to stop.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.join("log")).unwrap_or_default()
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // Its children ask the kernel for a signal at their parent's end.
        self.child.kill().and_then(|()| self.child.wait()).expect("our own child");
        fs::remove_dir_all(&self.place).expect("our own directory");
    }
}

fn configuration(at: Director, told: Settings) -> String {
    let mut text = "global_defs {\n    vrrp_version 3\n}\n".to_owned();
    for number in 1..=told.instances {
        text += &format!(
            "vrrp_instance v{number} {{\n    state BACKUP\n    interface eth0\n    \
             virtual_router_id {number}\n    priority {}\n    advert_int {}\n    \
             unicast_src_ip {}\n    unicast_peer {{\n        {}\n    }}\n    \
             virtual_ipaddress {{\n        {}/32\n    }}\n}}\n",
            at.priority(),
            told.interval.as_secs_f64(),
            at.address(),
            at.other().address(),
            vip(number),
        );
    }
    text
}
