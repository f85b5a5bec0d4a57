//! A director: a converge that stays, in a host's namespace, with files and a /run of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::segment::{PATIENCE, Segment};

/// A role that does nothing but hold VIPs, so that it runs in a namespace without systemd or IPVS.
pub const ROLE: &str = r#"version = 1
summary = "Holds VIPs"

[vars]
priority = 100
interval = "100ms"
preempt = "now"
transport = "unicast"
vrrp-version = 3
password = ""
family = "auto"
checksum = "pseudo-header"

[[vrrp]]
name = "web"
vrid = 51
priority = "{{vars.priority}}"
interval = "{{vars.interval}}"
preempt = "{{vars.preempt}}"
transport = "{{vars.transport}}"
version = "{{vars.vrrp-version}}"
password = "{{vars.password}}"
family = "{{vars.family}}"
checksum = "{{vars.checksum}}"
interface = "eth0"

[[hold]]
for-each = "vip"
address = "{{each.cidr}}"
interface = "eth0"
"#;

/// The VIP of [`cluster`].
pub const VIP: &str = "192.0.2.100";

/// Hosts `a`, `b`, … with priorities 200, 190, …, and more lines of `[vars]`.
pub fn cluster(hosts: &[&str], vars: &str) -> String {
    let mut text = format!("version = 1\nname = \"test\"\n\n[vip]\nweb = \"{VIP}\"\n");
    for (host, number) in hosts.iter().zip(1..) {
        let priority = 210 - 10 * number;
        text.push_str(&format!(
            "\n[host.{host}]\nrole = \"holder\"\naddress = \"192.0.2.{number}/24\"\n\
             interface = \"eth0\"\nvars = {{ priority = {priority} }}\n"
        ));
    }
    format!("{text}\n[vars]\n{vars}\n")
}

pub struct Node<'s> {
    segment: &'s Segment,
    host: &'static str,
    directory: PathBuf,
    child: Option<Child>,
}

impl<'s> Node<'s> {
    /// Files for a host, and no process yet.
    pub fn new(segment: &'s Segment, host: &'static str, cluster: &str) -> Node<'s> {
        let name = segment.namespace(host);
        let directory = std::env::temp_dir().join(format!("converge-{name}"));
        fs::create_dir_all(directory.join("roles")).expect("a directory of our own");
        fs::create_dir_all(directory.join("run")).expect("a directory of our own");
        let node = Node { segment, host, directory, child: None };
        node.write("cluster.toml", cluster);
        node.write("roles/holder.toml", ROLE);
        node
    }

    /// The same, and started.
    pub fn started(segment: &'s Segment, host: &'static str, cluster: &str) -> Node<'s> {
        let mut node = Node::new(segment, host, cluster);
        node.start();
        node
    }

    /// Writes one of its files.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file of our own");
    }

    /// Where one of its files lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Gives it the key of the cluster.
    pub fn with_key(self) -> Self {
        let path = self.directory.join("cluster.key");
        fs::write(&path, "0123456789abcdef".repeat(4)).expect("a file of our own");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("a file of our own");
        self
    }

    /// Gives it an nginx of its own that never runs, and no systemd to ask for it.
    pub fn with_nginx(self) -> Self {
        let directory = self.path("nginx/conf.d");
        fs::create_dir_all(directory).expect("a directory of our own");
        let text = "error_log stderr;\nevents {}\nhttp { include conf.d/*.conf; }\n";
        self.write("nginx/nginx.conf", text);
        self
    }

    /// Starts converge.
    pub fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path());
        let mut command = self.segment.command(self.host);
        command.args(["sh", "-c", &self.line("--watch")]);
        let child = command.stdin(Stdio::null()).stderr(log.expect("a log of our own")).spawn();
        self.child = Some(child.expect("ip can be run"));
    }

    /// Runs another converge command on the host.
    pub fn converge(&self, arguments: &str) -> std::process::Output {
        self.segment.run(self.host, &self.line(arguments))
    }

    /// Its own /run and /var/lib, which outlive the process.
    fn line(&self, arguments: &str) -> String {
        let (directory, binary) = (self.directory.display(), env!("CARGO_BIN_EXE_converge"));
        let nginx = match self.path("nginx").exists() {
            true => format!(
                "mount -t tmpfs none /run && {{ [ ! -d /etc/nginx ] \
                 || mount --bind {directory}/nginx /etc/nginx; }} &&"
            ),
            false => String::new(),
        };
        format!(
            "{nginx} mkdir -p /run/converge /var/lib/converge /etc/converge \
             && mount --bind {directory} /etc/converge \
             && mount --bind {directory}/run /run/converge \
             && mount --bind {directory}/run /var/lib/converge \
             && exec {binary} --host {} --cluster {directory}/cluster.toml {arguments}",
            self.host
        )
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it was started");
        Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("our own child");
    }

    /// Waits until it has ended; whether well.
    pub fn ended(&mut self) -> bool {
        let mut child = self.child.take().expect("it was started");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = child.try_wait().expect("our own child") {
                return status.success();
            }
            sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
        panic!("{} did not end:\n{}", self.host, self.log());
    }

    /// Whether the process is still there.
    pub fn runs(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("our own child").is_none()
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until it says this.
    pub fn await_log(&self, text: &str) {
        self.await_times(text, 1);
    }

    /// Waits until it has said this so many times.
    pub fn await_times(&self, text: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < end, "{} never said `{text}`:\n{}", self.host, self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until one of its files holds this.
    pub fn await_file(&self, name: &str, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let file = fs::read_to_string(self.path(name)).unwrap_or_default();
            if file.contains(text) {
                return;
            }
            let late = Instant::now() > end;
            assert!(!late, "{name} never held `{text}`: {file}\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("our own child");
        }
        fs::remove_dir_all(&self.directory).ok();
    }
}
