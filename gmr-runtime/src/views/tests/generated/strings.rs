//! Strings with anything in them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// Text that an attacker could choose.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        vec(any::<char>(), 0..6).prop_map(|letters| letters.into_iter().collect::<String>()),
        "[a-z_:<>]{1,12}",
        proptest::sample::select(vec![
            "<script>alert(1)</script>",
            "</script>",
            "</style>",
            "<!--",
            "-->",
            "]]>",
            "&amp;",
            "&",
            "\"",
            "'",
            "\\",
            "\u{0}",
            "\u{1b}[2J",
            "\r\n",
            "\n",
            "\t",
            " ",
            "\u{85}",
            "\u{2028}",
            "\u{202e}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{feff}",
            "====",
            "{\"gmr_report\"",
            "null",
            "7",
            ";",
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

pub(super) fn text() -> impl Strategy<Value = Option<String>> {
    of(hostile())
}
