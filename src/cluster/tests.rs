use super::*;

fn rendered(text: &str) -> String {
    match Cluster::parse("cluster.toml", text) {
        Ok((_, warnings)) => warnings.render(false),
        Err(wrong) => wrong.render(false),
    }
}

const GOOD: &str = r#"version = 1
name = "s3"

[vip]
web = "192.168.142.100"

[host.director1]
role = "director-master"
address = "192.168.142.1/24"
interface = "ens33"

[host.web1]
role = "realserver"
address = "192.168.142.5/24"
interface = "ens33"
"#;

#[test]
fn print_them() {
    for text in [
        GOOD,
        "",
        "version = 2\nname = \"s3\"\n[hots.web1]\nrole = 5.5\n[host.web_1]\nrolle = \"x\"\nadress = \"10.0.0.300/24\"\naddress=\"10.0.0.300/24\"\n",
        &GOOD.replace("142.100", "142.5"),
        &GOOD.replace("142.100", "45.100"),
        &GOOD.replace("142.5/24", "143.5/24"),
        &GOOD.replace("142.5/24", "142.5/25"),
        &GOOD.replace("142.5/24", "142.255/24"),
        &GOOD.replace("[vip]\nweb = \"192.168.142.100\"", "[vip.web]\naddress = \"192.168.142.100\"\nlabel = \"eth0:1\"\n[vip.db]\naddress = \"192.168.142.100\"\n[vip.x]\naddress = [1]"),
        &GOOD.replace("\"192.168.142.1/24\"", "192.168.142.1/24"),
        &GOOD.replace("role = \"realserver\"", "role = realserver\nrole = \"x\""),
        &GOOD.replace("name = \"s3\"", "name = \"s3").replace("[host.web1]", "[host.web1"),
        &GOOD.replace("interface = \"ens33\"", "interface = \"ens33\"\nvars = { a = 1.5, b = [1, [2]], c = { d = 1} }"),
        &GOOD.replace("[host.web1]", "[[host.web1]]"),
        &GOOD.replace("[host.web1]", "[host.director1]"),
        "\u{feff}version = 1\r\nname = \"\r\n",
        "version: 1\nname: s3\n",
        "version 1\n- a\n{}",
        "version = 99999999999999999999999999999\nname = 2024-01-01\nhost = 1\nvip = [\"1.2.3.4\"]\nvars = 1",
    ] {
        println!("=====================\n{}", rendered(text));
    }
}
