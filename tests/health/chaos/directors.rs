//! Both directors: their files, processes and ways, and whether what they make of it is right.
//!
//! Everything that the test does to a director goes through here, so that [`Truth`] hears of it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::control::report::Report;
use converge::pool::words::{Word, Words};
use nix::sys::signal::Signal;

use super::truth::{HOSTS, Shape, Truth, pools, wall};
use super::{PATIENCE, Random, lock};
use crate::failover::node::{Node, ROLE, cluster};
use crate::failover::segment::Segment;
use crate::health::site::{VIRTUAL, report};

const NAMES: [&str; 2] = ["a", "b"];
/// No host has this.
const NOBODY: &str = "02:00:00:00:00:99";

/// Both of them.
pub(super) struct Directors<'s> {
    segment: &'s Segment,
    nodes: [Node<'s>; 2],
    /// Stopped until then.
    stopped: [Option<Instant>; 2],
    is_dead: [bool; 2],
    is_linked: bool,
}

fn files(shape: &Shape) -> (String, String) {
    let Shape { members, weight, quorum, every, spare } = shape;
    let mut text = cluster(&NAMES, "");
    for (n, host) in HOSTS.iter().enumerate().filter(|(n, _)| members[*n]) {
        let number = n + 3;
        write!(
            text,
            "\n[host.{host}]\nrole = \"realserver\"\naddress = \"192.0.2.{number}/24\"\n\
             interface = \"eth0\"\n"
        )
        .expect("a string");
    }
    let fallback = if *spare { "sorry" } else { "" };
    let words = format!("real-servers = \"realserver\"\nweight = {weight}\nquorum = {quorum}\n");
    let virtual_server = format!(
        "[[virtual-server]]\naddress = \"{VIRTUAL}\"\nscheduler = \"wrr\"\nforward = \"dr\"\n\
         fallback = \"{fallback}\"\n{words}"
    );
    let upstream = format!("[[upstream]]\nname = \"app\"\nfallback = \"sorry\"\n{words}");
    let check = |of: &str, kind: &str| {
        format!("[[{of}.check]]\nkind = \"{kind}\"\nevery = \"{every}ms\"\n\n")
    };
    let role = format!(
        "{ROLE}\n{virtual_server}ports = \"80,81\"\n{}{virtual_server}ports = \"90,91\"\n{}\
         {upstream}{}",
        check("virtual-server", "http"),
        check("virtual-server", "tcp"),
        check("upstream", "http")
    );
    (text, role)
}

impl<'s> Directors<'s> {
    /// Starts both.
    pub(super) fn start(segment: &'s Segment, shape: &Shape) -> Self {
        let (cluster, role) = files(shape);
        let nodes = NAMES.map(|name| {
            let mut node = Node::new(segment, name, &cluster).with_key().with_nginx();
            node.write("roles/holder.toml", &role);
            node.start();
            node
        });
        Directors { segment, nodes, stopped: [None; 2], is_dead: [false; 2], is_linked: true }
    }

    /// Where the files of each lie.
    pub(super) fn directories(&self) -> [PathBuf; 2] {
        [0, 1].map(|d: usize| self.nodes[d].path(""))
    }

    pub(super) fn logs(&self) -> String {
        let log = |d: usize| format!("---- {}\n{}", NAMES[d], self.nodes[d].log());
        format!("{}\n{}", log(0), log(1))
    }

    /// Somebody says something of a server.
    pub(super) fn says(
        &self,
        d: usize,
        host: usize,
        random: &mut Random,
        truth: &Mutex<Truth>,
    ) -> String {
        // Of a server that is not there nothing can be said.
        let host = if lock(truth).shape.members[host] { host } else { (host + 1) % HOSTS.len() };
        if !lock(truth).shape.members[host] {
            return "nothing".into();
        }
        let word =
            random.pick(&[Word::Ready, Word::Ready, Word::Ready, Word::Drain, Word::Maintenance]);
        let pool =
            (random.below(4) == 0).then(|| random.pick(&["upstream app", "TCP 192.0.2.101:90"]));
        let left = random.pick(&[None, None, Some(1), Some(3)]).filter(|_| word == Word::Drain);
        let mut line = format!("{word} {}", HOSTS[host]);
        pool.iter().for_each(|pool| line += &format!(" --pool '{pool}'"));
        left.iter().for_each(|left| line += &format!(" --deadline {left}s"));
        // Before it is, so that nobody who is told to leave has to stay; the time is the file's.
        lock(truth).says(host, pool.map(str::to_owned), word, None);
        let output = self.nodes[d].converge(&line);
        assert!(output.status.success(), "{line}: {output:?}");
        let until = left.map(|_| self.until(d, HOSTS[host], pool));
        lock(truth).says(host, pool.map(str::to_owned), word, until);
        // Two words in one millisecond are decided by other rules than the order.
        sleep(Duration::from_millis(3));
        format!("on {}: {line}", NAMES[d])
    }

    fn words(&self, d: usize) -> Words {
        let text = std::fs::read_to_string(self.nodes[d].path("run/words.json"));
        Words::from_json(&text.unwrap_or_else(|_| "[]".into())).expect("it is always whole")
    }

    fn until(&self, d: usize, host: &str, pool: Option<&str>) -> u64 {
        let words = self.words(d);
        let mut all = words.iter();
        let said = all.find(|(of, in_pool, _)| *of == host && *in_pool == pool);
        said.and_then(|(_, _, said)| said.until).expect("it was said")
    }

