//! What servers said, byte for byte, to a check whose random numbers were those of [`RANDOM`].
//!
//! All but INN, MySQL and the agent are the servers of Debian 12 that the integration tests start.

use super::Transcript;
use crate::check::config::{
    Dns, Expectation, Http, HttpRequest, HttpVersion, Login, Protocol, Turn,
};
use crate::track::config::Statuses;

/// What nonces and numbers of transactions were made of.
pub(super) const RANDOM: [u8; 16] = [7; 16];

/// All of them.
pub(super) fn transcripts() -> Vec<Transcript> {
    let say = |protocol, upgrade, said| Transcript { protocol, upgrade, said };
    vec![
        say(Protocol::Smtp { helo: "lb1.example".into() }, false, EXIM),
        say(Protocol::Smtp { helo: "lb1.example".into() }, true, EXIM_TLS),
        say(Protocol::Ftp(me()), false, VSFTPD),
        say(Protocol::Ftp(None), true, VSFTPD_TLS),
        say(Protocol::Imap(me()), false, DOVECOT_IMAP),
        say(Protocol::Imap(None), true, DOVECOT_IMAP_TLS),
        say(Protocol::Pop3(me()), false, DOVECOT_POP3),
        say(Protocol::Pop3(None), true, DOVECOT_POP3_TLS),
        say(Protocol::Nntp(me()), false, JAMNNTPD),
        say(Protocol::Nntp(None), true, INN),
        say(Protocol::Redis { login: me() }, false, REDIS),
        say(mysql(me()), false, MARIADB),
        say(mysql(None), false, MARIADB_NOBODY),
        say(mysql(None), false, MYSQL_NOBODY),
        say(mysql(me()), false, MYSQL),
        say(mysql(me()), false, MYSQL_SEEN),
        say(postgres(), false, POSTGRESQL),
        say(postgres(), false, POSTGRESQL_MD5),
        say(postgres(), false, POSTGRESQL_SCRAM),
        say(postgres(), true, POSTGRESQL_TLS),
        say(Protocol::Ldap { login: me(), base: Some("dc=example".into()) }, false, SLAPD),
        say(Protocol::Ldap { login: None, base: None }, true, SLAPD_TLS),
        say(dns("text.example", 16, "hello world"), false, UNBOUND),
        say(dns("example", 6, "42"), false, UNBOUND_SOA),
        say(dns("alias.example", 1, "192.0.2.1"), false, UNBOUND_ALIAS),
        say(Protocol::Sip { user: "ping".into() }, false, KAMAILIO),
        say(expect(&["VERSION ", "STORED\r\n", "END\r\n"]), false, MEMCACHED),
        say(expect(&["@RSYNCD: ", "OK\n"]), false, RSYNC),
        say(Protocol::Agent { send: Vec::new() }, false, AGENT),
        say(http(HttpVersion::V11), false, NGINX),
    ]
}

fn me() -> Option<Login> {
    Some(Login { user: "me".into(), password: "secret".into() })
}

fn mysql(login: Option<Login>) -> Protocol {
    Protocol::Mysql { login, cleartext: true }
}

fn postgres() -> Protocol {
    let login = Login { user: "scram".into(), password: "secret".into() };
    Protocol::Postgres { login, database: "data".into(), cleartext: false }
}

fn dns(name: &str, record: u16, answer: &str) -> Protocol {
    Protocol::Dns(Dns { name: name.into(), record, answer: Some(answer.into()) })
}

fn expect(texts: &[&str]) -> Protocol {
    let turn = |text: &&str| Turn {
        send: b"go\n".to_vec(),
        expect: Some(Expectation::Text(text.as_bytes().to_vec())),
    };
    Protocol::Expect(texts.iter().map(turn).collect())
}

fn http(version: HttpVersion) -> Protocol {
    let request = HttpRequest {
        status: Statuses(vec![(200, 299)]),
        expect: vec![Expectation::Text(b"web1".to_vec())],
        ..HttpRequest::get("/")
    };
    Protocol::Http(Http { version, requests: vec![request] })
}

/// Exim 4.96.
const EXIM: &[u8] = b"\
      220 mx.example ESMTP Exim 4.96 Fri, 20 Nov 2026 17:07:14 +0000\r\n250-mx.example Hello l\
      b1.example [127.0.0.1]\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-PIP\
      ECONNECT\r\n250-CHUNKING\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 HELP\r\n221 mx.example c\
      losing connection\r\n";

