//! One table of a role file, once for each host or VIP that it is for.
//!
//! Every `[[section]]` understands two keys beside its own: `for-each` repeats it for every host of
//! a role, or for every VIP, which is then `{{each.…}}`; `when` leaves it out if it renders to
//! nothing, to `false` or to `0`. In both cases `{{of.…}}` is the host that it is about: the
//! repeated one, or this one.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value as Json;

use super::catalog::Catalog;
use super::facts::{EachItem, Facts};
use crate::cluster::{Cluster, HostEntry, HostName};
use crate::diagnostic::{Diagnostic, Place, Source, suggest};
use crate::document::{Field, Reader, Rendered, Shape, Spanned, Value};

/// `for-each`, for the table of every section.
pub const FOR_EACH: Field = Field::optional(
    "for-each",
    Shape::Text,
    "Repeats this for every host of a role, or for every VIP with \"vip\"; {{each.name}} and so on \
     is then the one in turn.",
);

/// `when`, for the table of every section.
pub const WHEN: Field = Field::optional(
    "when",
    Shape::Text,
    "Leaves this out if the text is empty, \"false\" or \"0\" once it is rendered.",
);

/// What the sections of a role are read against.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Roles and templates.
    pub catalog: &'a Catalog,
    /// The host whose role it is.
    pub me: &'a HostEntry,
}

/// One table for one host or VIP.
pub struct Element<'a> {
    reader: Reader<'a>,
    facts: &'a Facts,
    around: Surroundings<'a>,
}

/// Calls `read` for each thing that the table is for.
pub fn each_element(
    reader: &Reader<'_>,
    facts: &Facts,
    around: Surroundings<'_>,
    mut read: impl FnMut(&Element<'_>),
) {
    let facts_of_each: Vec<Facts> = match reader.get::<String>("for-each") {
        None => vec![facts.with("of", host_object(facts, &around.me.name.value))],
        Some(role) => items(reader, &role, around)
            .iter()
            .map(|item| match item {
                EachItem::Host(name) => {
                    let facts = facts.with_each(item);
                    facts.with("of", host_object(&facts, name))
                }
                EachItem::Vip(_) => {
                    let facts = facts.with_each(item);
                    facts.with("of", host_object(&facts, &around.me.name.value))
                }
            })
            .collect(),
    };
    for facts in &facts_of_each {
        let element = Element { reader: reader.with_facts(facts), facts, around };
        if element.applies() {
            // All that is wrong with the table at once, before a section stops at its first. Where
            // hosts of another role are named, only the section knows by what names.
            if !matches!(reader.title(), "[[virtual-server]]" | "[[upstream]]") {
                element.reader.check();
            }
            read(&element);
        }
    }
}

/// The items of a list variable, which is a text such as `[80, 443]` once it is rendered; any other
/// text is one item.
pub fn items_of(text: &str) -> Vec<&str> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(list) => {
            let items = list.split(',').map(|item| item.trim().trim_matches('"'));
            items.filter(|item| !item.is_empty()).collect()
        }
        None => vec![text],
    }
}

fn host_object(facts: &Facts, name: &HostName) -> Json {
    facts.get("host").and_then(|hosts| hosts.get(name.as_str())).cloned().unwrap_or(Json::Null)
}

fn items(reader: &Reader<'_>, role: &Spanned<String>, around: Surroundings<'_>) -> Vec<EachItem> {
    if role.value == "vip" {
        return around.cluster.vips.iter().map(|v| EachItem::Vip(v.name.value.clone())).collect();
    }
    if !around.catalog.knows(&role.value) {
        reader.report(unknown_role(role, around, &["vip"]));
    }
    let hosts = around.cluster.hosts_of_role(&role.value);
    hosts.map(|h| EachItem::Host(h.name.value.clone())).collect()
}

