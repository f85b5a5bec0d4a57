//! nginx and Apache with the same pages.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::server::Server;

/// The text of the page /large, which is longer than what a check looks at.
pub(crate) fn large() -> String {
    (0..20_000).map(|line| format!("line {line}\n")).collect()
}

/// A web server: HTTP/1 at one address, HTTP/2 with prior knowledge at the other.
pub(crate) struct Web(Server);

impl Web {
    /// Where it speaks HTTP/1.
    pub(crate) fn http1(&self) -> SocketAddr {
        self.0.addresses[0]
    }

    /// Where it speaks HTTP/2.
    pub(crate) fn http2(&self) -> SocketAddr {
        self.0.addresses[1]
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        self.0.log()
    }
}

/// The pages.
fn write_pages(directory: &Path) {
    let pages = directory.join("pages");
    fs::create_dir_all(&pages).expect("a directory of our own");
    let write = |name: &str, text: &str| {
        fs::write(pages.join(name), text).expect("a file of our own");
    };
    write("index.html", "<html>web1 is well</html>\n");
    write("large", &large());
    write("empty", "");
    write("in.shtml", "<p>in chunks: <!--#echo var=\"DOCUMENT_URI\" -->: well</p>\n");
}

/// nginx, if it is installed.
pub(crate) fn nginx() -> Option<Web> {
    let server = Server::start("/usr/sbin/nginx", "nginx", 2, |directory, addresses| {
        write_pages(directory);
        fs::write(directory.join("nginx.conf"), nginx_conf(addresses)).expect("a file of our own");
        let prefix = directory.display().to_string();
        ["-p", &prefix, "-c", "nginx.conf", "-e", "error.log"].map(str::to_owned).to_vec()
    });
    server.map(Web)
}

fn nginx_conf(addresses: &[SocketAddr]) -> String {
    let [one, two] = addresses else { panic!("two addresses") };
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = kinds.map(|kind| format!("    {kind}_temp_path {kind};\n")).concat();
    let pages = format!(
        "        root pages; ssi on; ssi_types *; default_type text/plain; client_max_body_size 1m;
        location /broken {{ return 500; }}
        location /moved {{ return 302 /; }}
        location /slow {{ alias pages/large; limit_rate 2k; }}
        location /seen {{ return 200 \"$seen\"; }}
        location /upload {{ proxy_pass http://{one}/seen; }}
"
    );
    format!(
        "daemon off; master_process off; pid pid; error_log error.log;
events {{ worker_connections 200; }}
http {{
{paths}    access_log off; map $host $seen {{
        default \"$request_method $host $server_protocol $http_user_agent $http_x_own \
         $content_length\"; }}
    server {{ listen {one}; listen {two} http2;
{pages}    }}
    server {{ listen {one}; listen {two} http2; server_name www.example.com;
        location / {{ return 200 \"the other host\"; }}
    }}
}}
"
    )
}

/// Apache, if it is installed.
pub(crate) fn apache() -> Option<Web> {
    let server = Server::start("/usr/sbin/apache2", "apache2-bin", 2, |directory, addresses| {
        write_pages(directory);
        let conf = apache_conf(directory, addresses);
        fs::write(directory.join("httpd.conf"), conf).expect("a file of our own");
        let root = directory.display().to_string();
        // In one process, which ends when it is told to.
        ["-X", "-d", &root, "-f", "httpd.conf"].map(str::to_owned).to_vec()
    });
    server.map(Web)
}

fn apache_conf(directory: &Path, addresses: &[SocketAddr]) -> String {
    let [one, two] = addresses else { panic!("two addresses") };
    let modules = ["mpm_event", "authz_core", "dir", "alias", "include", "mime", "http2"];
    let load =
        |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let modules: String = modules.iter().map(|name| load(name)).collect();
    let root = directory.display();
    let user =
        if nix::unistd::geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
    format!(
        "{modules}{user}ServerName web1.example.com
Listen {one}
Listen {two}
PidFile pid
ErrorLog error.log
DefaultRuntimeDir {root}
TypesConfig /dev/null
DocumentRoot {root}/pages
DirectoryIndex index.html
AddHandler server-parsed .shtml
Redirect 500 /broken
Redirect 302 /moved /
<Directory {root}/pages>
Options +Includes
</Directory>
<VirtualHost {two}>
Protocols h2c
H2Direct on
</VirtualHost>
"
    )
}
