//! What the output of the tools that build an image means to a person. Pure.
//!
//! Their lines become a phase ("downloading packages") or a cause ("no packages can be reached");
//! what is neither stays in the log, whose tail an error shows.

/// The start of a line of mmdebstrap, and what is being done then.
const PHASES: [(&str, &str); 9] = [
    ("I: automatically chosen mode", "looking for packages"),
    ("I: running apt-get update", "reading package lists"),
    ("I: downloading packages", "downloading packages"),
    ("I: extracting archives", "unpacking the base system"),
    ("I: installing essential packages", "installing the base system"),
    ("I: installing remaining packages", "installing packages"),
    ("I: running --customize-hook", "making it a host with nothing configured"),
    ("lab: writing", "writing the file systems"),
    ("I: removing tempdir", "cleaning up"),
];

/// Parts of lines that mean the packages could not be had.
const UNREACHABLE: [&str; 8] = [
    "Could not resolve",
    "Could not connect",
    "Unable to connect",
    "Temporary failure resolving",
    "Failed to fetch",
    "Connection timed out",
    "does not have a Release file",
    "Unable to locate package",
];

/// What begins with this line of output, if something does.
pub fn phase(line: &str) -> Option<&'static str> {
    PHASES.iter().find(|(start, _)| line.starts_with(start)).map(|(_, phase)| *phase)
}

/// The first line that says that packages could not be had.
pub fn unreachable(output: &str) -> Option<&str> {
    output.lines().find(|line| UNREACHABLE.iter().any(|part| line.contains(part)))
}

/// The last lines of a text, for an error message.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_builder_are_phases_for_a_person() {
        assert_eq!(phase("I: downloading packages with apt..."), Some("downloading packages"));
        assert_eq!(phase("Selecting previously unselected package"), None);
    }

    #[test]
    fn a_missing_mirror_is_recognised() {
        let output =
            "I: running apt-get update...\nErr:1 x\n  Could not resolve 'mirror.example'\n";
        assert_eq!(unreachable(output), Some("  Could not resolve 'mirror.example'"));
        assert_eq!(unreachable("dpkg: error"), None);
    }

    #[test]
    fn a_tail_is_the_end_of_the_text() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }
}
