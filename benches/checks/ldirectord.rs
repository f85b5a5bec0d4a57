//! ldirectord as the distribution has it, with an `ipvsadm` that only tells that it was called.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::contestant::{Kind, POOLS, Plan, Running};
use super::ground::{self, PORT};

const PROGRAM: &str = "/usr/sbin/ldirectord";
/// Where it looks for it.
const IPVSADM: &str = "/usr/sbin/ipvsadm";
const STUB: &str = "/run/bench-own/ipvsadm";
const CALLS: &str = "/run/bench-own/calls";
const FILE: &str = "/run/ldirectord.cf";

/// Lists the pools as empty, and says in one write what else it was told to do. A program of C, so
/// that it costs less than the real one would.
const SOURCE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    char line[1000] = "";
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "-L")) {
            puts("IP Virtual Server version 1.2.1 (size=4096)");
            puts("Prot LocalAddress:Port Scheduler Flags");
            puts("  -> RemoteAddress:Port Forward Weight ActiveConn InActConn");
            for (int pool = 1; pool <= 10; pool++)
                printf("TCP  198.19.255.%d:8000 rr\n", pool);
            return 0;
        }
        if (i > 1) strcat(line, " ");
        strncat(line, words[i], 90);
    }
    strcat(line, "\n");
    int calls = open("/run/bench-own/calls", O_WRONLY);
    return write(calls, line, strlen(line)) < 0;
}
"#;

/// What is missing, in words that say what to install.
pub(crate) fn is_missing() -> Option<String> {
    if !Path::new(PROGRAM).exists() || !Path::new(IPVSADM).exists() {
        return Some("install with: apt-get install ldirectord".into());
    }
    // It takes part twice, with one process and with several.
    if Path::new(STUB).exists() {
        return None;
    }
    if let Err(why) = ground::compile(SOURCE, "", STUB) {
        return Some(why);
    }
    // In the mount namespace of the benchmark alone.
    ground::run("mount", &format!("--bind {STUB} {IPVSADM}"));
    None
}

pub(crate) fn start(plan: Plan, forks: bool) -> io::Result<Running> {
    fs::write(FILE, configuration(plan, forks))?;
    // A new one each time, for the reader of the one before still waits; open for both, so that it
    // does not end with each of those that write to it.
    match fs::remove_file(CALLS) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => mkfifo(CALLS, Mode::S_IRUSR | Mode::S_IWUSR)?,
    }
    let calls = fs::File::options().read(true).write(true).open(CALLS)?;
    Running::start_with(Command::new(PROGRAM).args([FILE, "start"]), calls)
}

fn configuration(plan: Plan, forks: bool) -> String {
    let forks = if forks { "yes" } else { "no" };
    let mut text = format!(
        "checktimeout=1\nnegotiatetimeout=1\ncheckinterval=1\nfailurecount=1\nautoreload=no\n\
         quiescent=yes\nreaddquiescent=yes\nsupervised=yes\nfork={forks}\n\
         logfile=\"/run/ldirectord.log\"\n"
    );
    let check = match plan.kind {
        Kind::Tcp => "        checktype=connect\n",
        Kind::Http => {
            "        checktype=negotiate\n        service=http\n        request=\"/\"\n        \
             receive=\"ok\"\n"
        }
    };
    for pool in 0..POOLS {
        let vip = ground::vip(pool);
        let head = format!("virtual={vip}:{PORT}\n");
        text += &head;
        for n in plan.of_pool(pool) {
            let target = ground::target(n);
            writeln!(text, "        real={target}:{PORT} gate 1").expect("a string takes anything");
        }
        text += check;
        text += "        scheduler=rr\n        protocol=tcp\n";
    }
    text
}
