//! An empty second run of role realserver: converge, a shell script, an Ansible playbook.
//!
//! The role as shipped, with its units and a mount, runs in a lab machine (user-mode Linux with
//! systemd, where a fork costs many times what it does elsewhere). The same role less what needs
//! systemd runs in a network namespace of this machine, on this machine's own kernel. In both,
//! all three look at the same host and have to find nothing to do. What cannot be had here is
//! left out, loudly. The last line is one JSON object.

mod measure;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use converge::host::command::find;
use converge::lab::{Host, HostSpec, Lab, LabError, LabSpec, Options};
use measure::{Case, Contestant, Sample};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the benchmark run one case in namespaces of its own.
const BARE: &str = "in-a-namespace";

const CONVERGE: &str = env!("CARGO_BIN_EXE_converge");
const SCRIPT: &str = include_str!("realserver.sh");
const PLAYBOOK: &str = include_str!("realserver.yml");
const VIP: &str = "192.0.2.100";

/// Enough for a median; Ansible takes seconds for each, and ten times that in a lab machine.
const ROUNDS: usize = 21;
const ANSIBLE_ROUNDS: usize = 3;

/// What a run costs that does nothing at all; not part of the comparison.
const NOTHING: &str = "(nothing)";

/// No run of any of them takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Of a lab machine; Ansible takes 120 of them.
const MEMORY_MIB: u32 = 512;

/// S3's two machines: the content of the web server comes from the NFS host.
const LAB_CLUSTER: &str = r#"version = 1
name = "bench"

[vip]
web = "192.0.2.100"

[host.dm]
role = "director-master"
address = "192.0.2.10/24"
interface = "eth0"

[host.web1]
role = "realserver"
address = "192.0.2.11/24"
interface = "eth0"
vars = { export = "/opt/111", web = "nginx" }

[host.nfs]
role = "nfs"
address = "192.0.2.20/24"
interface = "eth0"
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(measure::ONE) => measure::one(&arguments[1..]),
        Some(BARE) => bare(),
        _ => all(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let mut cases: Vec<(&str, Case)> = Vec::new();
    match bare_apart() {
        Ok(case) => {
            measure::print(
                "Second run, on this machine's kernel, without units",
                &case,
                "converge",
            );
            cases.push(("second-run-without-units", case));
        }
        Err(error) => skipped("the namespace", error.as_ref()),
    }
    match lab() {
        Ok(case) => {
            measure::print("Second run, in a lab machine, with units and mount", &case, "converge");
            cases.push(("second-run", case));
        }
        Err(error) => skipped("the lab machine", error.as_ref()),
    }
    if cases.is_empty() {
        return Err("nothing could be measured".into());
    }
    let ms = column(&cases, measure::Figures::median);
    let mb = column(&cases, |figures| figures.mb);
    println!("\n{}", json!({ "bench": "converge", "ms": ms, "mb": mb }));
    Ok(())
}

/// One figure of each contestant in each case.
fn column(cases: &[(&str, Case)], of: fn(&measure::Figures) -> f64) -> Map<String, Value> {
    let mut column = Map::new();
    for (name, case) in cases {
        let peers = case.iter().filter(|(peer, _)| *peer != NOTHING);
        let peers = peers.map(|(peer, figures)| (peer.clone(), rounded(of(figures))));
        column.insert((*name).to_owned(), Value::Object(peers.collect()));
    }
    column
}

fn rounded(n: f64) -> Value {
    json!((n * 1000.0).round() / 1000.0)
}

fn skipped(what: &str, why: &dyn Error) {
    println!("\n######## SKIPPED: {what}: {why} ########");
}

/// All of them, as they are run in some place. Ansible only where it is.
fn contestants(converge: &str, script: &str, ansible: Option<&str>) -> Vec<Contestant> {
    let contestant = |name: &str, command: &str, rounds| Contestant {
        name: name.to_owned(),
        command: command.to_owned(),
        rounds,
    };
    let mut all = vec![
        contestant(NOTHING, "true", ROUNDS),
        contestant("converge", converge, ROUNDS),
        contestant("shell", script, ROUNDS),
    ];
    all.extend(ansible.map(|command| contestant("ansible", command, ANSIBLE_ROUNDS)));
    all
}

/// What a run has to say when it found nothing to do.
fn assert_idle(name: &str, said: &str) -> Result<()> {
    let idle = ["nothing to do", "0 changes", "changed=0"].iter().any(|words| said.contains(words));
    if idle { Ok(()) } else { Err(format!("{name} found something to do:\n{said}").into()) }
}

/// The case in namespaces, in a process of its own, for there is no way back out of them.
fn bare_apart() -> Result<Case> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it needs root for a network namespace".into());
    }
    let output = Command::new(std::env::current_exe()?).arg(BARE).output()?;
    // What was skipped in there.
    print!("{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_str(&checked(BARE, output)?)?)
}

