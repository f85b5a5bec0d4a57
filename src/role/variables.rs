//! Variables that nobody reads.
//!
//! A variable may have any name, so a slip of the pen in one would go unnoticed and the default
//! would hold. Whatever the cluster file sets has to be declared by a role of the cluster, or be
//! named in a role file or a template.

use std::collections::BTreeSet;

use crate::cluster::{Cluster, Vars};
use crate::diagnostic::{Collector, Diagnostic, Place, suggest};

/// The variable names in a text: what follows `vars.`.
pub fn named_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("vars.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Reports every variable of the cluster file that is not among `known`.
pub fn report_unread(cluster: &Cluster, known: &BTreeSet<String>, found: &Collector) {
    let hosts = cluster.hosts.values().map(|host| &host.vars);
    let vips = cluster.vips.iter().map(|vip| &vip.vars);
    for vars in std::iter::once(&cluster.vars).chain(hosts).chain(vips) {
        report_unread_of(vars, known, found);
    }
}

fn report_unread_of(vars: &Vars, known: &BTreeSet<String>, found: &Collector) {
    for (name, value) in vars.iter().filter(|(name, _)| !known.contains(*name)) {
        let place = key_place(name, &value.place);
        let title = format!("no role knows the variable `{name}`");
        let meant = suggest(name, known.iter().map(String::as_str));
        let diagnostic = match meant {
            Some(meant) => Diagnostic::error(place, format!("{title}, did you mean `{meant}`?")),
            None => Diagnostic::error(place, title)
                .help("a role of your own that uses it makes it known"),
        };
        found.push(diagnostic);
    }
}

/// Where the variable's name stands: the last time before its value.
fn key_place(name: &str, value: &Place) -> Place {
    let before = &value.source.text[..value.span.start];
    match before.rfind(name) {
        Some(start) => Place::new(&value.source, start..start + name.len()),
        None => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_a_text_uses_are_found() {
        let text = "{{each.vars.ports}} {{#if vars.export}}x{{/if}} {{vars.a-b_c}}; var.no";
        assert_eq!(named_in(text).collect::<Vec<_>>(), ["ports", "export", "a-b_c"]);
    }

    #[test]
    fn a_slip_in_a_name_is_met_with_the_name_that_was_meant() {
        let text = "version = 1\nname = \"c\"\n[host.a]\nrole = \"client\"\n\
                    address = \"192.0.2.1/24\"\ninterface = \"eth0\"\n[vars]\nschedular = \"rr\"\n";
        let (cluster, _) = Cluster::parse("cluster.toml", text).expect("a good file");
        let found = Collector::default();
        report_unread(&cluster, &BTreeSet::from(["scheduler".to_owned()]), &found);
        let shown = found.into_diagnostics().render(false);
        assert!(shown.contains("`schedular`, did you mean `scheduler`?"), "{shown}");
        assert!(shown.contains("cluster.toml:8:"), "{shown}");
    }
}
