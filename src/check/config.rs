//! What a check is: whom it asks, what, and how often.
//!
//! A [`CheckConfig`] is its own key: two pools that want the same of the same server share one
//! check, and one that a reload leaves alone keeps what is known. The target comes first, so that
//! comparing two of them ends early.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use crate::frame::tunnel::Tunnel;
use crate::secret::Secret;
use crate::track::config::Statuses;

/// A check of one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckConfig {
    /// Whom it asks.
    pub target: Target,
    /// What it asks: mostly the same of thousands.
    pub probe: Arc<Probe>,
    /// How often, and how many answers count.
    pub timing: Timing,
}

/// Whom a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 where the probe has none.
    pub port: u16,
}

impl Target {
    /// Both together.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// How often a check is made and how many answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timing {
    /// From the start of one to the start of the next. 10 ms to 1 h.
    pub every: Duration,
    /// How long one may take. At most `every`.
    pub timeout: Duration,
    /// `every` while the answers are about to turn what is held to be true. At most `every`.
    pub fast: Duration,
    /// As many good ones in a row make a bad target good.
    pub rise: NonZeroU8,
    /// As many bad ones in a row make a good target bad.
    pub fall: NonZeroU8,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// A TCP connection, let go by a reset as soon as it stands; with TLS, after the handshake.
    Connect(Option<Tls>),
    /// Something is said over TCP and the answer judged.
    Speak {
        /// In which protocol.
        protocol: Protocol,
        /// Over TLS.
        tls: Option<Tls>,
    },
    /// A datagram, and the answer to it.
    Ask(Datagram),
    /// ICMP echo.
    Ping,
    /// The server takes packets for the VIP and answers as it: a SYN for the VIP goes to the
    /// server's own Ethernet address, or through its tunnel. The target is the server's address
    /// with the VIP's port.
    ThroughVip(ThroughVip),
    /// A program. Exit 0 is good.
    Script(Script),
    /// A file on this host. None, or one with 0 in it, is good.
    File(File),
}

impl Probe {
    /// Whether a good end says that the target's own address answers: silence, a program or a file
    /// can be good by themselves, and through the VIP another address answers.
    pub fn is_answered_by_ip(&self) -> bool {
        match self {
            Probe::Ask(Datagram::Udp { reply, .. }) => reply.is_some(),
            Probe::Ask(Datagram::Dns(_) | Datagram::Sip { .. } | Datagram::Radius { .. })
            | Probe::Connect(_)
            | Probe::Speak { .. }
            | Probe::Ping => true,
            Probe::ThroughVip(_) | Probe::Script(_) | Probe::File(_) => false,
        }
    }
}

/// A check through the VIP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThroughVip {
    /// The VIP.
    pub vip: IpAddr,
    /// The interface towards the server.
    pub interface: String,
    /// How the server takes packets for it.
    pub way: Way,
}

/// How packets for the VIP reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// By its Ethernet address.
    Direct,
    /// Inside of other packets.
    Tunnel(Tunnel),
}

/// TLS towards a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tls {
    /// When it begins.
    pub start: TlsStart,
    /// The name that is asked for (SNI) and that the certificate has to bear; without, the
    /// target's address, and no SNI is sent.
    pub name: Option<String>,
    /// Whether the certificate has to be good.
    pub verify: bool,
    /// The certificates that are trusted, in PEM; without, those of this host.
    pub ca: Option<PathBuf>,
    /// A certificate that ends sooner than this is warned of.
    pub warn_before: Duration,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsStart {
    /// With the connection.
    AtOnce,
    /// After the protocol's own word for it (STARTTLS, STLS, AUTH TLS, SSLRequest).
    Upgrade,
}

