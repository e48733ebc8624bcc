//! Tests of frame pointers that are recovered from the code: of blocked threads.

use super::*;

/// A function with a frame of 32 bytes below the frame pointer, and its code: `push rbp; mov
/// rbp, rsp; push rbx; sub rsp, 24; call next function`, which returns to offset 14.
fn framed(rest: &[u8]) -> Function {
    let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x83, 0xec, 24];
    code.extend(rest);
    Function { code, ..function(&[0x0c, FP, 16, OFFSET | RETURN_ADDRESS, 1, OFFSET | FP, 2]) }
}

/// `call` to the beginning of the function with this number, from `offset` of another.
fn call(from: i64, offset: i64, to: i64) -> Vec<u8> {
    let distance = i32::try_from((to - from) * FUNCTION.cast_signed() - offset - 5).unwrap();
    [&[0xe8][..], &distance.to_le_bytes()].concat()
}

/// The first function of a thread, with a call to the function with this number.
fn root_calling(from: i64, to: i64) -> Function {
    Function { code: call(from, 0, to), ..root() }
}

fn at_rest(functions: &[Function], ip_offset: u64, stack: impl Fn(&Image) -> Vec<u64>) -> Unwound {
    let image = Image::of(functions);
    let registers = Registers::at_rest(image.code(0, ip_offset), 0x7000);
    image.unwind(registers, &[(0x7000, &stack(&image))])
}

#[test]
fn the_prologue_shows_where_the_frame_pointer_is() {
    // A system call in the innermost function, whose frame pointer is at 0x7020.
    let rest = [0x0f, 0x05, 0x48, 0x83, 0xc4, 24, 0x5b, 0x5d, 0xc3];
    let functions = [framed(&rest), root_calling(1, 0)];
    let unwound = at_rest(&functions, 11, |image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5)]);
    assert_eq!(whole(unwound).len(), 2);
}

#[test]
fn what_calls_another_function_is_not_its_caller() {
    let functions = [framed(&[0x0f, 0x05, 0xc3]), root_calling(1, 3)];
    let unwound = at_rest(&functions, 11, |image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5)]);
    assert!(matches!(unwound, Unwound::Uncertain(_)), "{unwound:?}");
    // Nor is what calls nothing.
    let functions = [framed(&[0x0f, 0x05, 0xc3]), root()];
    let unwound = at_rest(&functions, 11, |image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5)]);
    assert!(matches!(unwound, Unwound::Uncertain(_)), "{unwound:?}");
}

#[test]
fn a_function_that_jumps_to_the_next_one_has_no_frame() {
    // The first function of the thread calls number 2, which only jumps to number 0.
    let mut jump = call(2, 0, 0);
    jump[0] = 0xe9;
    let jumping = Function { code: jump, ..plain() };
    let functions = [framed(&[0x0f, 0x05, 0xc3]), root_calling(1, 2), jumping];
    let unwound = at_rest(&functions, 11, |image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5)]);
    assert_eq!(whole(unwound).len(), 2);
}

#[test]
fn a_loop_that_touches_each_page_moves_the_stack_pointer_by_what_it_says() {
    // push rbp; mov rbp, rsp; lea r11, [rsp - 8192]; the loop; sub rsp, 16; syscall; leave; ret
    let code = |back: u8| {
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x4c, 0x8d, 0x9c, 0x24, 0, 0xe0, 0xff, 0xff];
        code.extend([0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0]);
        code.extend([0x4c, 0x39, 0xdc, 0x75, back, 0x48, 0x83, 0xec, 16, 0x0f, 0x05, 0xc9, 0xc3]);
        Function { code, ..framed(&[]) }
    };
    let stack = |image: &Image| {
        let mut words = vec![0; 0x2010 / 8];
        words.extend([0x9000, image.code(1, 5)]);
        words
    };
    assert_eq!(whole(at_rest(&[code(0xec), root_calling(1, 0)], 38, stack)).len(), 2);
    // It begins elsewhere.
    let other = at_rest(&[code(0xed), root_calling(1, 0)], 38, stack);
    assert!(matches!(other, Unwound::Uncertain(_)), "{other:?}");
}

