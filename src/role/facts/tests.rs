//! Which names there are, and what a wrong template is told.
//!
//! The answers to slips are in `slips.txt`, to be read as a whole; `UPDATE=1` writes it anew.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::document::{Document, Field, Section, Shape, Value};

static TEXTS: Section = Section::new(
    "texts",
    "",
    &[
        Field::optional("content", Shape::Text, "a text"),
        Field::optional("other", Shape::Text, "a text"),
        Field::optional("port", Shape::Integer { min: 1, max: 65535 }, "a port"),
    ],
);

static ROLE: Section =
    Section::new("role", "", &[Field::optional("vars", Shape::Table(&VARS), "variables")]);
static VARS: Section = Section::new("vars", "", &[]).open("a variable", Shape::Var, "its value");

const CLUSTER: &str = r#"
version = 1
name = "s3"
[vip]
web = "192.168.142.100"
[vip.db]
address = "192.168.142.101"
label = "ens33:1"
vars = { port = 3306 }
[host.director1]
role = "director-master"
address = "192.168.142.1/24"
interface = "ens33"
[host.web1]
role = "realserver"
address = "192.168.142.5/24"
interface = "ens33"
vars = { export = "/opt/111" }
[host.web2]
role = "realserver"
address = "192.168.142.6/24"
interface = "ens34"
[host.nfs]
role = "nfs"
address = "192.168.142.9/24"
interface = "ens33"
[vars]
forward = "dr"
"#;

const REALSERVER: &str = r#"
[vars]
export = "/srv/{{me.name}}"
port = 80
source = "{{host.nfs.address}}:{{me.interface}}"
tags = ["a", "{{me.role}}"]
"#;

/// The facts as web1 sees them.
fn facts() -> Facts {
    facts_of("web1", REALSERVER).0
}

fn facts_of(me: &str, role: &str) -> (Facts, Diagnostics) {
    let (cluster, warnings) = Cluster::parse("cluster.toml", CLUSTER).expect("a good file");
    assert_eq!(warnings.render(false), "");
    let (document, _) = Document::parse("roles/realserver.toml", role);
    let collector = Collector::default();
    let root = document.read(&ROLE, None, &collector);
    let vars = root.table("vars").map_or_else(Vec::new, |table| table.vars());
    let vars = vars.into_iter().map(|(name, var)| (name.value, var)).collect();
    let defaults =
        RoleDefaults::from([("realserver".to_owned(), vars), ("client".to_owned(), Vars::new())]);
    let found = Collector::default();
    let survey = json!({ "web": { "flavour": "nginx" } });
    let facts = Facts::new(&cluster, &cluster.hosts[me], &defaults, survey, &found);
    (facts, found.into_diagnostics())
}

/// The template as it would stand in a role file.
fn rendered(facts: &Facts, template: &str) -> Result<String, Diagnostics> {
    let text = format!("content = \"{template}\"\n");
    let source = Source::new("roles/realserver.toml", text);
    let place = Place::new(&source, 10..12 + template.len());
    facts.render(&Spanned::new(template.to_owned(), place))
}

fn render(facts: &Facts, template: &str) -> Result<String, String> {
    rendered(facts, template).map_err(|wrong| wrong.render(false))
}

