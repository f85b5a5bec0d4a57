//! The cluster of the shipped example as real machines: two directors, two web servers, an NFS host
//! and a client. On each but the client converge stays as the service that is shipped, and nobody
//! has converged the machine before: what the unit forbids would show.
//!
//! While something happens the client asks the VIP twice: for pages, every few milliseconds, and
//! whose it is by ARP, once a second.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use converge::cluster::Cluster;
use converge::lab::control::Life;
use converge::lab::drill;
use converge::lab::from_cluster::{lab_spec, reside};
use converge::lab::{Electors, Host, Lab, LabError};
use converge::probe::report::Report;
use converge::vrrp::key::Key;

/// The cluster, but a director that returns leaves the VIP where it is: then a VIP moves for what a
/// test does, and for nothing else.
pub const CLUSTER: &str = include_str!("../topologies/six-hosts/cluster.toml");
/// What clients ask.
pub const VIP: &str = "192.168.100.22";
/// The hosts that could hold it.
const DIRECTORS: [&str; 2] = ["master", "backup"];
/// Everybody who serves, in an order in which nobody waits for a later one.
pub const SERVING: [&str; 5] = ["nfs", "web1", "web2", "master", "backup"];
/// Many times what anything takes here on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// Every frame of the lab.
const FRAMES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/directors.pcap");
/// The form of a page's address whose answer takes a while.
const LARGE: usize = 3_000_000;

static DIRECTED: LazyLock<Option<Mutex<Directed>>> =
    LazyLock::new(|| Directed::boot().map(Mutex::new));

/// The machines.
pub struct Directed {
    lab: Lab,
    electors: Electors,
}

/// What a client saw while something happened.
pub struct Seen {
    /// What came of its requests.
    pub report: Report,
    /// Which Ethernet address answered for the VIP, and when, since 1970.
    pub answers: Vec<(Duration, [u8; 6])>,
}

/// The machines for one test at a time, with one director that holds the VIP and one that stands
/// by; none where there can be no lab, which was said on standard error.
pub fn directed() -> Option<MutexGuard<'static, Directed>> {
    let directed = DIRECTED.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    directed.calm();
    Some(directed)
}

impl Directed {
    fn boot() -> Option<Directed> {
        let stays = cluster();
        let (cluster, _) = Cluster::parse("cluster.toml", &stays).expect("the shipped example");
        let electors = Electors {
            hosts: DIRECTORS.map(str::to_owned).to_vec(),
            key: Key::text(&[7; 32]),
            vips: vec![VIP.parse().expect("an address")],
            ..Electors::default()
        };
        let mut spec = lab_spec(&cluster, Default::default());
        reside(&mut spec, electors.clone());
        let lab = super::start(&spec)?;
        lab.pcap(Path::new(FRAMES)).unwrap_or_else(|error| panic!("{error}"));
        let directed = Directed { lab, electors };
        for host in SERVING {
            directed.ok(host, "systemctl enable --now --quiet converge");
        }
        let pages = ["web1", "web2"]
            .map(|web| format!("head -c {LARGE} /dev/zero > /srv/www/{web}/large; "));
        directed.ok("nfs", &pages.concat());
        directed.ok("client", &format!("systemd-run --quiet arping -b -I ens33 {VIP}"));
        Some(directed)
    }

    /// Puts right what a test before did to the directors, and waits until they agree.
    fn calm(&self) {
        for name in DIRECTORS {
            let host = self.host(name);
            let status = host.status().unwrap_or_else(|error| panic!("{error}"));
            let undone = match (status.life, status.stopped) {
                (Life::Down, _) => host.boot(),
                (_, true) => host.resume(),
                (_, false) => Ok(()),
            };
            let healed = undone.and_then(|()| self.lab.link(name).heal());
            healed.unwrap_or_else(|error| panic!("{error}"));
            self.give(name, &cluster());
            self.ok(name, "systemctl reset-failed converge; systemctl start converge");
        }
        let (_, other) = self.holder();
        self.until(&other, "systemctl show -P StatusText converge | grep 'main Backup'");
    }

    /// A machine.
    pub fn host<'a>(&'a self, name: &'a str) -> Host<'a> {
        self.lab.host(name)
    }

    /// The machines.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Runs a line that has to succeed; its output.
    pub fn ok(&self, host: &str, line: &str) -> String {
        self.host(host).ok(line).unwrap_or_else(|error| panic!("{error}")).stdout
    }

    /// Waits until a line succeeds.
    pub fn until(&self, host: &str, line: &str) {
        let came = self.host(host).until(line, PATIENCE);
        came.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
    }

