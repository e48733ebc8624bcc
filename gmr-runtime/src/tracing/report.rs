//! Reports as events of `tracing`, for services whose log goes through their subscriber alone.
//!
//! It calls the program's subscriber, which may wait for a lock, panic, or never return. Whoever
//! calls it must be able to wait for that, on a thread of the program's attributes.

use tracing_core::callsite::DefaultCallsite;
use tracing_core::field::Value;
use tracing_core::{Event, Kind, Level, dispatcher, metadata};

use crate::model::Severity;

/// The target of the events.
const TARGET: &str = "gmr";

/// What an event says.
pub(crate) struct ReportEvent<'a> {
    pub(crate) number: u64,
    /// The report in one line.
    pub(crate) outline: &'a str,
    /// A line for each finding.
    pub(crate) findings: &'a str,
    pub(crate) severity: Option<Severity>,
    /// All of the report.
    pub(crate) document: Option<&'a str>,
}

/// An event has the level of its callsite.
macro_rules! callsite {
    ($level:expr) => {{
        static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        static METADATA: tracing_core::Metadata<'static> = metadata! {
            name: "report",
            target: TARGET,
            level: $level,
            fields: &["message", "report", "findings", "document"],
            callsite: &CALLSITE,
            kind: Kind::EVENT,
        };
        (&CALLSITE, &METADATA)
    }};
}

impl ReportEvent<'_> {
    /// Emits the event, at the level of the most severe finding. False if the subscriber does not
    /// take it: a filter can say so.
    ///
    /// # Errors
    /// There is no subscriber.
    pub(crate) fn emit(&self) -> Result<bool, String> {
        if !dispatcher::has_been_set() {
            return Err("the program has set no subscriber".to_owned());
        }
        let (callsite, metadata) = match self.severity {
            Some(Severity::Error) => callsite!(Level::ERROR),
            Some(Severity::Warning) => callsite!(Level::WARN),
            _ => callsite!(Level::INFO),
        };
        if callsite.interest().is_never() {
            return Ok(false);
        }
        Ok(dispatcher::get_default(|subscriber| {
            if !subscriber.enabled(metadata) {
                return false;
            }
            let fields = metadata.fields();
            let mut names = fields.iter();
            let mut next = || names.next().expect("there are four");
            let (message, number, findings, document) = (next(), next(), next(), next());
            let outline: &dyn Value = &self.outline;
            let values = [
                (&message, Some(outline)),
                (&number, Some(&self.number as &dyn Value)),
                (&findings, Some(&self.findings as &dyn Value)),
                (&document, self.document.as_ref().map(|document| document as &dyn Value)),
            ];
            subscriber.event(&Event::new(metadata, &fields.value_set(&values)));
            true
        }))
    }
}
