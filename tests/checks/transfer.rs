//! vsftpd for FTP, kamailio for SIP.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use converge::check::config::{Datagram, Login, Protocol, TlsStart};
use nix::unistd::geteuid;

use super::asking::{
    Answer, WELL, ask, ask_by_datagram, ask_by_datagram_in_vain, ask_in_vain, ask_upgraded, login,
    stream, write_certificate,
};
use super::engine::its_certificate_counts;
use super::server::{Server, six};

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file of our own");
    path.display().to_string()
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

fn vsftpd() -> Option<Server> {
    Server::start("/usr/sbin/vsftpd", "vsftpd", 1, |directory, addresses| {
        write_certificate(directory);
        let empty = directory.join("empty");
        fs::create_dir_all(&empty).expect("a directory of our own");
        let conf = format!(
            "listen=NO
listen_ipv6=YES
background=NO
listen_port={}
anonymous_enable=YES
anon_root={empty}
secure_chroot_dir={empty}
nopriv_user=nobody
deny_email_enable=YES
banned_email_file={own}/banned
seccomp_sandbox=NO
xferlog_enable=NO
max_clients=6
ssl_enable=YES
allow_anon_ssl=YES
require_ssl_reuse=NO
rsa_cert_file={own}/cert.pem
rsa_private_key_file={own}/key.pem
",
            addresses[0].port(),
            empty = empty.display(),
            own = directory.display(),
        );
        write(directory, "banned", "wrong\n");
        vec![write(directory, "vsftpd.conf", &conf)]
    })
}

fn ftp(login: Option<Login>) -> Protocol {
    Protocol::Ftp(login)
}

#[test]
fn an_ftp_server_is_told_good_from_bad() {
    if !geteuid().is_root() {
        let test = "an_ftp_server_is_told_good_from_bad";
        return crate::kinds::apart::skipped(test, "its server needs root");
    }
    let Some(server) = vsftpd() else { return };
    let address = server.addresses[0];
    for login in [None, Some(login("ftp", "me@example"))] {
        assert_eq!(ask(&ftp(login.clone()), address), WELL, "{}", server.log());
        let covered = ask_upgraded(&ftp(login), address, &server.file("cert.pem"));
        assert_eq!(covered, WELL, "{}", server.log());
    }
    assert_eq!(ask(&ftp(Some(login("ftp", "me@example"))), server.six(0)), WELL);
    its_certificate_counts(&ftp(None), TlsStart::Upgrade, address, &server.file("cert.pem"));
    let wrong = ask(&ftp(Some(login("ftp", "wrong"))), address);
    assert_eq!(wrong, bad("answer to PASS: `530 Login incorrect.`"));
    let hold = || {
        let mut stream = stream(address, Duration::from_secs(20));
        stream.read_exact(&mut [0; 4]).expect("a banner");
        stream
    };
    let is_full = || match ask(&ftp(None), address) {
        Err(what) => what.starts_with("banner `421 There are too many connected"),
        Ok(_) => false,
    };
    let mut held = Vec::new();
    while !is_full() {
        held.push(hold());
        assert!(held.len() < 100, "six are the most");
    }
    drop(held);
    server.freeze();
    assert_eq!(ask_in_vain(&ftp(None), address), bad("silent: connected, but no banner came"));
}

fn kamailio() -> Option<Server> {
    let program = "/usr/sbin/kamailio";
    Server::start(program, "kamailio", 1, |directory, addresses| {
        let own = directory.display();
        let conf = format!(
            "log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:{0}
listen=tcp:{0}
listen=udp:{1}
listen=tcp:{1}
loadmodule \"sl.so\"
request_route {{
    if (uri =~ \"^sip:ping@\") {{ sl_send_reply(\"200\", \"OK\"); exit; }}
    sl_send_reply(\"503\", \"Service Unavailable\");
}}
",
            addresses[0],
            six(addresses[0])
        );
        let conf = write(directory, "kamailio.cfg", &conf);
        let (own, pid) = (own.to_string(), directory.join("pid").display().to_string());
        let words = ["-f", &conf, "-DD", "-E", "-Y", &own, "-w", &own, "-P", &pid, "-m", "16"];
        words.map(str::to_owned).to_vec()
    })
}

#[test]
fn a_sip_server_is_told_good_from_bad() {
    let Some(server) = kamailio() else { return };
    let address = server.addresses[0];
    let busy = bad("status 503 `Service Unavailable`, not 2xx");
    for at in [address, server.six(0)] {
        let over_tcp = |user: &str| ask(&Protocol::Sip { user: user.to_owned() }, at);
        let over_udp = |user: &str| ask_by_datagram(&Datagram::Sip { user: user.to_owned() }, at);
        assert_eq!(over_tcp("ping"), WELL, "{}", server.log());
        assert_eq!(over_udp("ping"), WELL, "{}", server.log());
        assert_eq!(over_tcp("other"), busy, "{}", server.log());
        assert_eq!(over_udp("other"), busy, "{}", server.log());
    }
    drop(server);
    let gone = Datagram::Sip { user: "ping".to_owned() };
    let silent = ask_by_datagram_in_vain(&gone, address);
    assert_eq!(silent, bad("silent: no answer came"));
}
