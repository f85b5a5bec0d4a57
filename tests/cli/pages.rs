//! Completions, man pages and schemas are made from what parses, so they hold.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Desk, GOOD};

/// What a program makes of a text; nothing if it is not there.
fn read_by(program: &[&str], text: &str) -> Option<std::process::Output> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut input = child.stdin.take()?;
    input.write_all(text.as_bytes()).expect("the program reads");
    drop(input);
    child.wait_with_output().ok()
}

#[test]
fn each_shell_gets_completions_that_name_the_commands() {
    let desk = Desk::new("completion", GOOD);
    for (shell, begins) in
        [("bash", "_converge()"), ("zsh", "#compdef converge"), ("fish", "complete -c converge")]
    {
        let text = desk.converge(&["completion", shell]).ends(0).out;
        for part in [begins, "render", "lab", "--cluster"] {
            // fish has long options without their dashes.
            let part = if shell == "fish" { part.trim_start_matches("--") } else { part };
            assert!(text.contains(part), "{shell}: no {part}");
        }
        if let Some(output) = read_by(&[shell, "-n"], &text) {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
}

#[test]
fn every_command_has_a_man_page() {
    let desk = Desk::new("man", GOOD);
    for (words, title) in [
        ("", "converge"),
        ("probe", "converge\\-probe"),
        ("drain", "converge\\-drain"),
        ("check", "converge\\-check"),
        ("lab", "converge\\-lab"),
        ("lab up", "converge\\-lab\\-up"),
        ("lab link loss", "converge\\-lab\\-link\\-loss"),
    ] {
        let arguments: Vec<_> = ["man"].into_iter().chain(words.split_whitespace()).collect();
        let page = desk.converge(&arguments).ends(0).out;
        let header = format!(".TH {} 8", title.replace('\\', ""));
        assert!(page.lines().any(|line| line.starts_with(&header)), "{words}: {page}");
        assert!(page.contains(&format!(".SH NAME\n{title} \\- ")), "{words}: {page}");
    }
    let top = desk.converge(&["man"]).ends(0).out;
    assert!(top.contains("converge\\-lab(8)"), "{top}");
    let drain = desk.converge(&["man", "drain"]).ends(0).out;
    for (page, parts) in [
        (&top, &["\\fB5\\fR\nanother converge is at work", "\\fBCONVERGE_LOG\\fR\n"][..]),
        (&drain, &["\\fB1\\fR\nit could not be said", "\\fBCONVERGE_CLUSTER\\fR\nthe cluster"]),
    ] {
        for part in parts.iter().chain(&[".SH \"EXIT STATUS\"", ".SH ENVIRONMENT"]) {
            assert!(page.contains(part), "no {part:?} in {page}");
        }
        assert!(!page.contains("Exit codes:"), "twice in {page}");
    }
    let unknown = desk.converge(&["man", "lab", "upp"]).ends(64);
    unknown.complains(&["no command `converge lab upp`", "run, up, down"]);
    for (word, parts) in [
        ("nope", &["no command `converge nope`", "`converge man COMMAND` shows", "servers, drain"]),
        ("servres", &["no command", "did you mean `converge man servers`?", "apply, release"]),
        (
            "converge-drain",
            &["no command", "did you mean `converge man drain`?", "`converge man C"],
        ),
    ] {
        desk.converge(&["man", word]).ends(64).complains(parts);
    }
    let up = desk.converge(&["man", "lab", "up", "now"]).ends(64);
    up.complains(&["`converge lab up` has no commands of its own: `converge man lab up`"]);
}

#[test]
fn the_schemas_are_json_with_the_keys_of_the_files() {
    let desk = Desk::new("schema", GOOD);
    for (of, keys) in [
        ("cluster", &["version", "name", "vip", "host", "vars"][..]),
        ("role", &["version", "summary", "virtual-server", "mount", "export", "web", "unit"]),
    ] {
        let text = desk.converge(&["schema", of]).ends(0).out;
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert!(schema["$schema"].is_string(), "{text}");
        for key in keys {
            assert!(schema["properties"][key].is_object(), "{of}: no {key} in {text}");
        }
    }
}
