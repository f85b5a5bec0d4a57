//! What an operator says of servers, and what is shown of them, with and without a resident
//! converge.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use converge::control::report::{MemberReport, PoolReport, Reporter};
use converge::control::words;
use converge::host::Host;
use converge::pool::standing::{Share, Shares, Standing};
use converge::pool::words::Word;
use serde_json::Value;

use super::{Desk, GOOD, Said};
use crate::kinds::apart::each_in_a_namespace;

const POOL: &str = "TCP 192.168.142.100:80";

fn server(last: u8) -> SocketAddr {
    ([192, 168, 142, last], 80).into()
}

/// On the director, whatever this machine is.
fn director(desk: &Desk, arguments: &[&str]) -> Said {
    desk.converge(&[&["--host", "director"], arguments].concat())
}

/// What a resident converge would write: web1 has this weight, web2 is down.
fn pools(weight: Option<u32>, standing: Standing) -> BTreeMap<String, PoolReport> {
    let share = |weight, standing, why: &str| Share { weight, standing, why: why.into() };
    let member = |host: &str| MemberReport { host: host.into(), weight: 1, ..Default::default() };
    let shares = Shares {
        members: BTreeMap::from([
            (server(4), share(weight, standing, "")),
            (server(5), share(None, Standing::Down, "connection refused")),
        ]),
        spare: None,
    };
    let members = BTreeMap::from([(server(4), member("web1")), (server(5), member("web2"))]);
    BTreeMap::from([(POOL.to_owned(), PoolReport { shares, members, ..PoolReport::default() })])
}

async fn resident(host: &Host) -> Reporter {
    let mut reporter = Reporter::start(host.files()).await.expect("it begins");
    reporter.write(host.files(), "director", pools(Some(1), Standing::Up)).expect("it is written");
    reporter
}

#[test]
fn who_or_what_is_not_there_is_answered_with_what_is() {
    let desk = Desk::new("whom", GOOD);
    for (line, parts) in [
        ("drain wbe1", &["no server `wbe1`", "did you mean `web1`"][..]),
        ("drain 192.168.142.5", &["no server `192.168.142.5`", "did you mean `web2`"]),
        ("drain web1 --deadline 10", &["`10` has no unit; write `10s` for seconds"]),
        ("ready nfs", &["nfs is a server of no pool of this host", "web1, web2"]),
        ("maintenance web1 --vip wbe", &["no VIP `wbe`", "did you mean `web`"]),
        ("drain web1 --vip 192.0.2.1", &["web1 is not behind the VIP 192.0.2.1", POOL]),
        ("drain web1 --pool x", &["no pool `x`", POOL]),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        director(&desk, &arguments).ends(64).complains(parts);
    }
    for command in ["drain web1", "servers"] {
        let arguments: Vec<&str> = command.split(' ').chain(["--host", "web2"]).collect();
        let said = desk.converge(&arguments).ends(64);
        said.complains(&["web2 (realserver) has no pool of servers", "run it on director"]);
    }
}