/// The same until TLS begins.
const EXIM_TLS: &[u8] = b"\
      220 mx.example ESMTP Exim 4.96 Fri, 20 Nov 2026 17:07:15 +0000\r\n250-mx.example Hello l\
      b1.example [127.0.0.1]\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-PIP\
      ECONNECT\r\n250-CHUNKING\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 HELP\r\n220 TLS go ahead\
      \r\n";

/// vsftpd 3.0.3.
const VSFTPD: &[u8] = b"\
      220 (vsFTPd 3.0.3)\r\n331 Please specify the password.\r\n230 Login successful.\r\n221 G\
      oodbye.\r\n";

/// The same until TLS begins.
const VSFTPD_TLS: &[u8] = b"\
      220 (vsFTPd 3.0.3)\r\n234 Proceed with negotiation.\r\n";

/// Dovecot 2.3.
const DOVECOT_IMAP: &[u8] = b"\
      * OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH\
      =PLAIN] Dovecot (Debian) ready.\r\nc2 OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS I\
      D ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT MULT\
      IAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL\
      =1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MO\
      VE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY] Logged in\r\
      \n* BYE Logging out\r\nc3 OK Logout completed (0.001 + 0.000 secs).\r\n";

/// The same until TLS begins.
const DOVECOT_IMAP_TLS: &[u8] = b"\
      * OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH\
      =PLAIN] Dovecot (Debian) ready.\r\nc1 OK Begin TLS negotiation now.\r\n";

/// Dovecot 2.3.
const DOVECOT_POP3: &[u8] = b"\
      +OK Dovecot (Debian) ready.\r\n+OK\r\n+OK Logged in.\r\n+OK Logging out.\r\n";

/// The same until TLS begins.
const DOVECOT_POP3_TLS: &[u8] = b"\
      +OK Dovecot (Debian) ready.\r\n+OK Begin TLS negotiation now.\r\n";

/// JamNNTPd 1.3.
const JAMNNTPD: &[u8] = b"\
      200 Welcome to JamNNTPd/Linux 1.3 (posting may or may not be allowed, try your luck)\r\n\
      381 Received login name, now send password\r\n281 Authentication accepted\r\n205 Goodbye\
      \r\n";

/// nnrpd of INN 2.7, until TLS begins.
const INN: &[u8] = b"\
      200 news.example InterNetNews NNRP server INN 2.7.1 ready (no posting)\r\n382 Begin TLS \
      negotiation now\r\n";

/// Redis 7.0.
const REDIS: &[u8] = b"\
      +OK\r\n+PONG\r\n";

/// MariaDB 10.11.
const MARIADB: &[u8] = b"\
      d\0\0\0\n5.5.5-10.11.19-MariaDB-0+deb12u1\0\x07\0\0\0:%Gv>p>~\0\xfe\xff\x08\x02\0\xff\
      \x81\x15\0\0\0\0\0\0\x1d\0\0\0&>E}jyD'5sd}\0mysql_native_password\0\x07\0\0\x02\0\0\0\
      \x02\0\0\0";

/// MariaDB, asked without a login.
const MARIADB_NOBODY: &[u8] = b"\
      d\0\0\0\n5.5.5-10.11.19-MariaDB-0+deb12u1\0\x05\0\0\0x_S`hiVT\0\xfe\xff\x08\x02\0\xff\
      \x81\x15\0\0\0\0\0\0\x1d\0\0\0\"J.G\\v^Sf*9~\0mysql_native_password\0C\0\0\x02\xff\x15\
      \x04#28000Access denied for user ''@'localhost' (using password: NO)";

/// MySQL 9.7, asked without a login.
const MYSQL_NOBODY: &[u8] = b"\
      K\0\0\0\n9.7.4-2\0\x08\0\0\0p5>9M\x0bh%\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\
      \0\0PvWT\x16uLIWp\x05j\0caching_sha2_password\0C\0\0\x02\xff\x15\x04#28000Access denied \
      for user ''@'localhost' (using password: NO)";

