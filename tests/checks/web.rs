//! nginx and Apache with the same pages.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::asking::write_certificate;
use super::server::{Server, six};

/// The text of the page /large, which is longer than what a check looks at.
pub(crate) fn large() -> String {
    (0..20_000).map(|line| format!("line {line}\n")).collect()
}

/// A web server: HTTP/1 at one address, HTTP/2 with prior knowledge at another, both under TLS at
/// the third.
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

    /// Where it speaks both under TLS.
    pub(crate) fn https(&self) -> SocketAddr {
        self.0.addresses[2]
    }

    /// The same over IPv6.
    pub(crate) fn over_six(&self, address: SocketAddr) -> SocketAddr {
        let number = self.0.addresses.iter().position(|own| *own == address);
        self.0.six(number.expect("an address of it"))
    }

    /// Whom to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.file("cert.pem")
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
    let server = Server::start("/usr/sbin/nginx", "nginx", 3, |directory, addresses| {
        write_pages(directory);
        write_certificate(directory);
        fs::write(directory.join("nginx.conf"), nginx_conf(addresses)).expect("a file of our own");
        let prefix = directory.display().to_string();
        ["-p", &prefix, "-c", "nginx.conf", "-e", "error.log"].map(str::to_owned).to_vec()
    });
    server.map(Web)
}

fn nginx_conf(addresses: &[SocketAddr]) -> String {
    let [one, two, three] = addresses else { panic!("three addresses") };
    let listen =
        |at: &SocketAddr, how: &str| format!("listen {at}{how}; listen {}{how}; ", six(*at));
    let (one_two, three) = (listen(one, "") + &listen(two, " http2"), listen(three, " ssl http2"));
    // More than a frame of HTTP/2 holds.
    let long: String =
        (0..6).map(|n| format!("add_header X-Long-{n} {}; ", "x".repeat(3_000))).collect();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = kinds.map(|kind| format!("    {kind}_temp_path {kind};\n")).concat();
    let pages = format!(
        "        root pages; ssi on; ssi_types *; default_type text/plain; client_max_body_size 1m;
        location /broken {{ return 500; }}
        location /moved {{ return 302 /; }}
        location /slow {{ alias pages/large; limit_rate 2k; }}
        location /seen {{ return 200 \"$seen\"; }}
        location /upload {{ proxy_pass http://{one}/seen; }}
        location /long {{ {long}alias pages/index.html; }}
        location /trailed {{ ssi off; add_trailer X-Trailer last; alias pages/index.html; }}
        location /pushed {{ http2_push /empty; alias pages/index.html; }}
"
    );
    format!(
        "daemon off; master_process off; pid pid; error_log error.log;
events {{ worker_connections 200; }}
http {{
{paths}    access_log off; map $host $seen {{
        default \"$request_method $host $server_protocol $http_user_agent $http_x_own \
         $content_length\"; }}
    ssl_certificate cert.pem; ssl_certificate_key key.pem;
    server {{ {one_two}
{pages}    }}
    server {{ {three} keepalive_requests 1;
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
    let server = Server::start("/usr/sbin/apache2", "apache2-bin", 3, |directory, addresses| {
        write_pages(directory);
        write_certificate(directory);
        let conf = apache_conf(directory, addresses);
        fs::write(directory.join("httpd.conf"), conf).expect("a file of our own");
        let root = directory.display().to_string();
        // In one process, which ends when it is told to.
        ["-X", "-d", &root, "-f", "httpd.conf"].map(str::to_owned).to_vec()
    });
    server.map(Web)
}

fn apache_conf(directory: &Path, addresses: &[SocketAddr]) -> String {
    let [_, two, three] = addresses else { panic!("three addresses") };
    let listen: String =
        addresses.iter().map(|at| format!("Listen {at}\nListen {}\n", six(*at))).collect();
    let modules = [
        "mpm_event",
        "authz_core",
        "dir",
        "alias",
        "include",
        "mime",
        "http2",
        "headers",
        "socache_shmcb",
        "ssl",
    ];
    let load =
        |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let modules: String = modules.iter().map(|name| load(name)).collect();
    let root = directory.display();
    let long: String =
        (0..6).map(|n| format!("Header add X-Long-{n} {}\n", "x".repeat(3_000))).collect();
    let user =
        if nix::unistd::geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
    format!(
        "{modules}{user}ServerName web1.example.com
{listen}PidFile pid
ErrorLog error.log
DefaultRuntimeDir {root}
TypesConfig /dev/null
DocumentRoot {root}/pages
DirectoryIndex index.html
AddHandler server-parsed .shtml
Redirect 500 /broken
Redirect 302 /moved /
Alias /pushed {root}/pages/index.html
Alias /long {root}/pages/index.html
<Location /pushed>
Header add Link \"</empty>;rel=preload\"
</Location>
<Location /long>
{long}</Location>
<Directory {root}/pages>
Options +Includes
</Directory>
<VirtualHost {two} {}>
Protocols h2c
H2Direct on
</VirtualHost>
<VirtualHost {three} {}>
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile cert.pem
SSLCertificateKeyFile key.pem
</VirtualHost>
",
        six(*two),
        six(*three)
    )
}
