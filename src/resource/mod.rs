//! One thing on a host that can be so or not.
//!
//! A kind is three verbs in one file: [`ResourceKind::observe`], [`ResourceKind::ensure`] and
//! [`ResourceKind::remove`]. The diff, the order, the printing, the dry run and the ledger of what
//! we made are written once, for all kinds. Adding a kind is one new file and its line in `kinds!`.
//!
//! The order of the lines in `kinds!` is the order in which things are made; removing goes the
//! other way round. Sysctls stand before addresses because a VIP on `lo` without the ARP sysctls
//! answers for the director, and addresses stand last because the VIP is what draws the traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::host::{Host, HostError};

/// Who remembers that we made a resource, so that it can be removed when no role wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The thing itself carries our mark (route protocol, address protocol, own file).
    Mark,
    /// The ledger in `/run/converge`: gone at a reboot, as the kernel's own state is.
    UntilReboot,
    /// The ledger in `/var/lib/converge`: lasts as long as the disk does.
    OnDisk,
    /// Nothing is ever removed (a loaded module, a sysctl: there is no "absent" to go back to).
    Never,
}

/// What `observe` is to look for.
pub struct Scope<'a, K> {
    /// The resources of this kind that the role wants.
    pub wanted: &'a [&'a K],
    /// Names of this kind that the ledger says we made.
    pub ours: BTreeSet<&'a str>,
}

impl<K: ResourceKind> Scope<'_, K> {
    /// Whether a resource of this name is wanted or was made by us.
    pub fn covers(&self, name: &str) -> bool {
        self.ours.contains(name) || self.wanted.iter().any(|w| w.name() == name)
    }
}

/// One resource to bring about.
pub struct Ensure<'a, K> {
    /// What stands there now under the same name, if anything.
    pub before: Option<&'a K>,
    /// What is to stand there.
    pub after: &'a K,
}

/// What every kind promises.
#[expect(async_fn_in_trait, reason = "one thread, static dispatch: no bounds are needed")]
pub trait ResourceKind: Sized + Clone + PartialEq + fmt::Debug + Serialize {
    /// The kind's place in the order.
    const KIND: Kind;
    /// Who remembers that we made one.
    const MEMORY: Memory;

    /// The name within the kind; two resources of one name are the same thing in two states.
    fn name(&self) -> String;

    /// Reads what exists of the wanted names and everything else that is ours. Never what is
    /// foreign: whatever is returned and not wanted will be removed. What the wanted resource
    /// leaves open is filled in as the wanted one has it, so that equal means converged.
    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError>;

    /// Makes each so; one result per change, in the same order. Runs again after a crash at any
    /// point must end in the same state.
    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>>;

    /// Removes each; one result per resource, in the same order. What is gone already is a success.
    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>>;

    /// Whether it belongs to somebody else from the moment it is made, so that it is never removed.
    fn is_given_away(&self) -> bool {
        false
    }

    /// Whether something of ours that a look did not find is gone, and not merely out of sight or
    /// somebody else's for now. What is gone is struck from the ledger.
    fn is_gone(_host: &Host, _name: &str) -> bool {
        true
    }

    /// Called before the host is looked at, if it may be changed: puts right what an earlier run
    /// that was cut short changed for a moment only. Most kinds change nothing for a moment.
    async fn recover(_host: &Host) -> Result<(), HostError> {
        Ok(())
    }

    /// Called with all changes of this kind before the first change of any kind. Most kinds need
    /// nothing here; a unit forgets which configuration it has loaded.
    async fn prepare(_host: &Host, _changes: &[Ensure<'_, Self>]) -> Result<(), HostError> {
        Ok(())
    }
}

/// Which thing: kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Id {
    /// The kind.
    pub kind: Kind,
    /// The name within the kind.
    pub name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A set of resources; desired and observed have this same type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    resources: BTreeMap<Id, Resource>,
}

impl State {
    /// Adds a resource. Returns the one that already had its name and differs, if any.
    pub fn insert(&mut self, resource: Resource) -> Option<Resource> {
        let id = resource.id();
        self.resources.insert(id, resource.clone()).filter(|old| *old != resource)
    }

    /// The resource of this id.
    pub fn get(&self, id: &Id) -> Option<&Resource> {
        self.resources.get(id)
    }

