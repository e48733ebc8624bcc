//! The frames of a report, and the stacks that are made of them: by what they say, and not by where a
//! process has them in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::digits;
use super::take::{rest, string, text, u32};
use crate::tables::FRAME;
use crate::tables::cells::Cell;

/// The frames of a report.
pub(super) struct Frames {
    /// As they are in the document.
    all: Vec<Value>,
    /// The cells of each, and what its stacks are hashed by.
    pub(super) rows: Vec<Arc<Vec<Cell>>>,
    texts: Vec<String>,
    /// Where modules are in memory, by their paths.
    pub(super) bases: BTreeMap<String, u64>,
    /// Frames that something else than threads and tasks refers to, by index.
    pub(super) kept: BTreeMap<u32, Value>,
    stacks: HashMap<Arc<[u32]>, String>,
    /// The frames of these stacks.
    used: BTreeSet<u32>,
}

/// Modules are mapped at multiples of it.
const PAGE: u64 = 4096;

impl Frames {
    pub(super) fn of(frames: &[Value]) -> Self {
        let mut bases = BTreeMap::new();
        let rows: Vec<_> = frames.iter().map(|frame| Arc::new(cells(frame, &mut bases))).collect();
        let texts = rows.iter().map(|cells| hashed(cells)).collect();
        Self {
            all: frames.to_vec(),
            rows,
            texts,
            bases,
            kept: BTreeMap::new(),
            stacks: HashMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// The id of a stack, and whether this is the first time that it is asked for.
    pub(super) fn stack(&mut self, frames: &Arc<[u32]>) -> (String, bool) {
        if let Some(id) = self.stacks.get(frames) {
            return (id.clone(), false);
        }
        let mut hash = Sha256::new();
        frames.iter().for_each(|index| hash.update(&self.texts[place(*index)]));
        let id = digits(hash);
        self.stacks.insert(Arc::clone(frames), id.clone());
        self.used.extend(frames.iter());
        (id, true)
    }

    /// Keeps what no stack of a thread or a task has.
    pub(super) fn keep_others(&mut self) {
        for (frame, index) in self.all.iter().zip(0_u32..) {
            if !self.used.contains(&index) {
                self.kept.entry(index).or_insert_with(|| frame.clone());
            }
        }
    }

    /// Keeps the frames that a value refers to by index: in a list `frames`, or as a `frame`. One
    /// too many does no harm.
    pub(super) fn keep(&mut self, value: &Value) {
        let mut indices = BTreeSet::new();
        referred(value, &mut indices);
        for index in indices {
            if let Some(frame) = usize::try_from(index).ok().and_then(|index| self.all.get(index)) {
                self.kept.entry(index).or_insert_with(|| frame.clone());
            }
        }
    }
}

fn referred(value: &Value, indices: &mut BTreeSet<u32>) {
    let index = |value: &Value| value.as_u64().and_then(|index| u32::try_from(index).ok());
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match (&**name, value) {
                    ("frame", value) => indices.extend(index(value)),
                    ("frames", Value::Array(frames)) => indices.extend(frames.iter().filter_map(index)),
                    _ => {}
                }
                referred(value, indices);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| referred(value, indices)),
        _ => {}
    }
}

/// A frame as its stacks are hashed by. It must never change: the ids of stacks would.
fn hashed(cells: &[Cell]) -> String {
    let mut text = String::new();
    for cell in cells {
        let _ = match cell {
            Cell::Text(value) => write!(text, "{}:{value}", value.len()),
            Cell::Bool(value) => write!(text, "{value}"),
            Cell::U32(value) => write!(text, "{value}"),
            Cell::U64(value) => write!(text, "{value}"),
            _ => Ok(()),
        };
        text.push(';');
    }
    text
}

pub(super) fn place(index: u32) -> usize {
    usize::try_from(index).expect("an index of a list in memory")
}

/// The cells of a frame. Where the module was loaded is not among them, so that they are the same
/// in each process.
fn cells(frame: &Value, bases: &mut BTreeMap<String, u64>) -> Vec<Cell> {
    let mut frame = frame.as_object().cloned().unwrap_or_default();
    let address = frame.remove("address").and_then(|address| address.as_u64());
    let module = string(&mut frame, "module");
    let offset = frame.remove("module_offset").and_then(|offset| offset.as_u64());
    let distance = address.zip(offset).and_then(|(address, offset)| address.checked_sub(offset));
    let past = module.as_ref().zip(distance).and_then(|(module, distance)| {
        let base = distance - distance % PAGE;
        let known = bases.entry(module.clone()).or_insert(base);
        (*known == base).then(|| u32::try_from(distance % PAGE).expect("less than a page"))
    });
    let row = vec![
        text(&mut frame, "function"),
        text(&mut frame, "file"),
        u32(&mut frame, "line"),
        text(&mut frame, "source"),
        frame.remove("inlined").and_then(|inlined| inlined.as_bool()).into(),
        module.into(),
        offset.into(),
        text(&mut frame, "build_id"),
        past.into(),
        address.filter(|_| past.is_none()).into(),
        rest(frame),
    ];
    debug_assert_eq!(row.len(), FRAME.len());
    row
}
