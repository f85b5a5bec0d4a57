//! The ordered changes from what is to what is wanted. Pure.
//!
//! Removals come first, in the reverse order of making: the VIP leaves before anything under it
//! does. Then everything is made in the order of [`Kind`]. An ARP filter that is wanted no more
//! goes last of all, for the sysctls that take its place have to be in force before. A change
//! carries what its resource needs; if a needed one fails, or could not be looked at, the change is
//! left out of that run.

mod show;

pub use show::Shown;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::resource::{Desired, Id, Kind, Observed, Resource};

/// What to do with one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Change {
    /// It is not there.
    Create {
        /// What is to stand.
        after: Resource,
    },
    /// It differs.
    Update {
        /// What stands.
        before: Resource,
        /// What is to stand.
        after: Resource,
    },
    /// It is ours, and nothing wants it.
    Remove {
        /// What stands.
        before: Resource,
    },
}

impl Change {
    /// The resource it is about.
    pub fn id(&self) -> Id {
        match self {
            Change::Create { after } | Change::Update { after, .. } => after.id(),
            Change::Remove { before } => before.id(),
        }
    }

    /// Whether it removes.
    pub fn removes(&self) -> bool {
        matches!(self, Change::Remove { .. })
    }

    /// Before and after, for a change that makes something so.
    pub fn ensures(&self) -> Option<(Option<&Resource>, &Resource)> {
        match self {
            Change::Create { after } => Some((None, after)),
            Change::Update { before, after } => Some((Some(before), after)),
            Change::Remove { .. } => None,
        }
    }
}

/// The ordered changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do, in this order.
    pub changes: Vec<Change>,
    /// What must have succeeded before a change.
    pub needs: BTreeMap<Id, BTreeSet<Id>>,
    /// Which part of which role file asks for a resource.
    pub origin: BTreeMap<Id, String>,
}

impl Plan {
    /// The changes that lead from `observed` to `desired`.
    pub fn between(desired: &Desired, observed: &Observed) -> Plan {
        let known = |id: &Id| !observed.unknown.contains_key(&id.kind);
        let mut changes: Vec<Change> = observed
            .state
            .iter()
            .rev()
            .filter(|(id, _)| known(id) && desired.state.get(id).is_none())
            .map(|(_, before)| Change::Remove { before: before.clone() })
            .collect();
        for (id, after) in desired.state.iter().filter(|(id, _)| known(id)) {
            let after = after.clone();
            match observed.state.get(id) {
                Some(before) if *before == after => {}
                Some(before) => changes.push(Change::Update { before: before.clone(), after }),
                None => changes.push(Change::Create { after }),
            }
        }
        // What hides a VIP from ARP may go only when what hides it instead is in force.
        let (veils, mut changes): (Vec<Change>, Vec<Change>) =
            changes.into_iter().partition(|c| c.removes() && c.id().kind == Kind::ArpFilter);
        changes.extend(veils);
        Plan { changes, needs: desired.needs.clone(), origin: desired.origin.clone() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Runs of changes that may go to the host in one pass: one kind, all removing or none.
    pub fn batches(&self) -> Vec<(Kind, &[Change])> {
        self.changes
            .chunk_by(|a, b| a.id().kind == b.id().kind && a.removes() == b.removes())
            .map(|batch| (batch[0].id().kind, batch))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::sysctl::Sysctl;
    use crate::resource::{State, module::Module};

    fn sysctl(key: &str, value: &str) -> Resource {
        Sysctl { key: key.into(), value: value.into() }.into()
    }

    fn module(name: &str) -> Resource {
        Module { module: name.into() }.into()
    }

    fn state(resources: &[Resource]) -> State {
        let mut state = State::default();
        for r in resources {
            assert!(state.insert(r.clone()).is_none());
        }
        state
    }

    fn desired(resources: &[Resource]) -> Desired {
        Desired { state: state(resources), ..Desired::default() }
    }

    fn observed(resources: &[Resource]) -> Observed {
        Observed { state: state(resources), ..Observed::default() }
    }

    #[test]
    fn equal_states_have_an_empty_plan() {
        let all = [sysctl("a", "1"), module("m")];
        assert!(Plan::between(&desired(&all), &observed(&all)).is_empty());
    }

    #[test]
    fn removals_come_first_and_in_the_reverse_order_of_making() {
        let plan = Plan::between(
            &desired(&[module("new")]),
            &observed(&[module("old"), sysctl("a", "1"), sysctl("b", "1")]),
        );
        let ids: Vec<String> = plan.changes.iter().map(|c| c.id().to_string()).collect();
        assert_eq!(ids, ["sysctl b", "sysctl a", "module old", "module new"]);
    }

    #[test]
    fn an_arp_filter_goes_after_the_sysctls_that_take_its_place() {
        let vip = std::net::Ipv4Addr::new(192, 0, 2, 100);
        let filter = crate::resource::arp_filter::ArpFilter { vip, source: vip };
        let plan = Plan::between(&desired(&[sysctl("a", "1")]), &observed(&[filter.into()]));
        let removes: Vec<bool> = plan.changes.iter().map(Change::removes).collect();
        assert_eq!(removes, [false, true]);
    }

    #[test]
    fn a_kind_that_could_not_be_looked_at_is_left_alone() {
        let mut seen = observed(&[]);
        let error = crate::host::CommandError::Missing { program: "x".into() };
        seen.unknown.insert(Kind::Sysctl, error.into());
        let plan = Plan::between(&desired(&[sysctl("a", "1"), module("m")]), &seen);
        assert_eq!(plan.changes, [Change::Create { after: module("m") }]);
    }
}
