//! Tests of the whole unwinder on images that are put together here: code, tables and stacks.

#[cfg(target_arch = "x86_64")]
mod frame_pointers;
mod returns;

use proptest::prelude::*;

use super::*;
use crate::capture::linux::arch::{COUNT, STACK_POINTER};
use crate::sys::linux::mapping::MappedBytes;
#[cfg(target_arch = "x86_64")]
use crate::sys::linux::maps;
use crate::sys::mutation::{FILES, damaged_file, terminates};

#[cfg(target_arch = "x86_64")]
const RETURN_ADDRESS: u8 = 16;
#[cfg(target_arch = "aarch64")]
const RETURN_ADDRESS: u8 = 30;
#[allow(clippy::cast_possible_truncation, reason = "there are 32 registers")]
const SP: u8 = STACK_POINTER as u8;
#[allow(clippy::cast_possible_truncation, reason = "as above")]
const FP: u8 = FRAME_POINTER as u8;
/// A register that functions preserve and that has no other role.
#[cfg(target_arch = "x86_64")]
const OTHER: u8 = 12;
#[cfg(target_arch = "aarch64")]
const OTHER: u8 = 20;

/// Where the functions of an image begin, and how far apart.
const CODE: u64 = 0x200;
const FUNCTION: u64 = 0x100;
const TABLES: usize = 0x1000;
/// The entry point: the function with number 9.
const ENTRY: u64 = CODE + 9 * FUNCTION;

const NOP: u8 = 0;
const DEF_CFA: u8 = 0x0c;
const DEF_CFA_EXPRESSION: u8 = 0x0f;
const OFFSET: u8 = 0x80;
const UNDEFINED: u8 = 0x07;
const VAL_OFFSET: u8 = 0x14;
const EXPRESSION: u8 = 0x10;

/// A call of an address in a register.
#[cfg(target_arch = "x86_64")]
const CALL: &[u8] = &[0xff, 0xd0];
#[cfg(target_arch = "aarch64")]
const CALL: &[u8] = &[0x00, 0x01, 0x3f, 0xd6];
/// Where the call in such a function returns to, as an offset into the function.
const RETURN: u64 = 9;

/// One function: its rules and its code. If `code` is empty, the code is a call that returns to
/// [`RETURN`].
#[derive(Default)]
struct Function {
    instructions: Vec<u8>,
    code: Vec<u8>,
    is_signal_frame: bool,
    has_no_entry: bool,
    /// How many bytes its entry is for, if not for all.
    covered: Option<u32>,
}

fn function(instructions: &[u8]) -> Function {
    Function { instructions: instructions.to_vec(), ..Function::default() }
}

/// Whose CFA is 16 above the stack pointer, with the return address right below it.
fn plain() -> Function {
    function(&[DEF_CFA, SP, 16, OFFSET | RETURN_ADDRESS, 1])
}

/// The first function of a thread.
fn root() -> Function {
    function(&[DEF_CFA, SP, 16, UNDEFINED, RETURN_ADDRESS])
}

/// An image of these functions in memory.
struct Image {
    memory: MappedBytes,
}

impl Image {
    fn of(functions: &[Function]) -> Self {
        let mut image = vec![0; TABLES];
        let place = |index: usize| usize::try_from(CODE + FUNCTION * index as u64).unwrap();
        let mut write = |start: usize, code: &[u8]| image[start..start + code.len()].copy_from_slice(code);
        let call = usize::try_from(RETURN).unwrap() - CALL.len();
        write(usize::try_from(ENTRY).unwrap() + call, CALL);
        for (index, function) in functions.iter().enumerate() {
            // `int3`; what is not reached on aarch64.
            write(place(index), &vec![0xcc; usize::try_from(FUNCTION).unwrap()]);
            match function.code.as_slice() {
                [] => write(place(index) + call, CALL),
                code => write(place(index), code),
            }
        }
        let listed: Vec<usize> =
            (0..functions.len()).filter(|index| !functions[*index].has_no_entry).collect();
        let frames = TABLES + 12 + 8 * listed.len();
        let mut table = Vec::new();
        let mut header = vec![1, 0x1b, 0x03, 0x3b];
        header.extend(i32::try_from(frames - TABLES - 4).unwrap().to_le_bytes());
        header.extend(u32::try_from(listed.len()).unwrap().to_le_bytes());
        for index in listed {
            let function = &functions[index];
            let common = table.len();
            let mut entry = vec![0, 0, 0, 0, 1];
            entry.extend(if function.is_signal_frame { b"zRS\0".as_slice() } else { b"zR\0" });
            // Alignment of code 1, of data -8; addresses relative to their place, in 32 bits.
            entry.extend([1, 0x78, RETURN_ADDRESS, 1, 0x1b]);
            push(&mut table, entry);
            let offset = table.len();
            let start = CODE + FUNCTION * index as u64;
            let mut entry = u32::try_from(offset + 4 - common).unwrap().to_le_bytes().to_vec();
            let place = (frames + offset + 8) as u64;
            let distance = i32::try_from(start.cast_signed() - place.cast_signed()).unwrap();
            entry.extend(distance.to_le_bytes());
            let covered = function.covered.unwrap_or(u32::try_from(FUNCTION).unwrap());
            entry.extend(covered.to_le_bytes());
            entry.push(0);
            entry.extend(&function.instructions);
            push(&mut table, entry);
            for address in [start, (frames + offset) as u64] {
                let distance = i32::try_from(address.cast_signed() - (TABLES as u64).cast_signed()).unwrap();
                header.extend(distance.to_le_bytes());
            }
        }
        image.extend(header);
        image.extend(table);
        let length = image.len() as u64;
        image[..64].copy_from_slice(&file_header());
        image[64..120].copy_from_slice(&segment(1, 5, 0, length));
        image[120..176].copy_from_slice(&segment(0x6474_e550, 4, TABLES as u64, length - TABLES as u64));
        Self { memory: loaded(&image).unwrap() }
    }

