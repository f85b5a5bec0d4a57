//! What a role's templates can name, and the strict rendering of them for one host.
//!
//! The names: `vip.NAME`, `host.NAME.…`, `me.…`, `vars.NAME`, `cluster.…`, `roles.ROLE`, `vips`,
//! `survey.…`, and within a repeated section `each.…`. An unknown name is an error at its place,
//! with the name that was meant. A variable may itself be a template over everything but variables
//! and the survey; it is rendered for the host that owns it.

mod arithmetic;
mod lookup;
mod membership;
mod render;
mod set;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value as Json, json};

use crate::cluster::{Cluster, HostEntry, HostName, Vars, VipEntry, VipName};
use crate::diagnostic::{Collector, Diagnostics, Place, Source};
use crate::document::{Spanned, Var};

/// The default variables of every role.
pub type RoleDefaults = BTreeMap<String, Vars>;

/// What `{{each.…}}` stands for in a section that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EachItem {
    /// A host.
    Host(HostName),
    /// A VIP.
    Vip(VipName),
}

/// The facts for one host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What is the same for every item of a repeated section; shared, for there may be thousands.
    base: Arc<Map<String, Json>>,
    /// Names beyond those, such as `each`.
    over: BTreeMap<String, Json>,
    /// What the cluster file sets.
    set: Arc<Set>,
}

/// What the cluster file sets, by the variable's name.
type Set = BTreeMap<String, Vec<Spanned<Var>>>;

impl Facts {
    /// The facts of a cluster as `me` sees them. `defaults` are the variables of all roles, and
    /// `survey` is what this machine was found to be. A variable that cannot be rendered is
    /// reported once; whatever uses it then fails silently.
    pub fn new(
        cluster: &Cluster,
        me: &HostEntry,
        defaults: &RoleDefaults,
        survey: Json,
        found: &Collector,
    ) -> Facts {
        let bare = Facts::bare(cluster, defaults);
        let places = places(cluster);
        let mut hosts = Map::new();
        for host in cluster.hosts.values() {
            let mut object = host_object(&places, host);
            let layers = [defaults.get(host.role.as_str()), Some(&cluster.vars), Some(&host.vars)];
            let facts = bare.with("me", object.clone());
            object["vars"] = facts.vars(&layers, found);
            hosts.insert(host.name.to_string(), object);
        }
        let my_facts = bare.with("me", host_object(&places, me));
        let mut vips = Vec::new();
        for (index, vip) in cluster.vips.iter().enumerate() {
            let mut object = vip_object(index, vip);
            place_vip(&mut object, index, vip, me);
            let role = defaults.get(me.role.as_str());
            let layers = [role, Some(&cluster.vars), Some(&me.vars), Some(&vip.vars)];
            object["vars"] = my_facts.vars(&layers, found);
            vips.push(object);
        }
        let me = hosts.get(me.name.as_str()).cloned().unwrap_or_default();
        let mut base = Map::clone(&bare.base);
        base.insert("roles".into(), roles(cluster, defaults, &hosts));
        base.insert("vars".into(), me["vars"].clone());
        base.insert("me".into(), me);
        base.insert("host".into(), Json::Object(hosts));
        base.insert("vips".into(), Json::Array(vips));
        base.insert("survey".into(), survey);
        let set = Arc::new(set::of_cluster(cluster, defaults));
        Facts { base: Arc::new(base), over: BTreeMap::new(), set }
    }

    /// The same facts, and `each`.
    pub fn with_each(&self, item: &EachItem) -> Facts {
        let object = match item {
            EachItem::Host(name) => self.base["host"].get(name.as_str()),
            EachItem::Vip(name) => {
                let vips = self.base["vips"].as_array().map_or(&[][..], Vec::as_slice);
                vips.iter().find(|vip| vip["name"] == name.as_str())
            }
        };
        let object = object.unwrap_or_else(|| panic!("{item:?} is none of this cluster's"));
        self.with("each", object.clone())
    }

    /// The same facts, and an object of this name; one that was there is hidden.
    pub fn with(&self, name: &str, object: Json) -> Facts {
        let mut over = self.over.clone();
        over.insert(name.to_owned(), object);
        Facts { base: Arc::clone(&self.base), over, set: Arc::clone(&self.set) }
    }

    /// A text of a TOML file, rendered. `Err` without diagnostics: a variable that it uses was
    /// already reported.
    pub fn render(&self, template: &Spanned<String>) -> Result<String, Diagnostics> {
        render::render(self, &template.value, &template.place)
    }

    /// A template file, rendered.
    pub fn render_file(&self, file: &Arc<Source>) -> Result<String, Diagnostics> {
        render::render(self, &file.text, &Place::new(file, 0..file.text.len()))
    }

