//! Which hosts stand for each virtual router, and what each of them says.
//!
//! Every host has the same cluster file and the same roles, so each can tell what all others will
//! do: the `[[vrrp]]`, `[[hold]]` and `[[track]]` sections of every host that may hold VIPs are
//! read here, as that host reads them. The peers of a router are the hosts that have one of its
//! name; nobody has to list them, so no two lists can differ.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::ROLE;
use super::element::{Surroundings, each_element};
use super::facts::{Facts, RoleDefaults};
use super::hold::Hold;
use super::track::{self, Track};
use super::vrrp::Vrrp;
use crate::cluster::{HostEntry, HostName};
use crate::diagnostic::{Collector, Diagnostic, Place, suggest};
use crate::document::{Reader, Spanned, listed};
use crate::host::survey::Survey;
use crate::track::config::{TrackConfig, Watch};
use crate::vrrp::config::{Peer, RouterConfig, Vip};

/// What one host brings to the election.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The host.
    pub host: &'a HostEntry,
    vrrp: Vec<Vrrp>,
    holds: Vec<Hold>,
    tracks: Vec<Track>,
}

impl<'a> Candidate<'a> {
    /// A host of which nothing is read yet.
    pub fn new(host: &'a HostEntry) -> Self {
        Candidate { host, vrrp: Vec::new(), holds: Vec::new(), tracks: Vec::new() }
    }

    /// A host with all that its role says, read as that host would. What its machine looks like
    /// nobody here knows; no section that counts here asks for it.
    pub fn load(around: Surroundings<'a>, defaults: &RoleDefaults, found: &Collector) -> Self {
        let survey = serde_json::to_value(Survey::typical()).unwrap_or_default();
        let facts = Facts::new(around.cluster, around.me, defaults, survey, found);
        let mut candidate = Candidate::new(around.me);
        for document in around.catalog.chain(around.me.role.value.as_str()) {
            candidate.read(&document.read(&ROLE, None, found), &facts, around);
        }
        candidate
    }

    /// Reads what counts from one file of its role.
    pub fn read(&mut self, reader: &Reader<'_>, facts: &Facts, around: Surroundings<'_>) {
        for table in reader.tables("vrrp") {
            each_element(&table, facts, around, |e| {
                let read = Vrrp::read(e, self.host, around.cluster.name.as_str());
                self.vrrp.extend(read);
            });
        }
        for table in reader.tables("hold") {
            each_element(&table, facts, around, |e| self.holds.extend(Hold::read(e)));
        }
        for table in reader.tables("track") {
            each_element(&table, facts, around, |e| self.tracks.extend(Track::read(e)));
        }
    }

    /// Its routers, as the sections say them.
    pub fn vrrp(&self) -> &[Vrrp] {
        &self.vrrp
    }

    /// Its routers by name; a second section of one name has to say the same.
    fn routers(&self, found: &Collector) -> BTreeMap<&str, &Vrrp> {
        let mut routers: BTreeMap<&str, &Vrrp> = BTreeMap::new();
        for vrrp in &self.vrrp {
            let first = *routers.entry(&vrrp.says.name.value).or_insert(vrrp);
            if first.says != vrrp.says {
                found.push(said_differently(self.host, first, vrrp));
            }
        }
        routers
    }

    /// Tracks of one name could not be told apart; one for a router that is not there is none.
    fn check_tracks(&self, routers: &[&str], found: &Collector) {
        let mut first: BTreeMap<&str, &Track> = BTreeMap::new();
        for track in &self.tracks {
            let unknown =
                track.routers.iter().filter(|router| !routers.contains(&router.value.as_str()));
            unknown.for_each(|router| found.push(no_such_router(router, routers)));
            let name = track.config.name.as_str();
            if let Some(first) = first.insert(name, track) {
                let title = format!("host `{}` has two tracks called `{name}`", self.host.name);
                let diagnostic = Diagnostic::error(track.place.clone(), title);
                found.push(diagnostic.related(first.place.clone(), "first here"));
            }
        }
    }