    /// All resources, in the order in which they are made.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Id, &Resource)> {
        self.resources.iter()
    }

    /// How many resources.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

/// What a role wants of a host, with what the order and the reader need to know of each part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// The resources.
    pub state: State,
    /// What must stand before a resource may be made; if one of these fails, it is left alone.
    pub needs: BTreeMap<Id, BTreeSet<Id>>,
    /// Which role file and section asked for it.
    pub origin: BTreeMap<Id, String>,
}

impl Desired {
    /// What of it is of these kinds.
    pub fn only(&self, kinds: Kinds) -> Desired {
        let of = |id: &Id| kinds.contains(id.kind);
        let resources = self.state.resources.iter().filter(|(id, _)| of(id));
        let resources = resources.map(|(id, resource)| (id.clone(), resource.clone())).collect();
        let needs = self.needs.iter().filter(|(id, _)| of(id));
        let needs = needs.map(|(id, needs)| (id.clone(), needs.clone())).collect();
        let origin = self.origin.iter().filter(|(id, _)| of(id));
        let origin = origin.map(|(id, origin)| (id.clone(), origin.clone())).collect();
        Desired { state: State { resources }, needs, origin }
    }
}

/// Which kinds a look or a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// All.
    All,
    /// This one alone.
    Only(Kind),
    /// All but this one.
    But(Kind),
}

impl Kinds {
    /// Whether a kind is among them.
    pub fn contains(self, kind: Kind) -> bool {
        match self {
            Kinds::All => true,
            Kinds::Only(only) => kind == only,
            Kinds::But(not) => kind != not,
        }
    }
}

/// What a look at the host found.
#[derive(Debug, Default)]
pub struct Observed {
    /// The resources that exist, of those that are wanted or ours.
    pub state: State,
    /// Kinds that could not be looked at; nothing is planned for them.
    pub unknown: BTreeMap<Kind, HostError>,
}

