//! Runs a test in user-mode Linux, for what this machine's own kernel lacks: modules, tunnels,
//! IPVS, the older tables.
//!
//! A machine boots in about two seconds on this machine's own file system, read-only, with a script
//! as its init that puts an overlay over `/usr/lib` (for the modules), empty directories over our
//! ledgers, and starts the test binary again for the one test.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use converge::host::Host;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::apart::{PASSED, run, skipped};

/// Set in the machine.
const IN_UML: &str = "CONVERGE_TEST_IN_UML";
/// A machine that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(300);
/// One machine at a time: each takes a processor for itself.
static ONE: Mutex<()> = Mutex::new(());

const INIT: &str = "#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin RUST_BACKTRACE=0
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t tmpfs run /run; mount -t tmpfs lib /var/lib
insmod /usr/lib/uml/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko
mkdir -p /run/over/modules /run/work
mount -t overlay over -o lowerdir=/usr/lib,upperdir=/run/over,workdir=/run/work /usr/lib
mount --bind /usr/lib/uml/modules /usr/lib/modules
ip link set lo up
IN_UML=1 EXECUTABLE --exact TEST --nocapture --test-threads=1 2>&1
halt -f
";

/// `name` is the test's path below the crate.
pub(crate) fn in_uml(name: &str, body: impl AsyncFnOnce(&Host)) {
    if env::var_os(IN_UML).is_some() {
        run(body);
    } else if !nix::unistd::geteuid().is_root() {
        skipped(name, "it needs root, for modprobe in user-mode Linux");
    } else if converge::host::command::find("linux.uml").is_none() {
        skipped(name, "it needs linux.uml, of Debian's package user-mode-linux");
    } else {
        let output = boot(name);
        assert!(output.contains(PASSED), "in user-mode Linux:\n{output}");
    }
}

fn boot(name: &str) -> String {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let executable = env::current_exe().expect("our own path");
    let directory = env::temp_dir().join(format!("converge-uml-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let init = directory.join("init");
    let script = INIT
        .replace("IN_UML", IN_UML)
        .replace("EXECUTABLE", &executable.display().to_string())
        .replace("TEST ", &format!("{name} "));
    fs::write(&init, script).expect("a script");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("a mode");
    let console = directory.join("console");
    let file = fs::File::create(&console).expect("a file");
    let mut machine = Command::new("linux.uml")
        .args(["mem=256M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
        .args(["con=null", "con0=null,fd:1", &format!("init={}", init.display())])
        .env("HOME", &directory)
        .stdin(Stdio::null())
        .stderr(file.try_clone().expect("a second handle"))
        .stdout(file)
        .process_group(0)
        .spawn()
        .expect("linux.uml starts");
    let started = Instant::now();
    while machine.try_wait().expect("our own child").is_none() {
        if started.elapsed() > LIMIT {
            // A machine is many processes; the group is all of them.
            let group = Pid::from_raw(machine.id().cast_signed());
            killpg(group, Signal::SIGKILL).expect("our own processes");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = String::from_utf8_lossy(&fs::read(&console).expect("the file")).into_owned();
    fs::remove_dir_all(&directory).expect("our own directory");
    output
}

/// Tests that each run in a machine: `fn name(host) { … }`.
macro_rules! each_in_uml {
    ($($(#[$meta:meta])* async fn $name:ident($host:ident) $body:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            let path = path.split_once("::").expect("a path below the crate").1;
            $crate::kinds::uml::in_uml(path, async |$host: &converge::host::Host| $body);
        }
    )*};
}
pub(crate) use each_in_uml;