    /// The router that a VIP belongs to; none where the role has no routers.
    fn router_of(
        &self,
        hold: &Hold,
        routers: &BTreeMap<&str, &Vrrp>,
        found: &Collector,
    ) -> Option<String> {
        let names: Vec<&str> = routers.keys().copied().collect();
        match (&hold.router, names.as_slice()) {
            (Some(named), _) if routers.contains_key(named.value.as_str()) => {
                Some(named.value.clone())
            }
            (Some(named), names) => {
                found.push(no_such_router(named, names));
                None
            }
            (None, []) => None,
            (None, [only]) => Some((*only).to_owned()),
            (None, several) => {
                let title = format!(
                    "the VIP {} belongs to no router, and there are {}",
                    hold.address.addr(),
                    listed(several)
                );
                let help = format!("add `router = \"{}\"`, or another of them", several[0]);
                found.push(Diagnostic::error(hold.place.clone(), title).help(help));
                None
            }
        }
    }
}

/// One host that stands for a router.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name in the cluster file.
    pub host: Spanned<HostName>,
    /// What its role says of the router.
    pub vrrp: Vrrp,
    /// The VIPs, where the role says that it holds them.
    pub holds: Vec<Hold>,
    /// Its address with the prefix length of its subnet.
    pub address: IpNet,
    /// The interface that has its address.
    pub own_interface: String,
    /// What it watches for the router.
    pub tracks: Vec<Track>,
    /// What the router is told on this host.
    pub config: RouterConfig,
}

/// Every virtual router of a cluster, with the hosts that stand for it.
#[derive(Clone, Debug, Default)]
pub struct Election {
    routers: BTreeMap<String, BTreeMap<HostName, Member>>,
    /// VIPs that no router moves, and the host that has each.
    unrouted: Vec<(HostName, Hold)>,
}

impl Election {
    /// Puts together what the hosts say.
    pub fn new(candidates: &[Candidate<'_>], found: &Collector) -> Self {
        let mut election = Election::default();
        candidates.iter().for_each(|candidate| election.enter(candidate, found));
        for members in election.routers.values_mut() {
            let peers: Vec<Peer> = members.values().map(Member::as_peer).collect();
            for member in members.values_mut() {
                let others = peers.iter().filter(|peer| peer.name != member.host.as_str());
                member.config.peers = others.cloned().collect();
            }
        }
        election
    }

    fn enter(&mut self, candidate: &Candidate<'_>, found: &Collector) {
        let host = &candidate.host.name;
        let routers = candidate.routers(found);
        let mut holds: BTreeMap<String, Vec<Hold>> = BTreeMap::new();
        for hold in &candidate.holds {
            match candidate.router_of(hold, &routers, found) {
                Some(router) => holds.entry(router).or_default().push(hold.clone()),
                None => self.unrouted.push((host.value.clone(), hold.clone())),
            }
        }
        let names: Vec<&str> = routers.keys().copied().collect();
        candidate.check_tracks(&names, found);
        for (name, vrrp) in routers {
            let holds = holds.remove(name).unwrap_or_default();
            let vips: Vec<Vip> = holds.iter().map(Hold::vip).collect();
            let config = vrrp.config(candidate.host, vips);
            let concerns = |track: &&Track| track.config.concerns(name);
            let tracks = candidate.tracks.iter().filter(concerns).cloned().collect();
            let member = Member {
                host: host.clone(),
                vrrp: vrrp.clone(),
                holds,
                address: candidate.host.address.value,
                own_interface: candidate.host.interface.value.to_string(),
                tracks,
                config,
            };
            let members = self.routers.entry(name.to_owned()).or_default();
            members.insert(member.host.value.clone(), member);
        }
    }

    /// The routers by name, each with the hosts that stand for it by name.
    pub fn routers(&self) -> impl Iterator<Item = (&str, &BTreeMap<HostName, Member>)> {
        self.routers.iter().map(|(name, members)| (name.as_str(), members))
    }

    /// What each of a host's routers is told there.
    pub fn of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = &'a Member> {
        self.routers.values().filter_map(|members| members.get(host))
    }