/// Names in the ledger, by kind.
pub type Ours = BTreeMap<Kind, BTreeSet<String>>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident, $module:ident, $word:literal;)*) => {
        $(pub mod $module;)*

        /// The kinds of resources, in the order in which they are made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// All kinds, in order.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The word for people, also the kind's name in JSON and in the ledger.
            pub fn word(self) -> &'static str {
                match self { $(Kind::$variant => $word,)* }
            }

            /// The kind of this word.
            pub fn from_word(word: &str) -> Option<Kind> {
                match word { $($word => Some(Kind::$variant),)* _ => None }
            }

            /// Who remembers that we made one.
            pub fn memory(self) -> Memory {
                match self { $(Kind::$variant => <$module::$variant as ResourceKind>::MEMORY,)* }
            }
        }

        /// A resource of any kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Resource { $($(#[$doc])* $variant($module::$variant),)* }

        impl Resource {
            /// Kind and name.
            pub fn id(&self) -> Id {
                match self {
                    $(Resource::$variant(r) => Id { kind: Kind::$variant, name: r.name() },)*
                }
            }
        }

        impl Resource {
            /// See [`ResourceKind::is_given_away`].
            pub fn is_given_away(&self) -> bool {
                match self { $(Resource::$variant(r) => r.is_given_away(),)* }
            }
        }

        $(impl From<$module::$variant> for Resource {
            fn from(r: $module::$variant) -> Self { Resource::$variant(r) }
        })*

        /// Looks at the host: everything that is wanted, and everything that is ours.
        pub async fn observe(
            host: &Host,
            wanted: &State,
            ours: &Ours,
            kinds: Kinds,
        ) -> Observed {
            let mut observed = Observed::default();
            $(if kinds.contains(Kind::$variant) {
                let of_kind: Vec<&$module::$variant> = wanted.resources.values()
                    .filter_map(|r| match r { Resource::$variant(r) => Some(r), _ => None })
                    .collect();
                let names = ours.get(&Kind::$variant).into_iter().flatten().map(String::as_str);
                let scope = Scope { wanted: &of_kind, ours: names.collect() };
                match <$module::$variant as ResourceKind>::observe(host, &scope).await {
                    Ok(found) => for r in found { observed.state.insert(r.into()); },
                    Err(e) => { observed.unknown.insert(Kind::$variant, e); }
                }
            })*
            observed
        }

        /// Makes resources of one kind so; see [`ResourceKind::ensure`].
        pub async fn ensure(
            host: &Host,
            kind: Kind,
            changes: &[(Option<&Resource>, &Resource)],
        ) -> Vec<Result<(), HostError>> {
            match kind {
                $(Kind::$variant => {
                    let changes = typed::$module(changes);
                    <$module::$variant as ResourceKind>::ensure(host, &changes).await
                })*
            }
        }

        /// Whether something that a look did not find is gone; see [`ResourceKind::is_gone`].
        pub fn is_gone(host: &Host, kind: Kind, name: &str) -> bool {
            match kind {
                $(Kind::$variant => <$module::$variant as ResourceKind>::is_gone(host, name),)*
            }
        }

        /// Puts right what runs that were cut short left; see [`ResourceKind::recover`].
        pub async fn recover(host: &Host, kinds: Kinds) -> Vec<(Kind, HostError)> {
            let mut errors = Vec::new();
            $(if kinds.contains(Kind::$variant)
                && let Err(error) = <$module::$variant as ResourceKind>::recover(host).await
            {
                errors.push((Kind::$variant, error));
            })*
            errors
        }

        /// Tells a kind what is about to change; see [`ResourceKind::prepare`].
        pub async fn prepare(
            host: &Host,
            kind: Kind,
            changes: &[(Option<&Resource>, &Resource)],
        ) -> Result<(), HostError> {
            match kind {
                $(Kind::$variant => {
                    let changes = typed::$module(changes);
                    <$module::$variant as ResourceKind>::prepare(host, &changes).await
                })*
            }
        }

        /// Removes resources of one kind; see [`ResourceKind::remove`].
        pub async fn remove(
            host: &Host,
            kind: Kind,
            gone: &[&Resource],
        ) -> Vec<Result<(), HostError>> {
            match kind {
                $(Kind::$variant => {
                    let of_kind: Vec<&$module::$variant> = gone.iter()
                        .filter_map(|r| match r { Resource::$variant(r) => Some(r), _ => None })
                        .collect();
                    <$module::$variant as ResourceKind>::remove(host, &of_kind).await
                })*
            }
        }

        /// From changes of any kind to changes of one.
        mod typed {
            use super::{Ensure, Resource};
            $(pub(super) fn $module<'a>(
                changes: &[(Option<&'a Resource>, &'a Resource)],
            ) -> Vec<Ensure<'a, super::$module::$variant>> {
                changes.iter().filter_map(|(before, after)| match after {
                    Resource::$variant(after) => Some(Ensure {
                        before: before.and_then(|b| match b {
                            Resource::$variant(b) => Some(b),
                            _ => None,
                        }),
                        after,
                    }),
                    _ => None,
                }).collect()
            })*
        }
    };
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

kinds! {
    /// A kernel module that is loaded.
    Module, module, "module";
    /// A network interface that we create (tunnel, dummy) or bring up.
    Link, link, "link";
    /// A UDP port on which the kernel takes packets out of GUE.
    GuePort, gue_port, "gue-port";
    /// A kernel parameter under `/proc/sys`.
    Sysctl, sysctl, "sysctl";
    /// An arptables rule that hides a VIP.
    ArpFilter, arp_filter, "arp-filter";
    /// A directory with owner and mode.
    Directory, directory, "directory";
    /// A file, whole.
    File, file, "file";
    /// A routing policy rule.
    Rule, rule, "rule";
    /// A route.
    Route, route, "route";
    /// A systemd mount unit that is mounted.
    Mount, mount, "mount";
    /// A systemd unit that runs with the configuration that stands on disk.
    Unit, unit, "unit";
    /// A directory exported over NFS to one client or network.
    Export, export, "export";
    /// Source NAT for an IPVS service, so that replies come back through the director.
    Snat, snat, "snat";
    /// The IPVS table's connection timeouts.
    IpvsTimeouts, ipvs_timeouts, "ipvs-timeouts";
    /// An IPVS virtual server with its real servers.
    VirtualServer, virtual_server, "virtual-server";
    /// A kernel thread that sends or takes in IPVS connections, for another director.
    SyncDaemon, sync_daemon, "sync-daemon";
    /// An address on an interface; the VIP is one.
    Address, address, "address";
}
