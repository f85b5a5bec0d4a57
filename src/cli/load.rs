//! What every command begins with: files, this host, its role.
//!
//! [`Failure`] is every reason for which a command cannot be carried out; [`say`] prints it and
//! gives the exit code, so that all commands fail in the same words.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::check::driver::CheckError;
use crate::cluster::{Cluster, HostEntry, WhoAmIError};
use crate::control::report::{self, ReportError};
use crate::control::wall;
use crate::control::words::{self, WordsFileError};
use crate::daemon::WatchError;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::host::shelf::{self, Directory, Shelf};
use crate::host::survey::{self, Survey};
use crate::host::{CommandError, FileError, Host, HostError, chain};
use crate::pool::standing::Shares;
use crate::pool::words::Words;
use crate::resource::Desired;
use crate::role::{Catalog, Role};
use crate::situation::{Situation, Standing};
use crate::vrrp::config::{RouterConfig, Vip};

use super::{Exit, Global, exposed, keyfile, need};

/// How long somebody who is at work by hand is waited for, and how often he is looked after.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Failure {
    /// A file is wrong.
    Config(Diagnostics),
    /// The cluster file is not there or cannot be read.
    Unreadable(FileError),
    /// There is no such file.
    NoCluster(std::path::PathBuf),
    /// Which host this is cannot be told, or the role is another.
    WhoAmI(String),
    /// Only root may.
    NotRoot,
    /// Another converge is at work.
    Busy,
    /// The machine's fault.
    Host(HostError),
    /// The runtime did not start.
    Runtime(std::io::Error),
    /// The directors' key is none.
    Key(String),
    /// It could not stay.
    Watch(WatchError),
    /// Something was asked for that is not there.
    Asked {
        /// What is wrong with it.
        said: String,
        /// What there is.
        help: String,
    },
    /// What operators said cannot be read or changed.
    Words(WordsFileError),
    /// Nothing can be checked.
    Check(CheckError),
    /// What the resident converge says cannot be read.
    Report(ReportError),
}

impl<E: Into<HostError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Host(error.into())
    }
}

impl From<WordsFileError> for Failure {
    fn from(error: WordsFileError) -> Self {
        Failure::Words(error)
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        Failure::Check(error)
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Failure::Report(error)
    }
}

impl From<Diagnostics> for Failure {
    fn from(found: Diagnostics) -> Self {
        Failure::Config(found)
    }
}

/// At the end, what is still being written has so long.
const FAREWELL: Duration = Duration::from_secs(2);

/// A host's role, with what it was made from.
pub struct Loaded {
    /// The role of the host.
    pub role: Role,
    /// What is not wrong but should be seen.
    pub warnings: Diagnostics,
    /// The cluster file.
    pub cluster: Cluster,
    /// The roles of all its hosts.
    pub catalog: Catalog,
}

impl Loaded {
    /// `web1 (realserver)`.
    pub fn heading(&self) -> String {
        format!("{} ({})", self.role.host, self.role.name)
    }

    /// How things stand: routers as far as the host's addresses tell, for who has the VIPs is
    /// Active, and real servers as a converge that stays says.
    pub async fn situation(&self, host: &Host) -> Result<Situation, Failure> {
        let mut situation = self.role.at_start();
        situation.pools = self.shares(host);
        if self.role.routers().is_empty() {
            return Ok(situation);
        }
        let addresses = host.netlink().await?.addresses().await?;
        let here = |vip: &Vip| addresses.iter().any(|a| a.vip && a.address == vip.address);
        for router in self.role.routers().iter().filter(|r| r.vips.iter().all(here)) {
            situation.standing.insert(router.name.clone(), Standing::Active);
        }
        Ok(situation)
    }

    /// The shares of the real servers. While no converge checks them only what the operator said of
    /// them is known.
    fn shares(&self, host: &Host) -> BTreeMap<String, Arc<Shares>> {
        match report::read(host.files()) {
            Ok(Some(seen)) if seen.lives => {
                let pools = seen.report.pools.into_iter();
                pools.map(|(name, pool)| (name, pool.shares.into())).collect()
            }
            Ok(_) => self.unchecked(host),
            Err(error) => {
                let why = chain(&error);
                error_line(&format!("how real servers stand is not known: {why}"), None);
                self.unchecked(host)
            }
        }
    }

    /// A server that somebody took out stays out, at boot as well.
    fn unchecked(&self, host: &Host) -> BTreeMap<String, Arc<Shares>> {
        let words = words::salvage(host.files()).map(|(words, _)| words);
        let words = words.unwrap_or_else(|error| {
            let why = chain(&error);
            error_line(&format!("what was said of real servers is not known: {why}"), None);
            Words::default()
        });
        let pools = self.role.pools().iter();
        let known = pools.filter_map(|pool| {
            let shares = Shares::unchecked(pool, &words, wall())?;
            Some((pool.name.clone(), Arc::new(shares)))
        });
        known.collect()
    }

