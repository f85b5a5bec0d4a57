//! A mistake about health checks is told where its author wrote it: in the cluster file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Desk, GOOD};

/// A director and a proxy with their servers, and these variables.
fn with(vars: &str) -> String {
    // The variables are the file's last section.
    format!("{GOOD}{vars}\n")
}

/// A role of one's own, up to its first check.
const SECTION: &str = "version = 1\nextends = \"director-master\"\n[[virtual-server]]\n\
     for-each = \"vip\"\naddress = \"{{each.address}}\"\nports = 443\nscheduler = \"rr\"\n\
     forward = \"dr\"\nreal-servers = \"realserver\"\n";

/// The line that the first of the added ones is on.
fn first_line() -> usize {
    GOOD.lines().count() + 1
}

/// Lints a cluster with these lines more in `[vars]`; each part has to be in what is said.
#[track_caller]
fn lint(name: &str, vars: &str, parts: &[&str]) {
    let desk = Desk::new(&format!("places-{name}"), &with(vars));
    let said = desk.converge(&["lint"]).ends(78);
    let at = format!("--> cluster.toml:{}:", first_line());
    said.complains(&[parts, &[at.as_str()]].concat());
    let embedded = said.err.lines().filter(|line| line.contains("--> roles/"));
    assert_eq!(embedded.count(), 0, "{vars} is told in a role:\n{}", said.err);
}

/// What is written, and what has to be said of it; each has a name of its own.
const CASES: &[(&str, &str, &[&str])] = &[
    ("kind", "check = \"htpp\"", &["`htpp`, did you mean `http`?", ":9"]),
    ("kind-list", "check = [\"http\", \"tcp\"]", &["`check` takes one value, not a list"]),
    ("url", "check = \"http://192.0.2.1/up\"", &["is a URL", "`watch-url`", "`check-path"]),
    ("alias", "check = \"icmp\"", &["`icmp` is called `ping` here"]),
    ("fraction", "check-every = 1.5", &["in a smaller unit if need be"]),
    ("vip-itself", "fallback = \"192.168.142.100:80\"", &["the fallback is the VIP itself"]),
    ("false", "check = false", &["`false` is no kind of check", "write \"off\""]),
    ("true", "check = true", &["`check = true` does not say what is asked"]),
    (
        "script",
        "check = \"script\"",
        &["needs `script`, a command line", "`extends` `director-master`"],
    ),
    ("postgres", "check = \"postgres\"", &["needs `user`", "[[virtual-server.check]]"]),
    ("radius", "check = \"radius\"", &["a check of kind `radius`"]),
    ("expect", "check = \"expect\"", &["expects nothing", "no variable has it"]),
    ("file", "check = \"file\"", &["needs `file`, a path"]),
    ("path", "check-path = \"up\"\ncheck = \"http\"", &["`up` is no path"]),
    (
        "path-item",
        "check-path = [\"/up\", \"ready\"]\ncheck = \"http\"",
        &["`ready` is no path", ":22"],
    ),
    (
        "path-without",
        "check-path = \"/up\"",
        &["`check-path` says nothing about a check of kind `auto`", "it belongs to `http`"],
    ),
    ("status", "check-status = \"2xx\"\ncheck = \"http\"", &["`2xx` is no list of statuses"]),
    ("status-number", "check-status = 99\ncheck = \"http\"", &["is no list of statuses"]),
    ("host", "check-host = \"a b\"\ncheck = \"http\"", &["`a b` is no host"]),
    ("host-list", "check-host = [\"a\"]\ncheck = \"http\"", &["takes one value, not a list"]),
    ("port", "check-port = 70000", &["`70000` is above 65535"]),
    ("every", "check-every = \"1\"", &["`1` has no unit; write `1s`"]),
    ("every-short", "check-every = \"1ms\"", &["`check-every` is from 10ms to 1h"]),
    (
        "timeout",
        "check-timeout = \"5s\"",
        &["`check-timeout` = 5s is longer than `check-every` = 1s"],
    ),
    ("rise", "check-rise = 0", &["`0` is below 1"]),
    ("fall", "check-fall = \"three\"", &["`three` is not a whole number"]),
    ("vip", "check-vip = \"maybe\"", &["`maybe` is neither true nor false"]),
    ("fallback", "fallback = \"sory\"", &["unknown fallback `sory`, did you mean `sorry`?"]),
    (
        "fallback-item",
        "fallback = [\"sorry\", \"192.0.2.9\"]",
        &["`192.0.2.9` has no port; write `192.0.2.9:80`", ":22"],
    ),
    (
        "fallback-port",
        "fallback = [\"sorry\", \"192.168.142.9:81\"]",
        &["is reached at the virtual server's own port", ":22"],
    ),
    ("quorum", "quorum = 9", &["a quorum of 9 cannot be reached"]),
    ("hysteresis", "hysteresis = 1", &["a hysteresis of 1 never lets a quorum of 1 be lost"]),
    ("failure", "on-failure = \"quiece\"", &["did you mean `quiesce`?"]),
    ("guard", "guard = \"off\"", &["`off` is neither true nor false; write false"]),
    ("slow", "slow-start = 30", &["`30` has no unit; write `30s`"]),
    ("ports", "ports = [80, 99999]", &["`99999` is no port", ":14"]),
    ("weight", "weight = -1", &["`-1` is below 0"]),
    ("flags", "flags = \"sh-prot\"", &["rr has no flag \"sh-prot\""]),
    ("unknown", "check-evry = \"1s\"", &["`check-evry`, did you mean `check-every`?"]),
    ("fast", "persistence = \"5\"", &["`5` has no unit"]),
];

