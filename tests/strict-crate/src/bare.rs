//! A module without a prelude.
#![no_implicit_prelude]

#[::gmr::section(title = "Bare", order = 3, timeout = "2s")]
fn without_prelude() -> ::core::result::Result<::std::string::String, &'static str> {
    ::core::result::Result::Err("broken")
}

#[::gmr::config]
fn without_prelude_either() -> ::core::option::Option<u8> {
    ::core::option::Option::None
}
