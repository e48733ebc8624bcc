//! Documents with everything that the schema of reports allows, made from the schema itself: a
//! field that is added to the model is in them without any change here.

use serde_json::{Map, Value, json};

/// Numbers that look random and are the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The generator SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

pub(crate) struct Documents {
    schema: Value,
    random: Random,
    /// How many frames the document has.
    frames: u64,
}

impl Documents {
    pub(crate) fn new(seed: u64) -> Self {
        let schema = include_str!("../../docs/report.schema.json");
        let schema = serde_json::from_str(schema).expect("a schema");
        Self { schema, random: Random(seed), frames: 0 }
    }

    /// A report in which all is as the schema allows, and nothing as a process would have it.
    pub(crate) fn next(&mut self) -> Value {
        self.frames = 1 + self.random.below(12);
        let schema = self.schema.clone();
        let mut document = self.value(&schema, "", 0);
        document["schema_version"] = "1.3".into();
        let frame = schema["properties"]["frames"]["items"].clone();
        let frames = (0..self.frames).map(|_| self.value(&frame, "", 3)).collect();
        document["frames"] = Value::Array(frames);
        for section in document["sections"].as_array_mut().expect("sections") {
            let data = &mut section["content"]["data"];
            let Some(tasks) = data.get_mut("tasks").and_then(Value::as_array_mut) else { continue };
            // It refers to a list that may be empty.
            for task in tasks {
                task["runtime"] = Value::Null;
            }
        }
        document
    }

    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(path) = schema["$ref"].as_str() {
            let schema = self.schema.pointer(&path[1..]).expect("it is there").clone();
            return self.value(&schema, name, depth);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        for choice in ["oneOf", "anyOf", "enum"] {
            let Some(choices) = schema[choice].as_array() else { continue };
            let index = self.random.below(u64::try_from(choices.len()).expect("few"));
            let chosen = choices[usize::try_from(index).expect("few")].clone();
            let mut value = if choice == "enum" { chosen } else { self.value(&chosen, name, depth) };
            // What all choices have in common.
            if let (Some(object), Some(_)) = (value.as_object_mut(), schema.get("properties")) {
                object.extend(self.object(schema, depth));
            }
            return value;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            // Any value, as in a section.
            _ => vec!["boolean", "integer", "string", "null"],
        };
        let index = self.random.below(u64::try_from(types.len()).expect("few"));
        match types[usize::try_from(index).expect("few")] {
            "null" => Value::Null,
            "boolean" => (self.random.below(2) == 0).into(),
            "integer" => self.integer(schema, name),
            "number" => json!(0.1 + f64::from(u32::try_from(self.random.below(1_000)).expect("few"))),
            "string" => self.text(name),
            "array" => {
                // Deep in a document, few, so that it ends.
                let count = self.random.below(if depth > 8 { 2 } else { 4 });
                (0..count).map(|_| self.value(&schema["items"], name, depth + 1)).collect()
            }
            "object" => self.object(schema, depth).into(),
            other => panic!("no {other} is known here"),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Map<String, Value> {
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        properties.iter().map(|(name, schema)| (name.clone(), self.value(schema, name, depth + 1))).collect()
    }

    fn integer(&mut self, schema: &Value, name: &str) -> Value {
        match (name, schema["format"].as_str()) {
            ("frames" | "frame", Some("uint32")) => self.random.below(self.frames).into(),
            ("depth", _) => self.random.below(5).into(),
            (_, Some("int32" | "int64")) => {
                json!(-1 - i64::try_from(self.random.below(1 << 20)).expect("few"))
            }
            (_, Some("uint16")) => self.random.below(1 << 16).into(),
            (_, Some("uint32")) => self.random.below(1 << 32).into(),
            (_, Some("uint64")) if self.random.below(4) == 0 => u64::MAX.into(),
            _ => self.random.below(1 << 40).into(),
        }
    }

    fn text(&mut self, name: &str) -> Value {
        const TEXTS: [&str; 8] = [
            "",
            "shop::pay",
            "größe",
            "'; DROP TABLE reports; --",
            "<script>alert(1)</script>",
            "\u{1b}[2J\u{7}",
            "a\0b\u{202e}c",
            "../../etc/passwd",
        ];
        let number = self.random.below(10_000);
        match name {
            "made_at" => format!("2026-01-{:02}T03:04:05.{:03}Z", 1 + number % 28, number % 1_000).into(),
            "started_at" if number.is_multiple_of(2) => {
                format!("2026-01-01T00:00:{:02}Z", number % 60).into()
            }
            _ => TEXTS[usize::try_from(number % 8).expect("few")].into(),
        }
    }
}
