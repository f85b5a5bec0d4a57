//! One machine: its files, its power switch, and how far it is.
//!
//! The disk is a copy of the image's template and stays while the lab does: killing a machine is
//! pulling its plug, and what it had not written by then is lost as on a real host.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::control::{HostStatus, Life, Refusal};
use super::keeper;
use super::line::{Event, Line};
use super::rundir::{MachineDir, RunDir, Setup};
use super::spec::HostSpec;
use super::switch::{Mac, Port};
use super::wire::Wire;
use crate::vrrp::key::KEY_FILE;

/// A killed process group is gone in milliseconds.
const DEATH: Duration = Duration::from_secs(10);

/// Held while a process is started: the descriptors meant for it are open to all children then.
static SPAWNING: Mutex<()> = Mutex::new(());

/// One machine of a running lab.
pub struct Machine {
    /// What it is.
    pub spec: HostSpec,
    /// Where it is plugged in.
    pub port: Port,
    directory: MachineDir,
    root: std::path::PathBuf,
    memory: u32,
    wire: Arc<Wire>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    life: Life,
    stopped: bool,
    boots: u32,
    started: Instant,
    took: Option<Duration>,
    power: Option<Power>,
}

/// What a machine has while it runs.
struct Power {
    group: Pid,
    line: Arc<Line>,
    /// Closing it makes the keeper kill the machine.
    _lifeline: ChildStdin,
}

