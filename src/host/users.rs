//! Looks users and groups up, by name and by number.
//!
//! The system's own database is asked, so users from a directory service count too. A name of
//! digits alone stands for the number.

use nix::unistd::{Gid, Group, Uid, User};

/// Why a name could not become a number.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("there is no user `{name}` on this host")]
    NoUser {
        /// The name.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group `{name}` on this host")]
    NoGroup {
        /// The name.
        name: String,
    },
    /// The system's user database could not be asked.
    #[error("cannot look up `{name}`")]
    Lookup {
        /// The name.
        name: String,
        /// Why.
        source: nix::Error,
    },
}

/// Users that come with a package: the user, Debian's package, the RHEL family's.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("www-data", "base-passwd", "none: the web servers run as `nginx` or `apache` there"),
    ("nginx", "none: nginx runs as `www-data` there", "nginx"),
    ("apache", "none: apache2 runs as `www-data` there", "httpd"),
];

impl UserError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let (UserError::NoUser { name } | UserError::NoGroup { name }) = self else {
            return None;
        };
        let (_, debian, rhel) = PACKAGES.iter().find(|(user, ..)| user == name)?;
        Some(format!("package: {debian} (Debian, Ubuntu); {rhel} (RHEL, Rocky, Fedora)"))
    }
}

/// The user's number. A name of digits alone that no user has is the number itself.
pub fn uid(name: &str) -> Result<u32, UserError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => name.parse().map_err(|_| UserError::NoUser { name: name.into() }),
        Err(source) => Err(UserError::Lookup { name: name.into(), source }),
    }
}

/// The group's number. A name of digits alone that no group has is the number itself.
pub fn gid(name: &str) -> Result<u32, UserError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => name.parse().map_err(|_| UserError::NoGroup { name: name.into() }),
        Err(source) => Err(UserError::Lookup { name: name.into(), source }),
    }
}

/// The name of a user's number; the number as text if nobody has it.
pub fn user_name(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of a group's number; the number as text if nobody has it.
pub fn group_name(gid: u32) -> String {
    let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    found.map_or_else(|| gid.to_string(), |group| group.name)
}
