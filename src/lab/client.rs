//! The handle on a lab, for tests and for the command line.
//!
//! ```no_run
//! # use converge::lab::{Lab, LabSpec, Options, LabError, Direction};
//! # fn test(spec: &LabSpec) -> Result<(), LabError> {
//! let cluster = Lab::start(spec, &Options::default())?;
//! let pages = cluster.host("web1").ok("curl --silent http://web2/")?.stdout;
//! cluster.link("web2").cut(Direction::Out)?;
//! cluster.host("web1").kill()?;
//! # Ok(()) }
//! ```
//! All calls block, and several threads may use one handle. A lab that was started ends with its
//! handle, even if the process is killed; one that was joined stays.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::control::{HostStatus, Refusal, Request, Response, to_line};
use super::error::LabError;
use super::host::{Host, Link};
use super::image;
use super::progress::tail;
use super::rundir::{RunDir, RunDirError, Setup};
use super::spec::LabSpec;
use super::verdict::CLIENT;

/// Lines of a log in an error.
const TAIL: usize = 15;
/// For the daemon to end.
const GRACE: Duration = Duration::from_secs(20);
/// Twenty times what a boot takes on two cores with nothing else to do.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);

/// How a lab is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The converge that starts the lab and that its machines run; this very program if `None`.
    pub binary: Option<PathBuf>,
    /// Another program as the machines' converge; `binary` if `None`.
    pub inside: Option<PathBuf>,
    /// Debian packages beyond those of every lab.
    pub extra_packages: Vec<String>,
    /// Decides which frames a lossy link loses.
    pub seed: u64,
    /// Of each machine, in MiB.
    pub memory: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { binary: None, inside: None, extra_packages: Vec::new(), seed: 1, memory: 256 }
    }
}

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    run: RunDir,
    name: String,
    hosts: Vec<String>,
    /// The first host of role client.
    client: Option<String>,
    /// The daemon, if it ends with this handle; its standard input is the lifeline.
    daemon: Option<Child>,
}

impl Lab {
    /// Boots a lab that ends with its handle, and waits until all machines are ready.
    pub fn start(spec: &LabSpec, options: &Options) -> Result<Lab, LabError> {
        let lab = Lab::launch(spec, options)?;
        for host in &spec.hosts {
            lab.host(&host.name).await_ready(BOOT_PATIENCE)?;
        }
        Ok(lab)
    }

