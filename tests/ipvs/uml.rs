//! A machine with its own kernel for one command: user-mode Linux on this host's file system.
//!
//! The kernel here may have no IPVS; Debian's `user-mode-linux` does. The machine's root is this
//! host's root, so a program just built runs in it under its own path. It is an ordinary process
//! group, killed when the caller is done with it, and takes about two seconds to start.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What the machine is made of, and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("linux.uml", "user-mode-linux"),
    ("modprobe", "kmod"),
    ("ipvsadm", "ipvsadm"),
    ("mount", "mount"),
];
/// Where Debian keeps the modules of its user-mode kernel.
const MODULES: &str = "/usr/lib/uml/modules";
/// Where programs are, inside and outside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often to look whether the machine is still on.
const LOOK: Duration = Duration::from_millis(20);

/// What the command in the machine did.
pub(crate) struct Outcome {
    /// Whether it exited with 0.
    pub(crate) success: bool,
    /// Its standard output and error.
    pub(crate) text: String,
}

/// What is missing for a machine, in words that say what to install.
pub(crate) fn missing() -> Option<String> {
    let found = |name: &str| PATH.split(':').any(|dir| Path::new(dir).join(name).exists());
    let packages: Vec<&str> =
        NEEDED.iter().filter(|(name, _)| !found(name)).map(|(_, package)| *package).collect();
    let names = packages.join(" ");
    (!packages.is_empty()).then(|| format!("install with: apt-get install {names}"))
}

/// What a machine is for.
pub(crate) struct Job<'a> {
    /// Tells its files from those of others.
    pub(crate) name: &'a str,
    /// What the shell in it runs.
    pub(crate) command: &'a str,
    /// How long it may be on.
    pub(crate) deadline: Duration,
    /// Words before the command that boots it, such as `nice -n 5`.
    pub(crate) launcher: &'a [&'a str],
}

/// Boots a machine, does the job in it, and waits until the machine is off.
pub(crate) fn run(job: &Job<'_>) -> io::Result<Outcome> {
    let Job { name, command, deadline, launcher } = *job;
    let place = Place::new(name)?;
    let init = place.0.join("init");
    fs::write(&init, init_script(job, &place.0))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let console = fs::File::create(place.0.join("console"))?;
    let mut machine = Machine::start(&place.0, &init, console, launcher)?;
    let status = machine.wait(deadline)?;
    drop(machine);
    let text = fs::read_to_string(place.0.join("text")).unwrap_or_default();
    let code = fs::read_to_string(place.0.join("code")).unwrap_or_default();
    if status.is_none() || code.is_empty() {
        let console = fs::read_to_string(place.0.join("console")).unwrap_or_default();
        let error = format!("the machine did not finish {command:?}:\n{console}\n{text}");
        return Err(io::Error::other(error));
    }
    Ok(Outcome { success: code.trim() == "0", text })
}

/// The first and only process of the machine. Its modules lie where `modprobe` would not look, so
/// the kernel is told of a helper that says where.
fn init_script(job: &Job<'_>, place: &Path) -> String {
    let (place, command, seconds) = (place.display(), job.command, job.deadline.as_secs());
    format!(
        "#!/bin/sh
export PATH={PATH} HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
mkdir -p /run/modules/lib
ln -s {MODULES} /run/modules/lib/modules
printf '#!/bin/sh\\nexec modprobe -d /run/modules \"$@\"\\n' > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
# Whoever waits for this machine may be killed; then nobody else would switch it off.
( sleep {seconds}; echo o > /proc/sysrq-trigger ) &
ip link set lo up
( {command} ) > {place}/text 2>&1
echo $? > {place}/code
sync
echo o > /proc/sysrq-trigger
while :; do sleep 1; done
"
    )
}

/// A directory of its own, removed afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> io::Result<Self> {
        let place = std::env::temp_dir().join(format!("converge-{name}-{}", std::process::id()));
        fs::create_dir_all(&place)?;
        Ok(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// The processes that the machine is.
struct Machine(Child);

impl Machine {
    fn start(place: &Path, init: &Path, console: fs::File, launcher: &[&str]) -> io::Result<Self> {
        let place = place.display();
        let mut words = launcher.iter().copied().chain(["linux.uml"]);
        let child = Command::new(words.next().unwrap_or_default())
            .env("PATH", PATH)
            .args(words)
            .args(["mem=512M", "rootfstype=hostfs", "rootflags=/", "rw", "quiet"])
            .args(["con=null", "con0=null,fd:1"])
            .arg(format!("init={}", init.display()))
            .arg(format!("umid=converge-{}", std::process::id()))
            .arg(format!("uml_dir={place}/"))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Waits until it is off; `None` if it was still on at the deadline.
    fn wait(&mut self, deadline: Duration) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        while start.elapsed() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(LOOK);
        }
        Ok(None)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let Ok(leader) = i32::try_from(self.0.id()) else {
            return;
        };
        // Its other processes are in the same group; there may be none left.
        let killed = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        assert!(matches!(killed, Ok(()) | Err(Errno::ESRCH)), "our own children can be killed");
        self.0.wait().expect("a child can be waited for");
    }
}
