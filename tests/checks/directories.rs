//! slapd, Unbound and FreeRADIUS: those who are asked for names.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use converge::check::config::{Datagram, Dns, Protocol, TlsStart};
use converge::check::outcome::Advice;

use super::asking::{
    Answer, WELL, ask, ask_by_datagram, ask_by_datagram_in_vain, ask_in_vain, ask_upgraded, login,
    write_certificate,
};
use super::engine::its_certificate_counts;
use super::server::{Server, run, six};

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file of our own");
    path.display().to_string()
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

const ENTRIES: &str = "dn: dc=example
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=hidden,dc=example
objectClass: organizationalUnit
ou: hidden
";

fn slapd() -> Option<Server> {
    Server::start("/usr/sbin/slapd", "slapd", 2, |directory, addresses| {
        let own = directory.display();
        write_certificate(directory);
        fs::create_dir_all(directory.join("data")).expect("a directory of our own");
        let conf = format!(
            "include /etc/ldap/schema/core.schema
pidfile {own}/pid
argsfile {own}/args
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {own}/cert.pem
TLSCertificateKeyFile {own}/key.pem
database mdb
suffix dc=example
rootdn cn=admin,dc=example
rootpw secret
directory {own}/data
access to dn.subtree=ou=hidden,dc=example by * none
access to * by * read
"
        );
        let conf = write(directory, "slapd.conf", &conf);
        run(Command::new("/usr/sbin/slapadd").args(["-f", &conf]), ENTRIES);
        let (open, secure) = (addresses[0], addresses[1]);
        let urls = format!("ldap://{open} ldap://{} ldaps://{secure}", six(open));
        ["-f", &conf, "-h", &urls, "-d", "0"].map(str::to_owned).to_vec()
    })
}

fn ldap(password: Option<&str>, base: Option<&str>) -> Protocol {
    let login = password.map(|password| login("cn=admin,dc=example", password));
    Protocol::Ldap { login, base: base.map(str::to_owned) }
}

#[test]
fn an_ldap_server_is_told_good_from_bad() {
    let Some(server) = slapd() else { return };
    let address = server.addresses[0];
    for password in [None, Some("secret")] {
        for base in [None, Some("dc=example"), Some("")] {
            let protocol = ldap(password, base);
            assert_eq!(ask(&protocol, address), WELL, "{protocol:?} {}", server.log());
            let covered = ask_upgraded(&protocol, address, &server.file("cert.pem"));
            assert_eq!(covered, WELL, "{protocol:?} {}", server.log());
        }
    }
    assert_eq!(ask(&ldap(Some("secret"), Some("dc=example")), server.six(0)), WELL);
    let (any, trusted) = (ldap(None, Some("dc=example")), server.file("cert.pem"));
    its_certificate_counts(&any, TlsStart::Upgrade, address, &trusted);
    its_certificate_counts(&any, TlsStart::AtOnce, server.addresses[1], &trusted);
    assert_eq!(ask(&ldap(Some("wrong"), None), address), bad("bind: invalidCredentials (49)"));
    let missing = ask(&ldap(None, Some("ou=none,dc=example")), address);
    assert_eq!(missing, bad("search: noSuchObject (32)"));
    let hidden = ask(&ldap(None, Some("ou=hidden,dc=example")), address);
    assert_eq!(hidden, bad("search: noSuchObject (32)"));
    assert_eq!(ask(&ldap(Some("secret"), Some("ou=hidden,dc=example")), address), WELL);
    let wrong = ask(&ldap(None, Some("what?")), address).expect_err("bad");
    assert!(wrong.starts_with("search: invalidDNSyntax (34)"), "{wrong}");
    server.freeze();
    let silent = ask_in_vain(&ldap(None, None), address);
    assert_eq!(silent, bad("silent: connected, but no answer to the bind came"));
}

const ZONE: &str = "$TTL 60
@ SOA ns mail 42 1 2 3 4
  NS ns
  MX 10 mx
ns A 192.0.2.53
mx A 192.0.2.25
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
alias CNAME www
text TXT \"hello \" \"world\"
";

fn unbound() -> Option<Server> {
    Server::start("/usr/sbin/unbound", "unbound", 1, |directory, addresses| {
        let own = directory.display();
        let (host, port) = (addresses[0].ip(), addresses[0].port());
        let conf = format!(
            "server:
  directory: \"{own}\"
  pidfile: \"{own}/pid\"
  chroot: \"\"
  username: \"\"
  use-syslog: no
  do-daemonize: no
  interface: {host}@{port}
  interface: ::1@{port}
  access-control: 127.0.0.0/8 allow
  access-control: ::1 allow
  module-config: \"iterator\"
  local-zone: \"test.\" refuse
remote-control:
  control-enable: no
auth-zone:
  name: \"example\"
  zonefile: \"zone\"
forward-zone:
  name: \"broken\"
  forward-addr: 127.0.0.1@1
"
        );
        let long = format!("large TXT \"{}\"\n", "x".repeat(200));
        let large: String = (0..9).map(|n| long.replacen('x', &n.to_string(), 1)).collect();
        write(directory, "zone", &(ZONE.to_owned() + &large));
        let conf = write(directory, "unbound.conf", &conf);
        ["-d", "-p", "-c", &conf].map(str::to_owned).to_vec()
    })
}

