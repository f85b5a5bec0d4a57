//! Units, over the real systemd: nginx with a drop-in, and a small service of our own.
//!
//! Each is made, damaged as an administrator would, put back and removed.

use std::path::PathBuf;
use std::time::Instant;

use converge::resource::Resource;
use converge::resource::file::File;
use converge::resource::unit::{Unit, digest};

use super::{attempt, converge, each_inside, errors, planned, sh};

const CONF: &str = "/etc/nginx/conf.d/converge.conf";
const NGINX: &str = "nginx.service";

fn file(path: &str, content: &str) -> File {
    File {
        path: path.into(),
        content: content.into(),
        mode: None,
        owner: None,
        once: false,
        check: None,
    }
}

fn unit(name: &str) -> Unit {
    Unit {
        unit: name.into(),
        active: true,
        enabled: Some(true),
        reads: Vec::new(),
        loaded: None,
        check: None,
    }
}

/// nginx with a drop-in that answers with one word.
fn web(word: &str) -> [Resource; 2] {
    let content = format!("server {{ listen 81; return 200 {word}; }}\n");
    let loaded = Some(digest(&[(CONF, content.as_str())]));
    let check = Some(vec!["nginx".to_owned(), "-t".to_owned()]);
    let reads = vec![PathBuf::from(CONF)];
    [
        File { check: check.clone(), ..file(CONF, &content) }.into(),
        Unit { reads, loaded, check, ..unit(NGINX) }.into(),
    ]
}

/// A service that writes a line and then does what its script says.
fn toy(name: &str, script: &str) -> Resource {
    let text = format!(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{script}'\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    file(&format!("/etc/systemd/system/{name}"), &text).into()
}

fn served() -> String {
    sh("curl -s --retry 5 --retry-connrefused http://127.0.0.1:81/")
}

each_inside! {
    async fn a_web_server_runs_with_the_configuration_that_stands_on_disk(host) {
        sh("systemctl disable --now nginx");
        let made = converge(host, &web("one")).await;
        assert_eq!(made, ["+file /etc/nginx/conf.d/converge.conf", "+unit nginx.service"]);
        assert_eq!(served(), "one");
        assert_eq!(sh("systemctl is-enabled nginx").trim(), "enabled");
        let pid = sh("systemctl show -p MainPID nginx");

        let changed = converge(host, &web("two")).await;
        assert_eq!(changed, ["~file /etc/nginx/conf.d/converge.conf", "~unit nginx.service"]);
        assert_eq!((served().as_str(), sh("systemctl show -p MainPID nginx")), ("two", pid));

        sh("systemctl stop nginx");
        assert_eq!(converge(host, &web("two")).await, ["~unit nginx.service"]);
        sh("systemctl disable nginx");
        assert_eq!(converge(host, &web("two")).await, ["~unit nginx.service"]);
        sh("systemctl kill -s KILL nginx; while systemctl -q is-active nginx; do sleep 0.1; done");
        assert_eq!(converge(host, &web("two")).await, ["~unit nginx.service"]);

        let removed = converge(host, &[]).await;
        assert_eq!(removed, ["-unit nginx.service", "-file /etc/nginx/conf.d/converge.conf"]);
        assert_eq!(sh("systemctl is-active nginx || true").trim(), "inactive");
        assert_eq!(sh("systemctl is-enabled nginx || true").trim(), "disabled");
    }

    async fn somebody_elses_reload_is_followed_by_one_of_ours_and_no_more(host) {
        converge(host, &web("one")).await;
        for verb in ["reload", "restart"] {
            sh(&format!("systemctl {verb} nginx"));
            assert_eq!(converge(host, &web("one")).await, ["~unit nginx.service"], "{verb}");
        }
        sh("systemctl daemon-reload");
        assert_eq!(planned(host, &web("one")).await, [""; 0]);
        converge(host, &[]).await;
    }

    async fn a_file_that_fails_its_check_is_never_loaded(host) {
        converge(host, &web("one")).await;
        let [_, right] = web("one");
        let bad = File {
            check: Some(vec!["nginx".into(), "-t".into()]),
            ..file(CONF, "server { listen 81; retrun 200 two; }\n")
        };
        let report = attempt(host, &[bad.into(), right.clone()]).await;
        let errors = errors(&report);
        let error = &errors["file /etc/nginx/conf.d/converge.conf"];
        assert!(error.contains("unknown directive \"retrun\""), "{error}");
        assert_eq!(served(), "one");
        assert_eq!(converge(host, &web("one")).await, [""; 0]);
        converge(host, &[]).await;
    }

    async fn a_unit_that_is_not_there_is_named_with_its_package(host) {
        let wanted = [unit("httpd.service").into(), unit("no-such.service").into()];
        let errors = errors(&attempt(host, &wanted).await);
        assert!(errors["unit httpd.service"].contains("there is no unit httpd.service"));
        assert!(errors["unit httpd.service"].contains("httpd (RHEL"), "{errors:?}");
        assert!(errors["unit no-such.service"].contains("there is no unit"), "{errors:?}");
    }

    async fn a_unit_that_fails_tells_why_with_the_end_of_its_log(host) {
        let script = "echo the disk is purple; exit 3";
        let parts = [toy("toy.service", script), unit("toy.service").into()];
        let errors = errors(&attempt(host, &parts).await);
        let error = &errors["unit toy.service"];
        assert!(error.contains("cannot start toy.service: failed (exit-code)"), "{error}");
        assert!(error.contains("the disk is purple"), "{error}");
        // Put right, it starts, although systemd has it as failed and has read the old file.
        let parts = [toy("toy.service", "true"), unit("toy.service").into()];
        converge(host, &parts).await;
        converge(host, &[]).await;
        assert!(!sh("systemctl is-enabled toy.service 2>&1 || true").contains("enabled"));
    }

    async fn a_masked_unit_says_so(host) {
        sh("systemctl mask nginx");
        let errors = errors(&attempt(host, &[unit(NGINX).into()]).await);
        sh("systemctl unmask nginx");
        assert!(errors["unit nginx.service"].contains("systemctl unmask"), "{errors:?}");
        converge(host, &[]).await;
    }

    async fn a_unit_that_was_there_before_us_is_left_running(host) {
        sh("systemctl enable --now nginx");
        converge(host, &[unit(NGINX).into()]).await;
        converge(host, &[]).await;
        assert_eq!(sh("systemctl is-active nginx").trim(), "active");
        sh("systemctl disable --now nginx");
    }

    async fn a_unit_that_is_to_be_down_is_stopped_and_disabled(host) {
        sh("systemctl enable --now nginx");
        let down = Unit { active: false, enabled: Some(false), ..unit(NGINX) };
        assert_eq!(converge(host, &[down.into()]).await, ["~unit nginx.service"]);
        assert_eq!(sh("systemctl is-active nginx || true").trim(), "inactive");
        let none = Unit { active: false, enabled: Some(false), ..unit("no-such.service") };
        assert_eq!(converge(host, &[none.into()]).await, [""; 0]);
    }

    async fn a_look_at_units_is_cheap(host) {
        let parts = web("one");
        converge(host, &parts).await;
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let fresh = converge::host::Host::this();
            let started = Instant::now();
            assert_eq!(planned(&fresh, &parts).await, [""; 0]);
            best = best.min(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("an empty run with one unit: {best:.2} ms");
        assert!(best < 50.0, "{best} ms");
        converge(host, &[]).await;
    }
}
