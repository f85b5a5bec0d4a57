//! The role files and templates that are at hand: embedded ones, and those of the host.
//!
//! A file on the host takes the place of the embedded one of the same name. The image may bring its
//! own in `/usr/lib/converge`; what lies beside the cluster file wins over both.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{FileError, Files};

macro_rules! embedded {
    ($folder:literal: $($name:literal $file:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $folder, "/", $file))),)*]
    };
}

const ROLES: &[(&str, &str)] = embedded!("roles":
    "client" "client.toml",
    "director-backup" "director-backup.toml",
    "director-master" "director-master.toml",
    "nfs" "nfs.toml",
    "proxy-backup" "proxy-backup.toml",
    "proxy-master" "proxy-master.toml",
    "realserver" "realserver.toml",
);

const TEMPLATES: &[(&str, &str)] = embedded!("templates":
    "fallback.html" "fallback.html.hbs",
    "httpd-site.conf" "httpd-site.conf.hbs",
    "nginx-proxy.conf" "nginx-proxy.conf.hbs",
    "nginx-site.conf" "nginx-site.conf.hbs",
    "nginx-upstream.conf" "nginx-upstream.conf.hbs",
    "page.html" "page.html.hbs",
);

/// Where the image puts its own roles and templates.
pub const VENDOR: &str = "/usr/lib/converge";

/// Ends the name of a text that comes with the program.
pub const EMBEDDED: &str = " (embedded)";

/// A text and the name that it is shown by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its path, or `roles/NAME.toml (embedded)`.
    pub shown: String,
    /// The text.
    pub text: String,
}

/// Everything at hand, by name without ending.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Role files.
    pub roles: BTreeMap<String, Text>,
    /// Templates.
    pub templates: BTreeMap<String, Text>,
}

impl Shelf {
    /// The embedded ones alone.
    pub fn embedded() -> Self {
        let gather = |list: &[(&str, &str)], folder: &str, ending: &str| {
            let text = |(name, text): &(&str, &str)| {
                let shown = format!("{folder}/{name}{ending}{EMBEDDED}");
                ((*name).to_owned(), Text { shown, text: (*text).to_owned() })
            };
            list.iter().map(text).collect()
        };
        Shelf {
            roles: gather(ROLES, "roles", ".toml"),
            templates: gather(TEMPLATES, "templates", ".hbs"),
        }
    }

    /// The embedded ones, and over them those of these directories, the last one winning.
    pub fn with_directories(
        files: &Files,
        directories: &[Directory<'_>],
    ) -> Result<Self, FileError> {
        let mut shelf = Self::embedded();
        for directory in directories {
            add(files, &mut shelf.roles, directory, "roles", ".toml")?;
            add(files, &mut shelf.templates, directory, "templates", ".hbs")?;
        }
        Ok(shelf)
    }
}

/// A directory that has `roles/` and `templates/`.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    /// Where it is; absolute.
    pub path: &'a Path,
    /// What the user calls it.
    pub shown: &'a Path,
}

fn add(
    files: &Files,
    into: &mut BTreeMap<String, Text>,
    directory: &Directory<'_>,
    folder: &str,
    ending: &str,
) -> Result<(), FileError> {
    let path = directory.path.join(folder);
    for name in files.list(&path)? {
        let Some(stem) = name.strip_suffix(ending).filter(|s| !s.starts_with('.')) else {
            continue;
        };
        if let Some(text) = files.read_text(path.join(&name))? {
            let shown = directory.shown.join(folder).join(&name).display().to_string();
            into.insert(stem.to_owned(), Text { shown, text });
        }
    }
    Ok(())
}