    /// Gives a host this cluster file.
    pub fn give(&self, host: &str, cluster: &str) {
        let given = self.host(host).write_file("/etc/converge/cluster.toml", cluster);
        given.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The director that holds the VIP, and the other, as soon as exactly one holds it.
    pub fn holder(&self) -> (String, String) {
        self.await_holder("one director", |_| true)
    }

    /// Waits until this director and no other holds the VIP.
    pub fn holds(&self, name: &str) {
        self.await_holder(name, |holder| holder == name);
    }

    fn await_holder(&self, whom: &str, wanted: impl Fn(&str) -> bool) -> (String, String) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let placing = drill::placing(&self.lab, &self.electors);
            let placing = placing.unwrap_or_else(|error| panic!("{error}"));
            let holder = placing.and_then(|placing| placing.into_values().next());
            if let Some(holder) = holder.filter(|holder| wanted(holder)) {
                let other = DIRECTORS.into_iter().find(|name| *name != holder);
                return (holder, other.expect("there are two").to_owned());
            }
            std::thread::sleep(LOOK);
        }
        panic!("the VIP is not at {whom}, and at nobody else\n{}", self.logs());
    }

    /// What the directors' converge said.
    pub fn logs(&self) -> String {
        let of = |name: &&str| {
            let line =
                "ip -br address; journalctl -u converge --no-pager -o short-precise | tail -n 40";
            let said = self.host(name).run(line);
            format!("== {name}\n{}\n", said.map_or_else(|e| e.to_string(), |output| output.stdout))
        };
        DIRECTORS.iter().map(of).collect()
    }

    /// Has the client look on while something happens; `name` is for the figures, which
    /// `--nocapture` shows.
    pub fn watch(&self, name: &str, event: impl FnOnce() -> Result<(), LabError>) -> Seen {
        let from = File::open(FRAMES).and_then(|file| file.metadata()).map(|data| data.len());
        let from = from.unwrap_or_else(|error| panic!("{FRAMES}: {error}"));
        let asked = drill::while_asked(self.host("client"), &format!("http://{VIP}/"), event);
        let ((), report) = asked.unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.logs()));
        let client = self.ethernet("client");
        let seen = Seen { report, answers: answers(from, client) };
        eprintln!("{name}: {}", seen.told());
        seen
    }

    /// The Ethernet address of a machine.
    pub fn ethernet(&self, host: &str) -> [u8; 6] {
        let text = self.ok(host, "cat /sys/class/net/ens33/address");
        let mut bytes = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16));
        std::array::from_fn(|_| bytes.next().expect("six bytes").expect("two digits"))
    }

    /// Begins to fetch large pages slowly, four at once; the thread ends with what curl said.
    pub fn download<'s>(
        &'s self,
        scope: &'s std::thread::Scope<'s, '_>,
    ) -> std::thread::ScopedJoinHandle<'s, String> {
        let one = format!(
            "curl -sS --limit-rate 200k -o /dev/null -w '%{{size_download}}\n' http://{VIP}/large &"
        );
        let line = format!("{} wait", [one.as_str(); 4].join(" "));
        scope.spawn(move || {
            let output = self.host("client").run_for(&line, b"", PATIENCE);
            output.map_or_else(|error| error.to_string(), |o| format!("{}{}", o.stderr, o.stdout))
        })
    }
}

impl Seen {
    /// For how long two hosts answered for the VIP in turn: each was asked once a second, and one
    /// had answered before the other's answer and did so after it.
    pub fn two_at_once(&self) -> Duration {
        /// Half as long again as arping waits.
        const NEAR: Duration = Duration::from_millis(1500);
        let near = |a: Duration, b: Duration| a.abs_diff(b) <= NEAR;
        let contested = self.answers.iter().filter(|(at, mac)| {
            let mut others = self.answers.iter().filter(|(t, m)| m != mac && near(*t, *at));
            others.any(|(t, _)| t < at)
                && self.answers.iter().any(|(t, m)| m != mac && t > at && near(*t, *at))
        });
        let mut longest = Duration::ZERO;
        let mut period: Option<(Duration, Duration)> = None;
        for (at, _) in contested {
            let begun = period.filter(|(_, last)| near(*last, *at)).map_or(*at, |(begun, _)| begun);
            period = Some((begun, *at));
            longest = longest.max(*at - begun);
        }
        longest
    }

    /// The last to answer for the VIP.
    pub fn last(&self) -> Option<[u8; 6]> {
        self.answers.last().map(|(_, mac)| *mac)
    }

    /// For people.
    pub fn told(&self) -> String {
        let report = &self.report;
        format!(
            "{} of {} requests lost {:?}, at most {:.0} ms without an answer ({:.0} ms late \
             itself), two at once for {:?}",
            report.error_count,
            report.requests,
            report.errors,
            report.longest_gap_ms,
            report.late_ms,
            self.two_at_once()
        )
    }
}

/// The example's file, with directors that leave a VIP where it is.
pub fn cluster() -> String {
    let mut lines: Vec<&str> =
        CLUSTER.lines().filter(|line| !line.starts_with("preempt")).collect();
    lines.push("preempt = \"never\"\n");
    lines.join("\n")
}

/// The answers to this client's ARP requests in the frames from this place on.
fn answers(from: u64, client: [u8; 6]) -> Vec<(Duration, [u8; 6])> {
    const RECORD: usize = 16;
    let vip: std::net::Ipv4Addr = VIP.parse().expect("an address");
    let mut bytes = Vec::new();
    let read = File::open(FRAMES).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut bytes)
    });
    read.unwrap_or_else(|error| panic!("{FRAMES}: {error}"));
    let word =
        |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut found = Vec::new();
    let mut at = 0;
    while let (Some(seconds), Some(nanos), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let start = at + RECORD;
        at = start + length as usize;
        let Some(frame) = bytes.get(start..at) else { break };
        // Ethernet to the client; ARP, a reply; from whom, and for which address.
        let reply = frame.len() >= 42
            && frame[..6] == client
            && frame[12..14] == [8, 6]
            && frame[20..22] == [0, 2];
        if reply && frame[28..32] == vip.octets() {
            let mac = std::array::from_fn(|index| frame[22 + index]);
            found.push((Duration::new(seconds.into(), nanos), mac));
        }
    }
    found
}
