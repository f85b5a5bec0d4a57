//! Exim, and Dovecot for IMAP and POP3. Both start their parts as users of their own, so only root
//! can run them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use converge::check::config::{Login, Protocol, TlsStart};
use nix::unistd::geteuid;

use super::asking::{Answer, NAME, WELL, ask, ask_in_vain, ask_upgraded, login, write_certificate};
use super::engine::{self, its_certificate_counts, tls};
use super::server::Server;

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file of our own");
    path.display().to_string()
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

/// Whether we are root; said loudly if not.
fn is_root(test: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        crate::kinds::apart::skipped(test, "its server needs root");
    }
    root
}

fn exim_conf(directory: &str, addresses: &[SocketAddr]) -> String {
    format!(
        "primary_hostname = mx.example
spool_directory = {directory}/spool
log_file_path = {directory}/%slog
pid_file_path = {directory}/pid
local_interfaces = <; [{0}]:{1} ; [{0}]:{2} ; [::1]:{1}
tls_on_connect_ports = {2}
tls_advertise_hosts = *
tls_certificate = {directory}/cert.pem
tls_privatekey = {directory}/key.pem
keep_environment =
acl_smtp_connect = check
begin acl
check:
  deny condition = ${{if exists{{{directory}/shut}}}}
       message = shut for today
  accept
",
        addresses[0].ip(),
        addresses[0].port(),
        addresses[1].port()
    )
}

fn exim() -> Option<Server> {
    Server::start("/usr/sbin/exim4", "exim4-daemon-light", 2, |directory, addresses| {
        write_certificate(directory);
        // Its processes are of a user that cannot write elsewhere.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(directory, open).expect("a directory of our own");
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(directory.join("key.pem"), readable).expect("a file of our own");
        let conf = exim_conf(&directory.display().to_string(), addresses);
        let conf = write(directory, "exim.conf", &conf);
        ["-bdf", "-C", &conf].map(str::to_owned).to_vec()
    })
}

#[test]
fn an_smtp_server_is_told_good_from_bad() {
    if !is_root("an_smtp_server_is_told_good_from_bad") {
        return;
    }
    let Some(server) = exim() else { return };
    let (smtp, address) = (Protocol::Smtp { helo: "lb1.example".to_owned() }, server.addresses[0]);
    let log = || fs::read_to_string(server.file("mainlog")).unwrap_or_default();
    assert_eq!(ask(&smtp, address), WELL, "{}{}", server.log(), log());
    assert_eq!(ask_upgraded(&smtp, address, &server.file("cert.pem")), WELL, "{}", log());
    assert_eq!(ask(&smtp, server.six(0)), WELL, "{}{}", server.log(), log());
    let at_once = Some(tls(TlsStart::AtOnce, NAME, &server.file("cert.pem")));
    assert_eq!(engine::ask(&smtp, at_once, server.addresses[1]), WELL, "{}", log());
    // It logs a client that goes without a word, and ours does not; whoever looked whether it
    // listens for TLS did.
    let complaints = ["lost", "unexpected", "rejected", "error"];
    let of_us = |line: &&str| complaints.iter().any(|complaint| line.contains(complaint));
    assert!(log().lines().filter(of_us).count() <= 1, "{}", log());
    its_certificate_counts(&smtp, TlsStart::Upgrade, address, &server.file("cert.pem"));
    its_certificate_counts(&smtp, TlsStart::AtOnce, server.addresses[1], &server.file("cert.pem"));
    fs::write(server.file("shut"), "").expect("a file of our own");
    assert_eq!(ask(&smtp, address), bad("banner `550 shut for today`"));
    server.freeze();
    let silent = ask_in_vain(&smtp, address);
    assert_eq!(silent, bad("silent: connected, but no banner came"));
}

fn dovecot_conf(directory: &str, addresses: &[SocketAddr]) -> String {
    format!(
        "base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/error.log
protocols = imap pop3
listen = {}, ::1
ssl = yes
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={directory}/users/%u
}}
mail_location = maildir:~/mail
first_valid_uid = 1
first_valid_gid = 1
service imap-login {{
  inet_listener imap {{
    port = {}
  }}
  inet_listener imaps {{
    port = {}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {}
  }}
  inet_listener pop3s {{
    port = {}
  }}
}}
",
        addresses[0].ip(),
        addresses[0].port(),
        addresses[2].port(),
        addresses[1].port(),
        addresses[3].port()
    )
}

fn dovecot() -> Option<Server> {
    Server::start("/usr/sbin/dovecot", "dovecot-imapd dovecot-pop3d", 4, |directory, addresses| {
        write_certificate(directory);
        let home = directory.join("users");
        fs::create_dir_all(&home).expect("a directory of our own");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&home, open).expect("a directory of our own");
        let conf = dovecot_conf(&directory.display().to_string(), addresses);
        let conf = write(directory, "dovecot.conf", &conf);
        ["-F", "-c", &conf].map(str::to_owned).to_vec()
    })
}

#[test]
fn an_imap_and_pop3_server_is_told_good_from_bad() {
    if !is_root("an_imap_and_pop3_server_is_told_good_from_bad") {
        return;
    }
    let Some(server) = dovecot() else { return };
    type Speaking = fn(Option<Login>) -> Protocol;
    let kinds: [(Speaking, SocketAddr); 2] =
        [(Protocol::Imap, server.addresses[0]), (Protocol::Pop3, server.addresses[1])];
    for (number, (kind, address)) in kinds.into_iter().enumerate() {
        for login in [None, Some(login("me", "secret"))] {
            let protocol = kind(login);
            assert_eq!(ask(&protocol, address), WELL, "{protocol:?} {}", server.log());
            let covered = ask_upgraded(&protocol, address, &server.file("cert.pem"));
            assert_eq!(covered, WELL, "{protocol:?} {}", server.log());
        }
        let (known, trusted) = (kind(Some(login("me", "secret"))), server.file("cert.pem"));
        assert_eq!(ask(&known, server.six(number)), WELL, "{known:?} {}", server.log());
        its_certificate_counts(&known, TlsStart::Upgrade, address, &trusted);
        let secure = server.addresses[number + 2];
        its_certificate_counts(&known, TlsStart::AtOnce, secure, &trusted);
        let wrong = ask(&kind(Some(login("me", "wrong"))), address).expect_err("bad");
        let answers = [
            "answer to LOGIN: `c2 NO [AUTHENTICATIONFAILED] Authentication failed.`",
            "answer to PASS: `-ERR [AUTH] Authentication failed.`",
        ];
        assert!(answers.contains(&wrong.as_str()), "{wrong}");
    }
}
