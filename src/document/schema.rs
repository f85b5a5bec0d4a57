//! A JSON Schema of a file, from the sections that read it: editors complete and check with it.
//!
//! The subset of draft 2020-12 that taplo and VS Code use. A string may be a template, so a schema
//! that would refuse `"{{vars.port}}"` allows any string that holds `{{`.

use serde_json::{Map, Value, json};

use super::{Section, Shape};

/// What a value of the wrong form is forgiven for: it is a template.
const TEMPLATE: &str = r"\{\{";

/// The schema of a file whose root is `section`.
pub fn schema(section: &Section, title: &str) -> Value {
    let mut schema = table(section);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

fn table(section: &Section) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        let mut property = shape(&field.shape);
        property["description"] = json!(described(field.doc, field.default));
        properties.insert(field.key.into(), property);
    }
    let required: Vec<&str> =
        section.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    let additional = match &section.open {
        Some(open) => shape(&open.shape),
        None => json!(false),
    };
    let mut schema = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": additional,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    match section.short.and_then(|key| section.field(key)) {
        Some(field) => json!({ "anyOf": [shape(&field.shape), schema] }),
        None => schema,
    }
}

fn described(doc: &str, default: Option<&str>) -> String {
    match default {
        Some(default) => format!("{doc} Default: {default}."),
        None => doc.to_owned(),
    }
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": ["string", "integer", "boolean"] }),
        Shape::Integer { min, max } => {
            or_template(json!({ "type": "integer", "minimum": min, "maximum": max }), r"^-?[0-9]+$")
        }
        Shape::Bool => or_template(json!({ "type": "boolean" }), "^(true|false)$"),
        Shape::OneOf(words) => json!({ "anyOf": [{ "enum": words }, { "pattern": TEMPLATE }] }),
        Shape::Address => text(r"^[0-9a-fA-F.:]+$"),
        Shape::Prefix => text(r"^[0-9a-fA-F.:]+/[0-9]+$"),
        Shape::AddressOrPrefix => text(r"^[0-9a-fA-F.:]+(/[0-9]+)?$"),
        Shape::Duration => text(r"^[0-9]+(\.[0-9]+)? *(us|µs|ms|s|m|min|h|d)$"),
        Shape::Path => text("^/"),
        Shape::Var => {
            let scalar = json!({ "type": ["string", "integer", "boolean"] });
            json!({ "anyOf": [scalar, { "type": "array", "items": scalar }] })
        }
        Shape::List(of) => json!({ "type": "array", "items": shape(of) }),
        Shape::OneOrMore(of) => {
            json!({ "anyOf": [shape(of), { "type": "array", "items": shape(of) }] })
        }
        Shape::Table(section) => table(section),
        Shape::Tables(section) => json!({ "type": "array", "items": table(section) }),
        Shape::Map(section) => {
            json!({ "type": "object", "additionalProperties": table(section) })
        }
    }
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|{TEMPLATE}") })
}

fn or_template(schema: Value, pattern: &str) -> Value {
    json!({ "anyOf": [schema, text(pattern)] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Field;

    static VARS: Section =
        Section::new("vars", "Variables.", &[]).open("a variable", Shape::Var, "");
    static VIP: Section = Section::new(
        "vip",
        "A VIP.",
        &[
            Field::required("address", Shape::AddressOrPrefix, "the address"),
            Field::optional("mode", Shape::OneOf(&["dr", "nat"]), "How.").default("dr"),
        ],
    )
    .short("address");
    static ROOT: Section = Section::new(
        "root",
        "A file.",
        &[
            Field::required("version", Shape::Integer { min: 1, max: 1 }, "the version"),
            Field::optional("vip", Shape::Map(&VIP), "the VIPs"),
            Field::optional("vars", Shape::Table(&VARS), "the variables"),
        ],
    );

    #[test]
    fn a_schema_says_what_the_section_says() {
        let schema = schema(&ROOT, "a file");
        assert_eq!(schema["required"], json!(["version"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["version"]["anyOf"][0]["maximum"], json!(1));
        let vip = &schema["properties"]["vip"]["additionalProperties"];
        assert_eq!(vip["anyOf"][0]["type"], json!("string"));
        let mode = &vip["anyOf"][1]["properties"]["mode"];
        assert_eq!(mode["anyOf"][0]["enum"], json!(["dr", "nat"]));
        assert_eq!(mode["description"], json!("How. Default: dr."));
        let vars = &schema["properties"]["vars"];
        assert!(vars["additionalProperties"]["anyOf"].is_array());
    }
}
