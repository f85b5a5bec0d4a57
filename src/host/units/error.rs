//! What systemd can answer instead of doing it.
//!
//! Each error says it in a person's words, and has a hint where there is something to do: the
//! package that has a unit, the command that shows more.

use std::time::Duration;

/// Why a unit is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// Another init system runs this host, or none.
    #[error("systemd does not run this host")]
    NoSystemd,
    /// systemd runs, and the system bus cannot be reached.
    #[error("cannot reach systemd over the system bus")]
    Connect(#[source] Box<zbus::Error>),
    /// The bus or systemd answered with an error.
    #[error("cannot {doing}")]
    Bus {
        /// What, for the sentence "cannot …".
        doing: String,
        /// Why.
        source: Box<zbus::Error>,
    },
    /// systemd knows no such unit.
    #[error("there is no unit {unit} on this host")]
    NoSuchUnit {
        /// The unit.
        unit: String,
    },
    /// The unit is masked.
    #[error("{unit} is masked: nothing may start it")]
    Masked {
        /// The unit.
        unit: String,
    },
    /// The unit's file is wrong.
    #[error("{unit} cannot be loaded ({state})")]
    Bad {
        /// The unit.
        unit: String,
        /// systemd's word.
        state: String,
    },
    /// The job ended badly.
    #[error("cannot {doing} {unit}: {result}{}{}", after(reason), block(log))]
    Job {
        /// The verb.
        doing: &'static str,
        /// The unit.
        unit: String,
        /// The job's result: `failed`, `timeout`, `dependency`, ….
        result: String,
        /// The unit's own result, `exit-code` for example; may be empty.
        reason: String,
        /// The last lines of the unit's log.
        log: Vec<String>,
    },
    /// The job did not end.
    #[error("cannot {doing} {unit}: systemd was not done after {} s", limit.as_secs())]
    Late {
        /// The verb.
        doing: &'static str,
        /// The unit.
        unit: String,
        /// How long it was given.
        limit: Duration,
    },
    /// The bus went away while the job ran.
    #[error("cannot tell whether systemd could {doing} {unit}: the bus went away")]
    Lost {
        /// The verb.
        doing: &'static str,
        /// The unit.
        unit: String,
    },
}

fn after(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

fn block(log: &[String]) -> String {
    log.iter().map(|line| format!("\n    {line}")).collect()
}

/// The package of each unit that a role may need: the unit, Debian's, the RHEL family's.
const PACKAGES: &[(&str, &str, &str)] = &[
    (
        "apache2.service",
        "apache2",
        "none: the unit is httpd.service there",
    ),
    (
        "httpd.service",
        "none: the unit is apache2.service there",
        "httpd",
    ),
    ("nfs-server.service", "nfs-kernel-server", "nfs-utils"),
    ("nginx.service", "nginx", "nginx"),
    ("rpcbind.service", "rpcbind", "rpcbind"),
    ("rpcbind.socket", "rpcbind", "rpcbind"),
];

impl UnitError {
    pub(super) fn bus(doing: &str, source: zbus::Error) -> UnitError {
        UnitError::Bus {
            doing: doing.into(),
            source: Box::new(source),
        }
    }

    /// What systemd's error about one unit means.
    pub(super) fn of(doing: &str, unit: &str, source: zbus::Error) -> UnitError {
        let unit = unit.to_owned();
        let missing = zbus::fdo::Error::FileNotFound(String::new());
        match &source {
            zbus::Error::MethodError(name, ..) => match name.as_str() {
                "org.freedesktop.systemd1.NoSuchUnit" => return UnitError::NoSuchUnit { unit },
                "org.freedesktop.systemd1.UnitMasked" => return UnitError::Masked { unit },
                _ => {}
            },
            zbus::Error::FDO(e)
                if std::mem::discriminant(&**e) == std::mem::discriminant(&missing) =>
            {
                return UnitError::NoSuchUnit { unit };
            }
            _ => {}
        }
        UnitError::bus(&format!("{doing} {unit}"), source)
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            UnitError::NoSuchUnit { unit } => {
                let (_, debian, rhel) = PACKAGES.iter().find(|(name, ..)| name == unit)?;
                Some(format!(
                    "package: {debian} (Debian, Ubuntu); {rhel} (RHEL, Rocky, Fedora)"
                ))
            }
            UnitError::Masked { unit } => Some(format!("systemctl unmask {unit}")),
            UnitError::Connect(_) => Some("is the package dbus installed and running?".into()),
            UnitError::Job { unit, .. } => Some(format!("journalctl -u {unit}")),
            UnitError::NoSystemd => Some("units and mounts need systemd".into()),
            UnitError::Bus { .. }
            | UnitError::Bad { .. }
            | UnitError::Late { .. }
            | UnitError::Lost { .. } => None,
        }
    }
}
