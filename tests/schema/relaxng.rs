//! From the JSON Schema of the model to the RELAX NG schema of its XML, by the rules that the XML
//! view follows.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::{Map, Value};

type Out = Writer<Vec<u8>>;

const NAMESPACE: &str = "http://relaxng.org/ns/structure/1.0";
const DATATYPES: &str = "http://www.w3.org/2001/XMLSchema-datatypes";

/// The whole schema.
pub(crate) fn from_json_schema(schema: &Value) -> String {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None))).expect("memory");
    let grammar =
        out.create_element("grammar").with_attributes([("xmlns", NAMESPACE), ("datatypeLibrary", DATATYPES)]);
    grammar
        .write_inner_content(|out| {
            within(out, "start", &[], |out| {
                within(out, "element", &[("name", "report")], |out| pattern(out, schema));
            });
            text(out);
            for (name, definition) in object(&schema["$defs"]) {
                within(out, "define", &[("name", name)], |out| match name.as_str() {
                    "Value" => value(out),
                    _ => pattern(out, definition),
                });
            }
            Ok(())
        })
        .expect("memory");
    let mut text = String::from_utf8(out.into_inner()).expect("UTF-8");
    text.push('\n');
    text
}

/// The content of an element of this schema.
fn pattern(out: &mut Out, schema: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return empty(out, "ref", &[("name", name)]);
    }
    if let Some(constant) = schema["const"].as_str() {
        return constants(out, &[constant]);
    }
    if let Some(names) = schema["enum"].as_array() {
        return constants(out, &names.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    }
    for list in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[list].as_array() {
            let known: Vec<_> = choices.iter().filter(|choice| choice["type"] != "null").collect();
            return match known[..] {
                [only] => pattern(out, only),
                _ => within(out, "choice", &[], |out| {
                    for choice in known {
                        pattern(out, choice);
                    }
                }),
            };
        }
    }
    // What may be null is absent instead: see `fields`.
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap_or(&Value::Null),
        kind => kind,
    };
    match kind.as_str() {
        Some("object") => fields(out, schema),
        Some("array") => within(out, "zeroOrMore", &[], |out| {
            within(out, "element", &[("name", "item")], |out| pattern(out, &schema["items"]));
        }),
        Some("string") => empty(out, "ref", &[("name", "text")]),
        Some("integer") => empty(out, "data", &[("type", "integer")]),
        Some("number") => empty(out, "data", &[("type", "double")]),
        Some("boolean") => empty(out, "data", &[("type", "boolean")]),
        other => panic!("the model has a type that the XML view has no rule for: {other:?} in {schema}"),
    }
}

/// The fields of a struct, in the order in which they are written.
fn fields(out: &mut Out, schema: &Value) {
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    within(out, "group", &[], |out| {
        for (name, field) in object(&schema["properties"]) {
            let element = |out: &mut Out| {
                within(out, "element", &[("name", name)], |out| pattern(out, field));
            };
            if required.contains(&name.as_str()) {
                element(out);
            } else {
                within(out, "optional", &[], element);
            }
        }
    });
}

fn constants(out: &mut Out, names: &[&str]) {
    let one = |out: &mut Out, name: &str| {
        let element = out.create_element("value").with_attribute(("type", "string"));
        element.write_text_content(BytesText::new(name)).expect("memory");
    };
    match names {
        [only] => one(out, only),
        _ => within(out, "choice", &[], |out| names.iter().for_each(|name| one(out, name))),
    }
}

/// Text, with an attribute where it had to be encoded.
fn text(out: &mut Out) {
    within(out, "define", &[("name", "text")], |out| {
        within(out, "optional", &[], |out| {
            within(out, "attribute", &[("name", "encoding")], |out| constants(out, &["json"]));
        });
        empty(out, "text", &[]);
    });
}

/// Anything: an element with its type as an attribute.
fn value(out: &mut Out) {
    let typed = |out: &mut Out, kind: &str, content: &dyn Fn(&mut Out)| {
        within(out, "group", &[], |out| {
            within(out, "attribute", &[("name", "type")], |out| constants(out, &[kind]));
            content(out);
        });
    };
    let item = |out: &mut Out, name: &str| {
        within(out, "element", &[("name", name)], |out| empty(out, "ref", &[("name", "Value")]));
    };
    within(out, "choice", &[], |out| {
        typed(out, "null", &|out| empty(out, "empty", &[]));
        typed(out, "boolean", &|out| empty(out, "data", &[("type", "boolean")]));
        typed(out, "integer", &|out| empty(out, "data", &[("type", "integer")]));
        typed(out, "float", &|out| empty(out, "data", &[("type", "double")]));
        typed(out, "text", &|out| empty(out, "ref", &[("name", "text")]));
        typed(out, "list", &|out| within(out, "zeroOrMore", &[], |out| item(out, "item")));
        typed(out, "map", &|out| {
            within(out, "zeroOrMore", &[], |out| {
                within(out, "element", &[("name", "entry")], |out| {
                    within(out, "element", &[("name", "key")], |out| empty(out, "ref", &[("name", "text")]));
                    item(out, "value");
                });
            });
        });
    });
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("a schema of the model")
}

fn within(out: &mut Out, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Out)) {
    let element = out.create_element(name).with_attributes(attributes.iter().copied());
    element
        .write_inner_content(|out| {
            content(out);
            Ok(())
        })
        .expect("memory");
}

fn empty(out: &mut Out, name: &str, attributes: &[(&str, &str)]) {
    out.create_element(name).with_attributes(attributes.iter().copied()).write_empty().expect("memory");
}
