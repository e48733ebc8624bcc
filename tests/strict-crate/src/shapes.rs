//! Sections with every option and attribute, and in every place.

const TITLE: &str = "From a Constant";
const ORDER: i32 = -7;

#[gmr::section(title = TITLE, order = ORDER + 2, timeout = "1m 30s")]
const fn every_option() -> u8 {
    1
}

#[gmr::section("Literal", order = -1)]
const fn literal_title() -> u8 {
    1
}

#[gmr::section(title = concat!("Put", " ", "Together"),)]
const fn macro_title() -> u8 {
    1
}

#[gmr::config("strict")]
const fn config() -> u8 {
    1
}

#[gmr::config]
const fn untitled_config() -> u8 {
    1
}

#[gmr::section(crate = crate::reexport::meditation)]
const fn renamed() -> u8 {
    1
}

#[gmr::section]
#[must_use]
#[inline]
extern "C" fn r#type() -> u8 {
    1
}

#[gmr::section]
#[deprecated = "use something else"]
const fn deprecated() -> u8 {
    1
}

#[gmr::section]
#[cfg(not(all()))]
fn configured_away() -> u8 {
    there_is_no_such_function()
}

#[cfg_attr(not(all()), gmr::section)]
#[cfg_attr(all(), gmr::section("Configured In"))]
const fn configured_in() -> u8 {
    1
}

#[gmr::section("First of Two")]
#[gmr::config("second-of-two")]
const fn section_and_config() -> u8 {
    1
}

/// Contains a section.
pub const fn outer() {
    #[gmr::section]
    const fn nested() -> u8 {
        1
    }
}

/// A generic function that contains a section.
pub const fn generic<T>() {
    #[gmr::section]
    const fn nested_in_generic() -> u8 {
        1
    }
}
