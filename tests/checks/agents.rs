//! Agents, judged by HAProxy and by us: for the same line the same comes of it.
//!
//! HAProxy asks for one line of one agent for each of its servers; where its server stands then it
//! tells on its own socket. What is not the same is written down, here and with the protocol.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use converge::check::config::Protocol;
use converge::check::outcome::{Advice, Asked, Wish};

use super::asking::{Answer, ask};
use super::server::Server;

/// Longer than HAProxy takes to ask all of them.
const PATIENCE: Duration = Duration::from_secs(30);
/// HAProxy's largest weight; its servers here have 100.
const LARGEST: u32 = 256;

/// What comes of a line for the traffic of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It has so many percent of its weight.
    In(u32),
    /// No new connections.
    Draining,
    Out,
}

use Stands::{Draining, In, Out};

/// Lines of agents of which both make the same.
const LINES: [&[u8]; 47] = [
    b"up\n",
    b"down\n",
    b"drain\n",
    b"maint\n",
    b"ready\n",
    b"75%\n",
    b"fail\n",
    b"stopped\n",
    b"up 50% #text\n",
    b"UP Ready\n",
    b"DrAiN\r\n",
    b"Down\r\n",
    b"MAINT 20%\r\n",
    b"up,50%\n",
    b"up\t30%\n",
    b" ,maint, 50%,40%\r",
    b"drain\tready\n",
    b"maint ready 20%\n",
    b"down up\n",
    b"up down\n",
    b"fail,stopped,up\n",
    b"down # disk full\n",
    b"ready up # fine\n",
    b"up # down\n",
    b"up #down drain\n",
    b"up fail#x # down\n",
    b"maxconn:10\n",
    b"up maxconn:10 5%\n",
    b"up 0%\n",
    b"0%\n",
    b"150%\n",
    b"1000%\n",
    b"70000%\n",
    b"99999999999%\n",
    b"07%\n",
    b"7%,\n",
    b"50% 60%\n",
    b"up +5%\n",
    b"up -5%\n",
    b"up 5%x\n",
    b"up 5%%\n",
    b"up 50 %\n",
    b"up wat\n",
    b"wat down\n",
    b"maint stopped\n",
    b"drain down\n",
    b"up\ndown\n",
];

/// Lines that leave a server of HAProxy as it was (here in, with all of its weight), and are bad
/// here: by them alone nobody knows that it is well.
const LEFT_ALONE: [&[u8]; 10] = [
    b"",
    b"\n",
    b"# up\n",
    b"garbage\n",
    b"fail#x\n",
    b"+5%\n",
    b"%\n",
    b"\xff\xfe\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    // The end of the line is optional by its manual, and taken for one here.
    b"down",
];

/// An agent that says the line whose number it is sent; what it is told of `stays` it says first,
/// and then that it is up.
fn agent(told: Arc<AtomicU32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("loopback");
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a stream");
            let mut asked = [0; 64];
            let length = stream.read(&mut asked).unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..length]).trim().to_owned();
            let line: &[u8] = match asked.as_str() {
                "stays" if told.fetch_add(1, Ordering::SeqCst) == 0 => b"drain\n",
                "stays" => b"up\n",
                number => number.parse().map_or(b"?\n", |number: usize| line(number)),
            };
            stream.write_all(line).ok();
            stream.shutdown(Shutdown::Write).ok();
        }
    });
    address
}

fn line(number: usize) -> &'static [u8] {
    LINES.iter().chain(&LEFT_ALONE).nth(number).expect("a line")
}

fn conf(own: &Path, agent: SocketAddr, http: SocketAddr) -> String {
    let server = |name: &str| {
        format!(
            "  server {name} 192.0.2.1:80 weight 100 agent-check agent-addr {} agent-port {} \
             agent-inter 200ms agent-send \"{name}\\n\"\n",
            agent.ip(),
            agent.port()
        )
    };
    let numbers = 0..LINES.len() + LEFT_ALONE.len();
    let servers: String = numbers.map(|number| server(&number.to_string())).collect();
    format!(
        "global
  stats socket {}/socket level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen all
  bind {http}
  balance roundrobin
{servers}{}",
        own.display(),
        server("stays")
    )
}