/// MySQL 9.7 that has not seen the user yet.
const MYSQL: &[u8] = b"\
      K\0\0\0\n9.7.4-2\0\n\0\0\0+eNn\x1df97\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\
      \0\x028h%z\x157\x19BguM\0caching_sha2_password\0\x02\0\0\x02\x01\x04\xc4\x01\0\x04\x01--\
      ---BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnH7TSXW6EA2wtlP7vO\
      +K\nxaxHDkd+4zmYJc6D7R0VMM6ibO5o0+zzVL0bXrQ5tkXkVdWNmLM8eBAh5KPhnmr+\nRejql80hJzZGreQir2\
      ySJt6QnAaAsLNqU+JwnYB6a7Zask+sFhasxEDWvZCIWLM5\n13qrubdeg8C0ThV7KWFcj4Dpz2zH9fEk0kZwhTQF\
      4h/colJnRiz1HnJBPp5v7Smp\nPRWrkcPbVb/g5Nr+0SJ4Sv7JN0OatXIw754PNS0PcXsHIBe8dGWkBjAhKoT5d9\
      R1\nHYLgiM2DqZrxLEBq9C8I3hw036eX6SN3LxYFVC1qNRI0fA2Fr00Zt4rdFValTXkS\nWwIDAQAB\n-----END\
      \x20PUBLIC KEY-----\n\x07\0\0\x06\0\0\0\x02\0\0\0";

/// MySQL 9.7 that has.
const MYSQL_SEEN: &[u8] = b"\
      K\0\0\0\n9.7.4-2\0\x0b\0\0\0\x043({\x19x\x0bi\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\
      \0\0\0\0\0v\\\x15JX @hIZs6\0caching_sha2_password\0\x02\0\0\x02\x01\x03\x07\0\0\x03\0\0\
      \0\x02\0\0\0";

/// PostgreSQL 15, by trust.
const POSTGRESQL: &[u8] = b"\
      R\0\0\0\x08\0\0\0\0S\0\0\0\x1eapplication_name\0converge\0S\0\0\0\x19client_encoding\0UT\
      F8\0S\0\0\0\x17DateStyle\0ISO, MDY\0S\0\0\0&default_transaction_read_only\0off\0S\0\0\0\
      \x17in_hot_standby\0off\0S\0\0\0\x19integer_datetimes\0on\0S\0\0\0\x1bIntervalStyle\0pos\
      tgres\0S\0\0\0\x15is_superuser\0off\0S\0\0\0\x19server_encoding\0UTF8\0S\0\0\x002server_\
      version\x0015.18 (Debian 15.18-0+deb12u1)\0S\0\0\0\"session_authorization\0trusted\0S\0\
      \0\0#standard_conforming_strings\0on\0S\0\0\0\x15TimeZone\0Etc/UTC\0K\0\0\0\x0c\0\0>o\
      \x14u\xdc\\Z\0\0\0\x05I";

/// By MD5.
const POSTGRESQL_MD5: &[u8] = b"\
      R\0\0\0\x0c\0\0\0\x05\x03>,\x95R\0\0\0\x08\0\0\0\0S\0\0\0\x1eapplication_name\0converge\
      \0S\0\0\0\x19client_encoding\0UTF8\0S\0\0\0\x17DateStyle\0ISO, MDY\0S\0\0\0&default_tran\
      saction_read_only\0off\0S\0\0\0\x17in_hot_standby\0off\0S\0\0\0\x19integer_datetimes\0on\
      \0S\0\0\0\x1bIntervalStyle\0postgres\0S\0\0\0\x15is_superuser\0off\0S\0\0\0\x19server_en\
      coding\0UTF8\0S\0\0\x002server_version\x0015.18 (Debian 15.18-0+deb12u1)\0S\0\0\0!sessio\
      n_authorization\0hashed\0S\0\0\0#standard_conforming_strings\0on\0S\0\0\0\x15TimeZone\0E\
      tc/UTC\0K\0\0\0\x0c\0\0>{\r\xdf\xbc\xbdZ\0\0\0\x05I";

