//! Redis and what speaks like it (Valkey, KeyDB): PING, with AUTH before if there is a login.
//!
//! The answers here are simple strings and errors of one line, in every version of RESP. A server
//! that loads its data, has lost its master or wants a login says so, and is not well: it would say
//! the same to everybody.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good};
use super::line;
use crate::check::config::Login;

/// A client that only pings.
pub(super) struct Redis {
    login: Option<Login>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Auth,
    Ping,
}

impl Redis {
    pub(super) fn new(login: Option<Login>) -> Redis {
        let stage = if login.is_some() { Stage::Auth } else { Stage::Ping };
        Redis { login, stage }
    }
}

/// A command as an array of strings, of any bytes.
fn command(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// What errors that servers have in some states mean.
const MEANINGS: [(&[u8], &str); 5] = [
    (b"-LOADING", "it is loading its data"),
    (b"-NOAUTH", "it wants a login"),
    (b"-WRONGPASS", "it refuses the login"),
    (b"-MASTERDOWN", "it has lost its master"),
    (b"-DENIED", "it is in protected mode"),
];

fn error(answer: &[u8]) -> String {
    let meaning = MEANINGS.iter().find(|(word, _)| answer.starts_with(word));
    match meaning {
        Some((_, meaning)) => format!("{meaning}: {}", line::quote(&answer[1..])),
        None => format!("error {}", line::quote(answer.get(1..).unwrap_or_default())),
    }
}

impl Speaker for Redis {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        match &self.login {
            // Without a user as before Redis 6: the password is everybody's.
            Some(login) if login.user.is_empty() => command(&["AUTH", &login.password], out),
            Some(login) => command(&["AUTH", &login.user, &login.password], out),
            None => command(&["PING"], out),
        }
        Step::More
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        line::cut(bytes)
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        let answer = line::text(message);
        match (self.stage, answer) {
            (_, [b'-', ..]) => bad(error(answer)),
            (Stage::Auth, b"+OK") => {
                self.stage = Stage::Ping;
                command(&["PING"], out);
                Step::More
            }
            (Stage::Ping, b"+PONG") => good(),
            (Stage::Auth, _) => bad(format!("answer to AUTH: {}", line::quote(answer))),
            (Stage::Ping, _) => bad(format!("answer to PING: {}", line::quote(answer))),
        }
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Auth => "answer to AUTH",
            Stage::Ping => "answer to PING",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::Ordeal;

    fn login(user: &str) -> Option<Login> {
        Some(Login { user: user.into(), password: "se cret".into() })
    }

    #[test]
    fn pong_is_good() {
        let plain = Ordeal::new(|| Redis::new(None));
        plain.says(b"*1\r\n$4\r\nPING\r\n").hears(b"+PONG\r\n").ends_good();
        Ordeal::new(|| Redis::new(login("")))
            .says(b"*2\r\n$4\r\nAUTH\r\n$7\r\nse cret\r\n")
            .hears(b"+OK\r\n")
            .says(b"*1\r\n$4\r\nPING\r\n")
            .hears(b"+PONG\r\n")
            .ends_good();
        Ordeal::new(|| Redis::new(login("me")))
            .says(b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$7\r\nse cret\r\n")
            .hears(b"+OK\r\n+PONG\r\n")
            .ends_good();
    }

    #[test]
    fn errors_are_named() {
        for (hears, what) in [
            (
                &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
                "it is loading its data: `LOADING Redis is loading the dataset in memory`",
            ),
            (
                b"-NOAUTH Authentication required.\r\n",
                "it wants a login: `NOAUTH Authentication required.`",
            ),
            (
                b"-MASTERDOWN Link with MASTER is down\r\n",
                "it has lost its master: `MASTERDOWN Link with MASTER is down`",
            ),
            (
                b"-DENIED Redis is running in protected mode\r\n",
                "it is in protected mode: `DENIED Redis is running in protected mode`",
            ),
            (
                b"-ERR max number of clients reached\r\n",
                "error `ERR max number of clients reached`",
            ),
            (b"-\r\n", "error ``"),
            (b"+OK\r\n", "answer to PING: `+OK`"),
            (b"HTTP/1.1 400 Bad Request\r\n", "answer to PING: `HTTP/1.1 400 Bad Request`"),
        ] {
            Ordeal::new(|| Redis::new(None)).hears(hears).ends_bad(what);
        }
        Ordeal::new(|| Redis::new(login("me")))
            .hears(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            .ends_bad(
                "it refuses the login: `WRONGPASS invalid username-password pair or user is \
                 disabled.`",
            );
        let none = Ordeal::new(|| Redis::new(login("me")));
        none.hears(b"+PONG\r\n").ends_bad("answer to AUTH: `+PONG`");
        Ordeal::new(|| Redis::new(None)).silent("connected, but no answer to PING came");
        let closed = Ordeal::new(|| Redis::new(None)).hears(b"+PO").ends();
        closed.ends_bad("it closed the connection, and no whole answer to PING came");
    }
}
