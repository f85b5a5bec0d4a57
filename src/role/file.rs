//! What may stand in a role file: the table of its sections.
//!
//! Each section's keys are with the section. The same tables check a file, suggest the key that
//! was meant, and make the JSON Schema.

use super::{hold, ipvs_sync, network, notify, receive, storage, timeouts, track, unit};
use super::{upstream, virtual_server, vrrp, web};
use crate::document::{Field, Section, Shape};

const VARS: Section = Section::new(
    "vars",
    "Defaults of variables; cluster.toml overrides them.",
    &[],
)
.open("a variable", Shape::Var, "Its default: a text, a number, true, false, or a list.");

/// The keys of `[sysctl]`.
pub(super) const SYSCTL: Section =
    Section::new("sysctl", "Kernel parameters, which win over what follows from sections.", &[])
        .open("a kernel parameter", Shape::Text, "Its value.");

/// The keys of a role file.
pub const ROLE: Section = Section::new(
    "role",
    "What a host of a role is for. Every text is a handlebars template over the cluster's facts.",
    &[
        Field::required("version", Shape::Integer { min: 1, max: 1 }, "Of the format."),
        Field::optional("extends", Shape::Text, "A role whose everything this one has too."),
        Field::optional("summary", Shape::Text, "What it is for, in a line."),
        Field::optional("vars", Shape::Table(&VARS), VARS.doc),
        Field::optional("modules", Shape::List(&Shape::Text), "Kernel modules that are loaded."),
        Field::optional("sysctl", Shape::Table(&SYSCTL), SYSCTL.doc),
        Field::optional("ipvs-timeouts", Shape::Table(&timeouts::SECTION), timeouts::SECTION.doc),
        Field::optional("ipvs-sync", Shape::Table(&ipvs_sync::SECTION), ipvs_sync::SECTION.doc),
        Field::optional("link", Shape::Tables(&network::LINK), network::LINK.doc),
        Field::optional("address", Shape::Tables(&network::ADDRESS), network::ADDRESS.doc),
        Field::optional("route", Shape::Tables(&network::ROUTE), network::ROUTE.doc),
        Field::optional("rule", Shape::Tables(&network::RULE), network::RULE.doc),
        Field::optional("directory", Shape::Tables(&storage::DIRECTORY), storage::DIRECTORY.doc),
        Field::optional("file", Shape::Tables(&storage::FILE), storage::FILE.doc),
        Field::optional("mount", Shape::Tables(&storage::MOUNT), storage::MOUNT.doc),
        Field::optional("export", Shape::Tables(&storage::EXPORT), storage::EXPORT.doc),
        Field::optional("unit", Shape::Tables(&unit::SECTION), unit::SECTION.doc),
        Field::optional("web", Shape::Tables(&web::SECTION), web::SECTION.doc),
        Field::optional("receive", Shape::Tables(&receive::SECTION), receive::SECTION.doc),
        Field::optional(
            "virtual-server",
            Shape::Tables(&virtual_server::SECTION),
            virtual_server::SECTION.doc,
        ),
        Field::optional("upstream", Shape::Tables(&upstream::SECTION), upstream::SECTION.doc),
        Field::optional("vrrp", Shape::Tables(&vrrp::SECTION), vrrp::SECTION.doc),
        Field::optional("track", Shape::Tables(&track::SECTION), track::SECTION.doc),
        Field::optional("notify", Shape::Tables(&notify::SECTION), notify::SECTION.doc),
        Field::optional("hold", Shape::Tables(&hold::SECTION), hold::SECTION.doc),
    ],
);
