//! (to be written)

/// x
#[derive(clap::Args, Debug)]
pub struct ProbeArgs {}

/// x
pub fn run(_args: &ProbeArgs, _json: bool) -> crate::cli::Exit {
    crate::cli::Exit::Done
}
