//! Surveys of directory trees as the packages of the distributions leave them.

use super::*;
use crate::host::scratch::Scratch;

/// What Debian 12's nginx-common, apache2 and base-passwd put there, cut to what matters.
fn debian() -> Scratch {
    let root = Scratch::new();
    root.write("/etc/hostname", "web1\n");
    root.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n");
    root.write("/usr/sbin/nginx", "");
    root.write(
        "/etc/nginx/nginx.conf",
        "user www-data;\nworker_processes auto;\ninclude /etc/nginx/modules-enabled/*.conf;\n\
         events {\n\tworker_connections 768;\n}\nhttp {\n\tinclude /etc/nginx/mime.types;\n\
         \tinclude /etc/nginx/conf.d/*.conf;\n\tinclude /etc/nginx/sites-enabled/*;\n}\n",
    );
    root.write("/etc/nginx/mime.types", "types {\n text/html html htm;\n}\n");
    root.write(
        "/etc/nginx/sites-enabled/default",
        "server {\n\tlisten 80 default_server;\n\tlisten [::]:80 default_server;\n\
         \troot /var/www/html;\n\tserver_name _;\n}\n",
    );
    root.write("/usr/sbin/apache2", "");
    root.write("/usr/sbin/apachectl", "");
    root.write("/usr/sbin/apache2ctl", "");
    root.write("/etc/apache2/conf-enabled/security.conf", "");
    root
}

/// What Rocky 9's nginx and httpd put there, cut to what matters.
fn rhel() -> Scratch {
    let root = Scratch::new();
    root.write("/proc/sys/kernel/hostname", "web2.example\n");
    root.write(
        "/etc/passwd",
        "nginx:x:998:996::/:/sbin/nologin\napache:x:48:48::/:/sbin/nologin\n",
    );
    root.write("/usr/sbin/nginx", "");
    root.write(
        "/etc/nginx/nginx.conf",
        "user nginx;\ninclude /usr/share/nginx/modules/*.conf;\nhttp {\n\
         include /etc/nginx/conf.d/*.conf;\nserver {\n listen 80;\n listen [::]:80;\n\
         root /usr/share/nginx/html;\n}\n}\n",
    );
    root.write("/usr/sbin/httpd", "");
    root.write("/usr/sbin/apachectl", "");
    root.write("/etc/httpd/conf.d/welcome.conf", "");
    root
}

fn surveyed(root: &Scratch) -> Survey {
    survey(&root.host()).expect("a tree that can be read")
}

#[test]
fn a_debian_is_typical() {
    let found = surveyed(&debian());
    assert_eq!(found.hostname, "web1");
    assert_eq!(found.nginx, Survey::typical().nginx);
    assert_eq!(found.httpd, Survey::typical().httpd);
}

#[test]
fn the_rhel_family_has_its_own_names() {
    let found = surveyed(&rhel());
    assert_eq!(found.hostname, "web2.example");
    let nginx = found.nginx.expect("nginx");
    assert_eq!(nginx.user, "nginx");
    assert!(!nginx.default_server_taken);
    let httpd = found.httpd.expect("Apache");
    assert_eq!((httpd.unit.as_str(), httpd.user.as_str()), ("httpd.service", "apache"));
    assert_eq!(httpd.drop_in_directory, PathBuf::from("/etc/httpd/conf.d"));
}

#[test]
fn our_own_drop_in_takes_no_default_server() {
    let root = debian();
    std::fs::remove_file(root.real("/etc/nginx/sites-enabled/default")).expect("the file");
    root.write("/etc/nginx/conf.d/converge.conf", "server { listen 80 default_server; }");
    assert!(!surveyed(&root).nginx.expect("nginx").default_server_taken);
    root.write("/etc/nginx/conf.d/theirs.conf", "server { listen 80 default_server; }");
    assert!(surveyed(&root).nginx.expect("nginx").default_server_taken);
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let root = debian();
    root.write("/etc/nginx/conf.d/loop.conf", "include conf.d/loop.conf;");
    assert!(surveyed(&root).nginx.is_some());
}

#[test]
fn a_host_without_web_servers_has_none() {
    let found = surveyed(&Scratch::new());
    assert_eq!((found.nginx, found.httpd), (None, None));
}
