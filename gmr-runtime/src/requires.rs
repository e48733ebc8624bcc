//! Macros that generated code uses to check that a feature of `gmr` is enabled.
//!
//! A macro crate can't see the features of the crate that re-exports it. Each macro here expands to
//! its input if the feature is enabled, and to an error otherwise. The compiler reports the error
//! at the span of the macro call, which the attribute sets to the user's literal.

#[cfg(feature = "json")]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_json {
    ($($value:tt)*) => { $($value)* };
}
#[cfg(not(feature = "json"))]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_json {
    ($($value:tt)*) => {
        ::core::compile_error! {
            "the feature `json` of `gmr` is disabled: enable it with `cargo add gmr --features json`"
        }
    };
}

#[cfg(feature = "xml")]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_xml {
    ($($value:tt)*) => { $($value)* };
}
#[cfg(not(feature = "xml"))]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_xml {
    ($($value:tt)*) => {
        ::core::compile_error! {
            "the feature `xml` of `gmr` is disabled: enable it with `cargo add gmr --features xml`"
        }
    };
}

#[cfg(feature = "gzip")]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_gzip {
    ($($value:tt)*) => { $($value)* };
}
#[cfg(not(feature = "gzip"))]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_gzip {
    ($($value:tt)*) => {
        ::core::compile_error! {
            "the feature `gzip` of `gmr` is disabled: enable it with `cargo add gmr --features gzip`"
        }
    };
}

#[cfg(feature = "tracing")]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_tracing {
    ($($value:tt)*) => { $($value)* };
}
#[cfg(not(feature = "tracing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_tracing {
    ($($value:tt)*) => {
        ::core::compile_error! {
            "the feature `tracing` of `gmr` is disabled: enable it with `cargo add gmr --features tracing`"
        }
    };
}

#[cfg(feature = "html")]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_html {
    ($($value:tt)*) => { $($value)* };
}
#[cfg(not(feature = "html"))]
#[doc(hidden)]
#[macro_export]
macro_rules! requires_html {
    ($($value:tt)*) => {
        ::core::compile_error! {
            "the feature `html` of `gmr` is disabled: enable it with `cargo add gmr --features html`"
        }
    };
}
