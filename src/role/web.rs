//! `[[web]]`: a web server that serves a directory.
//!
//! The server's own files are never edited: one drop-in of ours is added, tested with the server's
//! own test before anything is reloaded, and the unit reloads because the digest of what it has
//! read changes. Which server, and where its drop-ins lie, is found by looking at the host.

use std::path::PathBuf;

use serde_json::json;

use super::element::{Element, FOR_EACH, WHEN};
use super::storage;
use super::virtual_server::Ports;
use super::want::Want;
use crate::diagnostic::Place;
use crate::document::{Field, Section, Shape};
use crate::host::survey::{Survey, WebServer};
use crate::resource::file::File;
use crate::resource::unit::{self, Unit};
use crate::resource::{Id, Kind};

/// The keys of `[[web]]`.
pub const SECTION: Section = Section::new(
    "web",
    "A web server with one drop-in of ours.",
    &[
        FOR_EACH,
        WHEN,
        Field::optional("server", Shape::OneOf(&["auto", "nginx", "httpd"]), "Which one.")
            .default("auto"),
        Field::required("ports", Shape::Text, "What it listens on: 80, or several."),
        Field::required("root", Shape::Path, "The directory that it serves."),
        Field::optional("template", Shape::Text, "The drop-in, of templates/.")
            .default("nginx-site.conf or httpd-site.conf"),
    ],
);

/// A web server.
#[derive(Clone, Debug)]
pub struct Web {
    place: Place,
    /// What it listens on.
    pub(super) ports: Vec<u16>,
    root: PathBuf,
    drop_in: File,
    unit: String,
}

impl Web {
    /// Reads the section and renders the drop-in. `missing` takes what only a package can bring.
    pub fn read(e: &Element<'_>, survey: &Survey, missing: &mut Vec<String>) -> Option<Self> {
        let ports = e.get::<Ports>("ports")?.value.0;
        let root = e.get::<PathBuf>("root")?.value;
        let wish = e.text("server").unwrap_or_else(|| "auto".into());
        let Some((name, server)) = choose(survey, &wish) else {
            let program = if wish == "httpd" { "httpd" } else { "nginx" };
            missing.push(program.to_owned());
            return None;
        };
        let web = json!({
            "ports": ports,
            "root": root,
            "default": !server.default_server_taken,
            // Apache's own files listen on 80.
            "more_ports": ports.iter().filter(|p| **p != 80).collect::<Vec<_>>(),
            "ipv6": e.has_ipv6(),
        });
        let template = e.get::<String>("template");
        let standard = format!("{name}-site.conf");
        let content = e.template(template.as_ref(), &standard, "web", web)?;
        let path = server.drop_in_directory.join("converge.conf");
        let content = storage::signed(&path, &content, e.role());
        let check = Some(server.test.clone());
        let drop_in = File { path, content, mode: None, owner: None, once: false, check };
        Some(Web { place: e.place(), ports, root, drop_in, unit: server.unit.clone() })
    }

    /// The drop-in, and the unit that has to have read it, and what else it reads beside it.
    pub fn expand(&self, beside: &[DropIn], want: &mut Want) {
        let read: Vec<&DropIn> = beside.iter().filter(|other| other.unit == self.unit).collect();
        let mut files: Vec<&File> = read.iter().map(|other| &other.file).collect();
        files.push(&self.drop_in);
        let mut needs: Vec<Id> = read.iter().map(|other| other.id.clone()).collect();
        needs.push(want.add(&self.place, self.drop_in.clone()));
        // Without its content a server would answer 404 to every client.
        needs.extend(want.ids(|id| self.content(id)));
        want.add_after(&self.place, unit_of(&self.unit, &files), needs);
    }

    fn content(&self, id: &Id) -> bool {
        let inside = PathBuf::from(&id.name).starts_with(&self.root);
        inside && matches!(id.kind, Kind::Mount | Kind::File | Kind::Directory)
    }
}

/// A file that a web server reads beside the drop-in of a `[[web]]`.
#[derive(Clone, Debug)]
pub struct DropIn {
    /// The section that it comes from.
    pub place: Place,
    /// The file, as it is wanted.
    pub id: Id,
    /// The file.
    pub file: File,
    /// The unit that reads it.
    pub unit: String,
}

/// The units of files that no `[[web]]` stands beside.
pub fn expand_alone(web: &[Web], files: &[DropIn], want: &mut Want) {
    let alone = |file: &&DropIn| !web.iter().any(|web| web.unit == file.unit);
    let alone: Vec<&DropIn> = files.iter().filter(alone).collect();
    // There is one web server that such files are for.
    if let Some(first) = alone.first() {
        let read: Vec<&File> = alone.iter().map(|other| &other.file).collect();
        let needs: Vec<Id> = alone.iter().map(|other| other.id.clone()).collect();
        want.add_after(&first.place, unit_of(&first.unit, &read), needs);
    }
}

fn unit_of(unit: &str, files: &[&File]) -> Unit {
    let contents: Vec<_> = files.iter().map(|f| (f.path.as_path(), f.content.as_str())).collect();
    Unit {
        unit: unit.to_owned(),
        active: true,
        enabled: Some(true),
        reads: files.iter().map(|file| file.path.clone()).collect(),
        loaded: Some(unit::digest(&contents)),
        check: files.first().and_then(|file| file.check.clone()),
    }
}

fn choose<'a>(survey: &'a Survey, wish: &str) -> Option<(&'static str, &'a WebServer)> {
    let nginx = survey.nginx.as_ref().map(|s| ("nginx", s));
    let httpd = survey.httpd.as_ref().map(|s| ("httpd", s));
    match wish {
        "nginx" => nginx,
        "httpd" => httpd,
        _ => nginx.or(httpd),
    }
}