    /// For people, who wonder why no VIP is among the changes.
    pub fn vips_note(&self, situation: &Situation) -> Option<String> {
        let router = |router: &RouterConfig| {
            let vips: Vec<String> = router.vips.iter().map(|v| v.address.to_string()).collect();
            let place = match situation.of(&router.name).holds() {
                true => "here now",
                false => "not here now",
            };
            format!("{} ({}: {place})", vips.join(", "), router.name)
        };
        let routers: Vec<String> = self.role.routers().iter().map(router).collect();
        (!routers.is_empty()).then(|| {
            format!("{} moved by VRRP, in which `converge --watch` takes part", routers.join("; "))
        })
    }

    /// Shows what should be seen, before anything is done.
    pub fn print_warnings(&self, host: &Host) {
        let mut all = self.warnings.clone();
        all.merge(need::missing(self.role.needs()));
        let speaks = !self.role.routers().is_empty();
        if let Some(wrong) = speaks.then(|| keyfile::wrong(host, &self.cluster)).flatten() {
            // Here nothing depends on the key; the service does.
            all.push(Diagnostic { severity: Severity::Warning, ..wrong });
        }
        print_warnings(&all);
    }

    /// What the host is to be before any word from a peer.
    pub fn desired(&self) -> Result<Desired, Failure> {
        Ok(self.role.desired(&self.role.at_start())?)
    }
}

/// Runs a command's body, and says what went wrong.
pub fn with_runtime(body: impl Future<Output = Result<Exit, Failure>>) -> Exit {
    let result = match super::runtime() {
        Ok(runtime) => {
            let result = runtime.block_on(body);
            // A file system that hangs is not waited for: what it is to keep is whole or not there.
            runtime.shutdown_timeout(FAREWELL);
            result
        }
        Err(error) => Err(Failure::Runtime(error)),
    };
    result.unwrap_or_else(|failure| say(&failure))
}

/// Prints a failure; its exit code.
pub fn say(failure: &Failure) -> Exit {
    match failure {
        Failure::Config(found) => anstream::eprint!("{}", found.render(true)),
        other => {
            let (text, help) = words(other);
            error_line(&text, help);
        }
    }
    match failure {
        Failure::NotRoot => Exit::NoPermission,
        Failure::Host(error) if error.is_permission() => Exit::NoPermission,
        Failure::Unreadable(error) if error.is_permission() => Exit::NoPermission,
        Failure::Busy => Exit::Busy,
        Failure::Asked { .. } => Exit::Usage,
        Failure::Words(WordsFileError::File(error)) if error.is_permission() => Exit::NoPermission,
        Failure::Host(_) | Failure::Runtime(_) | Failure::Watch(_) => Exit::Failed,
        Failure::Words(_) | Failure::Report(_) | Failure::Check(_) => Exit::Failed,
        Failure::Config(_)
        | Failure::Unreadable(_)
        | Failure::NoCluster(_)
        | Failure::Key(_)
        | Failure::WhoAmI(_) => Exit::BadConfig,
    }
}

/// A failure for a log.
pub fn text(failure: &Failure) -> String {
    let (text, help) = words(failure);
    help.map_or_else(|| text.clone(), |help| format!("{text}; {help}"))
}

/// What went wrong, and what would help.
fn words(failure: &Failure) -> (String, Option<String>) {
    let text = |text: &str| text.to_owned();
    match failure {
        Failure::Config(found) => (found.render(false), None),
        Failure::Unreadable(error) => (super::apply::chain(error), error.hint()),
        Failure::NoCluster(path) => (
            format!("there is no cluster file {}", path.display()),
            Some(text("name one with --cluster FILE; `converge lab run` shows a whole cluster")),
        ),
        Failure::WhoAmI(said) | Failure::Key(said) => (said.clone(), None),
        Failure::NotRoot => (
            text("only root may change this host"),
            Some(text("`converge plan` shows what would be changed")),
        ),
        Failure::Busy => (
            text("another converge is at work on this host"),
            Some(text(
                "if it is converge.service: `systemctl reload converge` has it read its files \
                 again, `systemctl stop converge` gives its VIPs to another director",
            )),
        ),
        Failure::Host(error) => (super::apply::chain(error), error.hint()),
        Failure::Runtime(error) => (format!("cannot start: {error}"), None),
        Failure::Watch(error) => (super::apply::chain(error), None),
        Failure::Asked { said, help } => (said.clone(), Some(help.clone())),
        Failure::Words(error) => (super::apply::chain(error), None),
        Failure::Report(error) => (super::apply::chain(error), None),
        Failure::Check(error) => (super::apply::chain(error), None),
    }
}

pub fn error_line(text: &str, help: Option<String>) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error{red:#}: {text}");
    if let Some(help) = help {
        anstream::eprintln!("help: {help}");
    }
}

/// Refuses anybody but root.
pub fn must_be_root() -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Failure::NotRoot) }
}

