//! The man page and the JSON Schemas, from the same definitions that parse.

use clap::{CommandFactory, ValueEnum};

use super::{Cli, Exit};

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
    let man = clap_mangen::Man::new(Cli::command()).section("8");
    match man.render(&mut std::io::stdout().lock()) {
        Ok(()) => Exit::Done,
        Err(error) => {
            anstream::eprintln!("error: cannot print the man page: {error}");
            Exit::Failed
        }
    }
}

/// Prints a schema.
pub fn schema(of: SchemaOf) -> Exit {
    let schema = match of {
        SchemaOf::Cluster => crate::document::schema::of(&crate::cluster::SECTION),
        SchemaOf::Role => crate::document::schema::of(&crate::role::SECTION),
    };
    super::print(&format!("{schema:#}"));
    Exit::Done
}
