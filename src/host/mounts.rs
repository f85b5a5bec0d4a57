//! Reads which file systems are mounted, from `/proc/self/mountinfo`.
//!
//! The parser is pure and takes what it is given: a line that is not one of mountinfo is left out.
//! Mounting is systemd's work; see [`super::units`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{FileError, Files};

const PATH: &str = "/proc/self/mountinfo";

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Which directory of the file system is at the mount point.
    pub root: PathBuf,
    /// Where.
    pub mount_point: PathBuf,
    /// The file system type as the kernel calls it.
    pub fs_type: String,
    /// What is mounted: a device, `host:/path`, or any word.
    pub source: String,
}

/// The table, in the order of mounting: of two at one mount point the later hides the earlier.
pub fn table(files: &Files) -> Result<Vec<Mounted>, FileError> {
    Ok(parse(&files.read_text(PATH)?.unwrap_or_default()))
}

/// Long for a server that answers; a file system that does not answer is not known to be stale.
const STALE_LIMIT: Duration = Duration::from_secs(2);

/// Whether what is mounted leads nowhere, because the NFS server has made the directory anew
/// (`ESTALE`). A server that is away is waited for no longer than 2 seconds, and is no reason to
/// unmount.
pub async fn is_stale(files: &Files, mount_point: &Path) -> bool {
    let path = files.real(mount_point);
    let (told, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which may hang as long as the server does.
    std::thread::spawn(move || {
        let error = std::fs::metadata(path).err().and_then(|e| e.raw_os_error());
        told.send(error == Some(nix::libc::ESTALE))
    });
    matches!(tokio::time::timeout(STALE_LIMIT, answer).await, Ok(Ok(true)))
}

/// Parses mountinfo; see proc(5).
pub fn parse(text: &str) -> Vec<Mounted> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mounted> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount_point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (fs_type, source) = (after.next()?, after.next()?);
    if !mount_point.starts_with('/') {
        return None;
    }
    Some(Mounted {
        root: unescape(root).into(),
        mount_point: unescape(mount_point).into(),
        fs_type: unescape(fs_type),
        source: unescape(source),
    })
}

/// Undoes the octal escapes (`\040` for a blank) of the kernel's and of nfs-utils' tables.
pub fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'\\').then(|| octal(tail)).flatten();
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.get(..3)?;
    let value = digits.iter().try_fold(0u32, |value, digit| {
        matches!(digit, b'0'..=b'7').then(|| value * 8 + u32::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_mountinfo_gives_source_type_and_place() {
        let line = "210 28 0:44 / /var/www/html rw,relatime shared:9 - nfs4 nfs:/opt/111 \
                    rw,vers=4.2,addr=192.0.2.5\n";
        let expected = Mounted {
            root: "/".into(),
            mount_point: "/var/www/html".into(),
            fs_type: "nfs4".into(),
            source: "nfs:/opt/111".into(),
        };
        assert_eq!(parse(line), [expected]);
    }

    #[test]
    fn blanks_in_names_are_escaped_by_the_kernel() {
        let line = r"36 35 98:0 / /mnt/a\040b rw - ext4 /dev/disk\134x rw";
        let found = parse(line);
        assert_eq!(found[0].mount_point, PathBuf::from("/mnt/a b"));
        assert_eq!(found[0].source, r"/dev/disk\x");
    }

    #[test]
    fn a_line_without_optional_fields_is_understood() {
        assert_eq!(parse("1 1 0:1 / / rw - tmpfs tmpfs rw").len(), 1);
    }

    #[test]
    fn an_escape_that_is_cut_off_stands_for_itself() {
        assert_eq!(unescape(r"a\04"), r"a\04");
        assert_eq!(unescape(r"a\777"), r"a\777");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            let found = parse(&text);
            prop_assert!(found.len() <= text.lines().count());
        }

        #[test]
        fn any_text_without_a_backslash_is_its_own_unescaping(text in "[^\\\\]*") {
            prop_assert_eq!(unescape(&text), text);
        }
    }
}
