//! One value: taken as text, rendered, held against its shape, parsed.
//!
//! A value that is wrong is reported where its author wrote it: in the cluster file, if a variable
//! gives it, and in the item of a list that is wrong.

use super::super::fit::{fits, wanted};
use super::super::tree::{Content, Node};
use super::super::{Shape, Spanned, Value};
use super::Reader;
use crate::diagnostic::{Diagnostic, Place};
use crate::role::variables::{alone_in, named_in};

impl Reader<'_> {
    /// A text, whole number or truth value.
    pub(super) fn scalar<T: Value>(
        &self,
        node: &Node,
        key: &str,
        shape: &Shape,
    ) -> Option<Spanned<T>> {
        let Some(written) = node.scalar() else {
            self.wrong_type(node, key, shape);
            return None;
        };
        if !T::LISTS && self.items(node).is_some() {
            self.is_a_list(node, &written, key);
            return None;
        }
        let text = match matches!(node.content, Content::Text(_)) {
            true => {
                let place = self.document.place(node.span.clone());
                self.rendered(Spanned::new(written, place))?.value
            }
            false => written,
        };
        self.fitting(node, key, shape, &text)
    }

    /// The items of the list variable for which a text stands that is nothing but its name.
    pub(super) fn items(&self, node: &Node) -> Option<Vec<String>> {
        let Content::Text(text) = &node.content else { return None };
        self.facts.filter(|_| text.contains("{{"))?.items(text)
    }

    /// A rendered text, held against its shape and parsed.
    pub(super) fn fitting<T: Value>(
        &self,
        node: &Node,
        key: &str,
        shape: &Shape,
        text: &str,
    ) -> Option<Spanned<T>> {
        let place = self.document.place(node.span.clone());
        match judged::<T>(key, shape, text) {
            Ok(value) => Some(Spanned::new(value, place)),
            Err(wrong) => {
                self.report_wrong::<T>(node, key, shape, text, wrong);
                None
            }
        }
    }

    fn report_wrong<T: Value>(
        &self,
        node: &Node,
        key: &str,
        shape: &Shape,
        text: &str,
        wrong: String,
    ) {
        let used = self.document.place(node.span.clone());
        let written = node.scalar().unwrap_or_default();
        let called = alone_in(&written).unwrap_or(key);
        let wants = format!("`{called}` must be {}", wanted::<T>(shape));
        let set = self.set_wrong::<T>(&written, key, shape, text, &wrong);
        for (place, wrong) in &set {
            let diagnostic = Diagnostic::error(place.clone(), wrong).label(wants.as_str());
            self.report(diagnostic.related(used.clone(), "this is where it is used"));
        }
        if set.is_empty() {
            let diagnostic = Diagnostic::error(used, wrong).label(wants);
            self.report(match *text == written {
                true => diagnostic,
                false => diagnostic.help(format!("`{written}` stands for `{text}` here")),
            });
        }
    }

    /// Where the cluster file sets what is wrong, each with why.
    fn set_wrong<T: Value>(
        &self,
        written: &str,
        key: &str,
        shape: &Shape,
        text: &str,
        wrong: &str,
    ) -> Vec<(Place, String)> {
        let Some(facts) = self.facts else { return Vec::new() };
        let names = || named_in(written);
        // Of a list, and of several variables in one text, each part can be judged alone.
        let parts = names().filter(|_| T::LISTS).flat_map(|name| facts.set_singly(name));
        let parts = parts.filter_map(|part| {
            let wrong = judged::<T>(key, shape, &part.value).err()?;
            Some((part.place, wrong))
        });
        let parts: Vec<(Place, String)> = parts.collect();
        if !parts.is_empty() {
            return parts;
        }
        let places = names().flat_map(|name| facts.set_at(name, text));
        places.map(|place| (place.clone(), wrong.to_owned())).collect()
    }

    /// Reports a list variable where one value is wanted.
    fn is_a_list(&self, node: &Node, written: &str, key: &str) {
        let used = self.document.place(node.span.clone());
        let name = named_in(written).next().unwrap_or(key);
        let title = format!("`{name}` takes one value, not a list");
        let text = self.facts.and_then(|facts| {
            let place = self.document.place(node.span.clone());
            facts.render(&Spanned::new(written.to_owned(), place)).ok()
        });
        let set = self.facts.zip(text.as_deref());
        let places = set.map_or_else(Vec::new, |(facts, text)| facts.set_at(name, text));
        for place in &places {
            let diagnostic = Diagnostic::error((*place).clone(), &title);
            self.report(diagnostic.related(used.clone(), "this is where it is used"));
        }
        if places.is_empty() {
            self.report(Diagnostic::error(used, title));
        }
    }

    pub(super) fn rendered(&self, template: Spanned<String>) -> Option<Spanned<String>> {
        let Some(facts) = self.facts else {
            return Some(template);
        };
        match facts.render(&template) {
            Ok(text) => Some(Spanned::new(text, template.place)),
            Err(wrong) => {
                wrong.into_iter().for_each(|diagnostic| self.report(diagnostic));
                None
            }
        }
    }

    /// What a key's text renders to; nothing is reported. `None` where it is no text, or wrong.
    pub fn shown(&self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        let text = node.scalar()?;
        match self.facts.filter(|_| matches!(node.content, Content::Text(_))) {
            Some(facts) => {
                let place = self.document.place(node.span.clone());
                facts.render(&Spanned::new(text, place)).ok()
            }
            None => Some(text),
        }
    }
}

/// The value that a text is, or what is wrong with it.
fn judged<T: Value>(key: &str, shape: &Shape, text: &str) -> Result<T, String> {
    fits(shape, key, text).and_then(|()| T::parse(text))
}
