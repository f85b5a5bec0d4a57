//! Where the cluster file, or a role beside it, sets a variable to what a template made of it.
//!
//! Whoever reads a role meets a wrong value there; its author wrote it in the cluster file. A
//! variable may be a list, of which one item alone is wrong, or a template itself.

use serde_json::Value as Json;

use super::lookup::Name;
use super::{Facts, RoleDefaults};
use crate::cluster::Cluster;
use crate::diagnostic::Place;
use crate::document::{Spanned, Var};
use crate::host::shelf::EMBEDDED;

/// A list as handlebars writes it, and as JSON has it where a name alone stands for it.
fn written(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

impl Facts {
    /// Where the cluster file sets a variable, or an item of a list, to this value.
    pub fn set_at<'a>(&'a self, name: &str, value: &str) -> Vec<&'a Place> {
        let all = self.set.get(name).into_iter().flatten();
        let mut places: Vec<&Place> = Vec::new();
        for var in all.clone().chain(all.flat_map(items)) {
            if self.reads_as(var, value) && !places.contains(&&var.place) {
                places.push(&var.place);
            }
        }
        places
    }

    /// Every single value that the cluster file sets a variable to: of a list its items.
    pub fn set_singly(&self, name: &str) -> Vec<Spanned<String>> {
        let single = |var: &Spanned<Var>| -> Option<Spanned<String>> {
            Some(Spanned::new(self.text_of(var)?, var.place.clone()))
        };
        let all = self.set.get(name).into_iter().flatten();
        all.flat_map(|var| match items(var) {
            [] => Vec::from_iter(single(var)),
            items => items.iter().filter_map(single).collect(),
        })
        .collect()
    }

    /// The items of the list variable for which a template of its name alone stands.
    pub fn items(&self, template: &str) -> Option<Vec<String>> {
        let name = template.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !name.chars().all(plain) {
            return None;
        }
        let name = Name::parse(name);
        let mut parts = name.parts();
        let mut value = self.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        let item = |item: &Json| match item {
            Json::String(text) => Some(text.clone()),
            Json::Number(_) | Json::Bool(_) => Some(item.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        };
        value.as_array()?.iter().map(item).collect()
    }

    fn reads_as(&self, var: &Spanned<Var>, value: &str) -> bool {
        match &var.value {
            Var::List(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|i| self.text_of(i)).collect();
                texts.is_some_and(|texts| {
                    written(&texts) == value || crate::role::element::items_of(value) == texts
                })
            }
            Var::Text(_) | Var::Integer(_) | Var::Bool(_) => {
                self.text_of(var).is_some_and(|text| text == value)
            }
        }
    }

    /// A value as a template renders it; `None` for a list.
    fn text_of(&self, var: &Spanned<Var>) -> Option<String> {
        match &var.value {
            Var::Text(text) if text.contains("{{") => {
                self.render(&Spanned::new(text.clone(), var.place.clone())).ok()
            }
            Var::Text(text) => Some(text.clone()),
            Var::Integer(number) => Some(number.to_string()),
            Var::Bool(truth) => Some(truth.to_string()),
            Var::List(_) => None,
        }
    }
}

fn items(var: &Spanned<Var>) -> &[Spanned<Var>] {
    match &var.value {
        Var::List(items) => items,
        Var::Text(_) | Var::Integer(_) | Var::Bool(_) => &[],
    }
}

/// Every variable that the cluster file sets, and what roles that do not come with the program set
/// it to where nobody says otherwise.
pub(super) fn of_cluster(cluster: &Cluster, defaults: &RoleDefaults) -> super::Set {
    let mut set = super::Set::new();
    let hosts = cluster.hosts.values().map(|host| &host.vars);
    let vips = cluster.vips.iter().map(|vip| &vip.vars);
    let own = |(_, var): &(&String, &Spanned<Var>)| !var.place.source.name.ends_with(EMBEDDED);
    let defaults = defaults.values().flatten().filter(own);
    let all = std::iter::once(&cluster.vars).chain(hosts).chain(vips).flatten();
    for (name, var) in all.chain(defaults) {
        let known: &mut Vec<Spanned<Var>> = set.entry(name.clone()).or_default();
        known.push(var.clone());
    }
    set
}
