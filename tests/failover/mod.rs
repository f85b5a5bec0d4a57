//! Directors as processes, in network namespaces of this kernel: what keepalived gets wrong.
//!
//! Each test is a failure of keepalived 2.2.7 that was seen there, or a promise of ours. Nothing
//! here is timed: benches/failover.rs measures.

pub(crate) mod node;
pub(crate) mod segment;

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use node::{Node, ROLE, VIP, cluster};
use segment::Segment;

const AB: [&str; 2] = ["a", "b"];

/// Two directors of which `a` is Active.
fn pair<'s>(segment: &'s Segment, vars: &str) -> (Node<'s>, Node<'s>) {
    let text = cluster(&AB, vars);
    let mut a = Node::new(segment, "a", &text).with_key();
    let mut b = Node::new(segment, "b", &text).with_key();
    a.start();
    held(segment, "a", &a, &b);
    b.start();
    b.await_log("Initialize → Backup");
    held(segment, "a", &a, &b);
    (a, b)
}

/// Waits until one host and no other has the VIP.
fn held(segment: &Segment, host: &str, a: &Node<'_>, b: &Node<'_>) {
    if let Err(error) = segment.await_holder(VIP, host) {
        panic!("{error}\n---- a\n{}\n---- b\n{}", a.log(), b.log());
    }
}

#[test]
fn the_preferred_director_holds_the_vip_and_the_other_takes_it_over_and_gives_it_back() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "");
    a.signal(Signal::SIGTERM);
    held(&segment, "b", &a, &b);
    assert!(a.ended(), "{}", a.log());
    a.start();
    held(&segment, "a", &a, &b);
}

#[test]
fn whoever_was_first_stays_if_nobody_is_to_preempt() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "preempt = \"never\"");
    a.signal(Signal::SIGTERM);
    held(&segment, "b", &a, &b);
    assert!(a.ended(), "{}", a.log());
    a.start();
    a.await_log("Backup");
    sleep(Duration::from_secs(2));
    assert_eq!(segment.holders(VIP), ["b"], "{}", a.log());
}

#[test]
fn a_bad_reload_changes_nothing_and_says_why() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "");
    for (wrong, named) in [
        ("[[vrrp]]\nvirtual_routr_id = 51\n", "virtual_routr_id"),
        ("[vars", "cluster.toml"),
        ("[[hold]]\naddress = \"192.0.2.900\"\ninterface = \"eth0\"\n", "192.0.2.900"),
    ] {
        match named {
            "cluster.toml" => a.write("cluster.toml", wrong),
            _ => a.write("roles/holder.toml", &format!("{ROLE}\n{wrong}")),
        }
        a.signal(Signal::SIGHUP);
        a.await_log(named);
        assert!(a.runs());
        a.write("cluster.toml", &cluster(&AB, ""));
        a.write("roles/holder.toml", ROLE);
    }
    sleep(Duration::from_secs(1));
    held(&segment, "a", &a, &b);
    assert!(!a.log().contains("Active → "), "{}", a.log());
}

#[test]
fn a_vip_that_is_added_node_by_node_never_makes_two_active() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    let before = b.log().matches("→ Active").count();
    let more = cluster(&AB, "").replace("[vip]\n", "[vip]\nmore = \"192.0.2.101\"\n");
    a.write("cluster.toml", &more);
    a.signal(Signal::SIGHUP);
    segment.await_holder("192.0.2.101", "a").unwrap_or_else(|e| panic!("{e}\n{}", a.log()));
    sleep(Duration::from_secs(2));
    held(&segment, "a", &a, &b);
    b.write("cluster.toml", &more);
    b.signal(Signal::SIGHUP);
    b.await_log("files read again");
    sleep(Duration::from_secs(1));
    held(&segment, "a", &a, &b);
    assert_eq!(b.log().matches("→ Active").count(), before, "{}", b.log());
}

#[test]
fn a_reload_that_changes_nothing_moves_nothing() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    let before = a.log().matches(" → ").count();
    for _ in 0..5 {
        a.signal(Signal::SIGHUP);
        sleep(Duration::from_millis(200));
    }
    held(&segment, "a", &a, &b);
    assert_eq!(a.log().matches(" → ").count(), before, "{}", a.log());
}

#[test]
fn a_vip_is_neither_lost_nor_left_behind_when_its_converge_is_killed() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "");
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    // The kernel of `a` goes on answering until `b` has taken over, and drops the VIP after.
    held(&segment, "b", &a, &b);
    a.start();
    held(&segment, "a", &a, &b);
}

