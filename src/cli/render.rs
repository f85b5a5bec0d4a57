//! `converge render`: what a host is to be, without looking at any host.
//!
//! For reading before a host exists, for reviewing a change to the cluster file, and for one file
//! as it would be written.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::load::{self, Failure, Loaded};
use super::{Exit, Format, Global, pools, routers};
use crate::host::Host;
use crate::host::survey::Survey;
use crate::plan::Plan;
use crate::resource::{Desired, Observed, Resource};
use crate::role::Role;
use crate::situation::Situation;

/// What to print.
#[derive(Args, Debug)]
pub struct RenderArgs {
    /// Print this file alone, as it would be written.
    pub file: Option<PathBuf>,
    /// As the host would be while it is the active director.
    #[arg(long)]
    pub active: bool,
}

/// Runs it. The host is `--host`, else this one; what a host looks like is not looked at but
/// taken to be a Debian with nginx, Apache and NFS installed.
pub fn run(global: &Global, args: &RenderArgs) -> Exit {
    match render(global, args) {
        Ok(exit) => exit,
        Err(failure) => load::say(&failure),
    }
}

fn render(global: &Global, args: &RenderArgs) -> Result<Exit, Failure> {
    let host = Host::this();
    let (cluster, catalog, mut warnings) = load::cluster(global, &host)?;
    let survey = Survey { hostname: crate::host::survey::hostname(), ..Survey::typical() };
    let entry = cluster
        .whoami(global.host.as_deref(), &survey.hostname, &[])
        .map_err(|error| Failure::WhoAmI(error.to_string()))?;
    load::has_role(global, entry)?;
    let (role, found) = Role::load(&catalog, &cluster, entry, &survey)?;
    warnings.merge(found);
    load::print_warnings(&warnings);
    let loaded = Loaded { role, warnings, cluster, catalog };
    let mut situation = loaded.role.at_start();
    if args.active {
        situation.elect_all();
    }
    let desired = loaded.role.desired(&situation)?;
    match &args.file {
        Some(path) => Ok(one_file(global, &desired, path)),
        None => {
            all(global, &loaded, &situation, &desired);
            Ok(Exit::Done)
        }
    }
}

fn one_file(global: &Global, desired: &Desired, path: &std::path::Path) -> Exit {
    let files = || {
        desired.state.iter().filter_map(|(_, r)| match r {
            Resource::File(file) => Some(file),
            _ => None,
        })
    };
    match files().find(|file| file.path == path) {
        Some(file) => {
            match global.output {
                Format::Text => anstream::print!("{}", file.content),
                Format::Json => super::print(
                    &json!({
                        "schema": "converge.file/1",
                        "path": file.path,
                        "content": file.content,
                    })
                    .to_string(),
                ),
            }
            Exit::Done
        }
        None => {
            let written: Vec<String> = files().map(|f| f.path.display().to_string()).collect();
            anstream::eprintln!("error: the role writes no file {}", path.display());
            let written = if written.is_empty() { "none".into() } else { written.join(", ") };
            anstream::eprintln!("help: it writes {written}");
            Exit::Usage
        }
    }
}

fn all(global: &Global, loaded: &Loaded, situation: &Situation, desired: &Desired) {
    match global.output {
        Format::Json => {
            let resources: Vec<_> = desired
                .state
                .iter()
                .map(|(id, r)| json!({"id": id, "resource": r, "source": desired.origin.get(id)}))
                .collect();
            let host = loaded.role.host.to_string();
            let whole = json!({
                "schema": "converge.render/1",
                "host": host,
                "role": loaded.role.name,
                "vrrp": routers::as_json(&loaded.role, situation, desired),
                "pools": pools::as_json(&loaded.role),
                "resources": resources,
            });
            super::print(&whole.to_string());
        }
        Format::Text => {
            super::print(&format!("# {}", loaded.heading()));
            anstream::print!("{}", routers::text(&loaded.role, situation, desired));
            anstream::print!("{}", pools::text(&loaded.role));
            anstream::print!("{}", Plan::between(desired, &Observed::default()));
        }
    }
}
