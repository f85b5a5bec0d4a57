//! `[[upstream]]`: the real servers of a proxy, as nginx's own words with live health.
//!
//! Stock nginx learns that a server is dead from the requests that fail. So its upstream is a file
//! of ours, written anew whenever a share of the pool changes, and read by the unit, which reloads
//! for it. It stands beside the drop-in of `[[web]]`, whose `proxy_pass` names the upstream.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::check::{self, Check, Traffic};
use super::element::{Element, FOR_EACH, WHEN};
use super::facts::Facts;
use super::fallback::{self, FALLBACK, Fallback, Named};
use super::lint::servers as lint;
use super::need::Need;
use super::pool::{self, GUARD, HYSTERESIS, ON_FAILURE, QUORUM, SLOW_START};
use super::storage;
use super::want::Want;
use super::web::DropIn;
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::document::{Field, Section, Shape, Value};
use crate::host::survey::{Survey, WebServer};
use crate::ipvs::model::Protocol;
use crate::pool::config::PoolConfig;
use crate::pool::standing::Shares;
use crate::resource::file::File;

const PORT: Shape = Shape::Integer { min: 1, max: 65535 };
/// nginx keeps weights as signed numbers; slow start counts in tenths of them.
const WEIGHT: Shape = Shape::Integer { min: 0, max: 1_000_000 };

/// Where converge answers for a proxy whose servers cannot.
pub const SORRY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8850);

/// The keys of `[[upstream]]`.
pub const SECTION: Section = Section::new(
    "upstream",
    "An upstream of nginx with every host of a role, of which those that are well get requests.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("name", Shape::Text, "Its name, for `proxy_pass http://NAME`."),
        Field::required("real-servers", Shape::Text, "The role whose hosts are asked."),
        Field::optional("port", PORT, "What they listen on.").default("80"),
        Field::optional("weight", WEIGHT, "Of each; {{server.name}} is the one in turn.")
            .default("1"),
        Field::optional("template", Shape::Text, "The file, of templates/.")
            .default("nginx-upstream.conf"),
        FALLBACK,
        QUORUM,
        HYSTERESIS,
        ON_FAILURE,
        GUARD,
        SLOW_START,
        Field::optional("check", Shape::Tables(&check::SECTION), check::SECTION.doc),
    ],
);

/// The name of an upstream, which is part of a file's name and of nginx's words.
struct Name(String);

impl Value for Name {
    const WHAT: &'static str = "a name of letters, digits, hyphens and underscores";

    fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
            true => Ok(Name(text.to_owned())),
            false => {
                Err(format!("`{text}` is no name of letters, digits, hyphens and underscores"))
            }
        }
    }
}

/// An upstream.
#[derive(Clone, Debug)]
pub struct Upstream {
    place: Place,
    name: String,
    servers: Vec<Server>,
    fallbacks: Vec<Fallback>,
    words: pool::Words,
    /// What the file is rendered from, at each change anew.
    template: Arc<Source>,
    facts: Facts,
    path: PathBuf,
    role: String,
    server: WebServer,
}

#[derive(Clone, Debug)]
struct Server {
    host: String,
    at: SocketAddr,
    weight: u32,
    checks: Arc<[Check]>,
}

impl Upstream {
    /// Reads the section. `missing` takes what only a package can bring.
    pub fn read(e: &Element<'_>, survey: &Survey, missing: &mut Vec<String>) -> Option<Self> {
        let name = e.get::<Name>("name")?.value.0;
        let servers = servers(e)?;
        let words = pool::Words::read(e, servers.iter().map(|server| server.weight))?;
        let fallbacks = fallbacks(e)?;
        let given = e.get::<String>("template");
        let template = e.template_source(given.as_ref(), "nginx-upstream.conf")?;
        let Some(server) = survey.nginx.clone() else {
            missing.push("nginx".to_owned());
            return None;
        };
        // It sorts before converge.conf, as it is read before it.
        let path = server.drop_in_directory.join(format!("converge-upstream-{name}.conf"));
        let (place, facts, role) = (e.place(), e.facts().clone(), e.role().to_owned());
        Some(Upstream {
            place,
            name,
            servers,
            fallbacks,
            words,
            template,
            facts,
            path,
            role,
            server,
        })
    }

    /// What its pool is called.
    pub fn pool_name(&self) -> String {
        format!("upstream {}", self.name)
    }

    /// What its checks need of this host.
    pub fn needs(&self) -> impl Iterator<Item = &Need> {
        self.servers.iter().flat_map(|server| server.checks.iter().flat_map(Check::needs))
    }

