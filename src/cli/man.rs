//! The man page and the JSON Schemas, from the same definitions that parse.

use clap::{CommandFactory, ValueEnum};

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
        SchemaOf::Cluster => schema::schema(&crate::cluster::CLUSTER, "converge cluster file"),
        SchemaOf::Role => schema::schema(&crate::role::ROLE, "converge role file"),
    };
    super::print(&format!("{schema:#}"));
    Exit::Done
}
