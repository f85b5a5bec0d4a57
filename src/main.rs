//! The converge command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    converge::cli::main()
}
