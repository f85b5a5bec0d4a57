//! `converge lab …`: what a person types.
//!
//! Finds the lab and the machine that are meant, calls the library, and says how it ended. Three
//! commands are hidden: the processes that a lab consists of are this same program.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::client::{Lab, Options};
use super::control::{HostStatus, Life};
use super::drill::Placing;
use super::error::LabError;
use super::rundir::RunDir;
use super::spec::LabSpec;
use super::switch::{Damage, Direction, Impairment};
use super::{agent, daemon, drill, keeper, shell, story};

/// A cluster of real machines on this machine.
#[derive(Debug, clap::Subcommand)]
pub enum LabCommand {
    /// Boot the machines, let them converge, look through the VIP, clean up.
    Run(Start),
    /// Boot the machines, let them converge, and leave them up until `lab down`.
    Up(Start),
    /// End the lab; what was on the disks of its machines is gone.
    Down {
        /// The lab.
        #[command(flatten)]
        lab: Which,
    },
    /// Show the machines of the lab, and what is wrong with their cables.
    Status {
        /// The lab.
        #[command(flatten)]
        lab: Which,
    },
    /// Open a shell, or run one command, as root on a machine.
    Sh {
        /// The lab.
        #[command(flatten)]
        lab: Which,
        /// The machine.
        host: String,
        /// A line of bash; its exit code is this command's. A shell if there is none.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Damage or heal the cable between a machine and the switch, from now on.
    Link {
        /// The lab.
        #[command(flatten)]
        lab: Which,
        /// The machine.
        host: String,
        /// Which frames it concerns, as the machine sees it.
        #[arg(long, value_enum, default_value = "both", global = true)]
        direction: Direction,
        /// What the cable does.
        #[command(subcommand)]
        damage: LinkCommand,
    },
    /// Pull the plug of a machine: it gets no chance to say or write anything.
    Kill(Target),
    /// Power on a machine that is down, with the disk it had, and wait until it is up.
    Boot(Target),
    /// Freeze a machine: it is there, and does nothing, until `resume`.
    Stop(Target),
    /// Let a machine go on that was stopped.
    Resume(Target),
    /// Record the network's frames in a pcap file from now on, until the lab ends.
    Pcap {
        /// The lab.
        #[command(flatten)]
        lab: Which,
        /// The file.
        file: PathBuf,
        /// Only what this machine sends and receives.
        #[arg(long)]
        host: Option<String>,
    },
    /// Owns the machines of a lab (internal).
    #[command(hide = true)]
    Daemon {
        /// The run directory.
        directory: PathBuf,
        /// End when standard input does.
        #[arg(long)]
        lifeline: bool,
    },
    /// Holds one machine (internal).
    #[command(hide = true)]
    Keeper {
        /// The machine's command line.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Runs commands inside a machine (internal).
    #[command(hide = true)]
    Agent {
        /// The serial line.
        device: PathBuf,
    },
}

/// What to boot.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// A cluster file; else that of --cluster or CONVERGE_CLUSTER, else the shipped example.
    file: Option<PathBuf>,
    /// One more Debian package on all machines; may be given several times.
    #[arg(long = "with", value_name = "PACKAGE")]
    packages: Vec<String>,
}

/// Which of the labs that are up.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Which lab, if more than one is up: the `name` in its cluster file.
    #[arg(long = "lab", value_name = "LAB")]
    name: Option<String>,
}

/// One machine of a lab.
#[derive(Debug, clap::Args)]
pub struct Target {
    #[command(flatten)]
    lab: Which,
    /// The machine.
    host: String,
}

/// What a cable can be made to do.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum LinkCommand {
    /// Let nothing pass.
    Cut,
    /// Let frames arrive later.
    Delay {
        /// How much later, in milliseconds.
        milliseconds: u64,
    },
    /// Lose some of the frames.
    Loss {
        /// How many, in percent.
        #[arg(value_parser = percentage)]
        percent: f64,
    },
    /// Let some of the frames arrive twice.
    Dup {
        /// How many, in percent.
        #[arg(value_parser = percentage)]
        percent: f64,
    },
    /// Make it as good as new.
    Heal,
}