    fn base(&self) -> u64 {
        self.memory.as_ptr() as u64
    }

    /// An address in the function with this number, `offset` from its beginning.
    fn code(&self, function: u64, offset: u64) -> u64 {
        self.base() + CODE + FUNCTION * function + offset
    }

    fn unwinder(&self) -> Unwinder {
        let module = Module::read(self.base(), "image".to_owned()).unwrap();
        Unwinder::new(&Shared::forgetful(&[module]))
    }

    fn unwind(&self, registers: Registers, pieces: &[(u64, &[u64])]) -> Unwound {
        unwind(&mut self.unwinder(), registers, pieces)
    }
}

fn unwind(unwinder: &mut Unwinder, registers: Registers, pieces: &[(u64, &[u64])]) -> Unwound {
    let pieces: Vec<(u64, Vec<u8>)> = pieces
        .iter()
        .map(|(start, words)| (*start, words.iter().flat_map(|word| word.to_ne_bytes()).collect()))
        .collect();
    let pieces: Vec<Piece<'_>> = pieces.iter().map(|(start, bytes)| (*start, bytes.as_slice())).collect();
    unwinder.unwind(registers, &pieces)
}

/// Appends an entry with its length, padded.
fn push(table: &mut Vec<u8>, mut entry: Vec<u8>) {
    while entry.len() % 8 != 4 {
        entry.push(NOP);
    }
    table.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
    table.extend(entry);
}

fn file_header() -> [u8; 64] {
    let mut header = [0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    // Type and machine, version, entry point, offset of the program headers, size of one, their
    // number.
    header[16..20].copy_from_slice(&[3, 0, 62, 0]);
    header[20] = 1;
    header[24..32].copy_from_slice(&ENTRY.to_le_bytes());
    header[32] = 64;
    header[52] = 64;
    header[54] = 56;
    header[56] = 2;
    header
}

fn segment(kind: u32, flags: u32, start: u64, length: u64) -> [u8; 56] {
    let mut bytes = [0; 56];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    bytes[4..8].copy_from_slice(&flags.to_le_bytes());
    for (place, value) in [(8, start), (16, start), (24, start), (32, length), (40, length)] {
        bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn all(ip: u64, sp: u64) -> Registers {
    let mut registers = Registers::all(ip, [0; COUNT]);
    registers.set(STACK_POINTER, Some(sp));
    registers
}

/// The frames of a stack that was unwound to the thread's first function.
fn whole(unwound: Unwound) -> Vec<Address> {
    let Unwound::Ended(Trace { frames, incomplete: None, .. }) = unwound else { panic!("{unwound:?}") };
    frames.to_vec()
}

fn reason(unwound: Unwound) -> String {
    let Unwound::Ended(Trace { incomplete: Some(reason), .. }) = unwound else { panic!("{unwound:?}") };
    reason
}

#[test]
fn a_stack_ends_at_the_first_function_of_its_thread() {
    let image = Image::of(&[plain(), plain(), root()]);
    let (first, second) = (image.code(1, 9), image.code(2, 9));
    let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, first, 0, second])]));
    assert_eq!(frames, [Address::Exact(image.code(0, 4)), Address::Return(first), Address::Return(second)]);
    let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, 0])]));
    assert_eq!(frames.len(), 1, "a return address of 0 is an end too");
}

