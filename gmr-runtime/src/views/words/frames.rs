//! The wording of frames.

use std::borrow::Cow;

use crate::model::Frame;
use crate::units::counted;
use crate::views::Detail;
use crate::views::folding::Omitted;
use crate::views::room::of_line;

/// `module+0xoffset`, or the address alone if no module contains it.
pub(in crate::views) fn place(frame: &Frame) -> String {
    match (&frame.module, frame.module_offset) {
        (Some(module), Some(offset)) => format!("{}+{offset:#x}", of_line(module)),
        _ => format!("{:#x}", frame.address),
    }
}

/// `23 frames of tokio, std, mio omitted`
pub(in crate::views) fn omitted(Omitted { frames, crates }: &Omitted<'_>) -> String {
    const MAX_NAMED: usize = 4;
    let mut names: Vec<Cow<'_, str>> = crates.iter().take(MAX_NAMED).map(|name| of_line(name)).collect();
    if let Some(others) = crates.len().checked_sub(MAX_NAMED).filter(|others| *others > 0) {
        names.push(format!("{others} more").into());
    }
    format!("{} of {} omitted", counted(*frames, "frame"), names.join(", "))
}

/// A frame's function, or its address if the function is not known. In short form, an `async fn`
/// has the name from its source, and an async block that of the function it is in.
pub(in crate::views) fn function(frame: &Frame, detail: Detail) -> String {
    let Some(name) = frame.function.as_deref() else { return place(frame) };
    match (detail, Body::of(name)) {
        (Detail::Short, Some(body)) => of_line(&body.to_string()).into_owned(),
        _ => of_line(name).into_owned(),
    }
}

/// The function whose body an async block is.
pub(in crate::views) fn own_function(frame: &Frame) -> String {
    let body = frame.function.as_deref().and_then(Body::of);
    body.map_or_else(|| place(frame), |body| of_line(body.of).into_owned())
}

/// Whether to say that a function is inlined. The short form leaves this out for the body of an
/// `async fn` or block, which the compiler turns into a function.
pub(in crate::views) fn is_inlined(frame: &Frame, detail: Detail) -> bool {
    let is_body = || frame.function.as_deref().and_then(Body::of).is_some();
    frame.inlined && !(detail == Detail::Short && is_body())
}

/// The body of an `async fn` or of an async block or closure, by the name that debug information
/// has for it.
pub(in crate::views) struct Body<'a> {
    kind: &'a str,
    /// The path of what it is in.
    path: &'a str,
    /// The function that it is the body of, or that it is in. Empty if the name lacks the path.
    pub(in crate::views) of: &'a str,
}

/// The most bytes of `async_closure#123`.
const MAX_LAST: usize = 40;

impl<'a> Body<'a> {
    pub(in crate::views) fn of(name: &'a str) -> Option<Self> {
        // Frames are looked at again and again: only the end of the name is searched.
        let open = name.strip_suffix('}')?.bytes().rev().take(MAX_LAST).position(|byte| byte == b'{')?;
        let (path, last) = name.split_at(name.len() - open - 2);
        let path = if path.is_empty() { "" } else { path.strip_suffix("::")? };
        let (kind, number) = last.strip_prefix('{')?.strip_suffix('}')?.split_once('#')?;
        let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        let is_known = is_number && ["async_fn", "async_block", "async_closure"].contains(&kind);
        if !is_known {
            return None;
        }
        let of = if kind == "async_fn" { path } else { without_closures(path) };
        Some(Self { kind, path, of })
    }

    pub(in crate::views) fn is_block(&self) -> bool {
        self.kind == "async_block"
    }

    /// Whether it is in a closure, or in an async function, which becomes a closure when compiled.
    pub(in crate::views) fn is_nested(&self) -> bool {
        self.path != self.of
    }
}

impl std::fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, of, .. } = self;
        let kind = kind.split_once('_').map_or(*kind, |(_, kind)| kind);
        match (kind, of.is_empty()) {
            (_, true) => write!(f, "{{async {kind}}}"),
            ("fn", false) => f.write_str(of),
            _ => write!(f, "{{async {kind} in {of}}}"),
        }
    }
}

/// The path of the function that a closure, or a closure in one, is in.
fn without_closures(path: &str) -> &str {
    let mut path = path;
    while let Some((outer, last)) = path.rsplit_once("::")
        && last.starts_with('{')
        && last.ends_with('}')
    {
        path = outer;
    }
    path
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        let frame = Frame { function: Some(name.to_owned()), ..Frame::default() };
        function(&frame, Detail::Short)
    }

    #[test]
    fn an_async_function_has_its_name_and_a_block_that_of_the_function_it_is_in() {
        assert_eq!(shown("shop::pay::{async_fn#0}"), "shop::pay");
        assert_eq!(shown("shop::main::{async_block#0}"), "{async block in shop::main}");
        assert_eq!(shown("shop::main::{closure#0}::{async_block#12}"), "{async block in shop::main}");
        assert_eq!(
            shown("<shop::Till as shop::Pay>::pay::{async_block#0}"),
            "{async block in <shop::Till as shop::Pay>::pay}"
        );
        assert_eq!(shown("shop::main::{closure#0}::{async_closure#0}"), "{async closure in shop::main}");
        assert_eq!(shown("shop::main::{{closure}}::pay::{async_fn#0}"), "shop::main::{{closure}}::pay");
        // Names of inlined functions, where there is debug information for lines only.
        assert_eq!(shown("{async_block#0}"), "{async block}");
        assert_eq!(shown("{async_fn#0}"), "{async fn}");
        // It is not known what these are.
        for name in
            ["shop::pay::{{closure}}", "shop::pay::{closure#0}", "{closure#0}", "{async_block#}", "{", ""]
        {
            assert_eq!(shown(name), name);
        }
        let block = "shop::main::{async_block#0}";
        let frame = Frame { function: Some(block.to_owned()), inlined: true, ..Frame::default() };
        assert_eq!(function(&frame, Detail::Full), block);
        assert!(is_inlined(&frame, Detail::Full) && !is_inlined(&frame, Detail::Short));
    }

    #[test]
    fn what_is_omitted_is_counted_by_crate() {
        let of = |frames, crates: &[&'static str]| {
            omitted(&Omitted { frames, crates: crates.iter().map(|name| (*name).into()).collect() })
        };
        assert_eq!(of(1, &["std"]), "1 frame of std omitted");
        assert_eq!(of(23, &["tokio", "std", "mio"]), "23 frames of tokio, std, mio omitted");
        assert_eq!(of(23, &["a", "b", "c", "d", "e", "f"]), "23 frames of a, b, c, d, 2 more omitted");
    }
}