#[test]
fn a_wrong_value_is_told_at_its_line_of_the_cluster_file() {
    for (name, vars, parts) in CASES {
        lint(name, vars, parts);
    }
}

#[test]
fn a_list_of_texts_is_a_list_of_texts_in_every_key_that_takes_one() {
    let desk = Desk::new("places-list", &with("check = \"http\"\ncheck-expect = [\"a b\", \"c\"]"));
    let said = desk.converge(&["render", "--host", "director", "-o", "json"]).ends(0);
    assert!(said.out.contains("2 things in the body"), "{}", said.out);
}

#[test]
fn a_variable_of_a_role_of_ones_own_is_told_in_that_role() {
    let cluster = GOOD.replace("director-master", "lvs");
    let desk = Desk::new("places-role", &cluster);
    fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
    let role = "version = 1\nextends = \"director-master\"\n[vars]\ncheck = \"htpp\"\n";
    fs::write(desk.0.join("roles/lvs.toml"), role).expect("it is ours");
    let said = desk.converge(&["lint"]).ends(78);
    said.complains(&["--> roles/lvs.toml:4:9", "did you mean `http`?"]);
}

#[test]
fn only_keys_that_belong_there_are_suggested() {
    let cluster = GOOD.replace("director-master", "lvs");
    let desk = Desk::new("places-suggest", &cluster);
    fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
    let role = format!("{SECTION}[[virtual-server.check]]\nkind = \"tcp\"\npth = \"/\"\n");
    fs::write(desk.0.join("roles/lvs.toml"), role).expect("it is ours");
    let said = desk.converge(&["lint"]).ends(78);
    said.complains(&["roles/lvs.toml:12:1", "unknown key `pth`", "`port`"]);
    assert!(!said.err.contains("did you mean") && !said.err.contains("`path`"), "{}", said.err);
}

#[test]
fn what_is_no_role_is_told_what_a_role_is_and_never_that_it_was_meant() {
    let desk = Desk::new("places-servers", &GOOD.replace("director-master", "lvs"));
    fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
    for (word, parts) in [
        ("vip", &["no role `vip`\n", "a VIP is what clients ask; servers are the hosts of a role"]),
        ("web", &["no role `web`\n", "a VIP is what clients ask; servers are the hosts of a role"]),
        ("web1", &["did you mean `realserver`?", "`web1` is a host, and a role stands for all"]),
        ("realservers", &["did you mean `realserver`?", "help: the roles are `client`, "]),
    ] {
        let role = SECTION.replace("\"realserver\"", &format!("'{word}'"));
        fs::write(desk.0.join("roles/lvs.toml"), role).expect("it is ours");
        let said = desk.converge(&["lint"]).ends(78);
        said.complains(&[parts[0], parts[1], "roles/lvs.toml:9:16"]);
    }
}