/// A protocol over TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP.
    Http(Http),
    /// SMTP: banner, EHLO, QUIT.
    Smtp {
        /// How it calls itself.
        helo: String,
    },
    /// FTP: banner, and login if there is one.
    Ftp(Option<Login>),
    /// IMAP: greeting, and login if there is one.
    Imap(Option<Login>),
    /// POP3: greeting, and login if there is one.
    Pop3(Option<Login>),
    /// NNTP: greeting, and login if there is one.
    Nntp(Option<Login>),
    /// Redis: PING.
    Redis {
        /// With AUTH before.
        login: Option<Login>,
    },
    /// MySQL and MariaDB: greeting, and login if there is one.
    Mysql {
        /// Who logs in.
        login: Option<Login>,
        /// Whether the password is given to whoever answers, under a key that he sends: not only
        /// over TLS, or to this host itself.
        cleartext: bool,
    },
    /// PostgreSQL: start-up with this user and database.
    Postgres {
        /// The user, and the password if one is asked for.
        login: Login,
        /// The database; empty is the user's name.
        database: String,
        /// Whether the password is sent as it is where nobody but the wire could read it: not only
        /// over TLS, or to this host itself.
        cleartext: bool,
    },
    /// LDAP: bind, anonymously unless there is a login, and a search if there is a base.
    Ldap {
        /// Bind DN and password.
        login: Option<Login>,
        /// What has to be there.
        base: Option<String>,
    },
    /// DNS over TCP.
    Dns(Dns),
    /// SIP over TCP: OPTIONS.
    Sip {
        /// Whom it asks for.
        user: String,
    },
    /// Bytes are sent, others expected.
    Expect(Vec<Turn>),
    /// HAProxy's agent-check: one line that says how the server is.
    Agent {
        /// What is sent first; empty for nothing.
        send: Bytes,
    },
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; empty for none.
    pub password: Secret,
}

/// An HTTP check: all of its requests have to be answered well, one connection for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Http {
    /// The version spoken.
    pub version: HttpVersion,
    /// At least one.
    pub requests: Vec<HttpRequest>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.0, without a Host header unless one is given or TLS asks for a name.
    V10,
    /// HTTP/1.1.
    V11,
    /// HTTP/2: by ALPN over TLS, else with prior knowledge (RFC 9113 section 3.3).
    V2,
}

/// One request, and what its answer has to be like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpRequest {
    /// GET, HEAD, OPTIONS, POST, …
    pub method: String,
    /// With its query.
    pub path: String,
    /// The Host header, or :authority; without, the name asked for over TLS, and without that the
    /// target's address; with the port if it is not the scheme's own.
    pub host: Option<String>,
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body that is sent.
    pub body: Bytes,
    /// The statuses that are good.
    pub status: Statuses,
    /// What the body has to be like, all of it.
    pub expect: Vec<Expectation>,
}

impl HttpRequest {
    /// A GET of this path that expects no more than a status from 200 to 399.
    pub fn get(path: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            host: None,
            headers: Vec::new(),
            body: Bytes::new(),
            status: Statuses::default(),
            expect: Vec::new(),
        }
    }
}

/// What an answer has to be like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expectation {
    /// These bytes stand in it.
    Text(Bytes),
    /// This pattern (crate regex, on bytes) matches.
    Matches(Pattern),
    /// It does not.
    MatchesNot(Pattern),
    /// It has this MD5, in lower-case hexadecimal digits, as keepalived's genhash prints.
    Md5(String),
    /// It has this SHA-256, in lower-case hexadecimal digits.
    Sha256(String),
}

/// A regular expression that is known to be one, ready for use. At most 4096 bytes.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    /// Made once: making it takes longer than a check.
    regex: Arc<Regex>,
}

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 4096;
/// The largest that one may be once it is made, in bytes. The time it takes for a page grows with
/// it, and all checks wait for one another.
const LARGEST_PATTERN: usize = 1024 * 1024;

