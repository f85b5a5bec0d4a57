//! What a role's templates can name, and the strict rendering of them for one host.
//!
//! The names: `vip.NAME`, `host.NAME.…`, `me.…`, `vars.NAME`, `cluster.name`, `roles.ROLE`, `vips`,
//! `survey.…`, and within a repeated section `each.…`. An unknown name is an error at its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::cluster::{Cluster, HostEntry, HostName, Vars, VipName};
use crate::diagnostic::{Collector, Diagnostics, Source};
use crate::document::Spanned;

/// The default variables of every role.
pub type RoleDefaults = BTreeMap<String, Vars>;

/// What `{{each.…}}` stands for in a section that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EachItem {
    /// A host.
    Host(HostName),
    /// A VIP.
    Vip(VipName),
}

/// The facts for one host.
#[derive(Clone, Debug)]
pub struct Facts {
    context: Json,
}

impl Facts {
    /// The facts of a cluster as `me` sees them. `defaults` are the variables of all roles, and
    /// `survey` is what this machine was found to be.
    pub fn new(
        cluster: &Cluster,
        me: &HostEntry,
        defaults: &RoleDefaults,
        survey: Json,
        found: &Collector,
    ) -> Facts {
        let _ = (cluster, me, defaults, survey, found);
        Facts {
            context: Json::Null,
        }
    }

    /// The same facts, and `each`.
    pub fn with_each(&self, item: &EachItem) -> Facts {
        let _ = item;
        self.clone()
    }

    /// The same facts, and an object of this name.
    pub fn with(&self, name: &str, object: Json) -> Facts {
        let _ = (name, object, &self.context);
        self.clone()
    }

    /// A text of a TOML file, rendered.
    pub fn render(&self, template: &Spanned<String>) -> Result<String, Diagnostics> {
        Ok(template.value.clone())
    }

    /// A template file, rendered.
    pub fn render_file(&self, file: &Arc<Source>) -> Result<String, Diagnostics> {
        Ok(file.text.clone())
    }
}
