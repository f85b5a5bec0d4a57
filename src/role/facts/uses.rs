//! The names that a template uses, each with the place where it stands and what it stands in.
//!
//! This reads handlebars' own syntax tree, so that an unknown name can be told of before anything
//! is rendered, all of them at once. Inside `{{#if}}` and other blocks that may not be taken, a use
//! is found but not held against anyone: there the rendering decides.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "handlebars' enums are non-exhaustive: a wildcard is needed in any case"
)]

use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Path, Template};
use serde_json::Value as Json;

use super::Facts;
use super::lookup::{self, Name};

/// What names without `@root` are looked up in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// The facts.
    Root(&'a Facts),
    /// An item of a list, or the object of a `{{#with}}`.
    Item(&'a Json),
    /// Something that only the rendering knows.
    Unknown,
}

/// How a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Its text is put there.
    Text,
    /// It is handed to a helper, such as the list of `{{#each}}`.
    Argument,
    /// It is asked whether it is there: `{{#if}}`.
    Condition,
}

/// A name in a template.
#[derive(Clone, Debug)]
pub(super) struct Use<'a> {
    /// Where its mustache begins, in bytes.
    pub(super) mustache: usize,
    /// Where the name stands, in bytes.
    pub(super) at: usize,
    /// The name as it is written.
    pub(super) raw: &'a str,
    /// How it is used.
    pub(super) manner: Manner,
    /// Whether it is certain to be rendered.
    pub(super) certain: bool,
    /// The scopes it stands in, the innermost last.
    pub(super) scopes: Vec<Scope<'a>>,
}

/// Walks a template.
pub(super) struct Walk<'a> {
    text: &'a str,
    scopes: Vec<Scope<'a>>,
    certain: bool,
    uses: Vec<Use<'a>>,
    /// Where to look for the next name: names are met in the order of the text.
    simple: bool,
}

impl<'a> Walk<'a> {
    /// Every use in the order of the text; and whether the template is nothing but text and names.
    pub(super) fn over(
        facts: &'a Facts,
        text: &'a str,
        template: &'a Template,
    ) -> (Vec<Use<'a>>, bool) {
        let scopes = vec![Scope::Root(facts)];
        let mut walk = Walk { text, scopes, certain: true, uses: Vec::new(), simple: true };
        walk.template(template);
        (walk.uses, walk.simple)
    }

    fn template(&mut self, template: &'a Template) {
        for (element, place) in template.elements.iter().zip(&template.mapping) {
            let mustache = offset(self.text, place.0, place.1);
            match element {
                TemplateElement::RawString(_) => {}
                TemplateElement::Expression(expression)
                | TemplateElement::HtmlExpression(expression) => {
                    self.expression(expression, mustache);
                }
                TemplateElement::HelperBlock(block) => {
                    self.simple = false;
                    self.block(block, mustache);
                }
                // Partials and decorators are none of ours; comments need handlebars' own rules
                // for the white space around them.
                _ => self.simple = false,
            }
        }
    }

    fn expression(&mut self, expression: &'a HelperTemplate, mustache: usize) {
        let name_only = expression.params.is_empty() && expression.hash.is_empty();
        match &expression.name {
            Parameter::Path(path) if name_only => {
                self.path(path, mustache, mustache, Manner::Text);
            }
            _ => self.simple = false,
        }
        self.arguments(expression, mustache, Manner::Argument);
    }

    fn arguments(&mut self, helper: &'a HelperTemplate, mustache: usize, manner: Manner) {
        let mut from = mustache;
        for parameter in &helper.params {
            from = self.parameter(parameter, mustache, from, manner);
        }
        // The order of these is not kept, so that each is looked for from the mustache's start.
        for parameter in helper.hash.values() {
            self.parameter(parameter, mustache, mustache, Manner::Argument);
        }
    }

    /// Returns where to look for the next parameter.
    fn parameter(
        &mut self,
        parameter: &'a Parameter,
        mustache: usize,
        from: usize,
        manner: Manner,
    ) -> usize {
        match parameter {
            Parameter::Path(path) => self.path(path, mustache, from, manner),
            Parameter::Subexpression(Subexpression { element, .. }) => match &**element {
                TemplateElement::Expression(inner) => {
                    let mut from = from;
                    for parameter in &inner.params {
                        from = self.parameter(parameter, mustache, from, Manner::Argument);
                    }
                    from
                }
                _ => from,
            },
            _ => from,
        }
    }

    fn path(&mut self, path: &'a Path, mustache: usize, from: usize, manner: Manner) -> usize {
        let Path::Relative((_, raw)) = path else {
            self.simple = false;
            return from;
        };
        let at = find_name(self.text, from, raw).unwrap_or(mustache);
        let (certain, scopes) = (self.certain, self.scopes.clone());
        self.uses.push(Use { mustache, at, raw, manner, certain, scopes });
        at + raw.len()
    }

    fn block(&mut self, block: &'a HelperTemplate, mustache: usize) {
        let helper = block.name.as_name().unwrap_or_default();
        let first = self.uses.len();
        let asks = matches!(helper, "if" | "unless");
        self.arguments(block, mustache, if asks { Manner::Condition } else { Manner::Argument });
        let argument = match (self.uses.get(first), block.params.first()) {
            (Some(argument), Some(Parameter::Path(_))) => lookup::resolve(argument).ok(),
            _ => None,
        };
        let certain = self.certain;
        let renamed = block.block_param.is_some();
        let scope = match (helper, argument) {
            ("if" | "unless", _) => None,
            ("each", Some(Json::Array(items))) if !renamed => items.first().map(Scope::Item),
            ("with", Some(object)) if !renamed => Some(Scope::Item(object)),
            _ => Some(Scope::Unknown),
        };
        self.certain &= matches!(scope, Some(Scope::Item(_)));
        let pushes = !asks;
        if pushes {
            self.scopes.push(scope.unwrap_or(Scope::Unknown));
        }
        block.template.iter().for_each(|inner| self.template(inner));
        if pushes {
            self.scopes.pop();
        }
        self.certain = false;
        block.inverse.iter().for_each(|inner| self.template(inner));
        self.certain = certain;
    }
}

/// Where `raw` stands as a whole name, at or after `from`.
fn find_name(text: &str, from: usize, raw: &str) -> Option<usize> {
    let part_of_name = |c: char| c.is_alphanumeric() || "-_$.:@[]/".contains(c);
    let rest = text.get(from..)?;
    let whole = |at: &usize| {
        let before = rest[..*at].chars().next_back();
        let after = rest[at + raw.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    };
    let found = rest.match_indices(raw).map(|(at, _)| at).find(whole);
    found.map(|at| from + at)
}

/// Where a line and a column, both from 1 and the column in characters, are in bytes.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &text[before..];
    before + rest.chars().take(column - 1).map(char::len_utf8).sum::<usize>()
}

impl<'a> Use<'a> {
    /// The name's parts, and what they are looked up in.
    pub(super) fn name(&self) -> Name<'a> {
        Name::parse(self.raw)
    }
}
