//! Code that the tests make up, and what is concluded from it.

use super::super::memory::Memory;
use super::known::{FunctionOf, Releases};
use super::search::{Frame, Release};
use crate::capture::linux::arch::Registers;
use crate::capture::{Guard, Purpose, PurposeOf, Wanted};

const LOCK: u64 = 0x1234_5678_9ab0;
const STACK: u64 = 0x7000_0000_0000;
const RET: &[u8] = &[0xc3];
/// `xor eax, eax; xchg [rbx], eax; cmp eax, 2`
const UNLOCK: &[u8] = &[0x31, 0xc0, 0x87, 0x03, 0x83, 0xf8, 0x02];
/// `lock cmpxchg [rbx], ecx`
const TRY_LOCK: &[u8] = &[0xf0, 0x0f, 0xb1, 0x0b];
/// `lea rdi, [rsp + 8]; call` to what follows in memory
const DROP: &[u8] = &[0x48, 0x8d, 0x7c, 0x24, 0x08, 0xe8, 0, 0x10, 0, 0];
const DROP_GUARD: Purpose = Purpose::DropGuard(Guard { by_value: false, word: 0 });

/// Searches code that is returned to with the lock's address in `rbx`, and with a guard on the
/// stack. All calls are to functions of this purpose.
fn search_for(parts: &[&[u8]], purpose: Purpose, pending: &mut bool, is_shared: bool) -> Option<Release> {
    search_from(0, parts, &mut |_| purpose, pending, is_shared)
}

/// The same, from an offset on, and with functions of different purposes.
fn search_from(
    offset: u64,
    parts: &[&[u8]],
    purpose_of: &mut PurposeOf<'_>,
    pending: &mut bool,
    is_shared: bool,
) -> Option<Release> {
    let code = parts.concat();
    let start = code.as_ptr() as u64;
    let mut values = [0; crate::capture::linux::arch::COUNT];
    (values[3], values[7]) = (LOCK, STACK);
    let registers = Registers::all(start, values);
    let words = [1, LOCK, 0, 0, 0, LOCK];
    let stack: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
    let frame = Frame {
        function: (start, start + code.len() as u64),
        address: start + offset,
        registers: &registers,
        end: STACK + stack.len() as u64,
        called: None,
    };
    let wanted = Wanted { address: LOCK, is_shared, is_once: false };
    let calls: (&mut FunctionOf<'_>, &mut PurposeOf<'_>) = (&mut |_| None, purpose_of);
    let pieces = [(STACK, &*stack)];
    Releases::new().search(&frame, wanted, pending, &Memory::new(&pieces), calls)
}

