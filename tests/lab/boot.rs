//! A machine that boots is what its role says, without anybody there.

use std::time::Duration;

use super::world::world;

const UNIT: &str = include_str!("../../systemd/converge-apply.service");

#[test]
fn a_reboot_converges_by_itself_from_systemd() {
    let Some(world) = world() else { return };
    for host in ["web1", "director"] {
        let machine = world.host(host);
        machine
            .write_file("/etc/systemd/system/converge-apply.service", UNIT)
            .unwrap_or_else(|e| panic!("{e}"));
        world.ok(host, "systemctl enable -q converge-apply");
        machine.reboot().unwrap_or_else(|e| panic!("{e}"));
        let done = "systemctl show -P ActiveState converge-apply | grep -x active";
        machine.until(done, Duration::from_secs(90)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(world.pending(host), Vec::<String>::new());
        world.ok(host, "systemctl disable -q converge-apply");
    }
    world.both_servers_answer();
}

#[test]
fn a_machine_whose_plug_was_pulled_converges_when_it_boots() {
    let Some(world) = world() else { return };
    let machine = world.host("web2");
    machine.kill().unwrap_or_else(|e| panic!("{e}"));
    machine.boot().unwrap_or_else(|e| panic!("{e}"));
    assert!(!world.pending("web2").is_empty(), "the kernel's state is gone");
    assert!(world.converge("web2").success());
    assert_eq!(world.pending("web2"), Vec::<String>::new());
    world.both_servers_answer();
}
