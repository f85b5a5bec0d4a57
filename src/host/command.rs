//! Runs a program and waits for it, within a time limit.
//!
//! Programs are the last resort: netlink and D-Bus come first. A missing program is its own error,
//! which names the package that has it, for nothing is installed on a host. None outlives us.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::orphan;

/// Long enough for `exportfs -a` with a slow name server; nothing we run takes longer in health.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What a program printed, after a success.
#[derive(Clone, Debug)]
pub struct Output {
    /// Standard output, lossy UTF-8.
    pub stdout: String,
    /// Standard error, lossy UTF-8.
    pub stderr: String,
}

/// Why a program did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not on this host.
    #[error("{program} is not installed on this host")]
    Missing {
        /// The program's name.
        program: String,
    },
    /// It could not be started.
    #[error("cannot run {program}")]
    Start {
        /// The program's name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended badly.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The whole command line.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// It did not end.
    #[error("`{command}` did not end within {} s and was killed", limit.as_secs())]
    Late {
        /// The whole command line.
        command: String,
        /// How long it was given.
        limit: Duration,
    },
}

/// Debian's and the RHEL family's package for each program that a role may need.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("apachectl", "apache2", "httpd"),
    ("apache2ctl", "apache2", "httpd"),
    ("arptables", "arptables", "iptables-nft"),
    ("arptables-legacy", "arptables", "iptables-nft"),
    ("exportfs", "nfs-kernel-server", "nfs-utils"),
    ("httpd", "apache2", "httpd"),
    ("iptables", "iptables", "iptables-nft"),
    ("iptables-legacy", "iptables", "iptables-nft"),
    ("ip6tables", "iptables", "iptables-nft"),
    ("modprobe", "kmod", "kmod"),
    ("mount.nfs", "nfs-common", "nfs-utils"),
    ("mount.nfs4", "nfs-common", "nfs-utils"),
    ("nginx", "nginx", "nginx"),
];

impl CommandError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let CommandError::Missing { program } = self else {
            return None;
        };
        let (_, debian, rhel) = PACKAGES.iter().find(|(p, ..)| p == program)?;
        Some(format!("package {debian} has it (Debian, Ubuntu), or {rhel} (RHEL, Rocky, Fedora)"))
    }
}

/// Where a program is, looking through the system's directories (`PATH` may be bare at boot).
pub fn find(program: &str) -> Option<PathBuf> {
    const DIRECTORIES: [&str; 6] =
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];
    DIRECTORIES.iter().map(|d| PathBuf::from(d).join(program)).find(|p| p.exists())
}

/// Runs `argv` to its end. Standard input is empty.
pub async fn run(argv: &[&str]) -> Result<Output, CommandError> {
    let program = argv.first().copied().unwrap_or_default().to_owned();
    let path =
        if program.starts_with('/') { Some(PathBuf::from(&program)) } else { find(&program) };
    let Some(path) = path else {
        return Err(CommandError::Missing { program });
    };
    let mut command = Command::new(path);
    command.args(&argv[1..]).stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C");
    orphan::forbid(&mut command);
    let command_line = argv.join(" ");
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => {
            return Err(CommandError::Late { command: command_line, limit: LIMIT });
        }
        Ok(Err(source)) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(CommandError::Missing { program });
        }
        Ok(Err(source)) => return Err(CommandError::Start { program, source }),
        Ok(Ok(output)) => output,
    };
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(Output { stdout, stderr });
    }
    let said = if stderr.is_empty() { stdout.trim().to_owned() } else { stderr };
    Err(CommandError::Failed { command: command_line, status: output.status, stderr: said })
}