#[test]
fn a_host_that_there_is_not_cannot_be_linted() {
    let desk = Desk::new("places-host", GOOD);
    let said = desk.converge(&["lint", "--host", "NOPE"]).ends(78);
    said.complains(&["no host `NOPE`", "`director`", "`web1`"]);
    let said = desk.converge(&["lint", "--host", "web1", "--role", "nfs"]).ends(78);
    said.complains(&["whose role is realserver, not nfs"]);
    desk.converge(&["lint", "--host", "web1"]).ends(0);
}

#[test]
fn what_a_role_names_has_to_be_on_the_host_that_this_machine_is() {
    let desk = Desk::new("places-need", &GOOD.replace("director-master", "lvs"));
    fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
    let plain = desk.0.join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("it is ours");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let check = |keys: &str| format!("[[virtual-server.check]]\n{keys}\n");
    let role = [
        SECTION.to_owned(),
        check("kind = \"script\"\nscript = \"/nowhere/check --fast\""),
        check(&format!("kind = \"script\"\nscript = \"{}\"", plain.display())),
        check("kind = \"script\"\nscript = \"/bin/true\"\nuser = \"nobody-here\""),
        check("kind = \"https\"\nca = \"/nowhere/ca.pem\""),
        check("kind = \"script\"\nscript = \"/bin/true\""),
        "[[notify]]\nrun = \"/nowhere/told\"\n".to_owned(),
    ];
    fs::write(desk.0.join("roles/lvs.toml"), role.concat()).expect("it is ours");
    let elsewhere = desk.converge(&["lint"]).ends(0);
    assert!(!elsewhere.err.contains("nowhere"), "{}", elsewhere.err);
    let said = desk.converge(&["lint", "--host", "director"]).ends(0);
    said.complains(&[
        "warning: there is no /nowhere/check\n",
        "warning: there is no /nowhere/told\n",
        "roles/lvs.toml:12:10",
        "plain is not executable",
        "help: `chmod +x ",
        "there is no user `nobody-here` on this host",
        "there is no file /nowhere/ca.pem, which `ca` names",
        "roles/lvs.toml:27:7",
        "5 warnings in roles/lvs.toml",
    ]);
}

#[test]
fn a_password_that_everybody_can_read_is_told_with_the_line_that_mends_it() {
    let cluster =
        format!("{}redis-password = \"hunter2\"\n", GOOD.replace("director-master", "lvs"));
    let desk = Desk::new("places-password", &cluster);
    fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
    let check =
        "[[virtual-server.check]]\nkind = \"redis\"\npassword = \"{{vars.redis-password}}\"\n";
    fs::write(desk.0.join("roles/lvs.toml"), format!("{SECTION}{check}")).expect("it is ours");
    let path = desk.0.join("cluster.toml");
    let mode = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(0o600);
    assert_eq!(desk.converge(&["lint"]).ends(0).err, "");
    mode(0o644);
    let said = desk.converge(&["lint"]).ends(0);
    // A directory above may keep everybody out.
    if !said.err.is_empty() {
        said.complains(&[
            "warning: everybody on this host can read cluster.toml, in which a password stands",
            &format!("--> cluster.toml:{}:18", first_line()),
            &format!("= help: `chmod 600 {}`", path.display()),
        ]);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

#[test]
fn options_without_effect_are_refused() {
    let desk = Desk::new("places-options", GOOD);
    for line in ["drain web1 --timeout 3s", "ready web1 --timeout 3s"] {
        let arguments: Vec<&str> = line.split(' ').collect();
        desk.converge(&arguments).ends(64).complains(&["--wait"]);
    }
}
