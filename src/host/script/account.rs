//! The user that a program runs as.
//!
//! Without a name it is ours, and nothing is changed. With one, user and group become that user's
//! own and all other groups are given up.

use std::path::PathBuf;

use nix::unistd::{Uid, User, geteuid};
use tokio::process::Command;

use crate::host::users::{UserError, uid};

/// What of the system's user database a program needs.
#[derive(Debug)]
pub(super) struct Account {
    /// Its number.
    pub(super) uid: u32,
    /// Whose group it has, if it is not to be as we are.
    group: Option<u32>,
    name: String,
    home: PathBuf,
}

impl Account {
    /// Asks the system's user database, which may take its time.
    pub(super) fn find(name: Option<&str>) -> Result<Self, UserError> {
        let number = match name {
            None => geteuid(),
            Some(name) => Uid::from_raw(uid(name)?),
        };
        let lookup = |source| UserError::Lookup { name: number.to_string(), source };
        let user = User::from_uid(number).map_err(lookup)?;
        let uid = number.as_raw();
        let own_group = user.as_ref().map_or(uid, |user| user.gid.as_raw());
        Ok(Account {
            uid,
            group: name.map(|_| own_group),
            name: user.as_ref().map_or_else(|| uid.to_string(), |user| user.name.clone()),
            home: user.map_or_else(|| PathBuf::from("/"), |user| user.dir),
        })
    }

    /// Has a program run as this user.
    pub(super) fn assume(&self, command: &mut Command) {
        if let Some(group) = self.group {
            // The standard library gives up all other groups where it may change the user.
            command.uid(self.uid).gid(group);
        }
        command.env("USER", &self.name).env("LOGNAME", &self.name).env("HOME", &self.home);
    }
}
