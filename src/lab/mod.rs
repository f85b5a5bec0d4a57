//! (to be written)
/// x
pub mod cli {
    /// x
    #[derive(clap::Subcommand, Debug)]
    pub enum LabCommand {
        /// x
        Run,
    }
    /// x
    pub fn run(_c: &LabCommand, _p: &std::path::Path) -> crate::cli::Exit {
        crate::cli::Exit::Done
    }
}