#[test]
fn only_where_the_function_has_not_allocated_on_its_stack_is_the_frame_pointer_certain() {
    // syscall; sub rsp, rax; syscall; then the end, or a jump back to the first call.
    let functions = |end: &[u8]| {
        let mut rest = vec![0x0f, 0x05, 0x48, 0x29, 0xc4, 0x0f, 0x05];
        rest.extend(end);
        [framed(&rest), root_calling(1, 0)]
    };
    let stack = |image: &Image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5)];
    let leave = [0x48, 0x8d, 0x65, 0xf8, 0x5b, 0x5d, 0xc3];
    assert_eq!(whole(at_rest(&functions(&leave), 11, stack)).len(), 2, "before");
    let after = at_rest(&functions(&leave), 16, stack);
    assert!(matches!(after, Unwound::Uncertain(_)), "{after:?}");
    let again = at_rest(&functions(&[0xeb, 0xf7]), 11, stack);
    assert!(matches!(again, Unwound::Uncertain(_)), "{again:?}");
    // One of two paths to a call allocates: jz over `sub rsp, rax`.
    let branching = [framed(&[0x74, 3, 0x48, 0x29, 0xc4, 0x0f, 0x05, 0xc9, 0xc3]), root_calling(1, 0)];
    let joined = at_rest(&branching, 16, stack);
    assert!(matches!(joined, Unwound::Uncertain(_)), "{joined:?}");
    // What nothing leads to is taken for the body's depth only if all of the body has one:
    // syscall; jmp to the end; (a landing pad) syscall; the end, with and without allocating.
    let pad = |allocate: &[u8]| {
        let mut rest = vec![0x0f, 0x05, 0xeb, 4, 0x0f, 0x05, 0xeb, 0, 0x0f, 0x05];
        rest.extend(allocate);
        rest.extend(leave);
        [framed(&rest), root_calling(1, 0)]
    };
    assert_eq!(whole(at_rest(&pad(&[]), 15, stack)).len(), 2);
    let unknown = at_rest(&pad(&[0x48, 0x29, 0xc4]), 15, stack);
    assert!(matches!(unknown, Unwound::Uncertain(_)), "{unknown:?}");
}

#[test]
fn a_stub_without_an_entry_is_left_to_what_called_it() {
    // jmp [rip + 0]; endbr64 before it
    let jump = [0xff, 0x25, 0, 0, 0, 0];
    let marked = [&[0xf3, 0x0f, 0x1e, 0xfa][..], &jump].concat();
    let cases = [
        (jump.to_vec(), 0, 0, true),
        (marked.clone(), 0, 0, true),
        (marked, 4, 0, true),
        // It has jumped; another function is called there; it is something else.
        (jump.to_vec(), 6, 0, false),
        (jump.to_vec(), 0, 2, false),
        (vec![0x90; 6], 0, 0, false),
    ];
    for (code, at, called, is_left) in cases {
        let stub = Function { code: code.clone(), has_no_entry: true, ..plain() };
        let image = Image::of(&[stub, root_calling(1, called)]);
        let stack = [image.code(1, 5)];
        let unwound = image.unwind(all(image.code(0, at), 0x7000), &[(0x7000, &stack)]);
        let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
        assert_eq!(trace.frames.len(), if is_left { 2 } else { 1 }, "{code:x?} at {at}");
        assert_eq!(trace.incomplete.is_none(), is_left);
    }
}

/// A function whose entry ends at its system call, and the rest of its code.
fn cloning(rest: &[u8]) -> Function {
    let code = [&[0x90, 0x90, 0x0f, 0x05][..], rest].concat();
    Function { code, covered: Some(2), ..function(&[DEF_CFA, SP, 8, OFFSET | RETURN_ADDRESS, 1]) }
}

#[test]
fn a_thread_that_waits_in_clone_has_called_it() {
    // test rax, rax; jl; jz; ret
    let glibcs = [0x48, 0x85, 0xc0, 0x7c, 0x05, 0x74, 0x05, 0xc3];
    let stack = |image: &Image| vec![image.code(1, 5)];
    assert_eq!(whole(at_rest(&[cloning(&glibcs), root_calling(1, 0)], 4, stack)).len(), 2);
    // It does not return at once.
    let popping = at_rest(&[cloning(&[0x58, 0xc3]), root_calling(1, 0)], 4, stack);
    assert!(reason(popping).contains("without an entry"));
    // It is not what is called there, as on the stack of a new thread.
    let not_called = at_rest(&[cloning(&glibcs), root_calling(1, 3)], 4, stack);
    assert!(reason(not_called).contains("without an entry"));
    // Its entry ends elsewhere.
    let shorter = Function { covered: Some(1), ..cloning(&glibcs) };
    assert!(reason(at_rest(&[shorter, root_calling(1, 0)], 4, stack)).contains("without an entry"));
    // It need not be in the call: a signal may have interrupted the new thread.
    let image = Image::of(&[cloning(&glibcs), root_calling(1, 0)]);
    let signalled = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack(&image))]);
    assert!(reason(signalled).contains("without an entry"));
    // It does not lead to the thread's first function.
    let caller = Function { code: call(1, 0, 0), ..plain() };
    let lost = at_rest(&[cloning(&glibcs), caller], 4, |image| vec![image.code(1, 5), 0, 0x5000]);
    assert!(matches!(lost, Unwound::Uncertain(_)), "{lost:?}");
}

