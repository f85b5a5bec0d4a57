//! How `converge render` shows what VRRP is told: routers with their VIPs and peers, tracks, hooks.
//!
//! The form is that of the resources below them, without the sign: nothing here is made by a
//! change. A password is not shown.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use crate::hook::config::HookConfig;
use crate::resource::Desired;
use crate::role::Role;
use crate::role::words;
use crate::situation::Situation;
use crate::track::config::TrackConfig;
use crate::vrrp::config::{Family, Priority, RouterConfig, Version, Vip};

/// All of it as text.
pub fn text(role: &Role, situation: &Situation, desired: &Desired) -> String {
    let mut out = String::new();
    for router in role.routers() {
        let place = role.place_of(&router.name).map(ToString::to_string).unwrap_or_default();
        heading(&mut out, &format!("router {}  ({place})", router.name));
        let holds = situation.of(&router.name).holds();
        fields(&mut out, &of_router(router, holds));
        let needs = role.vip_needs(&router.name, desired);
        needs.iter().for_each(|id| field(&mut out, "needs", id));
    }
    for track in role.tracks() {
        heading(&mut out, &format!("track {}", track.name));
        fields(&mut out, &of_track(track));
    }
    for hook in role.hooks() {
        heading(&mut out, &format!("notify {}", hook.argv.join(" ")));
        fields(&mut out, &of_hook(hook));
    }
    out
}

/// All of it for a program.
pub fn as_json(role: &Role, situation: &Situation, desired: &Desired) -> Json {
    let object = |pairs: Vec<(String, String)>| -> Json {
        Json::Object(pairs.into_iter().map(|(key, value)| (key, json!(value))).collect())
    };
    let router = |router: &RouterConfig| {
        let mut said = object(of_router(router, situation.of(&router.name).holds()));
        said["name"] = json!(router.name);
        said["source"] = json!(role.place_of(&router.name).map(ToString::to_string));
        said["needs"] = json!(role.vip_needs(&router.name, desired));
        said
    };
    let track = |track: &TrackConfig| {
        let mut said = object(of_track(track));
        said["name"] = json!(track.name);
        said
    };
    let hook = |hook: &HookConfig| {
        let mut said = object(of_hook(hook));
        said["run"] = json!(hook.argv);
        said
    };
    json!({
        "routers": role.routers().iter().map(router).collect::<Vec<_>>(),
        "tracks": role.tracks().iter().map(track).collect::<Vec<_>>(),
        "hooks": role.hooks().iter().map(hook).collect::<Vec<_>>(),
    })
}

pub(super) fn heading(out: &mut String, text: &str) {
    writeln!(out, "  {text}").expect("a text takes everything");
}

fn field(out: &mut String, key: &str, value: impl std::fmt::Display) {
    writeln!(out, "    {key} = {value}").expect("a text takes everything");
}

pub(super) fn fields(out: &mut String, pairs: &[(String, String)]) {
    pairs.iter().for_each(|(key, value)| field(out, key, value));
}

fn of_router(router: &RouterConfig, holds: bool) -> Vec<(String, String)> {
    let mut pairs = vec![
        pair("protocol", protocol(router)),
        pair("vrid", router.vrid),
        pair("priority", router.priority),
        pair("interval", words::written(router.interval.get())),
        pair("preempt", words::of_preempt(router.preempt)),
    ];
    if !router.start_delay.is_zero() {
        pairs.push(pair("start-delay", words::written(router.start_delay)));
    }
    pairs.extend(router.sync_group.iter().map(|group| pair("sync-group", group)));
    pairs.extend(router.password.iter().map(|_| pair("password", "(set)")));
    let peers = router.peers.iter();
    pairs.extend(peers.map(|peer| {
        pair(&format!("peers.{}", peer.name), at_priority(&peer.address, peer.priority))
    }));
    pairs.extend(router.vips.iter().map(|vip| vip_line(vip, holds)));
    pairs
}

pub(super) fn pair(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn at_priority(address: &std::net::IpAddr, priority: Priority) -> String {
    format!("{address}, priority {priority}")
}

fn protocol(router: &RouterConfig) -> String {
    let version = match router.version {
        Version::V2 => "VRRPv2",
        Version::V3 => "VRRPv3",
    };
    let family = match router.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    let transport = words::of_transport(router.transport);
    let (source, interface) = (router.source, &router.interface);
    format!("{version} over {family}, {transport} from {source} on {interface}")
}

fn vip_line(vip: &Vip, holds: bool) -> (String, String) {
    let label = vip.label.as_ref().map(|label| format!(", label {label}")).unwrap_or_default();
    let when = if holds { "now" } else { "while Active" };
    (format!("vips.{}", vip.address), format!("on {}{label}, {when}", vip.interface))
}

fn of_track(track: &TrackConfig) -> Vec<(String, String)> {
    let (every, timeout) = (words::written(track.every), words::written(track.timeout));
    let looks = format!("every {every} for {timeout}, rise {}, fall {}", track.rise, track.fall);
    let mut pairs = vec![pair("watches", &track.what), pair("looks", looks)];
    let reversed = if track.reverse { "good" } else { "bad" };
    pairs.push(match track.weight {
        0 => pair(reversed, "fault"),
        weight => pair("weight", weight),
    });
    let routers = if track.routers.is_empty() { "all".into() } else { track.routers.join(", ") };
    pairs.push(pair("routers", routers));
    pairs
}

fn of_hook(hook: &HookConfig) -> Vec<(String, String)> {
    let on: Vec<&str> = hook.on.iter().map(|on| on.alias()).collect();
    let mut pairs = vec![pair("on", on.join(", ")), pair("timeout", words::written(hook.timeout))];
    pairs.extend(hook.user.iter().map(|user| pair("user", user)));
    pairs.push(pair("router", hook.router.as_deref().unwrap_or("all")));
    pairs
}
