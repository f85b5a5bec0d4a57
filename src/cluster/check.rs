//! What only the whole cluster file can tell: addresses taken twice, VIPs that no director reaches.

use super::Cluster;
use crate::diagnostic::Collector;

pub(super) fn check(_cluster: &Cluster, _found: &Collector) {}
