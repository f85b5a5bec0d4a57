//! The cluster with one director, two web servers, an NFS host and a client, as real machines, for
//! all tests that want one. A test takes it for itself and finds it converged.

use std::panic::resume_unwind;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use converge::cluster::Cluster;
use converge::lab::from_cluster::lab_spec;
use converge::lab::{Host, Lab, Output};
use serde_json::Value;

/// The cluster file that every test begins with.
pub const BASE: &str = include_str!("../topologies/one-director/cluster.toml");
/// What clients ask.
pub const VIP: &str = "192.168.142.100";
/// Hosts in an order in which nobody waits for a later one.
pub const HOSTS: [&str; 5] = ["nfs", "web1", "web2", "director", "client"];
/// Longer than any converge takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

static WORLD: LazyLock<Option<Mutex<World>>> = LazyLock::new(|| World::boot().map(Mutex::new));

/// Machines that are what the cluster file says.
pub struct World {
    lab: Lab,
}

/// The machines, for one test at a time, converged to the base cluster; none where there can be no
/// lab, which was said on standard error.
pub fn world() -> Option<MutexGuard<'static, World>> {
    // A test that failed holds no invariant that the next one needs: all is converged again.
    let world = WORLD.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    world.be(BASE);
    Some(world)
}

impl World {
    fn boot() -> Option<World> {
        let (cluster, _) = Cluster::parse("cluster.toml", BASE).expect("the shipped example");
        let lab = super::start(&lab_spec(&cluster, Default::default()))?;
        Some(World { lab })
    }

    /// Gives every host this cluster file and converges them all: who serves files first, the
    /// others at once.
    pub fn be(&self, cluster: &str) {
        let one = |host: &str| {
            self.give(host, cluster);
            let output = self.converge(host);
            let said = output.stdout.clone() + &output.stderr;
            assert!(output.success(), "{host} does not converge:\n{said}");
        };
        one(HOSTS[0]);
        at_once(&HOSTS[1..], one);
    }

    /// Gives every host this cluster file and converges them all; then nothing is left to do on
    /// any.
    pub fn settle(&self, cluster: &str) {
        self.be(cluster);
        at_once(&HOSTS, |host| {
            assert_eq!(self.pending(host), Vec::<String>::new(), "{host} with\n{cluster}");
        });
    }

    /// Does some damage to a host, which has to be named in the plan and gone after converging.
    pub fn repairs(&self, host: &str, damage: &str, named: &str) {
        self.ok(host, damage);
        let pending = self.pending(host);
        assert!(pending.iter().any(|p| p == named), "{host}: `{damage}` shows as {pending:?}");
        let output = self.converge(host);
        assert!(output.success(), "{host}: `{damage}`:\n{}{}", output.stdout, output.stderr);
        let left = self.pending(host);
        assert!(left.is_empty(), "{host}: after `{damage}` and converge {left:?}");
    }

    /// Gives one host this cluster file.
    pub fn give(&self, host: &str, cluster: &str) {
        self.host(host)
            .write_file("/etc/converge/cluster.toml", cluster)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Takes the host's role away: it becomes a client, for which nothing is to be done.
    pub fn leave(&self, host: &str) {
        let (cluster, _) = Cluster::parse("cluster.toml", BASE).expect("the shipped example");
        let role = cluster.hosts.values().find(|h| h.name.as_str() == host).expect("a host of it");
        let lines = BASE.lines().map(str::to_owned);
        let mut inside = false;
        let lines = lines.map(|line| {
            if line.starts_with('[') {
                inside = line == format!("[host.{host}]");
            }
            let own = line == format!("role = \"{}\"", role.role.as_str()) && inside;
            if own { "role = \"client\"".to_owned() } else { line }
        });
        self.give(host, &lines.collect::<Vec<_>>().join("\n"));
        let output = self.converge(host);
        assert!(output.success(), "{host} cannot leave:\n{}{}", output.stdout, output.stderr);
        assert_eq!(self.pending(host), Vec::<String>::new(), "{host} has left its role");
        self.give(host, BASE);
    }

    /// A machine.
    pub fn host<'a>(&'a self, name: &'a str) -> Host<'a> {
        self.lab.host(name)
    }

    /// Runs a line that has to succeed; its output.
    pub fn ok(&self, host: &str, line: &str) -> String {
        match self.host(host).ok(line) {
            Ok(output) => output.stdout,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs `converge`.
    pub fn converge(&self, host: &str) -> Output {
        match self.host(host).run_for("converge", b"", PATIENCE) {
            Ok(output) => output,
            Err(error) => panic!("{error}\n{}", self.lab.logs()),
        }
    }

    /// What `converge plan` says is pending, by kind and name.
    pub fn pending(&self, host: &str) -> Vec<String> {
        let output = self.host(host).run("converge plan -o json").unwrap_or_else(|e| panic!("{e}"));
        let plan: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|e| panic!("{host}: {e}: {}{}", output.stdout, output.stderr));
        let changes = plan["changes"].as_array().cloned().unwrap_or_default();
        let id = |c: &Value| {
            let part = |key: &str| c["resource"][key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("kind"), part("name"))
        };
        assert_eq!(plan["unknown"], serde_json::json!([]), "{host}: {plan}");
        changes.iter().map(id).collect()
    }

    /// What the client sees at the VIP in this many requests.
    pub fn probe(&self, count: u32) -> Value {
        let line = format!("converge probe http://{VIP}/ --count {count} -o json");
        let output = self.host("client").run(&line).unwrap_or_else(|error| panic!("{error}"));
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}{}", output.stdout, output.stderr))
    }

    /// Waits until the client reaches the VIP, every one of ten requests is answered, and both
    /// servers answer in turn. An NFS server's clients need a while after its restart to claim back
    /// what they had, and a machine on a busy computer may stand still for a second.
    pub fn both_servers_answer(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.probe(10);
        while !in_turn(&seen) && Instant::now() < deadline {
            seen = self.probe(10);
        }
        if in_turn(&seen) {
            return;
        }
        let mut all = format!("{seen}\n{}", self.ok("director", "ipvsadm -Ln; ip -br address"));
        for web in ["web1", "web2"] {
            let look = "ip -br address; ls -l /var/www/html; tail -n 5 /var/log/nginx/error.log; \
                dmesg | tail -n 5";
            all.push_str(&format!("== {web}\n{:#?}", self.host(web).run(look)));
        }
        panic!("the servers do not answer in turn: {all}");
    }
}

/// Does something on several hosts at the same time.
fn at_once(hosts: &[&str], does: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        let does = &does;
        let begun: Vec<_> = hosts.iter().map(|host| scope.spawn(move || does(host))).collect();
        for one in begun {
            one.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

/// Whether each of the two servers answered each second one of ten requests.
fn in_turn(seen: &Value) -> bool {
    let servers = &seen["servers"];
    seen["ok"] == 10 && servers["web1"] == 5 && servers["web2"] == 5
}
