//! keepalived as the distribution has it, with IPVS calls that do nothing; checkers only, unless it
//! is to be one of two directors.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::contestant::{Kind, POOLS, Plan, Running};
use super::ground::{self, DIRECTOR, PORT};
use super::peer::{self, INTERVAL, Standby, VIP, VRID};

const PROGRAM: &str = "/usr/sbin/keepalived";
const STUB: &str = "/run/bench-own/no-ipvs.so";
const FILE: &str = "/run/keepalived.conf";
/// Of the other director.
const STANDBY: &str = "/run/standby.conf";

/// Stands before libnl: the kernel seems to know IPVS, and to do all that it is asked.
const SOURCE: &str = r"
typedef int (*handler)(void *message, void *argument);
static handler handlers[16];
static void *arguments[16];
int genl_ctrl_resolve(void *socket, const char *name) { return 1000; }
int nl_socket_modify_cb(void *socket, int type, int kind, handler one, void *argument) {
    if (type >= 0 && type < 16) {
        handlers[type] = one;
        arguments[type] = argument;
    }
    return 0;
}
int nl_send_auto(void *socket, void *message) { return 0; }
/* NL_CB_FINISH and NL_CB_ACK: keepalived waits until one of them was called. */
int nl_recvmsgs_default(void *socket) {
    if (handlers[1]) handlers[1](0, arguments[1]);
    if (handlers[4]) handlers[4](0, arguments[4]);
    return 0;
}
";

/// What is missing, in words that say what to install.
pub(crate) fn is_missing() -> Option<String> {
    if !Path::new(PROGRAM).exists() {
        return Some("install with: apt-get install keepalived".into());
    }
    ground::compile(SOURCE, "-shared -fPIC", STUB).err()
}

pub(crate) fn start(plan: Plan) -> io::Result<Running> {
    fs::write(FILE, configuration(plan))?;
    let mut command = Command::new(PROGRAM);
    command.args(["--dont-fork", "--log-console", "--use-file", FILE]);
    if !plan.elects {
        command.arg("--check");
    }
    Running::start(command.env("LD_PRELOAD", STUB))
}

/// The other one of the two.
pub(crate) fn stand_by() -> io::Result<Standby> {
    let router = router(100, peer::ADDRESS, DIRECTOR);
    fs::write(STANDBY, format!("global_defs {{\n    router_id standby\n}}\n{router}"))?;
    Standby::start(&format!("exec {PROGRAM} --vrrp --dont-fork --use-file {STANDBY}"))
}

/// The router that both directors have, as one of them has it.
fn router(priority: u8, own: Ipv4Addr, other: Ipv4Addr) -> String {
    format!(
        "vrrp_instance main {{\n    version 3\n    state BACKUP\n    interface eth0\n    \
         virtual_router_id {VRID}\n    priority {priority}\n    advert_int {}\n    \
         unicast_src_ip {own}\n    unicast_peer {{\n        {other}\n    }}\n    \
         virtual_ipaddress {{\n        {VIP}/32\n    }}\n}}\n",
        INTERVAL.as_secs_f64()
    )
}

fn configuration(plan: Plan) -> String {
    let mut text = "global_defs {\n    router_id bench\n}\n".to_owned();
    let check = match plan.kind {
        Kind::Tcp => "TCP_CHECK {\n",
        Kind::Http => {
            concat!(
                "HTTP_GET {\n            url {\n",
                "                path /\n                status_code 200\n            }\n"
            )
        }
    };
    if plan.elects {
        text += &router(150, DIRECTOR, peer::ADDRESS);
    }
    for pool in 0..POOLS {
        let vip = ground::vip(pool);
        let head = format!(
            "virtual_server {vip} {PORT} {{\n    delay_loop 1\n    lb_algo rr\n    lb_kind DR\n    \
             protocol TCP\n"
        );
        text += &head;
        for n in plan.of_pool(pool) {
            let target = ground::target(n);
            write!(
                text,
                "    real_server {target} {PORT} {{\n        {check}            \
                 connect_timeout 1\n            retry 0\n        }}\n    }}\n"
            )
            .expect("a string takes anything");
        }
        text += "}\n";
    }
    text
}
