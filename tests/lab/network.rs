//! What a test may rely on between the machines of a lab.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use converge::lab::{Direction, Lab};

use super::Claim;

static LAB: LazyLock<Option<Lab>> = LazyLock::new(|| super::boot("network", &["a", "b"]));
static TURN: Mutex<()> = Mutex::new(());

/// The lab for one test at a time, with healthy links and warm ARP caches.
fn turn() -> Claim<Option<(&'static Lab, MutexGuard<'static, ()>)>> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(lab) = LAB.as_ref() else { return Ok(None) };
    lab.link("a").heal()?;
    lab.link("b").heal()?;
    lab.host("a").ok("ping -c 1 -W 5 b")?;
    Ok(Some((lab, turn)))
}

/// How many echo requests have arrived at b.
fn arrived(lab: &Lab) -> Claim<u32> {
    let text = lab.host("b").ok("nstat -asz IcmpInEchos | awk '/IcmpInEchos/ {print $2}'")?;
    Ok(text.stdout.trim().parse()?)
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("converge-{}-{name}", std::process::id()))
}

#[test]
fn machines_reach_each_other_by_name() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    lab.host("b").ok("ping -c 2 -i 0.2 -W 2 a")?;
    Ok(())
}

#[test]
fn a_cut_outwards_lets_frames_in_and_none_out() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    let before = arrived(lab)?;
    lab.link("b").cut(Direction::Out)?;
    assert!(!lab.host("a").run("ping -c 3 -i 0.2 -W 1 b")?.success());
    assert_eq!(arrived(lab)?, before + 3);
    lab.link("b").heal()?;
    lab.host("a").ok("ping -c 1 -W 2 b")?;
    Ok(())
}

#[test]
fn a_cut_inwards_lets_no_frames_in() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    let before = arrived(lab)?;
    lab.link("b").cut(Direction::In)?;
    assert!(!lab.host("a").run("ping -c 3 -i 0.2 -W 1 b")?.success());
    assert_eq!(arrived(lab)?, before);
    Ok(())
}

#[test]
fn a_delay_and_a_duplicate_are_seen_by_ping() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    lab.link("b").delay(Direction::Both, Duration::from_millis(100))?;
    lab.link("a").duplicate(Direction::Out, 1.0)?;
    let output = lab.host("a").ok("ping -c 3 -W 2 b")?;
    assert!(output.stdout.contains("DUP!"), "{}", output.stdout);
    let times = output.stdout.lines().filter_map(|line| line.split_once("time="));
    for (_, time) in times {
        let time: f64 = time.split(' ').next().unwrap_or_default().parse()?;
        assert!(time >= 200.0, "{}", output.stdout);
    }
    Ok(())
}

#[test]
fn a_loss_takes_some_frames_and_leaves_some() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    let before = arrived(lab)?;
    lab.link("b").loss(Direction::In, 0.5)?;
    lab.host("a").run("ping -c 40 -i 0.01 -W 1 b")?;
    lab.link("b").heal()?;
    let count = arrived(lab)? - before;
    assert!((5..=35).contains(&count), "{count} of 40 arrived");
    Ok(())
}

#[test]
fn a_pcap_has_the_frames_and_that_of_a_host_only_what_reached_it() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    let (all, only_b) = (file("all.pcap"), file("b.pcap"));
    lab.pcap(&all)?;
    lab.host("b").pcap(&only_b)?;
    lab.host("a").ok("ping -c 1 -p cafe -W 2 b")?;
    lab.link("b").cut(Direction::In)?;
    lab.host("a").run("ping -c 1 -p cafe -W 1 b")?;
    let requests = |path: &PathBuf| -> Claim<String> {
        lab.host("a").write_file("/tmp/x.pcap", std::fs::read(path)?)?;
        let read = "tcpdump -r /tmp/x.pcap 'icmp[icmptype] == icmp-echo' 2> /dev/null | wc -l";
        Ok(lab.host("a").ok(read)?.stdout)
    };
    assert_eq!(requests(&all)?, "2\n");
    assert_eq!(requests(&only_b)?, "1\n");
    for path in [all, only_b] {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[test]
fn a_large_transfer_survives_the_switch() -> Claim {
    let Some((lab, _turn)) = turn()? else { return Ok(()) };
    let (a, b) = (lab.host("a"), lab.host("b"));
    let expected = b.ok("head -c 30000000 /dev/urandom > /srv/big; md5sum < /srv/big")?;
    b.ok("socat TCP-LISTEN:7777 OPEN:/srv/big > /dev/null 2>&1 &")?;
    a.until("nc=1; socat -u TCP:b:7777 CREATE:/srv/big", Duration::from_secs(30))?;
    assert_eq!(a.ok("md5sum < /srv/big")?.stdout, expected.stdout);
    Ok(())
}