#[test]
fn what_nothing_has_called_is_a_first_function() {
    // The entry point of the image, without an entry in its tables.
    let image = Image::of(&[plain()]);
    let entry = image.base() + ENTRY + 9;
    let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, entry])]));
    assert_eq!(frames.len(), 2);
    if cfg!(target_arch = "aarch64") {
        return;
    }
    // A function that has taken its return address off its stack and called another one.
    let cloned = function(&[DEF_CFA, SP, 0, OFFSET | RETURN_ADDRESS, 1]);
    let image = Image::of(&[plain(), cloned]);
    let frames = whole(image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, image.code(1, 9)])]));
    assert_eq!(frames.len(), 2);
}

#[test]
fn without_a_rule_there_is_no_frame() {
    let image = Image::of(&[plain(), Function { has_no_entry: true, ..plain() }, plain()]);
    let (unlisted, after) = (image.code(1, 9), image.code(2, 9));
    let stack: [u64; 6] = [0, unlisted, 0, after, 0, after];
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack)]);
    let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
    assert_eq!(*trace.frames, [Address::Exact(image.code(0, 4)), Address::Return(unlisted)]);
    assert!(trace.incomplete.unwrap().contains("without an entry"));
    // Beyond all functions, and in no module.
    assert!(reason(image.unwind(all(image.base() + 0xf00, 0x7000), &[])).contains("without an entry"));
    assert!(reason(image.unwind(all(0x1000, 0x7000), &[])).contains("generated at run time"));
}

#[test]
fn what_is_no_code_is_no_frame() {
    let image = Image::of(&[plain(), root()]);
    let data = 7_u64;
    for address in [0x4141_4141_4141, u64::MAX, 1, &raw const data as u64] {
        let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, address])]);
        let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
        assert_eq!(*trace.frames, [Address::Exact(image.code(0, 4))]);
        assert!(trace.incomplete.unwrap().contains("where there is no code"));
    }
    // Generated code is in no module either. This function calls others.
    let this = what_is_no_code_is_no_frame as *const () as u64;
    let generated = (this..this + 0x1000).find(|address| prologue::follows_call(*address, |_| true)).unwrap();
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0, generated])]);
    let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
    assert_eq!(trace.frames[1..], [Address::Return(generated)]);
    assert!(trace.incomplete.unwrap().contains("generated at run time"));
}

proptest! {
    /// The frames of a stack that was overwritten, compared with those that a few independent lines
    /// of code find.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn an_overwritten_stack_shows_what_is_on_it_and_nothing_else(
        words in proptest::collection::vec(
            prop_oneof![
                4 => (0..8_u64).prop_map(|function| CODE + FUNCTION * function + RETURN),
                1 => (0..8_u64, 1..FUNCTION).prop_map(|(function, offset)| CODE + FUNCTION * function + offset),
                1 => 0..0x5000_u64,
                1 => ENTRY - 2..ENTRY + 80,
                1 => any::<u64>(),
            ],
            0..40,
        ),
    ) {
        // Number 5 has no entry; number 6 is the first function of a thread.
        let no_entry = Function { has_no_entry: true, ..plain() };
        let image = Image::of(&[plain(), plain(), plain(), plain(), plain(), no_entry, root()]);
        let words: Vec<u64> =
            words.iter().map(|&word| if word < 0x1000 { image.base() + word } else { word }).collect();
        let start = image.code(0, 4);
        let trace = image.unwind(all(start, 0x7000), &[(0x7000, &words)]).into_trace();

        let function = |address: u64| {
            let offset = address.checked_sub(image.base() + CODE)?;
            Some(offset / FUNCTION).filter(|function| *function < 7)
        };
        let is_image = |address: u64| (image.base()..image.base() + image.memory.len() as u64).contains(&address);
        let (mut expected, mut place, mut lookup) = (vec![start], 0, start);
        let mut is_whole;
        loop {
            // What begins at the image's entry point has no caller either.
            let from_entry = lookup.wrapping_sub(image.base() + ENTRY);
            is_whole = function(lookup) == Some(6) || (1..64).contains(&from_entry);
            if is_whole || function(lookup).is_none_or(|function| function == 5) {
                break;
            }
            let Some(&caller) = words.get(place + 1) else { break };
            if caller == 0 {
                is_whole = true;
                break;
            }
            lookup = caller.wrapping_sub(1);
            // The few that are in the code of this test are shown too.
            if !is_image(lookup) && maps::has_code(lookup) == Some(false) {
                break;
            }
            let place_in_image = caller.wrapping_sub(image.base());
            let is_called_there = match function(lookup) {
                // Nothing calls it, as its tables say.
                Some(6) => true,
                Some(number) => place_in_image == CODE + FUNCTION * number + RETURN,
                None if is_image(lookup) => place_in_image == ENTRY + RETURN,
                None => prologue::follows_call(caller, |_| true),
            };
            if !is_called_there {
                break;
            }
            expected.push(caller);
            place += 2;
        }
        let found: Vec<u64> = trace.frames.iter().map(|frame| frame.value()).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(trace.incomplete.is_none(), is_whole, "{:?}", trace.incomplete);
    }
}

