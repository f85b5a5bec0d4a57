//! This program, staying resident, as the only director of a cluster.
//!
//! Its role has nothing but virtual servers with checks, and a virtual router if it is to be one
//! of two. Where the kernel has no IPVS it says so and tries again now and then, which is a part of
//! what is measured.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use super::contestant::{Kind, POOLS, Plan, Running};
use super::ground::{self, DIRECTOR, PORT, PREFIX};
use super::peer::{self, INTERVAL, Standby, VIP, VRID};

const CONVERGE: &str = env!("CARGO_BIN_EXE_converge");
const PLACE: &str = "/run/bench";
/// What the directors know each other by.
const KEY: &str = "/run/bench/key";

pub(crate) fn start(plan: Plan) -> io::Result<Running> {
    fs::create_dir_all(format!("{PLACE}/roles"))?;
    fs::write(format!("{PLACE}/roles/director.toml"), role(plan))?;
    let standby = format!("version = 1\nsummary = \"Standby\"\n{}", router(100));
    fs::write(format!("{PLACE}/roles/standby.toml"), standby)?;
    let target = "version = 1\nsummary = \"A target\"\n";
    for pool in 0..POOLS {
        fs::write(format!("{PLACE}/roles/pool{pool}.toml"), target)?;
    }
    fs::write(format!("{PLACE}/cluster.toml"), cluster(plan))?;
    let mut key = fs::OpenOptions::new();
    let mut key = key.write(true).create(true).truncate(true).mode(0o600).open(KEY)?;
    key.write_all("0123456789abcdef".repeat(4).as_bytes())?;
    let mut command = Command::new(CONVERGE);
    command.args(["--watch", "--cluster", "cluster.toml", "--host", "director"]);
    Running::start(command.current_dir(PLACE))
}

/// The other one of the two.
pub(crate) fn stand_by() -> io::Result<Standby> {
    let arguments = "--watch --cluster cluster.toml --host standby";
    Standby::start(&format!("cd {PLACE} && exec {CONVERGE} {arguments}"))
}

fn role(plan: Plan) -> String {
    let check = match plan.kind {
        Kind::Tcp => "kind = \"tcp\"",
        Kind::Http => "kind = \"http\"\nstatus = \"200\"",
    };
    let mut text = "version = 1\nsummary = \"Director\"\n".to_owned();
    if plan.elects {
        text += &router(150);
    }
    for pool in 0..POOLS {
        write!(
            text,
            "\n[[virtual-server]]\naddress = \"{}\"\nports = {PORT}\nprotocol = \"tcp\"\n\
             scheduler = \"rr\"\nforward = \"dr\"\nreal-servers = \"pool{pool}\"\n\
             \n[[virtual-server.check]]\n{check}\nevery = \"1s\"\ntimeout = \"1s\"\nrise = 1\n\
             fall = 1\n",
            format_args!("{{{{vip.v{pool}}}}}"),
        )
        .expect("a string takes anything");
    }
    text
}

/// The router that both directors have, with the priority of one of them.
fn router(priority: u8) -> String {
    format!(
        "\n[[vrrp]]\nname = \"main\"\ninterface = \"eth0\"\nvrid = {VRID}\n\
         priority = {priority}\ninterval = \"{}ms\"\n\
         \n[[hold]]\naddress = \"{VIP}/32\"\ninterface = \"eth0\"\nrouter = \"main\"\n",
        INTERVAL.as_millis()
    )
}

fn cluster(plan: Plan) -> String {
    let mut text = format!("version = 1\nname = \"bench\"\nkey-file = \"{KEY}\"\n\n[vip]\n");
    let mut line = |line: String| {
        text += &line;
        text.push('\n');
    };
    (0..POOLS).for_each(|pool| line(format!("v{pool} = \"{}\"", ground::vip(pool))));
    line(format!(
        "\n[host.director]\nrole = \"director\"\naddress = \"{DIRECTOR}/{PREFIX}\"\n\
         interface = \"eth0\""
    ));
    if plan.elects {
        line(format!(
            "\n[host.standby]\nrole = \"standby\"\naddress = \"{}/{PREFIX}\"\n\
             interface = \"eth0\"",
            peer::ADDRESS
        ));
    }
    for pool in 0..POOLS {
        for n in plan.of_pool(pool) {
            let target = ground::target(n);
            line(format!(
                "\n[host.t{n}]\nrole = \"pool{pool}\"\naddress = \"{target}/{PREFIX}\"\n\
                 interface = \"eth0\""
            ));
        }
    }
    text
}
