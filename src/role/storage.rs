//! `[[directory]]`, `[[file]]`, `[[mount]]` and `[[export]]`.
//!
//! Texts come from the role or from a template, rendered here. A file that converge keeps as it is
//! says so in its first line; one that is written once belongs to the user.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::element::{Element, FOR_EACH, WHEN};
use crate::diagnostic::Diagnostic;
use crate::document::{Field, Section, Shape, Value};
use crate::resource::directory::Directory;
use crate::resource::export::Export;
use crate::resource::file::{File, Mode, Owner};
use crate::resource::mount::Mount;

/// The keys of `[[directory]]`.
pub const DIRECTORY: Section = Section::new(
    "directory",
    "A directory with owner and mode.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("path", Shape::Path, "Where."),
        Field::optional("mode", Shape::Text, "Permission bits in octal.").default("0755"),
        Field::optional("owner", Shape::Text, "user:group; left as it is without."),
    ],
);

/// The keys of `[[file]]`.
pub const FILE: Section = Section::new(
    "file",
    "A file, whole.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("path", Shape::Path, "Where."),
        Field::optional("content", Shape::Text, "The text; this or `template`."),
        Field::optional("template", Shape::Text, "A file of templates/, without its .hbs."),
        Field::optional("mode", Shape::Text, "Permission bits in octal.").default("0644"),
        Field::optional("owner", Shape::Text, "user:group; left as it is without."),
        Field::optional("once", Shape::Bool, "Only written when missing; yours afterwards.")
            .default("false"),
        Field::optional("check", Shape::List(&Shape::Text), "A command that must succeed with it."),
    ],
);

/// The keys of `[[mount]]`.
pub const MOUNT: Section = Section::new(
    "mount",
    "A file system, mounted by a systemd mount unit.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("what", Shape::Text, "A device, or host:/path."),
        Field::required("where", Shape::Path, "The mount point."),
        Field::required("type", Shape::Text, "The file system type."),
        Field::optional("options", Shape::Text, "As mount(8) takes them.").default("defaults"),
    ],
);

/// The keys of `[[export]]`.
pub const EXPORT: Section = Section::new(
    "export",
    "A directory exported over NFS to one client or network.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("path", Shape::Path, "The directory."),
        Field::required("client", Shape::Text, "An address, a network a.b.c.d/n, a host, or *."),
        Field::optional("options", Shape::Text, "As in exports(5). An fsid is added if none is.")
            .default("rw,sync,no_subtree_check"),
    ],
);

impl Value for Mode {
    const WHAT: &'static str = "permission bits in octal, such as 0755";

    fn parse(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
            Ok(bits) if bits <= 0o7777 => Ok(Mode(bits)),
            Ok(_) | Err(_) => Err("permission bits are octal, from 0000 to 7777".into()),
        }
    }
}

impl Value for Owner {
    const WHAT: &'static str = "an owner, such as root:root";

    fn parse(text: &str) -> Result<Self, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, text));
        if user.is_empty() || group.is_empty() || text.contains(char::is_whitespace) {
            return Err("an owner is written user:group".into());
        }
        Ok(Owner { user: user.into(), group: group.into() })
    }
}

/// Reads `[[directory]]`.
pub fn directory(e: &Element<'_>) -> Option<Directory> {
    let path = e.get::<PathBuf>("path")?.value;
    let mode = mode(e)?.unwrap_or(Mode(0o755));
    Some(Directory { path, mode, owner: owner(e)? })
}

/// Reads `[[file]]`, and renders its template. A text that has a comment sign for it begins with
/// a line that says who wrote it, unless the file is the user's after the first time.
pub fn file(e: &Element<'_>) -> Option<File> {
    let path = e.get::<PathBuf>("path")?.value;
    let once = e.get::<bool>("once").is_some_and(|o| o.value);
    let content = match (e.get::<String>("content"), e.get::<String>("template")) {
        (Some(content), None) => content.value,
        (None, Some(template)) => {
            e.template(Some(&template), "", "file", serde_json::json!({ "path": path }))?
        }
        (Some(_), Some(template)) => {
            let title = "a file has `content` or `template`, not both";
            e.report(Diagnostic::error(template.place, title));
            return None;
        }
        (None, None) => {
            e.report(Diagnostic::error(e.place(), "a file needs `content` or `template`"));
            return None;
        }
    };
    let check = e.list("check");
    let check = (!check.is_empty()).then_some(check);
    let content = if once { content } else { signed(&path, &content, e.role()) };
    Some(File { path, content, mode: mode(e)?, owner: owner(e)?, once, check })
}