#[test]
fn every_name_a_role_may_use_is_there() {
    let facts = facts();
    let cases = [
        ("no template", "no template"),
        ("{{vip.web}}:{{vars.port}}", "192.168.142.100:80"),
        ("{{host.nfs.address}}/{{host.nfs.prefix}}", "192.168.142.9/24"),
        ("{{host.nfs.cidr}} {{host.nfs.interface}}", "192.168.142.9/24 ens33"),
        ("{{me.name}} is {{me.role}} {{me.index}}", "web1 is realserver 0"),
        ("{{cluster.name}} {{vars.forward}}", "s3 dr"),
        ("{{vars.export}} {{host.web2.vars.export}}", "/opt/111 /srv/web2"),
        ("{{host.web2.vars.source}}", "192.168.142.9:ens34"),
        (
            "{{#each roles.realserver}}{{name}}={{address}};{{/each}}",
            "web1=192.168.142.5;web2=192.168.142.6;",
        ),
        ("{{#each roles.client}}x{{/each}}", ""),
        (
            "{{#each vips}}{{index}} {{cidr}} {{vars.port}};{{/each}}",
            "0 192.168.142.100/32 80;1 192.168.142.101/32 3306;",
        ),
        ("{{#each vips}}{{#if label}}{{label}}{{else}}-{{/if}} {{/each}}", "ens33:0 ens33:1 "),
        ("{{#each vars.tags}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "a,realserver"),
        ("{{#if (eq survey.web.flavour 'nginx')}}n{{else}}h{{/if}}", "n"),
        (
            "{{#with host.nfs}}{{address}} {{@root.vip.web}}{{/with}}",
            "192.168.142.9 192.168.142.100",
        ),
        ("{{#if vars.absent}}yes{{else}}no{{/if}}", "no"),
        ("<{{cluster.name}}> & 'quoted' \u{4e2d}", "<s3> & 'quoted' \u{4e2d}"),
        ("{{! a comment }}{{~cluster.name~}}  x", "s3x"),
    ];
    for (template, text) in cases {
        assert_eq!(render(&facts, template).as_deref(), Ok(text), "{template}");
    }
}

/// Templates that are wrong.
const SLIPS: &[&str] = &[
    "{{vpi.web}}",
    "{{vip.wbe}}",
    "{{ host.nfs.addres }}",
    "{{vars.exprot}}",
    "{{vars.zzz}}",
    "{{host.nfs}}",
    "{{vips}}",
    "{{#each roles.realservr}}{{name}}{{/each}}",
    "{{#each roles.realserver}}{{addres}}{{/each}}",
    "{{#each roles.realserver}}{{vip.web}}{{/each}}",
    "{{#if vip.wbe}}x{{/if}}",
    "{{#if me.lable}}x{{/if}}",
    "{{#if vars.x}}{{else}}{{vars.exprot}}{{/if}}",
    "{{#if (eq vars.exprot 'x')}}x{{/if}}",
    "{{each.name}}",
    "{{host.[wbe1].name}}",
    "{{roles.client.[0].address}}",
    "{{roles.realserver.[2].address}}",
    "{{vip.web}",
    "a {{}} b",
    "{{#each vips}}x",
    "{{#each vips}}{{/if}}",
    "{{upper vip.web}}",
    "{{> header}}",
];

#[test]
fn an_unknown_name_is_told_at_its_place_with_the_name_that_was_meant() {
    let facts = facts();
    let said = SLIPS.iter().map(|template| match render(&facts, template) {
        Ok(text) => panic!("{template} was rendered: {text}"),
        Err(said) => format!("==== {template}\n\n{said}\n"),
    });
    crate::diagnostic::golden("src/role/facts/slips.txt", &said.collect::<String>());
}

#[test]
fn all_unknown_names_of_a_text_are_told_at_once() {
    let said = render(&facts(), "{{host.nsf.address}}:{{vip.wbe}} {{vars.port}}");
    let golden = r#"
error: `{{host.nsf.address}}`: there is no host `nsf`; did you mean `nfs`?
 --> roles/realserver.toml:1:19
  |
1 | content = "{{host.nsf.address}}:{{vip.wbe}} {{vars.port}}"
  |                   ^^^
  |
  = help: write `{{host.nfs.address}}`

error: `{{vip.wbe}}`: there is no VIP `wbe`; did you mean `web`?
 --> roles/realserver.toml:1:39
  |
1 | content = "{{host.nsf.address}}:{{vip.wbe}} {{vars.port}}"
  |                                       ^^^
  |
  = help: write `{{vip.web}}`

2 errors in roles/realserver.toml
"#;
    assert_eq!(said, Err(golden.trim_start().to_owned()));
}

#[test]
fn a_text_over_several_lines_is_told_of_by_line_and_one_with_escapes_as_a_whole() {
    let text = "content = \"\"\"\nfirst\nä {{vip.wbe}}\n\"\"\"\nother = \"a\\tb {{vip.wbe}}\"\n";
    let (document, _) = Document::parse("role.toml", text);
    let (facts, found) = (facts(), Collector::default());
    let root = document.read(&TEXTS, Some(&facts), &found);
    assert!(root.get::<String>("content").is_none() && root.get::<String>("other").is_none());
    let wrong = found.into_diagnostics();
    let places: Vec<_> =
        wrong.iter().map(|d| (d.place.line_column(), d.place.text().to_owned())).collect();
    let whole = "\"a\\tb {{vip.wbe}}\"".to_owned();
    assert_eq!(places, [((3, 9), "wbe".to_owned()), ((5, 9), whole)]);
}

#[test]
fn a_value_that_is_wrong_once_rendered_shows_what_the_template_stands_for() {
    let (document, _) = Document::parse("role.toml", "port = \"{{vip.web}}\"\n");
    let (facts, found) = (facts(), Collector::default());
    let root = document.read(&TEXTS, Some(&facts), &found);
    assert!(root.get::<u16>("port").is_none());
    let golden = r#"
error: `192.168.142.100` is not a whole number
 --> role.toml:1:8
  |
1 | port = "{{vip.web}}"
  |        ^^^^^^^^^^^^^ `port` must be a whole number from 1 to 65535
  |
  = help: `{{vip.web}}` stands for `192.168.142.100` here

1 error in role.toml
"#;
    assert_eq!(found.into_diagnostics().render(false), golden.trim_start());
}

#[test]
fn a_variable_that_cannot_be_rendered_is_told_once_and_its_uses_are_silent() {
    let role = "[vars]\nexport = \"/srv/{{me.nmae}}\"\nother = \"{{vars.export}}\"\n";
    let (facts, found) = facts_of("web2", role);
    let golden = r#"
error: `{{me.nmae}}`: `me` has no `nmae`; did you mean `name`?
 --> roles/realserver.toml:2:21
  |
2 | export = "/srv/{{me.nmae}}"
  |                     ^^^^
  |
  = help: write `{{me.name}}`

error: `{{vars.export}}`: there is no `vars`
 --> roles/realserver.toml:3:12
  |
3 | other = "{{vars.export}}"
  |            ^^^^
  |
  = help: a variable cannot be made of other variables

2 errors in roles/realserver.toml
"#;
    assert_eq!(found.render(false), golden.trim_start());
    assert_eq!(render(&facts, "{{vars.export}}"), Err(String::new()));
    // web1 has its own, so that the role's default is never looked at.
    assert_eq!(render(&facts, "{{host.web1.vars.export}}").as_deref(), Ok("/opt/111"));
}

#[test]
fn a_repeated_section_sees_its_item() {
    let facts = facts();
    let each = facts.with_each(&EachItem::Host(HostName::parse("web2").expect("a name")));
    assert_eq!(
        render(&each, "{{each.address}} {{each.vars.source}} {{each.index}} {{me.name}}")
            .as_deref(),
        Ok("192.168.142.6 192.168.142.9:ens34 1 web1")
    );
    let each = facts.with_each(&EachItem::Vip(VipName::parse("db").expect("a name")));
    let template = "{{each.cidr}} {{each.index}} {{#if each.label}}{{each.label}}{{/if}}";
    assert_eq!(render(&each, template).as_deref(), Ok("192.168.142.101/32 1 ens33:1"));
    let server = facts.with("server", json!({ "port": 80 }));
    assert_eq!(render(&server, "{{server.port}}").as_deref(), Ok("80"));
}

#[test]
fn a_template_file_is_told_of_by_its_own_lines() {
    let text = "upstream web {
{{#each roles.realserver}}
    server {{adress}}:{{vars.port}};
{{/each}}
}
";
    let file = Source::new("templates/nginx.conf.hbs", text);
    let wrong = facts().render_file(&file).map_err(|wrong| wrong.render(false));
    let golden = r#"
error: `{{adress}}`: there is no `adress`; did you mean `address`?
 --> templates/nginx.conf.hbs:3:14
  |
3 |     server {{adress}}:{{vars.port}};
  |              ^^^^^^
  |
  = help: write `{{address}}`

1 error in templates/nginx.conf.hbs
"#;
    assert_eq!(wrong, Err(golden.trim_start().to_owned()));
    let right = Source::new(file.name.clone(), file.text.replace("adress", "address"));
    assert_eq!(
        facts().render_file(&right).as_deref(),
        Ok("upstream web {\n    server 192.168.142.5:80;\n    server 192.168.142.6:80;\n}\n")
    );
}

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{vip.web}}",
    "{{#each vips}}",
    "{{name}}",
    "{{/each}}",
    "{{#if (eq me.name 'x')}}",
    "{{else}}",
    "{{/if}}",
    "{{../name}}",
    "{{@index}}",
    "{{host.[web1].name}}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_template_is_rendered_or_told_what_is_wrong(
        parts in prop::collection::vec(prop_oneof![
            any::<String>(),
            "[{}#/^&>~!.@a-z ]{0,8}",
            prop::sample::select(PIECES).prop_map(str::to_owned),
        ], 0..8)
    ) {
        thread_local!(static FACTS: Facts = facts());
        let template = parts.concat();
        let file = Source::new("t.hbs", template.clone());
        if let Err(wrong) = FACTS.with(|facts| facts.render_file(&file)) {
            prop_assert!(!wrong.render(false).is_empty());
        }
    }
}
