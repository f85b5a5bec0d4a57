//! Programs as checks: the plugins of Nagios, and keepalived's table of exit codes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use converge::check::config::{Probe, Script};
use converge::check::outcome::{Advice, Asked, Evidence, Outcome};

use super::asking::{Answer, WELL};
use super::engine::{all_made, made};
use super::web::nginx;

/// Where the plugins are.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// Nobody is asked there but by the programs themselves.
const NOWHERE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

fn script(argv: &[&str], dynamic: bool) -> Probe {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Probe::Script(Script { argv, user: None, dynamic })
}

/// Whether the plugins are installed; said loudly if not.
fn are_here() -> bool {
    let here = Path::new(PLUGINS).join("check_dummy").exists();
    if !here {
        let why = "the plugins are missing: apt-get install monitoring-plugins-basic";
        crate::kinds::apart::skipped("a test of checks", why);
    }
    here
}

#[track_caller]
fn run(plugin: &str, words: &[&str], dynamic: bool) -> Answer {
    let plugin = format!("{PLUGINS}/{plugin}");
    match made(script(&[&[plugin.as_str()], words].concat(), dynamic), NOWHERE) {
        Outcome::Good(advice) => Ok(advice),
        Outcome::Bad(failure) => {
            assert_eq!(failure.evidence, Evidence::Silent, "{failure}");
            Err(failure.what)
        }
        Outcome::Unmade(why) => panic!("{why}"),
    }
}

#[test]
fn plugins_of_nagios_are_taken_at_their_word() {
    if !are_here() {
        return;
    }
    assert_eq!(run("check_dummy", &["0", "fine"], false), WELL);
    for (code, word) in [("1", "WARNING"), ("2", "CRITICAL"), ("3", "UNKNOWN")] {
        let what = format!("exit code {code}: {word}: so so");
        assert_eq!(run("check_dummy", &[code, "so so"], false), Err(what));
    }
    // They know nothing of weights: what is critical to them would be no new connections, and what
    // they do not know a weight of 1.
    assert_eq!(run("check_dummy", &["1", "x"], true), Err("exit code 1: WARNING: x".to_owned()));
    for (code, weight) in [("2", 0), ("3", 1)] {
        let weight = Some(Asked::Weight(weight));
        let weighed = Ok(Advice { weight, ..Advice::default() });
        assert_eq!(run("check_dummy", &[code], true), weighed);
    }
}

#[test]
fn plugins_of_nagios_see_of_a_server_what_we_see() {
    let Some(web) = nginx().filter(|_| are_here()) else { return };
    let (host, port) = (web.http1().ip().to_string(), web.http1().port().to_string());
    let at = ["-H", host.as_str(), "-p", port.as_str()];
    let tcp = |more: &[&str]| run("check_tcp", &[&at, more].concat(), false);
    let http = |more: &[&str]| run("check_http", &[&at, more].concat(), false);
    assert_eq!(tcp(&[]), WELL);
    assert_eq!(http(&["-u", "/", "-s", "is well"]), WELL);
    let wrong = http(&["-u", "/", "-s", "is ill"]).expect_err("bad");
    assert!(wrong.starts_with("exit code 2: HTTP CRITICAL: HTTP/1.1 200 OK - string"), "{wrong}");
    let missing = http(&["-u", "/none"]).expect_err("bad");
    assert!(missing.starts_with("exit code 1: HTTP WARNING: HTTP/1.1 404 Not Found"), "{missing}");
    let broken = http(&["-u", "/broken"]).expect_err("bad");
    assert!(broken.starts_with("exit code 2: HTTP CRITICAL: HTTP/1.1 500"), "{broken}");
    let address = web.http1();
    drop(web);
    let gone = run("check_tcp", &at, false).expect_err("bad");
    assert!(gone.starts_with("exit code 2: connect to address"), "{address}: {gone}");
    assert!(gone.contains("Connection refused"), "{gone}");
}

/// The table of `misc_dynamic` in keepalived.conf(5): 0 is good with the weight that it has, 1 is
/// bad, 2 to 255 are good with a weight of 2 less. Without `misc_dynamic` all but 0 is bad.
fn by_keepalived(code: u8, dynamic: bool) -> Result<Option<u32>, ()> {
    match (code, dynamic) {
        (0, _) => Ok(None),
        (2.., true) => Ok(Some(u32::from(code) - 2)),
        (1, true) | (_, false) => Err(()),
    }
}

#[test]
fn every_exit_code_means_what_it_means_to_keepalived() {
    let line = |code: u8| format!("exit {code}");
    let fixed = [0, 1, 2, 3, 128, 255].map(|code| (code, false));
    let cases = (0..=255).map(|code| (code, true)).chain(fixed);
    let probe = |(code, dynamic)| script(&["/bin/sh", "-c", &line(code)], dynamic);
    let made = all_made(cases.clone().map(probe), NOWHERE, Duration::from_secs(60));
    for (code, dynamic) in cases {
        let probe = probe((code, dynamic));
        let (_, outcome) = made.iter().find(|(made, _)| *made == probe).expect("it was made");
        let weight = |advice: &Advice| match advice.weight {
            Some(Asked::Weight(weight)) => Some(weight),
            Some(Asked::Percent(percent)) => panic!("{percent} %"),
            None => None,
        };
        let ours = match outcome {
            Outcome::Good(advice) => Ok(weight(advice)),
            Outcome::Bad(_) => Err(()),
            Outcome::Unmade(why) => panic!("{code}: {why}"),
        };
        assert_eq!(ours, by_keepalived(code, dynamic), "{code} {dynamic}: {outcome:?}");
    }
}
