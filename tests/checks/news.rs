//! JamNNTPd for NNTP.
//!
//! It knows no TLS. INN, which does, cannot be installed where a machine does not know its full
//! name; its greeting, its login and its answer to STARTTLS are those that are waited for here.

use std::fs;
use std::io::Read;
use std::time::Duration;

use converge::check::config::{Login, Protocol};

use super::asking::{Answer, WELL, ask, ask_in_vain, ask_upgraded, login, stream};
use super::server::Server;

/// The most connections that it is told to take.
const MOST: usize = 4;

fn jamnntpd() -> Option<Server> {
    Server::start("/usr/sbin/jamnntpd", "jamnntpd", 1, |directory, addresses| {
        let write = |name: &str, text: &str| {
            fs::write(directory.join(name), text).expect("a file of our own");
        };
        write("groups", "some.group A 2:200/1 messages\n");
        write("allow", "127.* A -\n");
        write("users", "me secret * *\n");
        let (port, most) = (addresses[0].port().to_string(), MOST.to_string());
        let words = ["-port", &port, "-max", &most, "-groups", "groups", "-allow", "allow"];
        let more = ["-users", "users", "-xlat", "/etc/jamnntpd.xlat", "-logfile", "log"];
        words.into_iter().chain(more).map(str::to_owned).collect()
    })
}

fn nntp(login: Option<Login>) -> Protocol {
    Protocol::Nntp(login)
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

#[test]
fn an_nntp_server_is_told_good_from_bad() {
    let Some(server) = jamnntpd() else { return };
    let address = server.addresses[0];
    for login in [None, Some(login("me", "secret"))] {
        assert_eq!(ask(&nntp(login), address), WELL, "{}", server.log());
    }
    let wrong = ask(&nntp(Some(login("me", "wrong"))), address);
    assert_eq!(wrong, bad("answer to AUTHINFO PASS: `481 Authentication rejected`"));
    let clear = ask_upgraded(&nntp(None), address, &server.file("none"));
    assert_eq!(clear, bad("answer to STARTTLS: `500 Unknown command`"));

    let full = bad("greeting `502 Maximum number of connections reached, please try again later`");
    let mut held = Vec::new();
    while ask(&nntp(None), address) != full {
        let mut stream = stream(address, Duration::from_secs(20));
        stream.read_exact(&mut [0; 4]).expect("a greeting");
        held.push(stream);
        assert!(held.len() <= 10 * MOST, "{}", server.log());
    }
    drop(held);
    while ask(&nntp(None), address) == full {
        std::thread::sleep(Duration::from_millis(20));
    }

    fs::write(server.file("allow"), "192.0.2.1 A -\n").expect("a file of our own");
    assert_eq!(ask(&nntp(None), address), bad("greeting `502 Access denied.`"));
    fs::remove_file(server.file("allow")).expect("a file of our own");
    let lost = ask(&nntp(None), address).expect_err("bad");
    assert!(lost.starts_with("greeting `50"), "{lost}");
    server.freeze();
    let silent = ask_in_vain(&nntp(None), address);
    assert_eq!(silent, bad("silent: connected, but no greeting came"));
}