#[test]
fn a_lease_ends_a_vip_although_nobody_else_is_there() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, mut b) = pair(&segment, "");
    b.signal(Signal::SIGTERM);
    assert!(b.ended(), "{}", b.log());
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    let end = std::time::Instant::now() + segment::PATIENCE;
    while segment.has("a", VIP) {
        assert!(std::time::Instant::now() < end, "the VIP stays on a host without converge");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn release_gives_the_vips_of_the_dead_to_a_peer() {
    let Some(segment) = Segment::new(&AB) else { return };
    let text = cluster(&AB, "interval = \"1s\"");
    // Without a key nobody hears of the death but by VRRP.
    let (mut a, b) = (Node::started(&segment, "a", &text), Node::started(&segment, "b", &text));
    held(&segment, "a", &a, &b);
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    let output = a.converge("release");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 VIP released"), "{output:?}");
    held(&segment, "b", &a, &b);
}

#[test]
fn release_takes_nothing_from_a_peer_that_was_active_all_along() {
    let Some(segment) = Segment::new(&AB) else { return };
    let second = format!(
        "{ROLE}\n[[vrrp]]\nname = \"db\"\nvrid = 52\ninterface = \"eth0\"\ninterval = \"1s\"\n\
         priority = \"{{{{#if (eq me.name 'a')}}}}50{{{{else}}}}250{{{{/if}}}}\"\n\
         [[hold]]\nrouter = \"db\"\naddress = \"192.0.2.101/32\"\ninterface = \"eth0\"\n"
    );
    let second = second.replace("for-each = \"vip\"\n", "for-each = \"vip\"\nrouter = \"web\"\n");
    let text = cluster(&AB, "interval = \"1s\"");
    let (mut a, mut b) = (Node::new(&segment, "a", &text), Node::new(&segment, "b", &text));
    for node in [&mut a, &mut b] {
        node.write("roles/holder.toml", &second);
        node.start();
    }
    held(&segment, "a", &a, &b);
    segment.await_holder("192.0.2.101", "b").unwrap_or_else(|e| panic!("{e}\n{}", a.log()));
    let mut command = segment.command("a");
    let monitor = command.args(["ip", "monitor", "address"]);
    let mut monitor = monitor.stdout(std::process::Stdio::piped()).spawn().expect("ip can be run");
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    let output = a.converge("release");
    assert!(output.status.success(), "{output:?}");
    held(&segment, "b", &a, &b);
    monitor.kill().expect("our own child");
    let seen = monitor.wait_with_output().expect("our own child").stdout;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.contains("Deleted") && seen.contains(VIP), "{seen}");
    assert!(!seen.contains("192.0.2.101"), "{seen}");
}

#[test]
fn a_planned_restart_does_not_move_the_vip() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "");
    let before = b.log().matches("→ Active").count();
    for _ in 0..3 {
        a.signal(Signal::SIGUSR2);
        assert!(a.ended(), "{}", a.log());
        assert!(segment.has("a", VIP), "{}", a.log());
        let output = a.converge("release");
        assert!(String::from_utf8_lossy(&output.stdout).contains("stay"), "{output:?}");
        a.start();
        sleep(Duration::from_secs(2));
        held(&segment, "a", &a, &b);
    }
    assert_eq!(b.log().matches("→ Active").count(), before, "{}", b.log());
}

#[test]
fn a_restart_with_wrong_files_gives_the_vip_away() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, b) = pair(&segment, "");
    a.write("cluster.toml", "[vars");
    a.signal(Signal::SIGUSR2);
    held(&segment, "b", &a, &b);
    assert!(a.ended(), "{}", a.log());
    assert!(a.log().contains("cannot be started again"), "{}", a.log());
}

#[test]
fn a_vip_that_somebody_deletes_is_back_without_leaving_active() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    let changes = a.log().matches(" → ").count();
    for _ in 0..3 {
        segment.ok("a", &format!("ip address del {VIP}/32 dev eth0"));
        held(&segment, "a", &a, &b);
    }
    // It is back so fast that this gives up after ten rounds.
    segment.run("a", "ip address flush dev eth0 to 192.0.2.100");
    held(&segment, "a", &a, &b);
    assert_eq!(a.log().matches(" → ").count(), changes, "{}", a.log());
}

#[test]
fn a_check_script_that_is_deleted_has_failed() {
    let Some(segment) = Segment::new(&AB) else { return };
    let script = std::env::temp_dir().join(format!("{}-check", segment.namespace("a")));
    let text = "#!/bin/sh\nexit 0\n";
    std::fs::write(&script, text).expect("a script of our own");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("a script of our own");
    // Only `a` runs it, so only `a` can fail.
    let track = format!(
        "{ROLE}\n[[track]]\nwhen = \"{{{{#if (eq me.name 'a')}}}}yes{{{{/if}}}}\"\n\
         name = \"check\"\nscript = \"{}\"\nuser = \"root\"\nevery = \"200ms\"\n\
         rise = 1\nfall = 1\n",
        script.display()
    );
    let text = cluster(&AB, "");
    let (mut a, mut b) = (Node::new(&segment, "a", &text), Node::new(&segment, "b", &text));
    for node in [&mut a, &mut b] {
        node.write("roles/holder.toml", &track);
        node.start();
    }
    held(&segment, "a", &a, &b);
    std::fs::remove_file(&script).expect("a script of our own");
    held(&segment, "b", &a, &b);
    assert!(a.log().contains("check"), "{}", a.log());
}

