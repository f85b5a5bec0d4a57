//! What may stand in a cluster file, and how it becomes a [`Cluster`].
//!
//! The sections are the single source for the checks, the JSON Schema and the reference. An entry
//! with a mistake is left out, and the rest is read all the same, so that all mistakes are told.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Cluster, HostEntry, HostName, Vars, VipEntry, VipName, check};
use crate::diagnostic::{Collector, Diagnostic, Diagnostics};
use crate::document::{Document, Field, Reader, Section, Shape, Spanned, Value};

/// Where the directors' key is, unless the file says otherwise.
const KEY_FILE: &str = "/etc/converge/cluster.key";

/// The cluster file.
pub static CLUSTER: Section = Section::new(
    "cluster",
    "A cluster: its hosts, its virtual addresses, its variables. Every host has the same copy.",
    &[
        Field::required(
            "version",
            Shape::Integer { min: 1, max: 1 },
            "The version of this file's format.",
        ),
        Field::required("name", Shape::Text, "What the cluster is called."),
        Field::optional(
            "key-file",
            Shape::Path,
            "Where each director has the key that the directors know each other by; the key itself \
             never stands in this file.",
        )
        .default("\"/etc/converge/cluster.key\""),
        Field::optional("vip", Shape::Map(&VIP), "The virtual addresses, by name."),
        Field::required("host", Shape::Map(&HOST), "The hosts, by name."),
        Field::optional("vars", Shape::Table(&VARS), "Variables for every host."),
    ],
);

static VIP: Section = Section::new(
    "vip",
    "A virtual address, which clients use and directors hold.",
    &[
        Field::required(
            "address",
            Shape::AddressOrPrefix,
            "The address; without prefix length it is a /32, or a /128.",
        ),
        Field::optional(
            "interface",
            Shape::Text,
            "Where directors hold it, if not on the interface of their own address.",
        ),
        Field::optional("label", Shape::Text, "The label that ifconfig shows, such as ens33:0."),
        Field::optional("vars", Shape::Table(&VARS), "Variables that differ for this address."),
    ],
)
.short("address");

static HOST: Section = Section::new(
    "host",
    "A host: what it is for and where it is reached.",
    &[
        Field::required("role", Shape::Text, "What the host is for: the name of a role file."),
        Field::required("address", Shape::Prefix, "Its address, with its subnet's prefix length."),
        Field::required("interface", Shape::Text, "The interface that has the address."),
        Field::optional("mac", Shape::Text, "The interface's Ethernet address."),
        Field::optional("vars", Shape::Table(&VARS), "Variables that differ for this host."),
    ],
);

static VARS: Section = Section::new("vars", "Variables, for {{vars.NAME}} in role files.", &[])
    .open(
        "a variable",
        Shape::Var,
        "Its value: a text, a number, true or false, or a list of those.",
    );

pub(super) fn parse(name: String, text: String) -> Result<(Cluster, Diagnostics), Diagnostics> {
    let (document, syntax) = Document::parse(name, text);
    let found = Collector::default();
    found.merge(syntax);
    let cluster = cluster(&document, &found);
    if let Some(cluster) = &cluster {
        check::check(cluster, &found);
    }
    found.into_diagnostics().refuse_or(cluster)
}

/// The cluster, if the file is whole enough for one; the parts of it that are right in any case.
fn cluster(document: &Document, found: &Collector) -> Option<Cluster> {
    let root = document.read(&CLUSTER, None, found);
    let version = root.get::<Version>("version");
    let name = root.get("name");
    let hosts = root.map("host").into_iter().filter_map(|(name, table)| host(name, &table));
    let hosts = hosts.map(|host| (host.name.value.clone(), host)).collect();
    let vips = root.map("vip").into_iter().filter_map(|(name, table)| vip(name, &table)).collect();
    let vars = root.table("vars").map_or_else(Vars::new, |table| vars(&table));
    let key_file = root.get_or("key-file", PathBuf::from(KEY_FILE));
    version?;
    Some(Cluster { source: document.source().clone(), name: name?, key_file, hosts, vips, vars })
}

fn host(name: Spanned<String>, table: &Reader<'_>) -> Option<HostEntry> {
    let name = named::<HostName>(name, table);
    let (role, address) = (table.get("role"), table.get("address"));
    let (interface, mac) = (table.get("interface"), table.get("mac"));
    let vars = own_vars(table);
    Some(HostEntry {
        name: name?,
        role: role?,
        address: address?,
        interface: interface?,
        mac,
        vars,
        place: table.place(),
    })
}

fn vip(name: Spanned<String>, table: &Reader<'_>) -> Option<VipEntry> {
    let name = named::<VipName>(name, table);
    let address = table.get::<VipAddress>("address");
    let (interface, label) = (table.get("interface"), table.get("label"));
    let vars = own_vars(table);
    let address = address?.map(|VipAddress(address)| address);
    Some(VipEntry { name: name?, address, interface, label, vars, place: table.place() })
}

/// The key of a table is a name of its own type.
fn named<T: Value>(key: Spanned<String>, table: &Reader<'_>) -> Option<Spanned<T>> {
    match T::parse(&key.value) {
        Ok(name) => Some(Spanned::new(name, key.place)),
        Err(wrong) => {
            let label = format!("this is {}", T::WHAT);
            table.report(Diagnostic::error(key.place, wrong).label(label));
            None
        }
    }
}

fn own_vars(table: &Reader<'_>) -> Vars {
    table.table("vars").map_or_else(Vars::new, |table| vars(&table))
}

fn vars(table: &Reader<'_>) -> Vars {
    table.vars().into_iter().map(|(name, value)| (name.value, value)).collect()
}

/// The file's format.
struct Version;

impl Value for Version {
    const WHAT: &'static str = "the version of the file's format, 1";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "1" => Ok(Version),
            _ => Err(format!("version `{text}` is unknown; this converge reads version 1")),
        }
    }
}

/// An address whose prefix length may be left out.
struct VipAddress(IpNet);

impl Value for VipAddress {
    const WHAT: &'static str = "an IP address, with or without prefix length";

    fn parse(text: &str) -> Result<Self, String> {
        match text.contains('/') {
            true => IpNet::parse(text).map(VipAddress),
            false => IpAddr::parse(text).map(|address| VipAddress(address.into())),
        }
    }
}
