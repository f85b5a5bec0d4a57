//! `[ipvs-timeouts]`: how long the IPVS table remembers idle connections.
//!
//! There is one set for the whole table, so it is a table of the role and not of a virtual server.
//! Without it the kernel's own stay: 15 minutes, 2 minutes and 5 minutes.

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Reader, Section, Shape};
use crate::ipvs::model::Seconds;
use crate::resource::ipvs_timeouts::IpvsTimeouts;

/// The keys of `[ipvs-timeouts]`.
pub const SECTION: Section = Section::new(
    "ipvs-timeouts",
    "How long the IPVS table remembers idle connections; whole seconds.",
    &[
        Field::required("tcp", Shape::Duration, "Established TCP connections."),
        Field::required("tcp-fin", Shape::Duration, "TCP connections after a FIN."),
        Field::required("udp", Shape::Duration, "UDP."),
    ],
);

/// Reads the table.
pub fn read(reader: &Reader<'_>) -> Option<(Place, IpvsTimeouts)> {
    let seconds = |key| {
        let time = reader.get::<Duration>(key)?;
        let wrong = |error: &dyn std::fmt::Display| {
            reader.report(Diagnostic::error(time.place.clone(), error.to_string()));
        };
        Seconds::try_from(time.value).map_err(|error| wrong(&error)).ok()
    };
    let (tcp, tcp_fin, udp) = (seconds("tcp"), seconds("tcp-fin"), seconds("udp"));
    Some((reader.place(), IpvsTimeouts { tcp: tcp?, tcp_fin: tcp_fin?, udp: udp? }))
}
