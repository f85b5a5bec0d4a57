//! The house rules that a test can hold, over every tracked file.
//!
//! Each test is one rule, and says file, line and rule for each place that breaks it. What a rule
//! searches for is written in pieces here, so that the search does not find itself.

mod scan;
mod tree;

use std::io::Write;

use scan::{blanked, functions, test_lines};
use tree::{Source, Tree};

const LINE: usize = 100;
const FILE: usize = 500;
const FUNCTION: usize = 70;
const MODULE_DOC: std::ops::RangeInclusive<usize> = 3..=15;

/// Files and directories that do no I/O and read no clock.
const PURE: &[&str] = &[
    "src/check/config.rs",
    "src/check/driver/certificate.rs",
    "src/check/driver/notices.rs",
    "src/check/machine/",
    "src/check/outcome.rs",
    "src/check/probe/",
    "src/check/wire/config.rs",
    "src/check/wire/finding.rs",
    "src/check/wire/flow.rs",
    "src/check/wire/knock",
    "src/check/wire/ports.rs",
    "src/check/wire/segment.rs",
    "src/check/wire/watch",
    "src/check/probe/",
    "src/clock.rs",
    "src/cluster/",
    "src/diagnostic/",
    "src/document/",
    "src/frame/arp.rs",
    "src/frame/checksum.rs",
    "src/frame/claim.rs",
    "src/frame/filter.rs",
    "src/frame/icmp.rs",
    "src/frame/ndisc.rs",
    "src/frame/tcp.rs",
    "src/frame/tunnel.rs",
    "src/hook/call.rs",
    "src/hook/config.rs",
    "src/hook/queue.rs",
    "src/ipvs/",
    "src/lab/frame.rs",
    "src/lab/pcap.rs",
    "src/lab/spec.rs",
    "src/lab/switch.rs",
    "src/plan/",
    "src/pool/",
    "src/probe/answer.rs",
    "src/probe/histogram.rs",
    "src/probe/report.rs",
    "src/probe/show.rs",
    "src/probe/tally.rs",
    "src/probe/target.rs",
    "src/role/",
    "src/situation.rs",
    "src/track/condition.rs",
    "src/track/config.rs",
    "src/track/tally.rs",
    "src/vrrp/config.rs",
    "src/vrrp/fingerprint.rs",
    "src/vrrp/key.rs",
    "src/vrrp/link/",
    "src/vrrp/packet.rs",
    "src/vrrp/packet/",
    "src/vrrp/fingerprint.rs",
    "src/vrrp/key.rs",
    "src/vrrp/link/",
    "src/vrrp/router",
    "src/vrrp/simulation/",
    "src/vrrp/speaker",
];

/// What only drivers use. `std::net`'s address types and errno values are data.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "fs::File",
    "fs::read",
    "fs::write",
    "std::process",
    "Command::new",
    "std::env",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "socket2",
    "rtnetlink",
    "reqwest::Client",
    "zbus",
    "rustix",
    "nix::fcntl",
    "nix::fs",
    "nix::mount",
    "nix::sys",
    "nix::unistd",
    "Instant::now",
    "SystemTime",
];

/// Fails with one line for each place that breaks the rule.
#[track_caller]
fn assert_none(rule: &str, faults: Vec<String>) {
    let n = faults.len();
    assert!(faults.is_empty(), "{rule}, but in {n} places:\n  {}\n", faults.join("\n  "));
}

fn at(file: &Source, line: usize, what: impl std::fmt::Display) -> String {
    format!("{}:{line}: {what}", file.path)
}

#[test]
fn no_line_of_rust_is_longer_than_100_columns() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust() {
        for (line, text) in file.lines() {
            let columns = text.chars().count();
            if columns > LINE {
                faults.push(at(file, line, format_args!("{columns} columns")));
            }
        }
    }
    assert_none("A line has at most 100 columns", faults);
}

#[test]
fn no_file_of_rust_is_longer_than_500_lines() {
    let tree = Tree::read();
    let long = tree.rust().filter(|file| file.text.lines().count() > FILE);
    let fault = |file: &Source| at(file, file.text.lines().count(), "the end is too far down");
    assert_none("A file has at most 500 lines", long.map(fault).collect());
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust() {
        for function in functions(&blanked(&file.text)) {
            if function.lines > FUNCTION {
                let what = format!("fn {} has {} lines", function.name, function.lines);
                faults.push(at(file, function.line, what));
            }
        }
    }
    assert_none("A function has at most 70 lines", faults);
}

