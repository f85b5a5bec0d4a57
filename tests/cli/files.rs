//! Wrong files are refused with the place and the way out, and right ones are printed as they are.

use std::path::Path;

use serde_json::Value;

use super::{Desk, GOOD};

/// A key and a role that do not exist, on lines 10 and 9.
fn wrong() -> String {
    GOOD.replacen("role = \"director-master\"", "role = \"director-mastr\"", 1).replacen(
        "address = \"192.168.142.3/24\"",
        "adress = \"192.168.142.3/24\"",
        1,
    )
}

#[test]
fn a_wrong_file_ends_with_78_and_every_fault_has_its_place_and_what_was_meant() {
    let desk = Desk::new("wrong", &wrong());
    for command in [&["lint"][..], &["plan", "--host", "web1"], &["render", "--host", "web1"]] {
        let said = desk.converge(command).ends(78);
        said.complains(&["cluster.toml:10:1", "adress", "did you mean `address`"]);
        assert_eq!(said.out, "", "{command:?}");
    }
}

#[test]
fn lint_as_json_has_file_line_and_column_of_every_fault() {
    let desk = Desk::new("json", &wrong());
    let said = desk.converge(&["lint", "-o", "json"]).ends(78);
    let found: Value = serde_json::from_str(&said.out).expect("JSON on standard output");
    let adress = found.as_array().and_then(|all| all.iter().find(|d| d["line"] == 10));
    let adress = adress.unwrap_or_else(|| panic!("nothing on line 10 in {found:#}"));
    assert_eq!((&adress["file"], &adress["column"]), (&"cluster.toml".into(), &1.into()));
    assert_eq!(adress["severity"], "error");

    let right = Desk::new("right", GOOD).converge(&["lint", "-o", "json"]).ends(0);
    assert_eq!(right.out, "[]\n");
}

#[test]
fn colour_comes_on_demand_and_goes_with_no_color() {
    let desk = Desk::new("colour", &wrong());
    let colourful = |arguments: &[&str], environment: &[&str]| {
        let binary = Path::new(env!("CARGO_BIN_EXE_converge"));
        let mut command = desk.command(binary, arguments);
        command.envs(environment.iter().map(|name| (*name, "1")));
        super::said(command).ends(78).err.contains('\x1b')
    };
    assert!(!colourful(&["lint"], &[]), "a pipe");
    assert!(colourful(&["lint", "--color", "always"], &[]));
    // As on a terminal.
    assert!(colourful(&["lint"], &["CLICOLOR_FORCE"]));
    assert!(!colourful(&["lint"], &["CLICOLOR_FORCE", "NO_COLOR"]));
    assert!(!colourful(&["lint", "--color", "never"], &["CLICOLOR_FORCE"]));
}

#[test]
fn one_file_is_printed_exactly_as_it_would_be_written() {
    let desk = Desk::new("render", GOOD);
    let all = desk.converge(&["render", "--host", "web1", "-o", "json"]).ends(0);
    let all: Value = serde_json::from_str(&all.out).expect("JSON on standard output");
    assert_eq!((&all["host"], &all["role"]), (&"web1".into(), &"realserver".into()));
    let path = "/etc/nginx/conf.d/converge.conf";
    let one = desk.converge(&["render", "--host", "web1", path]).ends(0).out;
    let resources = all["resources"].as_array().expect("a list");
    let file = resources.iter().find(|r| r["id"]["name"] == path).expect("the site is written");
    assert_eq!(file["resource"]["content"], one, "{file:#}");
    assert!(one.contains("server {") && one.ends_with('\n'), "{one}");

    let none = desk.converge(&["render", "--host", "web1", "/etc/nothing"]).ends(64);
    none.complains(&["no file /etc/nothing", path]);
}
