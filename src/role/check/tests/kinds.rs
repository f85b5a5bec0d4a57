//! What each kind of check asks.

use super::*;
use crate::check::config::{Dns, Expectation, Login, Pattern, Reply, Turn};

fn login(user: &str, password: &str) -> Login {
    Login { user: user.into(), password: password.into() }
}

fn text(text: &str) -> Option<Expectation> {
    Some(Expectation::Text(text.into()))
}

#[test]
fn protocols_over_a_connection_have_their_own_words() {
    let named = "user = \"a\"\npassword = \"b\"";
    let cases = [
        ("smtp", "", Protocol::Smtp { helo: "one".into() }),
        ("smtp", "helo = \"lb.example\"", Protocol::Smtp { helo: "lb.example".into() }),
        ("ftp", "", Protocol::Ftp(None)),
        ("ftp", named, Protocol::Ftp(Some(login("a", "b")))),
        ("imap", named, Protocol::Imap(Some(login("a", "b")))),
        ("pop3", "", Protocol::Pop3(None)),
        ("nntp", "", Protocol::Nntp(None)),
        ("nntp", named, Protocol::Nntp(Some(login("a", "b")))),
        ("redis", "", Protocol::Redis { login: None }),
        ("redis", "password = \"b\"", Protocol::Redis { login: Some(login("", "b")) }),
        (
            "mysql",
            "user = \"a\"",
            Protocol::Mysql { login: Some(login("a", "")), cleartext: false },
        ),
        (
            "postgres",
            "user = \"a\"\ndatabase = \"shop\"",
            Protocol::Postgres { login: login("a", ""), database: "shop".into(), cleartext: false },
        ),
        ("ldap", "base = \"dc=x\"", Protocol::Ldap { login: None, base: Some("dc=x".into()) }),
        ("agent", "send = \"hi\\\\n\"", Protocol::Agent { send: b"hi\n".to_vec() }),
        ("dns", "", Protocol::Dns(Dns { name: ".".into(), record: 6, answer: None })),
        ("sip", "user = \"bob\"", Protocol::Sip { user: "bob".into() }),
    ];
    for (kind, keys, protocol) in cases {
        let check = check(&format!("kind = \"{kind}\"\n{keys}"));
        assert_eq!(*check.probe, Probe::Speak { protocol, tls: None }, "{kind} {keys}");
        assert_eq!(check.target, target("192.0.2.3:80"));
    }
}

#[test]
fn tls_begins_with_the_connection_or_after_a_word() {
    let start = |keys: &str| match &*check(keys).probe {
        Probe::Speak { tls: Some(tls), .. } => tls.start,
        other => panic!("{other:?}"),
    };
    assert_eq!(start("kind = \"imap\"\ntls = \"on\""), TlsStart::AtOnce);
    assert_eq!(start("kind = \"smtp\"\ntls = \"starttls\""), TlsStart::Upgrade);
}

#[test]
fn turns_are_made_of_what_stands_at_the_same_place() {
    let check = check(
        "kind = \"expect\"\nsend = [\"\", \"PING\\\\r\\\\n\", \"QUIT\"]\n\
         expect = [\"hello\", \"\"]\nmatches = [\"\", \"^PONG\"]",
    );
    let Probe::Speak { protocol: Protocol::Expect(turns), .. } = &*check.probe else {
        panic!("turns")
    };
    let pong = Pattern::new("^PONG").map(Expectation::Matches).ok();
    let turn = |send: &str, expect| Turn { send: send.into(), expect };
    assert_eq!(*turns, [turn("", text("hello")), turn("PING\r\n", pong), turn("QUIT", None)]);
}

const NAMES: &str = "address = \"192.0.2.10\"\nports = 53\nprotocol = \"udp\"\nforward = \"dr\"";

