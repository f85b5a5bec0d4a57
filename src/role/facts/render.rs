//! Strict rendering: the text, or every unknown name at its place.
//!
//! Names that are certain to be rendered are checked first, all of them. A template of nothing but
//! text and names is then put together here; every other goes through handlebars.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "handlebars' enums are non-exhaustive: a wildcard is needed in any case"
)]

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use handlebars::template::TemplateElement;
use handlebars::{
    Context, Handlebars, RenderContext, RenderError, RenderErrorReason, Renderable, Template,
    TemplateError, TemplateErrorReason,
};
use serde_json::Value as Json;

use super::Facts;
use super::lookup::{self, Miss, Said};
use super::uses::{self, Manner, Scope, Use, Walk};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::unknown;

static HANDLEBARS: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    // Our files are no HTML.
    handlebars.register_escape_fn(handlebars::no_escape);
    super::arithmetic::register(&mut handlebars);
    super::membership::register(&mut handlebars);
    handlebars
});

/// What handlebars can do with a name, for a suggestion.
const HELPERS: &[&str] = &[
    "each", "if", "unless", "with", "lookup", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or",
    "not", "len", "minus", "times", "has",
];

pub(super) fn render(facts: &Facts, text: &str, place: &Place) -> Result<String, Diagnostics> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let mut found = Diagnostics::default();
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(error) => {
            found.push(syntax(text, place, &error));
            return Err(found);
        }
    };
    let (uses, simple) = Walk::over(facts, text, &template);
    let mut told = false;
    for used in uses.iter().filter(|used| used.certain) {
        match wrong(used) {
            Wrong::Said(at, said) => found.push(diagnostic(place, text, at, said)),
            Wrong::Told => told = true,
            Wrong::Nothing => {}
        }
    }
    if told || found.has_errors() {
        return Err(found);
    }
    if simple {
        return Ok(joined(&template, &uses));
    }
    let context = facts.context(&uses);
    let mut render_context = RenderContext::new(None);
    let rendered = template.renders(&HANDLEBARS, &context, &mut render_context);
    rendered.map_err(|error| {
        failed(&mut found, text, place, &uses, &error);
        found
    })
}

impl Facts {
    /// The facts that a template names, for handlebars: all of them, of thousands of hosts, would
    /// be copied for every item of a repeated section.
    fn context(&self, uses: &[Use<'_>]) -> Context {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for used in uses {
            match used.name().first() {
                Some(name) => drop(names.insert(name)),
                // `this` outside of any block is everything; inside, it is the block's item.
                None if matches!(used.scopes.last(), Some(Scope::Item(_))) => {}
                None => names.extend(self.names()),
            }
        }
        let named = names.into_iter().filter_map(|name| Some((name, self.get(name)?.clone())));
        let object = named.map(|(name, value)| (name.to_owned(), value)).collect();
        Context::wraps(Json::Object(object)).unwrap_or_else(|_| Context::null())
    }
}

/// What is wrong with a use.
enum Wrong {
    /// This, at these bytes of the template.
    Said(Range<usize>, Said),
    /// Something that the author was told elsewhere.
    Told,
    /// Nothing, as far as can be known before the rendering.
    Nothing,
}

fn wrong(used: &Use<'_>) -> Wrong {
    let whole = used.at..used.at + used.raw.len();
    match lookup::resolve(used) {
        Ok(value) if used.manner == Manner::Text => match lookup::say_no_text(used, value) {
            Some(said) => Wrong::Said(whole, said),
            None => Wrong::Nothing,
        },
        Ok(_) | Err(Miss::Undecided) => Wrong::Nothing,
        Err(Miss::Told) => Wrong::Told,
        Err(miss) if lookup::may_be_missing(used, &miss) => Wrong::Nothing,
        Err(miss) => match (&miss, lookup::say_unknown(used, &miss)) {
            (Miss::Unknown { at, part, .. }, Some(said)) => {
                Wrong::Said(used.at + at..used.at + at + part.len(), said)
            }
            _ => Wrong::Nothing,
        },
    }
}

