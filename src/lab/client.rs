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
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::control::{HostStatus, Refusal, Request, Response, to_line};
use super::frame::{Decoder, MAX_PAYLOAD, Message, Start};
use super::image::{self, ImageError};
use super::progress::tail;
use super::rundir::{RunDir, Setup};
use super::spec::{LabSpec, SpecError};
use super::switch::{Damage, Direction};

/// Twenty times what a boot takes on two cores with nothing else to do.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// Long for any command of a test; [`Host::run_for`] takes another limit.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// Beyond a command's own limit, for the machine to say that it was reached.
const GRACE: Duration = Duration::from_secs(5);
/// Between two tries of [`Host::until`].
const RETRY: Duration = Duration::from_millis(100);
/// Output beyond this is cut: no test reads more, and a runaway must not fill the memory.
const MAX_OUTPUT: usize = 64 * 1024 * 1024;
/// Lines of console and journal in an error.
const TAIL: usize = 15;

/// How a lab is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The converge that starts the lab and that its machines run; this very program if `None`.
    pub binary: Option<PathBuf>,
    /// Debian packages beyond those of every lab.
    pub extra_packages: Vec<String>,
    /// Decides which frames a lossy link loses.
    pub seed: u64,
    /// Of each machine, in MiB.
    pub memory: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { binary: None, extra_packages: Vec::new(), seed: 1, memory: 192 }
    }
}

/// What went wrong with a lab.
#[derive(thiserror::Error)]
pub enum LabError {
    /// The lab cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is nothing to boot.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The run directory or the daemon.
    #[error("cannot {what}: {source}")]
    Start {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The daemon ended at once.
    #[error("the lab's daemon did not start:\n{log}")]
    Daemon {
        /// What it said.
        log: String,
    },
    /// A lab of this name runs.
    #[error("the lab `{name}` is up already: `converge lab down` ends it")]
    AlreadyUp {
        /// Its name.
        name: String,
    },
    /// No lab of this name runs.
    #[error("no lab `{name}` is up: `converge lab up` starts one")]
    NotUp {
        /// The name.
        name: String,
    },
    /// The daemon did not do it.
    #[error("{refusal}{}", indent(.logs))]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The end of the host's console, where that helps.
        logs: String,
    },
    /// The conversation broke off: machine or daemon went away, or time was up.
    #[error("{host}: lost `{command}`: {source}{}", indent(.logs))]
    Lost {
        /// Where it ran.
        host: String,
        /// What.
        command: String,
        /// How.
        #[source]
        source: io::Error,
        /// The end of the host's console.
        logs: String,
    },
    /// A command that had to succeed did not.
    #[error("{host}: `{command}` gave {}{}{}{}", .output.status, indent(&.output.stdout),
        indent(&.output.stderr), indent(.logs))]
    Failed {
        /// Where it ran.
        host: String,
        /// What.
        command: String,
        /// What came of it.
        output: Box<Output>,
        /// The end of the host's console and journal.
        logs: String,
    },
}

