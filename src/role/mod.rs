//! What the TOML says a host is for.
//!
//! A role file is read against the facts of one cluster for one host: [`Catalog`] has the files,
//! [`facts`] what their templates may name, and each section has a file here that turns its table
//! into a type, and the type into what is wanted of the host. [`Role::desired`] is the whole of
//! that: a pure function of the role and the [`Situation`]. [`election`] is what the other hosts
//! say, as far as it decides who holds a VIP.

pub mod catalog;
mod check;
mod command_line;
pub mod election;
pub mod element;
pub mod facts;
mod fallback;
mod file;
mod health;
mod hold;
mod ipvs_sync;
mod lint;
mod method;
pub mod need;
mod network;
mod notify;
mod pool;
mod receive;
mod storage;
mod timeouts;
mod track;
mod unit;
mod upstream;
pub mod variables;
mod virtual_server;
mod vrrp;
mod want;
mod web;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub use catalog::Catalog;
pub use file::ROLE;
pub use vrrp::words;

use crate::cluster::{Cluster, HostEntry, HostName};
use crate::diagnostic::{Collector, Diagnostics, Place};
use crate::document::Reader;
use crate::hook::config::HookConfig;
use crate::host::survey::Survey;
use crate::resource::module::Module;
use crate::resource::sysctl::Sysctl;
use crate::resource::{Desired, Id, Resource};
use crate::situation::Situation;
use crate::track::config::TrackConfig;
use crate::vrrp::config::RouterConfig;
use election::{Candidate, Election, Member};
use element::{Element, Surroundings, each_element};
use facts::{Facts, RoleDefaults};
use health::Health;
use need::Need;
use notify::Notify;
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
    plain: Vec<(Place, Resource)>,
    web: Vec<web::Web>,
    units: Vec<unit::UnitSection>,
    receive: Vec<receive::Receive>,
    servers: Vec<virtual_server::VirtualServers>,
    upstreams: Vec<upstream::Upstream>,
    sync: Vec<ipvs_sync::IpvsSync>,
    election: Election,
    routers: Vec<RouterConfig>,
    tracks: Vec<TrackConfig>,
    notify: Vec<Notify>,
    hooks: Vec<HookConfig>,
    health: Health,
    needs: Vec<Need>,
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
        let defaults = catalog.defaults();
        let facts = Facts::new(cluster, me, &defaults, look, &found);
        let around = Surroundings { cluster, catalog, me };
        let mut role = Role::empty(me);
        let mut own = Candidate::new(me);
        for document in catalog.chain(me.role.value.as_str()) {
            let reader = document.read(&ROLE, None, &found);
            role.read(&reader, &facts, around, survey);
            own.read(&reader, &facts, around);
        }
        role.health = Health::new(&role.servers, &role.upstreams, &facts, around, &found);
        role.elect(own, around, &defaults, &found);
        role.hook(&found);
        role.gather_needs();
        found.into_diagnostics().refuse_or(Some(role))
    }

    fn empty(me: &HostEntry) -> Role {
        Role {
            name: me.role.value.to_string(),
            host: me.name.value.clone(),
            missing: Vec::new(),
            plain: Vec::new(),
            web: Vec::new(),
            units: Vec::new(),
            receive: Vec::new(),
            servers: Vec::new(),
            upstreams: Vec::new(),
            sync: Vec::new(),
            election: Election::default(),
            routers: Vec::new(),
            tracks: Vec::new(),
            notify: Vec::new(),
            hooks: Vec::new(),
            health: Health::default(),
            needs: Vec::new(),
        }
    }

    /// Finds out who else stands for this host's routers.
    fn elect(
        &mut self,
        own: Candidate<'_>,
        around: Surroundings<'_>,
        defaults: &RoleDefaults,
        found: &Collector,
    ) {
        let Surroundings { cluster, catalog, me } = around;
        if !catalog.holds(me.role.value.as_str()) {
            lint::vips::none_held(&own, found);
            return;
        }
        let mut candidates = vec![own];
        let others = cluster.hosts.values().filter(|host| host.name.value != me.name.value);
        for host in others.filter(|host| catalog.holds(host.role.value.as_str())) {
            let around = Surroundings { me: host, ..around };
            candidates.push(Candidate::load(around, defaults, found));
        }
        self.election = Election::new(&candidates, found);
        lint::check(&self.election, found);
        if cluster.vips.is_empty() && self.is_idle() && !found.has_errors() {
            lint::vips::none_at_all(around, found);
        }
        let own = self.election.of(&self.host).map(|member| &member.config);
        self.routers = own.filter(|router| !router.peers.is_empty()).cloned().collect();
        self.tracks = self.election.tracks(&self.host);
    }

    /// Whether nothing that it holds or balances came of its sections.
    fn is_idle(&self) -> bool {
        let holds = self.election.of(&self.host).next().is_some()
            || self.election.unrouted().any(|(host, _)| *host == self.host);
        !holds && self.servers.is_empty() && self.upstreams.is_empty() && self.web.is_empty()
    }

    /// The hooks, each for a router that is there.
    fn hook(&mut self, found: &Collector) {
        let own = self.election.of(&self.host).map(|member| member.config.name.as_str());
        let names: Vec<&str> = own.collect();
        for Notify { router, config, need } in self.notify.drain(..) {
            match router {
                Some(router) if !names.contains(&router.value.as_str()) => {
                    found.push(election::no_such_router(&router, &names));
                }
                Some(_) | None => {
                    self.hooks.push(config);
                    self.needs.extend(need);
                }
            }
        }
    }

    /// What the sections need of this host, each once.
    fn gather_needs(&mut self) {
        let stood_for = self.election.of(&self.host).filter(|m| !m.config.peers.is_empty());
        let tracks = stood_for.flat_map(|m| &m.tracks).filter_map(|track| track.need.as_ref());
        let checks = self.servers.iter().flat_map(|servers| servers.needs());
        let checks = checks.chain(self.upstreams.iter().flat_map(|upstream| upstream.needs()));
        let mut known: BTreeSet<String> = BTreeSet::new();
        let all: Vec<Need> = checks.chain(tracks).cloned().collect();
        // There may be a check of each of thousands of servers.
        let mut is_new = |need: &Need| {
            known
                .insert(format!("{} {:?} {:?}", need.place.source.name, need.place.span, need.what))
        };
        self.needs.extend(all.into_iter().filter(|need| is_new(need)));
    }

    /// Programs and certificates that have to be on the host, with where they are named.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// The virtual routers that this host has together with others, by name. The VIPs of all
    /// others it holds at once.
    pub fn routers(&self) -> &[RouterConfig] {
        &self.routers
    }

    /// What [`Role::routers`] depend on: what the role says, and the carriers of their interfaces.
    pub fn tracks(&self) -> &[TrackConfig] {
        &self.tracks
    }

    /// What is run when a router of this host changes its state, in the role's order.
    pub fn hooks(&self) -> &[HookConfig] {
        &self.hooks
    }

    /// The pools whose every change of a weight makes the web server reload.
    pub fn reloading_pools(&self) -> BTreeSet<String> {
        self.upstreams.iter().map(upstream::Upstream::pool_name).collect()
    }

    /// The ports that this host's web server listens on.
    pub fn web_ports(&self) -> impl Iterator<Item = u16> {
        self.web.iter().flat_map(|web| web.ports.iter().copied())
    }

    /// The section that one of this host's routers comes from.
    pub fn place_of(&self, router: &str) -> Option<&Place> {
        let member = self.election.of(&self.host).find(|member| member.config.name == router);
        member.map(|member| &member.vrrp.place)
    }

    /// All virtual routers of the cluster, if this host has one or a VIP.
    pub fn election(&self) -> &Election {
        &self.election
    }

    /// How things stand before any word from a peer.
    pub fn at_start(&self) -> Situation {
        let own = self.election.of(&self.host).map(|member| &member.config);
        Situation::at_start(own.map(|router| (router.name.as_str(), !router.peers.is_empty())))
    }

    /// What has to stand on this host before its router of this name may be Active: its VIPs would
    /// draw traffic that goes nowhere. `desired` is what [`Role::desired`] gave.
    pub fn vip_needs(&self, router: &str, desired: &Desired) -> BTreeSet<Id> {
        let member = self.election.of(&self.host).find(|member| member.config.name == router);
        let holds = member.into_iter().flat_map(|member| &member.holds);
        holds.flat_map(|hold| hold.needs(desired)).collect()
    }

    /// What is wanted of the host. `Err` if the role contradicts itself. The VIPs of
    /// [`Role::routers`] are not among it: VRRP moves them.
    pub fn desired(&self, situation: &Situation) -> Result<Desired, Diagnostics> {
        let mut want = Want::default();
        for (place, resource) in &self.plain {
            want.add(place, resource.clone());
        }
        self.units.iter().for_each(|unit| unit.expand(&mut want));
        let upstreams = self.upstreams.iter();
        let beside: Vec<web::DropIn> =
            upstreams.filter_map(|one| one.expand(&situation.pools, &mut want)).collect();
        self.web.iter().for_each(|web| web.expand(&beside, &mut want));
        web::expand_alone(&self.web, &beside, &mut want);
        self.receive.iter().for_each(|receive| receive.expand(&mut want));
        self.servers.iter().for_each(|servers| servers.expand(&situation.pools, &mut want));
        let spoken = |member: &&Member| !member.config.peers.is_empty();
        let moving = self.election.of(&self.host).filter(spoken);
        moving.flat_map(|member| &member.holds).for_each(|hold| hold.prepare(&mut want));
        if !self.routers.is_empty() {
            let active = self.routers.iter().any(|router| situation.of(&router.name).holds());
            self.sync.iter().for_each(|sync| sync.expand(active, &mut want));
        }
        self.held_alone(situation).for_each(|hold| hold.expand(&mut want));
        let (desired, found) = want.finish();
        if found.has_errors() { Err(found) } else { Ok(desired) }
    }

    /// The VIPs that no other host could hold. Of a router that nothing is known of they are held:
    /// nobody else would.
    fn held_alone(&self, situation: &Situation) -> impl Iterator<Item = &hold::Hold> {
        let is_alone = |member: &&Member| {
            let standing = situation.standing.get(&member.config.name);
            member.config.peers.is_empty() && standing.is_none_or(|standing| standing.holds())
        };
        let alone = self.election.of(&self.host).filter(is_alone);
        let unrouted = self.election.unrouted().filter(|(host, _)| *host == self.host);
        alone.flat_map(|member| &member.holds).chain(unrouted.map(|(_, hold)| hold))
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
        tables("upstream", &mut |e| {
            let read = upstream::Upstream::read(e, survey, &mut self.missing);
            self.upstreams.extend(read);
        });
        tables("notify", &mut |e| self.notify.extend(Notify::read(e)));
        tables("receive", &mut |e| {
            self.receive.extend(receive::Receive::read(e, own, &interface, &directors));
        });
        tables("virtual-server", &mut |e| {
            self.servers.extend(virtual_server::VirtualServers::read(e, &interface));
        });
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