    /// What a name at the start of a path stands for.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.over.get(name).or_else(|| self.base.get(name))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.over.keys().chain(self.base.keys()).map(String::as_str).collect()
    }

    fn over(base: Arc<Map<String, Json>>, over: BTreeMap<String, Json>) -> Facts {
        Facts { base, over, set: Arc::default() }
    }

    /// What variables can be made of.
    fn bare(cluster: &Cluster, defaults: &RoleDefaults) -> Facts {
        let places = places(cluster);
        let hosts: Map<String, Json> = cluster
            .hosts
            .values()
            .map(|host| (host.name.to_string(), host_object(&places, host)))
            .collect();
        let vips = cluster.vips.iter();
        let vip: Map<String, Json> =
            vips.clone().map(|v| (v.name.to_string(), json!(v.address.addr()))).collect();
        let vips: Vec<Json> = vips.enumerate().map(|(i, vip)| vip_object(i, vip)).collect();
        let mut base = Map::new();
        let ipv6 = cluster.vips.iter().any(|vip| vip.address.addr().is_ipv6());
        let about = json!({ "name": cluster.name.as_str(), "ipv6": ipv6 });
        base.insert("cluster".into(), about);
        base.insert("roles".into(), roles(cluster, defaults, &hosts));
        base.insert("host".into(), Json::Object(hosts));
        base.insert("vip".into(), Json::Object(vip));
        base.insert("vips".into(), Json::Array(vips));
        Facts::over(Arc::new(base), BTreeMap::new())
    }

    /// The variables of all layers rendered, a later layer taking the place of an earlier one.
    fn vars(&self, layers: &[Option<&Vars>], found: &Collector) -> Json {
        let mut effective: BTreeMap<&String, &Spanned<Var>> = BTreeMap::new();
        for layer in layers.iter().flatten() {
            effective.extend(layer.iter());
        }
        let rendered =
            effective.into_iter().map(|(name, var)| (name.clone(), self.var(var, found)));
        Json::Object(rendered.collect())
    }

    fn var(&self, var: &Spanned<Var>, found: &Collector) -> Json {
        match &var.value {
            Var::Integer(number) => json!(number),
            Var::Bool(truth) => json!(truth),
            Var::List(items) => items.iter().map(|item| self.var(item, found)).collect(),
            Var::Text(text) => match render::render(self, text, &var.place) {
                Ok(text) => json!(text),
                Err(wrong) => {
                    found.merge(wrong);
                    Json::Null
                }
            },
        }
    }
}

/// The place of each host among those of its role, counted from 0.
fn places(cluster: &Cluster) -> BTreeMap<&HostName, usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for host in cluster.hosts.values() {
        let count = counts.entry(host.role.as_str()).or_default();
        places.insert(&host.name.value, *count);
        *count += 1;
    }
    places
}

fn host_object(places: &BTreeMap<&HostName, usize>, host: &HostEntry) -> Json {
    let mut object = json!({
        "name": host.name.as_str(),
        "role": host.role.as_str(),
        "interface": host.interface.as_str(),
        "index": places.get(&host.name.value),
    });
    address(&mut object, &host.address);
    if let Some(mac) = &host.mac {
        object["mac"] = json!(mac.as_str());
    }
    object
}

fn vip_object(index: usize, vip: &VipEntry) -> Json {
    let mut object = json!({ "name": vip.name.as_str(), "index": index });
    address(&mut object, &vip.address);
    if let Some(interface) = &vip.interface {
        object["interface"] = json!(interface.as_str());
    }
    if let Some(label) = &vip.label {
        object["label"] = json!(label.as_str());
    }
    object
}

/// The kernel's IFNAMSIZ without its terminating zero holds for labels too.
const LONGEST_LABEL: usize = 15;

/// Where a director holds a VIP: on the interface of its own address and with its number as label,
/// unless the file says otherwise. IPv6 has no labels.
fn place_vip(object: &mut Json, index: usize, vip: &VipEntry, me: &HostEntry) {
    let interface = vip.interface.as_ref().unwrap_or(&me.interface);
    let label = match (&vip.label, vip.address.addr().is_ipv4()) {
        (Some(label), _) => label.as_str().to_owned(),
        (None, true) if interface.as_str().len() + 2 <= LONGEST_LABEL => {
            format!("{}:{index}", interface.as_str())
        }
        // IPv6 has no labels, and a long interface name leaves no room for one.
        (None, _) => String::new(),
    };
    object["interface"] = json!(interface.as_str());
    object["label"] = json!(label);
}

fn address(object: &mut Json, address: &IpNet) {
    object["address"] = json!(address.addr());
    object["prefix"] = json!(address.prefix_len());
    object["cidr"] = json!(address.to_string());
    object["bracketed"] = json!(match address.addr() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
}

/// The hosts of every role that has a file or a host, sorted by name.
fn roles(cluster: &Cluster, defaults: &RoleDefaults, hosts: &Map<String, Json>) -> Json {
    let known = defaults.keys().map(String::as_str);
    let used = cluster.hosts.values().map(|host| host.role.as_str());
    let names: BTreeSet<&str> = known.chain(used).collect();
    let of_role = |role: &str| -> Json {
        cluster
            .hosts_of_role(role)
            .filter_map(|host| hosts.get(host.name.as_str()).cloned())
            .collect()
    };
    Json::Object(names.into_iter().map(|role| (role.to_owned(), of_role(role))).collect())
}

#[cfg(test)]
mod tests;
