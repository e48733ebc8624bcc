//! The C library that the process runs with.

#![allow(unsafe_code)]

/// Its name, with the version if the library states it: musl does not. `None` if it is another one.
pub(crate) fn c_library() -> Option<String> {
    if cfg!(target_env = "musl") { Some("musl".to_owned()) } else { glibc() }
}

#[cfg(not(target_env = "gnu"))]
fn glibc() -> Option<String> {
    None
}

#[cfg(target_env = "gnu")]
fn glibc() -> Option<String> {
    // SAFETY: it takes no arguments, and returns the address of a constant in the library.
    let version = unsafe { libc::gnu_get_libc_version() };
    if version.is_null() {
        return None;
    }
    // SAFETY: the constant is a string that ends with a zero, and lives as long as the library.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    Some(format!("glibc {}", version.to_string_lossy()))
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    #[test]
    #[cfg_attr(miri, ignore = "a function of the C library is called")]
    fn glibc_states_its_version() {
        let library = super::c_library().unwrap();
        let version = library.strip_prefix("glibc 2.").expect("it is glibc 2");
        assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{library}");
    }
}
