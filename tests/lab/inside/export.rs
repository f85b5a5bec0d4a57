//! Exports, over the real exportfs and NFS server, and a mount of one.
//!
//! Both tables are looked at as the server has them, beside what other people export.

use converge::resource::Resource;
use converge::resource::directory::Directory;
use converge::resource::export::Export;
use converge::resource::file::Mode;
use converge::resource::mount::Mount;
use converge::resource::unit::Unit;

use super::{attempt, converge, each_inside, errors, planned, sh};

const OWN: &str = "/etc/exports.d/converge.exports";

fn export(path: &str, client: &str, options: &[&str]) -> Resource {
    let options = options.iter().map(|o| (*o).to_owned()).collect();
    Export { path: path.into(), client: client.into(), options }.into()
}

/// An NFS server with these exports of `/opt/111`.
fn server(exports: &[Resource]) -> Vec<Resource> {
    let directory = Directory { path: "/opt/111".into(), mode: Mode(0o755), owner: None };
    let unit = Unit {
        unit: "nfs-server.service".into(),
        active: true,
        enabled: Some(true),
        reads: Vec::new(),
        loaded: None,
        check: None,
    };
    let mut all = vec![directory.into(), unit.into()];
    all.extend_from_slice(exports);
    all
}

fn two() -> Vec<Resource> {
    server(&[
        export("/opt/111", "192.0.2.0/24", &["rw", "sync", "no_subtree_check", "fsid=1"]),
        export("/opt/111", "127.0.0.1", &["ro", "no_subtree_check", "fsid=1"]),
    ])
}

each_inside! {
    async fn exports_are_made_put_back_and_removed(host) {
        converge(host, &two()).await;
        let local = "export /opt/111 to 127.0.0.1";
        sh("exportfs -u 127.0.0.1:/opt/111");
        assert_eq!(converge(host, &two()).await, [format!("+{local}")]);
        sh("exportfs -o rw,no_root_squash,fsid=1 127.0.0.1:/opt/111");
        assert_eq!(converge(host, &two()).await, [format!("~{local}")]);
        sh("sed -i '/127.0.0.1/s/ro)/rw)/' /etc/exports.d/converge.exports");
        assert_eq!(converge(host, &two()).await, [format!("~{local}")]);
        std::fs::remove_file(OWN).expect("stands");
        assert_eq!(converge(host, &two()).await.len(), 2);
        converge(host, &[]).await;
        assert_eq!(sh("cat /var/lib/nfs/etab"), "");
        assert!(!std::path::Path::new(OWN).exists());
    }

    async fn foreign_exports_survive(host) {
        sh("echo '/srv *(ro,no_subtree_check,fsid=2)' > /etc/exports; exportfs -ra");
        converge(host, &two()).await;
        assert!(sh("cat /var/lib/nfs/etab").contains("/srv\t*(ro"));
        converge(host, &server(&[])).await;
        assert!(sh("cat /var/lib/nfs/etab").contains("/srv\t*(ro"));
        sh("echo '/opt/111 127.0.0.1(rw,no_subtree_check,fsid=1)' > /etc/exports; exportfs -ra");
        let errors = errors(&attempt(host, &two()).await);
        let error = &errors["export /opt/111 to 127.0.0.1"];
        assert!(error.contains("duplicated") && error.contains("/etc/exports"), "{error}");
        sh(": > /etc/exports; exportfs -ra");
        converge(host, &[]).await;
    }

    async fn one_that_cannot_be_exported_does_not_stop_the_others(host) {
        let mut all = two();
        all.push(export("/opt/111", "no-such-host.invalid", &["ro"]));
        let errors = errors(&attempt(host, &all).await);
        assert_eq!(errors.len(), 1, "{errors:?}");
        let error = &errors["export /opt/111 to no-such-host.invalid"];
        assert!(error.contains("no-such-host.invalid"), "{error}");
        converge(host, &[]).await;
    }

    async fn a_host_name_is_a_client_too(host) {
        let named = server(&[export("/opt/111", "localhost", &["ro", "fsid=1"])]);
        converge(host, &named).await;
        println!("{}", sh("cat /var/lib/nfs/etab"));
        assert_eq!(planned(host, &named).await, [""; 0]);
        converge(host, &[]).await;
    }

    async fn pages_come_over_nfs(host) {
        converge(host, &two()).await;
        sh("echo hello > /opt/111/index.html");
        let mounted: Resource = Mount {
            mount_point: "/mnt/pages".into(),
            what: "127.0.0.1:/opt/111".into(),
            fs_type: "nfs4".into(),
            options: "ro".into(),
            mounted: true,
        }
        .into();
        let mut all = two();
        all.push(mounted);
        assert_eq!(converge(host, &all).await, ["+mount /mnt/pages"]);
        assert_eq!(sh("cat /mnt/pages/index.html"), "hello\n");
        sh("rm /opt/111/index.html; umount /mnt/pages");
        assert_eq!(converge(host, &all).await, ["~mount /mnt/pages"]);
        converge(host, &[]).await;
    }
}
