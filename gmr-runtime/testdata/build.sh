#!/bin/sh
# Builds the test data. The results are committed, because another compiler gives other files.
# Made with gcc 12.2 and rustc 1.95 on x86_64.
set -eu
cd "$(dirname "$0")"
link="-Wl,--build-id=sha1 -Wl,-z,max-page-size=4096"
# DWARF 5, plain and with compressed sections.
for compression in none zlib; do
    gcc -g -gdwarf-5 -gz=$compression -O2 -fPIC -shared -nostdlib $link \
        -ffile-prefix-map="$PWD"=. -o small-c-$compression.so small.c
done
# DWARF 4, as rustc writes it.
rustc --edition 2024 --crate-type cdylib -g -O -C panic=abort -C dwarf-version=4 -C link-arg=-nostdlib \
    -C link-args="$link" --remap-path-prefix="$PWD"=. -o small-rust.so small.rs
chmod 644 small-*.so
