//! `tls`, `name`, `verify`, `ca` and `warn-before` of a check.
//!
//! Real servers mostly have certificates of their own making, for names that are not theirs, so
//! that nothing is verified unless the role says by whom.

use std::path::PathBuf;
use std::time::Duration;

use super::super::element::Element;
use super::words;
use crate::check::config::{Tls, TlsStart};
use crate::document::listed;

/// A certificate that ends sooner is warned of.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Reads the TLS of a check of this kind. `None` if it is wrong, `Some(None)` if there is none.
pub fn read(e: &Element<'_>, kind: &str) -> Option<Option<Tls>> {
    let start = match (e.text("tls").as_deref(), kind) {
        (Some("on"), _) | (None, "https") => TlsStart::AtOnce,
        (Some("off"), "https") => {
            let diagnostic = e.mistake("tls", "https without TLS is http");
            e.report(diagnostic.help("write `kind = \"http\"`"));
            return None;
        }
        (Some("starttls"), kind) if words::UPGRADING.contains(&kind) => TlsStart::Upgrade,
        (Some("starttls"), kind) => {
            let title = format!("a check of kind `{kind}` cannot begin TLS later");
            let help = format!("write `tls = \"on\"`; {} can", listed(words::UPGRADING));
            e.report(e.mistake("tls", title).help(help));
            return None;
        }
        // `off`, or a word that was reported.
        (Some(_) | None, _) => {
            words::without_tls(e);
            return Some(None);
        }
    };
    let ca = e.get::<PathBuf>("ca").map(|path| path.value);
    let verify = e.get::<bool>("verify").map_or(ca.is_some(), |verify| verify.value);
    let warn_before = e.get_or("warn-before", WARN_BEFORE).value;
    Some(Some(Tls { start, name: e.text("name"), verify, ca, warn_before }))
}
