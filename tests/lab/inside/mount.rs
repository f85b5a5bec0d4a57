//! Mounts, over the real systemd and kernel.
//!
//! A tmpfs stands for any file system here; one that comes over NFS is with the exports.

use converge::resource::mount::Mount;

use super::{attempt, converge, each_inside, errors, planned, sh};

const UNIT: &str = "/run/systemd/system/mnt-converge\\x2dtest.mount";

fn mount(what: &str, fs_type: &str, options: &str) -> Mount {
    Mount {
        mount_point: "/mnt/converge-test".into(),
        what: what.into(),
        fs_type: fs_type.into(),
        options: options.into(),
        mounted: true,
    }
}

fn tmpfs(options: &str) -> Mount {
    mount("converge", "tmpfs", options)
}

fn stands(path: &str) -> bool {
    std::path::Path::new(path).exists()
}

fn table() -> String {
    sh("grep ' /mnt/converge-test ' /proc/self/mountinfo || true")
}

each_inside! {
    async fn a_mount_is_made_put_back_changed_and_removed(host) {
        let wanted = [tmpfs("size=1m").into()];
        assert_eq!(converge(host, &wanted).await, ["+mount /mnt/converge-test"]);
        assert!(table().contains("size=1024k"), "{}", table());
        sh("umount /mnt/converge-test");
        assert_eq!(converge(host, &wanted).await, ["~mount /mnt/converge-test"]);
        let changed = [tmpfs("size=2m").into()];
        assert_eq!(converge(host, &changed).await, ["~mount /mnt/converge-test"]);
        assert_eq!(table().lines().count(), 1);
        assert!(table().contains("size=2048k"), "{}", table());
        std::fs::remove_file(UNIT).expect("stands");
        sh("systemctl daemon-reload");
        assert_eq!(planned(host, &changed).await, [""; 0], "still mounted as wanted");
        sh("umount /mnt/converge-test");
        assert_eq!(converge(host, &changed).await, ["+mount /mnt/converge-test"]);
        assert_eq!(converge(host, &[]).await, ["-mount /mnt/converge-test"]);
        assert!(table().is_empty() && !stands(UNIT));
        assert_eq!(sh("systemctl list-units --all --no-legend 'mnt-*'"), "");
    }

    async fn a_busy_mount_is_not_torn_away(host) {
        converge(host, &[tmpfs("").into()]).await;
        let mut user = std::process::Command::new("sleep")
            .arg("100")
            .current_dir("/mnt/converge-test")
            .spawn()
            .expect("starts");
        let errors = errors(&attempt(host, &[]).await);
        assert!(errors["mount /mnt/converge-test"].contains("busy"), "{errors:?}");
        assert!(stands(UNIT) && !table().is_empty());
        user.kill().expect("runs");
        user.wait().expect("ends");
        converge(host, &[]).await;
    }

    async fn a_foreign_mount_is_as_good_if_it_is_the_same_and_an_error_if_not(host) {
        sh("mkdir -p /mnt/converge-test; mount -t tmpfs converge /mnt/converge-test");
        assert_eq!(converge(host, &[tmpfs("").into()]).await, [""; 0]);
        assert_eq!(converge(host, &[]).await, [""; 0]);
        let errors = errors(&attempt(host, &[mount("other", "tmpfs", "").into()]).await);
        let error = &errors["mount /mnt/converge-test"];
        assert!(error.contains("converge (tmpfs) is mounted on"), "{error}");
        assert!(!table().is_empty() && !stands(UNIT));
        sh("umount /mnt/converge-test");
    }

    async fn what_was_mounted_over_ours_by_hand_is_an_error_and_stays(host) {
        converge(host, &[tmpfs("").into()]).await;
        sh("mount -t tmpfs theirs /mnt/converge-test");
        let errors = errors(&attempt(host, &[tmpfs("").into()]).await);
        assert!(errors["mount /mnt/converge-test"].contains("theirs (tmpfs)"), "{errors:?}");
        sh("umount /mnt/converge-test");
        assert_eq!(planned(host, &[tmpfs("").into()]).await, [""; 0]);
        converge(host, &[]).await;
    }

    async fn a_server_that_is_not_there_is_an_error_within_the_limit(host) {
        let started = std::time::Instant::now();
        let wanted = mount("192.0.2.254:/opt", "nfs4", "ro");
        let errors = errors(&attempt(host, &[wanted.into()]).await);
        let error = &errors["mount /mnt/converge-test"];
        assert!(error.contains("cannot start mnt-converge\\x2dtest.mount"), "{error}");
        assert!(started.elapsed().as_secs() < 60);
        converge(host, &[]).await;
    }
}
