//! The callsites of spans and events, numbered: a slot of atomics can hold a number, but no
//! reference. A number is given once, and stays valid.

use std::num::NonZeroU32;
use std::ptr;

use tracing_core::Metadata;

use super::set_once::SetOnce;

type Site = SetOnce<&'static Metadata<'static>>;

/// More than most programs have.
const FIRST: usize = 1 << 10;

/// For the others.
const SECOND: usize = 1 << 14;

/// How many places are tried for a callsite.
const PROBES: usize = 16;

static SITES: [Site; FIRST] = [const { SetOnce::new() }; FIRST];
static MORE_SITES: SetOnce<Box<[Site]>> = SetOnce::new();

/// The number of a callsite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Callsite(NonZeroU32);

impl Callsite {
    /// `None` if there are too many callsites.
    #[inline]
    pub(super) fn of(metadata: &'static Metadata<'static>) -> Option<Self> {
        let more = || {
            let sites = MORE_SITES.get_or_set(|| (0..SECOND).map(|_| SetOnce::new()).collect())?;
            find(sites, metadata).map(|index| FIRST + index)
        };
        Self::at(find(&SITES, metadata).or_else(more)?)
    }

    #[inline]
    fn at(index: usize) -> Option<Self> {
        Some(Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).ok()?)))
    }

    /// As a word; 0 stands for none.
    #[inline]
    pub(super) fn to_bits(site: Option<Self>) -> u32 {
        site.map_or(0, |site| site.0.get())
    }

    #[inline]
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }

    pub(super) fn metadata(self) -> Option<&'static Metadata<'static>> {
        let index = usize::try_from(self.0.get() - 1).ok()?;
        let site = SITES.get(index).or_else(|| MORE_SITES.get()?.get(index.checked_sub(FIRST)?));
        site?.get().copied()
    }
}

/// The index of the callsite, which is added if it is not there. `None` if there is no room for it.
#[inline]
fn find(sites: &[Site], metadata: &'static Metadata<'static>) -> Option<usize> {
    // The address is a multiple of eight, and addresses of callsites of one crate are near.
    let start = (ptr::from_ref(metadata).addr() >> 3).wrapping_mul(0x9e37_79b9) >> 8;
    // The length is a power of two.
    (0..PROBES).map(|probe| start.wrapping_add(probe) & (sites.len() - 1)).find(|&index| {
        // If another thread is about to set it, this callsite may get two numbers.
        sites[index].get_or_set(|| metadata).is_some_and(|site| ptr::eq(*site, metadata))
    })
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use tracing_core::{Kind, Level, callsite::Identifier};

    use super::*;

    struct NoCallsite;

    impl tracing_core::Callsite for NoCallsite {
        fn set_interest(&self, _: tracing_core::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("it is not registered")
        }
    }

    static NO_CALLSITE: NoCallsite = NoCallsite;

    fn metadata() -> &'static Metadata<'static> {
        let fields = tracing_core::field::FieldSet::new(&[], Identifier(&NO_CALLSITE));
        let metadata = Metadata::new("test", "gmr", Level::INFO, None, None, None, fields, Kind::SPAN);
        Box::leak(Box::new(metadata))
    }

    #[test]
    fn each_callsite_has_a_number_of_its_own() {
        // More than the first table holds.
        let all: Vec<_> = (0..3 * FIRST).map(|_| metadata()).collect();
        let numbers: Vec<_> = all.iter().map(|metadata| Callsite::of(metadata).unwrap()).collect();
        for (metadata, number) in all.iter().zip(&numbers) {
            assert_eq!(Callsite::of(metadata), Some(*number));
            assert!(ptr::eq(number.metadata().unwrap(), *metadata));
            assert_eq!(Callsite::from_bits(Callsite::to_bits(Some(*number))), Some(*number));
        }
        assert_eq!((Callsite::to_bits(None), Callsite::from_bits(0)), (0, None));
    }
}
