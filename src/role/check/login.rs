//! Who a check logs in as.
//!
//! A password is never shown: neither in messages nor in `converge render`. Whether it may be sent
//! where others can read it says `cleartext`: MySQL's and PostgreSQL's, which the server asks for,
//! only then; of the protocols that know no other way lint warns where routers are between.

use super::super::element::Element;
use super::words;
use crate::check::config::Login;
use crate::secret::Secret;

/// Reads `user` and `password`; nobody if there is no user. `None` if it is wrong.
pub fn optional(e: &Element<'_>) -> Option<Option<Login>> {
    let (user, password) = (e.text("user"), e.text("password"));
    if user.is_none() && password.is_some() {
        let title = "a password without a user";
        e.report(e.mistake("password", title).help("add `user`"));
        return None;
    }
    let password = Secret::from(password.unwrap_or_default());
    Some(user.map(|user| Login { user, password }))
}

/// A directory takes a name with an empty password for nobody (RFC 4513 section 5.1.2), so that the
/// check would be good whoever it names.
pub fn ldap(e: &Element<'_>) -> Option<Option<Login>> {
    let login = optional(e)?;
    if login.as_ref().is_some_and(|login| login.password.is_empty()) {
        let title = "ldap takes a user without a password for nobody";
        e.report(e.mistake("user", title).help("add `password`, or take `user` out"));
        return None;
    }
    Some(login)
}

/// Redis knows a password without a user.
pub fn redis(e: &Element<'_>) -> Option<Login> {
    let (user, password) = (e.text("user"), e.text("password"));
    let given = user.is_some() || password.is_some();
    let password = Secret::from(password.unwrap_or_default());
    given.then(|| Login { user: user.unwrap_or_default(), password })
}

/// Whether a password goes where whoever is on the way can read it, and the role does not say that
/// this is meant.
pub fn is_readable(e: &Element<'_>, kind: &str) -> bool {
    let covered = matches!(e.shown("tls").as_deref(), Some("on" | "starttls"));
    let meant = e.shown("cleartext").as_deref() == Some("true");
    // These do not send it then.
    let sends = words::READABLE.contains(&kind) && !["mysql", "postgres"].contains(&kind);
    sends && !covered && !meant && e.given("password")
}

/// Reads a login that a check of this kind cannot do without.
pub fn required(e: &Element<'_>, kind: &str) -> Option<Login> {
    let login = optional(e)?;
    if login.is_none() {
        let title = format!("a check of kind `{kind}` needs `user`");
        e.report(words::needs(e, "user", title));
    }
    login
}
