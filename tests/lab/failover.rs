//! What becomes of a VIP when something happens to the director that holds it.
//!
//! Times are not asserted, for the computer may be busy, but one: two hosts never answer for a VIP
//! for longer than its lease.

use std::time::Duration;

use converge::lab::{Direction, drill};

use super::directors::{CLUSTER, Directed, PATIENCE, SERVING, Seen, VIP, directed};

/// The lease of a VIP of a router with an interval of a second.
const LEASE: Duration = Duration::from_secs(8);
/// Longer than the time after which an Active director that is silent is given up, 3.6 s.
const SILENCE: Duration = Duration::from_secs(8);
/// After which the directors have told each other of a connection: the kernel waits 2 s for more.
const SYNCHRONISED: Duration = Duration::from_secs(5);

impl Directed {
    /// The VIP moved to this director, and two never answered for it for longer than its lease.
    fn moved(&self, seen: &Seen, to: &str) {
        self.holds(to);
        assert!(!seen.answers.is_empty(), "nobody answered for the VIP\n{}", self.logs());
        assert!(seen.two_at_once() <= LEASE, "{}\n{}", seen.told(), self.logs());
    }

    /// The client lost nothing but what was under way when the VIP moved.
    fn well(&self, seen: &Seen) {
        let lost = seen.report.error_count;
        assert!(lost <= drill::under_way(&seen.report), "{}\n{}", seen.told(), self.logs());
    }
}

#[test]
fn the_service_alone_makes_hosts_what_their_roles_say() {
    let Some(directed) = directed() else { return };
    for host in SERVING {
        // A host is looked at again from time to time, and then at the latest all is well.
        directed.until(host, "converge plan");
    }
    for host in ["nfs", "web1", "web2"] {
        let journal = directed.ok(host, "journalctl -u converge --no-pager");
        assert!(!journal.contains("ERROR"), "{host}:\n{journal}");
    }
}

#[test]
fn the_lease_is_as_long_as_these_tests_take_it_for() {
    let Some(directed) = directed() else { return };
    let (holder, _) = directed.holder();
    let listing = directed.ok(&holder, &format!("ip -oneline address show to {VIP}"));
    let left = listing.split("valid_lft ").nth(1).and_then(|text| text.split("sec").next());
    let left: u64 = left.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{listing}"));
    assert!(Duration::from_secs(left) <= LEASE, "{listing}");
    assert!(listing.contains("ens33:0"), "the label of the cluster file: {listing}");
}

#[test]
fn a_vip_moves_when_the_service_is_stopped_and_established_connections_with_it() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    std::thread::scope(|scope| {
        let download = directed.download(scope);
        std::thread::sleep(SYNCHRONISED);
        let seen = directed.watch("stop", || {
            directed.host(&holder).ok("systemctl stop converge")?;
            directed.holds(&other);
            Ok(())
        });
        directed.moved(&seen, &other);
        directed.well(&seen);
        let said = download.join().expect("a thread");
        assert_eq!(said, "3000000\n".repeat(4), "a download broke off\n{}", directed.logs());
    });
}

#[test]
fn a_restart_of_the_service_does_not_move_the_vip() {
    let Some(directed) = directed() else { return };
    let (holder, _) = directed.holder();
    let seen = directed.watch("restart", || {
        directed.host(&holder).ok("systemctl restart converge")?;
        Ok(())
    });
    let mac = directed.ethernet(&holder);
    assert!(seen.answers.iter().all(|(_, m)| *m == mac), "{}\n{}", seen.told(), directed.logs());
    directed.holds(&holder);
    directed.well(&seen);
}

#[test]
fn a_converge_that_is_killed_is_started_again_and_the_vip_is_at_one_director() {
    let Some(directed) = directed() else { return };
    let (holder, _) = directed.holder();
    let before = directed.ok(&holder, "systemctl show -P MainPID converge");
    let seen = directed.watch("kill -9", || {
        directed.host(&holder).ok(&format!("kill -9 {}", before.trim()))?;
        std::thread::sleep(SILENCE);
        Ok(())
    });
    directed.until(&holder, "systemctl is-active --quiet converge");
    assert_ne!(directed.ok(&holder, "systemctl show -P MainPID converge"), before);
    let (now, _) = directed.holder();
    directed.moved(&seen, &now);
    directed.well(&seen);
}

