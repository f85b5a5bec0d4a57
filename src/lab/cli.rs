//! `converge lab …`: what a person types.

use std::path::PathBuf;
use std::process::ExitCode;

use super::rundir::RunDir;
use super::{agent, daemon, keeper};

/// A cluster of real machines on this machine.
#[derive(Debug, clap::Subcommand)]
pub enum LabCommand {
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
        command: Vec<std::ffi::OsString>,
    },
    /// Runs commands inside a machine (internal).
    #[command(hide = true)]
    Agent {
        /// The serial line.
        device: PathBuf,
    },
}

/// Does what was asked for.
pub fn run(command: LabCommand) -> ExitCode {
    let result: Result<(), Box<dyn std::error::Error>> = match command {
        LabCommand::Daemon { directory, lifeline } => {
            daemon::serve(RunDir::at(&directory), lifeline).map_err(Into::into)
        }
        LabCommand::Keeper { command } => keeper::keep(&command).map_err(Into::into),
        LabCommand::Agent { device } => agent::serve(&device).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("converge lab: {error}");
            ExitCode::FAILURE
        }
    }
}