#[test]
fn a_host_that_cannot_balance_does_not_draw_the_traffic_but_speaks_vrrp() {
    let Some(segment) = Segment::new(&AB) else { return };
    if segment.run("a", "modprobe -n ip_vs").status.success() {
        crate::kinds::apart::skipped("a test without ip_vs", "this kernel has ip_vs");
        return;
    }
    let server = format!(
        "{ROLE}\n[[virtual-server]]\nwhen = \"{{{{#if (eq me.name 'a')}}}}yes{{{{/if}}}}\"\n\
         address = \"{VIP}\"\nports = \"80\"\nreal-servers = \"holder\"\n\
         scheduler = \"rr\"\nforward = \"dr\"\n"
    );
    let text = cluster(&AB, "");
    let (mut a, mut b) = (Node::new(&segment, "a", &text), Node::new(&segment, "b", &text));
    for node in [&mut a, &mut b] {
        node.write("roles/holder.toml", &server);
        node.start();
    }
    held(&segment, "b", &a, &b);
    assert!(a.runs(), "{}", a.log());
    assert!(a.log().contains("virtual-server"), "{}", a.log());
}

#[test]
fn a_process_that_stood_still_comes_back_as_backup_and_does_not_shout() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "preempt = \"never\"");
    let before = b.log().matches("→ Active").count();
    a.signal(Signal::SIGSTOP);
    b.await_log("Backup → Active: heard nobody");
    a.signal(Signal::SIGCONT);
    held(&segment, "b", &a, &b);
    sleep(Duration::from_secs(1));
    held(&segment, "b", &a, &b);
    assert_eq!(b.log().matches("→ Active").count(), before + 1, "{}", b.log());
}

#[test]
fn after_a_partition_one_gives_way_and_the_other_announces_the_vip_again() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    segment.cut("b", true);
    b.await_log("→ Active: heard nobody");
    assert_eq!(segment.holders(VIP), AB);
    segment.cut("b", false);
    held(&segment, "a", &a, &b);
    assert!(b.log().contains("Active → Backup"), "{}", b.log());
}

#[test]
fn a_firewall_that_drops_the_protocol_makes_no_two_active_while_the_directors_reach_each_other() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (mut a, mut b) = pair(&segment, "");
    // Some advertisements have come through. Where they have not, on a busy computer, the other
    // one does not even become Active, and says the same.
    sleep(Duration::from_millis(2500));
    if !AB.iter().all(|host| segment.filter(host, true)) {
        crate::kinds::apart::skipped("a test of a firewall", "neither nft nor iptables works");
        return;
    }
    b.await_log("a firewall or security group");
    held(&segment, "a", &a, &b);
    let changes = |node: &Node<'_>| node.log().matches(" → ").count();
    let before = (changes(&a), changes(&b));
    for _ in 0..20 {
        sleep(Duration::from_millis(250));
        assert_eq!(segment.holders(VIP), ["a"], "{}", b.log());
    }
    // Who starts behind the firewall does not take the VIP either.
    b.signal(Signal::SIGTERM);
    assert!(b.ended(), "{}", b.log());
    b.start();
    for _ in 0..16 {
        sleep(Duration::from_millis(250));
        assert_eq!(segment.holders(VIP), ["a"], "{}", b.log());
    }
    let started = changes(&b);
    for host in AB {
        assert!(segment.filter(host, false));
    }
    sleep(Duration::from_secs(2));
    held(&segment, "a", &a, &b);
    assert_eq!((changes(&a), changes(&b)), (before.0, started), "{}", b.log());
    assert!(started <= before.1 + 3, "{}", b.log());
    // And it is not asleep.
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    held(&segment, "b", &a, &b);
}

#[test]
fn a_host_without_carrier_gives_the_vip_up_and_takes_it_back() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    segment.plug("a", false);
    held(&segment, "b", &a, &b);
    a.await_log("→ Fault");
    segment.plug("a", true);
    held(&segment, "a", &a, &b);
}

#[test]
fn files_that_differ_between_directors_are_named_and_harm_nothing() {
    let Some(segment) = Segment::new(&AB) else { return };
    let (a, b) = pair(&segment, "");
    b.write("cluster.toml", &cluster(&AB, "transport = \"unicast\""));
    b.signal(Signal::SIGHUP);
    b.await_log("vars.transport");
    a.await_log("vars.transport");
    sleep(Duration::from_secs(1));
    held(&segment, "a", &a, &b);
}

#[test]
fn who_is_at_work_by_hand_for_a_moment_does_not_keep_a_director_from_starting() {
    let Some(segment) = Segment::new(&AB) else { return };
    let text = cluster(&AB, "");
    let mut a = Node::new(&segment, "a", &text);
    let lock = std::fs::File::create(a.path("run/lock")).expect("a file of our own");
    lock.lock().expect("nobody else has it");
    a.start();
    sleep(Duration::from_secs(1));
    assert!(a.runs() && !segment.has("a", VIP), "{}", a.log());
    drop(lock);
    segment.await_holder(VIP, "a").unwrap_or_else(|e| panic!("{e}\n{}", a.log()));
}