#[test]
fn a_vip_moves_when_the_power_fails_and_stays_when_it_comes_back() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let seen = directed.watch("power off", || {
        directed.host(&holder).kill()?;
        std::thread::sleep(SILENCE);
        Ok(())
    });
    assert_eq!(seen.last(), Some(directed.ethernet(&other)), "{}", seen.told());
    let back = directed.watch("power on", || directed.host(&holder).boot());
    directed.moved(&back, &other);
    directed.well(&back);
}

#[test]
fn a_director_that_stood_still_finds_that_it_no_longer_holds_the_vip() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let seen = directed.watch("stall and return", || {
        directed.host(&holder).stop()?;
        std::thread::sleep(SILENCE);
        directed.host(&holder).resume()?;
        std::thread::sleep(SILENCE);
        Ok(())
    });
    directed.moved(&seen, &other);
}

#[test]
fn a_director_that_was_cut_off_yields_when_it_hears_the_other_again() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let seen = directed.watch("partition and heal", || {
        directed.lab().link(&holder).cut(Direction::Both)?;
        std::thread::sleep(SILENCE);
        directed.lab().link(&holder).heal()?;
        std::thread::sleep(SILENCE);
        Ok(())
    });
    let (now, _) = directed.holder();
    directed.moved(&seen, &now);
    let met = [&holder, &other].map(|name| directed.ethernet(name));
    assert!(seen.answers.iter().all(|(_, mac)| met.contains(mac)));
}

#[test]
fn a_director_that_boots_again_in_order_gives_the_vip_away_first() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let seen = directed.watch("reboot", || directed.host(&holder).reboot());
    directed.moved(&seen, &other);
    directed.well(&seen);
    directed.until(&holder, "systemctl is-active --quiet converge");
}

#[test]
fn a_bad_file_fails_the_reload_with_its_errors_and_changes_nothing() {
    let Some(directed) = directed() else { return };
    let (holder, _) = directed.holder();
    let pid = directed.ok(&holder, "systemctl show -P MainPID converge");
    directed.give(&holder, &format!("{CLUSTER}schedular = \"wlc\"\n"));
    let seen = directed.watch("bad reload", || {
        let output = directed.host(&holder).run("systemctl reload converge")?;
        assert_ne!(output.status, 0, "a bad file was taken");
        Ok(())
    });
    let journal = directed.ok(&holder, "journalctl -u converge --no-pager | tail -n 20");
    assert!(journal.contains("schedular"), "the journal does not say what is wrong:\n{journal}");
    directed.holds(&holder);
    directed.well(&seen);
    assert_eq!(directed.ok(&holder, "systemctl show -P MainPID converge"), pid);
    directed.ok(&holder, "systemctl is-active converge");
}

#[test]
fn a_restart_with_a_bad_file_gives_the_vip_to_the_other_director() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    directed.give(&holder, &format!("{CLUSTER}schedular = \"wlc\"\n"));
    let seen = directed.watch("restart with a bad file", || {
        let output = directed.host(&holder).run("systemctl restart converge")?;
        assert_ne!(output.status, 0, "a bad file was taken");
        directed.holds(&other);
        Ok(())
    });
    directed.moved(&seen, &other);
    directed.well(&seen);
}

#[test]
fn a_good_file_is_taken_over_by_a_reload_and_moves_nothing() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let changed = super::directors::cluster().replace("\"rr\"", "\"wrr\"");
    let seen = directed.watch("reload", || {
        for host in [&other, &holder] {
            directed.give(host, &changed);
            directed.host(host).ok("systemctl reload converge")?;
            directed.host(host).until("ipvsadm -Ln | grep -w wrr", PATIENCE)?;
        }
        Ok(())
    });
    directed.holds(&holder);
    directed.well(&seen);
    for host in [&other, &holder] {
        directed.give(host, &super::directors::cluster());
        directed.ok(host, "systemctl reload converge");
    }
}

#[test]
fn beside_the_service_a_converge_by_hand_says_so_and_a_plan_shows_the_vip() {
    let Some(directed) = directed() else { return };
    let (holder, other) = directed.holder();
    let output = directed.host(&holder).run("converge").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.status, 5, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("systemctl reload converge"), "{}", output.stderr);
    for (host, place) in [(holder, "here now"), (other, "not here now")] {
        let plan = directed.ok(&host, "converge plan");
        assert!(plan.contains(&format!("{VIP}/32 (main: {place})")), "{plan}");
        assert!(plan.contains("nothing to do"), "{plan}");
    }
}
