//! The shipped example with two nginx proxies as real machines: each holds one VIP and stands in
//! for the other, and converge stays on them as the service that is shipped.
//!
//! nginx is tracked, and converge starts it again wherever it does not run: a VIP leaves with its
//! nginx, and comes back once, when it runs and the time of `preempt` is over.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use converge::cluster::Cluster;
use converge::lab::control::Life;
use converge::lab::drill::{self, Placing};
use converge::lab::from_cluster::{lab_spec, reside};
use converge::lab::{Electors, Host, Lab, LabError};
use converge::probe::report::Report;
use converge::vrrp::key::Key;

/// The cluster, but for a shorter `preempt`.
const CLUSTER: &str = include_str!("../topologies/two-proxies/cluster.toml");
/// The VIPs, and where each is when all is well.
const HOMES: [(&str, &str); 2] = [("192.168.4.110", "proxy101"), ("192.168.4.111", "proxy102")];
/// Who asks is not among them.
const SERVING: [&str; 4] = ["app1", "app2", "proxy101", "proxy102"];
/// How long a proxy leaves a VIP where it is.
const PREEMPT: Duration = Duration::from_secs(5);
/// Long enough for what converge tries again to be tried several times, and for `preempt`.
const LONG: Duration = Duration::from_secs(15);
/// Longer than the time after which a silent proxy is given up, 3.6 s.
const SILENCE: Duration = Duration::from_secs(8);
/// Many times what anything takes here on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// The real servers, each with its line in the proxies' upstream.
const APPS: [(&str, &str); 2] = [("app1", "192.168.4.121:80"), ("app2", "192.168.4.122:80")];
/// Where the proxies' nginx reads it.
const UPSTREAM: &str = "/etc/nginx/conf.d/converge-upstream-real_servers.conf";
/// fall × every + timeout is 4 s; as much again for nginx, and twice all of it for a busy computer.
const DETECTION: Duration = Duration::from_secs(16);
/// What nginx does not understand.
const BROKEN: &str = "/etc/nginx/conf.d/broken.conf";

static PROXIED: LazyLock<Option<Mutex<Proxied>>> =
    LazyLock::new(|| Proxied::boot().map(Mutex::new));

/// The machines.
struct Proxied {
    lab: Lab,
    electors: Electors,
}

/// The machines for one test at a time, each VIP at its home; none where there can be no lab, which
/// was said on standard error.
fn proxied() -> Option<MutexGuard<'static, Proxied>> {
    let proxied = PROXIED.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    proxied.calm();
    Some(proxied)
}

impl Proxied {
    fn boot() -> Option<Proxied> {
        let text = format!("{CLUSTER}preempt = \"after {}s\"\n", PREEMPT.as_secs());
        let (cluster, _) = Cluster::parse("cluster.toml", &text).expect("the shipped example");
        let electors = Electors {
            hosts: HOMES.map(|(_, home)| home.to_owned()).to_vec(),
            key: Key::text(&[7; 32]),
            vips: HOMES.map(|(vip, _)| vip.parse().expect("an address")).to_vec(),
            ..Electors::default()
        };
        let mut spec = lab_spec(&cluster, Default::default());
        reside(&mut spec, electors.clone());
        let lab = super::start(&spec)?;
        let proxied = Proxied { lab, electors };
        for host in SERVING {
            proxied.ok(host, "systemctl enable --now --quiet converge");
        }
        Some(proxied)
    }

    /// Puts right what a test before did, and waits until each VIP is at its home and nothing is
    /// left to do.
    fn calm(&self) {
        for (_, proxy) in HOMES {
            let status = self.host(proxy).status().unwrap_or_else(|error| panic!("{error}"));
            if status.life == Life::Down {
                self.host(proxy).boot().unwrap_or_else(|error| panic!("{error}"));
            }
            let line = format!(
                "rm -f {BROKEN}; systemctl reset-failed converge nginx; systemctl start converge \
                 nginx"
            );
            self.ok(proxy, &line);
        }
        self.at_home();
        for host in SERVING {
            self.until(host, "converge plan");
        }
    }

