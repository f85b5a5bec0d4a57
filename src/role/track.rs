//! `[[track]]`: what a virtual router's right to be Active depends on beside the wire.
//!
//! What is on this machine (interface, process, unit, file) is believed at once, and a script as
//! keepalived does it; what is asked over a socket counts after three failures and two successes
//! in a row, as HAProxy has it. The carrier of every interface that a router uses is watched in
//! any case: no role has to say so.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::command_line::CommandLine;
use super::element::{Element, FOR_EACH, WHEN};
use super::need::Need;
use crate::cluster::InterfaceName;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Section, Shape, Spanned, Value, listed};
use crate::track::config::{MOST_WEIGHT, Statuses, TrackConfig, Watch};

const COUNT: Shape = Shape::Integer { min: 1, max: 255 };
const WEIGHT: Shape = Shape::Integer { min: -(MOST_WEIGHT as i64), max: MOST_WEIGHT as i64 };

/// The keys of `[[track]]`.
pub const SECTION: Section = Section::new(
    "track",
    "What a virtual router's right to be active depends on: exactly one of interface, process, \
     unit, file, script, tcp and http.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("name", Shape::Text, "What it is called in messages."),
        Field::optional("interface", Shape::Text, "An interface that is up and has a carrier."),
        Field::optional("process", Shape::Text, "A process of this name."),
        Field::optional("full-command", Shape::Bool, "`process` is a whole command line.")
            .default("false"),
        Field::optional("unit", Shape::Text, "A systemd unit that is active."),
        Field::optional("file", Shape::Path, "A file with a number; 0 or no file is good."),
        Field::optional("script", Shape::Text, "A program that ends with 0; no shell reads it."),
        Field::optional("user", Shape::Text, "Who the script runs as.").default("\"root\""),
        Field::optional("tcp", Shape::Text, "An address:port that takes a connection."),
        Field::optional("http", Shape::Text, "A URL that answers."),
        Field::optional("status", Shape::Text, "The statuses that are good: \"200,301-302\".")
            .default("\"200-399\""),
        Field::optional("every", Shape::Duration, "How often it is looked at.").default("\"1s\""),
        Field::optional("timeout", Shape::Duration, "How long a look may take.").default("`every`"),
        Field::optional("rise", COUNT, "As many good looks in a row make it good.")
            .default("2 for tcp and http, else 1"),
        Field::optional("fall", COUNT, "As many bad looks in a row make it bad.")
            .default("3 for tcp and http, else 1"),
        Field::optional(
            "weight",
            WEIGHT,
            "Added to the priority: a positive one while it is good, a negative one while it is \
             bad. 0: a bad one is a fault.",
        )
        .default("0"),
        Field::optional("reverse", Shape::Bool, "Good and bad change places.").default("false"),
        Field::optional("router", Shape::OneOrMore(&Shape::Text), "The routers it matters to.")
            .default("all"),
    ],
);

/// The keys of which a track has exactly one.
const WATCHED: [&str; 7] = ["interface", "process", "unit", "file", "script", "tcp", "http"];

/// Looks more often would cost more than they could tell earlier.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest name of a process that the kernel keeps (proc(5): comm).
const LONGEST_COMM: usize = 15;

/// A track, and where what may be wrong with it stands.
#[derive(Clone, Debug)]
pub struct Track {
    /// The section.
    pub place: Place,
    /// Its weight, or the section if it has none.
    pub weight: Place,
    /// The routers that it names.
    pub routers: Vec<Spanned<String>>,
    /// What it says.
    pub config: TrackConfig,
    /// The program that it needs.
    pub need: Option<Need>,
}

impl Track {
    /// Reads the section.
    pub fn read(e: &Element<'_>) -> Option<Self> {
        let name = e.get::<String>("name")?.value;
        let what = watch(e)?;
        let network = matches!(what, Watch::Tcp(_) | Watch::Http { .. });
        let (rise, fall) = if network { (2, 3) } else { (1, 1) };
        let count = |key, standard| {
            let standard = NonZeroU8::new(standard).expect("above 0");
            e.get_or::<NonZeroU8>(key, standard).value
        };
        let every = span(e, "every", Duration::from_secs(1))?;
        let timeout = span(e, "timeout", every)?;
        let weight = e.get_or("weight", 0_i16);
        let routers = e.names("router");
        let config = TrackConfig {
            name,
            what,
            every,
            timeout,
            rise: count("rise", rise),
            fall: count("fall", fall),
            weight: weight.value,
            reverse: e.get::<bool>("reverse").is_some_and(|reverse| reverse.value),
            routers: routers.iter().map(|router| router.value.clone()).collect(),
        };
        let need = if e.has("script") { Need::program(e, "script") } else { None };
        Some(Track { place: e.place(), weight: weight.place, routers, config, need })
    }
}

