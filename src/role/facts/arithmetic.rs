//! `{{minus a b}}` and `{{times a b}}`, for a default that follows from a host's place in its
//! role: `{{minus 200 (times 5 me.index)}}`.
//!
//! Two operations are enough for that; whatever needs more does not belong into a template.

use handlebars::{Handlebars, handlebars_helper};

handlebars_helper!(minus: |a: i64, b: i64| a.saturating_sub(b));
handlebars_helper!(times: |a: i64, b: i64| a.saturating_mul(b));

/// Makes them known.
pub(super) fn register(handlebars: &mut Handlebars<'_>) {
    handlebars.register_helper("minus", Box::new(minus));
    handlebars.register_helper("times", Box::new(times));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> String {
        let mut handlebars = Handlebars::new();
        register(&mut handlebars);
        let facts = serde_json::json!({ "index": 3 });
        handlebars.render_template(template, &facts).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn a_priority_follows_from_a_place_in_the_role() {
        assert_eq!(rendered("{{minus 200 (times 5 index)}}"), "185");
        assert_eq!(rendered("{{minus 1 2}}"), "-1");
        assert!(rendered("{{minus 1 'x'}}").contains("minus"));
    }
}