fn search(parts: &[&[u8]], purpose: Purpose) -> Option<bool> {
    Some(search_for(parts, purpose, &mut false, false)?.on_all_paths)
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_lock_that_is_released_is_held() {
    let nothing = Purpose::Other;
    assert_eq!(search(&[UNLOCK, RET], nothing), Some(true));
    assert_eq!(search(&[RET], nothing), None);
    // `mov rbx, [rsp + 8]`: the same from the stack; `mov rbx, [rsp]`: another lock.
    assert_eq!(search(&[&[0x48, 0x8b, 0x5c, 0x24, 0x08], UNLOCK, RET], nothing), Some(true));
    assert_eq!(search(&[&[0x48, 0x8b, 0x1c, 0x24], UNLOCK, RET], nothing), None);
    // `mov ebx, [rdi]`: it is not known which.
    assert_eq!(search(&[&[0x8b, 0x1f], UNLOCK, RET], nothing), None);
    // An exchange that does not belong to a lock: `cmp eax, 3`.
    assert_eq!(search(&[&UNLOCK[..6], &[3], RET], nothing), None);
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_lock_that_is_acquired_first_is_not_held() {
    assert_eq!(search(&[TRY_LOCK, UNLOCK, RET], Purpose::Other), None);
    // Back to the beginning of a loop that locks: `jmp`.
    let back = (UNLOCK.len() + TRY_LOCK.len() + 2).to_le_bytes()[0].wrapping_neg();
    let in_loop = [TRY_LOCK, UNLOCK, &[0xeb, back]];
    assert_eq!(search(&in_loop, Purpose::Other), None);
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_release_on_some_paths_only_is_not_certain() {
    // `je` past it.
    let around = [0x74, UNLOCK.len().to_le_bytes()[0]];
    assert_eq!(search(&[&around, UNLOCK, RET], Purpose::Other), Some(false));
    // `jmp` past the other one.
    let [length, both] = [UNLOCK.len(), UNLOCK.len() + 2].map(|length| length.to_le_bytes()[0]);
    let either = [&[0x74, both], UNLOCK, &[0xeb, length], UNLOCK, RET];
    assert_eq!(search(&either, Purpose::Other), Some(true));
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_release_that_may_have_been_made_before_is_not_certain() {
    // A loop without an end, in which a branch releases the lock and is not left.
    let [length, back] =
        [UNLOCK.len(), (UNLOCK.len() + 4).wrapping_neg()].map(|length| length.to_le_bytes()[0]);
    assert_eq!(search(&[&[0x74, length], UNLOCK, &[0xeb, back]], Purpose::Other), Some(false));
    // `jne` back to the beginning: a loop without a release.
    assert_eq!(search(&[&[0x75, 0xfe], UNLOCK, RET], Purpose::Other), Some(true));
    // In the loop, the lock is acquired after the release.
    let back = back.wrapping_sub(4);
    assert_eq!(search(&[&[0x74, length], UNLOCK, TRY_LOCK, &[0xeb, back]], Purpose::Other), Some(false));
    // The loop releases it each time around, and acquires it.
    assert_eq!(search(&[UNLOCK, TRY_LOCK, &[0xeb, back + 2]], Purpose::Other), Some(true));
    assert_eq!(search(&[UNLOCK, UNLOCK, RET], Purpose::Other), Some(false));
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn all_paths_that_meet_count() {
    // `je` or `jne` to `mov rbx, rax`, another lock, or else `jmp` past it.
    for branch in [0x74, 0x75] {
        let other = [branch, 2, 0xeb, 3, 0x48, 0x89, 0xc3];
        assert_eq!(search(&[&other, UNLOCK, RET], Purpose::Other), Some(false), "{branch:x}");
        // The other way around: the release is not even found.
        let other = [branch, 5, 0x48, 0x89, 0xc3, 0xeb, 0];
        assert_eq!(search(&[&other, UNLOCK, RET], Purpose::Other), None, "{branch:x}");
    }
    // `mov rcx, rax`
    let same = [0x74, 2, 0xeb, 3, 0x48, 0x89, 0xc1];
    assert_eq!(search(&[&same, UNLOCK, RET], Purpose::Other), Some(true));
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn the_release_of_the_lock_that_is_waited_for_does_not_count() {
    let mut pending = true;
    assert!(search_for(&[UNLOCK, RET], Purpose::Other, &mut pending, false).is_none());
    assert!(!pending, "it has been found");
    assert!(search_for(&[UNLOCK, UNLOCK, RET], Purpose::Other, &mut true, false).is_some());
    // A guard that exists already is another one.
    assert!(search_for(&[DROP, RET], DROP_GUARD, &mut true, false).is_some());
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn threads_are_woken_between_two_releases() {
    // `mov edi, 202; mov rsi, rbx; mov edx, operation; call`
    let system_call = |operation: u8| {
        let arguments = [0xbf, 0xca, 0, 0, 0, 0x48, 0x89, 0xde, 0xba, operation, 0, 0, 0];
        [&arguments[..], &[0xe8, 0, 0, 0x10, 0]].concat()
    };
    let is_found = |operation, purpose| {
        search_for(&[UNLOCK, &system_call(operation), UNLOCK, RET], purpose, &mut true, false).is_some()
    };
    assert!(is_found(0x81, Purpose::SystemCall));
    // To lock, or another function.
    assert!(!is_found(0x86, Purpose::SystemCall));
    assert!(!is_found(0x81, Purpose::Other));
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_guard_on_the_stack_that_is_dropped_is_of_a_held_lock() {
    assert_eq!(search(&[DROP, RET], DROP_GUARD), Some(true));
    for purpose in [Purpose::Other, Purpose::Look, Purpose::Drop] {
        assert_eq!(search(&[DROP, RET], purpose), None, "{purpose:?}");
    }
    // `mov [rsp + 8], rax`: another guard is stored there before.
    assert_eq!(search(&[&[0x48, 0x89, 0x44, 0x24, 0x08], DROP, RET], DROP_GUARD), None);
    // `mov [rsp + 24], rax`
    assert_eq!(search(&[&[0x48, 0x89, 0x44, 0x24, 0x18], DROP, RET], DROP_GUARD), Some(true));
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn only_the_word_of_a_guard_that_is_the_lock_counts() {
    let dropped = |by_value, word| Purpose::DropGuard(Guard { by_value, word });
    // `lea rdi, [rsp]; call`, with the lock's address in the second word: a reader's guard, or what
    // was there before the flag of one byte was written.
    let by_address: &[u8] = &[0x48, 0x8d, 0x3c, 0x24, 0xe8, 0, 0x10, 0, 0];
    // `mov rdi, rbx; call`
    let by_value: &[u8] = &[0x48, 0x89, 0xdf, 0xe8, 0, 0x10, 0, 0];
    for (code, is_by_value, found) in
        [(by_address, false, [None, Some(true)]), (by_value, true, [Some(true), None])]
    {
        let of = |by_value| [0, 1].map(|word| search(&[code, RET], dropped(by_value, word)));
        assert_eq!(of(is_by_value), found, "{code:x?}");
        assert_eq!(of(!is_by_value), [None; 2], "{code:x?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn readers_and_writers_subtract_from_the_word() {
    // `mov eax, number; lock xadd [rbx], eax`
    let subtracts = |number: u32| {
        let code = [&[0xb8], &number.to_le_bytes()[..], &[0xf0, 0x0f, 0xc1, 0x03], RET].concat();
        search_for(&[&code], Purpose::Other, &mut false, true).is_some()
    };
    assert_eq!([u32::MAX, 0xc000_0001, 1, u32::MAX - 1].map(subtracts), [true, true, false, false]);
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn what_a_function_may_have_returned_is_not_a_guard_left_over_from_before() {
    // `lea rdi, [rsp + 8]; call`, to a function that is not known.
    const GIVE: &[u8] = &[0x48, 0x8d, 0x7c, 0x24, 0x08, 0xe8, 0, 0, 0x10, 0];
    // `call [rax]`
    const INDIRECT: &[u8] = &[0xff, 0x10];
    let search = |offset, parts: &[&[u8]], purpose: Purpose| {
        let found = search_from(offset, parts, &mut |_| purpose, &mut false, false);
        found.map(|release| release.on_all_paths)
    };
    let guard = DROP_GUARD;
    let length = GIVE.len() as u64;
    assert_eq!(search(0, &[DROP, RET], guard), Some(true));
    // The frame is in that call.
    assert_eq!(search(length, &[GIVE, DROP, RET], guard), None);
    assert_eq!(search(2, &[INDIRECT, DROP, RET], guard), Some(true));
    // It is yet to come.
    assert_eq!(search(0, &[INDIRECT, DROP, RET], guard), None);
    // `mov rbx, [rsp + 8]` after it, and an instruction that unlocks.
    let load = [0x48, 0x8b, 0x5c, 0x24, 0x08];
    assert_eq!(search(0, &[&load, UNLOCK, RET], Purpose::Other), Some(true));
    assert_eq!(search(0, &[GIVE, &load, UNLOCK, RET], Purpose::Other), None);
}

#[test]
#[cfg_attr(miri, ignore = "the copy is a system call")]
fn a_guard_deep_in_an_object_may_be_left_over_from_before() {
    // `lea rdi, [rsp + 16]; call`, and `lea rdi, [rsp + 48]; call`: behind the guard.
    let give = |distance: u8| [0x48, 0x8d, 0x7c, 0x24, distance, 0xe8, 0, 0, 0x10, 0];
    let [before, behind] = [0x10, 0x30].map(give);
    // `mov rbx, [rsp + 40]`
    let load = [0x48, 0x8b, 0x5c, 0x24, 0x28];
    let search = |offset, parts: &[&[u8]], purpose: Purpose| {
        let found = search_from(offset, parts, &mut |_| purpose, &mut false, false);
        found.map(|release| release.on_all_paths)
    };
    assert_eq!(search(0, &[&load, UNLOCK, RET], Purpose::Other), Some(true));
    for offset in [0, before.len() as u64] {
        assert_eq!(search(offset, &[&before, &load, UNLOCK, RET], Purpose::Other), None);
        assert_eq!(search(offset, &[&behind, &load, UNLOCK, RET], Purpose::Other), Some(true));
    }
    // What drops, looks and locks fills no such object.
    for purpose in [Purpose::Drop, Purpose::Look] {
        assert_eq!(search(0, &[&before, &load, UNLOCK, RET], purpose), Some(true), "{purpose:?}");
    }
}
