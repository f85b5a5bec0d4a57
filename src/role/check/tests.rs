//! What a check becomes, and what is said of a wrong one.

mod kinds;

use std::time::Duration;

use super::*;
use crate::check::config::{HttpVersion, Tls, TlsStart};
use crate::role::Role;
use crate::role::election::tests::{load, pair};

/// A director with one virtual server, of these keys beside its checks.
fn role(server: &str, checks: &str) -> Result<Role, String> {
    let text = format!(
        "version = 1\n[[virtual-server]]\nscheduler = \"rr\"\nreal-servers = \"realserver\"\n\
         {server}\n{checks}"
    );
    load("one", &pair(""), Some(&text)).map(|(role, _)| role)
}

const WEB: &str = "address = \"192.0.2.10\"\nports = 80\nforward = \"dr\"";

fn checks(server: &str, checks: &str) -> Vec<CheckConfig> {
    let role = role(server, checks).unwrap_or_else(|said| panic!("{said}"));
    let [pool] = role.pools() else { panic!("one pool") };
    let [member] = &pool.members[..] else { panic!("one server") };
    assert_eq!(member.host, "web");
    member.checks.iter().map(|check| CheckConfig::clone(check)).collect()
}

/// The only check of the only server of TCP 192.0.2.10:80.
#[track_caller]
fn check(keys: &str) -> CheckConfig {
    let all = checks(WEB, &format!("[[virtual-server.check]]\n{keys}"));
    let [check] = all.try_into().expect("one check");
    check
}

#[track_caller]
fn wrong(keys: &str) -> String {
    let checks = format!("[[virtual-server.check]]\n{keys}");
    role(WEB, &checks).map(|_| ()).expect_err("it is wrong")
}

fn target(text: &str) -> Target {
    let at: SocketAddr = text.parse().expect("an address");
    Target { address: at.ip(), port: at.port() }
}

#[test]
fn a_check_without_words_connects_every_second() {
    let check = check("");
    assert_eq!(check.target, target("192.0.2.3:80"));
    assert_eq!(*check.probe, Probe::Connect(None));
    let Timing { every, timeout, fast, rise, fall } = check.timing;
    assert_eq!((every, timeout), (Duration::from_secs(1), Duration::from_secs(1)));
    assert_eq!((fast, rise.get(), fall.get()), (Duration::from_millis(200), 2, 3));
}

#[test]
fn http_has_one_request_for_each_path() {
    let check = check(
        "kind = \"http\"\npath = [\"/up\", \"/ready?deep=1\"]\nhost = \"shop.example\"\n\
         headers = [\"X-Check: a b\", \"Accept: */*\"]\nstatus = \"200,301-302\"\n\
         expect = \"it\\\\x20works\"\nmatches = \"^ok\"\nversion = \"1.0\"\nmethod = \"POST\"\n\
         body = \"a\\\\r\\\\n\"\nport = 8080",
    );
    assert_eq!(check.target, target("192.0.2.3:8080"));
    let Probe::Speak { protocol: Protocol::Http(http), tls: None } = &*check.probe else {
        panic!("http without TLS")
    };
    assert_eq!(http.version, HttpVersion::V10);
    let paths: Vec<&str> = http.requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/up", "/ready?deep=1"]);
    let request = &http.requests[1];
    assert_eq!((request.method.as_str(), &request.body[..]), ("POST", &b"a\r\n"[..]));
    assert_eq!(request.host.as_deref(), Some("shop.example"));
    assert_eq!(request.headers[0], ("X-Check".to_owned(), "a b".to_owned()));
    assert_eq!(request.status, Statuses(vec![(200, 200), (301, 302)]));
    assert_eq!(request.expect.len(), 2);
}

#[test]
fn an_empty_text_counts_as_left_out() {
    let keys = "kind = \"http\"\nevery = \"\"\nport = \"\"\npath = \"\"\nmd5 = \"\"\nsend = \"\"\n\
                name = \"\"\nuser = \"\"\nexpect = \"\"\nverify = \"\"\ndynamic = \"\"";
    assert_eq!(check(keys), check("kind = \"http\""));
}

