//! `[[unit]]`: a systemd unit that runs, with the files that it has to have read.
//!
//! The digest of those files is part of what is wanted, so a reload follows from the same diff as
//! everything else, also after a crash between writing and reloading.

use std::path::PathBuf;

use super::element::{Element, FOR_EACH, WHEN};
use super::want::Want;
use crate::diagnostic::Place;
use crate::document::{Field, Section, Shape};
use crate::resource::unit::{self, Unit};
use crate::resource::{Id, Kind, Resource};

/// The keys of `[[unit]]`.
pub const SECTION: Section = Section::new(
    "unit",
    "A systemd unit that runs.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("name", Shape::Text, "Its full name, nginx.service."),
        Field::optional("active", Shape::Bool, "Whether it runs.").default("true"),
        Field::optional("enabled", Shape::Bool, "Whether it starts at boot; without, as it is."),
        Field::optional(
            "reads",
            Shape::List(&Shape::Path),
            "Files of this role that it reads: it is reloaded whenever one of them changes.",
        ),
        Field::optional("check", Shape::List(&Shape::Text), "Must succeed before it is reloaded."),
    ],
);

/// A unit.
#[derive(Clone, Debug)]
pub struct UnitSection {
    place: Place,
    unit: String,
    active: bool,
    enabled: Option<bool>,
    reads: Vec<PathBuf>,
    check: Option<Vec<String>>,
}

impl UnitSection {
    /// Reads the section.
    pub fn read(e: &Element<'_>) -> Option<Self> {
        let reads = e.list("reads");
        let check = e.list("check");
        Some(UnitSection {
            place: e.place(),
            unit: e.get::<String>("name")?.value,
            active: e.get::<bool>("active").is_none_or(|a| a.value),
            enabled: e.get::<bool>("enabled").map(|a| a.value),
            reads: reads.into_iter().map(PathBuf::from).collect(),
            check: (!check.is_empty()).then_some(check),
        })
    }

    /// The unit, after the files that it reads.
    pub fn expand(&self, want: &mut Want) {
        let mut needs = Vec::new();
        let mut contents = Vec::new();
        for path in &self.reads {
            let id = Id { kind: Kind::File, name: path.display().to_string() };
            if let Some(Resource::File(file)) = want.get(&id) {
                // What a file holds that is written once is the user's affair.
                if !file.once {
                    contents.push((path.clone(), file.content.clone()));
                }
                needs.push(id);
            }
        }
        let files: Vec<_> = contents.iter().map(|(p, c)| (p.as_path(), c.as_str())).collect();
        let loaded = (!files.is_empty()).then(|| unit::digest(&files));
        let unit = Unit {
            unit: self.unit.clone(),
            active: self.active,
            enabled: self.enabled,
            reads: contents.iter().map(|(p, _)| p.clone()).collect(),
            loaded,
            check: self.check.clone(),
        };
        want.add_after(&self.place, unit, needs);
    }
}
