//! What a request says, whatever the version of HTTP it is said in.
//!
//! What the configuration gives as a header takes the place of what would be sent by itself.

use std::net::IpAddr;

use crate::check::config::{HttpRequest, HttpVersion, Target, Tls};

/// How converge calls itself.
const USER_AGENT: &str = concat!("converge/", env!("CARGO_PKG_VERSION"));

/// The methods whose requests have a body, if an empty one (RFC 9110 section 8.6).
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// The Host header or `:authority` of a request to this target; none for HTTP/1.0, which had none,
/// unless one is given or TLS asks for a name.
pub(super) fn authority(
    version: HttpVersion,
    request: &HttpRequest,
    target: &Target,
    tls: Option<&Tls>,
) -> Option<String> {
    if request.host.is_some() {
        return request.host.clone();
    }
    let name = tls.and_then(|tls| tls.name.clone());
    if version == HttpVersion::V10 && name.is_none() {
        return None;
    }
    // A web server may refuse a request whose Host is not the name that TLS asked it for
    // (RFC 9110 section 7.4), and Apache refuses one without.
    let host = name.unwrap_or_else(|| match target.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    let own = if tls.is_some() { 443 } else { 80 };
    Some(if target.port == own { host } else { format!("{host}:{}", target.port) })
}

/// The request's target as it stands in the request line or `:path`.
pub(super) fn path(request: &HttpRequest) -> String {
    let path = &request.path;
    // ldirectord took a path without its slash. OPTIONS may ask for `*`, a proxy for a whole URL.
    let whole = path.starts_with('/') || path == "*" || path.contains("://");
    if whole || request.method == "CONNECT" { path.clone() } else { format!("/{path}") }
}

/// The headers of a request beside Host, in order.
pub(super) fn headers(request: &HttpRequest) -> Vec<(&str, String)> {
    let mut headers = Vec::new();
    if !has(request, "User-Agent") {
        headers.push(("User-Agent", USER_AGENT.to_owned()));
    }
    headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let sized = has(request, "Content-Length") || has(request, "Transfer-Encoding");
    let bears = !request.body.is_empty() || WITH_BODY.contains(&request.method.as_str());
    if bears && !sized {
        headers.push(("Content-Length", request.body.len().to_string()));
    }
    headers
}

/// Whether the configuration gives this header.
pub(super) fn has(request: &HttpRequest, name: &str) -> bool {
    request.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
}

/// Whether the answer to this request has no body, whatever its headers say (RFC 9110 section
/// 6.4.1).
pub(super) fn is_bodiless(method: &str, status: u16) -> bool {
    let switched = method == "CONNECT" && (200..300).contains(&status);
    method == "HEAD" || switched || matches!(status, 100..=199 | 204 | 304)
}