/// A content that begins with a line saying who wrote it, where the path tells how a comment is
/// written there.
pub fn signed(path: &Path, content: &str, role: &str) -> String {
    let says = format!("Written by converge for role {role}; changes here are undone.");
    match path.extension().and_then(|e| e.to_str()) {
        Some("conf" | "cfg" | "exports" | "service" | "mount" | "rules" | "sh" | "toml")
            if !content.starts_with("#!") =>
        {
            format!("# {says}\n{content}")
        }
        Some("html" | "htm" | "xml") if content.starts_with("<!doctype html>\n") => {
            let rest = &content["<!doctype html>\n".len()..];
            format!("<!doctype html>\n<!-- {says} -->\n{rest}")
        }
        Some(_) | None => content.to_owned(),
    }
}

/// Reads `[[mount]]`.
pub fn mount(e: &Element<'_>) -> Option<Mount> {
    Some(Mount {
        mount_point: e.get::<PathBuf>("where")?.value,
        what: e.get::<String>("what")?.value,
        fs_type: e.get::<String>("type")?.value,
        options: e.text("options").unwrap_or_else(|| "defaults".into()),
        mounted: true,
    })
}

/// Reads `[[export]]`.
pub fn export(e: &Element<'_>) -> Option<Export> {
    let path = e.get::<PathBuf>("path")?.value;
    let text = e.text("options").unwrap_or_else(|| "rw,sync,no_subtree_check".into());
    let mut options: BTreeSet<String> =
        text.split(',').map(str::trim).filter(|o| !o.is_empty()).map(str::to_owned).collect();
    if !options.iter().any(|o| o.starts_with("fsid=")) {
        options.insert(format!("fsid={}", fsid(&path)));
    }
    Some(Export { path, client: e.get::<String>("client")?.value, options })
}

/// A file system id that follows from the path: clients' file handles stay good over a reboot and
/// on a host that takes this one's place, and file systems without an id of their own (tmpfs,
/// overlay) can be exported at all.
fn fsid(path: &Path) -> String {
    let text = path.as_os_str().as_encoded_bytes();
    let digest = ring::digest::digest(&ring::digest::SHA256, text);
    let hex: String = digest.as_ref()[..16].iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// `None` if it is wrong, `Some(None)` if it is left out.
fn mode(e: &Element<'_>) -> Option<Option<Mode>> {
    let Some(_) = e.text("mode") else {
        return Some(None);
    };
    let mode = e.get::<Mode>("mode")?;
    if mode.value.0 & 0o002 != 0 && mode.value.0 & 0o1000 == 0 {
        let title = format!("mode {} lets every user of this host write here", mode.value);
        let help = "0755 is enough to read; for writing clients give the directory an owner, or \
                    export it with anonuid";
        e.report(Diagnostic::warning(mode.place, title).help(help));
    }
    Some(Some(mode.value))
}

fn owner(e: &Element<'_>) -> Option<Option<Owner>> {
    let Some(_) = e.text("owner") else {
        return Some(None);
    };
    Some(Some(e.get::<Owner>("owner")?.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fsid_is_a_uuid_that_follows_from_the_path() {
        let one = fsid(Path::new("/opt/111"));
        assert_eq!(one, fsid(Path::new("/opt/111")));
        assert_ne!(one, fsid(Path::new("/opt/222")));
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn an_owner_without_a_group_has_the_group_of_its_name() {
        let owner = Owner { user: "www-data".into(), group: "www-data".into() };
        assert_eq!(Owner::parse("www-data"), Ok(owner));
        assert!(Owner::parse("a b").is_err());
    }
}
