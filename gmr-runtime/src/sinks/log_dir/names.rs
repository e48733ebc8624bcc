//! The names of the files in a directory of reports:
//! `SERVICE_gurumeditation_YYYYMMDDThhmmssZ_PID_NUMBER.EXTENSION`, as oslo.reports begins them, and
//! `.gz` if they are compressed.

use std::fmt;
use std::time::SystemTime;

/// The extensions of all formats: a service can change its own.
const EXTENSIONS: [&str; 5] = ["txt", "json", "jsonl", "xml", "html"];

/// How much of the service's name is used. A file's name has at most 255 bytes.
const MAX_SERVICE: usize = 100;

/// The form of a time, with any digits.
const FORM: &str = "00000000T000000Z";

/// How a service names its files.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    extension: &'static str,
    /// Whether new files are compressed.
    pub(super) gzip: bool,
}

/// What the files of a service are ordered by: time, number, process.
pub(super) type Key = (String, u64, u32);

impl Names {
    pub(super) fn new(service: &str, extension: &'static str) -> Self {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let plain = service.chars().map(|c| if is_plain(c) { c } else { '-' });
        let plain: String = plain.take(MAX_SERVICE).collect();
        // Not hidden, and not a path.
        let plain = plain.trim_start_matches('.');
        let service = if plain.is_empty() { "gmr" } else { plain };
        Self { prefix: format!("{service}_gurumeditation_"), extension, gzip: false }
    }

    pub(super) fn name(&self, stamp: &str, number: u64) -> String {
        let gz = if self.gzip { ".gz" } else { "" };
        format!("{}{stamp}_{}_{number}.{}{gz}", self.prefix, std::process::id(), self.extension)
    }

    /// Writes a name for a time as RFC 3339 has it. It allocates nothing.
    pub(super) fn write_name(&self, name: &mut dyn fmt::Write, time: &str, number: u64, extension: &str) {
        let _ = name.write_str(&self.prefix);
        for c in time.chars().filter(|c| !matches!(c, '-' | ':')) {
            let _ = name.write_char(c);
        }
        let _ = write!(name, "_{}_{number}.{extension}", std::process::id());
    }

    /// The key of a file of this process.
    pub(super) fn key_of(stamp: &str, number: u64) -> Key {
        (stamp.to_owned(), number, std::process::id())
    }

    /// The key of the file of this name, if it is one of the service's.
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        // Those from before the service began to compress are its files, too. If it does not
        // compress, somebody else has compressed them, to keep them.
        let name = name.strip_suffix(".gz").filter(|_| self.gzip).unwrap_or(name);
        let (rest, extension) = name.strip_prefix(&self.prefix)?.rsplit_once('.')?;
        let mut parts = rest.split('_');
        let (stamp, pid, number) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() && EXTENSIONS.contains(&extension);
        let has_form =
            |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        let is_stamp = stamp.len() == FORM.len() && stamp.bytes().zip(FORM.bytes()).all(has_form);
        (is_whole && is_stamp).then_some(())?;
        Some((stamp.to_owned(), digits(number)?, u32::try_from(digits(pid)?).ok()?))
    }
}

/// A number as this module writes it.
fn digits(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// `20260102T030405Z`
pub(super) fn stamp(time: SystemTime) -> String {
    let time = time.max(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "")
}

/// The name of a file that is not whole.
pub(super) fn temporary(name: &str) -> String {
    format!(".{name}.tmp")
}

/// The name that a file with a temporary one is to get.
pub(super) fn of_temporary(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".tmp")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_name_is_recognized_and_no_other_one_is() {
        let names = Names::new("shop", "txt");
        let stamp = stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045));
        assert_eq!(stamp, "20260102T030405Z");
        let name = names.name(&stamp, 7);
        assert_eq!(name, format!("shop_gurumeditation_20260102T030405Z_{}_7.txt", std::process::id()));
        assert_eq!(names.key(&name), Some(Names::key_of(&stamp, 7)));
        let mut written = String::new();
        names.write_name(&mut written, "2026-01-02T03:04:05Z", 7, "txt");
        assert_eq!(written, name);
        assert!(names.key("shop_gurumeditation_20260102T030405Z_1_7.html").is_some(), "an earlier format");
        for other in [
            "other_gurumeditation_20260102T030405Z_1_7.txt",
            "shop_gurumeditation_20260102T030405Z_1_7.txt.gz",
            "shop_gurumeditation_20260102T030405Z_1_7.log",
            "shop_gurumeditation_20260102T030405Z_1_7_8.txt",
            "shop_gurumeditation_20260102T030405Z_1.txt",
            "shop_gurumeditation_20260102T030405Z_1_07.txt",
            "shop_gurumeditation_20260102T030405Z_1_+7.txt",
            "shop_gurumeditation_20260102T03040xZ_1_7.txt",
            "shop_gurumeditation_20260102T030405_1_7.txt",
            ".shop_gurumeditation_20260102T030405Z_1_7.txt.tmp",
        ] {
            assert_eq!(names.key(other), None, "{other}");
        }
    }

    #[test]
    fn a_service_cannot_lead_out_of_the_directory() {
        let name = |service| Names::new(service, "txt").prefix;
        assert_eq!(name("../../etc/passwd\n"), "-..-etc-passwd-_gurumeditation_");
        assert_eq!(name("..."), "gmr_gurumeditation_");
        assert_eq!(name(&"x".repeat(1_000)).len(), MAX_SERVICE + "_gurumeditation_".len());
    }
}
