//! Modules, against a kernel that has them on disk.

use converge::reconcile::Outcome;
use converge::resource::module::Module;
use converge::resource::{Desired, Resource};

use super::uml::each_in_uml;
use super::{attempt, converge, desired, sh};

fn module(name: &str) -> Resource {
    Module { module: name.into() }.into()
}

each_in_uml! {
    async fn a_module_is_loaded_once_and_stays(host) {
        let wanted = desired([module("ip_vs"), module("ip_vs_rr"), module("nf-conntrack")]);
        assert!(converge(host, &wanted).await >= 2);
        assert_eq!(converge(host, &wanted).await, 0);
        sh("rmmod ip_vs_rr");
        assert_eq!(converge(host, &wanted).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 0);
        assert!(sh("cat /proc/modules").contains("ip_vs_rr"));
    }

    async fn what_is_built_in_needs_no_loading(host) {
        let built_in = sh("head -n1 /lib/modules/$(uname -r)/modules.builtin");
        let name = built_in.trim().rsplit('/').next().and_then(|f| f.strip_suffix(".ko"));
        assert_eq!(converge(host, &desired([module(name.expect("a module"))])).await, 0);
    }

    async fn a_module_that_this_kernel_lacks_is_explained(host) {
        let report = attempt(host, &desired([module("ip_vs_nonesuch")])).await;
        let Outcome::Failed(error) = &report.changes[0].1 else { panic!("{report:?}") };
        assert!(error.to_string().ends_with("has no module ip_vs_nonesuch"), "{error}");
        assert!(error.hint().is_some_and(|h| h.contains("CONFIG_IP_VS_NONESUCH")));
    }
}