#[test]
fn what_was_not_copied_is_asked_for() {
    let image = Image::of(&[plain(), root()]);
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &[0])]);
    assert!(matches!(unwound, Unwound::Incomplete(_, 0x7008)), "{unwound:?}");
}

#[test]
fn registers_are_followed_by_every_kind_of_rule() {
    // The CFA is what is stored at the frame pointer - 8, as in a realigned frame; the frame
    // pointer of the caller is at CFA - 16, and its other register at an address that is computed.
    let expression = 0x70 + FP;
    let realigned = function(&[
        DEF_CFA_EXPRESSION,
        3,
        expression,
        0x78,
        0x06,
        OFFSET | RETURN_ADDRESS,
        1,
        OFFSET | FP,
        2,
        EXPRESSION,
        OTHER,
        3,
        expression,
        0,
        0x06,
    ]);
    // The CFA of its caller is in the other register, and that of the next is computed from it.
    let by_other = function(&[DEF_CFA, OTHER, 16, OFFSET | RETURN_ADDRESS, 1, VAL_OFFSET, OTHER, 0]);
    let again = function(&[DEF_CFA, OTHER, 16, OFFSET | RETURN_ADDRESS, 1]);
    let image = Image::of(&[realigned, by_other, again, root()]);
    let mut registers = all(image.code(0, 4), 0x7000);
    registers.set(FRAME_POINTER, Some(0x7010));
    let stack = [
        0,
        0x7040,
        0x7050,
        0, // 0x7000: [fp - 8] is the CFA, [fp] the address of the other register
        0x8888,
        0,
        0x7060,
        image.code(1, 9), // 0x7020: the saved frame pointer, the return address
        0,
        0,
        0x7050,
        0, // 0x7040: the other register is 0x7050
        0,
        0,
        0,
        0,
    ];
    let mut stack: Vec<u64> = stack.to_vec();
    // At 0x7030 the saved frame pointer, at 0x7038 the return address; CFA 0x7040.
    stack[10] = 0x7050;
    stack[11] = image.code(2, 9);
    stack[13] = image.code(3, 9);
    let frames = whole(image.unwind(registers, &[(0x7000, &stack)]));
    let expected = [image.code(0, 4), image.code(1, 9), image.code(2, 9), image.code(3, 9)];
    assert_eq!(frames.iter().map(|frame| frame.value()).collect::<Vec<_>>(), expected);
}

#[test]
fn a_system_call_at_the_end_of_a_function_belongs_to_it() {
    let filler = usize::try_from(FUNCTION).unwrap() - arch::SYSTEM_CALL.len();
    let with_call = [&vec![0xcc; filler][..], &arch::SYSTEM_CALL].concat();
    for (code, has_no_entry) in [(&with_call, true), (&with_call, false), (&Vec::new(), false)] {
        let caller = Function { code: code.clone(), ..plain() };
        // The rule of the next function leads elsewhere. If there is one, the thread may be there.
        let next = Function { has_no_entry, ..function(&[DEF_CFA, SP, 32, OFFSET | RETURN_ADDRESS, 1]) };
        let is_behind_call = has_no_entry;
        let image = Image::of(&[caller, next, root(), root()]);
        let ip = image.code(1, 0);
        let stack = [0, image.code(2, 9), 0, image.code(3, 9)];
        let frames = whole(image.unwind(all(ip, 0x7000), &[(0x7000, &stack)]));
        let expected = if is_behind_call {
            [Address::Return(ip), Address::Return(image.code(2, 9))]
        } else {
            [Address::Exact(ip), Address::Return(image.code(3, 9))]
        };
        assert_eq!(frames, expected);
    }
}

