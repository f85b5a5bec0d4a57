//! What a person types.
//!
//! One definition of the arguments makes the help texts, the shell completions and the man page.
//! Each command is a file here: it loads, calls the library, prints, and says how it ended as an
//! [`Exit`]. Results go to standard output, everything else to standard error.

mod apply;
mod check;
mod exit;
mod exposed;
mod key;
mod keyfile;
mod lab;
mod lint;
mod load;
mod man;
mod need;
mod plan;
mod pools;
mod render;
mod routers;
mod running;
mod servers;
mod stalls;
mod traffic;
mod wait;
mod watch;
mod whom;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use exit::Code;
pub use exit::Exit;

/// Makes this host be what its role says, and keeps it so.
///
/// Without a command it converges: `converge --role director-master` looks at the host, works out
/// what differs, changes only that, and looks again. `converge plan` shows the same changes without
/// making them.
#[derive(Debug, Parser)]
#[command(name = "converge", version, max_term_width = 100)]
#[command(after_long_help = exit::ending(ending("converge")))]
pub struct Cli {
    /// Stay: elect who holds the VIPs, track, and put right what drifts. The systemd unit does so.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const PROBE_CODES: &[Code] = &[
    (Exit::Done, "every request was answered, and by as many servers as expected"),
    (Exit::Failed, "not so"),
    (Exit::Usage, "wrong arguments"),
];

const LAB_CODES: &[Code] = &[
    (Exit::Done, "it was done; `sh`: the command ended so"),
    (Exit::Failed, "it was not, or what was to be seen was not seen"),
    (Exit::Usage, "wrong arguments"),
    (Exit::BadConfig, "the cluster file or a role file is wrong"),
];

const LAB_EXAMPLES: &str = "\
Examples:
  converge lab run                      the shipped example: boot, converge, look, clean up
  converge lab run cluster.toml         the same with a cluster file of your own
  converge lab up                       leave the machines up
  converge lab sh director ipvsadm -Ln  one command on one of them
  converge lab link web2 loss 30        lose 30 % of the frames on web2's cable
  converge lab down                     end it";

/// What the help text and the man page of a command end with.
fn ending(command: &str) -> (&'static str, &'static [Code]) {
    match command {
        "servers" => (servers::NOTE, servers::CODES),
        "drain" | "maintenance" | "ready" => (words::NOTE, words::CODES),
        "check" => (check::NOTE, check::CODES),
        "probe" => ("", PROBE_CODES),
        "lab" => (LAB_EXAMPLES, LAB_CODES),
        "key" => (key::KEY_HELP, &[]),
        _ => ("", exit::CODES),
    }
}

/// Where the cluster file lies on a host.
const CLUSTER: &str = "/etc/converge/cluster.toml";

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The role of this host; it must be the one that the cluster file gives it.
    #[arg(long, global = true, env = "CONVERGE_ROLE", value_name = "ROLE")]
    pub role: Option<String>,
    /// Which host of the cluster file this is; otherwise the hostname or an address tells.
    #[arg(long, global = true, env = "CONVERGE_HOST", value_name = "NAME")]
    pub host: Option<String>,
    /// The cluster file. Roles and templates of your own lie beside it, in roles/ and templates/.
    #[arg(
        short,
        long,
        global = true,
        env = "CONVERGE_CLUSTER",
        value_name = "FILE",
        default_value = CLUSTER
    )]
    pub cluster: PathBuf,
    /// How to print results.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// When to use colour; NO_COLOR is honoured.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Say more on standard error; twice for every step. CONVERGE_LOG takes a filter by module.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this host be what its role says (the same as no command).
    Apply,
    /// Give the VIPs of a converge that is gone to another director; converge.service does so when
    /// it has ended.
    Release,
    /// Show what would be changed, without changing it; exit 2 if there is anything.
    Plan,
    /// Show every server of every pool: what it gets, how it stands, why, and its connections.
    #[command(after_help = exit::ending(ending("servers")))]
    Servers,
    /// Let a server finish: it gets no new connections, those it has go on.
    #[command(after_help = exit::ending(ending("drain")))]
    Drain(words::DrainArgs),
    /// Take a server out: it gets no traffic at all.
    #[command(after_help = exit::ending(ending("maintenance")))]
    Maintenance(words::WordArgs),
    /// End a drain or maintenance: a server gets traffic again as its checks allow.
    #[command(after_help = exit::ending(ending("ready")))]
    Ready(words::WordArgs),
    /// Make every check of this host's role once, now and from here; or digest a page.
    #[command(after_help = exit::ending(ending("check")))]
    Check(check::CheckArgs),
    /// Check the cluster file and every role it uses, for all hosts.
    Lint,
    /// Print what a host is to be: its files, sysctls, addresses, IPVS table.
    Render(render::RenderArgs),
    /// Measure a VIP as a client sees it: who answers, errors, gaps in milliseconds.
    #[command(after_help = exit::ending(ending("probe")))]
    Probe(crate::probe::cli::ProbeArgs),
    /// Boot a whole cluster on this machine: every host a user-mode Linux with its own kernel.
    #[command(after_help = exit::ending(ending("lab")))]
    Lab {
        #[command(subcommand)]
        command: crate::lab::cli::LabCommand,
    },
    /// Print a fresh key for the directors of a cluster.
    #[command(after_help = exit::ending(ending("key")))]
    Key,
    /// Print shell completions.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a man page, in roff: `converge man | man -l -` shows it.
    Man {
        /// The command that the page is about, as in `converge man lab up`; converge itself if
        /// there is none.
        command: Vec<String>,
    },
    /// Print the JSON Schema of the cluster file or of role files, for editors.
    Schema {
        /// Which file.
        #[arg(value_enum)]
        of: man::SchemaOf,
    },
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    color_choice(cli.global.color);
    log_to_stderr(&cli.global, cli.watch);
    run(cli)
}