/// `others` is what may stand there beside a role.
fn unknown_role(
    role: &Spanned<String>,
    around: Surroundings<'_>,
    others: &[&'static str],
) -> Diagnostic {
    let (cluster, name) = (around.cluster, role.value.as_str());
    let names: Vec<&str> = around.catalog.names().chain(others.iter().copied()).collect();
    let host = cluster.hosts.values().find(|host| host.name.as_str() == name);
    let meant = match host {
        Some(host) => Some(host.role.value.as_str()),
        None => suggest(name, names.iter().copied()),
    };
    let title = match meant {
        Some(meant) => format!("there is no role `{role}`, did you mean `{meant}`?"),
        None => format!("there is no role `{role}`"),
    };
    let is_vip = name == "vip" || cluster.vip(name).is_some();
    let what = match (host, is_vip) {
        (Some(_), _) => format!("`{role}` is a host, and a role stands for all of its hosts; "),
        (None, true) => "a VIP is what clients ask; servers are the hosts of a role; ".to_owned(),
        (None, false) => String::new(),
    };
    let listed = crate::document::listed(&names);
    Diagnostic::error(role.place.clone(), title).help(format!("{what}the roles are {listed}"))
}

impl Element<'_> {
    fn applies(&self) -> bool {
        if !self.reader.has("when") {
            return true;
        }
        let when = self.reader.get::<Rendered>("when").map(|w| w.value.0);
        !matches!(when.as_deref().map(str::trim), None | Some("" | "false" | "0"))
    }

    /// Whether the cluster has any IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        let hosts = self.around.cluster.hosts.values().map(|h| h.address.addr());
        let vips = self.around.cluster.vips.iter().map(|v| v.address.addr());
        hosts.chain(vips).any(|address| address.is_ipv6())
    }

    /// Whether an address is a VIP of the cluster.
    pub fn is_vip(&self, address: IpAddr) -> bool {
        self.around.cluster.vips.iter().any(|vip| vip.address.addr() == address)
    }

    /// The name of the host's role.
    pub fn role(&self) -> &str {
        self.around.me.role.value.as_str()
    }

    /// Where the table stands.
    pub fn place(&self) -> Place {
        self.reader.place()
    }

    /// Reports something that is wrong.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.reader.report(diagnostic);
    }

    /// A value; `None` if it is left out, or was reported as wrong.
    pub fn get<T: Value>(&self, key: &'static str) -> Option<Spanned<T>> {
        self.reader.get(key)
    }

    /// A value, else this default, which is placed at the table.
    pub fn get_or<T: Value>(&self, key: &'static str, default: T) -> Spanned<T> {
        self.reader.get_or(key, default)
    }

    /// A text; `None` if it is left out or empty.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.get::<String>(key).map(|t| t.value).filter(|t| !t.is_empty())
    }

    /// The values of a list.
    pub fn list(&self, key: &'static str) -> Vec<String> {
        self.reader.list::<String>(key).into_iter().map(|s| s.value).collect()
    }

    /// The values of a list with their places.
    pub fn words<T: Value>(&self, key: &'static str) -> Vec<Spanned<T>> {
        self.reader.list(key)
    }

    /// The texts of a list that are not empty, with their places.
    pub fn names(&self, key: &'static str) -> Vec<Spanned<String>> {
        let texts = self.reader.list::<String>(key).into_iter();
        texts.filter(|text| !text.value.is_empty()).collect()
    }

    /// A text that is not empty, placed where the cluster file sets it if a variable gives it.
    pub fn origin(&self, key: &'static str) -> Option<Spanned<String>> {
        let text = self.get::<String>(key).filter(|text| !text.value.is_empty())?;
        let place = self.set_at(&text.place, &text.value).unwrap_or(text.place);
        Some(Spanned::new(text.value, place))
    }

    /// Where the cluster file sets a variable to the value that a template at `used` has.
    pub fn set_at(&self, used: &Place, value: &str) -> Option<Place> {
        let mut names = super::variables::named_in(used.text());
        names.find_map(|name| self.facts.set_at(name, value).into_iter().next()).cloned()
    }

    /// A mistake in the value of a key: where the cluster file sets it, if a variable gives it.
    pub fn mistake(&self, key: &'static str, title: impl Into<String>) -> Diagnostic {
        let used = self.place_of(key);
        let text = self.reader.shown(key).unwrap_or_default();
        match self.set_at(&used, &text) {
            Some(set) => {
                let diagnostic = Diagnostic::error(set, title);
                diagnostic.related(used, "this is where it is used")
            }
            None => Diagnostic::error(used, title),
        }
    }

    /// Where a value stands: in the cluster file, if a variable gives it.
    pub fn set_place(&self, key: &'static str) -> Place {
        self.mistake(key, "").place
    }

    /// What a key's text renders to; nothing is reported.
    pub fn shown(&self, key: &'static str) -> Option<String> {
        self.reader.shown(key)
    }

    /// The variable that alone gives a key its value.
    pub fn variable(&self, key: &'static str) -> Option<String> {
        let place = self.place_of(key);
        let variable = super::variables::alone_in(place.text()).filter(|_| self.has(key));
        variable.map(str::to_owned)
    }

    /// What its author calls a key: the variable's name where one gives the value.
    pub fn called(&self, key: &'static str) -> String {
        self.variable(key).unwrap_or_else(|| key.to_owned())
    }

    /// The table's name as it stands in the file: `[[virtual-server.check]]`.
    pub fn title(&self) -> &str {
        self.reader.title()
    }

    /// Whether the key is there, right or wrong.
    pub fn has(&self, key: &'static str) -> bool {
        self.reader.has(key)
    }

    /// Where a value stands; the table's place when it is not there.
    pub fn place_of(&self, key: &'static str) -> Place {
        self.reader.place_of(key)
    }

    /// Whether the key has a value: an empty text may be none.
    pub fn given(&self, key: &'static str) -> bool {
        self.reader.given(key)
    }

    /// The tables `[[key]]` inside this one that apply, with the same facts.
    pub fn tables(&self, key: &'static str) -> Vec<Element<'_>> {
        let element = |reader| Element { reader, facts: self.facts, around: self.around };
        let all = self.reader.tables(key).into_iter().map(element);
        all.filter(Element::applies).collect()
    }

    /// Whether any text of the tables `[[key]]` inside this one is a template that names this.
    pub fn mentions_in(&self, key: &'static str, name: &str) -> bool {
        self.reader.tables(key).iter().any(|table| table.mentions(name))
    }

    /// The host whose role it is.
    pub fn me(&self) -> &HostEntry {
        self.around.me
    }

    /// Calls `read` for every host of a role, with the same table, in which the host is now
    /// `{{NAME.…}}`.
    pub fn for_each_host<'b>(
        &'b self,
        role: &Spanned<String>,
        name: &str,
        mut read: impl FnMut(&'b HostEntry, &Element<'_>),
    ) {
        if !self.around.catalog.knows(&role.value) {
            self.report(unknown_role(role, self.around, &[]));
        }
        for host in self.around.cluster.hosts_of_role(&role.value) {
            let facts = self.facts.with(name, host_object(self.facts, &host.name.value));
            let reader = self.reader.with_facts(&facts);
            let element = Element { reader, facts: &facts, around: self.around };
            read(host, &element);
        }
    }

    /// The facts that its texts are rendered with.
    pub fn facts(&self) -> &Facts {
        self.facts
    }

    /// A template of `templates/`; `standard` is used where the role names none.
    pub fn template_source(
        &self,
        named: Option<&Spanned<String>>,
        standard: &str,
    ) -> Option<Arc<Source>> {
        let name = named.map_or(standard, |n| n.value.as_str());
        let source = self.around.catalog.template(name);
        if source.is_none() {
            let place = named.map_or_else(|| self.place(), |n| n.place.clone());
            self.report(no_template(place, name, self.around.catalog));
        }
        source.cloned()
    }

    /// A template of `templates/`, rendered with one more fact.
    pub fn template(
        &self,
        named: Option<&Spanned<String>>,
        standard: &str,
        fact: &str,
        value: Json,
    ) -> Option<String> {
        let source = self.template_source(named, standard)?;
        match self.facts.with(fact, value).render_file(&source) {
            Ok(text) => Some(text),
            Err(found) => {
                found.iter().for_each(|d| self.report(d.clone()));
                None
            }
        }
    }
}

fn no_template(place: Place, name: &str, catalog: &Catalog) -> Diagnostic {
    let names: Vec<&str> = catalog.template_names().collect();
    let title = match suggest(name, names.iter().copied()) {
        Some(meant) => format!("there is no template `{name}`, did you mean `{meant}`?"),
        None => format!("there is no template `{name}`"),
    };
    Diagnostic::error(place, title)
        .help(format!("the templates are {}", crate::document::listed(&names)))
}
