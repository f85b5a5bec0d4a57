//! `converge --watch` and `converge release`: the resident converge, and what comes after it.
//!
//! Reads the files, once at the start and again at every reload, and the directors' key beside
//! them. What is done with them is in [`crate::daemon`].

use std::sync::Arc;

use super::load::{self, Failure, Loaded};
use super::{Exit, Global, keyfile, need};
use crate::daemon::{self, Configuration, release::Released};
use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::vrrp::driver::{LinkSettings, Settings};
use crate::vrrp::fingerprint::Digests;
use crate::vrrp::key::{self, Key};

/// Stays until it is told to end.
pub fn run(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        let _lock = load::lock_patiently(&host).await?;
        let first = configuration(global, &host).await?;
        let again = async || match configuration(global, &host).await {
            Ok(configuration) => Ok(configuration),
            Err(failure) => Err(load::text(&failure)),
        };
        daemon::run(&host, first, again).await.map_err(Failure::Watch)?;
        Ok(Exit::Done)
    })
}

/// Gives the VIPs of a converge that is gone to a peer.
pub fn release(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        let _lock = load::lock_patiently(&host).await?;
        let mut bad = None;
        let load = async || match configuration(global, &host).await {
            Ok(configuration) => Some(configuration),
            Err(failure) => {
                bad = Some(failure);
                None
            }
        };
        let released = daemon::release::run(&host, load).await?;
        let exit = bad.map_or(Exit::Done, |failure| load::say(&failure));
        if !global.quiet {
            super::print(&said(released));
        }
        Ok(if matches!(released, Released::Left(..)) { Exit::Failed } else { exit })
    })
}

fn said(released: Released) -> String {
    match released {
        Released::Nothing => "no VIP of VRRP is on this host".into(),
        Released::Awaited => "the VIPs stay for a converge that is about to take them up again, \
                              or until their lease ends"
            .into(),
        Released::Gone(1) => "1 VIP released".into(),
        Released::Gone(n) => format!("{n} VIPs released"),
        Released::Left(of, n) => {
            format!("{n} of {of} VIPs are still here; they go when their lease ends")
        }
    }
}

async fn configuration(global: &Global, host: &Host) -> Result<Configuration, Failure> {
    let loaded = load::this_host(global, host).await?;
    // A role that contradicts itself is refused here, and not when it is needed.
    loaded.desired()?;
    // Without the lines that they are about: one may hold a password, and logs are read by many.
    let said = |warning: &Diagnostic| format!("{}: {}", warning.place, warning.title);
    let mut warnings: Vec<String> = loaded.warnings.iter().map(said).collect();
    // A cluster's warning may come once for each of its hosts.
    warnings.dedup();
    let key =
        if loaded.role.routers().is_empty() { None } else { key(host, &loaded, &mut warnings)? };
    let link = key.and_then(|key| link(&loaded, key));
    let needs = loaded.role.needs().to_vec();
    let missing = move || {
        let mut missing: Vec<String> = need::missing(&needs).iter().map(said).collect();
        missing.dedup();
        missing
    };
    Ok(Configuration {
        heading: loaded.heading(),
        vrrp: Settings { link },
        warnings,
        missing: Box::new(missing),
        role: loaded.role,
    })
}

/// The directors' key; without one they hear of each other by VRRP alone.
fn key(host: &Host, loaded: &Loaded, warnings: &mut Vec<String>) -> Result<Option<Key>, Failure> {
    let path = &loaded.cluster.key_file.value;
    let shown = path.display().to_string();
    let Some(found) = keyfile::find(host, path)? else {
        warnings.push(format!(
            "there is no key {shown}: a director whose converge dies is missed only when its \
             advertisements are; {}",
            key::fresh(&shown)
        ));
        return Ok(None);
    };
    if let Some((title, help)) = keyfile::seen_by_others(path, &found) {
        warnings.push(format!("{title}; {help}"));
    }
    let text = String::from_utf8_lossy(&found.bytes);
    Ok(Some(Key::parse(&shown, &text).map_err(|error| Failure::Key(error.to_string()))?))
}

fn link(loaded: &Loaded, key: Key) -> Option<LinkSettings> {
    let me = loaded.cluster.hosts.get(&loaded.role.host)?;
    let routers = loaded.role.routers().iter();
    let peers = routers.flat_map(|router| &router.peers).map(|peer| peer.name.clone());
    let address = |name: String| {
        let host = loaded.cluster.hosts.values().find(|host| host.name.as_str() == name)?;
        Some((name, host.address.addr()))
    };
    let mut digests = Digests::new(&key);
    digests.add_cluster(&loaded.cluster.source.text);
    loaded.catalog.role_texts().for_each(|(name, text)| digests.add_role(name, text));
    loaded.catalog.template_texts().for_each(|(name, text)| digests.add_template(name, text));
    Some(LinkSettings {
        host: loaded.role.host.to_string(),
        address: me.address.addr(),
        interface: Some(me.interface.value.to_string()),
        peers: peers.filter_map(address).collect(),
        digests: Arc::new(digests),
        key,
    })
}