    fn host<'a>(&'a self, name: &'a str) -> Host<'a> {
        self.lab.host(name)
    }

    fn ok(&self, host: &str, line: &str) -> String {
        let output = self.host(host).ok(line);
        output.unwrap_or_else(|error| panic!("{error}\n{}", self.logs())).stdout
    }

    fn until(&self, host: &str, line: &str) {
        let came = self.host(host).until(line, PATIENCE);
        came.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
    }

    /// Waits until each VIP is at the proxy that it prefers; how long that took.
    fn at_home(&self) -> Duration {
        let home = |placing: &Placing| HOMES.iter().all(|(vip, home)| at(placing, vip) == *home);
        self.placed("its home", home)
    }

    /// Waits until this proxy holds both VIPs; how long that took.
    fn at_one(&self, proxy: &str) -> Duration {
        self.placed(proxy, |placing| placing.values().all(|holder| holder == proxy))
    }

    fn placed(&self, place: &str, wanted: impl Fn(&Placing) -> bool) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.placing().is_some_and(|placing| wanted(&placing)) {
                return begun.elapsed();
            }
            std::thread::sleep(LOOK);
        }
        panic!("not every VIP is at {place}, and nowhere else\n{}", self.logs());
    }

    fn placing(&self) -> Option<Placing> {
        drill::placing(&self.lab, &self.electors).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Has the client ask both VIPs while something happens, the VIP of this proxy first; the
    /// reports in that order. The figures are shown with `--nocapture`.
    fn watch(&self, name: &str, proxy: &str, event: impl FnOnce()) -> [Report; 2] {
        let mut vips = HOMES;
        vips.sort_by_key(|(_, home)| *home != proxy);
        let [first, second] = vips.map(|(vip, _)| format!("http://{vip}/"));
        let client = || self.host("client");
        let asked = drill::while_asked(client(), &first, || {
            let ((), second) = drill::while_asked(client(), &second, || {
                event();
                Ok::<(), LabError>(())
            })?;
            Ok(second)
        });
        let (second, first) = asked.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
        for seen in [&first, &second] {
            eprintln!("{name}: {}", told(seen));
        }
        [first, second]
    }

    /// How often routers of this proxy became Active since it booted.
    fn takeovers(&self, proxy: &str) -> usize {
        let journal = self.ok(proxy, "journalctl -u converge --no-pager");
        journal.lines().filter(|line| line.contains("→ Active")).count()
    }

    /// What the proxies' converge and nginx said.
    fn logs(&self) -> String {
        let of = |(_, name): &(&str, &str)| {
            let line = "ip -br address; systemctl status --no-pager -n 0 nginx; journalctl -u \
                converge -u nginx --no-pager -o short-precise | tail -n 60";
            let said = self.host(name).run(line);
            format!("== {name}\n{}\n", said.map_or_else(|e| e.to_string(), |output| output.stdout))
        };
        HOMES.iter().map(of).collect()
    }

    /// Does something to the nginx of a proxy. Its VIP leaves at once and returns once, the other
    /// one stays, and the client goes on.
    fn leaves_and_returns(&self, name: &str, line: &str) {
        let (proxy, other) = ("proxy101", "proxy102");
        let before = [proxy, other].map(|host| self.takeovers(host));
        let [moved, stayed] = self.watch(name, proxy, || {
            self.ok(proxy, line);
            let went = self.at_one(other);
            self.until(proxy, "systemctl is-active --quiet nginx");
            let came = self.at_home();
            std::thread::sleep(LONG);
            eprintln!("{name}: went after {went:.1?}, nginx ran and it came after {came:.1?}");
        });
        self.at_home();
        let after = [proxy, other].map(|host| self.takeovers(host));
        assert_eq!(after, before.map(|count| count + 1), "flapped\n{}", self.logs());
        assert!(stayed.error_count <= drill::under_way(&stayed), "{}", told(&stayed));
        // Requests that the old nginx had taken are lost; the next ones are answered.
        let silence = Duration::from_millis((moved.longest_gap_ms - moved.late_ms).max(0.0) as u64);
        assert!(silence < SILENCE / 4, "{}\n{}", told(&moved), self.logs());
    }
}

