//! converge killed at any point, and run again, ends where it would have ended anyway.

use super::world::{World, world};

/// What a role leaves on a host, as the host's own tools tell it.
const LOOK: &str = "ip -o address show | sed 's/ valid_lft.*//'; ip route; \
    ipvsadm -Sn 2>/dev/null; mount | grep converge\\|/var/www; \
    cat /etc/nginx/conf.d/converge.conf /etc/exports.d/* 2>/dev/null; sort /var/lib/nfs/etab; \
    ls -a /etc/nginx/conf.d /etc/exports.d /run/systemd/system/*.mount 2>/dev/null; \
    arptables-legacy-save; iptables-legacy-save | grep '^[-:]'; \
    sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.lo.arp_announce net.ipv4.ip_forward; \
    systemctl is-active nginx nfs-server";

fn look(world: &World, host: &str) -> String {
    let seen = world.host(host).run(LOOK).unwrap_or_else(|e| panic!("{e}")).stdout;
    // Packets and bytes that a chain has seen.
    let kept = |line: &&str| !line.starts_with('#');
    seen.lines()
        .filter(kept)
        .map(|line| line.split(" [").next().unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn a_run_that_was_killed_anywhere_is_finished_by_the_next_one() {
    let Some(world) = world() else { return };
    for host in ["web1", "director", "nfs"] {
        let whole = look(&world, host);
        world.leave(host);
        let longest = world.converge(host).took.as_millis() as u64;
        for step in 1..=6 {
            world.leave(host);
            let millis = longest * step / 7;
            let killed = format!("timeout -s KILL {}.{:03} converge", millis / 1000, millis % 1000);
            world.host(host).run(&killed).unwrap_or_else(|e| panic!("{e}"));
            let output = world.converge(host);
            let said = format!("{}{}", output.stdout, output.stderr);
            assert!(output.success(), "{host}: after a kill at {millis} ms:\n{said}");
            assert_eq!(look(&world, host), whole, "{host}: after a kill at {millis} ms:\n{said}");
            assert_eq!(world.pending(host), Vec::<String>::new());
        }
    }
    world.both_servers_answer();
}
