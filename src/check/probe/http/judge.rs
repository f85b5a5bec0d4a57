//! Whether an answer is what was wanted, told as early as it is known.
//!
//! The versions of HTTP find out where a status and a body stand in what comes; here is said what
//! they are worth. A status that is not wanted is bad before the body comes, and one that is wanted
//! is good if nothing was said of the body. Texts are looked for as the body comes. Patterns wait
//! for its end, since they may speak of it, or for [`MOST_BYTES`]. Only digests take longer bodies.

use std::fmt::Write;
use std::ops::ControlFlow;

use super::digest::Digesting;
use super::search::Search;
use crate::check::config::{Expectation, HttpRequest, Pattern};
use crate::check::probe::MOST_BYTES;
use crate::check::probe::quote::quote;
use crate::track::config::Statuses;

/// The longest body that a digest is made of: the body has to end some time, and a page that is
/// fetched each second is smaller.
const MOST_DIGESTED: usize = 1024 * 1024;

/// What is known: nothing yet, that all is good, or what is bad.
pub(super) type Verdict = ControlFlow<Result<(), String>>;

/// This is bad.
pub(super) fn bad(what: impl Into<String>) -> Verdict {
    ControlFlow::Break(Err(what.into()))
}

/// The judge of one answer.
pub(super) struct Judge {
    statuses: Statuses,
    searches: Vec<Search>,
    /// With whether they have to match.
    patterns: Vec<(Pattern, bool)>,
    md5: Vec<String>,
    sha256: Vec<String>,
    /// The status that came.
    status: Option<u16>,
    /// How much of the body came.
    length: usize,
    /// The beginning of the body, if there are patterns.
    kept: Vec<u8>,
    /// If there are digests to compare.
    digesting: Option<Box<Digesting>>,
}

impl Judge {
    pub(super) fn new(request: &HttpRequest) -> Judge {
        let mut judge = Judge {
            statuses: request.status.clone(),
            searches: Vec::new(),
            patterns: Vec::new(),
            md5: Vec::new(),
            sha256: Vec::new(),
            status: None,
            length: 0,
            kept: Vec::new(),
            digesting: None,
        };
        for expectation in &request.expect {
            match expectation {
                Expectation::Text(text) => judge.searches.push(Search::new(text)),
                Expectation::Matches(pattern) => judge.patterns.push((pattern.clone(), true)),
                Expectation::MatchesNot(pattern) => judge.patterns.push((pattern.clone(), false)),
                Expectation::Md5(digest) => judge.md5.push(digest.clone()),
                Expectation::Sha256(digest) => judge.sha256.push(digest.clone()),
            }
        }
        if !judge.md5.is_empty() || !judge.sha256.is_empty() {
            judge.digesting = Some(Box::new(Digesting::new()));
        }
        judge
    }

    /// The status came, in the header section that is the last one.
    pub(super) fn status(&mut self, status: u16) -> Verdict {
        self.status = Some(status);
        if !self.statuses.contains(status) {
            return bad(format!("status {status}, not {}", ranges(&self.statuses)));
        }
        self.if_known()
    }

    /// More of the body came.
    pub(super) fn body(&mut self, bytes: &[u8]) -> Verdict {
        let room = MOST_BYTES.saturating_sub(self.length);
        let (near, far) = bytes.split_at(bytes.len().min(room));
        let was_within = self.length <= MOST_BYTES;
        self.length = self.length.saturating_add(bytes.len());
        self.searches.iter_mut().for_each(|search| search.look(near));
        if !self.patterns.is_empty() {
            self.kept.extend_from_slice(near);
        }
        self.if_known()?;
        if was_within && !far.is_empty() {
            let seen = self.seen("the first 64 KiB of the body", "do");
            if seen.is_err() || self.digesting.is_none() {
                return ControlFlow::Break(seen);
            }
        }
        if self.length > MOST_DIGESTED {
            return bad("the body is longer than 1 MiB, and a digest is made of no more");
        }
        if let Some(digesting) = &mut self.digesting {
            digesting.take(bytes);
        }
        ControlFlow::Continue(())
    }

    /// The body has ended.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.length <= MOST_BYTES {
            self.seen("the body", "does")?;
        }
        let Some(digesting) = &self.digesting else { return Ok(()) };
        let digests = digesting.finish();
        // The digest it has is not said: a page that is another each time would be news each time.
        for (name, is, wanted) in
            [("MD5", &digests.md5, &self.md5), ("SHA-256", &digests.sha256, &self.sha256)]
        {
            if let Some(wanted) = wanted.iter().find(|wanted| !wanted.eq_ignore_ascii_case(is)) {
                return Err(format!("the body's {name} is not {wanted}"));
            }
        }
        Ok(())
    }

    /// How far it got, in words.
    pub(super) fn so_far(&self) -> Option<String> {
        let status = self.status?;
        let missing = self.searches.iter().find(|search| !search.is_found());
        let without = missing
            .map(|search| format!(" and does not hold \"{}\" so far", quote(search.text())))
            .unwrap_or_default();
        Some(format!("status {status} came, but the body did not end{without}"))
    }

    /// Good, if what came so far is enough whatever follows.
    fn if_known(&self) -> Verdict {
        let waits = !self.patterns.is_empty() || self.digesting.is_some();
        if waits || !self.searches.iter().all(Search::is_found) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Ok(()))
    }

    /// What the part of the body that was looked at says.
    fn seen(&self, part: &str, does: &str) -> Result<(), String> {
        if let Some(search) = self.searches.iter().find(|search| !search.is_found()) {
            return Err(format!("{part} {does} not hold \"{}\"", quote(search.text())));
        }
        for (pattern, wanted) in &self.patterns {
            let text = quote(pattern.as_str().as_bytes());
            match (pattern.is_in(&self.kept), wanted) {
                (false, true) => return Err(format!("{part} {does} not match /{text}/")),
                (true, false) => return Err(format!("the body matches /{text}/")),
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    /// So many bytes are kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.kept.len()
    }
}

/// "200-299 or 301".
fn ranges(statuses: &Statuses) -> String {
    let mut text = String::new();
    for (first, last) in &statuses.0 {
        let or = if text.is_empty() { "" } else { " or " };
        let range = if first == last { format!("{first}") } else { format!("{first}-{last}") };
        write!(text, "{or}{range}").expect("a string takes what is written to it");
    }
    text
}
