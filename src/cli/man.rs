//! The man page, the completions and the JSON Schemas, from the definitions that parse.
//!
//! Nothing is written twice: clap has the commands, and the sections of the TOML files have their
//! keys.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Exit};
use crate::document::schema;

/// Which file a schema is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// cluster.toml
    Cluster,
    /// roles/*.toml
    Role,
}

/// Prints converge(8).
pub fn man() -> Exit {
    let mut text = Vec::new();
    match clap_mangen::Man::new(Cli::command()).section("8").render(&mut text) {
        Ok(()) => print(&text),
        Err(error) => {
            anstream::eprintln!("error: cannot make the man page: {error}");
            return Exit::Failed;
        }
    }
    Exit::Done
}

/// Prints a shell's completions.
pub fn completion(shell: Shell) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "converge", &mut text);
    print(&text);
    Exit::Done
}

/// That nobody reads on is no failure of ours.
fn print(text: &[u8]) {
    use std::io::Write;
    std::io::stdout().lock().write_all(text).ok();
}

/// Prints a schema.
pub fn schema(of: SchemaOf) -> Exit {
    let schema = match of {
        SchemaOf::Cluster => schema::schema(&crate::cluster::CLUSTER, "converge cluster file"),
        SchemaOf::Role => schema::schema(&crate::role::ROLE, "converge role file"),
    };
    super::print(&format!("{schema:#}"));
    Exit::Done
}
