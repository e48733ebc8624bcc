//! Walks over the entries of a unit. Nine of ten are about types and variables, and are skipped: by
//! their size, where all attributes of an entry have sizes that are known beforehand. Reading their
//! attributes one by one takes three times as long, and more in a debug build, where gimli is not
//! optimized.

use gimli::{Abbreviation, Abbreviations, Encoding, EntriesRaw, Reader as _, Unit, UnitOffset};

use super::reading::Reader;

/// A compiler numbers the kinds of entries of a unit from one. A damaged file may have any number.
const MAX_KINDS: usize = 1 << 12;

/// The entries of a unit, from the first to the last.
pub(super) struct Entries<'u, 'a> {
    rest: Reader<'a>,
    encoding: Encoding,
    abbreviations: &'u Abbreviations,
    /// The depth of the next entry.
    depth: isize,
    /// What is known of each kind of entry, by its number.
    kinds: Vec<Option<Kind>>,
}

/// A kind of entry.
#[derive(Clone, Copy)]
struct Kind {
    /// How long its attributes are, if that is always the same.
    size: Option<usize>,
    /// Whether it has an attribute with addresses.
    has_code: bool,
}

/// An entry whose attributes are still to be read, or to be skipped.
pub(super) struct Entry<'u> {
    code: u64,
    pub(super) abbreviation: &'u Abbreviation,
}

impl<'u, 'a> Entries<'u, 'a> {
    pub(super) fn of(unit: &'u Unit<Reader<'a>>) -> gimli::Result<Self> {
        let rest = unit.header.range_from(unit.header.root_offset()..)?;
        let (encoding, abbreviations) = (unit.encoding(), &*unit.abbreviations);
        Ok(Self { rest, encoding, abbreviations, depth: 0, kinds: Vec::new() })
    }

    /// The depth of the next entry.
    pub(super) fn depth(&self) -> isize {
        self.depth
    }

    /// The next entry. None at the end of a list of children; the unit ends when nothing is left.
    pub(super) fn next(&mut self) -> gimli::Result<Option<Entry<'u>>> {
        let code = self.rest.read_uleb128()?;
        if code == 0 {
            self.depth -= 1;
            return Ok(None);
        }
        let abbreviation = self.abbreviations.get(code).ok_or(gimli::Error::InvalidAbbreviationCode(code))?;
        self.depth += isize::from(abbreviation.has_children());
        Ok(Some(Entry { code, abbreviation }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Skips the attributes of this entry.
    pub(super) fn skip(&mut self, entry: &Entry<'u>) -> gimli::Result<()> {
        match self.kind(entry).size {
            Some(size) => self.rest.skip(size),
            None => self.read(|entries| entries.skip_attributes(entry.abbreviation.attributes())),
        }
    }

    /// Whether the entry has addresses of its own. The declaration of a function has none.
    pub(super) fn has_code(&mut self, entry: &Entry<'u>) -> bool {
        self.kind(entry).has_code
    }

    /// Reads the attributes of the entry: `read` must read or skip all.
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&mut EntriesRaw<'u, Reader<'a>>) -> gimli::Result<T>,
    ) -> gimli::Result<T> {
        let mut entries = EntriesRaw::new(self.rest, self.encoding, self.abbreviations, UnitOffset(0));
        let result = read(&mut entries)?;
        self.rest.skip(entries.next_offset().0)?;
        Ok(result)
    }

    fn kind(&mut self, entry: &Entry<'u>) -> Kind {
        let index = usize::try_from(entry.code).ok().filter(|index| *index < MAX_KINDS);
        if let Some(Some(known)) = index.and_then(|index| self.kinds.get(index)) {
            return *known;
        }
        let attributes = entry.abbreviation.attributes();
        let kind = Kind {
            size: attributes.iter().map(|attribute| size_of(attribute.form(), self.encoding)).sum(),
            has_code: attributes
                .iter()
                .any(|attribute| matches!(attribute.name(), gimli::DW_AT_low_pc | gimli::DW_AT_ranges)),
        };
        if let Some(index) = index {
            self.kinds.resize(self.kinds.len().max(index + 1), None);
            self.kinds[index] = Some(kind);
        }
        kind
    }
}

/// How many bytes an attribute of this form takes, if that is always the same.
fn size_of(form: gimli::DwForm, encoding: Encoding) -> Option<usize> {
    let of_offset = usize::from(encoding.format.word_size());
    let of_address = usize::from(encoding.address_size);
    Some(match form {
        gimli::DW_FORM_flag_present | gimli::DW_FORM_implicit_const => 0,
        gimli::DW_FORM_data1
        | gimli::DW_FORM_ref1
        | gimli::DW_FORM_flag
        | gimli::DW_FORM_strx1
        | gimli::DW_FORM_addrx1 => 1,
        gimli::DW_FORM_data2 | gimli::DW_FORM_ref2 | gimli::DW_FORM_strx2 | gimli::DW_FORM_addrx2 => 2,
        gimli::DW_FORM_strx3 | gimli::DW_FORM_addrx3 => 3,
        gimli::DW_FORM_data4
        | gimli::DW_FORM_ref4
        | gimli::DW_FORM_ref_sup4
        | gimli::DW_FORM_strx4
        | gimli::DW_FORM_addrx4 => 4,
        gimli::DW_FORM_data8 | gimli::DW_FORM_ref8 | gimli::DW_FORM_ref_sig8 | gimli::DW_FORM_ref_sup8 => 8,
        gimli::DW_FORM_data16 => 16,
        gimli::DW_FORM_sec_offset
        | gimli::DW_FORM_strp
        | gimli::DW_FORM_strp_sup
        | gimli::DW_FORM_line_strp
        | gimli::DW_FORM_GNU_ref_alt
        | gimli::DW_FORM_GNU_strp_alt => of_offset,
        gimli::DW_FORM_ref_addr if encoding.version >= 3 => of_offset,
        gimli::DW_FORM_addr => of_address,
        _ => return None,
    })
}