#[test]
fn every_module_says_what_it_owns_in_3_to_15_lines() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/")) {
        let doc = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        // The main file owns nothing, and a file of tests only its one claim.
        let owns_little = file.is_test() || file.path == "src/main.rs";
        let enough = MODULE_DOC.contains(&doc) || (owns_little && doc > 0);
        if !enough {
            faults.push(at(file, 1, format_args!("the module's doc has {doc} lines")));
        }
    }
    assert_none("A module begins with 3 to 15 lines of //! doc", faults);
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for pure in PURE {
        if !tree.files.iter().any(|file| file.path.starts_with(pure)) {
            faults.push(format!("tests/tidy.rs: {pure} is listed as pure and does not exist"));
        }
    }
    let is_pure = |file: &&Source| PURE.iter().any(|pure| file.path.starts_with(pure));
    for file in tree.rust().filter(is_pure) {
        for (line, code) in code_outside_tests(file) {
            for word in IMPURE.iter().filter(|word| has_word(&code, word)) {
                faults.push(at(file, line, format_args!("{word}")));
            }
        }
    }
    assert_none("A pure module does no I/O and reads no clock", faults);
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    let faults = found_in_src(&[".unwrap()", ".unwrap_err()"]);
    assert_none("An operating error is handled; a programmer's says why it cannot be", faults);
}

#[test]
fn nothing_is_left_to_do() {
    let faults = found_in_src(&["todo!", "unimplemented!", "dbg!"]);
    assert_none("What is committed is finished", faults);
}

#[test]
fn no_test_is_switched_off_without_a_reason() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust() {
        for (line, code) in blanked(&file.text).lines().enumerate() {
            // With a reason: it is one end of a test that runs elsewhere.
            if code.trim_start().starts_with("#[ignore]") {
                faults.push(at(file, line + 1, "why does this test not run?"));
            }
        }
    }
    assert_none("A test that cannot run says so loudly and does not hide", faults);
}

/// Every place of these in the code under `src`, tests left out.
fn found_in_src(words: &[&str]) -> Vec<String> {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/")) {
        for (line, code) in code_outside_tests(file) {
            for word in words.iter().filter(|word| has_word(&code, word)) {
                faults.push(at(file, line, format_args!("{word}")));
            }
        }
    }
    faults
}

/// The numbered lines of a source file, without comments, strings and test modules.
fn code_outside_tests(file: &Source) -> Vec<(usize, String)> {
    if file.is_test() {
        return Vec::new();
    }
    let code = blanked(&file.text);
    let tests = test_lines(&code);
    let numbered = code.lines().enumerate().map(|(i, line)| (i + 1, line.to_owned()));
    numbered.filter(|(line, _)| !tests.iter().any(|test| test.contains(line))).collect()
}

/// Whether the word stands in the code, not as the end of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let whole = |c: char| !(c.is_alphanumeric() || c == '_');
    let starts_as_name = word.starts_with(|c: char| c.is_alphabetic());
    let mut found = code.match_indices(word);
    found.any(|(i, _)| !starts_as_name || code[..i].chars().next_back().is_none_or(whole))
}

#[test]
fn nothing_tracked_names_the_machine_it_was_written_on() {
    let patterns = [
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/."),
        concat!("/Use", "rs/"),
        concat!(".inter", "nal/"),
        concat!("artifact", "ory"),
        concat!("regis", "try.", "npm"),
        concat!("index", "-url"),
        concat!("sparse", "+http"),
    ];
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in &tree.files {
        for (line, text) in file.lines() {
            for pattern in patterns.iter().filter(|pattern| text.contains(**pattern)) {
                faults.push(at(file, line, format_args!("{pattern}")));
            }
        }
    }
    assert_none("No tracked file has a path or a registry of one machine", faults);
}

#[test]
fn every_crate_comes_from_crates_io() {
    let tree = Tree::read();
    let lock = tree.file("Cargo.lock").expect("tracked, for a binary's builds are repeatable");
    let index = ["crates", "io-index"].join(".");
    let crates_io = format!("source = \"registry+https://github.com/rust-lang/{index}\"");
    let is_foreign = |(_, text): &(usize, &str)| text.starts_with("source") && *text != crates_io;
    let foreign = lock.lines().filter(is_foreign).map(|(line, text)| at(lock, line, text));
    assert_none("A crate comes from the registry that cargo uses by itself", foreign.collect());
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let tree = Tree::read();
    let manifest = tree.file("Cargo.toml").expect("tracked");
    let mut faults = Vec::new();
    let (mut among_dependencies, mut reason, mut inside_list) = (false, false, false);
    for (line, text) in manifest.lines() {
        let text = text.trim();
        match text {
            "" => reason = false,
            _ if text.starts_with('#') => reason = true,
            _ if text.starts_with('[') => {
                among_dependencies = text.trim_end_matches(']').ends_with("dependencies");
                reason = false;
            }
            _ if inside_list => inside_list = !text.ends_with("] }"),
            _ => {
                if among_dependencies && !reason {
                    faults.push(at(manifest, line, text));
                }
                inside_list = text.ends_with('[');
            }
        }
    }
    assert_none("A dependency, or its group, has its reason in a comment above it", faults);
}