/// Where each server stands that was asked.
fn stands(socket: &Path) -> BTreeMap<String, String> {
    let mut stream = UnixStream::connect(socket).expect("HAProxy listens");
    stream.write_all(b"show stat\n").expect("it reads");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("it answers");
    // What agents said stands in it as well.
    let text = String::from_utf8_lossy(&text);
    let mut rows = text.trim_start_matches("# ").lines().map(|row| row.split(','));
    let names: Vec<&str> = rows.next().expect("a head").collect();
    let at = |name: &str| names.iter().position(|found| *found == name).expect("a column");
    let (name, status, weight, agent) =
        (at("svname"), at("status"), at("weight"), at("agent_status"));
    let rows = rows.map(Iterator::collect::<Vec<&str>>).filter(|row| row.len() > agent);
    let asked = rows.filter(|row| !["", "INI"].contains(&row[agent].trim_start_matches("* ")));
    asked.map(|row| (row[name].to_owned(), format!("{} {}", row[status], row[weight]))).collect()
}

fn by_haproxy(status: &str) -> Stands {
    let weight = status.rsplit(' ').next().and_then(|weight| weight.parse().ok());
    match (status, weight.expect("a weight")) {
        (status, _) if status.starts_with("DOWN") || status.starts_with("MAINT") => Out,
        (status, _) if status.starts_with("DRAIN") => Draining,
        (status, 0) if status.starts_with("no check") => Draining,
        (status, weight) if status.starts_with("no check") => In(weight),
        _ => panic!("{status}"),
    }
}

fn by_us(answer: &Answer) -> Stands {
    match answer {
        Err(_) | Ok(Advice { wish: Some(Wish::Maintenance), .. }) => Out,
        Ok(Advice { wish: Some(Wish::Drain), .. })
        | Ok(Advice { weight: Some(Asked::Percent(0)), .. }) => Draining,
        Ok(Advice { weight: Some(Asked::Percent(percent)), .. }) => {
            In(u32::from(*percent).min(LARGEST))
        }
        Ok(Advice { weight, .. }) => {
            assert_eq!(*weight, None);
            In(100)
        }
    }
}

#[test]
fn an_agent_means_to_us_what_it_means_to_haproxy() {
    let told = Arc::<AtomicU32>::default();
    let agent = agent(Arc::clone(&told));
    let server = Server::start("/usr/sbin/haproxy", "haproxy", 1, |directory, addresses| {
        std::fs::write(directory.join("conf"), conf(directory, agent, addresses[0]))
            .expect("a file");
        ["-f", "conf", "-db"].map(str::to_owned).to_vec()
    });
    let Some(server) = server else { return };
    let ours = |number: usize| {
        let asked = Protocol::Agent { send: format!("{number}\n").into_bytes() };
        ask(&asked, agent)
    };
    let end = Instant::now() + PATIENCE;
    let all = LINES.len() + LEFT_ALONE.len() + 1;
    let mut theirs = stands(&server.file("socket"));
    // The third time that one is asked, its second answer is known.
    while (theirs.len() < all || told.load(Ordering::SeqCst) < 3) && Instant::now() < end {
        sleep(Duration::from_millis(20));
        theirs = stands(&server.file("socket"));
    }
    assert_eq!(theirs.len(), all, "{theirs:?} {}", server.log());
    for number in 0..LINES.len() {
        let (status, answer) = (&theirs[&number.to_string()], ours(number));
        let line = line(number).escape_ascii();
        assert_eq!(by_us(&answer), by_haproxy(status), "{line}: {answer:?}, {status}");
    }
    for number in LINES.len()..LINES.len() + LEFT_ALONE.len() {
        let (status, line) = (&theirs[&number.to_string()], line(number).escape_ascii());
        assert_eq!(by_haproxy(status), In(100), "{line}");
        let answer = ours(number);
        assert_eq!(by_us(&answer), Out, "{line}: {answer:?}");
    }
    // What an agent once said stays with HAProxy until it is told otherwise; not so here.
    assert_eq!(by_haproxy(&theirs["stays"]), Draining);
    assert_eq!(ask(&Protocol::Agent { send: b"stays\n".to_vec() }, agent), Ok(Advice::default()));
}
