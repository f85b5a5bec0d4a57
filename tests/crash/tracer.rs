//! Starts this test binary again and kills it on its way into one system call.
//!
//! Only calls that can change a file system or start a program are counted: between two of them a
//! kill leaves the same behind wherever it falls.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Set in the child: where its host is.
const ROOT: &str = "CONVERGE_TEST_CRASH";
/// Printed by the child when it is ready to be traced.
const READY: &str = "ready to be killed";

const COUNTED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_write,
    libc::SYS_fsync,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fsetxattr,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// It was killed.
    Killed,
    /// It made fewer calls and came to its end.
    Through,
}

/// In the child: waits until it is traced, and says where its host is. Elsewhere `None`.
pub(crate) fn child() -> Option<PathBuf> {
    let root = std::env::var_os(ROOT)?;
    println!("\n{READY}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the parent writes a line");
    Some(root.into())
}

/// Runs the test `name` on the host in `root`, and kills it at the n-th counted call.
pub(crate) fn killed_at(number: usize, name: &str, root: &Path) -> Run {
    let mut child = Command::new(std::env::current_exe().expect("our own path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts again");
    // Kept open to the end, for the harness of the child writes to it.
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line == READY));
    assert!(ready, "no test ran under the name {name}");
    trace(&mut child, number)
}

fn trace(child: &mut Child, number: usize) -> Run {
    let main = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let threads = threads(main);
    for thread in &threads {
        ptrace::seize(*thread, Options::PTRACE_O_TRACESYSGOOD).expect("may trace a child");
        ptrace::interrupt(*thread).expect("stops");
    }
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"go\n").expect("the child reads");
    // Other tests of this process have children too.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    let mut calls = 0;
    loop {
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                calls += usize::from(enters_counted_call(thread));
                if calls == number {
                    nix::sys::signal::kill(main, Signal::SIGKILL).expect("runs");
                } else {
                    go_on(thread, None);
                }
            }
            Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..)) => go_on(thread, None),
            Ok(WaitStatus::Exited(thread, status)) if thread == main => {
                assert_eq!(status, 0, "the run failed by itself");
                return Run::Through;
            }
            // Reported once every other traced thread has been.
            Ok(WaitStatus::Signaled(thread, ..)) if thread == main => return Run::Killed,
            Ok(_) => {}
            Err(error) => panic!("cannot trace: {error}"),
        }
    }
}

fn threads(process: Pid) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("runs");
    let number = |name: std::ffi::OsString| name.to_str().and_then(|n| n.parse().ok());
    tasks.filter_map(|t| number(t.ok()?.file_name())).map(Pid::from_raw).collect()
}

fn enters_counted_call(thread: Pid) -> bool {
    let info = ptrace::syscall_info(thread).expect("stopped");
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return false;
    }
    #[expect(unsafe_code, reason = "the kernel says which member of the union it filled")]
    let entry = unsafe { info.u.entry };
    let makes = entry.args[2] & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
    let call = i64::try_from(entry.nr).unwrap_or_default();
    COUNTED.contains(&call) && (call != libc::SYS_openat || makes)
}

fn go_on(thread: Pid, signal: Option<Signal>) {
    // A thread that was killed meanwhile is reported by the next wait.
    if let Err(error) = ptrace::syscall(thread, signal) {
        assert_eq!(error, nix::errno::Errno::ESRCH);
    }
}