fn dns(name: &str, record: u16, answer: Option<&str>) -> Dns {
    Dns { name: name.to_owned(), record, answer: answer.map(str::to_owned) }
}

/// Over UDP and over TCP the same comes of it.
#[track_caller]
fn both(dns: Dns, address: SocketAddr) -> Answer {
    let over_tcp = ask(&Protocol::Dns(dns.clone()), address);
    assert_eq!(ask_by_datagram(&Datagram::Dns(dns), address), over_tcp);
    over_tcp
}

#[test]
fn a_dns_server_is_told_good_from_bad() {
    let Some(server) = unbound() else { return };
    let address = server.addresses[0];
    for (name, record, answer) in [
        ("www.example", 1, None),
        ("www.example", 1, Some("192.0.2.2")),
        ("WWW.Example.", 28, Some("2001:DB8::1")),
        ("alias.example", 5, Some("www.example")),
        ("alias.example", 1, Some("192.0.2.1")),
        ("example", 2, Some("ns.example.")),
        ("example", 15, Some("10 mx.example")),
        ("example", 6, Some("42")),
        ("text.example", 16, Some("hello world")),
        ("www.example", 257, None),
    ] {
        let answer = both(dns(name, record, answer), address);
        assert_eq!(answer, WELL, "{name} {record}: {}", server.log());
    }
    assert_eq!(both(dns("www.example", 28, Some("2001:db8::1")), server.six(0)), WELL);
    assert_eq!(both(dns("none.example", 1, None), address), bad("NXDOMAIN"));
    assert_eq!(both(dns("foreign.test", 1, None), address), bad("REFUSED"));
    assert_eq!(both(dns("broken", 6, None), address), bad("SERVFAIL"));
    let other = both(dns("ns.example", 1, Some("192.0.2.1")), address);
    assert_eq!(other, bad("the answer is 192.0.2.53, not 192.0.2.1"));

    let large = Datagram::Dns(dns("large.example", 16, None));
    let note = Some("its answer was cut off (TC)".to_owned());
    assert_eq!(ask_by_datagram(&large, address), Ok(Advice { note, ..Advice::default() }));
    assert_eq!(ask(&Protocol::Dns(dns("large.example", 16, None)), address), WELL);
    server.freeze();
    let silent = ask_by_datagram_in_vain(&large, address);
    assert_eq!(silent, bad("silent: no answer came"));
}

fn freeradius() -> Option<Server> {
    Server::start("/usr/sbin/freeradius", "freeradius", 1, |directory, addresses| {
        let own = directory.display();
        let (host, port) = (addresses[0].ip(), addresses[0].port());
        // Over TCP as well, which shows that it listens.
        let listen = |at: IpAddr, proto| {
            let name = if at.is_ipv4() { "ipv4addr" } else { "ipv6addr" };
            format!(
                "listen {{\n type = auth\n {name} = {at}\n port = {port}\n \
                 proto = {proto}\n}}\n"
            )
        };
        let conf = format!(
            "libdir = /usr/lib/freeradius
run_dir = {own}
logdir = {own}
pidfile = {own}/pid
security {{
  reject_delay = 0
  allow_vulnerable_openssl = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 2
}}
client all {{
  ipaddr = 127.0.0.0/8
  secret = testing123
  proto = *
  require_message_authenticator = yes
}}
modules {{
}}
client all_of_six {{
  ipv6addr = ::1
  secret = testing123
  proto = *
  require_message_authenticator = yes
}}
server default {{
{}{}{}{}  authorize {{
    if (&User-Password == \"a password of more than 16\") {{
      update control {{
        &Auth-Type := Accept
      }}
    }}
    else {{
      update control {{
        &Auth-Type := Reject
      }}
    }}
  }}
}}
",
            listen(host, "udp"),
            listen(host, "tcp"),
            listen(six(addresses[0]).ip(), "udp"),
            listen(six(addresses[0]).ip(), "tcp")
        );
        write(directory, "radiusd.conf", &conf);
        let own = own.to_string();
        ["-f", "-l", "stdout", "-n", "radiusd", "-d", &own].map(str::to_owned).to_vec()
    })
}

fn radius(password: &str, secret: &str) -> Datagram {
    Datagram::Radius { login: login("nemo", password), secret: secret.into() }
}

#[test]
fn a_radius_server_is_told_good_from_bad() {
    let Some(server) = freeradius() else { return };
    let address = server.addresses[0];
    let good = radius("a password of more than 16", "testing123");
    assert_eq!(ask_by_datagram(&good, address), WELL, "{}", server.log());
    assert_eq!(ask_by_datagram(&good, server.six(0)), WELL, "{}", server.log());
    let wrong = ask_by_datagram(&radius("wrong", "testing123"), address);
    assert_eq!(wrong, bad("it rejects the login"), "{}", server.log());
    // Any answer will do.
    assert_eq!(ask_by_datagram(&radius("", "testing123"), address), WELL);
    let silent = "silent: no answer came; one that does not know us, or has another secret, gives \
                  none";
    let stranger = ask_by_datagram_in_vain(&radius("", "another"), address);
    assert_eq!(stranger, bad(silent));
    server.freeze();
    assert_eq!(ask_by_datagram_in_vain(&good, address), bad(silent));
}