#[test]
fn roles_name_no_address() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    let roles = tree.files.iter().filter(|file| file.path.starts_with("roles/"));
    for file in roles.filter(|file| file.path.ends_with(".toml")) {
        for (line, text) in file.lines() {
            let value = without_comment(text);
            let words = value.split(|c: char| !(c.is_ascii_hexdigit() || ".:".contains(c)));
            for word in words.filter(|word| is_address(word)) {
                faults.push(at(file, line, word));
            }
        }
    }
    assert_none("A role names hosts by role; addresses stand in the cluster file", faults);
}

/// A TOML line up to its comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (i, c) in line.char_indices() {
        match quote {
            None if c == '#' => return &line[..i],
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            None | Some(_) => {}
        }
    }
    line
}

fn is_address(word: &str) -> bool {
    let host = word.split_once(':').map_or(word, |(host, _port)| host);
    // A bare "::" is Rust's or TOML's before it is an address.
    host.parse::<std::net::Ipv4Addr>().is_ok()
        || (word.len() > 2 && word.parse::<std::net::Ipv6Addr>().is_ok())
}

#[test]
fn the_two_readmes_say_the_same() {
    let tree = Tree::read();
    let (Some(english), Some(chinese)) = (tree.file("README.md"), tree.file("README.zh-CN.md"))
    else {
        // Past the harness, which keeps what a passing test prints to itself.
        let line =
            b"\n######## SKIPPED: README.md and README.zh-CN.md are not both there ########\n";
        std::io::stderr().write_all(line).expect("stderr can be written");
        return;
    };
    let (ours, theirs) = (outline(&english.text), outline(&chinese.text));
    let mut faults = Vec::new();
    if ours.headings != theirs.headings {
        let (a, b) = (&ours.headings, &theirs.headings);
        faults.push(format!("{}:1: levels of headings {b:?}, not {a:?}", chinese.path));
    }
    for (i, block) in ours.blocks.iter().enumerate() {
        if theirs.blocks.get(i) != Some(block) {
            let first = block.lines().next().unwrap_or_default();
            faults.push(format!("{}:1: code block {} ({first}) differs", chinese.path, i + 1));
        }
    }
    if theirs.blocks.len() > ours.blocks.len() {
        faults.push(format!("{}:1: more code blocks than in README.md", chinese.path));
    }
    assert_none("Both READMEs have the same headings and the same code", faults);
}

#[derive(Debug, Default)]
struct Outline {
    headings: Vec<usize>,
    blocks: Vec<String>,
}

/// The levels of a page's headings and its code blocks, whose comments may be in any language.
fn outline(page: &str) -> Outline {
    let mut outline = Outline::default();
    let mut block: Option<String> = None;
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        match &mut block {
            Some(_) if fence => outline.blocks.extend(block.take()),
            Some(code) => {
                let code_of_line = without_comment(line).trim_end();
                if !code_of_line.is_empty() {
                    code.push_str(code_of_line);
                    code.push('\n');
                }
            }
            None if fence => block = Some(String::new()),
            None if line.starts_with('#') => {
                outline.headings.push(line.chars().take_while(|c| *c == '#').count());
            }
            None => {}
        }
    }
    outline
}

#[test]
fn an_outline_has_headings_and_code_without_comments() {
    let found = outline("# A\n```sh\ncargo test # 测试\n# alone\n```\n## B\ntext #\n");
    assert_eq!(found.headings, [1, 2]);
    assert_eq!(found.blocks, ["cargo test\n"]);
}

#[test]
fn an_address_is_told_from_a_number() {
    for address in ["192.0.2.1", "192.0.2.1:80", "2001:db8::1", "::1"] {
        assert!(is_address(address), "{address}");
    }
    for other in ["80", "1.0", "::", "a:b", ""] {
        assert!(!is_address(other), "{other}");
    }
    assert_eq!(without_comment("a = \"#1\" # 192.0.2.1"), "a = \"#1\" ");
}
