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
    pub(crate) revision: Option<Cow<'static, str>>,
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
            ("revision", &package.revision),
            ("host", &package.host),
            ("container_id", &package.container_id),
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
        revision: stated(&identity.revision),
        gmr_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        gmr_features: FEATURES
            .iter()
            .filter(|(_, enabled)| *enabled)
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        target: Some(target()),
        profile: Some(profile(identity.debug_assertions.unwrap_or(cfg!(debug_assertions)))),
        notes: trigger::signal_taken_away()
            .or_else(trigger::signal_shared)
            .into_iter()
            .chain(lost_sections())
            .collect(),
        ..Package::default()
    };
    add_process_facts(&mut package);
    Content::Package(Box::new(package))
}

/// The features of this build.
const FEATURES: [(&str, bool); 9] = [
    ("cpp", cfg!(feature = "cpp")),
    ("gzip", cfg!(feature = "gzip")),
    ("html", cfg!(feature = "html")),
    ("http", cfg!(feature = "http")),
    ("json", cfg!(feature = "json")),
    ("tokio", cfg!(feature = "tokio")),
    ("tower", cfg!(feature = "tower")),
    ("tracing", cfg!(feature = "tracing")),
    ("xml", cfg!(feature = "xml")),
];

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

#[cfg(test)]
mod tests {
    #[test]
    fn each_public_feature_is_listed() {
        let manifest = include_str!("../../Cargo.toml");
        let table = manifest.split("\n[").find_map(|table| table.strip_prefix("features]\n")).unwrap();
        let names = table.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
        let is_public = |name: &&str| !name.starts_with(['_', '#']) && !["default", "schema"].contains(name);
        let mut public: Vec<&str> = names.filter(is_public).collect();
        public.sort_unstable();
        assert_eq!(super::FEATURES.map(|(name, _)| name).to_vec(), public);
    }
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

    use crate::generators::unread::Unread;
    use crate::model::{Package, Stated};
    use crate::sys::c_library::c_library;
    use crate::sys::cgroups::{self, Cgroups};
    use crate::sys::procfs::{self, Stat};
    use crate::sys::{Modules, elf_sections, mounts, proc};

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
        add_surroundings(package);
    }

    /// Where the process runs.
    fn add_surroundings(package: &mut Package) {
        let mut unread = Unread::default();
        let text = |text: String| gmr_mask::text(text.trim_end()).into_owned();
        let directory = proc::link("thread-self/cwd").map(|path| text(path.display().to_string()));
        package.working_directory = unread.known("the working directory", directory);
        package.host = unread.known("the name of the host", proc::read_text("sys/kernel/hostname").map(text));
        package.kernel =
            unread.known("the kernel's release", proc::read_text("sys/kernel/osrelease").map(text));
        package.libc = c_library();
        let arguments = procfs::command_line("thread-self").map(|arguments| gmr_mask::arguments(&arguments));
        package.command = unread.known("the command line", arguments).unwrap_or_default();
        package.kubernetes = unread.known("the environment", kubernetes()).unwrap_or_default();
        let container_id = container_id(!package.kubernetes.is_empty());
        package.container_id = unread.known("the id of the container", container_id).flatten();
        package.notes.extend(unread.notes());
    }

    /// The id of the container, if the process's cgroups or the container's mounts show it.
    fn container_id(in_pod: bool) -> io::Result<Option<String>> {
        let cgroups = Cgroups::read()?;
        if let Some(id) = cgroups.paths().find_map(cgroups::container_id) {
            return Ok(Some(id.to_owned()));
        }
        // In a pod, these mounts belong to the pod's sandbox.
        if in_pod {
            return Ok(None);
        }
        Ok(mounts::container_id(&mounts::list()?).map(str::to_owned))
    }

    /// Set in each pod.
    const IN_POD: &str = "KUBERNETES_SERVICE_HOST";

    /// What is known of a pod, by the variables that manifests usually give these names. Kubernetes
    /// itself sets `HOSTNAME` only, to the name of the pod unless its manifest says otherwise.
    const KUBERNETES: [(&str, &[&str]); 4] = [
        ("pod", &["POD_NAME", "K8S_POD_NAME", "KUBERNETES_POD_NAME", "MY_POD_NAME", "HOSTNAME"]),
        (
            "namespace",
            &[
                "POD_NAMESPACE",
                "K8S_NAMESPACE",
                "K8S_POD_NAMESPACE",
                "KUBERNETES_NAMESPACE",
                "MY_POD_NAMESPACE",
            ],
        ),
        ("node", &["NODE_NAME", "K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "MY_NODE_NAME"]),
        ("container", &["CONTAINER_NAME", "K8S_CONTAINER_NAME", "MY_CONTAINER_NAME"]),
    ];

    /// The pod that the process runs in, from the environment that it was started with. Empty
    /// outside of Kubernetes.
    fn kubernetes() -> io::Result<Vec<Stated>> {
        Ok(in_pod(&procfs::environment()?))
    }

    fn in_pod(environment: &[(String, String)]) -> Vec<Stated> {
        let value = |name: &str| {
            let variable = environment.iter().find(|(known, _)| known == name);
            variable.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        if value(IN_POD).is_none() {
            return Vec::new();
        }
        let fact = |(name, variables): &(&str, &[&str])| {
            let (source, value) = variables.iter().find_map(|name| Some((name, value(name)?)))?;
            let value = gmr_mask::text(value).into_owned();
            Some(Stated { name: (*name).to_owned(), value, source: (*source).to_owned() })
        };
        KUBERNETES.iter().filter_map(fact).collect()
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
        fn a_pod_is_known_by_its_variables() {
            let environment = |variables: &[(&str, &str)]| -> Vec<(String, String)> {
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
            };
            let shown = |variables: &[(&str, &str)]| -> Vec<String> {
                let facts = in_pod(&environment(variables));
                facts.iter().map(|fact| format!("{} = {} ({})", fact.name, fact.value, fact.source)).collect()
            };
            let host = ("HOSTNAME", "shop-1");
            let in_pod = (IN_POD, "10.0.0.1");
            assert!(shown(&[host, ("POD_NAME", "shop-1")]).is_empty(), "not in Kubernetes");
            assert_eq!(shown(&[in_pod, host, ("NODE_NAME", "")]), ["pod = shop-1 (HOSTNAME)"]);
            assert_eq!(
                shown(&[in_pod, host, ("POD_NAME", "shop-2"), ("NODE_NAME", "n7")]),
                ["pod = shop-2 (POD_NAME)", "node = n7 (NODE_NAME)"]
            );
        }

        #[test]
        fn the_facts_of_this_process_are_found() {
            let mut package = Package::default();
            add_process_facts(&mut package);
            assert!(package.executable.unwrap().contains("gmr_runtime"));
            assert!(package.rustc.unwrap().starts_with("1."));
            assert!(package.started_at.unwrap().ends_with('Z'));
            assert!(package.uptime_ms.is_some());
            assert!(package.command[0].contains("gmr_runtime"), "{:?}", package.command);
            let directory = std::env::current_dir().unwrap();
            assert_eq!(package.working_directory.as_deref(), directory.to_str());
            assert!(package.host.is_some() && package.kernel.is_some());
            assert!(package.notes.is_empty(), "{:?}", package.notes);
        }
    }
}
