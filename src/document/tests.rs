//! What is read, and what a wrong file is told.
//!
//! The answers to slips are in `slips.txt`, to be read as a whole; `UPDATE=1` writes it anew.
//! Property tests hold that no text is a panic and no failure is without a reason.

use proptest::prelude::*;

use super::*;

static SERVER: Section = Section::new(
    "virtual_server",
    "A virtual server.",
    &[
        Field::required("vip", Shape::Address, "the address that clients use"),
        Field::required("port", Shape::Integer { min: 1, max: 65535 }, "the port"),
        Field::optional("scheduler", Shape::OneOf(&["rr", "wrr", "wlc"]), "who gets the next one")
            .default("wlc"),
        Field::optional("every", Shape::Duration, "how often"),
        Field::optional("tags", Shape::List(&Shape::Text), "words"),
    ],
);

static SYSCTL: Section =
    Section::new("sysctl", "Kernel parameters.", &[]).open("a parameter", Shape::Text, "its value");

static ROOT: Section = Section::new(
    "role",
    "A role.",
    &[
        Field::optional("name", Shape::Text, "what it is called"),
        Field::optional("sysctl", Shape::Table(&SYSCTL), "kernel parameters"),
        Field::optional("virtual_server", Shape::Tables(&SERVER), "what clients reach"),
    ],
);

/// Reads everything there is to read, and returns it with what is said.
fn read(text: &str) -> (Vec<String>, Diagnostics) {
    let (document, syntax) = Document::parse("role.toml", text);
    let found = Collector::default();
    found.merge(syntax);
    let root = document.read(&ROOT, None, &found);
    let mut values = Vec::new();
    values.extend(root.get::<String>("name").map(|name| name.value));
    if let Some(sysctl) = root.table("sysctl") {
        values.extend(sysctl.open().into_iter().map(|(key, value)| format!("{key}={value}")));
    }
    for server in root.tables("virtual_server") {
        values.extend(server.get::<std::net::IpAddr>("vip").map(|vip| vip.to_string()));
        values.extend(server.get::<u16>("port").map(|port| port.to_string()));
        values.extend(server.get::<String>("scheduler").map(|word| word.value));
        values.extend(server.get::<std::time::Duration>("every").map(|d| format!("{:?}", *d)));
        values.extend(server.list::<String>("tags").into_iter().map(|tag| tag.value));
    }
    (values, found.into_diagnostics())
}