#[test]
fn each_proxy_holds_the_vip_that_prefers_it_and_asks_both_servers() {
    let Some(proxied) = proxied() else { return };
    let seen = proxied.watch("nothing", "proxy101", || ());
    for report in seen {
        assert_eq!(report.error_count, 0, "{}", told(&report));
        let servers: Vec<_> = report.servers.keys().map(String::as_str).collect();
        assert_eq!(servers, ["app1", "app2"]);
    }
    for host in SERVING {
        let journal = proxied.ok(host, "journalctl -u converge --no-pager");
        assert!(!journal.contains("ERROR"), "{host}:\n{journal}");
    }
}

#[test]
fn a_vip_leaves_when_nginx_is_stopped_and_returns_once_when_converge_has_started_it() {
    let Some(proxied) = proxied() else { return };
    proxied.leaves_and_returns("stop nginx", "systemctl stop nginx");
}

#[test]
fn a_vip_leaves_when_nginx_is_restarted_and_returns_once() {
    let Some(proxied) = proxied() else { return };
    proxied.leaves_and_returns("restart nginx", "systemctl restart nginx");
}

#[test]
fn a_vip_leaves_when_nginx_is_killed_and_returns_once_when_converge_has_started_it() {
    let Some(proxied) = proxied() else { return };
    proxied.leaves_and_returns("kill nginx", "systemctl kill --signal=KILL nginx");
}

#[test]
fn a_reload_of_nginx_moves_nothing_even_of_a_configuration_that_it_refuses() {
    let Some(proxied) = proxied() else { return };
    let before = HOMES.map(|(_, proxy)| proxied.takeovers(proxy));
    let seen = proxied.watch("reload nginx", "proxy101", || {
        proxied.ok("proxy101", "systemctl reload nginx");
        proxied.until("proxy101", "converge plan");
        let line = format!("echo nonsense > {BROKEN}; ! systemctl reload nginx");
        proxied.ok("proxy101", &line);
        std::thread::sleep(LONG);
    });
    assert_eq!(HOMES.map(|(_, proxy)| proxied.takeovers(proxy)), before, "{}", proxied.logs());
    proxied.at_home();
    for report in seen {
        assert!(report.error_count <= drill::under_way(&report), "{}", told(&report));
    }
}

#[test]
fn a_vip_stays_away_from_a_proxy_whose_nginx_refuses_its_configuration() {
    let Some(proxied) = proxied() else { return };
    let before = HOMES.map(|(_, proxy)| proxied.takeovers(proxy));
    proxied.watch("broken nginx", "proxy102", || {
        proxied.ok("proxy102", &format!("echo nonsense > {BROKEN}"));
        proxied.ok("proxy102", "systemctl stop nginx");
        proxied.at_one("proxy101");
        std::thread::sleep(LONG);
        proxied.at_one("proxy101");
        proxied.ok("proxy102", "! systemctl is-active nginx");
    });
    let journal = proxied.ok("proxy102", "journalctl -u converge --no-pager");
    assert!(journal.contains("broken.conf"), "nginx's reason is missing:\n{journal}");
    proxied.ok("proxy102", &format!("rm {BROKEN}"));
    proxied.at_home();
    let after = HOMES.map(|(_, proxy)| proxied.takeovers(proxy));
    assert_eq!(after, before.map(|count| count + 1), "flapped\n{}", proxied.logs());
}