/// `unwrap` in a test prints this, so it has to be readable.
impl std::fmt::Debug for LabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// 0 is success; 124 a command that was killed for taking too long; 128 + n death by signal n.
    pub status: i32,
    /// Its output.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.status == 0
    }
}

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    run: RunDir,
    name: String,
    hosts: Vec<String>,
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
        let run = RunDir::of(name);
        let mut lab = Lab { run, name: name.to_owned(), hosts: Vec::new(), daemon: None };
        lab.hosts = lab.status()?.into_iter().map(|host| host.name).collect();
        Ok(lab)
    }

    /// The names of all labs that are up.
    pub fn all() -> Vec<String> {
        let up = |name: &String| UnixStream::connect(RunDir::of(name).socket()).is_ok();
        RunDir::all().into_iter().filter(up).collect()
    }

    /// The host of this name. Panics if there is none: a test's own mistake.
    pub fn host<'a>(&'a self, name: &'a str) -> Host<'a> {
        assert!(self.hosts.iter().any(|host| host == name), "no `{name}` in {:?}", self.hosts);
        Host { lab: self, name }
    }

    /// The cable between this host and the switch. Panics if there is no such host.
    pub fn link<'a>(&'a self, name: &'a str) -> Link<'a> {
        let name = self.host(name).name;
        Link { lab: self, name }
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

    fn capture(&self, host: Option<&str>, path: &Path) -> Result<(), LabError> {
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
        let run = RunDir::of(&name);
        if UnixStream::connect(run.socket()).is_ok() {
            return Err(LabError::AlreadyUp { name });
        }
        let image = image::ensure(&options.extra_packages)?;
        let failed = |what: &str| {
            let what = what.to_owned();
            |source| LabError::Start { what, source }
        };
        run.create().map_err(failed("make the run directory"))?;
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().map_err(failed("find this program"))?,
        };
        place(&binary, &run.binary()).map_err(failed("copy the program"))?;
        let setup = Setup::new(spec, &image, options.seed, options.memory);
        fs::write(run.setup(), to_line(&setup)).map_err(failed("write the setup"))?;
        let daemon = spawn_daemon(&run, tied)?;
        let hosts = spec.hosts.iter().map(|host| host.name.clone()).collect();
        Ok(Lab { run, name, hosts, daemon: tied.then_some(daemon) })
    }

    fn connect(&self) -> Result<UnixStream, LabError> {
        let socket = self.run.socket();
        UnixStream::connect(socket).map_err(|_| LabError::NotUp { name: self.name.clone() })
    }

    fn ask(&self, request: &Request) -> Result<Response, LabError> {
        let lost = |source| LabError::Start { what: "ask the lab's daemon".into(), source };
        let mut stream = self.connect()?;
        stream.write_all(to_line(request).as_bytes()).map_err(lost)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(lost)?;
        self.understand(&line)
    }

    fn understand(&self, line: &str) -> Result<Response, LabError> {
        let response = serde_json::from_str(line).map_err(|error| LabError::Start {
            what: "understand the lab's daemon".into(),
            source: error.into(),
        })?;
        let Response::Refused(refusal) = response else { return Ok(response) };
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

    fn console(&self, host: &str) -> String {
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

/// One machine of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl Host<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Runs a line of bash, and waits for its end.
    pub fn run(&self, command: &str) -> Result<Output, LabError> {
        self.run_for(command, b"", COMMAND_PATIENCE)
    }

    /// Runs a line of bash that has to succeed.
    pub fn ok(&self, command: &str) -> Result<Output, LabError> {
        let output = self.run(command)?;
        if output.success() {
            return Ok(output);
        }
        Err(self.failed(command, output))
    }

    /// Runs a line of bash with this input, killed after this long.
    pub fn run_for(
        &self,
        command: &str,
        stdin: &[u8],
        patience: Duration,
    ) -> Result<Output, LabError> {
        let timeout_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let start = Start { line: command.to_owned(), terminal: None, timeout_ms };
        let (stream, reader) = self.open(start)?;
        let exchanged = exchange(stream, reader, stdin, patience + GRACE);
        exchanged.map_err(|source| LabError::Lost {
            host: self.name.to_owned(),
            command: command.to_owned(),
            source,
            logs: self.lab.console(self.name),
        })
    }

    /// Runs a line of bash again and again until it succeeds, or fails when this time is over.
    pub fn until(&self, command: &str, patience: Duration) -> Result<Output, LabError> {
        let deadline = Instant::now() + patience;
        loop {
            let output = self.run(command)?;
            if output.success() {
                return Ok(output);
            }
            if Instant::now() >= deadline {
                return Err(self.failed(command, output));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Starts a command and gives its stream of [`Message`]s, all with the ID 0.
    pub(crate) fn open(
        &self,
        start: Start,
    ) -> Result<(UnixStream, BufReader<UnixStream>), LabError> {
        let command = start.line.clone();
        let lost = |source| LabError::Lost {
            host: self.name.to_owned(),
            command: command.clone(),
            source,
            logs: self.lab.console(self.name),
        };
        let mut stream = self.lab.connect()?;
        let request = Request::Open { host: self.name.to_owned(), start };
        stream.write_all(to_line(&request).as_bytes()).map_err(lost)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(lost)?);
        let mut line = String::new();
        reader.read_line(&mut line).map_err(lost)?;
        if line.is_empty() {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        self.lab.understand(&line)?;
        Ok((stream, reader))
    }

    /// Writes a file, and the directories it needs.
    pub fn write_file(&self, path: &str, text: impl AsRef<[u8]>) -> Result<(), LabError> {
        let path = quote(path);
        let command = format!("mkdir -p \"$(dirname {path})\" && cat > {path}");
        let output = self.run_for(&command, text.as_ref(), COMMAND_PATIENCE)?;
        if output.success() { Ok(()) } else { Err(self.failed(&command, output)) }
    }

    /// Reads a file.
    pub fn read_file(&self, path: &str) -> Result<String, LabError> {
        self.ok(&format!("cat {}", quote(path))).map(|output| output.stdout)
    }

    /// Pulls the plug: what was not on the disk yet is lost.
    pub fn kill(&self) -> Result<(), LabError> {
        self.ask(Request::Kill { host: self.name.to_owned() })
    }

    /// Powers it on, with the disk it had, and waits until it is ready.
    pub fn boot(&self) -> Result<(), LabError> {
        self.power_on()?;
        self.await_ready(BOOT_PATIENCE)
    }

    /// Powers it on without waiting.
    pub fn power_on(&self) -> Result<(), LabError> {
        self.ask(Request::Boot { host: self.name.to_owned() })
    }

    /// Shuts it down in order.
    pub fn shut_down(&self) -> Result<(), LabError> {
        self.ok("systemctl --no-block poweroff")?;
        let deadline = Instant::now() + COMMAND_PATIENCE;
        while Instant::now() < deadline {
            let gone = Request::Await { host: self.name.to_owned(), patience: Duration::ZERO };
            match self.ask(gone) {
                Err(LabError::Refused { refusal: Refusal::WentDown { .. }, .. }) => return Ok(()),
                Ok(()) | Err(_) => std::thread::sleep(RETRY),
            }
        }
        self.kill()
    }

    /// Shuts it down in order and boots it again.
    pub fn reboot(&self) -> Result<(), LabError> {
        self.shut_down()?;
        self.boot()
    }

    /// Lets none of its instructions run: a virtual machine whose host is busy elsewhere.
    pub fn stop(&self) -> Result<(), LabError> {
        self.ask(Request::Stop { host: self.name.to_owned() })
    }

    /// Lets it run on after [`stop`](Host::stop).
    pub fn resume(&self) -> Result<(), LabError> {
        self.ask(Request::Resume { host: self.name.to_owned() })
    }

    /// Writes what it sends and receives to this file from now on.
    pub fn pcap(&self, path: &Path) -> Result<(), LabError> {
        self.lab.capture(Some(self.name), path)
    }

    /// Waits until it has booted.
    pub fn await_ready(&self, patience: Duration) -> Result<(), LabError> {
        self.ask(Request::Await { host: self.name.to_owned(), patience })
    }

    /// The end of its console and journal.
    pub fn logs(&self) -> String {
        let journal = format!("journalctl --no-pager --no-hostname --lines={TAIL} -o short-monotonic");
        let journal = self.run_for(&journal, b"", GRACE).map(|output| output.stdout);
        let console = self.lab.console(self.name);
        format!("{console}\n{}", journal.unwrap_or_default())
    }

    fn ask(&self, request: Request) -> Result<(), LabError> {
        self.lab.ask(&request).map(drop)
    }

    fn failed(&self, command: &str, output: Output) -> LabError {
        LabError::Failed {
            host: self.name.to_owned(),
            command: command.to_owned(),
            output: Box::new(output),
            logs: self.logs(),
        }
    }
}

/// The cable between a machine and the switch.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl Link<'_> {
    /// Nothing passes any more.
    pub fn cut(&self, direction: Direction) -> Result<(), LabError> {
        self.damage(direction, Damage::Cut)
    }

    /// Everything passes this much later.
    pub fn delay(&self, direction: Direction, delay: Duration) -> Result<(), LabError> {
        self.damage(direction, Damage::Delay(delay))
    }

    /// This share of the frames, 0 to 1, is lost.
    pub fn loss(&self, direction: Direction, share: f64) -> Result<(), LabError> {
        self.damage(direction, Damage::Loss(share))
    }

    /// This share of the frames, 0 to 1, arrives twice.
    pub fn duplicate(&self, direction: Direction, share: f64) -> Result<(), LabError> {
        self.damage(direction, Damage::Duplicate(share))
    }

    /// As good as new.
    pub fn heal(&self) -> Result<(), LabError> {
        self.damage(Direction::Both, Damage::Heal)
    }

    /// Any of these.
    pub fn damage(&self, direction: Direction, damage: Damage) -> Result<(), LabError> {
        let host = self.name.to_owned();
        self.lab.ask(&Request::Damage { host, direction, damage }).map(drop)
    }
}

/// A word for the shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
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

fn exchange(
    stream: UnixStream,
    mut reader: BufReader<UnixStream>,
    stdin: &[u8],
    patience: Duration,
) -> io::Result<Output> {
    let started = Instant::now();
    let deadline = started + patience;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    std::thread::scope(|scope| {
        scope.spawn(|| feed(&stream, stdin));
        loop {
            while let Some(message) = decoder.next_message() {
                match message {
                    Message::Stdout(_, bytes) => append(&mut stdout, &bytes),
                    Message::Stderr(_, bytes) => append(&mut stderr, &bytes),
                    Message::Exit(_, status) => {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let (stdout, stderr) = (text(&stdout), text(&stderr));
                        return Ok(Output { status, stdout, stderr, took: started.elapsed() });
                    }
                    Message::Start(..)
                    | Message::Stdin(..)
                    | Message::CloseStdin(_)
                    | Message::Signal(..)
                    | Message::Resize(..)
                    | Message::Hello
                    | Message::Ready => {}
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let count = reader.read(&mut buffer).inspect_err(|_| close(&stream))?;
            if count == 0 {
                return Err(io::Error::other("the machine went down"));
            }
            decoder.push(&buffer[..count]);
        }
    })
}

/// Unblocks the thread that still sends input.
fn close(stream: &UnixStream) {
    stream.shutdown(std::net::Shutdown::Both).ok();
}

fn feed(mut stream: &UnixStream, stdin: &[u8]) {
    for part in stdin.chunks(MAX_PAYLOAD) {
        // The command may end before its input does; its status is the answer then.
        if stream.write_all(&Message::Stdin(0, part.to_vec()).encode()).is_err() {
            return;
        }
    }
    stream.write_all(&Message::CloseStdin(0).encode()).ok();
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_OUTPUT.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("\n    {line}")).collect()
}
