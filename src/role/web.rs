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

    /// The drop-in, and the unit that has to have read it.
    pub fn expand(&self, want: &mut Want) {
        let file = want.add(&self.place, self.drop_in.clone());
        let mut needs = vec![file];
        // Without its content a server would answer 404 to every client.
        needs.extend(want.ids(|id| self.content(id)));
        let reads = vec![self.drop_in.path.clone()];
        let loaded = unit::digest(&[(self.drop_in.path.as_path(), self.drop_in.content.as_str())]);
        let unit = Unit {
            unit: self.unit.clone(),
            active: true,
            enabled: Some(true),
            reads,
            loaded: Some(loaded),
            check: self.drop_in.check.clone(),
        };
        want.add_after(&self.place, unit, needs);
    }

    fn content(&self, id: &Id) -> bool {
        let inside = PathBuf::from(&id.name).starts_with(&self.root);
        inside && matches!(id.kind, Kind::Mount | Kind::File | Kind::Directory)
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
