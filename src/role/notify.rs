//! `[[notify]]`: a program that is run when a virtual router changes its state.
//!
//! keepalived's arguments follow the role's own, so that its scripts go on working:
//! `INSTANCE name MASTER 200`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::command_line::CommandLine;
use super::element::{Element, FOR_EACH, WHEN};
use super::need::Need;
use crate::diagnostic::Diagnostic;
use crate::document::{Field, Section, Shape, Spanned, Value, one_of};
use crate::hook::config::{HookConfig, On};

/// The keys of `[[notify]]`.
pub const SECTION: Section = Section::new(
    "notify",
    "A program that is run when a virtual router changes its state. `INSTANCE name STATE priority` \
     is appended to its arguments, with keepalived's words for the state.",
    &[
        FOR_EACH,
        WHEN,
        Field::optional(
            "on",
            Shape::OneOrMore(&Shape::Text),
            "The states: active, backup, fault, stop, or any.",
        )
        .default("\"any\""),
        Field::required("run", Shape::Text, "The program and its arguments; no shell reads it."),
        Field::optional("user", Shape::Text, "Who it runs as.").default("\"root\""),
        Field::optional("timeout", Shape::Duration, "After which it is ended.").default("\"30s\""),
        Field::optional("router", Shape::Text, "The router that it is for.").default("all"),
    ],
);

/// A program that has not ended by then hinders those after it: they run one at a time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A hook, and the router that it names.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The router.
    pub router: Option<Spanned<String>>,
    /// What it says.
    pub config: HookConfig,
    /// The program that it needs.
    pub need: Option<Need>,
}

impl Notify {
    /// Reads the section.
    pub fn read(e: &Element<'_>) -> Option<Self> {
        let CommandLine(argv) = e.get::<CommandLine>("run")?.value;
        let mut on: BTreeSet<On> =
            e.words::<States>("on").into_iter().flat_map(|states| states.value.0).collect();
        if !e.has("on") {
            on.extend(On::ALL);
        }
        let timeout = e.get_or("timeout", TIMEOUT);
        if timeout.value.is_zero() {
            e.report(Diagnostic::error(timeout.place, "a program needs some time"));
            return None;
        }
        let router = e.get::<String>("router").filter(|router| !router.value.is_empty());
        let config = HookConfig {
            on,
            argv,
            user: e.text("user"),
            timeout: timeout.value,
            router: router.as_ref().map(|router| router.value.clone()),
        };
        Some(Notify { router, config, need: Need::program(e, "run") })
    }
}

/// One word of `on`.
#[derive(Clone)]
struct States(Vec<On>);

impl Value for States {
    const WHAT: &'static str = "active, backup, fault, stop or any";

    fn parse(text: &str) -> Result<Self, String> {
        let words: [(&'static str, &[On]); 5] = [
            ("active", &[On::Active]),
            ("backup", &[On::Backup]),
            ("fault", &[On::Fault]),
            ("stop", &[On::Stop]),
            ("any", &On::ALL),
        ];
        match text {
            "master" | "MASTER" => Err("`master` is called `active` here".into()),
            _ => one_of("state", &words, text).map(|states| States(states.to_vec())),
        }
    }
}
