//! Redis, PostgreSQL and MariaDB.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use converge::check::config::{Login, Protocol, TlsStart};

use super::asking::{
    Answer, WELL, ask, ask_in_vain, ask_upgraded, asked, login, write_certificate,
};
use super::engine::its_certificate_counts;
use super::server::{Server, command, own, run};

fn redis_server(more: &[&str]) -> Option<Server> {
    Server::start("/usr/bin/redis-server", "redis-server", 2, |directory, addresses| {
        write_certificate(directory);
        let host = addresses[0].ip().to_string();
        let [port, secure] = [0, 1].map(|number: usize| addresses[number].port().to_string());
        let words = ["--bind", &host, "::1", "--port", &port, "--save", "", "--appendonly", "no"];
        let tls = ["--tls-port", &secure, "--tls-cert-file", "cert.pem", "--tls-key-file"];
        let files = ["key.pem", "--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no"];
        [&words[..], &tls, &files, more].concat().into_iter().map(str::to_owned).collect()
    })
}

fn redis(login: Option<Login>) -> Protocol {
    Protocol::Redis { login }
}

#[test]
fn redis_is_told_good_from_bad() {
    let Some(server) = redis_server(&[]) else { return };
    assert_eq!(ask(&redis(None), server.addresses[0]), WELL);
    assert_eq!(ask(&redis(None), server.six(0)), WELL);
    let trusted = server.file("cert.pem");
    its_certificate_counts(&redis(None), TlsStart::AtOnce, server.addresses[1], &trusted);
    server.freeze();
    let silent = ask_in_vain(&redis(None), server.addresses[0]);
    assert_eq!(silent, bad("silent: connected, but no answer to PING came"));

    let users = ["--requirepass", "secret", "--user", "me", "on", ">word", "~*", "+ping"];
    let Some(server) = redis_server(&users) else { return };
    let ask = |login| ask(&redis(login), server.addresses[0]);
    assert_eq!(ask(Some(login("", "secret"))), WELL);
    assert_eq!(ask(Some(login("me", "word"))), WELL);
    let wanted = bad("it wants a login: `NOAUTH Authentication required.`");
    assert_eq!(ask(None), wanted);
    let refused = "it refuses the login: `WRONGPASS invalid username-password pair or user is \
                   disabled.`";
    assert_eq!(ask(Some(login("me", "wrong"))), bad(refused));

    let orphan = ["--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no"];
    let Some(server) = redis_server(&orphan) else { return };
    let what = super::asking::ask(&redis(None), server.addresses[0]).expect_err("bad");
    assert!(what.starts_with("it has lost its master: `MASTERDOWN Link with MASTER"), "{what}");
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

/// The newest PostgreSQL's programs.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.max().unwrap_or_else(|| PathBuf::from("/usr/lib/postgresql/bin"))
}

const POSTGRES: Option<&str> = Some("postgres");

fn postgres_server() -> Option<Server> {
    let programs = postgres_programs();
    let postgres = programs.join("postgres").display().to_string();
    Server::start_as(POSTGRES, &postgres, "postgresql", 1, |directory, addresses| {
        let data = directory.join("data");
        let mut initdb = command(POSTGRES, &programs.join("initdb").display().to_string());
        run(initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-N"]), "");
        let mut single = command(POSTGRES, &postgres);
        single.args(["--single", "-D"]).arg(&data).arg("postgres");
        run(
            &mut single,
            "CREATE ROLE trusted LOGIN;
             CREATE ROLE plain LOGIN PASSWORD 'secret';
             CREATE ROLE scram LOGIN PASSWORD 'secret';
             SET password_encryption = 'md5';
             CREATE ROLE hashed LOGIN PASSWORD 'secret';
             CREATE DATABASE data;\n"
                .replace(";\n             ", ";\n")
                .as_str(),
        );
        let hba = "host all trusted all trust\nhost all plain all password\n\
                   host all hashed all md5\nhost all barred all reject\n\
                   host all all all scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), hba).expect("a file of our own");
        write_certificate(directory);
        let own = |name| directory.join(name).display().to_string();
        let settings = [
            format!("listen_addresses={},::1", addresses[0].ip()),
            format!("port={}", addresses[0].port()),
            format!("unix_socket_directories={}", directory.display()),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", own("cert.pem")),
            format!("ssl_key_file={}", own("key.pem")),
        ];
        let settings = settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]);
        ["-D".to_owned(), own("data")].into_iter().chain(settings).collect()
    })
}