/// Why no lab could be chosen.
#[derive(Debug, thiserror::Error)]
enum ChoiceError {
    #[error("no lab is up: `converge lab up` starts one")]
    None,
    #[error("several labs are up, say which: --lab {}", .0.join(" or --lab "))]
    Several(Vec<String>),
    #[error("no host `{host}` in the lab `{lab}`; there are {}", .hosts.join(", "))]
    Host { host: String, lab: String, hosts: Vec<String> },
}

type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Does what was asked for. `load` reads a cluster file, or the shipped example, and says itself
/// what is wrong with it.
pub fn run(
    command: LabCommand,
    load: impl Fn(Option<&Path>) -> Result<LabSpec, ExitCode>,
) -> ExitCode {
    act(command, load).unwrap_or_else(|error| {
        eprintln!("converge lab: {error}");
        let mut cause = error.source();
        while let Some(deeper) = cause {
            eprintln!("  because: {deeper}");
            cause = deeper.source();
        }
        ExitCode::FAILURE
    })
}

fn act(command: LabCommand, load: impl Fn(Option<&Path>) -> Result<LabSpec, ExitCode>) -> Outcome {
    match command {
        LabCommand::Run(start) => start.with(load, run_story),
        LabCommand::Up(start) => start.with(load, up),
        LabCommand::Down { lab } => done(lab.join()?.down()),
        LabCommand::Status { lab } => status(&lab.join()?),
        LabCommand::Sh { lab, host, command } => {
            let lab = lab.join()?;
            let status = shell::attach(&lab.host(known(&lab, &host)?), &command.join(" "))?;
            Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
        }
        LabCommand::Link { lab, host, direction, damage } => {
            let lab = lab.join()?;
            done(lab.link(known(&lab, &host)?).damage(direction, damage.into()))
        }
        LabCommand::Kill(target) => target.with(|lab, host| done(lab.host(host).kill())),
        LabCommand::Boot(target) => target.with(|lab, host| done(lab.host(host).boot())),
        LabCommand::Stop(target) => target.with(|lab, host| done(lab.host(host).stop())),
        LabCommand::Resume(target) => target.with(|lab, host| done(lab.host(host).resume())),
        LabCommand::Pcap { lab, file, host } => {
            let lab = lab.join()?;
            match host {
                Some(host) => done(lab.host(known(&lab, &host)?).pcap(&file)),
                None => done(lab.pcap(&file)),
            }
        }
        LabCommand::Daemon { directory, lifeline } => {
            done(daemon::serve(RunDir::at(&directory), lifeline))
        }
        LabCommand::Keeper { command } => done(keeper::keep(&command)),
        LabCommand::Agent { device } => done(agent::serve(&device)),
    }
}

fn done<E: Error + 'static>(result: Result<(), E>) -> Outcome {
    result?;
    Ok(ExitCode::SUCCESS)
}

