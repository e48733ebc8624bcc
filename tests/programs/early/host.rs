//! A program without gmr that loads a library, whose path it is asked to `load`, and unloads it.

#![allow(unsafe_code)]

use std::ffi::CString;

fn main() {
    let mut library = std::ptr::null_mut();
    gmr_tests::converse(|question| {
        if question == "unload" {
            // SAFETY: it is loaded, and nothing of it is in use.
            return unsafe { libc::dlclose(library) }.to_string();
        }
        let path = CString::new(question).expect("a path");
        // SAFETY: a valid string. The library's initializers are those of Rust.
        library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        (!library.is_null()).to_string()
    });
}
