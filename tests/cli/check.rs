//! `converge check`: every check of a role once, and the digests of a page.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use super::{Desk, GOOD};
use crate::kinds::apart::each_in_a_namespace;
use crate::vrrp::lan::sh;

/// Answers everybody with this page.
fn serve(listener: TcpListener, page: &'static str) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            // A check that only looks whether the port is open asks nothing.
            if !stream.read(&mut request).is_ok_and(|length| length > 0) {
                continue;
            }
            let length = page.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
            stream.write_all(answer.as_bytes()).ok();
        }
    });
}

each_in_a_namespace! {
    async fn every_check_of_a_role_is_made_once_and_what_is_bad_is_named(_host) {
        sh("ip link set lo up && ip link add ens33 type bridge && ip link set ens33 up");
        for last in 3..=6 {
            sh(&format!("ip addr add 192.168.142.{last}/24 dev ens33"));
        }
        serve(TcpListener::bind("192.168.142.4:80").expect("it is ours here"), "hello");
        let desk = Desk::new("check", GOOD);
        let said = desk.converge(&["check", "--host", "director"]).ends(1);
        let line = |host: &str| {
            let lines = said.out.lines().filter(|line| line.starts_with(host));
            lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        let (web1, web2) = (line("web1"), line("web2"));
        assert!(web1.contains("192.168.142.4:80") && web1.contains(" good"), "{}", said.out);
        assert!(web2.contains(" bad ") && web2.contains("refused"), "{}", said.out);
        let said = desk.converge(&["check", "web1", "--host", "director", "-o", "json"]);
        let json: Value = serde_json::from_str(&said.out).expect("JSON on standard output");
        assert_eq!(json["schema"], "converge.check/1");
        let checks = json["checks"].as_array().expect("a list");
        assert!(!checks.is_empty() && checks.iter().all(|check| check["server"] == "web1"));
        assert!(checks.iter().all(|check| check["ms"].is_number()), "{json:#}");
        let said = desk.converge(&["check", "wbe1", "--host", "director"]).ends(64);
        said.complains(&["no server `wbe1`", "did you mean `web1`"]);
    }

    async fn a_check_that_servers_share_is_shown_for_each_of_them(_host) {
        sh("ip link set lo up && ip link add ens33 type bridge && ip link set ens33 up");
        sh("ip addr add 192.168.142.3/24 dev ens33 && ip addr add 192.168.142.9/24 dev ens33");
        let desk = Desk::new("shared", &GOOD.replace("director-master", "lvs"));
        std::fs::create_dir_all(desk.0.join("roles")).expect("it is ours");
        let role = "version = 1\nextends = \"director-master\"\n[[virtual-server]]\n\
            for-each = \"vip\"\naddress = \"{{each.address}}\"\nports = 443\n\
            scheduler = \"rr\"\nforward = \"dr\"\nreal-servers = \"realserver\"\n\
            [[virtual-server.check]]\nkind = \"tcp\"\naddress = \"192.168.142.9\"\n";
        std::fs::write(desk.0.join("roles/lvs.toml"), role).expect("it is ours");
        let check = |arguments: &[&str]| {
            let said = desk.converge(&[&["check", "--host", "director"], arguments].concat());
            let shared = said.ends(1).out;
            let shared = shared.lines().filter(|line| line.contains("192.168.142.9:443"));
            shared.map(|line| line[..4].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(check(&[]), ["web1", "web2"]);
        assert_eq!(check(&["web2"]), ["web2"]);
    }
}

#[test]
fn a_pages_digests_are_what_a_check_wants() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let at = listener.local_addr().expect("it is bound");
    serve(listener, "abc");
    let desk = Desk::new("digest", GOOD);
    let said = desk.converge(&["check", "--digest", &format!("http://{at}/page")]).ends(0);
    // RFC 1321 A.5 and FIPS 180-2 B.1 have these of "abc".
    for line in [
        "status = 200",
        "md5    = \"900150983cd24fb0d6963f7d28e17f72\"",
        "sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
    ] {
        assert!(said.out.lines().any(|said| said == line), "no {line:?} in {}", said.out);
    }
    let closed = "http://127.0.0.1:1/";
    desk.converge(&["check", "--digest", closed]).ends(1).complains(&[closed]);
    desk.converge(&["check", "--digest", "tcp://127.0.0.1:1"]).ends(1);
}