/// By SCRAM-SHA-256.
const POSTGRESQL_SCRAM: &[u8] = b"\
      R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0R\0\0\0\\\0\0\0\x0br=BwcHBwcHBwcHBwcHBwcHBw==gq3lNbK\
      Mu8aNNa08TVz6QOWl,s=55XhAXPftaEKKOWGN1AQkA==,i=4096R\0\0\x006\0\0\0\x0cv=OYEbtdXFynIQQGv\
      GGNNiT0GHf5tq69dRCMZ7F6kehI8=R\0\0\0\x08\0\0\0\0S\0\0\0\x1eapplication_name\0converge\0S\
      \0\0\0\x19client_encoding\0UTF8\0S\0\0\0\x17DateStyle\0ISO, MDY\0S\0\0\0&default_transac\
      tion_read_only\0off\0S\0\0\0\x17in_hot_standby\0off\0S\0\0\0\x19integer_datetimes\0on\0S\
      \0\0\0\x1bIntervalStyle\0postgres\0S\0\0\0\x15is_superuser\0off\0S\0\0\0\x19server_encod\
      ing\0UTF8\0S\0\0\x002server_version\x0015.18 (Debian 15.18-0+deb12u1)\0S\0\0\0 session_a\
      uthorization\0scram\0S\0\0\0#standard_conforming_strings\0on\0S\0\0\0\x15TimeZone\0Etc/U\
      TC\0K\0\0\0\x0c\0\0>}93\x90\x8eZ\0\0\0\x05I";

/// Until TLS begins.
const POSTGRESQL_TLS: &[u8] = b"\
      S";

/// slapd 2.5.
const SLAPD: &[u8] = b"\
      0\x0c\x02\x01\x02a\x07\n\x01\0\x04\0\x04\x000\x13\x02\x01\x03d\x0e\x04\ndc=example0\x000\
      \x0c\x02\x01\x03e\x07\n\x01\0\x04\0\x04\0";

/// The same until TLS begins.
const SLAPD_TLS: &[u8] = b"\
      0\x0c\x02\x01\x01x\x07\n\x01\0\x04\0\x04\0";

/// Unbound 1.17.
const UNBOUND: &[u8] = b"\
      \x007\x07\x07\x85\x80\0\x01\0\x01\0\0\0\0\x04text\x07example\0\0\x10\0\x01\xc0\x0c\0\x10\
      \0\x01\0\0\0<\0\r\x06hello \x05world";

/// The same.
const UNBOUND_SOA: &[u8] = b"\
      \0E\x07\x07\x85\x80\0\x01\0\x01\0\0\0\0\x07example\0\0\x06\0\x01\xc0\x0c\0\x06\0\x01\0\0\
      \0<\0 \x02ns\xc0\x0c\x04mail\xc0\x0c\0\0\0*\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04";

/// The same.
const UNBOUND_ALIAS: &[u8] = b"\
      \0Q\x07\x07\x85\x80\0\x01\0\x03\0\0\0\0\x05alias\x07example\0\0\x01\0\x01\xc0\x0c\0\x05\
      \0\x01\0\0\0<\0\x06\x03www\xc0\x12\xc0+\0\x01\0\x01\0\0\0<\0\x04\xc0\0\x02\x02\xc0+\0\
      \x01\0\x01\0\0\0<\0\x04\xc0\0\x02\x01";

/// Kamailio 5.6.
const KAMAILIO: &[u8] = b"\
      SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP converge.invalid;rport=33328;branch=z9hG4bK0707070707\
      0707070707070707070707;received=127.0.0.1\r\nFrom: <sip:converge@converge.invalid>;tag=0\
      7070707\r\nTo: <sip:ping@127.93.61.30:37745>;tag=78c4fd72ea97dd28f97efa3051546550.1cb100\
      00\r\nCall-ID: 07070707070707070707070707070707\r\nCSeq: 1 OPTIONS\r\nServer: kamailio (\
      5.6.3 (x86_64/linux))\r\nContent-Length: 0\r\n\r\n";

/// memcached 1.6.
const MEMCACHED: &[u8] = b"\
      VERSION 1.6.18\r\nSTORED\r\nVALUE check 0 4\r\nkept\r\nEND\r\n";

/// rsync 3.5.
const RSYNC: &[u8] = b"\
      @RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n@RSYNCD: OK\n";

/// An agent as HAProxy's manual has it.
const AGENT: &[u8] = b"\
      up,50%\tready # backup runs\r\n";

/// nginx 1.22.
const NGINX: &[u8] = b"\
      HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nTransfer-Encoding:\
      \x20chunked\r\nConnection: close\r\n\r\n5\r\nweb1\n\r\n0\r\n\r\n";
