//! What the TOML says a host is for.
//!
//! A role file is read against the facts of one cluster for one host: [`Catalog`] has the files,
//! [`facts`] what their templates may name, and each section has a file here that turns its table
//! into a type, and the type into what is wanted of the host. [`Role::desired`] is the whole of
//! that: a pure function of the role and the [`Situation`].

pub mod catalog;
pub mod element;
pub mod facts;
mod file;
mod hold;
mod ipvs_sync;
mod method;
mod network;
mod receive;
mod storage;
mod timeouts;
mod unit;
pub mod variables;
mod virtual_server;
mod want;
mod web;

use std::net::IpAddr;

pub use catalog::Catalog;
pub use file::ROLE;

use crate::cluster::{Cluster, HostEntry, HostName};
use crate::diagnostic::{Collector, Diagnostics, Place};
use crate::document::Reader;
use crate::host::survey::Survey;
use crate::resource::module::Module;
use crate::resource::sysctl::Sysctl;
use crate::resource::{Desired, Resource};
use crate::situation::Situation;
use element::{Element, Surroundings, each_element};
use facts::Facts;
use want::Want;

/// What a host is for.
#[derive(Clone, Debug)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// The host.
    pub host: HostName,
    /// Programs that the role needs and that this host has not got.
    pub missing: Vec<String>,
    peers: Vec<HostName>,
    plain: Vec<(Place, Resource)>,
    web: Vec<web::Web>,
    units: Vec<unit::UnitSection>,
    receive: Vec<receive::Receive>,
    servers: Vec<virtual_server::VirtualServers>,
    sync: Vec<ipvs_sync::IpvsSync>,
    hold: Vec<hold::Hold>,
}

impl Role {
    /// Reads the role of a host. `Ok` has warnings beside it, `Err` everything that is wrong.
    pub fn load(
        catalog: &Catalog,
        cluster: &Cluster,
        me: &HostEntry,
        survey: &Survey,
    ) -> Result<(Role, Diagnostics), Diagnostics> {
        let found = Collector::default();
        let look = serde_json::to_value(survey).expect("a survey is made of texts and lists");
        let facts = Facts::new(cluster, me, &catalog.defaults(), look, &found);
        let around = Surroundings { cluster, catalog, me };
        let mut role = Role::empty(catalog, cluster, me);
        for document in catalog.chain(me.role.value.as_str()) {
            let reader = document.read(&ROLE, None, &found);
            role.read(&reader, &facts, around, survey);
        }
        found.into_diagnostics().refuse_or(Some(role))
    }

    fn empty(catalog: &Catalog, cluster: &Cluster, me: &HostEntry) -> Role {
        let others = cluster.hosts.values().filter(|h| h.name.value != me.name.value);
        let peers = match catalog.holds(me.role.value.as_str()) {
            true => others
                .filter(|h| catalog.holds(h.role.value.as_str()))
                .map(|h| h.name.value.clone())
                .collect(),
            false => Vec::new(),
        };
        Role {
            name: me.role.value.to_string(),
            host: me.name.value.clone(),
            missing: Vec::new(),
            peers,
            plain: Vec::new(),
            web: Vec::new(),
            units: Vec::new(),
            receive: Vec::new(),
            servers: Vec::new(),
            sync: Vec::new(),
            hold: Vec::new(),
        }
    }

    /// Whether another host could hold this one's VIPs.
    pub fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Whether this host may hold VIPs.
    pub fn holds(&self) -> bool {
        !self.hold.is_empty()
    }

    /// What is wanted of the host. `Err` if the role contradicts itself.
    pub fn desired(&self, situation: &Situation) -> Result<Desired, Diagnostics> {
        let mut want = Want::default();
        for (place, resource) in &self.plain {
            want.add(place, resource.clone());
        }
        self.units.iter().for_each(|unit| unit.expand(&mut want));
        self.web.iter().for_each(|web| web.expand(&mut want));
        self.receive.iter().for_each(|receive| receive.expand(&mut want));
        self.servers.iter().for_each(|servers| servers.expand(&mut want));
        if self.has_peers() {
            let active = situation.holds_vips();
            self.sync.iter().for_each(|sync| sync.expand(active, &mut want));
        }
        self.hold.iter().for_each(|hold| hold.expand(situation, &mut want));
        let (desired, found) = want.finish();
        if found.has_errors() { Err(found) } else { Ok(desired) }
    }

    fn read(
        &mut self,
        reader: &Reader<'_>,
        facts: &Facts,
        around: Surroundings<'_>,
        survey: &Survey,
    ) {
        self.read_lists(&reader.with_facts(facts), around);
        let own = around.me.address.addr();
        let interface = around.me.interface.value.to_string();
        let directors = directors(around);
        let tables = |key, read: &mut dyn FnMut(&Element<'_>)| {
            for table in reader.tables(key) {
                each_element(&table, facts, around, &mut *read);
            }
        };
        let plain = &mut self.plain;
        let mut keep = |e: &Element<'_>, resource: Option<Resource>| {
            plain.extend(resource.map(|r| (e.place(), r)));
        };
        tables("link", &mut |e| keep(e, network::link(e).map(Into::into)));
        tables("address", &mut |e| keep(e, network::address(e).map(Into::into)));
        tables("route", &mut |e| keep(e, network::route(e).map(Into::into)));
        tables("rule", &mut |e| keep(e, network::rule(e).map(Into::into)));
        tables("directory", &mut |e| keep(e, storage::directory(e).map(Into::into)));
        tables("file", &mut |e| keep(e, storage::file(e).map(Into::into)));
        tables("mount", &mut |e| keep(e, storage::mount(e).map(Into::into)));
        tables("export", &mut |e| keep(e, storage::export(e).map(Into::into)));
        tables("unit", &mut |e| self.units.extend(unit::UnitSection::read(e)));
        tables("web", &mut |e| self.web.extend(web::Web::read(e, survey, &mut self.missing)));
        tables("receive", &mut |e| {
            self.receive.extend(receive::Receive::read(e, own, &interface, &directors));
        });
        tables("virtual-server", &mut |e| {
            self.servers.extend(virtual_server::VirtualServers::read(e, &interface));
        });
        tables("hold", &mut |e| self.hold.extend(hold::Hold::read(e)));
    }

    /// `modules`, `[ipvs-timeouts]`, `[ipvs-sync]` and `[sysctl]`, of which there is one each.
    fn read_lists(&mut self, reader: &Reader<'_>, around: Surroundings<'_>) {
        for module in reader.list::<String>("modules") {
            self.plain.push((module.place, Module { module: module.value }.into()));
        }
        let timeouts = reader.table("ipvs-timeouts").and_then(|table| timeouts::read(&table));
        self.plain.extend(timeouts.map(|(place, timeouts)| (place, timeouts.into())));
        let sync = reader.table("ipvs-sync");
        self.sync.extend(sync.and_then(|table| ipvs_sync::IpvsSync::read(&table, around)));
        let Some(table) = reader.table("sysctl") else {
            return;
        };
        for (key, value) in table.open() {
            let sysctl = Sysctl { key: key.value, value: value.value };
            self.plain.push((value.place, sysctl.into()));
        }
    }
}

fn directors(around: Surroundings<'_>) -> Vec<IpAddr> {
    let hosts = around.cluster.hosts.values();
    let holding = hosts.filter(|h| around.catalog.holds(h.role.value.as_str()));
    holding.map(|h| h.address.addr()).collect()
}