/// The carrier of an interface that this router uses: without it, it cannot be Active.
pub fn carrier(interface: &str, router: &str) -> TrackConfig {
    let every = Duration::from_secs(1);
    TrackConfig {
        name: format!("carrier of {interface}"),
        what: Watch::Interface(interface.to_owned()),
        every,
        timeout: every,
        rise: NonZeroU8::MIN,
        fall: NonZeroU8::MIN,
        weight: 0,
        reverse: false,
        routers: vec![router.to_owned()],
    }
}

fn span(e: &Element<'_>, key: &'static str, standard: Duration) -> Option<Duration> {
    let time = e.get_or(key, standard);
    if time.value < SHORTEST {
        e.report(Diagnostic::error(time.place, format!("`{key}` is at least 10ms")));
        return None;
    }
    Some(time.value)
}

fn watch(e: &Element<'_>) -> Option<Watch> {
    let given: Vec<&'static str> = WATCHED.into_iter().filter(|key| e.has(key)).collect();
    let [key] = given.as_slice() else {
        let title = match given.as_slice() {
            [] => "this track watches nothing".to_owned(),
            several => format!("this track has {}, and can watch one thing only", listed(several)),
        };
        let help = format!("write exactly one of {}", listed(&WATCHED));
        e.report(Diagnostic::error(e.place(), title).help(help));
        return None;
    };
    for (belonging, to) in [("full-command", "process"), ("user", "script"), ("status", "http")] {
        if e.has(belonging) && *key != to {
            let title = format!("`{belonging}` says nothing about `{key}`");
            let help = format!("it belongs to `{to}`");
            e.report(Diagnostic::error(e.place_of(belonging), title).help(help));
        }
    }
    match *key {
        "interface" => Some(Watch::Interface(e.get::<InterfaceName>("interface")?.to_string())),
        "process" => process(e),
        "unit" => Some(Watch::Unit(e.get::<UnitName>("unit")?.value.0)),
        "file" => Some(Watch::File(e.get::<PathBuf>("file")?.value)),
        "script" => {
            let CommandLine(argv) = e.get::<CommandLine>("script")?.value;
            Some(Watch::Script { argv, user: e.text("user") })
        }
        "tcp" => Some(Watch::Tcp(e.get::<SocketAddr>("tcp")?.value)),
        _ => {
            let status = e.get::<Statuses>("status").map(|status| status.value);
            let url = e.get::<WebAddress>("http")?.value.0;
            Some(Watch::Http { url, status: status.unwrap_or_default() })
        }
    }
}

fn process(e: &Element<'_>) -> Option<Watch> {
    let name = e.get::<String>("process")?;
    let full_command = e.get::<bool>("full-command").is_some_and(|full| full.value);
    let wrong = if name.value.trim().is_empty() {
        "no process is named"
    } else if !full_command && name.value.contains('/') {
        "the kernel keeps a process's name without its path"
    } else if !full_command && name.value.len() > LONGEST_COMM {
        "the kernel keeps the first 15 bytes of a process's name only"
    } else {
        return Some(Watch::Process { name: name.value, full_command });
    };
    let help = "ps -eo comm shows the names; `full-command = true` compares the whole command line";
    e.report(Diagnostic::error(name.place, wrong).help(help));
    None
}

/// The full name of a unit.
struct UnitName(String);

impl Value for UnitName {
    const WHAT: &'static str = "a unit's full name, such as nginx.service";

    fn parse(text: &str) -> Result<Self, String> {
        match text.rsplit_once('.') {
            Some((name, kind)) if !name.is_empty() && !kind.is_empty() => {
                Ok(UnitName(text.to_owned()))
            }
            Some(_) | None => Err(format!("`{text}` is no unit's name; write `{text}.service`")),
        }
    }
}

/// The address of a page.
struct WebAddress(String);

impl Value for WebAddress {
    const WHAT: &'static str = "a URL such as http://127.0.0.1/health";

    fn parse(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(WebAddress(text.to_owned())),
            Ok(_) | Err(_) => Err(format!("`{text}` is no URL that begins with http or https")),
        }
    }
}

impl Value for Statuses {
    const WHAT: &'static str = "HTTP statuses: 200, or \"200,301-302\"";

    fn parse(text: &str) -> Result<Self, String> {
        let status = |text: &str| {
            let number = text.trim().parse::<u16>().ok();
            number.filter(|number| (100..=599).contains(number))
        };
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (status(from)?, status(to)?);
            (first <= last).then_some((first, last))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Statuses).ok_or_else(|| {
            format!("`{text}` is no list of statuses from 100 to 599, such as `200,301-302`")
        })
    }
}

impl Value for i16 {
    const WHAT: &'static str = "a whole number from -32768 to 32767";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number from -32768 to 32767"))
    }
}

#[cfg(test)]
mod tests;
