//! Decompresses sections of ELF files into memory of gmr's own.

use object::CompressionFormat;

use super::mapping::MappedBytes;

/// The highest compression ratio that is believed of a header: zlib's, 1032:1. Debug information is
/// compressed to a third or a fifth of its size; zstd could claim 30,000:1.
const MAX_RATIO: usize = 1032;

/// Memory that decompressing zstd may take from the program's allocator. It is what the format's
/// definition recommends that every decoder supports; linkers use a quarter of it.
const MAX_ZSTD_WINDOW: u64 = 8 << 20;

/// Decompresses a section to this length.
pub(crate) fn decompress(format: CompressionFormat, data: &[u8], length: u64) -> Option<MappedBytes> {
    let length =
        usize::try_from(length).ok().filter(|&length| length <= data.len().saturating_mul(MAX_RATIO))?;
    match format {
        CompressionFormat::Zlib => MappedBytes::filled(length, |output| inflate(data, output)),
        CompressionFormat::Zstandard => MappedBytes::filled(length, |output| {
            let mut decoder = ruzstd::decoding::FrameDecoder::new();
            decoder.set_max_window_size(MAX_ZSTD_WINDOW);
            decoder.decode_all(data, output).is_ok_and(|written| written == output.len())
        }),
        _ => None,
    }
}

/// Inflates data that zlib has compressed. False if it has another length.
fn inflate(data: &[u8], output: &mut [u8]) -> bool {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    let flags =
        inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, output, 0, flags);
    status == TINFLStatus::Done && written == output.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_section_is_decompressed_and_a_corrupt_one_is_missing() {
        let text = b"guru meditation guru meditation guru meditation".repeat(100);
        let length = text.len() as u64;
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(&*text, level);
        for (format, packed) in [(CompressionFormat::Zlib, zlib), (CompressionFormat::Zstandard, zstd)] {
            assert_eq!(decompress(format, &packed, length).unwrap()[..], text, "{format:?}");
            assert!(decompress(format, &packed, length + 1).is_none(), "{format:?}");
            assert!(decompress(format, &packed, length - 1).is_none(), "{format:?}");
            assert!(decompress(format, &packed[..packed.len() / 2], length).is_none(), "{format:?}");
            assert!(decompress(format, &packed, 1 << 40).is_none(), "{format:?}");
        }
        assert!(decompress(CompressionFormat::Unknown, &text, length).is_none());
    }
}
