//! Asks and tells systemd, over its D-Bus interface.
//!
//! The connection is opened when first used and kept; one that broke is opened anew the next time.
//! A look at many units is one round trip: all questions are sent before the first answer is
//! waited for. A job is waited for until systemd says how it ended, within a limit, and one that
//! failed is reported with systemd's reason and the last lines of the unit's log.

mod error;
mod news;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use zbus::connection::{Builder, Connection};
use zbus::wire::{OwnedObjectPath, OwnedVariant};
use zbus::{DynamicType, MessageStream};

use super::command;
pub use error::UnitError;
pub use news::UnitNews;

const BUS: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const JOB: &str = "org.freedesktop.systemd1.Job";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB_REMOVED: &str = "type='signal',path='/org/freedesktop/systemd1',\
                           interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// For an answer. `daemon-reload` of a large host is the slowest and takes some seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// For a job: systemd's own default for a start is 90 s, and it should be the one to tell.
const JOB_LIMIT: Duration = Duration::from_secs(120);
/// How much of a log belongs into an error.
const LOG_LINES: &str = "10";

/// Whether a unit exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Its file was read.
    Loaded,
    /// There is no such unit.
    NotFound,
    /// It is masked: nothing can start it.
    Masked,
    /// Its file is there and wrong; the word is systemd's.
    Bad(String),
}

/// Whether a unit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// It does, or reloads.
    Yes,
    /// It does not.
    No,
    /// It failed, and does not.
    Failed,
    /// It is being started.
    Starting,
    /// It is being stopped, perhaps to be started again.
    Stopping,
}

/// Whether a unit starts at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// It does.
    Enabled,
    /// It could, and does not.
    Disabled,
    /// There is nothing to enable: it is static, generated, or an alias.
    Fixed,
}

/// A unit as systemd sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it exists.
    pub load: Load,
    /// Whether it runs.
    pub active: Active,
    /// Whether it starts at boot.
    pub boot: Boot,
    /// Whether its file changed since systemd read it.
    pub stale: bool,
    /// Which run of the unit this is: a new one after each start.
    pub invocation: String,
    /// When it last changed its state, in µs; a reload changes it too.
    pub changed: u64,
}

/// What a job does to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Starts it, unless it runs.
    Start,
    /// Stops it, if it runs.
    Stop,
    /// Reloads it, or restarts it if it cannot.
    ReloadOrRestart,
}

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Verb::Start => "StartUnit",
            Verb::Stop => "StopUnit",
            Verb::ReloadOrRestart => "ReloadOrRestartUnit",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::ReloadOrRestart => "reload",
        }
    }
}

/// The door to systemd.
#[derive(Debug)]
pub struct Units {
    root: PathBuf,
    bus: Mutex<Option<Connection>>,
}

impl Units {
    /// The systemd whose sockets lie below `root`.
    pub fn new(root: PathBuf) -> Self {
        Units { root, bus: Mutex::new(None) }
    }

    /// Looks at units; one answer for each name, in the same order.
    pub async fn look(&self, names: &[&str]) -> Result<Vec<Seen>, UnitError> {
        let bus = self.bus().await?;
        try_join_all(names.iter().map(|name| ask(&bus, name)))
            .await
            .map_err(|source| UnitError::bus("look at units", source))
    }

    /// Starts, stops or reloads a unit and waits until that is done.
    pub async fn run(&self, verb: Verb, unit: &str) -> Result<(), UnitError> {
        let bus = self.bus().await?;
        let doing = verb.word();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Listened for before the job is asked for, so that its end cannot be missed.
        let mut removed = MessageStream::for_match_rule(JOB_REMOVED, &bus, None)
            .await
            .map_err(|source| UnitError::bus(doing, source))?;
        let job: OwnedObjectPath = call(&bus, verb.method(), &(unit, "replace"))
            .await
            .map_err(|source| UnitError::of(doing, unit, source))?;
        let end = tokio::time::timeout(JOB_LIMIT, ending(&mut removed, &job)).await;
        let result = match end {
            Err(_) => {
                return Err(UnitError::Late { doing, unit: unit.into(), limit: JOB_LIMIT });
            }
            Ok(None) => {
                return Err(UnitError::Lost { doing, unit: unit.into() });
            }
            Ok(Some(result)) => result,
        };
        if result == "done" || (result == "skipped" && verb == Verb::Stop) {
            return Ok(());
        }
        let reason = reason(&bus, unit).await.unwrap_or_default();
        let log = log(unit, since).await;
        Err(UnitError::Job { doing, unit: unit.into(), result, reason, log })
    }

