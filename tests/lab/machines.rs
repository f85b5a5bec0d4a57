//! What a test may rely on inside the machines of a lab.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use converge::lab::Lab;

use super::Claim;

static LAB: LazyLock<Option<Lab>> = LazyLock::new(|| super::boot("machines", &["a", "b"]));

#[test]
fn commands_run_with_status_and_output() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let output = lab.host("a").run("hostname; cat >&2 /etc/hostname; exit 3")?;
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (3, "a\n", "a\n"));
    assert_eq!(lab.host("a").run("kill -9 $$")?.status, 128 + 9);
    Ok(())
}

#[test]
fn a_command_that_must_succeed_fails_with_all_there_is_to_know() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let error = lab.host("b").ok("echo seen; echo why >&2; false").expect_err("it ends with 1");
    let text = format!("{error:?}");
    for part in ["b: `echo seen;", "gave 1", "    seen", "    why"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    Ok(())
}

#[test]
fn many_commands_at_once_do_not_mix() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    std::thread::scope(|scope| {
        let say = |number: u32| {
            let command = format!("for i in 1 2 3; do echo {number}; sleep 0.05; done");
            lab.host("a").ok(&command)
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || say(number))).collect();
        for (number, thread) in threads.into_iter().enumerate() {
            let output = thread.join().map_err(|_| "a thread panicked")??;
            assert_eq!(output.stdout, format!("{number}\n").repeat(3));
        }
        Ok(())
    })
}

#[test]
fn a_file_comes_back_as_it_was_written() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let text: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    let path = "/srv/a directory/it's a file";
    lab.host("a").write_file(path, &text)?;
    assert!(lab.host("a").read_file(path)? == text);
    Ok(())
}

#[test]
fn a_command_that_takes_too_long_is_killed_and_what_it_left_running_is_not() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let a = lab.host("a");
    let started = Instant::now();
    let output = a.run_for("echo begun; sleep 1000", b"", Duration::from_millis(500))?;
    assert_eq!((output.status, output.stdout.as_str()), (124, "begun\n"));
    a.ok("sleep 1001 > /dev/null 2>&1 &")?;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(a.run("pgrep -f 'sleep 100[0]'")?.status, 1);
    a.ok("pkill -f 'sleep 100[1]'")?;
    Ok(())
}

#[test]
fn the_image_cannot_be_written_to_but_what_a_host_owns_can() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let a = lab.host("a");
    assert!(!a.run("touch /usr/bin/new")?.success());
    assert!(!a.run("echo > /usr/bin/converge")?.success());
    a.ok("touch /etc/new /var/lib/new /srv/new ~root/new /run/new /tmp/new /mnt/new")?;
    Ok(())
}

#[test]
fn a_machine_starts_with_the_software_and_nothing_configured() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let b = lab.host("b");
    b.ok("modprobe -a ip_vs ip_vs_rr nfsd dummy ipip && ipvsadm -Ln")?;
    let units = "nginx apache2 nfs-server keepalived rpcbind";
    let active = b.run(&format!("systemctl is-active {units}"))?.stdout;
    assert_eq!(active, "inactive\n".repeat(5));
    assert_eq!(b.run("systemctl --failed --no-legend")?.stdout, "");
    Ok(())
}

#[test]
fn the_real_servers_of_the_distribution_run() -> Claim {
    let Some(lab) = LAB.as_ref() else { return Ok(()) };
    let (a, b) = (lab.host("a"), lab.host("b"));
    b.ok("systemctl start nginx && echo from b > /var/www/html/index.html")?;
    b.write_file("/srv/page/index.html", "from b's disk\n")?;
    b.write_file("/etc/exports", "/srv/page *(rw,no_subtree_check)\n")?;
    b.ok("systemctl start nfs-server")?;
    assert_eq!(a.ok("curl --silent --fail http://b/")?.stdout, "from b\n");
    a.ok("mount -t nfs4 b:/srv/page /mnt")?;
    assert_eq!(a.read_file("/mnt/index.html")?, "from b's disk\n");
    a.ok("umount /mnt")?;
    Ok(())
}
