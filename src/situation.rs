//! What may change while a host keeps its role: whether it is the active director.
//!
//! Health of real servers and the operator's word will join it here. The desired state is a pure
//! function of role and situation, so a failover is nothing but a new situation.

/// Whether this host is the one that holds the VIPs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No other host could hold them, so this one does.
    Alone,
    /// It stands by: another director may hold them.
    #[default]
    Backup,
    /// It was elected.
    Active,
}

/// What the desired state depends on beside the role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Whether this host holds the VIPs.
    pub standing: Standing,
}

impl Situation {
    /// Before any word from a peer: a director without peers holds the VIPs, one with peers waits.
    pub fn at_start(has_peers: bool) -> Self {
        let standing = if has_peers { Standing::Backup } else { Standing::Alone };
        Situation { standing }
    }

    /// Whether the VIPs belong on this host now.
    pub fn holds_vips(&self) -> bool {
        match self.standing {
            Standing::Alone | Standing::Active => true,
            Standing::Backup => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_director_without_peers_holds_the_vips_and_one_with_peers_waits() {
        assert!(Situation::at_start(false).holds_vips());
        assert!(!Situation::at_start(true).holds_vips());
    }
}
