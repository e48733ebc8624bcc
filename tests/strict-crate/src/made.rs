//! Sections made by macros.

macro_rules! sections {
    ($($name:ident, $title:literal, $order:expr, $timeout:literal, $shown:ty, $body:block;)*) => {
        $(
            #[gmr::section($title, order = $order, timeout = $timeout)]
            fn $name() -> $shown $body
        )*
    };
}

macro_rules! section {
    ($item:item) => {
        #[gmr::section]
        $item
    };
}

sections! {
    made_first, "Made First", -3, "2s", Option<u8>, { Some(1) };
    made_second, "Made Second", 1 + 1, "500ms", &'static str, { "text" };
}

section! {
    fn made_whole() -> u8 {
        1
    }
}
