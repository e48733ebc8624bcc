//! A program whose subscriber prints the events of gmr, each as one line of JSON on standard output.
//! Arguments make it one that takes no event (`deaf`), that panics (`panics`), that never returns
//! (`stuck`), or none (`none`).

use std::fmt::Debug;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// What it does with an event.
struct Log(fn(String));

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() == "gmr" {
            let mut fields = Fields(Map::new());
            event.record(&mut fields);
            fields.0.insert("level".to_owned(), metadata.level().as_str().into());
            (self.0)(Value::Object(fields.0).to_string());
        }
    }
}

#[gmr::main(product = "shop", log_tracing = "full")]
fn main() {
    let registry = tracing_subscriber::registry();
    let print = |line: String| println!("{line}");
    match std::env::args().nth(1).as_deref() {
        None => registry.with(Log(print)).init(),
        Some("deaf") => registry.with(Log(print).with_filter(LevelFilter::OFF)).init(),
        Some("panics") => registry.with(Log(|_| panic!("no space"))).init(),
        Some("stuck") => {
            let wait = |_| loop {
                std::thread::park();
            };
            registry.with(Log(wait)).init();
        }
        Some(_) => {}
    }
    gmr_tests::converse(|_| "alive".to_owned());
}
