#!/bin/sh
# Builds the test data. The results are committed, because another compiler gives other files.
# Made with gcc 12.2, binutils 2.40, dwz 0.15 and rustc 1.95 on x86_64.
set -eu
cd "$(dirname "$0")"
link="-Wl,--build-id=sha1 -Wl,-z,max-page-size=4096"
# DWARF 5, plain and with compressed sections.
for compression in none zlib; do
    gcc -g -gdwarf-5 -gz=$compression -O2 -fPIC -shared -nostdlib $link \
        -ffile-prefix-map="$PWD"=. -o small-c-$compression.so small.c
done
# The same, compressed in another way.
objcopy --compress-debug-sections=zstd small-c-none.so small-c-zstd.so
# DWARF 4, without what dwz has moved to a supplementary file. It moves what two files have in common.
gcc -g -gdwarf-4 -O2 -fPIC -shared -nostdlib $link -ffile-prefix-map="$PWD"=. -o small-c-dwz.so small.c
cp small-c-dwz.so small-c-other.so
dwz -m small-c-dwz.debug -M small-c-dwz.debug small-c-dwz.so small-c-other.so
rm small-c-other.so
# DWARF 4, as rustc writes it.
rustc --edition 2024 --crate-type cdylib -g -O -C panic=abort -C dwarf-version=4 -C link-arg=-nostdlib \
    -C link-args="$link" --remap-path-prefix="$PWD"=. -o small-rust.so small.rs
# DWARF 5, split. The parts that are in a package otherwise are in the same file here, for the tests
# that damage it.
rustc --edition 2024 --crate-type cdylib -g -O -C panic=abort -C dwarf-version=5 -C split-debuginfo=packed \
    -C link-arg=-nostdlib -C link-args="$link" --remap-path-prefix="$PWD"=. -o small-rust-split.so small.rs
for section in $(readelf -SW small-rust-split.so.dwp | grep -o '\.debug[a-z_.]*'); do
    objcopy -O binary --only-section="$section" --set-section-flags "$section=alloc" small-rust-split.so.dwp part
    objcopy --add-section "$section=part" small-rust-split.so
done
rm part small-rust-split.so.dwp
chmod 644 small-*.so small-*.debug
