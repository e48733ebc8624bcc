//! Names of functions as programmers write them.

/// A Rust name, demangled and without its hash. With the feature `cpp`, a demangled C++ name too.
/// Any other name is unchanged.
pub(super) fn demangled(name: &str) -> String {
    match rustc_demangle::try_demangle(name) {
        Ok(name) => format!("{name:#}"),
        Err(_) => of_cpp(name).unwrap_or_else(|| name.to_owned()),
    }
}

/// The mangled name of an `async fn`'s body, and of an async block, is that of a closure. Debug
/// information has another name for it, such as `{async_block#0}`, which this one then ends with.
pub(super) fn with_kind(demangled: String, plain: &str) -> String {
    // Generic arguments can follow it.
    let kind = plain.find('}').map_or("", |end| &plain[..=end]);
    match demangled.rsplit_once("::{") {
        Some((path, last)) if kind.starts_with("{async_") && is_closure(last) => format!("{path}::{kind}"),
        _ => demangled,
    }
}

/// Whether this is the rest of `{closure#0}` or `{{closure}}`.
fn is_closure(last: &str) -> bool {
    last == "{closure}}" || last.starts_with("closure#") && last.ends_with('}') && !last.contains(':')
}

#[cfg(feature = "cpp")]
fn of_cpp(name: &str) -> Option<String> {
    use std::fmt;

    use cpp_demangle::{DemangleOptions, Symbol};

    /// How long a name may become. Some refer back to their own parts, and double with each
    /// reference.
    const MAX: usize = 64 << 10;

    struct Limited(String);

    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.0.len() + text.len() > MAX {
                return Err(fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }

    // Nothing else is a C++ name. The parser would read `i` as one: `int`.
    if !name.starts_with("_Z") || name.len() > MAX {
        return None;
    }
    let symbol = Symbol::new(name.as_bytes()).ok()?;
    let mut output = Limited(String::new());
    symbol.structured_demangle(&mut output, &DemangleOptions::new()).ok()?;
    Some(output.0)
}

#[cfg(not(feature = "cpp"))]
fn of_cpp(_name: &str) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rust_lose_their_mangling_and_hash() {
        assert_eq!(demangled("_ZN4shop3pay17h0123456789abcdefE"), "shop::pay");
        assert_eq!(demangled("_RNvCs15kBYyAo9fc_4shop3pay"), "shop::pay");
        assert_eq!(demangled("read"), "read");
        assert_eq!(demangled("i"), "i");
    }

    #[test]
    fn the_body_of_an_async_function_is_told_from_a_closure() {
        let named = |name: &str, plain| with_kind(name.to_owned(), plain);
        assert_eq!(named("shop::pay::{closure#0}", "{async_fn#0}"), "shop::pay::{async_fn#0}");
        assert_eq!(named("shop::pay::{{closure}}", "{async_block#1}"), "shop::pay::{async_block#1}");
        assert_eq!(
            named("shop::pay::{{closure}}", "{async_fn#0}<shop::Till<u8>>"),
            "shop::pay::{async_fn#0}"
        );
        assert_eq!(named("shop::pay::{closure#0}", "{closure#0}"), "shop::pay::{closure#0}");
        assert_eq!(named("shop::pay", "{async_fn#0}"), "shop::pay");
        assert_eq!(named("shop::pay::{closure#0}::tell", "{async_fn#0}"), "shop::pay::{closure#0}::tell");
    }

    #[test]
    #[cfg(feature = "cpp")]
    fn names_of_cpp_are_as_in_their_source() {
        assert_eq!(
            demangled("_ZN7rocksdb6DBImpl5WriteERKNS_12WriteOptionsEPNS_10WriteBatchE"),
            "rocksdb::DBImpl::Write(rocksdb::WriteOptions const&, rocksdb::WriteBatch*)"
        );
        assert_eq!(demangled("_Znotaname"), "_Znotaname");
        // Each parameter is the one before, twice.
        let doubling = format!("_Z1fPv{}", "PFS_S_E".repeat(3));
        assert!(demangled(&doubling).len() < 1 << 17);
        let deep = format!("_Z1f{}i", "P".repeat(100_000));
        assert_eq!(demangled(&deep), deep);
    }
}