proptest! {
    /// Whatever the stack contains: if it is recovered, it is the one that all registers lead
    /// to.
    #[test]
    fn a_recovered_frame_pointer_is_the_true_one(
        overwritten in proptest::collection::vec(
            (0..16_usize, 0..7_u64, prop_oneof![Just(5_u64), 0..0x20_u64]),
            0..12,
        ),
    ) {
        let rest = [0x0f, 0x05, 0x48, 0x83, 0xc4, 24, 0x5b, 0x5d, 0xc3];
        let between = || Function { code: call(1, 0, 0), ..plain() };
        let unlisted = Function { code: call(4, 0, 1), has_no_entry: true, ..plain() };
        let functions = [framed(&rest), between(), root_calling(2, 1), root_calling(3, 0), unlisted];
        let image = Image::of(&functions);
        let mut stack = vec![0, 0, 0, 0, 0x8000, image.code(1, 5), 0, image.code(2, 5)];
        stack.resize(16, 0);
        for (place, function, offset) in overwritten {
            stack[place] = match function {
                0 => 0,
                6 => 0x7000 + 8 * offset,
                function => image.code(function - 1, offset),
            };
        }
        let pieces = [(0x7000, &stack[..])];
        let at_rest = image.unwind(Registers::at_rest(image.code(0, 11), 0x7000), &pieces);
        let mut registers = all(image.code(0, 11), 0x7000);
        registers.set(FRAME_POINTER, Some(0x7020));
        let signalled = image.unwind(registers, &pieces).into_trace();
        match at_rest {
            Unwound::Ended(trace) => {
                prop_assert_eq!(trace.frames, signalled.frames);
                prop_assert_eq!(trace.incomplete, signalled.incomplete);
            }
            Unwound::Uncertain(trace) => prop_assert!(signalled.frames.starts_with(&trace.frames)),
            Unwound::Incomplete(..) => prop_assert!(signalled.incomplete.is_some()),
        }
    }
}

#[test]
fn a_stack_that_does_not_reach_its_root_is_uncertain() {
    let functions = [framed(&[0x0f, 0x05, 0xc3]), Function { code: call(1, 0, 0), ..plain() }];
    let unwound = at_rest(&functions, 11, |image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5), 0, 0x5000]);
    let Unwound::Uncertain(trace) = unwound else { panic!("{unwound:?}") };
    assert_eq!(trace.frames.len(), 1, "what follows was not verified");
    assert!(trace.incomplete.unwrap().contains("value of rbp"));
}

#[test]
fn a_frame_pointer_that_calls_prove_is_certain_below_code_without_rules() {
    let waiting = || framed(&[0x0f, 0x05, 0xc3]);
    let between = |code: Vec<u8>| Function { code, ..plain() };
    let unlisted = |code: Vec<u8>| Function { code, has_no_entry: true, ..plain() };
    // The innermost function, two that call another one, and code without an entry.
    let all_of = |calls: [Vec<u8>; 3]| {
        let [first, second, third] = calls;
        [waiting(), between(first), between(second), unlisted(third)]
    };
    let stack =
        |image: &Image| vec![0, 0, 0, 0, 0x8000, image.code(1, 5), 0, image.code(2, 5), 0, image.code(3, 5)];
    let indirect = || vec![0x90, 0x90, 0x90, 0xff, 0xd0];
    let direct = || [call(1, 0, 0), call(2, 0, 1), call(3, 0, 2)];
    let [one, two, three] = direct();
    for calls in [direct(), [one.clone(), indirect(), indirect()]] {
        let unwound = at_rest(&all_of(calls), 11, stack);
        let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
        assert_eq!(trace.frames.len(), 4);
        assert!(trace.incomplete.unwrap().contains("without an entry"));
    }
    // The target of the call is not known; it is another function; one of the functions after it
    // calls another one.
    let other = call(1, 0, 9);
    let elsewhere = call(2, 0, 9);
    for calls in [
        [indirect(), two.clone(), three.clone()],
        [other, two, three.clone()],
        [one.clone(), elsewhere, three],
    ] {
        let unwound = at_rest(&all_of(calls), 11, stack);
        let Unwound::Uncertain(trace) = unwound else { panic!("{unwound:?}") };
        assert_eq!(trace.frames.len(), 1, "what follows was not verified");
    }
    // The innermost function was called by the code without rules.
    let unwound = at_rest(&[waiting(), unlisted(one)], 11, stack);
    assert!(matches!(unwound, Unwound::Uncertain(_)), "{unwound:?}");
}

