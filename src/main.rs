//! The converge command.

use std::process::ExitCode;

use clap::Parser;
use converge::lab::cli::{LabCommand, run};

#[derive(Parser)]
enum Cli {
    /// A cluster of real machines on this machine.
    #[command(subcommand)]
    Lab(LabCommand),
}

fn main() -> ExitCode {
    let Cli::Lab(command) = Cli::parse();
    run(command, |file| {
        let text = std::fs::read(file.ok_or("no file")?)?;
        Ok(serde_json::from_slice(&text)?)
    })
}
