//! Variables that nobody reads.
//!
//! A variable may have any name, so a slip of the pen in one would go unnoticed and the default
//! would hold. Whatever the cluster file sets has to be declared by a role of the cluster, or be
//! named in a role file or a template.

use std::collections::BTreeSet;

use super::facts::RoleDefaults;
use crate::cluster::{Cluster, Vars};
use crate::diagnostic::{Collector, Diagnostic, Place, suggest};
use crate::document::{Value, Var};

/// The variable names in a text: what follows `vars.`.
pub fn named_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("vars.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// The variable that a text of nothing but its name stands for: `{{each.vars.check-path}}`.
pub fn alone_in(text: &str) -> Option<&str> {
    let name = text.trim_matches(['"', '\'']).trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let variable = named_in(name).next()?;
    (name.ends_with(variable) && !name.contains([' ', '{', '}'])).then_some(variable)
}

/// Reports every variable of the cluster file that is not among `known`. What was meant is one of
/// those that the cluster's own roles have: `used`.
pub fn report_unread(
    cluster: &Cluster,
    known: &BTreeSet<String>,
    used: &BTreeSet<String>,
    found: &Collector,
) {
    let hosts = cluster.hosts.values().map(|host| &host.vars);
    let vips = cluster.vips.iter().map(|vip| &vip.vars);
    for vars in std::iter::once(&cluster.vars).chain(hosts).chain(vips) {
        report_unread_of(vars, known, used, found);
    }
}

/// Reports what is set to something else although a role has it as true or false: where it only
/// decides whether a section is there, `no` would count as yes.
pub fn report_untrue(cluster: &Cluster, defaults: &RoleDefaults, found: &Collector) {
    let truths: BTreeSet<&String> = defaults
        .values()
        .flatten()
        .filter_map(|(name, var)| matches!(var.value, Var::Bool(_)).then_some(name))
        .collect();
    let hosts = cluster.hosts.values().map(|host| &host.vars);
    let vips = cluster.vips.iter().map(|vip| &vip.vars);
    let all = std::iter::once(&cluster.vars).chain(hosts).chain(vips).flatten();
    for (name, var) in all.filter(|(name, _)| truths.contains(name)) {
        let wrong = match &var.value {
            Var::Bool(_) => continue,
            // What it stands for nobody knows here.
            Var::Text(text) if text.contains("{{") => continue,
            Var::Text(text) => bool::parse(text),
            Var::Integer(number) => bool::parse(&number.to_string()),
            Var::List(_) => Err("a list is neither true nor false".to_owned()),
        };
        if let Err(wrong) = wrong {
            let wants = format!("`{name}` must be {}", bool::WHAT);
            found.push(Diagnostic::error(var.place.clone(), wrong).label(wants));
        }
    }
}

fn report_unread_of(
    vars: &Vars,
    known: &BTreeSet<String>,
    used: &BTreeSet<String>,
    found: &Collector,
) {
    for (name, value) in vars.iter().filter(|(name, _)| !known.contains(*name)) {
        let place = key_place(name, &value.place);
        let title = format!("no role knows the variable `{name}`");
        let meant = suggest(name, used.iter().map(String::as_str));
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
        assert_eq!(alone_in("\"{{ each.vars.check-path }}\""), Some("check-path"));
        for text in ["{{vars.a}}:80", "{{#if vars.a}}", "{{me.address}}", "{{has vars.a 'b'}}"] {
            assert_eq!(alone_in(text), None, "{text}");
        }
    }

    #[test]
    fn a_slip_in_a_name_is_met_with_the_name_that_was_meant() {
        let text = "version = 1\nname = \"c\"\n[host.a]\nrole = \"client\"\n\
                    address = \"192.0.2.1/24\"\ninterface = \"eth0\"\n[vars]\nschedular = \"rr\"\n";
        let (cluster, _) = Cluster::parse("cluster.toml", text).expect("a good file");
        let found = Collector::default();
        let known = BTreeSet::from(["scheduler".to_owned()]);
        report_unread(&cluster, &known, &known, &found);
        let shown = found.into_diagnostics().render(false);
        assert!(shown.contains("`schedular`, did you mean `scheduler`?"), "{shown}");
        assert!(shown.contains("cluster.toml:8:"), "{shown}");
    }
}
