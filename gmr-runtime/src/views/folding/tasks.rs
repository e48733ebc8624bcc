//! Which frames of a task's stack are shown.

use super::kinds::{Known, Plumbing};
use crate::model::Frame;

/// Omits the frames of a task's stack in which futures of the standard libraries and of runtimes
/// poll one another. The one that the program's innermost function called stays: it names what the
/// task waits for. If that function is a `select!` or `join!`, it is the future that this polls.
pub(in crate::views) fn fold_task(frames: &mut Vec<&Known<'_>>) {
    // An attribute that wraps the function: nothing waits at its line.
    let wrapper = |frame: &Frame| frame.source.as_deref().is_some_and(is_attribute);
    let plumbing = Plumbing::of(frames);
    let is_program = |known: &Known<'_>| !plumbing.has(known) && !wrapper(known.frame);
    let Some(innermost) = frames.iter().position(|known| is_program(known)) else { return };
    let further_in = &frames[..innermost];
    let waited_for = further_in.iter().rposition(|known| !is_of_macro(known.frame));
    let waited_for = waited_for.or(innermost.checked_sub(1));
    let mut index = 0..;
    frames.retain(|known| {
        let index = index.next();
        index == waited_for || index >= Some(innermost) && is_program(known)
    });
}

/// Whether nothing but an attribute, or the beginning of one, is on this line.
fn is_attribute(line: &str) -> bool {
    let Some(inside) = line.strip_prefix("#[") else { return false };
    let mut depth = 1_usize;
    let end = inside.bytes().position(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let after = end.map_or("", |end| inside[end + 1..].trim_start());
    after.is_empty() || after.starts_with("//") || is_attribute(after)
}

/// Files with the code of `select!` and `join!`, in tokio and futures, and of the future that it is
/// in.
const OF_MACROS: [&str; 6] = [
    "/core/src/future/poll_fn.rs",
    "/macros/select.rs",
    "/macros/join.rs",
    "/macros/try_join.rs",
    "/async_await/select_mod.rs",
    "/async_await/join_mod.rs",
];

fn is_of_macro(frame: &Frame) -> bool {
    frame.file.as_deref().is_some_and(|file| OF_MACROS.iter().any(|of_macro| file.ends_with(of_macro)))
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn a_branch_of_a_select_is_named_after_its_future() {
        let frame = |function: &str, file: &str| Frame {
            function: Some(function.to_owned()),
            file: Some(file.to_owned()),
            ..Frame::default()
        };
        let poll_fn = frame("poll<F>", "library/core/src/future/poll_fn.rs");
        let closure = frame("{closure#0}", "/registry/src/index/tokio-1.54.1/src/macros/select.rs");
        let sleep =
            frame("<tokio::time::Sleep as core::future::Future>::poll", "tokio-1.54.1/src/time/sleep.rs");
        let program = frame("{async_fn#0}", "/srv/shop/src/main.rs");
        let folded = |frames: &[Frame]| -> Vec<String> {
            let known = Known::all(frames);
            let mut all: Vec<&Known<'_>> = known.iter().collect();
            fold_task(&mut all);
            all.iter().filter_map(|known| known.frame.file.clone()).collect()
        };
        let names = |frames: &[&Frame]| -> Vec<String> {
            frames.iter().filter_map(|frame| frame.file.clone()).collect()
        };
        let select = [sleep.clone(), closure, poll_fn.clone(), program.clone()];
        assert_eq!(folded(&select), names(&[&sleep, &program]));
        let alone = [poll_fn.clone(), program.clone()];
        assert_eq!(folded(&alone), names(&[&poll_fn, &program]));
    }

    #[test]
    fn a_line_with_more_than_an_attribute_stays() {
        for line in ["#[tokio::main]", "#[instrument(fields(", "#[a([1])] #[b] // c", "#[doc = \"x\"]"] {
            assert!(is_attribute(line), "{line}");
        }
        for line in ["#[allow(x)] pay(order).await;", "#[inline] async fn pay() { rest().await }", "pay()[0]"]
        {
            assert!(!is_attribute(line), "{line}");
        }
        let at = |source: &str| Frame {
            function: Some("shop::pay::{async_fn#0}".into()),
            source: Some(source.into()),
            ..Frame::default()
        };
        let frames = [at("#[allow(x)] pay(order).await;"), at("#[gmr::task]"), at("pay().await")];
        let known = Known::all(&frames);
        let mut all: Vec<&Known<'_>> = known.iter().collect();
        fold_task(&mut all);
        let sources: Vec<_> = all.iter().filter_map(|known| known.frame.source.as_deref()).collect();
        assert_eq!(sources, ["#[allow(x)] pay(order).await;", "pay().await"]);
    }
}