fn said(text: &str) -> String {
    read(text).1.render(false)
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_what_is_right_is_read() {
    let text = r#"
nmae = "web"
[[virtual_server]]
vip = "10.0.0.1"
port = 0
schedular = "rr"
[[virtual_server]]
vip = "10.0.0.2/32"
port = "80"
scheduler = "wlcc"
every = 3
tags = "a"
"#;
    let (values, wrong) = read(text);
    assert_eq!(values, ["10.0.0.1", "80"]);
    let golden = r#"
error: unknown key `nmae` in `role.toml`, did you mean `name`?
 --> role.toml:2:1
  |
2 | nmae = "web"
  | ^^^^
  |
  = help: `name`: what it is called

error: `0` is below 1, the smallest allowed
 --> role.toml:5:8
  |
5 | port = 0
  |        ^ `port` must be a whole number from 1 to 65535

error: unknown key `schedular` in `[[virtual_server]]`, did you mean `scheduler`?
 --> role.toml:6:1
  |
6 | schedular = "rr"
  | ^^^^^^^^^
  |
  = help: `scheduler`: who gets the next one

error: `10.0.0.2/32` has a prefix length; the bare address is `10.0.0.2`
 --> role.toml:8:7
  |
8 | vip = "10.0.0.2/32"
  |       ^^^^^^^^^^^^^ `vip` must be an IP address

error: unknown scheduler `wlcc`, did you mean `wlc`?
  --> role.toml:10:13
   |
10 | scheduler = "wlcc"
   |             ^^^^^^ `scheduler` must be one of rr, wrr, wlc

error: `3` has no unit; write `3s` for seconds
  --> role.toml:11:9
   |
11 | every = 3
   |         ^ `every` must be a length of time, such as "500ms", "3s" or "1m"

error: `tags` must be a list, each a text, not a text
  --> role.toml:12:8
   |
12 | tags = "a"
   |        ^^^
   |
   = help: put it into brackets: tags = ["a"]

7 errors in role.toml
"#;
    assert_eq!(wrong.render(false), golden.trim_start());
}

#[test]
fn a_key_that_was_misspelt_is_not_also_missing() {
    let said = said("[[virtual_server]]\nvpi = \"10.0.0.1\"\n");
    let golden = r#"
error: `[[virtual_server]]` lacks the key `port`
 --> role.toml:1:1
  |
1 | [[virtual_server]]
  | ^^^^^^^^^^^^^^^^^^
  |
  = help: add `port = 1`: the port

error: unknown key `vpi` in `[[virtual_server]]`, did you mean `vip`?
 --> role.toml:2:1
  |
2 | vpi = "10.0.0.1"
  | ^^^
  |
  = help: `vip`: the address that clients use

2 errors in role.toml
"#;
    assert_eq!(said, golden.trim_start());
}

#[test]
fn several_lines_that_are_not_toml_are_told_in_one_pass_and_nothing_is_guessed_of_the_rest() {
    let said = said("name = \"web\n[[virtual_server\nvip = 10.0.0.1\n[sysctl]\na: 1\nb = 2\n");
    let golden = r#"
error: this text is not closed with `"`
 --> role.toml:1:8
  |
1 | name = "web
  |        ^^^^

error: this header is not closed with `]]`
 --> role.toml:2:1
  |
2 | [[virtual_server
  | ^^^^^^^^^^^^^^^^
  |
  = help: write [[virtual_server]]

error: `=` stands between a key and its value, not `:`
 --> role.toml:5:2
  |
5 | a: 1
  |  ^
  |
  = help: write a = 1

3 errors in role.toml
"#;
    assert_eq!(said, golden.trim_start());
}

/// Lines that are not TOML.
const SLIPS: &[&str] = &[
    "a = web1 # c",
    "a = 10.0.0.1/24",
    "a = 5s",
    "a = “x”",
    "a = True",
    "a = 1;",
    "a = 012",
    "a =",
    "a == 1",
    "= 1",
    "a: b",
    "a b = 1",
    "include \"x\"",
    "// c",
    "- a",
    "a = 1 b = 2",
    "a = \"x\"y\"",
    "a = \"x",
    "a = \"C:\\q\"",
    "a = \"\"\"x\ny",
    "a = [1, 2",
    "a = [1 2]",
    "a = { b = 1",
    "[a",
    "[a b]",
    "[a]]",
    "a = 1\na = 2",
    "[a]\n[b]\n[a]",
    "a = 1\na.b = 2",
];

#[test]
fn a_slip_in_a_line_is_answered_with_the_line_as_it_would_be_right() {
    let said = SLIPS.iter().map(|text| {
        let (_, wrong) = Document::parse("f.toml", *text);
        assert!(wrong.has_errors(), "{text:?}");
        format!("==== {text}\n\n{}\n", wrong.render(false))
    });
    crate::diagnostic::golden("src/document/slips.txt", &said.collect::<String>());
}

#[test]
fn dotted_keys_of_an_open_section_are_one_key() {
    let text = "[sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.vs.conntrack = true\n\"a.b\" = \"x\"\n";
    let (values, wrong) = read(text);
    assert_eq!(wrong.render(false), "");
    assert_eq!(values, ["net.ipv4.ip_forward=1", "net.ipv4.vs.conntrack=true", "a.b=x"]);
}

#[test]
fn json_has_what_an_editor_needs() {
    let (_, wrong) = read("name = [1]\n");
    let json = wrong.to_json();
    assert_eq!(json[0]["file"], "role.toml");
    assert_eq!(json[0]["line"], 1);
    assert_eq!(json[0]["column"], 8);
    assert_eq!(json[0]["end_column"], 11);
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["title"], "`name` must be a text, not a list");
}

#[test]
#[should_panic(expected = "section `role` has no key `nmae`")]
fn asking_for_a_key_that_the_section_does_not_have_is_our_own_mistake() {
    let (document, _) = Document::parse("role.toml", "");
    let found = Collector::default();
    document.read(&ROOT, None, &found).get::<String>("nmae");
}

const GOOD: &str = r#"# a role
name = "web"

[sysctl]
net.ipv4.ip_forward = 1

[[virtual_server]]
vip = "10.0.0.1"
port = 80
scheduler = 'rr'
tags = ["a", """b
c"""]

[[virtual_server]]
vip = "fd00::1"
port = "443"
every = "500ms"
"#;

/// A good file with one stretch replaced by something.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[\\[\\]{}=.,\"'#\\\\\n\r\t a-z0-9]{0,6}",
        Just("\n[sysctl]\n".to_owned()),
        Just("[[virtual_server]]".to_owned()),
        Just("\"\"\"".to_owned()),
    ];
    (0..GOOD.len(), 0..12usize, piece).prop_map(|(at, gone, piece)| {
        let at = GOOD.floor_char_boundary(at);
        let end = GOOD.floor_char_boundary((at + gone).min(GOOD.len()));
        format!("{}{piece}{}", &GOOD[..at], &GOOD[end..])
    })
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    let (document, syntax) = Document::parse("role.toml", text);
    let fails = toml::from_str::<toml::Table>(text).is_err();
    prop_assert_eq!(fails, syntax.has_errors());
    drop(document);
    let (_, wrong) = read(text);
    let shown = wrong.render(false);
    prop_assert_eq!(shown.is_empty(), wrong.is_empty());
    prop_assert!(wrong.render(true).len() >= shown.len());
    prop_assert_eq!(wrong.to_json().as_array().map(Vec::len), Some(wrong.sorted().len()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_read_or_told_what_is_wrong(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn any_bytes_are_read_or_told_what_is_wrong(bytes in any::<Vec<u8>>()) {
        survives(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn a_good_file_with_a_slip_is_read_or_told_what_is_wrong(text in mutated()) {
        survives(&text)?;
    }
}
