//! What a probe asks: a web page, or only a TCP connection.
//!
//! A target that parses can be asked; a bare address or name means `http://`. A password in a
//! URL is sent, but never shown: [`Target`]'s text form leaves it out. Names are looked up by the
//! client, again for each request, as a browser without a cache would.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use reqwest::Url;

/// A place that may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A page over HTTP or HTTPS.
    Page(Url),
    /// A port that takes connections.
    Port {
        /// Name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is not a URL at all.
    #[error("not a URL: {reason}; write http://HOST/PATH, https://HOST/PATH or tcp://HOST:PORT")]
    Malformed {
        /// What the URL parser says.
        reason: String,
    },
    /// A scheme that we do not speak.
    #[error("cannot probe {scheme}://, only http://, https:// and tcp://")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A TCP target without a port.
    #[error("tcp:// needs a port: tcp://{host}:80")]
    NoPort {
        /// The host.
        host: String,
    },
    /// A TCP target with more than host and port.
    #[error("tcp:// takes a host and a port only, not {extra:?}")]
    Extra {
        /// What is too much.
        extra: String,
    },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        let whole = match text.parse::<Ipv6Addr>() {
            Ok(address) => format!("http://[{address}]/"),
            Err(_) if text.contains("://") => text.to_owned(),
            Err(_) => format!("http://{text}"),
        };
        let url =
            Url::parse(&whole).map_err(|e| TargetError::Malformed { reason: e.to_string() })?;
        match url.scheme() {
            "http" | "https" => Ok(Target::Page(url)),
            "tcp" => port(&url),
            scheme => Err(TargetError::Scheme { scheme: scheme.to_owned() }),
        }
    }
}

fn port(url: &Url) -> Result<Target, TargetError> {
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(TargetError::Malformed { reason: "no host".to_owned() });
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let extra = url.path().trim_start_matches('/');
    if !extra.is_empty() {
        return Err(TargetError::Extra { extra: extra.to_owned() });
    }
    match url.port() {
        Some(port) => Ok(Target::Port { host: host.to_owned(), port }),
        None => Err(TargetError::NoPort { host: host.to_owned() }),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Page(url) if url.password().is_some() => {
                let mut shown = url.clone();
                // Fails only for URLs without a host, which have no password either.
                if shown.set_password(None).is_err() {
                    return f.write_str(url.host_str().unwrap_or_default());
                }
                write!(f, "{shown}")
            }
            Target::Page(url) => write!(f, "{url}"),
            Target::Port { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Target::Port { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_as_it_will_be_asked() {
        for (text, shown) in [
            ("192.0.2.10", "http://192.0.2.10/"),
            ("192.0.2.10:8080/x", "http://192.0.2.10:8080/x"),
            ("2001:db8::1", "http://[2001:db8::1]/"),
            ("https://www.example/", "https://www.example/"),
            ("tcp://[2001:db8::1]:80", "tcp://[2001:db8::1]:80"),
            ("tcp://web:443/", "tcp://web:443"),
            ("http://me:secret@web/", "http://me@web/"),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        for (text, words) in [
            ("ftp://web/", "cannot probe ftp://"),
            ("tcp://web", "tcp:// needs a port: tcp://web:80"),
            ("tcp://web:80/page", "not \"page\""),
            ("tcp://:80", "not a URL"),
            ("http://", "not a URL: empty host"),
            ("http://[::1", "not a URL"),
            ("", "not a URL"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
