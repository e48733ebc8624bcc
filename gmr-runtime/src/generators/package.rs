//! Package: which program this is, from what its author states and what the process itself knows.

use std::borrow::Cow;
use std::env::consts;

use crate::model::{Content, Package};
use crate::section::registry;
use crate::trigger;

/// What the program's author states about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) product: Option<Cow<'static, str>>,
    pub(crate) vendor: Option<Cow<'static, str>>,
    pub(crate) version: Option<Cow<'static, str>>,
    /// Whether the program's own crate is compiled with debug assertions. Those of a dependency,
    /// such as this crate, can differ.
    pub(crate) debug_assertions: Option<bool>,
}

impl Identity {
    /// What is known of the program when it starts, a line for each.
    pub(crate) fn lines(&self) -> String {
        let Content::Package(package) = generate(self) else { return String::new() };
        let fields = [
            ("product", &package.product),
            ("vendor", &package.vendor),
            ("version", &package.version),
            ("executable", &package.executable),
            ("build_id", &package.build_id),
            ("rustc", &package.rustc),
            ("target", &package.target),
            ("profile", &package.profile),
            ("started_at", &package.started_at),
        ];
        let lines = fields.iter().filter_map(|(name, value)| Some(format!("{name} = {}", value.as_ref()?)));
        lines.map(|line| line.escape_debug().to_string()).collect::<Vec<_>>().join("\n")
    }
}

/// A note for each function that was compiled as a section and is not in the program.
fn lost_sections() -> impl Iterator<Item = String> {
    registry::lost().into_iter().map(|mark| {
        format!(
            "{mark} is a section whose object file was not linked; link the static library whole \
             (-Wl,--whole-archive), or compile it with codegen-units = 1"
        )
    })
}

pub(super) fn generate(identity: &Identity) -> Content {
    let stated = |text: &Option<Cow<'static, str>>| text.as_ref().map(ToString::to_string);
    let mut package = Package {
        product: stated(&identity.product),
        vendor: stated(&identity.vendor),
        version: stated(&identity.version),
        target: Some(target()),
        profile: Some(profile(identity.debug_assertions.unwrap_or(cfg!(debug_assertions)))),
        notes: trigger::signal_taken_away().into_iter().chain(lost_sections()).collect(),
        ..Package::default()
    };
    add_process_facts(&mut package);
    Content::Package(Box::new(package))
}

fn profile(debug_assertions: bool) -> String {
    if debug_assertions { "debug" } else { "release" }.to_owned()
}

fn target() -> String {
    let environment = if cfg!(target_env = "gnu") {
        "-gnu"
    } else if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "msvc") {
        "-msvc"
    } else {
        ""
    };
    format!("{}-{}{environment}", consts::ARCH, consts::OS)
}

#[cfg(not(target_os = "linux"))]
fn add_process_facts(package: &mut Package) {
    package.executable = std::env::current_exe().ok().map(|path| path.display().to_string());
}

#[cfg(target_os = "linux")]
use linux::add_process_facts;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::sync::OnceLock;
    use std::time::{Duration, SystemTime};

    use object::elf::FileHeader64;
    use object::read::elf::FileHeader as _;
    use object::{NativeEndian, ReadCache};

    use crate::model::Package;
    use crate::sys::Modules;
    use crate::sys::proc;
    use crate::sys::procfs::{self, Stat};

    pub(super) fn add_process_facts(package: &mut Package) {
        // Cached, since the program does not change. Its path may: the kernel appends `(deleted)`.
        static BUILT: OnceLock<(Option<String>, Option<String>)> = OnceLock::new();
        let executable = proc::link("thread-self/exe").ok().map(|path| path.display().to_string());
        // Opened through the link, so that an executable that was replaced on disk is still the
        // running one.
        let built = || (executable.as_deref().and_then(build_id), rustc());
        (package.build_id, package.rustc) = BUILT.get_or_init(built).clone();
        package.executable = executable;
        if let Some(uptime) = uptime() {
            package.uptime_ms = u64::try_from(uptime.as_millis()).ok();
            package.started_at = SystemTime::now()
                .checked_sub(uptime)
                .map(|started| humantime::format_rfc3339_seconds(started).to_string());
        }
    }

    fn uptime() -> Option<Duration> {
        let start = procfs::ticks_to_ms(Stat::of_main_thread().ok()?.start_ticks);
        let since_boot = Duration::try_from_secs_f64(procfs::seconds_since_boot()?).ok()?;
        Some(since_boot.saturating_sub(Duration::from_millis(start)))
    }

    /// From the image in memory, since the file may have been replaced.
    fn build_id(executable: &str) -> Option<String> {
        Modules::load().named(executable)?.build_id.clone()
    }

    /// The compiler's version. rustc writes it to `.comment` of every object file, and stripping
    /// keeps that section.
    fn rustc() -> Option<String> {
        let file = ReadCache::new(proc::open("thread-self/exe").ok()?);
        let header = FileHeader64::<NativeEndian>::parse(&file).ok()?;
        let sections = header.sections(NativeEndian, &file).ok()?;
        let (_, comment) = sections.section_by_name(NativeEndian, b".comment")?;
        compiler_in(section_data(comment, &file)?)
    }

    fn section_data<'a>(
        section: &object::elf::SectionHeader64<NativeEndian>,
        file: &'a ReadCache<File>,
    ) -> Option<&'a [u8]> {
        use object::read::elf::SectionHeader as _;
        section.data(NativeEndian, file).ok()
    }

    fn compiler_in(comment: &[u8]) -> Option<String> {
        comment
            .split(|&byte| byte == 0)
            .filter_map(|text| std::str::from_utf8(text).ok())
            .find_map(|text| text.strip_prefix("rustc version "))
            .map(str::to_owned)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_compiler_is_found_among_others() {
            let comment = b"GCC: (Debian 12.2.0) 12.2.0\0rustc version 1.91.0 (abc 2025-10-28)\0\0";
            assert_eq!(compiler_in(comment).as_deref(), Some("1.91.0 (abc 2025-10-28)"));
            assert_eq!(compiler_in(b"clang version 19\0"), None);
        }

        #[test]
        fn the_facts_of_this_process_are_found() {
            let mut package = Package::default();
            add_process_facts(&mut package);
            assert!(package.executable.unwrap().contains("gmr_runtime"));
            assert!(package.rustc.unwrap().starts_with("1."));
            assert!(package.started_at.unwrap().ends_with('Z'));
            assert!(package.uptime_ms.is_some());
        }
    }
}
