//! Sections and groups that `Builder` adds at run time, with the options that `#[gmr::section]` and
//! `#[gmr::config]` have. Nothing here runs one.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::convert;
use super::registry::DEFAULT_TIMEOUT;
use crate::model::Content;

/// Makes the content of a section, or of a group of the Configuration section.
///
/// A closure that returns a `Serialize` value converts into one. Use `Generator` itself for a
/// closure that can fail, and to set an order or a timeout.
///
/// ```
/// use std::time::Duration;
/// use gmr_runtime::{Builder, Generator};
///
/// let builder = Builder::new()
///     .section("Queue", || 17)
///     .section("Load", Generator::fallible(|| std::fs::read_to_string("/proc/loadavg")))
///     .section("Orders", Generator::new(|| 3).order(-1).timeout(Duration::from_secs(5)));
/// ```
pub struct Generator {
    order: i32,
    timeout: Duration,
    make: Box<dyn Fn() -> Content + Send + Sync>,
}

impl Generator {
    /// A generator that shows what `generate` returns: a string as text, `None` as nothing to show,
    /// and any other value as nested `key = value`. Secrets are masked.
    ///
    /// gmr calls it once for each report, on a thread of its own.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let served = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&served);
    /// let generator = Generator::new(move || counter.load(Ordering::Relaxed));
    /// let builder = Builder::new().section("Served", generator);
    /// ```
    pub fn new<T: Serialize>(generate: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::from_content(move || convert::from_serialize(&generate()))
    }

    /// A generator that can fail. The section shows the error in place of the value.
    ///
    /// ```
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let load = Generator::fallible(|| std::fs::read_to_string("/proc/loadavg"));
    /// let builder = Builder::new().section("Load", load);
    /// ```
    pub fn fallible<T: Serialize, E: Display>(
        generate: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        Self::from_content(move || match generate() {
            Ok(value) => convert::from_serialize(&value),
            Err(error) => Content::Error(gmr_mask::text(&error.to_string()).into_owned()),
        })
    }

    fn from_content(make: impl Fn() -> Content + Send + Sync + 'static) -> Self {
        Self { order: 0, timeout: DEFAULT_TIMEOUT, make: Box::new(make) }
    }

    /// The position among the sections, or among the groups: lowest first. The default is 0. With
    /// equal order, those that attributes register precede those added with a builder.
    ///
    /// ```
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let builder = Builder::new().section("Orders", Generator::new(|| 3).order(-10));
    /// ```
    #[must_use]
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// The deadline, two seconds by default. After it, the report continues without the value and
    /// shows where the generator is stuck.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let orders = Generator::new(|| 3).timeout(Duration::from_millis(500));
    /// let builder = Builder::new().section("Orders", orders);
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The generator of the section or group with this title.
    pub(crate) fn titled(self, title: String) -> super::generator::Generator {
        super::generator::Generator::new(title, self.make).with_order(self.order).with_timeout(self.timeout)
    }
}

impl<F, T> From<F> for Generator
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Serialize,
{
    fn from(generate: F) -> Self {
        Self::new(generate)
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("order", &self.order)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Shows a value as its `Display` text, in place of a `Serialize` value in a [`Generator`].
///
/// ```
/// use std::net::Ipv4Addr;
/// use std::path::Path;
/// use gmr_runtime::{Builder, display};
///
/// let builder = Builder::new()
///     .section("Address", || display(Ipv4Addr::LOCALHOST))
///     .section("Peer", || None::<Ipv4Addr>.map(display))
///     .config("Paths", || [("data", display(Path::new("/var/lib/shop").display()))]);
/// ```
pub fn display<T: Display>(value: T) -> impl Serialize {
    struct Displayed<T>(T);
    impl<T: Display> Serialize for Displayed<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }
    Displayed(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn content(generator: impl Into<Generator>) -> Content {
        (generator.into().make)()
    }

    #[test]
    fn each_kind_of_value_is_shown_as_the_attributes_show_it() {
        let text = |text: &str| Content::Text(text.into());
        assert_eq!(content(|| 7_u8), Content::Fields(Value::Unsigned(7)));
        assert_eq!(content(|| "as it is"), text("as it is"));
        assert_eq!(content(|| None::<u8>), Content::Nothing);
        assert_eq!(content(|| display(format_args!("{:02}", 7).to_string())), text("07"));
        assert_eq!(content(|| Some(display('x'))), text("x"));
        assert_eq!(content(Generator::fallible(|| Ok::<_, String>(display('x')))), text("x"));
        let failed = Generator::fallible(|| Err::<u8, _>("broken"));
        assert_eq!(content(failed), Content::Error("broken".into()));
    }

    #[test]
    fn secrets_are_masked_in_text_and_in_errors() {
        let url = "postgres://shop:hunter2@db/orders";
        for content in
            [content(move || display(url)), content(Generator::fallible(move || Err::<u8, _>(url)))]
        {
            let (Content::Text(text) | Content::Error(text)) = &content else { panic!("{content:?}") };
            assert!(text.contains("db/orders") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn the_options_reach_the_generator() {
        let generator = Generator::new(|| 1).order(-3).timeout(Duration::from_millis(5));
        let generator = generator.titled("Queue".into());
        assert_eq!((generator.order, generator.timeout), (-3, Duration::from_millis(5)));
        assert_eq!(generator.title, "Queue");
    }
}