impl Machine {
    /// Lays out a machine's files, without booting it.
    pub fn new(setup: &Setup, port: Port, run: &RunDir, wire: Arc<Wire>) -> io::Result<Machine> {
        let spec = setup.spec.hosts[port].clone();
        let directory = run.machine(&spec.name);
        lay_out(setup, &spec, run, &directory)?;
        let state = State {
            life: Life::Down,
            stopped: false,
            boots: 0,
            started: Instant::now(),
            took: None,
            power: None,
        };
        Ok(Machine {
            spec,
            port,
            directory,
            root: setup.root.clone(),
            memory: setup.memory,
            wire,
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Powers it on.
    pub fn boot(self: &Arc<Self>) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.power.is_some() {
            return Err(Refusal::Running { host: self.spec.name.clone() });
        }
        let written = self.console_length();
        let (child, power, stream) = self.power_on().map_err(|error| Refusal::System {
            what: format!("boot `{}`", self.spec.name),
            reason: error.to_string(),
        })?;
        let (group, line) = (power.group, Arc::clone(&power.line));
        state.power = Some(power);
        state.life = Life::Booting;
        state.stopped = false;
        state.boots += 1;
        state.started = Instant::now();
        state.took = None;
        let boot = state.boots;
        drop(state);
        self.changed.notify_all();
        let machine = Arc::clone(self);
        thread::spawn(move || line.attend(stream, |event| machine.note(boot, event)));
        let machine = Arc::clone(self);
        thread::spawn(move || machine.bury(child, group, boot, written));
        Ok(())
    }

    /// Pulls the plug, and waits until it is out.
    pub fn kill(&self) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(power) = &state.power else {
            return Err(Refusal::NotUp { host: self.spec.name.clone() });
        };
        keeper::kill(power.group);
        let boot = state.boots;
        let deadline = Instant::now() + DEATH;
        while state.power.is_some() && state.boots == boot {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::System {
                    what: format!("kill `{}`", self.spec.name),
                    reason: "its processes do not end".into(),
                });
            }
            state = self.wait(state, left);
        }
        Ok(())
    }

    /// Lets no instruction of it run, or lets it run on. Only the first process is stopped: it is
    /// the kernel, and traces the others. Stopping those as well kills the machine, because their
    /// stop is reported to the kernel, which does not expect it.
    pub fn set_stopped(&self, stopped: bool) -> Result<(), Refusal> {
        let mut state = self.lock();
        let host = || self.spec.name.clone();
        let group = state.power.as_ref().ok_or_else(|| Refusal::NotUp { host: host() })?.group;
        let signal = if stopped { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(group, signal).map_err(|error| Refusal::System {
            what: format!("send {signal} to `{}`", host()),
            reason: error.to_string(),
        })?;
        state.stopped = stopped;
        Ok(())
    }

    /// Waits until it has booted.
    pub fn await_ready(&self, patience: Duration) -> Result<(), Refusal> {
        let host = || self.spec.name.clone();
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            match state.life {
                Life::Ready => return Ok(()),
                Life::Down => return Err(Refusal::WentDown { host: host() }),
                Life::Booting | Life::Reachable => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::NotInTime { host: host(), patience });
            }
            state = self.wait(state, left);
        }
    }

    /// The line to its agent, as soon as that listens.
    pub fn line(&self) -> Result<Arc<Line>, Refusal> {
        let state = self.lock();
        match (state.life, &state.power) {
            (Life::Reachable | Life::Ready, Some(power)) => Ok(Arc::clone(&power.line)),
            (Life::Down | Life::Booting | Life::Reachable | Life::Ready, _) => {
                Err(Refusal::NotUp { host: self.spec.name.clone() })
            }
        }
    }

    /// How it is.
    pub fn status(&self) -> HostStatus {
        let (outward, inward) = self.wire.impairments(self.port);
        let state = self.lock();
        HostStatus {
            name: self.spec.name.clone(),
            role: self.spec.role.clone(),
            address: self.spec.address,
            life: state.life,
            stopped: state.stopped,
            boot: state.took,
            boots: state.boots,
            outward,
            inward,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, left: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    fn note(&self, boot: u32, event: Event) {
        let mut state = self.lock();
        if state.boots != boot {
            return;
        }
        match event {
            // An agent that starts again has not undone the boot.
            Event::Reachable if state.life == Life::Ready => {}
            Event::Reachable => state.life = Life::Reachable,
            Event::Ready => {
                state.life = Life::Ready;
                let took = state.started.elapsed();
                state.took.get_or_insert(took);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the machine's end, and powers it on again if it ended in order to boot.
    fn bury(self: &Arc<Self>, mut child: Child, group: Pid, boot: u32, written: u64) {
        // The keeper kills its machine at its own end, unless it was killed itself.
        if !child.wait().is_ok_and(|status| status.success()) {
            keeper::kill(group);
        }
        let again = self.wants_reboot(written);
        let mut state = self.lock();
        if state.boots != boot {
            return;
        }
        state.power = None;
        state.life = Life::Down;
        drop(state);
        self.changed.notify_all();
        if again && let Err(refusal) = self.boot() {
            eprintln!("{refusal}");
        }
    }

    fn console_length(&self) -> u64 {
        fs::metadata(self.directory.console()).map_or(0, |metadata| metadata.len())
    }

    /// The kernel says on its console how it ended. (It could boot itself, but has closed its
    /// network card and its serial line by then.)
    fn wants_reboot(&self, written: u64) -> bool {
        let bytes = fs::read(self.directory.console()).unwrap_or_default();
        let new = bytes.get(usize::try_from(written).unwrap_or(0)..).unwrap_or_default();
        String::from_utf8_lossy(new).contains("reboot: Restarting system")
    }

    fn power_on(&self) -> io::Result<(Child, Power, UnixStream)> {
        let _spawning = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        let card = self.wire.plug(self.port)?;
        let (ours, theirs) = UnixStream::pair()?;
        let serial = OwnedFd::from(theirs);
        for fd in [&card, &serial] {
            fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let console = File::options().create(true).append(true).open(self.directory.console())?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["lab", "keeper", "--"])
            .args(self.command_line(card.as_raw_fd(), serial.as_raw_fd()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(console)
            .spawn()?;
        let gone = || io::Error::other("the machine's keeper ended at once");
        let lifeline = child.stdin.take().ok_or_else(gone)?;
        let mut text = String::new();
        BufReader::new(child.stdout.take().ok_or_else(gone)?).read_line(&mut text)?;
        let group = Pid::from_raw(text.trim().parse().map_err(|_| gone())?);
        let line = Arc::new(Line::new(ours.try_clone()?));
        Ok((child, Power { group, line, _lifeline: lifeline }, ours))
    }

    fn command_line(&self, card: i32, serial: i32) -> Vec<OsString> {
        let with = |name: &str, path: &Path| {
            let mut argument = OsString::from(name);
            argument.push(path);
            argument
        };
        let mac = mac(self.port);
        vec![
            "linux.uml".into(),
            format!("mem={}M", self.memory).into(),
            with("ubd0r=", &self.root),
            with("ubd1=", &self.directory.disk()),
            "root=/dev/ubda".into(),
            "ro".into(),
            "init=/lab/init".into(),
            with("hostfs=", &self.directory.share()),
            with("uml_dir=", &self.directory.uml()),
            format!("umid={}", self.spec.name).into(),
            "con=null".into(),
            "con0=null,fd:1".into(),
            format!("ssl0=fd:{serial},fd:{serial}").into(),
            format!("vec0:transport=fd,fd={card},mac={mac}").into(),
            "noreboot".into(),
            "lsm=capability".into(),
            "quiet".into(),
        ]
    }
}

/// Of the locally administered ones; the lab's name and the port.
fn mac(port: Port) -> Mac {
    Mac([0x02, b'L', b'A', b'B', 0, u8::try_from(port + 1).unwrap_or(u8::MAX)])
}

fn lay_out(setup: &Setup, spec: &HostSpec, run: &RunDir, directory: &MachineDir) -> io::Result<()> {
    let share = directory.share();
    fs::create_dir_all(share.join("files"))?;
    fs::create_dir_all(directory.uml())?;
    fs::hard_link(run.binary(), share.join("agent"))?;
    fs::hard_link(run.inside(), share.join("converge"))?;
    for (path, text) in setup.spec.files_for(spec) {
        let file = share.join("files").join(path.trim_start_matches('/'));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, text)?;
        let mode = if path == KEY_FILE { 0o600 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    let network = format!("interface={}\naddress={}\n", spec.interface, spec.address);
    fs::write(share.join("network"), network)?;
    copy_sparse(&setup.disk, &directory.disk())
}

/// The template is mostly holes, which a copy must not fill.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("cp")
        .arg("--sparse=always")
        .arg("--reflink=auto")
        .args([from, to])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    io::stderr().write_all(&output.stderr)?;
    Err(io::Error::other("cp of the disk's template failed"))
}
