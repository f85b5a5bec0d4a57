//! What is run when a virtual router changes its state: plain data, as the role file says.
//!
//! The arguments after those of the role file are keepalived's: `INSTANCE name STATE priority`,
//! with keepalived's words for the states. How and when it is run is not known here.

use std::collections::BTreeSet;
use std::time::Duration;

/// A program that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// The states that it is run for.
    pub on: BTreeSet<On>,
    /// The program and its own arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Who it runs as; without, as converge itself.
    pub user: Option<String>,
    /// How long it may take; then it is ended.
    pub timeout: Duration,
    /// The router that it is for; without, for all.
    pub router: Option<String>,
}

/// A state that a router has come into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// It holds the VIPs.
    Active,
    /// It stands by.
    Backup,
    /// It cannot be Active.
    Fault,
    /// converge has stopped it.
    Stop,
}

impl On {
    /// All of them.
    pub const ALL: [On; 4] = [On::Active, On::Backup, On::Fault, On::Stop];

    /// keepalived's word for it.
    pub fn alias(self) -> &'static str {
        match self {
            On::Active => "MASTER",
            On::Backup => "BACKUP",
            On::Fault => "FAULT",
            On::Stop => "STOP",
        }
    }
}

impl HookConfig {
    /// Whether it is run when this router comes into this state.
    pub fn is_for(&self, router: &str, on: On) -> bool {
        self.on.contains(&on) && self.router.as_deref().is_none_or(|own| own == router)
    }

    /// The whole command line: `argv INSTANCE name STATE priority`.
    pub fn command(&self, router: &str, on: On, priority: u8) -> Vec<String> {
        let ours = ["INSTANCE", router, on.alias()].map(str::to_owned);
        self.argv.iter().cloned().chain(ours).chain([priority.to_string()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_gets_the_arguments_that_keepalived_gives() {
        let hook = HookConfig {
            on: BTreeSet::from([On::Active]),
            argv: vec!["/etc/notify.sh".into(), "mail".into()],
            user: None,
            timeout: Duration::from_secs(30),
            router: Some("vip".into()),
        };
        let command = hook.command("vip", On::Active, 200);
        assert_eq!(command, ["/etc/notify.sh", "mail", "INSTANCE", "vip", "MASTER", "200"]);
        assert!(hook.is_for("vip", On::Active));
        assert!(!hook.is_for("vip", On::Fault) && !hook.is_for("web", On::Active));
    }
}
