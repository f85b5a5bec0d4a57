//! Which of the host's package sources an image is built from. Pure.
//!
//! The image takes the host's own mirrors, whatever they are, but only those of its release: a
//! third party's repository would add nothing and could be the one that cannot be reached.

/// Names that a release has besides its code name.
const ALIASES: [&str; 6] = ["stable", "oldstable", "testing", "unstable", "sid", "rc-buggy"];

/// Options of apt that say how packages are reached, by the start of their names.
const APT_OPTIONS: [&str; 6] = [
    "Acquire::http",
    "Acquire::https",
    "Acquire::Retries",
    "Acquire::Check-",
    "Acquire::AllowInsecure",
    "Acquire::ForceIPv",
];

/// The stanzas of a `.sources` file for this release, unchanged.
pub fn stanzas_for(suite: &str, text: &str) -> String {
    let stanzas = text.split("\n\n").filter(|stanza| stanza_is_for(suite, stanza));
    stanzas.map(|stanza| format!("{}\n\n", stanza.trim_matches('\n'))).collect()
}

/// The lines of a `.list` file for this release, unchanged.
pub fn lines_for(suite: &str, text: &str) -> String {
    let lines = text.lines().filter(|line| line_is_for(suite, line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What `apt-config dump` says about how packages are reached, as a configuration file.
pub fn apt_options(dump: &str) -> String {
    let wanted = |line: &&str| {
        let starts = APT_OPTIONS.iter().any(|start| line.starts_with(start));
        starts && !line.ends_with("\"\";")
    };
    dump.lines().filter(wanted).map(|line| format!("{line}\n")).collect()
}

fn stanza_is_for(suite: &str, stanza: &str) -> bool {
    let field = |name: &str| {
        let line = stanza.lines().find(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        });
        line.map(|line| line[name.len()..].trim())
    };
    let disabled = field("Enabled:").is_some_and(|value| value.eq_ignore_ascii_case("no"));
    let binary = field("Types:").is_some_and(|types| types.split_whitespace().any(|t| t == "deb"));
    let suites = field("Suites:").unwrap_or_default();
    binary && !disabled && suites.split_whitespace().any(|name| belongs(suite, name))
}

fn line_is_for(suite: &str, line: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix("deb ") else {
        return false;
    };
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    rest.split_whitespace().nth(1).is_some_and(|name| belongs(suite, name))
}

fn belongs(suite: &str, name: &str) -> bool {
    let matches = |start: &str| {
        name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '/']))
    };
    matches(suite) || ALIASES.iter().any(|alias| matches(alias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stanzas_of_the_release_stay_and_others_go() {
        let text = "# a comment\nTypes: deb\nURIs: http://mirror.example/debian\n\
            Suites: bookworm bookworm-updates\nComponents: main\n\n\
            Types: deb\nURIs: https://vendor.example\nSuites: nodistro\n\n\
            Types: deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\n\n\
            Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm\n";
        let kept = stanzas_for("bookworm", text);
        assert!(kept.contains("mirror.example") && kept.contains("# a comment"));
        assert!(!kept.contains("vendor.example") && !kept.contains("off.example"));
        assert_eq!(kept.matches("Types:").count(), 1);
    }

    #[test]
    fn lines_of_the_release_stay_and_others_go() {
        let text = "deb http://a.example/debian bookworm main\n\
            # deb http://b.example/debian bookworm main\n\
            deb-src http://c.example/debian bookworm main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://d.example/s bookworm-security main\n\
            deb http://e.example/apt cloud-sdk-bookworm main\n\
            deb http://f.example/debian stable main\n";
        let kept = lines_for("bookworm", text);
        let starts: Vec<_> = kept.lines().map(|line| &line[4..12]).collect();
        assert_eq!(starts, ["http://a", "[arch=am", "http://f"]);
    }

    #[test]
    fn the_proxy_comes_along_and_the_rest_stays_behind() {
        let dump = "Acquire \"\";\nAcquire::http \"\";\n\
            Acquire::http::Proxy \"http://proxy.example:3128\";\n\
            Acquire::IndexTargets::deb::Packages::MetaKey \"x\";\nDPkg::Post-Invoke:: \"rm\";\n";
        assert_eq!(apt_options(dump), "Acquire::http::Proxy \"http://proxy.example:3128\";\n");
    }

    proptest! {
        #[test]
        fn arbitrary_files_do_not_panic(text in "\\PC{0,60}(\n|\n\n|deb |\\[|Suites: )\\PC{0,60}") {
            stanzas_for("bookworm", &text);
            lines_for("bookworm", &text);
            apt_options(&text);
        }
    }
}
