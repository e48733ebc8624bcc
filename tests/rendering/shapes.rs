//! Documents of every shape that the schema allows, each of which is mostly one list. Knows the
//! schema alone, so that what is added to the model is in the documents.

use serde_json::{Map, Value};

/// A document, and what it is a list of.
pub(crate) struct Shape {
    /// The path of the list, as in `/sections/0/content/data/threads`.
    pub(crate) list: String,
    pub(crate) item: String,
    pub(crate) json: String,
}

/// A place in a document.
enum Place<'a> {
    /// A list, and what may be an item of it.
    ListOf(&'a str),
    Text,
}

/// A string in JSON.
const NO_TEXT: &str = r#""""#;

pub(crate) struct Schema(Value);

/// Makes the document around a part of it.
type Whole<'a> = dyn Fn(String) -> String + 'a;

/// The definitions that a part of a document is in. One that is in itself is not entered again.
type Within<'a> = [&'a str];

impl Schema {
    pub(crate) fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// One document for each list of the schema and each form that its items can have. `count` says
    /// how many items of so many bytes a list has.
    pub(crate) fn shapes(&self, count: impl Fn(usize) -> usize) -> Vec<Shape> {
        let mut shapes = Vec::new();
        self.places(&self.0, "", &[], &|json| json, &mut |list, place, whole| {
            let Place::ListOf(item) = place else { return };
            let items = vec![item; count(item.len() + 1)].join(",");
            let json = whole(format!("[{items}]"));
            shapes.push(Shape { list: list.to_owned(), item: item.to_owned(), json });
        });
        shapes
    }

    /// One document for each string of the schema, with this text there, and where that is.
    pub(crate) fn texts(&self, text: &str) -> Vec<(String, String)> {
        let mut documents = Vec::new();
        self.places(&self.0, "", &[], &|json| json, &mut |path, place, whole| {
            if let Place::Text = place {
                documents.push((path.to_owned(), whole(Value::from(text).to_string())));
            }
        });
        documents
    }

    /// Calls `found` for each list and each string in a part of a document, with its path, and with
    /// the document around it. `whole` makes the document of the part.
    fn places<'a>(
        &'a self,
        schema: &'a Value,
        path: &str,
        within: &Within<'a>,
        whole: &Whole<'_>,
        found: &mut dyn FnMut(&str, Place<'_>, &Whole<'_>),
    ) {
        if is_entered(schema, within) {
            return;
        }
        self.entered(schema, within, |schema, within| match schema {
            Part::Any(alternatives) => {
                for one in alternatives {
                    self.places(one, path, within, whole, found);
                }
            }
            Part::List(items) => {
                for item in self.forms(items, within) {
                    found(path, Place::ListOf(&item), whole);
                }
                let whole = |item: String| whole(format!("[{item}]"));
                self.places(items, &format!("{path}/0"), within, &whole, found);
            }
            Part::Object(object) => {
                for (name, member) in object.members {
                    let whole = |json: String| whole(self.object(object, Some((name, &json)), within));
                    self.places(member, &format!("{path}/{name}"), within, &whole, found);
                }
            }
            Part::Text => found(path, Place::Text, whole),
            Part::Scalar(_) => {}
        });
    }

    /// The shortest form of a part, and all in which one thing is not the shortest.
    fn forms<'a>(&'a self, schema: &'a Value, within: &Within<'a>) -> Vec<String> {
        if is_entered(schema, within) {
            return vec![self.shortest(schema, within)];
        }
        self.entered(schema, within, |part, within| match part {
            Part::Any(alternatives) => alternatives.iter().flat_map(|one| self.forms(one, within)).collect(),
            Part::List(items) => {
                let items = self.forms(items, within);
                ["[]".to_owned()].into_iter().chain(items.iter().map(|item| format!("[{item}]"))).collect()
            }
            Part::Object(object) => {
                let mut forms = vec![self.object(object, None, within)];
                for (name, member) in object.members {
                    let skipped = usize::from(object.requires(name));
                    for form in self.forms(member, within).into_iter().skip(skipped) {
                        forms.push(self.object(object, Some((name, &form)), within));
                    }
                }
                forms
            }
            Part::Text => vec![NO_TEXT.to_owned()],
            Part::Scalar(json) => vec![json],
        })
    }

    fn shortest<'a>(&'a self, schema: &'a Value, within: &Within<'a>) -> String {
        self.entered(schema, within, |part, within| match part {
            Part::Any(alternatives) => {
                let all = alternatives.iter().map(|one| self.shortest(one, within));
                all.min_by_key(String::len).expect("an alternative")
            }
            Part::List(_) => "[]".to_owned(),
            Part::Object(object) => self.object(object, None, within),
            Part::Text => NO_TEXT.to_owned(),
            Part::Scalar(json) => json,
        })
    }

    /// An object with what it must have, and with this member.
    fn object<'a>(&'a self, object: Object<'a>, member: Option<(&str, &str)>, within: &Within<'a>) -> String {
        let mut members: Vec<String> = Vec::new();
        // The kind of a content comes last: that makes a copy of the document necessary.
        for (name, schema) in object.members.iter().rev() {
            match member {
                Some((given, json)) if given == name => members.push(format!("\"{name}\":{json}")),
                _ if object.requires(name) => {
                    members.push(format!("\"{name}\":{}", self.shortest(schema, within)));
                }
                _ => {}
            }
        }
        format!("{{{}}}", members.join(","))
    }

    /// Looks at a part, within what it refers to.
    fn entered<'a, T>(
        &'a self,
        schema: &'a Value,
        within: &Within<'a>,
        look: impl FnOnce(Part<'a>, &Within<'a>) -> T,
    ) -> T {
        let Some(name) = reference(schema) else { return look(Part::of(schema), within) };
        look(Part::of(&self.0["$defs"][name]), &[within, &[name]].concat())
    }
}

fn is_entered(schema: &Value, within: &Within<'_>) -> bool {
    reference(schema).is_some_and(|name| within.contains(&name))
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// What a schema describes.
enum Part<'a> {
    Any(Vec<&'a Value>),
    List(&'a Value),
    Object(Object<'a>),
    Text,
    /// Anything else that contains nothing.
    Scalar(String),
}

#[derive(Clone, Copy)]
struct Object<'a> {
    members: &'a Map<String, Value>,
    required: &'a Value,
}

impl Object<'_> {
    fn requires(&self, name: &str) -> bool {
        self.required.as_array().is_some_and(|all| all.iter().any(|one| one == name))
    }
}

impl<'a> Part<'a> {
    fn of(schema: &'a Value) -> Self {
        let alternatives = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
        if let Some(all) = alternatives {
            return Self::Any(all.iter().filter(|one| one["type"] != "null").collect());
        }
        if let Some(value) = schema.get("const") {
            return Self::Scalar(value.to_string());
        }
        let types = match &schema["type"] {
            Value::Array(all) => all.iter().find(|one| **one != "null").and_then(Value::as_str),
            one => one.as_str(),
        };
        match types {
            Some("object") => {
                let members = schema["properties"].as_object().expect("an object has members");
                Self::Object(Object { members, required: &schema["required"] })
            }
            Some("array") => Self::List(&schema["items"]),
            Some("boolean") => Self::Scalar("true".to_owned()),
            Some("integer" | "number") => Self::Scalar("0".to_owned()),
            // Without a type, it is any value.
            Some("string") | None => Self::Text,
            Some(other) => panic!("a schema has the type {other}: {schema}"),
        }
    }
}
