//! A module whose name is a keyword.

use crate::reexport::meditation as r#gen;

#[r#gen::section(crate = r#gen)]
const fn r#fn() -> u8 {
    1
}
