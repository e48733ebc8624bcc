//! Finds the lines of some addresses in the line table of a unit.
//!
//! The table is a program that yields a row for each place in the code. This runs it without
//! building the rows, several times as fast as gimli. gimli still reads the header, and runs the
//! programs that differ from those that compilers write for this machine.

use gimli::LineProgramHeader;

use super::reading::{Reader, in_range};

/// A line of a file in the unit's file table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) file: u64,
    pub(super) line: u64,
}

/// Collects the lines of addresses from rows.
pub(super) struct Lines<'l> {
    /// In ascending order.
    addresses: &'l [u64],
    /// The line of each, once it is found.
    found: Vec<Option<Line>>,
    left: usize,
    /// The row before, of the same sequence.
    before: Option<(u64, Line)>,
    /// Where the sequence begins.
    begin: Option<u64>,
}

impl<'l> Lines<'l> {
    pub(super) fn of(addresses: &'l [u64]) -> Self {
        Self {
            addresses,
            found: vec![None; addresses.len()],
            left: addresses.len(),
            before: None,
            begin: None,
        }
    }

    /// The lines that were found, each at the place of its address.
    pub(super) fn found(self) -> Vec<Option<Line>> {
        self.found
    }

    /// Adds a row. False if all lines are found.
    pub(super) fn row(&mut self, address: u64, line: Line, ends_sequence: bool) -> bool {
        let begin = *self.begin.get_or_insert(address);
        // Code that the linker discarded begins at zero.
        if let Some((before, line)) = self.before
            && begin != 0
        {
            for index in in_range(self.addresses, gimli::Range { begin: before, end: address }) {
                self.left -= usize::from(self.found[index].is_none());
                self.found[index] = Some(line);
            }
        }
        if ends_sequence {
            (self.before, self.begin) = (None, None);
        } else {
            self.before = Some((address, line));
        }
        self.left > 0
    }
}

/// The registers of the program that matter for lines.
#[derive(Clone, Copy)]
struct State {
    address: u64,
    line: Line,
    /// Whether the linker has discarded the code: instructions have no effect until the next
    /// address.
    discarded: bool,
}

const START: State = State { address: 0, line: Line { file: 1, line: 1 }, discarded: false };

/// Runs a line program and adds its rows to `lines`, until it ends or all lines are found. None if
/// the program has anything that this does not know; `lines` must then be discarded.
pub(super) fn run(header: &LineProgramHeader<Reader<'_>>, lines: &mut Lines<'_>) -> Option<()> {
    let (base, range) = (header.opcode_base(), header.line_range());
    // Several operations in an instruction: other machines.
    if header.maximum_operations_per_instruction() != 1 || header.address_size() != 8 || range == 0 {
        return None;
    }
    let step = u64::from(header.minimum_instruction_length());
    let lengths = header.standard_opcode_lengths().slice();
    let program = header.raw_program_buf();
    let mut bytes = Bytes(program.slice());
    let mut state = START;
    while let Some(opcode) = bytes.next() {
        if opcode >= base {
            let adjusted = opcode - base;
            state.advance(u64::from(adjusted / range).wrapping_mul(step));
            state.advance_line(i64::from(header.line_base()) + i64::from(adjusted % range));
            if !state.discarded && !lines.row(state.address, state.line, false) {
                return Some(());
            }
            continue;
        }
        match gimli::DwLns(opcode) {
            gimli::DwLns(0) => {
                let length = usize::try_from(bytes.unsigned()?).ok()?;
                let mut instruction = bytes.take(length)?;
                match gimli::DwLne(instruction.next()?) {
                    gimli::DW_LNE_end_sequence => {
                        let goes_on = state.discarded || lines.row(state.address, state.line, true);
                        if !goes_on {
                            return Some(());
                        }
                        state = START;
                    }
                    gimli::DW_LNE_set_address if length == 9 => {
                        let address = u64::from_ne_bytes(instruction.0.try_into().ok()?);
                        // As gimli: within a sequence, addresses only rise.
                        state.discarded = address < state.address || address >= u64::MAX - 1;
                        if !state.discarded {
                            state.address = address;
                        }
                    }
                    gimli::DW_LNE_set_discriminator => {}
                    _ => return None,
                }
            }
            gimli::DW_LNS_copy => {
                if !state.discarded && !lines.row(state.address, state.line, false) {
                    return Some(());
                }
            }
            gimli::DW_LNS_advance_pc => state.advance(bytes.unsigned()?.wrapping_mul(step)),
            gimli::DW_LNS_advance_line => state.advance_line(bytes.signed()?),
            gimli::DW_LNS_set_file => state.line.file = bytes.unsigned()?,
            gimli::DW_LNS_const_add_pc => {
                state.advance(u64::from((u8::MAX - base) / range).wrapping_mul(step));
            }
            gimli::DW_LNS_fixed_advance_pc => {
                let [low, high] = bytes.take(2)?.0.try_into().ok()?;
                state.advance(u64::from(u16::from_ne_bytes([low, high])));
            }
            gimli::DW_LNS_negate_stmt
            | gimli::DW_LNS_set_basic_block
            | gimli::DW_LNS_set_prologue_end
            | gimli::DW_LNS_set_epilogue_begin => {}
            // Columns and instruction sets, and instructions to come: the header tells how many
            // numbers follow.
            _ => {
                for _ in 0..*lengths.get(usize::from(opcode) - 1)? {
                    bytes.unsigned()?;
                }
            }
        }
    }
    Some(())
}

impl State {
    fn advance(&mut self, bytes: u64) {
        if !self.discarded {
            self.address = self.address.wrapping_add(bytes);
        }
    }

    fn advance_line(&mut self, lines: i64) {
        let line = &mut self.line.line;
        *line = if lines < 0 {
            line.saturating_sub(lines.unsigned_abs())
        } else {
            line.wrapping_add(lines.unsigned_abs())
        };
    }
}

/// What is left of the program.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<Bytes<'a>> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Bytes(taken))
    }

    /// A number in LEB128. None if it has more than 63 bits.
    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.next()?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // The sign is the highest bit of the last byte.
                let unused = 64 - (shift + 7);
                return Some(number << unused >> unused);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let unsigned = |bytes: &[u8]| Bytes(bytes).unsigned();
        assert_eq!(unsigned(&[2]), Some(2));
        assert_eq!(unsigned(&[0x80, 0x01]), Some(128));
        assert_eq!(unsigned(&[0x80]), None);
        assert_eq!(unsigned(&[0xff; 20]), None);
        let signed = |bytes: &[u8]| Bytes(bytes).signed();
        assert_eq!(signed(&[2]), Some(2));
        assert_eq!(signed(&[0x7e]), Some(-2));
        assert_eq!(signed(&[0x80, 0x7f]), Some(-128));
        assert_eq!(signed(&[0xff; 20]), None);
    }

    #[test]
    fn a_row_is_for_the_addresses_up_to_the_next() {
        let line = |line| Line { file: 1, line };
        let mut lines = Lines::of(&[0x10, 0x14, 0x20]);
        assert!(lines.row(0x10, line(1), false));
        assert!(lines.row(0x12, line(2), false));
        assert!(lines.row(0x18, line(3), true), "it ends before the last address");
        assert!(lines.row(0, line(4), false));
        assert!(lines.row(0x30, line(4), true), "code that was discarded");
        assert!(lines.row(0x20, line(5), false));
        assert!(!lines.row(0x21, line(6), false), "the last one is found");
        assert_eq!(lines.found(), [Some(line(1)), Some(line(2)), Some(line(5))]);
    }
}
