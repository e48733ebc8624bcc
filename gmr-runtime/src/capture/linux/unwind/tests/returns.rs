//! Tests of what a return address may lead to: behind a call, to the return from a signal handler,
//! or to a function that nothing has called.

use super::*;

#[test]
#[cfg(target_arch = "x86_64")]
fn what_a_signal_interrupted_is_exact() {
    let rules = [DEF_CFA, SP, 32, OFFSET | RETURN_ADDRESS, 1, OFFSET | FP, 2];
    // As in the C library, an instruction stands before the one that handlers return to.
    let restore = [&[0x90][..], arch::SIGRETURNS[0]].concat();
    // A coroutine begins in such code too.
    for (code, is_signal) in [(restore, true), (Vec::new(), false)] {
        let signal_frame = Function { is_signal_frame: true, code, ..function(&rules) };
        let image = Image::of(&[plain(), signal_frame, plain(), root()]);
        let (frame, interrupted) = (image.code(1, 1), image.code(2, 0));
        let stack = [0, frame, 0, 0, 0x7100, interrupted, 0, image.code(3, 9)];
        let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack)]));
        let expected = [
            Address::Exact(image.code(0, 4)),
            if is_signal { Address::Signal(frame) } else { Address::Return(frame) },
            Address::Exact(interrupted),
            Address::Return(image.code(3, 9)),
        ];
        assert_eq!(frames, expected);
    }
}

#[test]
fn a_trampoline_is_known_by_its_code() {
    // In code without an entry, also directly after a function that ends with a call, and in code
    // with an entry that is not marked.
    let filler = usize::try_from(FUNCTION).unwrap() - CALL.len();
    let calling = [&vec![0xcc; filler][..], CALL].concat();
    let all_of = |code: &[u8]| {
        let no_entry = || Function { has_no_entry: true, code: code.to_vec(), ..plain() };
        let with_entry = Function { code: [&[0x90; 4], code].concat(), ..plain() };
        [(Vec::new(), 0, no_entry()), (calling.clone(), 0, no_entry()), (Vec::new(), 4, with_entry)]
    };
    for (code, offset, restore) in arch::SIGRETURNS.into_iter().flat_map(all_of) {
        let image = Image::of(&[Function { code, ..plain() }, restore, root()]);
        let trampoline = image.code(1, offset);
        let mut frame = vec![0, trampoline];
        // More than either kernel's frame, with the interrupted instruction everywhere.
        frame.extend(std::iter::repeat_n(image.code(2, 0), 100));
        let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &frame)]));
        let expected =
            [Address::Exact(image.code(0, 4)), Address::Signal(trampoline), Address::Exact(image.code(2, 0))];
        assert_eq!(frames, expected);
    }
}

/// The frames of a stack that returns into `function`, which has number 1, at `offset`.
fn returning_to(function: Function, offset: u64) -> (Image, Trace) {
    let image = Image::of(&[plain(), function, root()]);
    let stack = [0, image.code(1, offset), 0, image.code(2, RETURN)];
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack)]);
    let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
    (image, trace)
}

#[test]
fn an_address_that_follows_no_call_is_no_frame() {
    let offsets = [0, 3, RETURN - 1, RETURN + 1];
    for offset in offsets {
        let (image, trace) = returning_to(plain(), offset);
        assert_eq!(*trace.frames, [Address::Exact(image.code(0, 4))], "{offset}");
        let reason = trace.incomplete.unwrap();
        assert!(reason.contains(&format!("{:#x}, which follows no call", image.code(1, offset))), "{reason}");
    }
    let (_, trace) = returning_to(plain(), RETURN);
    assert_eq!((trace.frames.len(), trace.incomplete), (3, None));
    // The same where there is no entry.
    for (offset, frames) in [(0, 1), (RETURN, 2)] {
        let (_, trace) = returning_to(Function { has_no_entry: true, ..plain() }, offset);
        assert_eq!((trace.frames.len(), trace.incomplete.is_some()), (frames, true), "{offset}");
    }
}

#[test]
fn what_no_call_leads_back_to_can_be_the_first_function() {
    let (_, trace) = returning_to(root(), 3);
    assert_eq!((trace.frames.len(), trace.incomplete), (2, None));
}

#[test]
fn a_function_of_makecontext_returns_to_what_nothing_has_called() {
    #[cfg(target_arch = "x86_64")]
    const CODES: [(&[u8], bool); 3] = [
        (&[0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24], true),
        (&[0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24], true),
        // mov rsp, rcx
        (&[0x48, 0x89, 0xcc, 0x48, 0x8b, 0x3c, 0x24], false),
    ];
    #[cfg(target_arch = "aarch64")]
    const CODES: [(&[u8], bool); 3] = [
        (&[0xe0, 0x03, 0x13, 0xaa, 0xc0, 0xf9, 0xff, 0xb5], true),
        // cbnz x1; cbz x0
        (&[0xe0, 0x03, 0x13, 0xaa, 0xc1, 0xf9, 0xff, 0xb5], false),
        (&[0xe0, 0x03, 0x13, 0xaa, 0xc0, 0xf9, 0xff, 0xb4], false),
    ];
    for (code, is_known) in CODES {
        // The return address is the first one of the function, so its entry does not cover a call
        // before that.
        let function = Function { code: code.to_vec(), ..plain() };
        let (image, trace) = returning_to(function, 0);
        let begun = [image.code(0, 4), image.code(1, 0)].map(Address::Exact);
        assert_eq!(*trace.frames, begun[..if is_known { 2 } else { 1 }], "{code:x?}");
        assert_eq!(trace.incomplete.is_none(), is_known, "{:?}", trace.incomplete);
    }
}