fn run_story(spec: &LabSpec, options: &Options) -> Outcome {
    let lab = story::boot(spec, options, false)?;
    let converged = story::converge(&lab, spec)?;
    let placing = elect(&lab, spec)?;
    let seen = story::look(&lab, spec)?;
    let moved = match (&spec.electors, &placing) {
        (Some(electors), Some(placing)) => drill::fail_over(&lab, spec, electors, placing)?,
        (electors, _) => electors.is_none(),
    };
    Ok(if converged && seen && moved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn up(spec: &LabSpec, options: &Options) -> Outcome {
    let lab = story::boot(spec, options, true)?;
    let mut converged = story::converge(&lab, spec)?;
    let placing = elect(&lab, spec)?;
    converged &= placing.is_some() || spec.electors.is_none();
    let holder = placing.as_ref().and_then(|placing| placing.values().next());
    let holder = holder.map(String::as_str);
    write!(io::stdout(), "{}", story::invitation(lab.name(), spec, holder, converged))?;
    Ok(if converged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn elect(lab: &Lab, spec: &LabSpec) -> Result<Option<Placing>, LabError> {
    spec.electors.as_ref().map_or(Ok(None), |electors| drill::elect(lab, electors))
}

fn status(lab: &Lab) -> Outcome {
    let mut out = io::stdout();
    for host in lab.status()? {
        let HostStatus { name, role, address, outward, inward, .. } = &host;
        let state = state(&host);
        let link = [("out", outward), ("in", inward)].map(|(way, what)| describe(way, *what));
        let line =
            format!("{name:<10} {role:<16} {:<16} {state:<18} {}", address.addr(), link.concat());
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn state(host: &HostStatus) -> String {
    let took = host.boot.unwrap_or_default().as_secs_f64();
    match host.life {
        _ if host.stopped => "stopped".into(),
        Life::Down => "down".into(),
        Life::Booting | Life::Reachable => "booting".into(),
        Life::Ready => format!("up, booted in {took:.1} s"),
    }
}

fn describe(way: &str, impairment: Impairment) -> String {
    let Impairment { cut, delay, loss, duplicate } = impairment;
    let mut text = String::new();
    let mut add = |what: String| text.push_str(&format!("[{way}: {what}] "));
    if cut {
        add("cut".into());
    }
    if !delay.is_zero() {
        add(format!("{} ms later", delay.as_millis()));
    }
    if loss > 0.0 {
        add(format!("{:.0} % lost", loss * 100.0));
    }
    if duplicate > 0.0 {
        add(format!("{:.0} % twice", duplicate * 100.0));
    }
    text
}

impl Which {
    fn join(&self) -> Result<Lab, Box<dyn Error>> {
        if let Some(name) = &self.name {
            return Ok(Lab::join(name)?);
        }
        let names = Lab::all()?;
        match names.as_slice() {
            [] => Err(ChoiceError::None.into()),
            [name] => Ok(Lab::join(name)?),
            [..] => Err(ChoiceError::Several(names).into()),
        }
    }
}

impl Start {
    fn with(
        self,
        load: impl Fn(Option<&Path>) -> Result<LabSpec, ExitCode>,
        act: impl Fn(&LabSpec, &Options) -> Outcome,
    ) -> Outcome {
        let options = Options { extra_packages: self.packages, ..Options::default() };
        match load(self.file.as_deref()) {
            Ok(spec) => act(&spec, &options),
            Err(code) => Ok(code),
        }
    }
}

impl Target {
    fn with(&self, act: impl Fn(&Lab, &str) -> Outcome) -> Outcome {
        let lab = self.lab.join()?;
        act(&lab, known(&lab, &self.host)?)
    }
}

fn known<'a>(lab: &Lab, host: &'a str) -> Result<&'a str, ChoiceError> {
    if lab.hosts().iter().any(|name| name == host) {
        return Ok(host);
    }
    let (lab, hosts) = (lab.name().to_owned(), lab.hosts().to_vec());
    Err(ChoiceError::Host { host: host.to_owned(), lab, hosts })
}

impl From<LinkCommand> for Damage {
    fn from(command: LinkCommand) -> Damage {
        match command {
            LinkCommand::Cut => Damage::Cut,
            LinkCommand::Delay { milliseconds } => {
                Damage::Delay(Duration::from_millis(milliseconds))
            }
            LinkCommand::Loss { percent } => Damage::Loss(percent / 100.0),
            LinkCommand::Dup { percent } => Damage::Duplicate(percent / 100.0),
            LinkCommand::Heal => Damage::Heal,
        }
    }
}

fn percentage(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err("not a percentage from 0 to 100".into())
    }
}