    /// What a host watches for its routers that have peers; of the others nothing depends on it.
    pub fn tracks(&self, host: &HostName) -> Vec<TrackConfig> {
        let mut tracks: Vec<TrackConfig> = Vec::new();
        for member in self.of(host).filter(|member| !member.config.peers.is_empty()) {
            let said = member.tracks.iter().map(|track| track.config.clone());
            for track in said.chain(member.carriers()) {
                match tracks.iter_mut().find(|known| known.name == track.name) {
                    // One carrier is watched once, for all the routers that use it.
                    Some(known) => {
                        let new = |router: &String| !known.routers.contains(router);
                        let new: Vec<_> = track.routers.into_iter().filter(new).collect();
                        known.routers.extend(new);
                    }
                    None => tracks.push(track),
                }
            }
        }
        tracks
    }

    /// The VIPs that no router moves, each with the host that has it.
    pub fn unrouted(&self) -> impl Iterator<Item = &(HostName, Hold)> {
        self.unrouted.iter()
    }
}

impl Member {
    fn as_peer(&self) -> Peer {
        let RouterConfig { source, priority, .. } = self.config;
        Peer { name: self.host.to_string(), address: source, priority }
    }

    /// The carriers of the interfaces that the router and its VIPs are on, unless the role watches
    /// them itself.
    pub fn carriers(&self) -> impl Iterator<Item = TrackConfig> {
        let of_vips = self.config.vips.iter().map(|vip| vip.interface.as_str());
        let all: BTreeSet<&str> = of_vips.chain([self.config.interface.as_str()]).collect();
        let watched = |interface: &str| {
            let is_it = |watch: &Watch| matches!(watch, Watch::Interface(own) if own == interface);
            self.tracks.iter().any(|track| is_it(&track.config.what))
        };
        let unwatched = all.into_iter().filter(move |interface| !watched(interface));
        unwatched.map(|interface| track::carrier(interface, &self.config.name))
    }

    /// Whether both hear what the other says on the link, as far as the cluster file shows it.
    pub fn shares_link(&self, other: &Member) -> bool {
        if self.host.value == other.host.value {
            return self.config.interface == other.config.interface;
        }
        let on_own = |member: &Member| member.config.interface == member.own_interface;
        self.address.trunc() == other.address.trunc() && on_own(self) && on_own(other)
    }

    /// Where the host's name stands in the cluster file.
    pub fn place(&self) -> &Place {
        &self.host.place
    }
}

/// There is no router of this name on the host.
pub(super) fn no_such_router(named: &Spanned<String>, names: &[&str]) -> Diagnostic {
    let title = format!("there is no router `{named}`");
    let (title, help) = match (suggest(&named.value, names.iter().copied()), names) {
        (Some(meant), _) => (format!("{title}, did you mean `{meant}`?"), None),
        (None, []) => (title, Some("a router is a `[[vrrp]]` section of the role".to_owned())),
        (None, names) => (title, Some(format!("the routers of this role are {}", listed(names)))),
    };
    let diagnostic = Diagnostic::error(named.place.clone(), title);
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn said_differently(host: &HostEntry, first: &Vrrp, second: &Vrrp) -> Diagnostic {
    let name = &second.says.name;
    let differing = first.says.differing(&second.says);
    let what = differing.iter().map(|(key, one, other)| match *key {
        "password" => "two passwords".to_owned(),
        key => format!("{key} = {one} and {other}"),
    });
    let what: Vec<String> = what.collect();
    let title =
        format!("host `{}` has the router `{name}` twice, with {}", host.name, what.join(", "));
    Diagnostic::error(second.place.clone(), title)
        .related(first.place.clone(), "first here")
        .help("VIPs of one router move together; give those that differ a router of their own")
}

#[cfg(test)]
pub(super) mod tests;
