//! Gathers what the sections of a role want of a host.
//!
//! Two sections may want the same thing; they may not want it in two states. Each resource keeps
//! the section that asked for it, for the reader of a plan, and what must stand before it.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::resource::{Desired, Id, Resource};

/// The desired state while it grows.
#[derive(Debug, Default)]
pub struct Want {
    desired: Desired,
    places: std::collections::BTreeMap<Id, Place>,
    found: Diagnostics,
}

impl Want {
    /// Wants a resource, because of what stands at `place`. Gives its id, for what needs it.
    pub fn add(&mut self, place: &Place, resource: impl Into<Resource>) -> Id {
        self.add_after(place, resource, [])
    }

    /// Wants a resource that may only be made when `needs` stand.
    pub fn add_after(
        &mut self,
        place: &Place,
        resource: impl Into<Resource>,
        needs: impl IntoIterator<Item = Id>,
    ) -> Id {
        let resource = resource.into();
        let id = resource.id();
        // Of two first pages for one place the first will do.
        let stands = self.desired.state.get(&id).is_some_and(Resource::is_given_away);
        if !(stands && resource.is_given_away()) && self.desired.state.insert(resource).is_some() {
            self.contradiction(&id, place);
        }
        self.places.entry(id.clone()).or_insert_with(|| place.clone());
        self.desired.origin.entry(id.clone()).or_insert_with(|| place.to_string());
        let needs: BTreeSet<Id> = needs.into_iter().collect();
        if !needs.is_empty() {
            self.desired.needs.entry(id.clone()).or_default().extend(needs);
        }
        id
    }

    /// Wants a resource unless something of its name is wanted already: the role's own line wins
    /// over what follows from a section.
    pub fn add_default(&mut self, place: &Place, resource: impl Into<Resource>) -> Id {
        let resource = resource.into();
        let id = resource.id();
        if self.desired.state.get(&id).is_none() {
            self.add(place, resource);
        }
        id
    }

    /// The ids wanted so far that fit.
    pub fn ids(&self, fits: impl Fn(&Id) -> bool) -> Vec<Id> {
        self.desired.state.iter().map(|(id, _)| id).filter(|id| fits(id)).cloned().collect()
    }

    /// A resource wanted so far.
    pub fn get(&self, id: &Id) -> Option<&Resource> {
        self.desired.state.get(id)
    }

    /// Reports something that is wrong with the role.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// The desired state, or everything that is wrong with it.
    pub fn finish(self) -> (Desired, Diagnostics) {
        (self.desired, self.found)
    }

    fn contradiction(&mut self, id: &Id, place: &Place) {
        let title = format!("{id} is wanted in two different states");
        let mut diagnostic = Diagnostic::error(place.clone(), title).label("here differently");
        if let Some(first) = self.places.get(id) {
            diagnostic = diagnostic.related(first.clone(), "first here");
        }
        self.found.push(diagnostic);
    }
}