    /// A director's way to all servers is open or not, without a word to anybody.
    pub(super) fn way(&self, d: usize, open: bool) {
        for n in 0..HOSTS.len() {
            self.neighbour(d, n + 3, open);
        }
    }

    /// The directors reach each other or not.
    pub(super) fn link(&mut self, up: bool) -> String {
        if self.is_linked != up {
            self.is_linked = up;
            self.neighbour(0, 2, up);
            self.neighbour(1, 1, up);
        }
        format!("link {up}")
    }

    fn neighbour(&self, d: usize, number: usize, open: bool) {
        let line = match open {
            false => format!("replace 192.0.2.{number} lladdr {NOBODY} dev eth0 nud permanent"),
            true => format!("delete 192.0.2.{number} dev eth0"),
        };
        self.segment.ok(NAMES[d], &format!("ip neighbour {line}"));
    }

    /// Both get other files and are told so. One that is dead or stopped reads them later.
    pub(super) fn reload(&mut self, shape: Shape, truth: &Mutex<Truth>) {
        let (cluster, role) = files(&shape);
        lock(truth).reload(shape);
        for d in 0..2 {
            self.nodes[d].write("cluster.toml", &cluster);
            self.nodes[d].write("roles/holder.toml", &role);
            if !self.is_dead[d] {
                self.nodes[d].signal(Signal::SIGHUP);
            }
        }
    }

    /// A process ends in some way, and is started again.
    pub(super) fn restart(
        &mut self,
        d: usize,
        random: &mut Random,
        truth: &Mutex<Truth>,
    ) -> String {
        self.go_on(d, truth);
        let signal =
            random.pick(&[Signal::SIGKILL, Signal::SIGKILL, Signal::SIGTERM, Signal::SIGUSR2]);
        self.nodes[d].signal(signal);
        self.is_dead[d] = true;
        assert_eq!(self.nodes[d].ended(), signal != Signal::SIGKILL, "{}", self.logs());
        sleep(Duration::from_millis(random.pick(&[0, 0, 100, 1000])));
        let damage = random.pick(&["", "", "{", "{\"at\": \"noon\"}"]);
        if !damage.is_empty() {
            self.nodes[d].write("run/pools.json", damage);
        }
        self.begin(d, truth);
        format!("{} ends by {signal} and begins again {damage}", NAMES[d])
    }

    /// Starts it, and waits until it hears signals.
    fn begin(&mut self, d: usize, truth: &Mutex<Truth>) {
        let before = wall();
        lock(truth).begins(d);
        self.nodes[d].start();
        self.is_dead[d] = false;
        let end = Instant::now() + PATIENCE;
        while report(&self.nodes[d]).at < before {
            assert!(Instant::now() < end && self.nodes[d].runs(), "{}", self.logs());
            sleep(Duration::from_millis(10));
        }
    }

    /// Stops a process for a while, and does not wait for that.
    pub(super) fn stop(&mut self, d: usize, span: Duration, truth: &Mutex<Truth>) -> String {
        self.go_on(d, truth);
        self.nodes[d].signal(Signal::SIGSTOP);
        self.stopped[d] = Some(Instant::now() + span);
        format!("{} is stopped for {span:?}", NAMES[d])
    }

    fn go_on(&mut self, d: usize, truth: &Mutex<Truth>) {
        if let Some(until) = self.stopped[d].take() {
            sleep(until.saturating_duration_since(Instant::now()));
            self.nodes[d].signal(Signal::SIGCONT);
            lock(truth).begins(d);
        }
    }

    /// All ways are open, and both processes run.
    pub(super) fn heal(&mut self, truth: &Mutex<Truth>) {
        self.link(true);
        for d in 0..2 {
            self.go_on(d, truth);
            let is_open = lock(truth).is_open(d);
            if !is_open {
                self.way(d, true);
                lock(truth).way(d, true);
            }
        }
    }

    /// What is not as it has to be.
    pub(super) fn wrong(&mut self, truth: &Truth) -> Option<String> {
        for (d, (node, name)) in self.nodes.iter_mut().zip(NAMES).enumerate() {
            if !node.runs() || node.log().contains("panicked") {
                return Some(format!("{name} does not run"));
            }
            if let Some(wrong) = wrong(d, &report(node), truth) {
                return Some(format!("{name}: {wrong}"));
            }
        }
        let words = [0, 1].map(|d| self.words(d).to_json());
        (words[0] != words[1]).then(|| format!("the words differ: {words:?}"))
    }
}

fn wrong(d: usize, report: &Report, truth: &Truth) -> Option<String> {
    for (name, port) in pools() {
        let Some(pool) = report.pools.get(&name) else {
            return Some(format!("{name} is not reported"));
        };
        let (wanted, spare) = truth.wanted(d, (&name, port));
        if pool.members.len() != wanted.len() || pool.spare.is_some() != spare || pool.held {
            return Some(format!("{name}: {:?}, not {wanted:?} and {spare}", pool));
        }
        for (host, weight, standing) in wanted {
            let at = pool.members.iter().find(|(_, member)| member.host == HOSTS[host]);
            let share = at.and_then(|(at, _)| pool.shares.members.get(at));
            if share.is_none_or(|share| (share.weight, share.standing) != (weight, standing)) {
                let host = HOSTS[host];
                return Some(format!("{name}: {host} {share:?}, not {weight:?} {standing}"));
            }
        }
    }
    None
}
