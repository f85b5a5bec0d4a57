//! `{{has list item}}`: whether a variable is this, or is a list that has it.
//!
//! For a variable that may be one text or several, `fallback = ["192.0.2.9:80", "local"]`.

use handlebars::{Handlebars, handlebars_helper};
use serde_json::Value as Json;

handlebars_helper!(has: |list: Json, item: Json| match list {
    Json::Array(items) => items.contains(item),
    single => single == item,
});

/// Makes it known.
pub(super) fn register(handlebars: &mut Handlebars<'_>) {
    handlebars.register_helper("has", Box::new(has));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_one_is_a_list_of_one() {
        let mut handlebars = Handlebars::new();
        register(&mut handlebars);
        let facts = serde_json::json!({ "one": "a", "two": ["b", "a"], "none": "" });
        for (list, said) in [("one", "yes"), ("two", "yes"), ("none", "no")] {
            let template = format!("{{{{#if (has {list} 'a')}}}}yes{{{{else}}}}no{{{{/if}}}}");
            assert_eq!(handlebars.render_template(&template, &facts).ok().as_deref(), Some(said));
        }
    }
}