/// Runs the case in namespaces, and prints its figures as JSON.
fn bare() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for directory in ["/mnt", "/run", "/var/lib"] {
        mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::empty(), none)?;
    }
    local("ip link set lo up")?;
    local("ip link add eth0 type veth peer name wire")?;
    local("ip address add 192.0.2.11/24 dev eth0")?;
    local("ip link set eth0 up")?;
    write("/mnt/realserver.sh", SCRIPT)?;
    write("/mnt/realserver.yml", PLAYBOOK)?;
    let cluster = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bare/cluster.toml");
    let converge = format!("{CONVERGE} --cluster {cluster} --host web1 --role realserver");
    local(&converge)?;

    let paths = ["/mnt/nginx/conf.d/site.conf", "/mnt/www/index.html", "/mnt/fstab"];
    for path in paths {
        write(&format!("/mnt/files{path}"), &fs::read_to_string(path)?)?;
    }
    let vars = json!({ "vip": VIP, "files": "/mnt/files", "paths": paths, "units": [] });
    write("/mnt/vars.json", &vars.to_string())?;
    let script = format!("sh /mnt/realserver.sh {VIP} /mnt/files {} -", paths.join(","));
    let playbook = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|d| d.join("ansible-playbook")).find(|p| p.exists())
    });
    let ansible = playbook.map(|program| {
        let program = program.display().to_string();
        format!("{program} -i localhost, -e @/mnt/vars.json /mnt/realserver.yml")
    });
    if ansible.is_none() {
        let why = "no ansible-playbook on this machine (apt-get install ansible-core)";
        eprintln!("\n######## SKIPPED: Ansible in the namespace: {why} ########");
    }
    let all = contestants(&converge, &script, ansible.as_deref());
    for contestant in all.iter().skip(1) {
        assert_idle(&contestant.name, &local(&contestant.command)?)?;
    }
    let one = format!("{} {}", std::env::current_exe()?.display(), measure::ONE);
    let case = measure::interleaved(&all, |command| {
        Ok(serde_json::from_str(&local(&format!("{one} {command}"))?)?)
    })?;
    println!("{}", serde_json::to_string(&case)?);
    Ok(())
}

fn write(path: &str, text: &str) -> Result<()> {
    if let Some(directory) = Path::new(path).parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// Runs a command line without quotes here, and returns its output.
fn local(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    let program = find(word).unwrap_or_else(|| word.into());
    let mut command = Command::new(program);
    command.args(words).env("HOME", "/mnt/home").env("LC_ALL", "C.UTF-8");
    checked(line, command.output()?)
}

fn checked(line: &str, output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{line}`: {}\n{said}{error}", output.status).into())
}

/// The case in a lab machine.
fn lab() -> Result<Case> {
    let (lab, has_ansible) = match Lab::start(&lab_spec(), &lab_options(&["ansible-core"])) {
        Ok(lab) => (lab, true),
        Err(error @ LabError::Image(_)) => {
            skipped("Ansible in the lab machine", &error);
            (Lab::start(&lab_spec(), &lab_options(&[]))?, false)
        }
        Err(error) => return Err(error.into()),
    };
    let converge = "converge --role realserver";
    remote(lab.host("nfs"), "converge --role nfs")?;
    let web = lab.host("web1");
    remote(web, converge)?;

    let drop_in = "/etc/nginx/conf.d/converge.conf";
    let unit = web.ok("basename /run/systemd/system/*.mount")?.stdout.trim().to_owned();
    let paths = [drop_in.to_owned(), format!("/run/systemd/system/{unit}")];
    for path in &paths {
        web.write_file(&format!("/opt/bench/files{path}"), web.read_file(path)?)?;
    }
    let units = ["nginx.service".to_owned(), unit];
    let vars = json!({ "vip": VIP, "files": "/opt/bench/files", "paths": paths, "units": units });
    web.write_file("/opt/bench/vars.json", vars.to_string())?;
    web.write_file("/opt/bench/realserver.sh", SCRIPT)?;
    web.write_file("/opt/bench/realserver.yml", PLAYBOOK)?;
    let measuring = "/opt/bench/measure";
    let own = fs::read(std::env::current_exe()?)?;
    let receive = format!("cat > {measuring} && chmod +x {measuring}");
    web.run_for(&receive, &own, PATIENCE)?;

    let (paths, units) = (paths.join(","), units.join(","));
    let script = format!("sh /opt/bench/realserver.sh {VIP} /opt/bench/files {paths} {units}");
    let ansible =
        "ansible-playbook -i localhost, -e @/opt/bench/vars.json /opt/bench/realserver.yml";
    let all = contestants(converge, &script, has_ansible.then_some(ansible));
    for contestant in all.iter().skip(1) {
        assert_idle(&contestant.name, &remote(web, &contestant.command)?)?;
    }
    eprintln!("measuring in a lab machine: {ROUNDS} rounds, Ansible in {ANSIBLE_ROUNDS} of them");
    measure::interleaved(&all, |command| {
        let said = remote(web, &format!("{measuring} {} {command}", measure::ONE))?;
        Ok(serde_json::from_str::<Sample>(&said)?)
    })
}

fn lab_options(extra_packages: &[&str]) -> Options {
    Options {
        binary: Some(CONVERGE.into()),
        extra_packages: extra_packages.iter().map(|name| (*name).to_owned()).collect(),
        memory: MEMORY_MIB,
        ..Options::default()
    }
}

fn lab_spec() -> LabSpec {
    let host = |name: &str, role: &str, address: &str| {
        let address = address.parse().expect("an address with its prefix");
        let (name, role) = (name.to_owned(), role.to_owned());
        HostSpec { name, role, address, interface: "eth0".to_owned() }
    };
    LabSpec {
        name: "bench".to_owned(),
        hosts: vec![
            host("nfs", "nfs", "192.0.2.20/24"),
            host("web1", "realserver", "192.0.2.11/24"),
        ],
        cluster_file: Some(LAB_CLUSTER.to_owned()),
        ..LabSpec::default()
    }
}

fn remote(host: Host<'_>, command: &str) -> Result<String> {
    let output = host.run_for(command, b"", PATIENCE)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(format!("`{command}`: {}\n{}{}", output.status, output.stdout, output.stderr).into())
}