/// Held while a host is changed.
pub fn lock(host: &Host) -> Result<std::fs::File, Failure> {
    host.files().lock("/run/converge/lock")?.ok_or(Failure::Busy)
}

/// The same for what runs unasked: whoever is at work by hand is waited for, so that a moment of
/// his does not keep a service from starting, nor VIPs on a host that is to release them.
pub async fn lock_patiently(host: &Host) -> Result<std::fs::File, Failure> {
    let end = Instant::now() + LOCK_LIMIT;
    loop {
        match lock(host) {
            Err(Failure::Busy) if Instant::now() < end => tokio::time::sleep(LOCK_PAUSE).await,
            other => return other,
        }
    }
}

/// The cluster, and the role files and templates that are at hand for it.
pub fn files(global: &Global, host: &Host) -> Result<(Cluster, Shelf, Diagnostics), Failure> {
    let path = &std::path::absolute(&global.cluster).map_err(Failure::Runtime)?;
    let text = host.files().read_text(path).map_err(Failure::Unreadable)?;
    let text = text.ok_or_else(|| Failure::NoCluster(path.clone()))?;
    let (cluster, warnings) = Cluster::parse(global.cluster.display().to_string(), &text)?;
    let vendor = Path::new(shelf::VENDOR);
    let root = Path::new("/");
    let directories = [
        Directory { path: vendor, shown: vendor },
        Directory {
            path: path.parent().unwrap_or(root),
            shown: global.cluster.parent().unwrap_or(root),
        },
    ];
    let shelf = Shelf::with_directories(host.files(), &directories).map_err(Failure::Unreadable)?;
    Ok((cluster, shelf, warnings))
}

/// The cluster and the roles that its hosts have.
pub fn cluster(global: &Global, host: &Host) -> Result<(Cluster, Catalog, Diagnostics), Failure> {
    let (cluster, shelf, mut warnings) = files(global, host)?;
    let (catalog, found) = Catalog::new(shelf, &cluster)?;
    warnings.merge(found);
    warnings.merge(exposed::passwords(host, &cluster, &catalog));
    Ok((cluster, catalog, warnings))
}

/// Everything about the host that we run on.
pub async fn this_host(global: &Global, host: &Host) -> Result<Loaded, Failure> {
    let (cluster, catalog, mut warnings) = cluster(global, host)?;
    let survey = survey::survey(host)?;
    let entry = whoami(global, &cluster, &survey)?;
    let (role, found) = Role::load(&catalog, &cluster, entry, &survey)?;
    warnings.merge(found);
    warnings.merge(own_address(entry, &survey));
    Ok(Loaded { role, warnings, cluster, catalog })
}

/// A host that does not have the address that the others know it by.
fn own_address(entry: &HostEntry, survey: &Survey) -> Diagnostics {
    let mut found = Diagnostics::default();
    if !survey.addresses.contains(&entry.address.addr()) {
        let title = format!("this machine does not have the address {}", entry.address.addr());
        let has: Vec<String> = survey.addresses.iter().map(ToString::to_string).collect();
        let help =
            format!("it has {}", if has.is_empty() { "none".into() } else { has.join(", ") });
        found.push(Diagnostic::warning(entry.address.place.clone(), title).help(help));
    }
    found
}

fn whoami<'a>(
    global: &Global,
    cluster: &'a Cluster,
    survey: &Survey,
) -> Result<&'a HostEntry, Failure> {
    let flag = global.host.as_deref();
    let entry = cluster
        .whoami(flag, &survey.hostname, &survey.addresses)
        .map_err(|error: WhoAmIError| Failure::WhoAmI(error.to_string()))?;
    has_role(global, entry)?;
    Ok(entry)
}

/// The host that `--host` names, with the role that `--role` says.
pub fn named<'a>(global: &Global, cluster: &'a Cluster) -> Result<Option<&'a HostEntry>, Failure> {
    let Some(flag) = global.host.as_deref() else {
        return Ok(None);
    };
    let entry = cluster.whoami(Some(flag), "", &[]);
    let entry = entry.map_err(|error| Failure::WhoAmI(error.to_string()))?;
    has_role(global, entry)?;
    Ok(Some(entry))
}

/// Refuses a host that has another role than `--role` says.
pub fn has_role(global: &Global, entry: &HostEntry) -> Result<(), Failure> {
    match &global.role {
        Some(role) if role.as_str() != entry.role.value.as_str() => Err(Failure::WhoAmI(format!(
            "this host is {}, whose role is {}, not {role}; change its role in {} or name another \
             host with --host",
            entry.name,
            entry.role.value,
            global.cluster.display(),
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Names the programs that the role needs and the host has not got.
pub fn print_missing(role: &Role) {
    for program in &role.missing {
        let error = CommandError::Missing { program: program.clone() };
        error_line(&error.to_string(), error.hint());
    }
}

/// Shows what should be seen, before anything is done.
pub fn print_warnings(warnings: &Diagnostics) {
    if !warnings.is_empty() {
        anstream::eprint!("{}", warnings.render(true));
    }
}