#[test]
fn tls_is_verified_where_somebody_says_by_whom() {
    let tls = |keys: &str| -> Tls {
        match &*check(keys).probe {
            Probe::Connect(Some(tls)) | Probe::Speak { tls: Some(tls), .. } => tls.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(!tls("kind = \"https\"").verify);
    let own = tls("tls = \"on\"\nkind = \"tcp\"\nca = \"/etc/ca.pem\"\nname = \"shop.example\"");
    assert!(own.verify && own.name.as_deref() == Some("shop.example"));
    assert_eq!(own.warn_before, Duration::from_secs(14 * 86400));
}

#[test]
fn a_wrong_check_is_told_what_would_be_right() {
    let cases = [
        ("kind = \"htttp\"", "did you mean `http`?"),
        ("kind = \"tcp\"\npath = \"/\"", "`path` says nothing about a check of kind `tcp`"),
        ("kind = \"ping\"\nport = 80", "`port` says nothing about a check of kind `ping`"),
        ("timeout = \"2s\"", "`timeout` = 2s is longer than `every` = 1s"),
        ("fast = \"2s\"", "`fast` = 2s is longer than `every` = 1s"),
        ("every = \"1ms\"", "`every` is from 10ms to 1h"),
        ("evry = \"1s\"", "did you mean `every`?"),
        ("kind = \"http\"\npath = \"up\"", "`up` is no path; it has to start with `/`"),
        ("kind = \"http\"\nstatus = \"2xx\"", "is no list of statuses"),
        ("kind = \"http\"\nmatches = \"(\"", "`(` is no regular expression"),
        ("kind = \"http\"\nmd5 = \"abc\"", "no digest of 32 hexadecimal digits"),
        ("kind = \"http\"\nheaders = \"X\"", "it would be like `X-Check: converge`"),
        ("kind = \"http\"\nname = \"a\"", "`name` says nothing about a check without TLS"),
        ("kind = \"http\"\ntls = \"starttls\"", "cannot begin TLS later"),
        ("kind = \"postgres\"", "a check of kind `postgres` needs `user`"),
        ("kind = \"radius\"\nuser = \"a\"", "needs `secret`"),
        ("kind = \"http\"\nhost = \"a b\"", "`a b` is no host"),
        ("kind = \"http\"\nheaders = \"A: b\\nC: d\"", "it would be like `X-Check: converge`"),
        ("kind = \"redis\"\ntls = \"starttls\"", "cannot begin TLS later"),
        ("kind = \"https\"\ntls = \"off\"", "https without TLS is http"),
        ("kind = \"ldap\"\nuser = \"cn=a\"", "ldap takes a user without a password for nobody"),
        ("kind = \"ftp\"\npassword = \"a\"", "a password without a user"),
        ("kind = \"script\"", "a check of kind `script` needs `script`, a command line"),
        ("kind = \"script\"\nscript = \"a | b\"", "no shell reads this"),
        ("kind = \"file\"\nfile = \"a\"", "`a` is not absolute"),
        ("kind = \"expect\"\nsend = \"a\"", "expects nothing"),
        ("kind = \"expect\"\nexpect = \"a\"\nmatches = \"b\"", "turn 1 has both"),
        ("kind = \"udp\"\npayload = \"hex:0\"", "has half a byte"),
        ("kind = \"udp\"\npayload = \"\\\\q\"", "`\\q` in `\\q` means nothing"),
        ("kind = \"udp\"\nmin-length = 9\nmax-length = 8", "at least 9 bytes and at most 8"),
        ("kind = \"dns\"\nrecord = \"AAAAA\"", "did you mean `AAAA`?"),
        ("kind = \"dns\"\nname = \"a..b\"", "is no name that DNS could be asked for"),
    ];
    for (keys, said) in cases {
        let told = wrong(keys);
        assert!(told.contains(said), "{keys}: {said:?} is not in\n{told}");
        assert!(told.contains("director-master.toml:"), "{told}");
    }
}