each_in_a_namespace! {
    async fn what_is_said_without_a_service_is_kept_and_shown(host) {
        let desk = Desk::new("kept", GOOD);
        let said = director(&desk, &["drain", "web1", "--deadline", "10m"]).ends(0);
        let line = format!("web1 gets no new connections in {POOL}, and in 10 min gets none");
        assert!(said.out.contains(&line), "{}", said.out);
        said.complains(&["converge.service does not run here"]);
        director(&desk, &["maintenance", "web2", "--vip", "web", "-q"]).ends(0);
        let words = words::read(host.files()).expect("they are kept");
        let said: Vec<_> = words.iter().collect();
        assert_eq!((said[0].0, said[0].1, said[0].2.word), ("web1", None, Word::Drain));
        assert_eq!(said[0].2.until, Some(said[0].2.at + 600_000));
        assert_eq!((said[1].0, said[1].1, said[1].2.word), ("web2", Some(POOL), Word::Maintenance));
        let shown = director(&desk, &["servers"]).ends(0);
        for part in [POOL, "192.168.142.4:80", "-/1", "unknown", "drained on director"] {
            assert!(shown.out.contains(part), "no {part:?} in {}", shown.out);
        }
        shown.complains(&["no server is checked"]);
        director(&desk, &["ready", "web1", "--wait"]).ends(1).complains(&["nobody to wait for"]);
    }

    async fn waiting_ends_when_it_is_done_and_says_what_is_left_when_it_is_not(host) {
        let desk = Desk::new("wait", GOOD);
        let mut reporter = resident(host).await;
        let begin = Instant::now();
        let line = ["drain", "web1", "--wait", "--timeout", "300ms"];
        let said = director(&desk, &line).ends(1);
        said.complains(&["after 300 ms: TCP 192.168.142.100:80: it still gets new connections"]);
        assert!(begin.elapsed() >= Duration::from_millis(300));
        let said = director(&desk, &["ready", "web2", "--wait", "--timeout", "0", "-o", "json"]);
        let said = said.ends(1);
        let json: Value = serde_json::from_str(&said.out).expect("JSON on standard output");
        assert_eq!((&json["done"], &json["service"]), (&false.into(), &true.into()));
        let left = json["left"][0].as_str().expect("it says what is left");
        assert!(left.contains("it is down: connection refused"), "{left}");
        let waits = std::thread::spawn(move || {
            let said = director(&desk, &["drain", "web1", "--wait"]);
            (said, Instant::now())
        });
        std::thread::sleep(Duration::from_millis(600));
        let drained = Instant::now();
        let pools = pools(Some(0), Standing::Draining);
        reporter.write(host.files(), "director", pools).expect("it is written");
        let (said, ended) = waits.join().expect("it ends");
        assert!(ended > drained, "it did not wait");
        assert!(said.ends(0).out.contains("web1 is drained"));
    }

    async fn what_the_resident_converge_makes_of_its_servers_is_shown(host) {
        let desk = Desk::new("servers", GOOD);
        let _reporter = resident(host).await;
        let shown = director(&desk, &["servers"]).ends(0).out;
        let lines: Vec<Vec<&str>> =
            shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["TCP", "192.168.142.100:80"]);
        assert_eq!(lines[1][..4], ["SERVER", "ADDRESS", "WEIGHT", "STANDING"]);
        assert_eq!(lines[2][..4], ["web1", "192.168.142.4:80", "1/1", "up"]);
        assert_eq!(lines[3][..4], ["web2", "192.168.142.5:80", "-/1", "down"]);
        assert!(lines[3].ends_with(&["connection", "refused"]), "{shown}");
        let json = director(&desk, &["servers", "-o", "json"]).ends(0).out;
        let json: Value = serde_json::from_str(&json).expect("JSON on standard output");
        assert_eq!(json["schema"], "converge.servers/1");
        let web2 = &json["pools"][0]["servers"][1];
        assert_eq!((&web2["standing"], &web2["weight"]), (&"down".into(), &Value::Null));
    }

    async fn what_was_said_is_shown_with_its_end_even_of_a_server_that_is_down(host) {
        let desk = Desk::new("said", GOOD);
        let _reporter = resident(host).await;
        director(&desk, &["drain", "web2", "--deadline", "10m", "-q"]).ends(0);
        director(&desk, &["maintenance", "web1", "-q"]).ends(0);
        let shown = director(&desk, &["servers"]).ends(0).out;
        let of = |host: &str| {
            let line = shown.lines().find(|line| line.trim_start().starts_with(host));
            line.unwrap_or_else(|| panic!("no {host} in {shown}")).to_owned()
        };
        assert!(of("web1").contains("taken out on director "), "{shown}");
        let (begins, ends) = ("connection refused; drained on director ", " ago, out in 9 min");
        assert!(of("web2").contains(begins) && of("web2").contains(ends), "{shown}");
        let json = director(&desk, &["servers", "-o", "json"]).ends(0).out;
        let json: Value = serde_json::from_str(&json).expect("JSON on standard output");
        let word = &json["pools"][0]["servers"][1]["word"];
        let at = word["at"].as_u64().expect("a time");
        assert_eq!((&word["word"], &word["by"]), (&"drain".into(), &"director".into()));
        assert_eq!(word["until"].as_u64(), Some(at + 600_000));
    }

    async fn what_runs_is_shown_while_the_files_are_wrong(host) {
        let desk = Desk::new("stale", GOOD);
        let reporter = resident(host).await;
        let file = desk.0.join("cluster.toml");
        for text in [&format!("{GOOD}check = \"htpp\"\n"), "", "[x"] {
            std::fs::write(&file, text).expect("it is ours");
            let said = director(&desk, &["servers"]).ends(0);
            assert!(said.out.contains("connection refused"), "{}", said.out);
            said.complains(&["warning: ", " in cluster.toml; this is what the running converge"]);
        }
        let json = director(&desk, &["servers", "-o", "json"]).ends(0).out;
        let json: Value = serde_json::from_str(&json).expect("JSON on standard output");
        assert_eq!((&json["host"], &json["files"]), (&"director".into(), &"wrong".into()));
        std::fs::remove_file(&file).expect("it is ours");
        // Who names a file means that one.
        director(&desk, &["servers"]).ends(78).complains(&["there is no cluster file"]);
        drop(reporter);
        director(&desk, &["servers"]).ends(78);
    }

    async fn a_server_is_taken_out_while_the_files_are_wrong(host) {
        let desk = Desk::new("astray", GOOD);
        let reporter = resident(host).await;
        let file = desk.0.join("cluster.toml");
        let wrong = |text: &str| std::fs::write(&file, text).expect("it is ours");
        let goes_by = "the servers are those of the running converge, and a reload would not";
        wrong(&format!("{GOOD}check = \"htpp\"\n"));
        for line in ["maintenance web1", "drain web1 --deadline 2d --vip web", "ready web1"] {
            let arguments: Vec<&str> = line.split(' ').collect();
            let said = director(&desk, &arguments).ends(0);
            let first = "\n  cluster.toml:37:9: unknown kind `htpp`, did you mean `http`?\n";
            said.complains(&["warning: 1 error in cluster.toml; ", goes_by, first]);
            said.complains(&["help: `converge lint` shows all of it\n"]);
            assert_eq!(said.err.matches("cluster.toml").count(), 2, "once:\n{}", said.err);
            assert!(said.out.contains(POOL), "{}", said.out);
        }
        for text in ["", "[x"] {
            wrong(text);
            director(&desk, &["maintenance", "web2", "-q"]).ends(0).complains(&[goes_by]);
            let by_address = ["drain", "web1", "--deadline", "2d", "--vip", "192.168.142.100"];
            director(&desk, &by_address).ends(0);
            let said = director(&desk, &["ready", "web1", "--vip", "web"]).ends(64);
            said.complains(&["no VIP has the name `web`", "by its address: 192.168.142.100"]);
            director(&desk, &["drain", "wbe1"]).ends(64).complains(&["did you mean `web1`?"]);
        }
        let words = words::read(host.files()).expect("they are kept");
        let at = words.iter().map(|(host, pool, said)| (host, pool, said.word, &*said.by));
        assert_eq!(
            at.collect::<Vec<_>>(),
            [
                ("web1", None, Word::Ready, "director"),
                ("web1", Some(POOL), Word::Drain, "director"),
                ("web2", None, Word::Maintenance, "director"),
            ]
        );
        let drain = words.iter().nth(1).expect("the second").2;
        assert_eq!(drain.until, Some(drain.at + 2 * 86_400_000));
        // This host is another one, as far as anybody can tell.
        desk.converge(&["drain", "web1", "--host", "web2"]).ends(78);
        drop(reporter);
        director(&desk, &["drain", "web1"]).ends(78).complains(&["cluster.toml:1:"]);
    }

    async fn a_server_that_only_the_running_converge_has_can_be_taken_out(host) {
        let desk = Desk::new("gone", GOOD);
        let mut reporter = Reporter::start(host.files()).await.expect("it begins");
        let mut pools = pools(Some(1), Standing::Up);
        let pool = pools.get_mut(POOL).expect("there is one");
        let share = Share { weight: Some(1), standing: Standing::Up, why: String::new() };
        pool.shares.members.insert(server(9), share);
        let member = MemberReport { host: "web9".into(), weight: 1, ..Default::default() };
        pool.members.insert(server(9), member);
        (pool.fallback, pool.keeps) = (vec!["sorry".to_owned()], 2);
        reporter.write(host.files(), "director", pools).expect("it is written");
        let said = director(&desk, &["drain", "web9"]).ends(0);
        assert!(said.out.contains(&format!("web9 gets no new connections in {POOL}")));
        said.complains(&["warning: ", "below the quorum: sorry answers for them"]);
    }

    async fn a_damaged_file_of_words_is_set_aside_and_its_place_is_told(_host) {
        let desk = Desk::new("damaged", GOOD);
        std::fs::create_dir_all("/var/lib/converge").expect("it is ours here");
        std::fs::write(words::WORDS, "[{").expect("it is ours here");
        director(&desk, &["servers"]).ends(0).complains(&["words.json is damaged"]);
        let said = director(&desk, &["drain", "web1"]).ends(0);
        said.complains(&["words.json was damaged", "words.json.damaged-"]);
        director(&desk, &["drain", "web1", "-q"]).ends(0);
    }
}