#[test]
fn every_call_and_nothing_else_is_known_before_a_return_address() {
    let of = |code: &[u8]| {
        let image = Image::of(&[plain(), Function { code: code.to_vec(), ..root() }]);
        prologue::follows_call(image.code(1, code.len() as u64), |target| {
            (image.base()..image.base() + TABLES as u64).contains(&target)
        })
    };
    let calls: [&[u8]; 12] = [
        &[0xff, 0xd0],                                     // call rax
        &[0x41, 0xff, 0xd3],                               // call r11
        &[0x3e, 0xff, 0xd0],                               // notrack call rax
        &[0xff, 0x10],                                     // call [rax]
        &[0xff, 0x14, 0xc8],                               // call [rax + 8 * rcx]
        &[0xff, 0x50, 0x18],                               // call [rax + 24]
        &[0xff, 0x54, 0x24, 0x08],                         // call [rsp + 8]
        &[0xff, 0x15, 1, 2, 3, 4],                         // call [rip + distance]
        &[0xff, 0x90, 1, 2, 3, 4],                         // call [rax + distance]
        &[0x42, 0xff, 0x94, 0xc8, 1, 2, 3, 4],             // call [rax + 8 * r9 + distance]
        &[0xe8, 0xfb, 0xff, 0xff, 0xff],                   // call itself
        &[0x66, 0x66, 0x48, 0xe8, 0xfb, 0xff, 0xff, 0xff], // the same, as for thread-local storage
    ];
    for code in calls {
        assert!(of(code), "{code:x?}");
        assert!(!of(&[code, &[0x90]].concat()), "{code:x?}");
    }
    let others: [&[u8]; 6] = [
        &[0xe8, 0, 0, 0, 0x40], // a call of what is no code
        &[0xff, 0xe0],          // jmp rax
        &[0xff, 0x25, 1, 2, 3, 4],
        &[0xe9, 0xfb, 0xff, 0xff, 0xff],
        &[0x0f, 0x05],
        &[0xcc],
    ];
    for code in others {
        assert!(!of(code), "{code:x?}");
    }
}

#[test]
fn of_a_realigned_frame_one_value_must_fit() {
    // push rbp; mov rbp, rsp; push rbx; and rsp, -64; sub rsp, 64; syscall
    let code = [
        0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x83, 0xe4, 0xc0, 0x48, 0x83, 0xec, 0x40, 0x0f, 0x05, 0xc9, 0xc3,
    ];
    let realigned = || Function { code: code.to_vec(), ..framed(&[]) };
    let functions = [realigned(), root_calling(1, 0)];
    // The aligned address is 0x7040; the frame pointer can be 0x7050, 0x7060, 0x7070.
    let words = |image: &Image, places: &[usize]| {
        let mut words = vec![0; 32];
        for place in places {
            words[*place] = image.code(1, 5);
        }
        words
    };
    let unwound = at_rest(&functions, 15, |image| words(image, &[13]));
    assert_eq!(whole(unwound).len(), 2);
    let unwound = at_rest(&functions, 15, |image| words(image, &[11, 13]));
    assert!(matches!(unwound, Unwound::Uncertain(_)), "two fit: {unwound:?}");
    let unwound = at_rest(&functions, 15, |image| words(image, &[12]));
    assert!(matches!(unwound, Unwound::Uncertain(_)), "none fits: {unwound:?}");

    // call function number 3; int3
    let other = Function { code: [call(2, 0, 3), vec![0xcc]].concat(), ..plain() };
    // call rax; without an entry
    let generated = Function { code: vec![0xff, 0xd0], has_no_entry: true, ..plain() };
    let functions = [realigned(), root_calling(1, 0), other, generated];
    for (stale, is_certain) in [((2, 5), false), ((3, 2), false), ((2, 6), true), ((3, 1), true)] {
        let unwound = at_rest(&functions, 15, |image| {
            let mut words = words(image, &[13]);
            words[11] = image.code(stale.0, stale.1);
            words
        });
        // Another function may have been called there that jumped to this one.
        assert_eq!(matches!(unwound, Unwound::Ended(_)), is_certain, "{stale:?}: {unwound:?}");
    }
}