    /// Like [`start`](Lab::start), without waiting for the machines.
    pub fn launch(spec: &LabSpec, options: &Options) -> Result<Lab, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", spec.name, std::process::id());
        Lab::create(spec, options, name, true)
    }

    /// Powers on a lab that stays until [`down`](Lab::down), without waiting for the machines.
    pub fn leave_up(spec: &LabSpec, options: &Options) -> Result<Lab, LabError> {
        Lab::create(spec, options, spec.name.clone(), false)
    }

    /// A handle on a lab that was left up.
    pub fn join(name: &str) -> Result<Lab, LabError> {
        let run = RunDir::of(name)?;
        let (name, hosts, daemon) = (name.to_owned(), Vec::new(), None);
        let mut lab = Lab { run, name, hosts, client: None, daemon };
        let status = lab.status()?;
        let client = status.iter().find(|host| host.role == CLIENT);
        lab.client = client.map(|host| host.name.clone());
        lab.hosts = status.into_iter().map(|host| host.name).collect();
        Ok(lab)
    }

    /// The names of all labs that are up.
    pub fn all() -> Result<Vec<String>, LabError> {
        let mut names = Vec::new();
        for name in RunDir::all()? {
            if UnixStream::connect(RunDir::of(&name)?.socket()).is_ok() {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The host of this name. Panics if there is none: a test's own mistake.
    pub fn host<'a>(&'a self, name: &'a str) -> Host<'a> {
        assert!(self.hosts.iter().any(|host| host == name), "no `{name}` in {:?}", self.hosts);
        Host::new(self, name)
    }

    /// The first host of role client. Panics if there is none: a test's own mistake.
    pub fn client(&self) -> Host<'_> {
        let Some(name) = &self.client else { panic!("no host of role {CLIENT}") };
        Host::new(self, name)
    }

    /// The cable between this host and the switch. Panics if there is no such host.
    pub fn link<'a>(&'a self, name: &'a str) -> Link<'a> {
        Link::new(self.host(name))
    }

    /// The names of all hosts.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Its own name, unique on this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How all machines are.
    pub fn status(&self) -> Result<Vec<HostStatus>, LabError> {
        match self.ask(&Request::Status)? {
            Response::Status(hosts) => Ok(hosts),
            Response::Done | Response::Refused(_) => Ok(Vec::new()),
        }
    }

    /// Writes every frame to this file from now on, as its host sends it.
    pub fn pcap(&self, path: &Path) -> Result<(), LabError> {
        self.capture(None, path)
    }

    /// The end of all consoles and journals, for a test that fails.
    pub fn logs(&self) -> String {
        let part = |host: &String| format!("== {host}\n{}\n", self.host(host).logs());
        self.hosts.iter().map(part).collect()
    }

    /// Ends the lab, also one that was left up.
    pub fn down(self) -> Result<(), LabError> {
        self.ask(&Request::Down)?;
        // The socket goes with the daemon.
        let deadline = Instant::now() + GRACE;
        while self.run.path().exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(super) fn capture(&self, host: Option<&str>, path: &Path) -> Result<(), LabError> {
        let path = std::path::absolute(path)
            .map_err(|source| LabError::Start { what: "name the pcap file".into(), source })?;
        self.ask(&Request::Capture { host: host.map(str::to_owned), path }).map(drop)
    }

    fn create(
        spec: &LabSpec,
        options: &Options,
        name: String,
        tied: bool,
    ) -> Result<Lab, LabError> {
        spec.check()?;
        let run = RunDir::of(&name)?;
        if UnixStream::connect(run.socket()).is_ok() {
            return Err(LabError::AlreadyUp { name });
        }
        let image = image::ensure(&options.extra_packages)?;
        sweep()?;
        let failed = |what: &str| {
            let what = what.to_owned();
            |source| LabError::Start { what, source }
        };
        run.create()?;
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().map_err(failed("find this program"))?,
        };
        let inside = options.inside.as_ref().unwrap_or(&binary);
        place(&binary, &run.binary()).map_err(failed("copy the program"))?;
        place(inside, &run.inside()).map_err(failed("copy the machines' program"))?;
        let setup = Setup::new(spec, &image, options.seed, options.memory);
        fs::write(run.setup(), to_line(&setup)).map_err(failed("write the setup"))?;
        let daemon = spawn_daemon(&run, tied)?;
        let hosts = spec.hosts.iter().map(|host| host.name.clone()).collect();
        let client = spec.hosts.iter().find(|host| host.role == CLIENT);
        let client = client.map(|host| host.name.clone());
        Ok(Lab { run, name, hosts, client, daemon: tied.then_some(daemon) })
    }

    pub(super) fn connect(&self) -> Result<UnixStream, LabError> {
        let socket = self.run.socket();
        UnixStream::connect(socket).map_err(|_| LabError::NotUp { name: self.name.clone() })
    }

    pub(super) fn ask(&self, request: &Request) -> Result<Response, LabError> {
        let lost = |source| LabError::Start { what: "ask the lab's daemon".into(), source };
        let mut stream = self.connect()?;
        stream.write_all(to_line(request).as_bytes()).map_err(lost)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(lost)?;
        self.understand(&line)
    }

    pub(super) fn understand(&self, line: &str) -> Result<Response, LabError> {
        let response = serde_json::from_str(line).map_err(|error| LabError::Start {
            what: "understand the lab's daemon".into(),
            source: error.into(),
        })?;
        let Response::Refused(refusal) = response else {
            return Ok(response);
        };
        let logs = match &refusal {
            Refusal::NotInTime { host, .. } | Refusal::WentDown { host } => self.console(host),
            Refusal::NoSuchHost { .. }
            | Refusal::NotUp { .. }
            | Refusal::Running { .. }
            | Refusal::System { .. }
            | Refusal::NotUnderstood { .. } => String::new(),
        };
        Err(LabError::Refused { refusal, logs })
    }

    pub(super) fn console(&self, host: &str) -> String {
        let bytes = fs::read(self.run.machine(host).console()).unwrap_or_default();
        tail(&String::from_utf8_lossy(&bytes), TAIL)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.stdin.take());
            daemon.wait().ok();
        }
    }
}

/// Takes away what labs left whose daemon was killed: a socket on which nobody listens.
fn sweep() -> Result<(), RunDirError> {
    for name in RunDir::all()? {
        let run = RunDir::of(&name)?;
        let socket = run.socket();
        if socket.exists() && UnixStream::connect(socket).is_err() {
            // Another start may be sweeping, too.
            run.remove().ok();
        }
    }
    Ok(())
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    // A link where that goes: the lab keeps this build even if the next replaces it.
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

fn spawn_daemon(run: &RunDir, tied: bool) -> Result<Child, LabError> {
    let failed = |source| LabError::Start { what: "start the lab's daemon".into(), source };
    let log = fs::File::create(run.log()).map_err(failed)?;
    let mut command = Command::new(run.binary());
    command.args(["lab", "daemon"]).arg(run.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
    if tied {
        command.arg("--lifeline").stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
    }
    if line.trim() == "up" {
        return Ok(child);
    }
    child.wait().ok();
    let log = fs::read_to_string(run.log()).unwrap_or_default();
    run.remove().ok();
    Err(LabError::Daemon { log: tail(&log, TAIL) })
}