#[test]
fn a_stack_goes_on_where_a_coroutine_was_resumed() {
    // The caller's stack pointer is on top of the coroutine's stack.
    let resume = function(&[DEF_CFA_EXPRESSION, 3, 0x70 + SP, 0, 0x06, OFFSET | RETURN_ADDRESS, 1]);
    let image = Image::of(&[plain(), resume, plain(), root()]);
    let coroutine = [0, image.code(1, 9), 0x3010];
    let parent = [0, image.code(2, 9), 0, image.code(3, 9)];
    let registers = all(image.code(0, 4), 0x7000);
    let unwound = image.unwind(registers, &[(0x7000, &coroutine)]);
    assert!(matches!(unwound, Unwound::Incomplete(_, 0x3008)), "{unwound:?}");
    let frames = whole(image.unwind(registers, &[(0x7000, &coroutine), (0x3000, &parent)]));
    assert_eq!(frames.len(), 4);
}

#[test]
fn a_stack_that_leads_back_to_itself_ends() {
    let resume = function(&[DEF_CFA_EXPRESSION, 3, 0x70 + SP, 0, 0x06, OFFSET | RETURN_ADDRESS, 1]);
    let image = Image::of(&[plain(), resume, plain()]);
    // From 0x7010 back to 0x7000.
    let stack = [0, image.code(1, 9), 0x7010];
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack)]);
    let Unwound::Ended(trace) = unwound else { panic!("{unwound:?}") };
    assert!(trace.incomplete.unwrap().contains("leads back"));
    assert!(trace.frames.len() <= 4, "{:?}", trace.frames);
    // A rule that moves the stack pointer down.
    let down = Image::of(&[function(&[DEF_CFA, SP, 0, OFFSET | RETURN_ADDRESS, 0])]);
    let registers = all(down.code(0, 4), 0x7000);
    assert!(reason(down.unwind(registers, &[(0x7000, &[down.code(0, 9)])])).contains("leads back"));
}

#[test]
fn a_register_that_is_lost_ends_the_stack_unless_all_can_be_had() {
    let by_frame = function(&[DEF_CFA, FP, 16, OFFSET | RETURN_ADDRESS, 1]);
    let image =
        Image::of(&[function(&[DEF_CFA, SP, 16, OFFSET | RETURN_ADDRESS, 1, UNDEFINED, FP]), by_frame]);
    let stack: [u64; 4] = [0, image.code(1, 9), 0, 0];
    let unwound = image.unwind(all(image.code(0, 4), 0x7000), &[(0x7000, &stack)]);
    assert!(reason(unwound).contains("which is lost"));
    let at_rest = image.unwind(Registers::at_rest(image.code(0, 4), 0x7000), &[(0x7000, &stack)]);
    assert!(matches!(at_rest, Unwound::Uncertain(_)), "{at_rest:?}");
}

#[test]
fn the_test_files_have_tables_to_damage() {
    for file in FILES {
        let image = loaded(file).unwrap();
        let base = image.as_ptr() as u64;
        let module = Module::read(base, "whole".to_owned()).unwrap();
        assert!(module.build_id.is_some());
        let shared = Shared::forgetful(&[module]);
        let mut unwinder = Unwinder::new(&shared);
        let rule = |address| unwinder.rules.at(base + address, &shared.tables, &mut unwinder.context);
        assert!((0..0x2000).map(rule).any(|rule| rule.is_ok()));
    }
}

proptest! {
    #[test]
    fn damaged_tables_are_read_without_panics_and_in_finite_time(
        file in damaged_file(),
        code in proptest::collection::vec(0..0x2000_u64, 32),
        sp in prop_oneof![Just(0x7_0000), any::<u64>()],
        fp in 0..128_u64,
        lr in any::<u64>(),
        // Half code, half addresses on the stack, as saved frame pointers are.
        words in proptest::collection::vec((0..0x2000_u64, 0..128_u64), 0..64),
    ) {
        let on_stack = move |word: u64| sp.wrapping_add(8 * word);
        let stack: Vec<u64> = words.iter().flat_map(|(code, word)| [*code, on_stack(*word)]).collect();
        terminates(move || unwind_bytes(&file, &code, [sp, on_stack(fp), lr], &stack));
    }
}

#[test]
fn an_expression_that_never_ends_is_given_up() {
    // DW_OP_skip -3
    let rules = [DEF_CFA_EXPRESSION, 3, 0x2f, 0xfd, 0xff, OFFSET | RETURN_ADDRESS, 1];
    let image = Image::of(&[function(&rules)]);
    let base = image.code(0, 4);
    let ended = terminates(move || reason(image.unwind(all(base, 0x7000), &[(0x7000, &[0; 8])])));
    assert!(ended.contains("cannot be evaluated"));
}
