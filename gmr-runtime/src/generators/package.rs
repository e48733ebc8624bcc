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
    match std::env::current_exe() {
        Ok(path) => package.executable = Some(path.display().to_string()),
        Err(error) => package.notes.push(format!("the executable is not known: {error}")),
    }
}

#[cfg(target_os = "linux")]
use linux::add_process_facts;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::sync::OnceLock;
    use std::time::{Duration, SystemTime};

    use crate::model::Package;
    use crate::sys::elf_sections;
    use crate::sys::procfs::{self, Stat};
    use crate::sys::{Modules, proc};

    pub(super) fn add_process_facts(package: &mut Package) {
        // Cached, since the program does not change. Its path may: the kernel appends `(deleted)`.
        static BUILT: OnceLock<(Option<String>, Option<String>)> = OnceLock::new();
        let notes = &mut package.notes;
        let mut note = |what: &str, error: &io::Error| notes.push(format!("{what}: {error}"));
        let executable = proc::link("thread-self/exe").map(|path| path.display().to_string());
        if let Some(built) = BUILT.get() {
            (package.build_id, package.rustc) = built.clone();
        } else {
            // Opened through the link, so that an executable that was replaced on disk is still the
            // running one.
            let build_id = executable.as_ref().map_or(Ok(None), |executable| build_id(executable));
            let rustc = rustc();
            // What could not be read may be readable at the next report.
            if let (Ok(_), Ok(build_id), Ok(rustc)) = (&executable, &build_id, &rustc) {
                let _ = BUILT.set((build_id.clone(), rustc.clone()));
            }
            package.build_id = build_id.inspect_err(|error| note("no build id", error)).unwrap_or(None);
            let unknown = "the compiler's version could not be read";
            package.rustc = rustc.inspect_err(|error| note(unknown, error)).unwrap_or(None);
        }
        let unknown = "the path of the executable could not be read";
        package.executable = executable.inspect_err(|error| note(unknown, error)).ok();
        match uptime() {
            Ok(uptime) => {
                package.uptime_ms = u64::try_from(uptime.as_millis()).ok();
                package.started_at = SystemTime::now()
                    .checked_sub(uptime)
                    .map(|started| humantime::format_rfc3339_seconds(started).to_string());
            }
            Err(error) => note("the time at which the process started could not be read", &error),
        }
    }

    fn uptime() -> io::Result<Duration> {
        let start = procfs::ticks_to_ms(Stat::of_main_thread()?.start_ticks);
        let since_boot =
            Duration::try_from_secs_f64(procfs::seconds_since_boot()?).map_err(io::Error::other)?;
        Ok(since_boot.saturating_sub(Duration::from_millis(start)))
    }

    /// From the image in memory, since the file may have been replaced. `None` if it has none.
    fn build_id(executable: &str) -> io::Result<Option<String>> {
        let modules = Modules::load();
        let unknown = || io::Error::other("the executable was not found in the address map");
        Ok(modules.named(executable).ok_or_else(unknown)?.build_id.clone())
    }

    /// The compiler's version. rustc writes it to `.comment` of every object file, and stripping
    /// keeps that section.
    fn rustc() -> io::Result<Option<String>> {
        let comment = elf_sections::section(&proc::open("thread-self/exe")?, b".comment")?;
        Ok(comment.as_deref().and_then(compiler_in))
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