#[test]
fn both_vips_are_at_the_proxy_that_is_left_when_power_fails() {
    let Some(proxied) = proxied() else { return };
    let [_, stayed] = proxied.watch("power off", "proxy102", || {
        proxied.host("proxy102").kill().unwrap_or_else(|error| panic!("{error}"));
        std::thread::sleep(SILENCE);
    });
    assert!(stayed.error_count <= drill::under_way(&stayed), "{}", told(&stayed));
    let left = proxied.ok("proxy101", "ip -oneline address show");
    for (vip, _) in HOMES {
        assert!(drill::has(&left, vip.parse().expect("an address")), "{left}");
    }
    let [came, _] = proxied.watch("power on", "proxy102", || {
        proxied.host("proxy102").boot().unwrap_or_else(|error| panic!("{error}"));
        proxied.at_home();
    });
    assert!(came.error_count <= drill::under_way(&came), "{}\n{}", told(&came), proxied.logs());
}

/// Real servers whose nginx nobody starts again, until this is dropped.
struct Left<'a>(&'a Proxied);

impl Left<'_> {
    /// Waits until this stands behind a server in the upstream of both proxies, which nginx has
    /// read by then; how long that took.
    fn marked(&self, app: &str, mark: &str) -> Duration {
        let begun = Instant::now();
        for (_, proxy) in HOMES {
            self.0.until(proxy, &format!("grep -q 'server {app} {mark};' {UPSTREAM}"));
            self.0.until(proxy, "converge plan");
        }
        begun.elapsed()
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        for (app, _) in APPS {
            self.0.ok(app, "systemctl start nginx converge");
        }
    }
}

#[test]
fn servers_that_are_stopped_get_no_requests_from_either_proxy_and_then_a_page_says_sorry() {
    let Some(proxied) = proxied() else { return };
    let left = Left(&proxied);
    for (app, _) in APPS {
        proxied.ok(app, "systemctl stop converge");
    }
    let [(app, first), (other, second)] = APPS;
    proxied.ok(app, "systemctl stop nginx");
    let took = left.marked(first, "down");
    eprintln!("{app} is down after {took:.1?}");
    assert!(took < DETECTION, "{took:?}\n{}", proxied.logs());
    let seen = proxied.watch("a server is down", "proxy101", || std::thread::sleep(LONG / 3));
    for report in seen {
        assert_eq!(report.error_count, 0, "{}", told(&report));
        let servers: Vec<_> = report.servers.keys().map(String::as_str).collect();
        assert_eq!(servers, [other]);
    }
    proxied.ok(app, "systemctl start nginx");
    left.marked(first, "weight=1");
    for (app, _) in APPS {
        proxied.ok(app, "systemctl stop nginx");
    }
    left.marked(first, "down");
    left.marked(second, "down");
    for (vip, _) in HOMES {
        let line = format!("curl -s -w '%{{http_code}}' http://{vip}/");
        let page = proxied.ok("client", &line);
        assert!(page.contains("Sorry") && page.ends_with("503"), "{page}\n{}", proxied.logs());
    }
    for (app, _) in APPS {
        proxied.ok(app, "systemctl start nginx");
    }
    left.marked(first, "weight=1");
    left.marked(second, "weight=1");
    let seen = proxied.watch("all are back", "proxy101", || std::thread::sleep(LONG / 3));
    for report in seen {
        assert_eq!(report.error_count, 0, "{}", told(&report));
        assert_eq!(report.servers.len(), 2, "{report:?}");
    }
}

fn at<'p>(placing: &'p Placing, vip: &str) -> &'p str {
    let vip = vip.parse().expect("an address");
    placing.get(&vip).map_or("", String::as_str)
}

/// For people.
fn told(seen: &Report) -> String {
    format!(
        "{}: {} of {} requests lost {:?}, at most {:.0} ms without an answer ({:.0} ms late \
         itself)",
        seen.url, seen.error_count, seen.requests, seen.errors, seen.longest_gap_ms, seen.late_ms
    )
}
