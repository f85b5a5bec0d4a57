use serde_json::json;

use super::*;
use crate::document::{Document, Field, Section, Shape};

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
    let defaults = RoleDefaults::from([
        ("realserver".to_owned(), vars),
        ("client".to_owned(), Vars::new()),
    ]);
    let found = Collector::default();
    let survey = json!({ "web": { "flavour": "nginx" } });
    let facts = Facts::new(&cluster, &cluster.hosts[me], &defaults, survey, &found);
    (facts, found.into_diagnostics())
}

/// The template as it would stand in a role file.
fn render(facts: &Facts, template: &str) -> Result<String, String> {
    let text = format!("content = \"{template}\"\n");
    let source = Source::new("roles/realserver.toml", text);
    let place = Place::new(&source, 10..12 + template.len());
    let rendered = facts.render(&Spanned::new(template.to_owned(), place));
    rendered.map_err(|wrong| wrong.render(false))
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
        ("{{#each roles.realserver}}{{name}}={{address}};{{/each}}", "web1=192.168.142.5;web2=192.168.142.6;"),
        ("{{#each roles.client}}x{{/each}}", ""),
        ("{{#each vips}}{{index}} {{cidr}} {{vars.port}};{{/each}}", "0 192.168.142.100/32 80;1 192.168.142.101/32 3306;"),
        ("{{#each vips}}{{#if label}}{{label}}{{else}}-{{/if}} {{/each}}", "ens33:0 ens33:1 "),
        ("{{#each vars.tags}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "a,realserver"),
        ("{{#if (eq survey.web.flavour 'nginx')}}n{{else}}h{{/if}}", "n"),
        ("{{#with host.nfs}}{{address}} {{@root.vip.web}}{{/with}}", "192.168.142.9 192.168.142.100"),
        ("{{#if vars.absent}}yes{{else}}no{{/if}}", "no"),
        ("<{{cluster.name}}> & 'quoted' \u{4e2d}", "<s3> & 'quoted' \u{4e2d}"),
        ("{{! a comment }}{{~cluster.name~}}  x", "s3x"),
    ];
    for (template, text) in cases {
        assert_eq!(render(&facts, template).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn print_them() {
    let facts = facts();
    for template in [
        "mount {{host.nsf.address}}:/opt {{vip.wbe}}",
        "{{vpi.web}}",
        "{{host.nfs.addres}}",
        "{{vars.exprot}}",
        "{{host.nfs}}",
        "{{vips}}",
        "{{#each roles.realservr}}{{name}}{{/each}}",
        "{{#each roles.realserver}}{{addres}}{{/each}}",
        "{{#each roles.realserver}}{{vip.web}}{{/each}}",
        "{{#if vip.wbe}}x{{/if}}",
        "{{#if vars.x}}x{{else}}{{vars.foo}}{{/if}}",
        "{{#if (eq vars.exprot 'x')}}x{{/if}}",
        "{{each.name}}",
        "{{vip.web}",
        "{{#each roles.nfs}}",
        "{{#each roles.nfs}}{{/if}}",
        "{{upper vip.web}}",
        "{{> header}}",
        "{{}}",
        "{{survey.wbe}}",
        "{{vars}}",
        "{{#each roles.realserver}}{{vars.zzz}}{{/each}}",
        "ä{{#each roles.realserver}}{{#if true}}{{vars.zzz}}{{/if}}{{/each}}",
    ] {
        println!("{}", render(&facts, template).unwrap_or_else(|e| e));
    }
}
