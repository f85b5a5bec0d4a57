//! Who a check logs in as.

use super::super::element::Element;
use crate::check::config::Login;
use crate::diagnostic::Diagnostic;

/// Reads `user` and `password`; nobody if there is no user. `None` if it is wrong.
pub fn optional(e: &Element<'_>) -> Option<Option<Login>> {
    let (user, password) = (e.text("user"), e.text("password"));
    if user.is_none() && password.is_some() {
        let title = "a password without a user";
        e.report(e.mistake("password", title).help("add `user`"));
        return None;
    }
    let password = password.unwrap_or_default();
    Some(user.map(|user| Login { user, password }))
}

/// Redis knows a password without a user.
pub fn redis(e: &Element<'_>) -> Option<Login> {
    let (user, password) = (e.text("user"), e.text("password"));
    (user.is_some() || password.is_some())
        .then(|| Login { user: user.unwrap_or_default(), password: password.unwrap_or_default() })
}

/// Reads a login that a check of this kind cannot do without.
pub fn required(e: &Element<'_>, kind: &str) -> Option<Login> {
    let login = optional(e)?;
    if login.is_none() {
        let title = format!("a check of kind `{kind}` needs `user`");
        e.report(Diagnostic::error(e.place(), title));
    }
    login
}