fn postgres(user: &str, password: &str, database: &str) -> Protocol {
    let database = database.to_owned();
    Protocol::Postgres { login: login(user, password), database, cleartext: false }
}

#[test]
fn postgresql_is_told_good_from_bad() {
    let Some(server) = postgres_server() else { return };
    let address = server.addresses[0];
    let trusted = postgres("trusted", "", "data");
    let starting = bad("error `the database system is starting up` (57P03)");
    while ask(&trusted, address) == starting {
        std::thread::sleep(Duration::from_millis(20));
    }
    for user in ["trusted", "plain", "hashed", "scram"] {
        let protocol = postgres(user, "secret", "data");
        assert_eq!(ask(&protocol, address), WELL, "{user}: {}", server.log());
        let covered = ask_upgraded(&protocol, address, &server.file("cert.pem"));
        assert_eq!(covered, WELL, "{user}: {}", server.log());
    }
    assert_eq!(ask(&postgres("scram", "secret", "data"), server.six(0)), WELL);
    its_certificate_counts(&trusted, TlsStart::Upgrade, address, &server.file("cert.pem"));
    for user in ["plain", "hashed", "scram"] {
        let failed = format!("error `password authentication failed for user \"{user}\"` (28P01)");
        assert_eq!(ask(&postgres(user, "wrong", "data"), address), Err(failed));
    }
    let missing = ask(&postgres("trusted", "", "none"), address);
    assert_eq!(missing, bad("error `database \"none\" does not exist` (3D000)"));
    let barred = ask(&postgres("barred", "", "data"), address).expect_err("bad");
    assert!(barred.starts_with("error `pg_hba.conf rejects connection for host"), "{barred}");
    // Nothing of all this is worth a line that somebody has to look at.
    assert!(!server.log().contains("unexpected EOF"), "{}", server.log());
    server.freeze();
    let silent = ask_in_vain(&trusted, address);
    assert_eq!(silent, bad("silent: connected, but no answer to the start came"));
}

const MARIADB: &str = "/usr/sbin/mariadbd";
/// As little of disk and memory as it takes.
const SMALL: [&str; 2] = ["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"];

fn mariadb_server() -> Option<Server> {
    let user = Some("nobody");
    Server::start_as(
        user,
        "/usr/sbin/mariadbd",
        "mariadb-server-core",
        1,
        |directory, addresses| {
            let data = format!("--datadir={}", directory.join("data").display());
            fs::create_dir_all(directory.join("data/mysql")).expect("a directory of our own");
            // What is in the common one any server that starts takes for its own of long ago, and
            // deletes.
            let passing = format!("--tmpdir={}", directory.display());
            let files = ["system_tables", "system_tables_data"];
            let tables = files.map(|name| format!("/usr/share/mysql/mysql_{name}.sql"));
            let tables = tables.map(|path| fs::read_to_string(path).expect("they come with it"));
            let script = format!("use mysql;\nset @auth_root_socket=NULL;\n{}", tables.concat());
            let mut bootstrap = command(user, MARIADB);
            bootstrap.args(["--no-defaults", "--bootstrap", &data, &passing]).args(SMALL);
            own(directory, user);
            run(&mut bootstrap, &script);
            let statements = "CREATE USER me IDENTIFIED BY 'secret';\nCREATE USER open;\n";
            fs::write(directory.join("init.sql"), statements).expect("a file of our own");
            write_certificate(directory);
            let own = |name: &str| directory.join(name).display().to_string();
            vec![
                "--no-defaults".to_owned(),
                data,
                passing,
                format!("--bind-address={},::1", addresses[0].ip()),
                format!("--port={}", addresses[0].port()),
                format!("--socket={}", own("socket")),
                format!("--pid-file={}", own("pid")),
                format!("--init-file={}", own("init.sql")),
                format!("--ssl-cert={}", own("cert.pem")),
                format!("--ssl-key={}", own("key.pem")),
                "--max-connect-errors=5".to_owned(),
                "--max-connections=10".to_owned(),
                "--innodb-buffer-pool-size=8M".to_owned(),
                "--innodb-log-file-size=4M".to_owned(),
            ]
        },
    )
}