#[test]
fn datagrams_are_asked_of_services_over_udp() {
    let one = |keys: &str| {
        let all = checks(NAMES, &format!("[[virtual-server.check]]\n{keys}"));
        Probe::clone(&all.into_iter().next().expect("one check").probe)
    };
    let dns = Dns { name: "a.example".into(), record: 28, answer: Some("2001:db8::1".into()) };
    let keys = "kind = \"dns\"\nname = \"a.example\"\nrecord = \"aaaa\"\nanswer = \"2001:db8::1\"";
    assert_eq!(one(keys), Probe::Ask(Datagram::Dns(dns)));
    assert_eq!(one("kind = \"sip\""), Probe::Ask(Datagram::Sip { user: "ping".into() }));
    let keys = "kind = \"radius\"\nuser = \"a\"\npassword = \"b\"\nsecret = \"c\"";
    let radius = Datagram::Radius { login: login("a", "b"), secret: "c".into() };
    assert_eq!(one(keys), Probe::Ask(radius));
    let silent = Datagram::Udp { payload: Vec::new(), reply: None };
    assert_eq!(one("kind = \"udp\""), Probe::Ask(silent));
    let keys = "kind = \"udp\"\npayload = \"hex:00 ff\"\nreply = \"hex:01??0a\"\nmin-length = 12";
    let begins = vec![Some(1), None, Some(10)];
    let reply = Some(Reply { begins, shortest: 12, longest: u16::MAX });
    assert_eq!(one(keys), Probe::Ask(Datagram::Udp { payload: vec![0, 255], reply }));
    assert_eq!(one(""), Probe::Ping);
}

#[test]
fn what_runs_or_lies_here_has_no_port() {
    let script = check(
        "kind = \"script\"\nscript = \"/usr/bin/try {{server.address}} 80\"\nuser = \"nobody\"\n\
         dynamic = true",
    );
    let argv = ["/usr/bin/try", "192.0.2.3", "80"].map(str::to_owned).to_vec();
    let probe = Script { argv, user: Some("nobody".into()), dynamic: true };
    assert_eq!((&*script.probe, script.target.port), (&Probe::Script(probe), 0));
    let file = check("kind = \"file\"\nfile = \"/run/{{server.name}}.weight\"\ndynamic = true");
    let probe = File { path: "/run/web.weight".into(), dynamic: true };
    assert_eq!((&*file.probe, file.target.port), (&Probe::File(probe), 0));
}

#[test]
fn another_address_is_asked_for_the_server() {
    let check = check("kind = \"tcp\"\naddress = \"198.51.100.3\"\nport = 8080");
    assert_eq!(check.target, target("198.51.100.3:8080"));
}

#[test]
fn a_check_that_is_off_or_does_not_apply_is_none() {
    let none = |keys: &str| checks(WEB, &format!("[[virtual-server.check]]\n{keys}")).len();
    assert_eq!(none("kind = \"off\"\npath = \"/up\"\nuser = \"a\""), 0);
    assert_eq!(none("when = \"\""), 0);
    assert_eq!(none("when = \"{{server.vars.weight}}\""), 1);
    let two = checks(WEB, "[[virtual-server.check]]\n[[virtual-server.check]]\nkind = \"ping\"");
    assert_eq!(
        two.iter().map(|check| &*check.probe).collect::<Vec<_>>(),
        [&Probe::Connect(None), &Probe::Ping]
    );
}

#[test]
fn bytes_are_written_as_text_or_as_digits() {
    use crate::document::Value;
    let bytes = |text| bytes::Written::parse(text).map(|written| written.0);
    assert_eq!(bytes("a\\x00\\xfF\\r\\n\\t\\0\\\\ü"), Ok(b"a\0\xff\r\n\t\0\\\xc3\xbc".to_vec()));
    assert_eq!(bytes("hex:00 ff:0A"), Ok(vec![0, 255, 10]));
    assert_eq!(bytes(""), Ok(Vec::new()));
    for wrong in ["\\", "\\x1", "\\xgg", "hex:0", "hex:zz", "hex:??", "hex:é"] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_server_of_another_family_than_the_vip_is_not_asked_through_it() {
    let through = |vip: &str| {
        let server = format!("address = \"{vip}\"\nports = 80\nforward = \"tun\"");
        checks(&server, "[[virtual-server.check]]\nkind = \"vip\"").len()
    };
    assert_eq!((through("192.0.2.10"), through("2001:db8::10")), (1, 0));
}