/// A template of nothing but text and names that are all there needs no more than this.
fn joined(template: &Template, uses: &[Use<'_>]) -> String {
    let mut uses = uses.iter();
    let mut text = String::new();
    for element in &template.elements {
        match element {
            TemplateElement::RawString(raw) => text.push_str(raw),
            _ => match uses.next().and_then(|used| lookup::resolve(used).ok()) {
                Some(Json::String(value)) => text.push_str(value),
                Some(value) => text.push_str(&value.to_string()),
                None => {}
            },
        }
    }
    text
}

/// Says why the rendering failed: by a name that is unknown where it stands, else in handlebars'
/// words.
fn failed(
    found: &mut Diagnostics,
    text: &str,
    place: &Place,
    uses: &[Use<'_>],
    error: &RenderError,
) {
    let at = match (error.line_no, error.column_no) {
        (Some(line), Some(column)) => uses::offset(text, line, column),
        _ => 0,
    };
    for used in uses.iter().filter(|used| used.mustache == at) {
        if let Wrong::Said(at, said) = wrong(used) {
            found.push(diagnostic(place, text, at, said));
        }
    }
    if found.has_errors() {
        return;
    }
    let (title, help) = match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => {
            (format!("there is no `{name}` here"), None)
        }
        RenderErrorReason::HelperNotFound(name) => {
            (unknown("helper", name, HELPERS), Some("a helper is what stands before a name"))
        }
        RenderErrorReason::PartialNotFound(name) => (
            format!("there is no partial `{name}`"),
            Some("a template cannot include another; write the text itself"),
        ),
        reason => (format!("this template cannot be rendered: {reason}"), None),
    };
    let said = Said { title, help: help.map(str::to_owned) };
    found.push(diagnostic(place, text, at..close(text, at), said));
}

fn diagnostic(place: &Place, text: &str, at: Range<usize>, said: Said) -> Diagnostic {
    let place = match inner(place, text) {
        Some(start) => place.within(start + at.start..start + at.end),
        None => place.clone(),
    };
    let diagnostic = Diagnostic::error(place, said.title);
    match said.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// Where the text begins within its place, if it stands there as it is: without escapes, behind one
/// quotation mark or three.
fn inner(place: &Place, text: &str) -> Option<usize> {
    let written = place.text();
    if written == text {
        return Some(0);
    }
    let start = ["\"\"\"\r\n", "'''\r\n", "\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"]
        .iter()
        .find(|quote| written.starts_with(**quote))?
        .len();
    written[start..].starts_with(text).then_some(start)
}

/// Says what is wrong with a template that handlebars cannot read.
fn syntax(text: &str, place: &Place, error: &TemplateError) -> Diagnostic {
    let at = error.pos().map_or(0, |(line, column)| uses::offset(text, line, column));
    let open = text[..at].rfind("{{");
    let (title, span, help) = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed) => (
            format!("this closes `{closed}`, but `{{{{#{opened}}}}}` is open"),
            at..close(text, at),
            format!("close it with `{{{{/{opened}}}}}`"),
        ),
        TemplateErrorReason::InvalidSyntax(_) => invalid(text, at, open),
        other => (format!("this is no template: {other}"), at..text.len(), String::new()),
    };
    let said = Said { title, help: Some(help).filter(|help| !help.is_empty()) };
    diagnostic(place, text, span, said)
}

fn invalid(text: &str, at: usize, open: Option<usize>) -> (String, Range<usize>, String) {
    let unclosed_block = at == text.len() && open.is_some_and(|open| text[open..].contains("}}"));
    let blocks = text.rfind("{{#");
    if let (true, Some(block)) = (unclosed_block, blocks) {
        let rest = &text[block + 3..];
        let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        return (
            format!("`{{{{#{name}}}}}` is never closed"),
            block..close(text, block),
            format!("close it with `{{{{/{name}}}}}`"),
        );
    }
    let start = open.unwrap_or(at);
    if !text[start..].contains("}}") {
        let line = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let help = "write a name between double braces, such as `{{vip.web}}`";
        return ("`{{` is never closed with `}}`".into(), start..line, help.into());
    }
    (
        "what stands between `{{` and `}}` here is not a name".into(),
        start..close(text, start),
        "write a name between double braces, such as `{{vip.web}}`".into(),
    )
}

/// The end of the mustache that begins at `from`.
fn close(text: &str, from: usize) -> usize {
    text[from..].find("}}").map_or(text.len(), |end| from + end + 2)
}
