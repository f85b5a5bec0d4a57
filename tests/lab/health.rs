//! What becomes of real servers that fail, return, are drained, or only seem to have failed.
//!
//! On the servers converge does not stay while a test breaks them: it would mend them first. Times
//! are not asserted beyond what the checks' own words promise, with room for a busy computer.

use std::sync::MutexGuard;
use std::time::Duration;

use converge::probe::report::Report;

use super::directors::{Directed, PATIENCE, VIP, directed};

/// Those who could hold the VIP.
const DIRECTORS: [&str; 2] = ["master", "backup"];
/// Those behind it.
const WEBS: [&str; 2] = ["web1", "web2"];
/// fall × every + timeout is 4 s; and as much again for a busy computer, twice.
const DETECTION: Duration = Duration::from_secs(12);
/// Between two requests of the client.
const INTERVAL: Duration = Duration::from_millis(10);

/// The machines, with real servers on which nobody puts right what a test breaks; they are mended
/// when it ends, however it ends.
struct Broken {
    directed: MutexGuard<'static, Directed>,
    /// When the test began, by each director's clock.
    since: Vec<(&'static str, String)>,
}

fn broken() -> Option<Broken> {
    let directed = directed()?;
    let began = |name| (name, directed.ok(name, "date +%s.%N").trim().to_owned());
    let since = DIRECTORS.map(began).to_vec();
    let broken = Broken { directed, since };
    for web in WEBS {
        broken.directed.ok(web, "systemctl stop converge");
    }
    broken.settle();
    Some(broken)
}

impl Drop for Broken {
    fn drop(&mut self) {
        for web in WEBS {
            self.directed.ok(web, "systemctl start apache2 converge; converge plan; true");
        }
        let (holder, _) = self.directed.holder();
        for web in WEBS {
            self.directed.ok(&holder, &format!("converge ready {web}; true"));
        }
    }
}

impl Broken {
    /// Waits until both directors send traffic to both servers.
    fn settle(&self) {
        for director in DIRECTORS {
            for web in WEBS {
                self.is(director, web, "up");
            }
            self.directed.until(director, "test $(ipvsadm -Ln | grep -c Route) = 2");
        }
    }

    /// Waits until a director takes a server to stand so.
    fn is(&self, director: &str, web: &str, standing: &str) {
        self.directed
            .until(director, &format!("converge servers | grep -w {web} | grep -w {standing}"));
    }

    /// What a director said about something since the test began.
    fn said(&self, director: &str, words: &str) -> String {
        let since = self.since.iter().find(|(name, _)| *name == director);
        let (_, since) = since.expect("it is a director");
        let journal = format!(
            "journalctl -u converge --no-pager --since @{since} | grep -F '{words}' | tail -n 1"
        );
        self.directed.until(director, &format!("test -n \"$({journal})\""));
        self.directed.ok(director, &journal)
    }

    /// A client asks twenty times, and this server alone answers.
    fn all_from(&self, web: &str) {
        let line = format!("converge probe http://{VIP}/ --count 20 -o json");
        let seen =
            self.directed.host("client").run(&line).unwrap_or_else(|error| panic!("{error}"));
        let report: Report = serde_json::from_str(&seen.stdout).expect("a report");
        let servers: Vec<&String> = report.servers.keys().collect();
        assert!(report.ok > 0 && servers == [web], "{}", seen.stdout);
    }

    /// What a client gets, and with which status.
    fn page(&self) -> String {
        self.directed.ok("client", &format!("curl -s -w '%{{http_code}}' http://{VIP}/"))
    }
}

#[test]
fn servers_that_are_stopped_one_by_one_leave_and_return_and_then_a_page_says_sorry() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, other) = directed.holder();
    for web in WEBS {
        let seen = directed.watch(&format!("{web} stops"), || {
            directed.host(web).ok("systemctl stop apache2")?;
            broken.is(&holder, web, "down");
            directed.host(&holder).until("test $(ipvsadm -Ln | grep -c Route) = 1", PATIENCE)?;
            Ok(())
        });
        let most = DETECTION.as_millis() / INTERVAL.as_millis() / 2;
        let lost = u128::from(seen.report.error_count);
        assert!(lost <= most, "more than {most}: {}\n{}", seen.told(), directed.logs());
        broken.said(&holder, &format!("{web} (192.168.100."));
        // Out, and on its way back: no client notices. What is late on a busy computer is no word
        // of a server's.
        let seen = directed.watch(&format!("{web} is out, and returns"), || {
            directed.host(web).ok("systemctl start apache2")?;
            broken.is(&holder, web, "up");
            directed.host(&holder).until("test $(ipvsadm -Ln | grep -c Route) = 2", PATIENCE)?;
            Ok(())
        });
        let mut kinds = seen.report.errors.keys();
        assert!(kinds.all(|kind| kind == "timeout"), "{}\n{}", seen.told(), directed.logs());
        assert!(seen.report.servers.contains_key(web), "{:?}", seen.report.servers);
    }
    for web in WEBS {
        directed.ok(web, "systemctl stop apache2");
    }
    for director in [&holder, &other] {
        directed.until(director, "ipvsadm -Ln | grep -w 127.0.0.1:80 | grep -w Local");
    }
    let page = broken.page();
    assert!(page.contains("Sorry") && page.ends_with("503"), "{page}\n{}", directed.logs());
    for web in WEBS {
        directed.ok(web, "systemctl start apache2");
    }
    broken.settle();
    let page = broken.page();
    assert!(page.ends_with("200"), "{page}\n{}", directed.logs());
}