    /// What systemd is doing with the unit that this process belongs to: `start`, `stop`,
    /// `restart`, …; `None` if nothing, or if it belongs to none.
    pub async fn own_job(&self) -> Result<Option<String>, UnitError> {
        let bus = self.bus().await?;
        let failed = |source| UnitError::bus("ask for this process's own job", source);
        // 0 is whoever asks.
        let unit: OwnedObjectPath = match call(&bus, "GetUnitByPID", &0u32).await {
            Ok(unit) => unit,
            Err(zbus::Error::MethodError(..)) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let unit = properties(&bus, unit.as_str(), UNIT).await.map_err(failed)?;
        let job = unit.get("Job").and_then(|v| v.try_clone().ok());
        let job = job.and_then(|v| <(u32, OwnedObjectPath)>::try_from(v).ok());
        let Some((_, path)) = job.filter(|(number, _)| *number != 0) else {
            return Ok(None);
        };
        let job = properties(&bus, path.as_str(), JOB).await.map_err(failed)?;
        Ok(job.get("JobType").and_then(|v| <&str>::try_from(v).ok()).map(str::to_owned))
    }

    /// Has systemd forget that a unit failed, so that it may be started again.
    pub async fn reset_failed(&self, unit: &str) -> Result<(), UnitError> {
        self.tell("reset", unit, "ResetFailedUnit", &unit).await
    }

    /// Makes a unit start at boot, or not. What [`Units::look`] says of that is from the last
    /// [`Units::reload`]: to ask the disk takes systemd ten times as long.
    pub async fn enable(&self, unit: &str, enabled: bool) -> Result<(), UnitError> {
        if enabled {
            self.tell("enable", unit, "EnableUnitFiles", &([unit].as_slice(), false, false)).await
        } else {
            self.tell("disable", unit, "DisableUnitFiles", &([unit].as_slice(), false)).await
        }
    }

    /// Has systemd read all unit files again.
    pub async fn reload(&self) -> Result<(), UnitError> {
        self.tell("reload", "systemd", "Reload", &()).await
    }

    async fn tell<B: Serialize + DynamicType>(
        &self,
        doing: &'static str,
        unit: &str,
        method: &str,
        body: &B,
    ) -> Result<(), UnitError> {
        let bus = self.bus().await?;
        let answer = bus.call_method(Some(BUS), MANAGER_PATH, Some(MANAGER), method, body).await;
        answer.map(drop).map_err(|source| UnitError::of(doing, unit, source))
    }

    async fn bus(&self) -> Result<Connection, UnitError> {
        let mut slot = self.bus.lock().await;
        if let Some(bus) = slot.as_ref().filter(|bus| !bus.is_closed()) {
            return Ok(bus.clone());
        }
        if !self.root.join("run/systemd/system").is_dir() {
            return Err(UnitError::NoSystemd);
        }
        let socket = self.root.join("run/dbus/system_bus_socket");
        let address = format!("unix:path={}", socket.display());
        let building = Builder::address(address.as_str()).method_timeout(ANSWER_LIMIT).build();
        let bus = building.await.map_err(|source| UnitError::Connect(Box::new(source)))?;
        *slot = Some(bus.clone());
        Ok(bus)
    }
}

/// A unit's place on the bus: what is neither letter nor digit is written as `_` and its code.
/// systemd loads a unit that it did not know yet when it is asked there.
fn object_path(unit: &str) -> String {
    let mut path = format!("{MANAGER_PATH}/unit/");
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

type Properties = HashMap<String, OwnedVariant>;

async fn properties(bus: &Connection, path: &str, of: &str) -> Result<Properties, zbus::Error> {
    let answer = bus.call_method(Some(BUS), path, Some(PROPERTIES), "GetAll", &of).await?;
    answer.body().deserialize()
}

async fn call<B, T>(bus: &Connection, method: &str, body: &B) -> Result<T, zbus::Error>
where
    B: Serialize + DynamicType,
    T: DeserializeOwned + zbus::wire::Type,
{
    let answer = bus.call_method(Some(BUS), MANAGER_PATH, Some(MANAGER), method, body).await?;
    answer.body().deserialize()
}

async fn ask(bus: &Connection, name: &str) -> Result<Seen, zbus::Error> {
    Ok(seen(&properties(bus, &object_path(name), UNIT).await?))
}

fn seen(properties: &Properties) -> Seen {
    let text = |name: &str| properties.get(name).and_then(|v| <&str>::try_from(v).ok());
    let load = match text("LoadState").unwrap_or_default() {
        "loaded" | "merged" | "stub" => Load::Loaded,
        "not-found" => Load::NotFound,
        "masked" => Load::Masked,
        other => Load::Bad(other.into()),
    };
    let active = match text("ActiveState").unwrap_or_default() {
        "active" | "reloading" | "refreshing" | "maintenance" => Active::Yes,
        "failed" => Active::Failed,
        "activating" => Active::Starting,
        "deactivating" => Active::Stopping,
        _ => Active::No,
    };
    let boot = match text("UnitFileState").unwrap_or_default() {
        "enabled" | "enabled-runtime" | "linked" | "linked-runtime" => Boot::Enabled,
        "disabled" => Boot::Disabled,
        _ => Boot::Fixed,
    };
    let stale = properties.get("NeedDaemonReload").and_then(|v| bool::try_from(v).ok());
    let changed = properties.get("StateChangeTimestampMonotonic");
    let invocation = properties.get("InvocationID").and_then(|v| v.try_clone().ok());
    let invocation = invocation.and_then(|v| Vec::<u8>::try_from(v).ok()).unwrap_or_default();
    Seen {
        load,
        active,
        boot,
        stale: stale.unwrap_or(false),
        invocation: invocation.iter().map(|b| format!("{b:02x}")).collect(),
        changed: changed.and_then(|v| u64::try_from(v).ok()).unwrap_or_default(),
    }
}

/// How a job ended; `None` if the bus went away before.
async fn ending(removed: &mut MessageStream, job: &OwnedObjectPath) -> Option<String> {
    while let Some(message) = removed.next().await {
        let Ok(message) = message else { continue };
        let body = message.body();
        let Ok((_, path, _, result)) = body.deserialize::<(u32, OwnedObjectPath, String, String)>()
        else {
            continue;
        };
        if path == *job {
            return Some(result);
        }
    }
    None
}

/// systemd's word for why a unit failed: `exit-code`, `timeout`, `start-limit-hit`, ….
async fn reason(bus: &Connection, unit: &str) -> Option<String> {
    let (_, suffix) = unit.rsplit_once('.')?;
    let (first, rest) = suffix.split_at_checked(1)?;
    let interface = format!("{BUS}.{}{rest}", first.to_ascii_uppercase());
    let all = properties(bus, &object_path(unit), &interface).await.ok()?;
    let result = all.get("Result").and_then(|v| <&str>::try_from(v).ok())?;
    (result != "success").then(|| result.to_owned())
}

/// The last lines that a unit wrote since a moment; none if there is no journal.
async fn log(unit: &str, since: Duration) -> Vec<String> {
    let since = format!("@{}", since.as_secs());
    let argv = [
        "journalctl",
        "--quiet",
        "--no-pager",
        "--output=cat",
        "--lines",
        LOG_LINES,
        "--since",
        &since,
        "--unit",
        unit,
    ];
    match command::run(&argv).await {
        Ok(output) => output.stdout.lines().map(str::to_owned).collect(),
        Err(error) => {
            tracing::debug!(unit, %error, "its log cannot be read");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_place_on_the_bus_is_escaped() {
        assert_eq!(
            object_path("nfs-server.service"),
            "/org/freedesktop/systemd1/unit/nfs_2dserver_2eservice"
        );
        assert_eq!(object_path("6to4.mount"), "/org/freedesktop/systemd1/unit/_36to4_2emount");
    }

    #[tokio::test]
    async fn a_host_without_systemd_says_so() {
        let scratch = crate::host::scratch::Scratch::new();
        let units = Units::new(scratch.real("/"));
        let error = units.look(&["nginx.service"]).await.expect_err("there is none");
        assert!(matches!(error, UnitError::NoSystemd), "{error}");
    }
}
