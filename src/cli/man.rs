//! The man page, the completions and the JSON Schemas, from the definitions that parse.
//!
//! Nothing is written twice: clap has the commands, and the sections of the TOML files have their
//! keys.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::load::error_line;
use super::{Cli, Exit};
use crate::document::schema;

const VERSION: &str = concat!("converge ", env!("CARGO_PKG_VERSION"));

/// Which file a schema is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// cluster.toml
    Cluster,
    /// roles/*.toml
    Role,
}

/// Prints converge(8), or the page of a command: `["lab", "up"]` is converge-lab-up(8).
pub fn man(words: &[String]) -> Exit {
    let mut command = Cli::command();
    // Only then do commands know their full names and the options that all have.
    command.build();
    let Some(command) = find(&command, words) else {
        return Exit::Usage;
    };
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone()).section("8").source(VERSION);
    match page.manual("converge").render(&mut text) {
        Ok(()) => print(&text),
        Err(error) => {
            error_line(&format!("cannot make the man page: {error}"), None);
            return Exit::Failed;
        }
    }
    Exit::Done
}

/// The command that these words name, or a word on which there are.
fn find<'a>(top: &'a clap::Command, words: &[String]) -> Option<&'a clap::Command> {
    let mut command = top;
    for word in words {
        let Some(next) = command.find_subcommand(word) else {
            let path = command.get_bin_name().unwrap_or_default();
            let shown =
                command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
            let names: Vec<_> = shown.map(clap::Command::get_name).collect();
            let help = match names.as_slice() {
                [] => format!("`{path}` has no commands of its own"),
                names => format!("`{path}` has {}", names.join(", ")),
            };
            error_line(&format!("there is no command `{path} {word}`"), Some(help));
            return None;
        };
        command = next;
    }
    Some(command)
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