#[test]
fn a_table_that_is_emptied_by_hand_is_back_at_once() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, _) = directed.holder();
    let table = directed.ok(&holder, "ipvsadm -Sn");
    let seen = directed.watch("ipvsadm -C", || {
        directed.host(&holder).ok("ipvsadm -C")?;
        directed.host(&holder).until("test $(ipvsadm -Ln | grep -c Route) = 2", PATIENCE)?;
        Ok(())
    });
    assert_eq!(directed.ok(&holder, "ipvsadm -Sn"), table);
    let lost = Duration::from_millis(seen.report.error_count * INTERVAL.as_millis() as u64);
    assert!(lost < Duration::from_secs(5), "{}\n{}", seen.told(), directed.logs());
}

#[test]
fn a_drained_server_ends_what_it_has_begun_and_gets_nothing_new() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, other) = directed.holder();
    std::thread::scope(|scope| {
        let download = directed.download(scope);
        // Some of the four are at either server by now.
        directed.until(&holder, "ipvsadm -Lnc | grep ESTABLISHED | grep -q 100.40:80");
        let drained = format!("{holder}: converge drain web1 --wait --timeout 110s");
        let output = directed.host(&holder).run_for(
            "converge drain web1 --wait --timeout 110s",
            b"",
            PATIENCE,
        );
        let output = output.unwrap_or_else(|error| panic!("{drained}: {error}"));
        assert!(output.success(), "{}{}\n{}", output.stdout, output.stderr, directed.logs());
        // It waited for them.
        let left = "ipvsadm -Lnc | grep ESTABLISHED | grep 100.40:80 || true";
        assert_eq!(directed.ok(&holder, left), "", "{}", output.stdout);
        let said = download.join().expect("a thread");
        assert_eq!(said, "3000000\n".repeat(4), "a download broke off\n{}", directed.logs());
    });
    broken.all_from("web2");
    // The other director has heard of it, and neither forgets it when it is started again.
    broken.is(&other, "web1", "draining");
    directed.ok(&holder, "systemctl restart converge");
    broken.is(&holder, "web1", "draining");
    let plan = directed.ok(&holder, "converge plan");
    assert!(plan.contains("nothing to do"), "{plan}");
    directed.ok(&other, "converge ready web1");
    broken.settle();
}

#[test]
fn a_server_that_has_not_got_the_vip_is_named_and_gets_no_traffic() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, _) = directed.holder();
    directed.ok("web1", &format!("ip address del {VIP}/32 dev lo"));
    broken.is(&holder, "web1", "down");
    let said = broken.said(&holder, "web1 (192.168.100.40:80) is out");
    assert!(said.contains(&format!("ip address add {VIP}/32 dev lo")), "{said}");
    directed.until(&holder, "test $(ipvsadm -Ln | grep -c Route) = 1");
    broken.all_from("web2");
    directed.ok("web1", &format!("ip address add {VIP}/32 dev lo"));
    broken.settle();
}

#[test]
fn a_server_that_answers_arp_for_the_vip_is_named() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, _) = directed.holder();
    let set = |value: u8| {
        let line = format!(
            "for i in all lo ens33; do echo {value} > /proc/sys/net/ipv4/conf/$i/arp_ignore; done"
        );
        directed.ok("web2", &line);
    };
    set(0);
    let said = broken.said(&holder, "arp_ignore");
    set(1);
    let mac = directed.ok("web2", "cat /sys/class/net/ens33/address");
    let named = format!("real server web2 ({}) answers ARP for the VIP {VIP}", mac.trim());
    assert!(said.contains(&named), "{said}");
}

#[test]
fn a_director_that_sees_no_server_while_the_other_does_keeps_them_and_gives_the_vip_away() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, other) = directed.holder();
    let webs = "192.168.100.40,192.168.100.50";
    directed.ok(&holder, &format!("iptables-legacy -I OUTPUT -d {webs} -j DROP"));
    for web in WEBS {
        broken.is(&holder, web, "held");
    }
    let table = directed.ok(&holder, "ipvsadm -Ln");
    directed.holds(&other);
    let page = broken.page();
    directed.ok(&holder, &format!("iptables-legacy -D OUTPUT -d {webs} -j DROP"));
    assert_eq!(table.matches("Route").count(), 2, "{table}\n{}", directed.logs());
    assert!(page.ends_with("200"), "{page}\n{}", directed.logs());
    broken.settle();
}

#[test]
fn a_director_that_is_cut_off_keeps_the_servers_that_it_had() {
    let Some(broken) = broken() else { return };
    let directed = &broken.directed;
    let (holder, _) = directed.holder();
    directed.lab().link(&holder).cut(converge::lab::Direction::Both).expect("the lab is up");
    for web in WEBS {
        broken.is(&holder, web, "held");
    }
    let table = directed.ok(&holder, "ipvsadm -Ln");
    let page = broken.page();
    directed.lab().link(&holder).heal().expect("the lab is up");
    assert!(page.ends_with("200"), "the other has the VIP: {page}\n{}", directed.logs());
    assert_eq!(table.matches("Route").count(), 2, "{table}\n{}", directed.logs());
    broken.settle();
}
