//! Export tables as text. Pure.
//!
//! Our own file and the server's live table have the same form: a directory, and clients with their
//! options. What is written is sorted; what cannot be understood is left out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Export, Exports};
use crate::host::mounts::unescape;

const HEADER: &str = "# Written by converge, which writes it anew when a role asks for other \
                      exports.\n# Exports of your own belong into /etc/exports.\n";

/// Options that widen an export or otherwise differ from the defaults. The live table shows the
/// default of each pair too, so one of these that nobody wants is somebody's change.
const BEYOND_DEFAULTS: [&str; 12] = [
    "all_squash",
    "async",
    "crossmnt",
    "insecure",
    "insecure_locks",
    "no_acl",
    "no_root_squash",
    "no_wdelay",
    "nohide",
    "pnfs",
    "rw",
    "subtree_check",
];

/// The file that declares these exports, sorted.
pub(super) fn render(exports: &Exports) -> String {
    let mut text = HEADER.to_owned();
    for ((path, client), options) in exports {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let path = escape(&path.display().to_string());
        text.push_str(&format!("{path} {client}({})\n", options.join(",")));
    }
    text
}

fn escape(path: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '#' | '"' | '\\');
    let mut out = String::new();
    for c in path.chars() {
        if plain(c) {
            out.push(c);
            continue;
        }
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
    out
}

/// Parses `PATH CLIENT(OPTIONS) …` lines; what is not of that form is left out.
pub(super) fn parse(text: &str) -> Exports {
    let mut exports = Exports::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(path) = words.next().map(unescape) else {
            continue;
        };
        for word in words {
            let Some((client, options)) = word.split_once('(') else {
                continue;
            };
            let Some(options) = options.strip_suffix(')') else {
                continue;
            };
            let options = options.split(',').filter(|o| !o.is_empty()).map(normal).collect();
            exports.insert((PathBuf::from(&path), client.to_owned()), options);
        }
    }
    exports
}

/// One spelling for options that have two.
fn normal(option: &str) -> String {
    match option {
        "fsid=root" => "fsid=0",
        "auth_nlm" => "secure_locks",
        "no_auth_nlm" => "insecure_locks",
        "mp" => "mountpoint",
        other => other,
    }
    .to_owned()
}

/// The options in force for an export. Of a host the server's table has the name that the name
/// service calls the right one, which may be any: if no other fits, any host's entry for the same
/// directory is taken to be this one.
pub(super) fn find<'a>(live: &'a Exports, wanted: &Export) -> Option<&'a BTreeSet<String>> {
    named(live, wanted).or_else(|| hosts(live, wanted).next().map(|(_, options)| options))
}

/// Whether an export is in force under its own name, or the longer one of the same host.
pub(super) fn has(live: &Exports, export: &Export) -> bool {
    named(live, export).is_some()
}

fn named<'a>(live: &'a Exports, wanted: &Export) -> Option<&'a BTreeSet<String>> {
    let full = format!("{}.", wanted.client.to_ascii_lowercase());
    let fits = |client: &str| format!("{}.", client.to_ascii_lowercase()).starts_with(&full);
    let longer = || hosts(live, wanted).find(|(client, _)| fits(client));
    live.get(&wanted.key()).or_else(|| longer().map(|(_, options)| options))
}

/// Names and options of the hosts that have the same directory, if `wanted` is for a host.
fn hosts<'a>(
    live: &'a Exports,
    wanted: &Export,
) -> impl Iterator<Item = (&'a str, &'a BTreeSet<String>)> {
    let path = wanted.path.clone();
    let one = is_host_name(&wanted.client);
    let fits = move |p: &PathBuf, client: &str| one && *p == path && is_host_name(client);
    live.iter()
        .filter(move |((p, client), _)| fits(p, client))
        .map(|((_, client), options)| (client.as_str(), options))
}

/// Neither an address or network, nor a wildcard, nor a netgroup.
fn is_host_name(client: &str) -> bool {
    client.starts_with(|c: char| c.is_ascii_alphabetic())
        && client.parse::<std::net::IpAddr>().is_err()
        && !client.contains(['*', '?', '[', '/', ':'])
}

/// Whether the options in force are the wanted ones: all of them, and nothing beyond defaults.
pub(super) fn satisfies(wanted: &BTreeSet<String>, live: &BTreeSet<String>) -> bool {
    let wanted: BTreeSet<String> = wanted.iter().map(|o| normal(o)).collect();
    let loose = |o: &str| live.contains(o) && !wanted.contains(o);
    wanted.is_subset(live) && !BEYOND_DEFAULTS.iter().any(|o| loose(o))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(options: &str) -> BTreeSet<String> {
        options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_line_of_the_live_table_is_understood() {
        let text = "/srv/a\\040b\t192.0.2.0/24(rw,sync,wdelay,hide,nocrossmnt,secure,root_squash,\
                    no_all_squash,no_subtree_check,secure_locks,acl,no_pnfs,fsid=0,\
                    anonuid=65534,anongid=65534,sec=sys,rw,secure,root_squash,no_all_squash)\n";
        let exports = parse(text);
        let options = &exports[&("/srv/a b".into(), "192.0.2.0/24".to_owned())];
        assert!(satisfies(&set("rw,fsid=root,no_subtree_check"), options));
        assert!(!satisfies(&set("ro"), options));
        assert!(!satisfies(&set("rw,fsid=1"), options));
    }

    #[test]
    fn what_is_beyond_the_defaults_has_to_be_wanted() {
        assert!(!satisfies(&set("ro"), &set("ro,sync,no_root_squash")));
        assert!(satisfies(&set("ro,no_root_squash"), &set("ro,sync,no_root_squash")));
        assert!(satisfies(&set(""), &set("ro,sync,root_squash")));
    }

    #[test]
    fn a_host_finds_its_entry_under_another_name() {
        let live = parse("/opt web1.example.org(ro)\n");
        let wanted = |client: &str| Export {
            path: "/opt".into(),
            client: client.into(),
            options: set("ro"),
        };
        assert!(find(&live, &wanted("web1")).is_some());
        assert!(find(&live, &wanted("alias")).is_some());
        assert!(find(&live, &wanted("192.0.2.1")).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            path in "/\\PC{0,12}",
            client in "[a-z0-9.*/]{1,12}",
            options in "[a-z_]{1,6}(,[a-z_]{1,6}){0,3}",
        ) {
            let key = (PathBuf::from(path), client);
            let exports = Exports::from([(key, set(&options).iter().map(|o| normal(o)).collect())]);
            prop_assert_eq!(parse(&render(&exports)), exports);
        }

        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            parse(&text);
        }
    }
}