fn mysql(login: Option<Login>) -> Protocol {
    Protocol::Mysql { login, cleartext: false }
}

#[test]
fn mariadb_is_told_good_from_bad() {
    let Some(server) = mariadb_server() else { return };
    let address = server.addresses[0];
    let gone = || server.log().matches("Aborted connection").count();
    for login in [None, Some(login("me", "secret")), Some(login("open", ""))] {
        let protocol = mysql(login);
        assert_eq!(ask(&protocol, address), WELL, "{}", server.log());
        let covered = ask_upgraded(&protocol, address, &server.file("cert.pem"));
        assert_eq!(covered, WELL, "{}", server.log());
    }
    let wrong = ask(&mysql(Some(login("me", "wrong"))), address).expect_err("bad");
    assert!(wrong.starts_with("error `Access denied for user 'me'@"), "{wrong}");
    assert!(wrong.ends_with("(1045)"), "{wrong}");
    // Whoever looked whether it listens went without a word; our checks do not.
    assert!(gone() <= 1, "{}", server.log());
    assert_eq!(ask(&mysql(Some(login("me", "secret"))), server.six(0)), WELL);
    its_certificate_counts(&mysql(None), TlsStart::Upgrade, address, &server.file("cert.pem"));
    full(address);
    server.freeze();
    let silent = ask_in_vain(&mysql(None), address);
    assert_eq!(silent, bad("silent: connected, but no greeting came"));
}

/// One who holds all connections.
#[track_caller]
fn full(address: SocketAddr) {
    let held: Vec<TcpStream> =
        (0..11).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    // Until it has taken all of them.
    let end = Instant::now() + Duration::from_secs(20);
    let mut answer = ask(&mysql(None), address);
    while answer == WELL && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        answer = ask(&mysql(None), address);
    }
    assert_eq!(answer, bad("error `Too many connections` (1040)"));
    drop(held);
}

/// An address of ours that MariaDB counts: those of 127.0.0.1 it does not.
const COUNTED: Ipv4Addr = Ipv4Addr::new(127, 63, 0, 9);

fn from_counted(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&SocketAddr::from((COUNTED, 0)).into()).expect("loopback");
    socket.connect(&address.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a stream");
    stream
}

#[test]
fn mariadb_never_blocks_a_director_that_checks_without_a_login() {
    let Some(server) = mariadb_server() else { return };
    let address = server.addresses[0];
    for _ in 0..20 {
        assert_eq!(asked(&mysql(None), from_counted(address), None), WELL, "{}", server.log());
    }
    // Those who go after the greeting are blocked, once it has noticed that they went.
    let mut greeting = [0; 4096];
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        use std::io::Read;
        let length = from_counted(address).read(&mut greeting).expect("a greeting");
        assert!(length > 4);
        if greeting[..length].windows(7).any(|words| words == b"blocked") {
            break;
        }
    }
    let blocked = asked(&mysql(None), from_counted(address), None).expect_err("bad");
    assert!(blocked.contains("is blocked because of many connection errors"), "{blocked}");
    assert!(blocked.ends_with("(1129)"), "{blocked}");
}
