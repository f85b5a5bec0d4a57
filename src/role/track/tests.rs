//! What a `[[track]]` or `[[notify]]` becomes, and what is said of a wrong one.

use super::*;
use crate::hook::config::{HookConfig, On};
use crate::role::election::tests::{load, pair};

/// The shipped director's role with these sections beside its own.
fn with(sections: &str) -> Result<crate::role::Role, String> {
    let text = include_str!("../../../roles/director-master.toml");
    load("one", &pair(""), Some(&format!("{text}\n{sections}"))).map(|(role, _)| role)
}

fn track(keys: &str) -> TrackConfig {
    let role = with(&format!("[[track]]\nname = \"t\"\n{keys}"));
    role.unwrap_or_else(|said| panic!("{said}")).tracks()[0].clone()
}

fn wrong(keys: &str) -> String {
    with(&format!("[[track]]\nname = \"t\"\n{keys}")).map(|_| ()).expect_err("it is wrong")
}

fn hooks(keys: &str) -> Result<Vec<HookConfig>, String> {
    with(&format!("[[notify]]\n{keys}")).map(|role| role.hooks().to_vec())
}

#[test]
fn each_track_watches_its_own() {
    let process = |name: &str, full_command| Watch::Process { name: name.into(), full_command };
    let script = |user: Option<&str>| Watch::Script {
        argv: vec!["killall".into(), "-0".into(), "nginx".into()],
        user: user.map(str::to_owned),
    };
    let page = |status| Watch::Http { url: "http://127.0.0.1/up".into(), status };
    let cases = [
        ("interface = \"eth1\"", Watch::Interface("eth1".into())),
        ("process = \"nginx\"", process("nginx", false)),
        ("process = \"/bin/x -d\"\nfull-command = true", process("/bin/x -d", true)),
        ("unit = \"nginx.service\"", Watch::Unit("nginx.service".into())),
        ("file = \"/run/number\"", Watch::File("/run/number".into())),
        ("script = \"killall -0 nginx\"", script(None)),
        ("script = \"killall -0 nginx\"\nuser = \"www\"", script(Some("www"))),
        ("tcp = \"127.0.0.1:80\"", Watch::Tcp("127.0.0.1:80".parse().expect("it is one"))),
        ("http = \"http://127.0.0.1/up\"", page(Statuses(vec![(200, 399)]))),
        (
            "http = \"http://127.0.0.1/up\"\nstatus = \"200,301-302\"",
            page(Statuses(vec![(200, 200), (301, 302)])),
        ),
    ];
    for (keys, watch) in cases {
        assert_eq!(track(keys).what, watch, "{keys}");
    }
}

#[test]
fn what_is_asked_over_a_socket_has_to_fail_more_than_once() {
    let counts = |keys| {
        let track = track(keys);
        (track.every.as_millis(), track.timeout.as_millis(), track.rise.get(), track.fall.get())
    };
    assert_eq!(counts("unit = \"nginx.service\""), (1000, 1000, 1, 1));
    assert_eq!(counts("tcp = \"127.0.0.1:80\"\nevery = \"500ms\""), (500, 500, 2, 3));
    let all = "tcp = \"127.0.0.1:80\"\nevery = \"2s\"\ntimeout = \"1s\"\nrise = 5\nfall = 7";
    assert_eq!(counts(all), (2000, 1000, 5, 7));
}

#[test]
fn a_track_concerns_the_routers_that_it_names_or_all() {
    assert_eq!(track("unit = \"a.service\"").routers, [""; 0]);
    assert_eq!(track("unit = \"a.service\"\nrouter = \"main\"").routers, ["main"]);
    assert_eq!(track("unit = \"a.service\"\nrouter = [\"main\"]").routers, ["main"]);
}

#[test]
fn a_wrong_track_is_told_what_would_be_right() {
    let cases = [
        ("", "this track watches nothing"),
        ("unit = \"a.service\"\nfile = \"/a\"", "this track has `unit` and `file`"),
        ("unit = \"nginx\"", "write `nginx.service`"),
        ("process = \"a-name-of-16-char\"", "the first 15 bytes"),
        ("process = \"/usr/sbin/nginx\"", "without its path"),
        ("unit = \"a.service\"\nuser = \"www\"", "`user` says nothing about `unit`"),
        ("script = \"a | b\"", "no shell reads this"),
        ("tcp = \"127.0.0.1\"", "is no address with a port"),
        ("http = \"127.0.0.1\"", "is no URL"),
        ("http = \"http://a/\"\nstatus = \"2xx\"", "is no list of statuses"),
        ("unit = \"a.service\"\nweight = 300", "`300` is above 253"),
        ("unit = \"a.service\"\nfall = 0", "`0` is below 1"),
        ("unit = \"a.service\"\nevery = \"0s\"", "`every` is at least 10ms"),
        ("unit = \"a.service\"\nwieght = 2", "did you mean `weight`?"),
    ];
    for (keys, said) in cases {
        let told = wrong(keys);
        assert!(told.contains(said), "{keys}: {said:?} is not in\n{told}");
    }
}

#[test]
fn tracks_have_names_of_their_own() {
    let section = "[[track]]\nname = \"t\"\nunit = \"a.service\"\n";
    let told = with(&format!("{section}{section}")).map(|_| ()).expect_err("it is wrong");
    assert!(told.contains("host `one` has two tracks called `t`"), "{told}");
}

#[test]
fn a_hook_is_for_one_state_for_several_or_for_all() {
    let on = |keys: &str| {
        let hooks = hooks(&format!("run = \"/etc/notify.sh mail\"\n{keys}"));
        let [hook] = &hooks.unwrap_or_else(|said| panic!("{said}"))[..] else { panic!("one") };
        assert_eq!(hook.argv, ["/etc/notify.sh", "mail"]);
        hook.on.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(on(""), On::ALL);
    assert_eq!(on("on = \"any\""), On::ALL);
    assert_eq!(on("on = \"active\""), [On::Active]);
    assert_eq!(on("on = [\"fault\", \"backup\"]"), [On::Backup, On::Fault]);
}

#[test]
fn a_wrong_hook_is_told_what_would_be_right() {
    let cases = [
        ("run = \"/bin/a\"\non = \"master\"", "`master` is called `active` here"),
        ("run = \"/bin/a\"\non = [\"atcive\"]", "did you mean `active`?"),
        ("run = \"a.sh > /tmp/x\"", "no shell reads this"),
        ("run = \"/bin/a\"\ntimeout = \"0s\"", "a program needs some time"),
        ("on = \"any\"", "lacks the key `run`"),
    ];
    for (keys, said) in cases {
        let told = hooks(keys).map(|_| ()).expect_err("it is wrong");
        assert!(told.contains(said), "{keys}: {said:?} is not in\n{told}");
    }
}