/// clap ends with 2 for wrong arguments, which here means "changes are pending".
fn usage(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    // Nothing can be done about a closed standard output here.
    error.print().ok();
    if asked_for { ExitCode::SUCCESS } else { Exit::Usage.into() }
}

fn run(cli: Cli) -> ExitCode {
    let Cli { global, watch, command } = cli;
    let exit = match command {
        None | Some(Command::Apply) if watch => watch::run(&global),
        _ if watch => {
            load::error_line("--watch stays; it goes with no other command", None);
            Exit::Usage
        }
        None | Some(Command::Apply) => apply::run(&global),
        Some(Command::Release) => watch::release(&global),
        Some(Command::Plan) => plan::run(&global),
        Some(Command::Servers) => servers::run(&global),
        Some(Command::Drain(args)) => words::drain(&global, &args),
        Some(Command::Maintenance(args)) => words::maintenance(&global, &args),
        Some(Command::Ready(args)) => words::ready(&global, &args),
        Some(Command::Check(args)) => check::run(&global, &args),
        Some(Command::Lint) => lint::run(&global),
        Some(Command::Render(args)) => render::run(&global, &args),
        Some(Command::Probe(args)) => return probe(&global, args),
        Some(Command::Lab { command }) => return lab::run(&global, command),
        Some(Command::Key) => key::run(),
        Some(Command::Completion { shell }) => man::completion(shell),
        Some(Command::Man { command }) => man::man(&command),
        Some(Command::Schema { of }) => man::schema(of),
    };
    exit.into()
}

fn color_choice(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Who stays has nothing but its log to say what happens. The journal has the time of its own.
fn log_to_stderr(global: &Global, stays: bool) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) if stays => "converge=info,warn",
        (false, 0) => "warn",
        (false, 1) => "converge=info,warn",
        (false, 2) => "converge=debug,info",
        (false, _) => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("CONVERGE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .compact();
    let choice = anstream::AutoStream::choice(&std::io::stderr());
    let is_colored = !matches!(choice, anstream::ColorChoice::Never);
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => lines.without_time().with_ansi(false).init(),
        None => lines.with_ansi(is_colored).init(),
    }
}

/// The runtime of every command: one thread is enough, and starts at once.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn probe(global: &Global, mut args: crate::probe::cli::ProbeArgs) -> ExitCode {
    args.output = match global.output {
        Format::Text => crate::probe::cli::Form::Text,
        Format::Json => crate::probe::cli::Form::Json,
    };
    let result = runtime().map(|runtime| runtime.block_on(crate::probe::cli::run(&args)));
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            load::error_line(&apply::chain(&error), None);
            Exit::Failed.into()
        }
        Err(error) => {
            load::error_line(&format!("cannot start: {error}"), None);
            Exit::Failed.into()
        }
    }
}

/// One line on standard output. That nobody reads it is no failure of the command.
fn print(line: &str) {
    use std::io::Write;
    writeln!(anstream::stdout().lock(), "{line}").ok();
}
