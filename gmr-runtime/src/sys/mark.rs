//! The mark of a process that has gmr, as text: what is in the name of a mapping. The process
//! writes it, and the command `gmr` reads it. Both must understand each other's versions.
//!
//! `gmr-mark:1 signal=12 gmr=0.1.0 schema=1.3 attach=2 version=1.2.3 service=order service`
//!
//! A later release may add fields before `service`, which is the last one and can have spaces.

use std::fmt::Write as _;

/// The number is that of the layout.
const BEGIN: &str = "gmr-mark:1 ";

/// The kernel refuses longer names of memory files.
const MAX_LENGTH: usize = 249;

/// A version is shortened to this, so that it leaves space for the service.
const MAX_VERSION: usize = 64;

/// What the mark says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "__cli"), expect(unreachable_pub, reason = "the command `gmr` reads it"))]
pub struct Mark {
    /// The number of the report signal. `None` if gmr handles none.
    pub signal: Option<i32>,
    /// The version of gmr.
    pub gmr: String,
    /// The version of the JSON form of its reports.
    pub schema: String,
    /// The layout of requests of `gmr report` that it understands. `None` if it understands none.
    pub attach: Option<u32>,
    /// The version of the service.
    pub version: Option<String>,
    /// The name of the service.
    pub service: Option<String>,
}

impl Mark {
    /// The mark as the name of a mapping.
    #[cfg_attr(gmr_noop, allow(dead_code, reason = "only Linux has the mark"))]
    pub(crate) fn text(&self) -> String {
        let mut text =
            format!("{BEGIN}signal={} gmr={} schema={}", self.signal.unwrap_or(0), self.gmr, self.schema);
        if let Some(layout) = self.attach {
            let _ = write!(text, " attach={layout}");
        }
        if let Some(version) = &self.version {
            let version: String = version.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
            let _ = write!(text, " version={}", shortened(&version, MAX_VERSION));
        }
        if let Some(service) = &self.service {
            let _ = write!(text, " service={service}");
        }
        // It is a line of a file of the kernel's.
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        shortened(&text, MAX_LENGTH).to_owned()
    }
}

fn shortened(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(feature = "__cli")]
impl Mark {
    /// From the name of a mapping, as `/proc/PID/maps` has it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        let mut rest = name.strip_prefix("/memfd:")?.strip_prefix(BEGIN)?;
        let mut mark = Self::default();
        while let Some((key, value)) = rest.split_once('=') {
            if key == "service" {
                mark.service = Some(value.to_owned());
                break;
            }
            let (value, after) = value.split_once(' ').unwrap_or((value, ""));
            match key {
                "signal" => mark.signal = value.parse().ok().filter(|number| *number > 0),
                "gmr" => value.clone_into(&mut mark.gmr),
                "schema" => value.clone_into(&mut mark.schema),
                "attach" => mark.attach = value.parse().ok(),
                "version" => mark.version = Some(value.to_owned()),
                // Of a later release.
                _ => {}
            }
            rest = after;
        }
        Some(mark)
    }
}

#[cfg(all(test, feature = "__cli"))]
mod tests {
    use super::*;

    fn read(mark: &Mark) -> Option<Mark> {
        Mark::parse(&format!("/memfd:{} (deleted)", mark.text()))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let full = Mark {
            signal: Some(12),
            gmr: "0.1.0".to_owned(),
            schema: "1.3".to_owned(),
            attach: Some(1),
            version: Some("1.2.3".to_owned()),
            service: Some("order service = 7 (deleted)".to_owned()),
        };
        assert_eq!(read(&full).as_ref(), Some(&full));
        let bare = Mark { signal: None, attach: None, version: None, service: None, ..full.clone() };
        assert_eq!(read(&bare), Some(bare));
        let later = "/memfd:gmr-mark:1 signal=10 flags=a,b gmr=9.0 schema=2.0 service=x";
        let later = Mark::parse(later).unwrap();
        assert_eq!((later.signal, &*later.gmr, later.service.as_deref()), (Some(10), "9.0", Some("x")));
        for other in ["/memfd:gmr", "/memfd:gmr-mark:2 signal=1", "/tmp/gmr-mark:1 signal=1", "[heap]", ""] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_shortened_to_what_the_kernel_takes() {
        let long = |c: &str| Some(c.repeat(300));
        let mark = Mark { signal: Some(64), version: long("1 "), service: long("ä\n"), ..Mark::default() };
        let text = mark.text();
        assert!(text.len() <= MAX_LENGTH && !text.contains(char::is_control), "{text}");
        let mark = read(&mark).unwrap();
        assert_eq!(mark.signal, Some(64));
        assert_eq!(mark.version.as_deref(), Some(&*"1_".repeat(MAX_VERSION / 2)));
        assert!(mark.service.is_some_and(|service| service.starts_with("ä?ä?")));
    }
}