impl Pattern {
    /// Takes a pattern. `Err` says what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, String> {
        if text.len() > LONGEST_PATTERN {
            return Err(format!("a pattern has at most {LONGEST_PATTERN} bytes"));
        }
        match RegexBuilder::new(text).size_limit(LARGEST_PATTERN).build() {
            Ok(regex) => Ok(Pattern { text: text.to_owned(), regex: Arc::new(regex) }),
            Err(regex::Error::CompiledTooBig(_)) => Err(
                "the pattern takes too much to match; (?-u:\\w) takes less than \\w, which is all \
                 of Unicode, and {1,9} less than {1,99}"
                    .to_owned(),
            ),
            // What is before it draws the place, over several lines.
            Err(error) => {
                let said = error.to_string();
                let last = said.lines().last().unwrap_or_default();
                Err(last.trim_start_matches("error: ").to_owned())
            }
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches somewhere in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }

    /// Where the first match in these bytes ends.
    pub fn end_in(&self, bytes: &[u8]) -> Option<usize> {
        self.regex.find(bytes).map(|found| found.end())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

// Its text is all of it.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Bytes of any value.
pub type Bytes = Vec<u8>;

/// One turn of a send/expect check: what is sent, then what has to come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// Sent first; empty for nothing.
    pub send: Bytes,
    /// What has to come within the next 64 KiB; nothing is not waited
    /// for.
    pub expect: Option<Expectation>,
}

/// A question in one datagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datagram {
    /// Any bytes. Without an expected reply, silence is good and only a refusal bad.
    Udp {
        /// What is sent.
        payload: Bytes,
        /// What has to come.
        reply: Option<Reply>,
    },
    /// DNS.
    Dns(Dns),
    /// SIP: OPTIONS.
    Sip {
        /// Whom it asks for.
        user: String,
    },
    /// RADIUS: Access-Request, and an answer that is signed with the secret.
    Radius {
        /// The user. With a password, the answer has to be Access-Accept; without one any is good.
        login: Login,
        /// The secret that client and server share.
        secret: Secret,
    },
}

/// What has to come back over UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reply {
    /// It begins with these; `None` is any byte.
    pub begins: Vec<Option<u8>>,
    /// At least as many bytes.
    pub shortest: u16,
    /// At most as many bytes.
    pub longest: u16,
}

/// A DNS question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dns {
    /// The name; "." is the root.
    pub name: String,
    /// The number of the record type (IANA DNS parameters): 1 A, 6 SOA, 28 AAAA.
    pub record: u16,
    /// An answer that has to be among those given, as text; an address for A and AAAA.
    pub answer: Option<String>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Script {
    /// The program and its arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Who it runs as; without, as converge does.
    pub user: Option<String>,
    /// Exit codes from 2 to 255 set the weight to 0 to 253, as keepalived's misc_dynamic.
    pub dynamic: bool,
}

/// A file that the operator, or a program, writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct File {
    /// The path.
    pub path: PathBuf,
    /// The number in it is the weight; 0 drains. Otherwise a number other than 0 is bad.
    pub dynamic: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_checks_take_a_megabyte() {
        assert!(size_of::<CheckConfig>() <= 104, "{}", size_of::<CheckConfig>());
    }

    #[test]
    fn patterns_are_the_same_if_their_texts_are() {
        let pattern = |text| Pattern::new(text).expect("a pattern");
        assert_eq!(pattern("a+"), pattern("a+"));
        assert!(pattern("a+") < pattern("b"));
        assert!(pattern("a+").is_in(b"\xffaa") && !pattern("a+").is_in(b"b"));
    }

    #[test]
    fn a_pattern_that_is_none_or_takes_too_much_is_refused_with_the_reason() {
        let refused = |text: &str| Pattern::new(text).expect_err("refused");
        assert!(refused("a(b").contains("unclosed group"), "{}", refused("a(b"));
        assert!(refused(r"[\w-]{1,200}@").contains("too much"));
        assert!(Pattern::new(r"[\w-]{1,9}@").is_ok());
        assert!(Pattern::new(r"(?-u:[\w-]{1,200}@)").is_ok());
        assert!(refused(&"a".repeat(4097)).contains("4096"));
    }
}