    /// The pool behind it.
    pub fn pool(&self) -> PoolConfig {
        let member = |s: &Server| pool::member(&s.host, s.at, s.weight, &s.checks);
        let checks = self.servers.first().map_or(&[][..], |server| &server.checks);
        let spares = self.fallbacks.iter().map(|fallback| pool::spare(*fallback, checks));
        let members = self.servers.iter().map(member).collect();
        self.words.pool(self.pool_name(), members, spares.collect())
    }

    /// Where converge itself has to answer for it.
    pub fn sorry(&self) -> Option<SocketAddr> {
        self.fallbacks.contains(&Fallback::Sorry).then_some(SORRY)
    }

    /// The file, with the share of each server. Of a pool that nothing is known of all servers
    /// count as well.
    pub fn expand(&self, pools: &BTreeMap<String, Arc<Shares>>, want: &mut Want) -> Option<DropIn> {
        let upstream = self.facts_of(pools.get(&self.pool_name()).map(Arc::as_ref));
        let content = match self.facts.with("upstream", upstream).render_file(&self.template) {
            Ok(content) => storage::signed(&self.path, &content, &self.role),
            Err(wrong) => {
                wrong.into_iter().for_each(|wrong| want.report(wrong));
                return None;
            }
        };
        let (path, check) = (self.path.clone(), Some(self.server.test.clone()));
        let file = File { path, content, mode: None, owner: None, once: false, check };
        let id = want.add(&self.place, file.clone());
        Some(DropIn { place: self.place.clone(), id, file, unit: self.server.unit.clone() })
    }

    /// What `{{upstream.…}}` stands for in the template.
    fn facts_of(&self, shares: Option<&Shares>) -> Json {
        let server = |server: &Server| {
            let share = shares.and_then(|shares| shares.members.get(&server.at));
            // nginx has no weight of 0; a server that is down for it still ends what it began.
            let weight = share.map_or(Some(server.weight), |share| share.weight).unwrap_or(0);
            json!({
                "name": server.host,
                "address": server.at.to_string(),
                "weight": weight,
                "down": weight == 0,
            })
        };
        let spare = match shares {
            Some(shares) => shares.spare,
            None => self.servers.is_empty().then_some(0),
        };
        let spare = spare.and_then(|number| self.fallbacks.get(number)).map(|spare| match spare {
            Fallback::At(at) => at.to_string(),
            Fallback::Sorry | Fallback::Local => SORRY.to_string(),
        });
        json!({
            "name": self.name,
            "servers": self.servers.iter().map(server).collect::<Json>(),
            "spare": spare.unwrap_or_default(),
        })
    }
}

/// What is asked through a VIP is for servers that have it.
fn refuse_vip(e: &Element<'_>) {
    for check in e.tables("check") {
        if check.get::<String>("kind").is_some_and(|kind| kind.value == "vip") {
            let title = "an upstream has no VIP to ask its servers through".to_owned();
            let help = "ask for what they serve, as with `kind = \"http\"`: through the VIP goes \
                        only what a [[virtual-server]] sends by direct routing or a tunnel";
            check.report(check.mistake("kind", title).help(help));
        }
    }
}

fn servers(e: &Element<'_>) -> Option<Vec<Server>> {
    let role = e.get::<String>("real-servers")?;
    let port = e.get_or("port", 80_u16).value;
    let interface = e.me().interface.value.to_string();
    let protocol = Protocol::Tcp;
    let traffic = Traffic { protocol, portless: false, ports: vec![port], vip: None, interface };
    refuse_vip(e);
    let of_all = check::of_all(e, &traffic);
    let own = e.me().address.value;
    let (mut servers, mut readable) = (Vec::new(), None);
    e.for_each_host(&role, "server", |host, server| {
        let checks = of_all.clone().unwrap_or_else(|| check::of_each(server, &traffic));
        readable = readable.take().or_else(|| lint::readable_password(&checks, &own, host));
        servers.push(Server {
            host: host.name.value.to_string(),
            at: SocketAddr::new(host.address.addr(), port),
            weight: server.get_or("weight", 1_u32).value,
            checks,
        });
    });
    let checks = servers.first().map_or(&[][..], |server: &Server| &server.checks);
    let lone = lint::lone_ping(checks, traffic.protocol);
    lone.into_iter().chain(readable).for_each(|warning| e.report(warning));
    Some(servers)
}

/// `None` if one of them is wrong.
fn fallbacks(e: &Element<'_>) -> Option<Vec<Fallback>> {
    let mut all = Vec::new();
    for named in fallback::read(e) {
        all.push(match named.value {
            Named::Auto => Fallback::Sorry,
            Named::This(Fallback::Local) => {
                let title = "an upstream cannot fall back to the proxy itself";
                let help = "write `sorry`, for a page of converge's own, or address:port";
                e.report(Diagnostic::error(named.place, title).help(help));
                return None;
            }
            Named::This(fallback) => fallback,
        });
    }
    Some(all)
}

#[cfg(test)]
mod tests;
