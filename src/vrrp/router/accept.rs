//! Whether an advertisement is for this router: the checks of RFC 9568 7.1 and RFC 3768 7.1 that
//! need to know what the router is told.
//!
//! An advertisement that fails one changes no state and no timer. Differing addresses fail none:
//! two routers that then both became Active would do more harm than a list that is being changed
//! host by host.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::vrrp::config::{RouterConfig, Transport, Version};
use crate::vrrp::packet::{Advert, Auth, Discard, Note};

/// What is odd about it, or why it is not heeded.
pub fn accepts(config: &RouterConfig, from: IpAddr, advert: &Advert) -> Result<Vec<Note>, Discard> {
    check_source(config, from)?;
    if advert.vrid != config.vrid.get() {
        return Err(Discard::UnknownRouter { vrid: advert.vrid, family: config.family });
    }
    if advert.version != config.version {
        let (theirs, ours) = (advert.version, config.version);
        return Err(Discard::VersionDiffers { theirs, ours });
    }
    if config.version == Version::V2 {
        check_auth(config.password, advert.auth)?;
    }
    let interval = check_interval(config, advert)?;
    Ok(interval.into_iter().chain(differing_addresses(config, advert)).collect())
}

fn check_source(config: &RouterConfig, from: IpAddr) -> Result<(), Discard> {
    if from == config.source {
        return Err(Discard::OwnAddress { from });
    }
    let known = || config.peers.iter().any(|peer| peer.address == from);
    match config.transport {
        Transport::Multicast => Ok(()),
        // Where peers are known by global addresses, a link-local source is as close as multicast.
        Transport::Unicast if known() || is_link_local(from) => Ok(()),
        Transport::Unicast => Err(Discard::Stranger { from }),
    }
}

pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// RFC 3768 7.1: the type must be the configured one; RFC 2338 5.3.6.1: the password, too.
fn check_auth(password: Option<[u8; 8]>, auth: Auth) -> Result<(), Discard> {
    match (password, auth) {
        (None, Auth::None) => Ok(()),
        (None, Auth::Pass(_)) => Err(Discard::UnwantedPassword),
        (Some(_), Auth::None) => Err(Discard::NoPassword),
        (Some(ours), Auth::Pass(theirs)) if ours == theirs => Ok(()),
        (Some(_), Auth::Pass(_)) => Err(Discard::WrongPassword),
        (None | Some(_), Auth::Other(kind)) => Err(Discard::AuthType { kind }),
    }
}

fn check_interval(config: &RouterConfig, advert: &Advert) -> Result<Option<Note>, Discard> {
    let (theirs, ours) = (advert.interval, config.interval);
    match config.version {
        _ if theirs == ours => Ok(None),
        // RFC 3768 7.1: "If the Adver Interval … is not the same … MUST discard the packet".
        Version::V2 => Err(Discard::IntervalDiffers { theirs, ours }),
        // RFC 9568 7.1: "Log the event"; the Active one's interval is used.
        Version::V3 => Ok(Some(Note::IntervalDiffers { theirs, ours })),
    }
}

/// RFC 9568 7.1: MUST NOT drop for it. RFC 3768 7.1 would, unless the owner sends it; keepalived
/// 2.2.7 does, and splits when a VIP is added host by host.
fn differing_addresses(config: &RouterConfig, advert: &Advert) -> Option<Note> {
    let ours: BTreeSet<IpAddr> = config.advertised().into_iter().collect();
    let theirs: BTreeSet<IpAddr> = advert.addresses.iter().copied().collect();
    if ours == theirs {
        return None;
    }
    let only_there = theirs.difference(&ours).copied().collect();
    let only_here = ours.difference(&theirs).copied().collect();
    Some(Note::AddressesDiffer { only_there, only_here })
}
