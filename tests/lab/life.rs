//! What a test may rely on about the life and death of machines.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use converge::lab::control::Life;

use super::Claim;

/// How the test of a killed owner starts that owner.
const OWNER: &str = "lab::life::the_owner_that_is_killed";

#[test]
fn a_machine_keeps_its_disk_when_the_plug_is_pulled_and_when_it_reboots() -> Claim {
    let Some(lab) = super::boot("life", &["a", "b"]) else {
        return Ok(());
    };
    let (a, b) = (lab.host("a"), lab.host("b"));
    a.ok("echo kept > /etc/kept && echo kept > /var/lib/kept && sync")?;
    a.ok("echo lost > /run/lost; echo lost > /srv/not-synced")?;

    a.kill()?;
    assert_eq!(a.status()?.life, Life::Down);
    assert!(a.run("true").is_err());
    assert!(!b.run("ping -c 1 -W 1 a")?.success());
    assert!(a.kill().is_err(), "what is down cannot be killed");

    a.boot()?;
    assert_eq!(a.ok("cat /etc/kept /var/lib/kept")?.stdout, "kept\nkept\n");
    assert!(!a.run("test -e /run/lost")?.success());
    b.until("ping -c 1 -W 1 a", Duration::from_secs(10))?;

    a.reboot()?;
    assert_eq!(a.read_file("/etc/kept")?, "kept\n");
    assert_eq!(a.status()?.boots, 3);

    a.shut_down()?;
    assert_eq!(a.status()?.life, Life::Down);
    let name = lab.name().to_owned();
    lab.down()?;
    assert_eq!(machines_of(&name)?, 0);
    Ok(())
}

#[test]
fn a_stopped_machine_does_nothing_and_goes_on_where_it_was() -> Claim {
    let Some(lab) = super::boot("stall", &["a", "b"]) else {
        return Ok(());
    };
    let (a, b) = (lab.host("a"), lab.host("b"));
    a.ok("(while :; do date +%s%N; sleep 0.1; done) > /run/beats 2> /dev/null &")?;
    std::thread::sleep(Duration::from_millis(500));
    a.stop()?;
    assert!(!b.run("ping -c 2 -i 0.5 -W 1 a")?.success());
    std::thread::sleep(Duration::from_secs(1));
    a.resume()?;
    std::thread::sleep(Duration::from_millis(500));
    let beats = a.read_file("/run/beats")?;
    let beats: Vec<u64> = beats.lines().filter_map(|line| line.parse().ok()).collect();
    let gap = beats.windows(2).map(|pair| pair[1] - pair[0]).max().ok_or("no beats")?;
    assert!(gap > 1_500_000_000, "the longest gap is {gap} ns");
    assert_eq!(a.status()?.boots, 1);
    b.until("ping -c 1 -W 1 a", Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn no_machine_outlives_an_owner_that_is_killed() -> Claim {
    let mut owner = Command::new(std::env::current_exe()?)
        .args([OWNER, "--exact", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let lines = BufReader::new(owner.stdout.take().ok_or("no pipe")?).lines().map_while(Result::ok);
    let name = lines.filter_map(|line| line.strip_prefix("lab ").map(str::to_owned)).next();
    let Some(name) = name else {
        owner.wait()?;
        return Ok(());
    };
    assert!(machines_of(&name)? > 0);
    owner.kill()?;
    owner.wait()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while machines_of(&name)? > 0 {
        assert!(Instant::now() < deadline, "{} processes are left", machines_of(&name)?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Not a test: the process that the test above kills.
#[test]
#[ignore = "part of no_machine_outlives_an_owner_that_is_killed"]
fn the_owner_that_is_killed() -> Claim {
    let Some(lab) = super::boot("owner", &["a"]) else {
        return Ok(());
    };
    println!("\nlab {}", lab.name());
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

/// How many processes have the lab's name in their command line, as all its machines do.
fn machines_of(name: &str) -> Claim<usize> {
    let processes = std::fs::read_dir("/proc")?.flatten();
    let part = format!("/{name}/");
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    Ok(lines.filter(|line| String::from_utf8_lossy(line).contains(&part)).count())
}
