//! The roles of a cluster, parsed, with what they extend.
//!
//! A role that `extends` another has everything of it and adds to it; variables of its own take the
//! place of those of the same name. So director-backup is one variable long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::RoleDefaults;
use super::file;
use super::variables;
use crate::cluster::Cluster;
use crate::diagnostic::{Collector, Diagnostic, Diagnostics, Place, Source, suggest};
use crate::document::{Document, Spanned, listed};
use crate::host::shelf::{Shelf, Text};

/// The longest chain of roles that extend each other.
const LONGEST_CHAIN: usize = 8;

/// Parsed roles and templates.
#[derive(Debug)]
pub struct Catalog {
    roles: BTreeMap<String, Parsed>,
    templates: BTreeMap<String, Arc<Source>>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Parsed {
    document: Document,
    extends: Option<Spanned<String>>,
    summary: String,
    holds: bool,
}

impl Catalog {
    /// Parses the roles that the cluster's hosts have, and those that they extend. `Err` has
    /// everything that is wrong with any of them.
    pub fn new(shelf: Shelf, cluster: &Cluster) -> Result<(Self, Diagnostics), Diagnostics> {
        let found = Collector::default();
        let names: Vec<String> = shelf.roles.keys().cloned().collect();
        let template = |(name, text): (String, Text)| (name, Source::new(text.shown, text.text));
        let templates = shelf.templates.into_iter().map(template).collect();
        let mut catalog = Catalog { roles: BTreeMap::new(), templates, names };
        for host in cluster.hosts.values() {
            let mut next = Some((host.role.value.to_string(), host.role.place.clone()));
            let mut length = 0;
            while let Some((name, place)) = next.take() {
                length += 1;
                if length > LONGEST_CHAIN {
                    found.push(Diagnostic::error(place, "roles extend each other in a circle"));
                    break;
                }
                if !catalog.roles.contains_key(&name) {
                    let Some(text) = shelf.roles.get(&name) else {
                        found.push(catalog.no_such_role(place, &name));
                        break;
                    };
                    catalog.roles.insert(name.clone(), parse(&text.shown, &text.text, &found));
                }
                let parent = catalog.roles.get(&name).and_then(|p| p.extends.clone());
                next = parent.map(|p| (p.value, p.place));
            }
        }
        // With a role that could not be read, nobody can say which variables are known.
        if !found.has_errors() {
            let known = catalog.variables(shelf.roles.values());
            let used = shelf.roles.iter().filter(|(name, _)| catalog.roles.contains_key(*name));
            let used = catalog.variables(used.map(|(_, text)| text));
            variables::report_unread(cluster, &known, &used, &found);
            variables::report_untrue(cluster, &catalog.defaults(), &found);
        }
        found.into_diagnostics().refuse_or(Some(catalog))
    }

    /// Every variable that one of these roles declares, or that it or a template names.
    fn variables<'a>(&self, roles: impl Iterator<Item = &'a Text>) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        let ignored = Collector::default();
        for text in roles {
            let (document, _) = Document::parse(text.shown.clone(), text.text.clone());
            let table = document.read(&file::ROLE, None, &ignored).table("vars");
            known.extend(table.iter().flat_map(|t| t.vars()).map(|(name, _)| name.value));
            known.extend(variables::named_in(&text.text).map(str::to_owned));
        }
        for source in self.templates.values() {
            known.extend(variables::named_in(&source.text).map(str::to_owned));
        }
        known
    }

    /// Whether there is a role of this name.
    pub fn knows(&self, role: &str) -> bool {
        self.names.iter().any(|n| n == role)
    }

    /// All roles at hand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A template.
    pub fn template(&self, name: &str) -> Option<&Arc<Source>> {
        self.templates.get(name)
    }

    /// The roles that the cluster's hosts have or extend.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.roles.values().map(|parsed| &parsed.document)
    }

    /// The roles that the cluster's hosts have or extend, with their texts.
    pub fn role_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let roles = self.roles.iter();
        roles.map(|(name, parsed)| (name.as_str(), parsed.document.source().text.as_str()))
    }

    /// All templates at hand, with their texts.
    pub fn template_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.templates.iter().map(|(name, source)| (name.as_str(), source.text.as_str()))
    }

    /// All templates at hand.
    pub fn template_names(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }

    /// What the role is for, in a line.
    pub fn summary(&self, role: &str) -> &str {
        self.roles.get(role).map_or("", |p| p.summary.as_str())
    }

    /// The role's documents, what is extended before what extends it.
    pub fn chain(&self, role: &str) -> Vec<&Document> {
        let mut chain: Vec<&Document> = self.parents(role).map(|p| &p.document).collect();
        chain.reverse();
        chain
    }

    /// Whether hosts of this role hold VIPs.
    pub fn holds(&self, role: &str) -> bool {
        self.parents(role).any(|p| p.holds)
    }

    /// The variables of all roles.
    pub fn defaults(&self) -> RoleDefaults {
        let mut defaults = RoleDefaults::new();
        let ignored = Collector::default();
        for role in self.names() {
            let vars = defaults.entry(role.to_owned()).or_default();
            for document in self.chain(role) {
                let reader = document.read(&file::ROLE, None, &ignored);
                let table = reader.table("vars");
                for (name, value) in table.iter().flat_map(|t| t.vars()) {
                    vars.insert(name.value, value);
                }
            }
        }
        defaults
    }

    fn parents<'a>(&'a self, role: &str) -> impl Iterator<Item = &'a Parsed> {
        let next = |p: &&'a Parsed| p.extends.as_ref().and_then(|e| self.roles.get(&e.value));
        std::iter::successors(self.roles.get(role), next).take(LONGEST_CHAIN)
    }

    fn no_such_role(&self, place: Place, name: &str) -> Diagnostic {
        let title = match suggest(name, self.names()) {
            Some(meant) => format!("there is no role `{name}`, did you mean `{meant}`?"),
            None => format!("there is no role `{name}`"),
        };
        let own = format!("a role of your own is roles/{name}.toml beside the cluster file");
        Diagnostic::error(place, title)
            .help(format!("the roles are {}; {own}", listed(&self.names)))
    }
}

fn parse(shown: &str, text: &str, found: &Collector) -> Parsed {
    let (document, wrong) = Document::parse(shown, text);
    found.merge(wrong);
    let reader = document.read(&file::ROLE, None, found);
    let version = reader.get::<u32>("version");
    if let Some(version) = version.filter(|v| v.value != 1) {
        let title = format!("version {} of role files is not known here", version.value);
        found.push(Diagnostic::error(version.place, title).help("this converge reads version 1"));
    }
    let extends = reader.get::<String>("extends");
    let summary = reader.get::<String>("summary").map(|s| s.value).unwrap_or_default();
    let holds = reader.has("hold");
    Parsed { extends, summary, holds, document }
}
