//! This program, staying resident, as the only director of a cluster.
//!
//! Its role has nothing but virtual servers with checks. Where the kernel has no IPVS it says so
//! and tries again now and then, which is a part of what is measured.

use std::fmt::Write;
use std::fs;
use std::io;
use std::process::Command;

use super::contestant::{Kind, POOLS, Plan, Running};
use super::ground::{self, DIRECTOR, PORT, PREFIX};

const CONVERGE: &str = env!("CARGO_BIN_EXE_converge");
const PLACE: &str = "/run/bench";

pub(crate) fn start(plan: Plan) -> io::Result<Running> {
    fs::create_dir_all(format!("{PLACE}/roles"))?;
    fs::write(format!("{PLACE}/roles/director.toml"), role(plan))?;
    let target = "version = 1\nsummary = \"A target\"\n";
    for pool in 0..POOLS {
        fs::write(format!("{PLACE}/roles/pool{pool}.toml"), target)?;
    }
    fs::write(format!("{PLACE}/cluster.toml"), cluster(plan))?;
    let mut command = Command::new(CONVERGE);
    command.args(["--watch", "--cluster", "cluster.toml", "--host", "director"]);
    Running::start(command.current_dir(PLACE))
}

fn role(plan: Plan) -> String {
    let check = match plan.kind {
        Kind::Tcp => "kind = \"tcp\"",
        Kind::Http => "kind = \"http\"\nstatus = \"200\"",
    };
    let mut text = "version = 1\nsummary = \"Director\"\n".to_owned();
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

fn cluster(plan: Plan) -> String {
    let mut text = "version = 1\nname = \"bench\"\n\n[vip]\n".to_owned();
    let mut line = |line: String| {
        text += &line;
        text.push('\n');
    };
    (0..POOLS).for_each(|pool| line(format!("v{pool} = \"{}\"", ground::vip(pool))));
    line(format!(
        "\n[host.director]\nrole = \"director\"\naddress = \"{DIRECTOR}/{PREFIX}\"\n\
         interface = \"eth0\""
    ));
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
