//! Servers as their packages have them: each a process of its own, on addresses of its own, with
//! its files in a directory of its own; all of it ends with the test.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, User, geteuid};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// So often a server is started that ends at once: its port may be somebody else's by then.
const TRIES: u32 = 3;

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    directory: PathBuf,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts a program once its files are there: `prepare` gets the directory and as many free
    /// addresses, and says with which arguments. None if it is not installed, which is said loudly.
    pub(crate) fn start(
        program: &str,
        package: &str,
        addresses: usize,
        prepare: impl Fn(&Path, &[SocketAddr]) -> Vec<String>,
    ) -> Option<Server> {
        Server::start_as(None, program, package, addresses, prepare)
    }

    /// The same as this user, for those that refuse to be root.
    pub(crate) fn start_as(
        user: Option<&str>,
        program: &str,
        package: &str,
        addresses: usize,
        prepare: impl Fn(&Path, &[SocketAddr]) -> Vec<String>,
    ) -> Option<Server> {
        if !Path::new(program).exists() {
            let why = format!("{program} is missing: apt-get install {package}");
            crate::kinds::apart::skipped("a test of checks", &why);
            return None;
        }
        for _ in 0..TRIES {
            let (directory, addresses) = place(addresses);
            own(&directory, user);
            let arguments = prepare(&directory, &addresses);
            let log = File::create(directory.join("output")).expect("a file of our own");
            let also = log.try_clone().expect("a file of our own");
            own(&directory, user);
            let mut command = command(user, program);
            command.args(arguments).current_dir(&directory);
            command.stdin(Stdio::null()).stdout(log).stderr(also);
            let child = command.spawn().expect("it is installed");
            let mut server = Server { child, directory, addresses };
            if server.listens() {
                return Some(server);
            }
            eprintln!("{program} does not start:\n{}", server.log());
        }
        panic!("{program} did not start");
    }

    /// Waits until it listens everywhere. False: it has ended.
    fn listens(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().expect("our own child").is_some() {
                return false;
            }
            if self.addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }

    /// It stops doing anything, and the kernel goes on to take connections for it.
    pub(crate) fn freeze(&self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGSTOP).expect("our own child");
        // Until the last of its threads has stopped.
        waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("our own child");
    }

    /// Where it listens over IPv6, once it does: on the port of an address.
    pub(crate) fn six(&self, number: usize) -> SocketAddr {
        let six = six(self.addresses[number]);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(six).is_err() && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        six
    }

    /// A file of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        read("output") + &read("error.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Told first: it may have processes of its own to end.
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGTERM).ok();
        kill(pid, Signal::SIGCONT).ok();
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            sleep(Duration::from_millis(10));
        }
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// A program that runs as this user, if we are root.
pub(crate) fn command(user: Option<&str>, program: &str) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user.filter(|_| geteuid().is_root()).and_then(known) {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Runs it to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is installed");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

/// The address of IPv6 beside one of [`Server::start`]. It is free as well.
pub(crate) fn six(address: SocketAddr) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, address.port()).into()
}

fn known(user: &str) -> Option<User> {
    User::from_name(user).expect("the list of users")
}

/// Gives a directory, and what is in it, to a user.
pub(crate) fn own(path: &Path, user: Option<&str>) {
    let Some(user) = user.filter(|_| geteuid().is_root()).and_then(known) else { return };
    lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory of our own") {
            own(&entry.expect("an entry").path(), Some(&user.name));
        }
    }
}

/// A directory, and free addresses that no other process of tests takes.
fn place(addresses: usize) -> (PathBuf, Vec<SocketAddr>) {
    static PLACES: AtomicU32 = AtomicU32::new(0);
    let place = PLACES.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    let directory = std::env::temp_dir().join(format!("converge-checks-{pid}-{place}"));
    fs::create_dir_all(&directory).expect("a directory of our own");
    let [_, high, middle, low] = pid.to_be_bytes();
    let host = Ipv4Addr::new(127, 64 + high.wrapping_add(place as u8) % 64, middle, low);
    // All at once, so that they are different ones.
    let listeners: Vec<_> = (0..addresses).map(|_| listen(host)).collect();
    let addresses = listeners.iter().map(|(four, _)| four.local_addr().expect("bound"));
    (directory, addresses.collect())
}

/// A port that is free here and on the loopback of IPv6.
fn listen(host: Ipv4Addr) -> (TcpListener, TcpListener) {
    let try_one = |_| {
        let four = TcpListener::bind((host, 0)).expect("loopback has all of 127/8");
        let six = TcpListener::bind(six(four.local_addr().expect("bound"))).ok()?;
        Some((four, six))
    };
    (0..100).find_map(try_one).expect("loopback has IPv6")
}
