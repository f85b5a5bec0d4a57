//! From one table to another in the fewest commands.
//!
//! The kernel forgets nothing by itself: a virtual server or destination that only changes is
//! changed in place, so that its connections and counters stay. Works on one virtual server at a
//! time; they do not depend on each other.

use std::collections::BTreeMap;

use super::model::{Destination, DestinationId, VirtualServer, VirtualServerId};
use super::wire::Command;

/// The commands that turn `old` into `new`, in the order in which the kernel can carry them out.
///
/// `None` is a virtual server that is not there. Destinations are added before others are removed,
/// so that a virtual server never stands without any while it is changed; a virtual server comes
/// before its destinations, and goes with them.
pub fn diff(old: Option<&VirtualServer>, new: Option<&VirtualServer>) -> Vec<Command> {
    let mut commands = Vec::new();
    diff_into(old, new, &mut commands);
    commands
}

/// [`diff`], appended to what is there.
pub fn diff_into(
    old: Option<&VirtualServer>,
    new: Option<&VirtualServer>,
    commands: &mut Vec<Command>,
) {
    match (old, new) {
        (None, None) => {}
        (Some(old), None) => commands.push(Command::DelServer(old.id())),
        (None, Some(new)) => {
            commands.push(Command::NewServer(new.id(), *new.settings()));
            add_all(new, commands);
        }
        (Some(old), Some(new)) if old.id() != new.id() => {
            commands.push(Command::DelServer(old.id()));
            diff_into(None, Some(new), commands);
        }
        (Some(old), Some(new)) => {
            if old.settings() != new.settings() {
                commands.push(Command::SetServer(new.id(), *new.settings()));
            }
            if old.destinations() != new.destinations() {
                change(new.id(), old.destinations(), new.destinations(), commands);
            }
        }
    }
}

fn add_all(new: &VirtualServer, commands: &mut Vec<Command>) {
    let add =
        |(id, to): (&DestinationId, &Destination)| Command::NewDestination(new.id(), *id, *to);
    commands.extend(new.destinations().iter().map(add));
}

fn change(
    server: VirtualServerId,
    old: &BTreeMap<DestinationId, Destination>,
    new: &BTreeMap<DestinationId, Destination>,
    commands: &mut Vec<Command>,
) {
    for (id, wanted) in new {
        match old.get(id) {
            None => commands.push(Command::NewDestination(server, *id, *wanted)),
            Some(present) if present != wanted => {
                commands.push(Command::SetDestination(server, *id, *wanted));
            }
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|id| !new.contains_key(id));
    commands.extend(gone.map(|id| Command::DelDestination(server, *id)));
}

#[cfg(test)]
mod tests {
    use super::super::model::{Forward, SchedulerName, ServerSettings, Weight};
    use super::*;

    fn server(scheduler: SchedulerName, destinations: &[(&str, u32)]) -> VirtualServer {
        let id = "TCP 192.0.2.1:80".parse().unwrap_or_else(|e| panic!("{e}"));
        let destinations = destinations.iter().map(|(id, weight)| {
            let weight = Weight::new(*weight).unwrap_or_else(|e| panic!("{e}"));
            let id = id.parse().unwrap_or_else(|e| panic!("{e}"));
            (id, Destination { weight, ..Destination::new(Forward::Route) })
        });
        VirtualServer::new(id, ServerSettings::new(scheduler.into()))
            .and_then(|s| s.with_destinations(destinations))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    fn words(old: Option<&VirtualServer>, new: Option<&VirtualServer>) -> Vec<String> {
        diff(old, new).iter().map(Command::to_string).collect()
    }

    #[test]
    fn equal_tables_need_nothing() {
        let one = server(SchedulerName::Rr, &[("192.0.2.8:80", 1), ("192.0.2.9:80", 1)]);
        assert_eq!(diff(Some(&one), Some(&one.clone())), []);
        assert_eq!(diff(None, None), []);
    }

    #[test]
    fn a_weight_is_one_command() {
        let old = server(SchedulerName::Rr, &[("192.0.2.8:80", 1), ("192.0.2.9:80", 1)]);
        let new = server(SchedulerName::Rr, &[("192.0.2.8:80", 1), ("192.0.2.9:80", 0)]);
        assert_eq!(words(Some(&old), Some(&new)), ["change 192.0.2.9:80 of TCP 192.0.2.1:80"]);
    }

    #[test]
    fn a_virtual_server_comes_before_its_destinations_and_goes_with_them() {
        let one = server(SchedulerName::Rr, &[("192.0.2.8:80", 1)]);
        assert_eq!(
            words(None, Some(&one)),
            ["add virtual server TCP 192.0.2.1:80", "add 192.0.2.8:80 to TCP 192.0.2.1:80"]
        );
        assert_eq!(words(Some(&one), None), ["remove virtual server TCP 192.0.2.1:80"]);
    }

    #[test]
    fn what_replaces_is_there_before_what_is_replaced_goes() {
        let old = server(SchedulerName::Rr, &[("192.0.2.8:80", 1)]);
        let new = server(SchedulerName::Wlc, &[("192.0.2.9:80", 1)]);
        assert_eq!(
            words(Some(&old), Some(&new)),
            [
                "change virtual server TCP 192.0.2.1:80",
                "add 192.0.2.9:80 to TCP 192.0.2.1:80",
                "remove 192.0.2.8:80 from TCP 192.0.2.1:80",
            ]
        );
    }
}
