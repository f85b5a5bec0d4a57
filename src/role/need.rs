//! What a role needs of its host that no role makes: programs, users, certificates.
//!
//! The role only names them, each with where it is named. Whether they are there is looked at on
//! the host ([`crate::cli`]), for `converge lint` runs elsewhere too.

use std::path::PathBuf;

use super::command_line::CommandLine;
use super::element::Element;
use crate::diagnostic::Place;

/// Something that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Where it is named: in the cluster file, if a variable gives it.
    pub place: Place,
    /// What.
    pub what: What,
}

/// What has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A program that this user, or converge's own, can run.
    Program {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Who runs it.
        user: Option<String>,
    },
    /// Certificates in PEM.
    Certificates(PathBuf),
}

impl Need {
    /// The program that a key names.
    pub fn program(e: &Element<'_>, key: &'static str) -> Option<Need> {
        let CommandLine(argv) = e.get::<CommandLine>(key)?.value;
        Some(Need { place: e.set_place(key), what: What::Program { argv, user: e.text("user") } })
    }

    /// The certificates that a key names.
    pub fn certificates(e: &Element<'_>, key: &'static str) -> Option<Need> {
        let path = e.get::<PathBuf>(key)?.value;
        Some(Need { place: e.set_place(key), what: What::Certificates(path) })
    }
}
