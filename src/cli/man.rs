//! The man page, the completions and the JSON Schemas, from the definitions that parse.
//!
//! Nothing is written twice: clap has the commands, and the sections of the TOML files have their
//! keys.

use std::io;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::ENVIRONMENT;
use super::load::error_line;
use super::{Cli, Exit, ending};
use crate::diagnostic::suggest;
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
    match page(command, words, &mut text) {
        Ok(()) => print(&text),
        Err(error) => {
            error_line(&format!("cannot make the man page: {error}"), None);
            return Exit::Failed;
        }
    }
    Exit::Done
}

/// The page of a command: what clap knows of it, and below that how it ends, and what it reads of
/// its environment.
fn page(command: &clap::Command, words: &[String], text: &mut Vec<u8>) -> io::Result<()> {
    let (note, codes) = ending(words.first().map_or("", String::as_str));
    // Examples are those of all of a command's own commands.
    let note = if words.len() > 1 { "" } else { note };
    // The codes have a section of their own.
    let shown = command.clone().after_help(note).after_long_help(note);
    let page = Man::new(shown).section("8").source(VERSION).manual("converge");
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        page.render_subcommands_section(text)?;
    }
    if !note.is_empty() {
        page.render_extra_section(text)?;
    }
    let codes = codes.iter().map(|(exit, meaning)| (exit.code().to_string(), *meaning));
    list("EXIT STATUS", codes, text)?;
    list("ENVIRONMENT", environment(command), text)?;
    match command.get_version() {
        Some(_) => page.render_version_section(text),
        None => Ok(()),
    }
}

/// The variables that stand for an option, and the others.
fn environment(command: &clap::Command) -> impl Iterator<Item = (String, &'static str)> {
    let of_options = command.get_arguments().filter_map(|argument| {
        let name = argument.get_env()?.to_string_lossy().into_owned();
        Some((name, argument.get_long()?.to_owned()))
    });
    let of_options: Vec<(String, String)> = of_options.collect();
    let said = |option: &str| match option {
        "cluster" => "the cluster file, as --cluster",
        "host" => "which host of the cluster file this is, as --host",
        "role" => "the role of this host, as --role",
        _ => "as the option",
    };
    let of_options = of_options.into_iter().map(move |(name, option)| (name, said(&option)));
    of_options.chain(ENVIRONMENT.iter().map(|(name, says)| ((*name).to_owned(), *says)))
}

fn list(
    title: &str,
    entries: impl Iterator<Item = (String, &'static str)>,
    text: &mut Vec<u8>,
) -> io::Result<()> {
    let mut roff = Roff::new();
    let mut any = false;
    for (name, says) in entries {
        if !any {
            roff.control("SH", [title]);
        }
        any = true;
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(says)]);
    }
    if any { roff.to_writer(text) } else { Ok(()) }
}

/// The command that these words name, or a word on which there are.
fn find<'a>(top: &'a clap::Command, words: &[String]) -> Option<&'a clap::Command> {
    let mut command = top;
    for word in words {
        let Some(next) = command.find_subcommand(word) else {
            let path = command.get_bin_name().unwrap_or("converge");
            let shown =
                command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
            let names: Vec<_> = shown.map(clap::Command::get_name).collect();
            // `converge-drain` is what the page is called.
            let bare = word.strip_prefix("converge-").unwrap_or(word);
            let meant = match suggest(bare, names.iter().copied()) {
                Some(meant) => format!("did you mean `{}`? ", man_of(path, meant)),
                None => String::new(),
            };
            let help = match names.as_slice() {
                [] => format!("`{path}` has no commands of its own: `{}`", man_of(path, "")),
                names => format!(
                    "{meant}`{}` shows the page of a command; `{path}` has {}",
                    man_of(path, "COMMAND"),
                    names.join(", ")
                ),
            };
            error_line(&format!("there is no command `{path} {word}`"), Some(help));
            return None;
        };
        command = next;
    }
    Some(command)
}

/// How the page of a command is had: `converge man lab up`.
fn man_of(path: &str, command: &str) -> String {
    let words = path.split_whitespace().skip(1).chain(Some(command).filter(|c| !c.is_empty()));
    ["converge", "man"].into_iter().chain(words).collect::<Vec<_>>().join(" ")
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
