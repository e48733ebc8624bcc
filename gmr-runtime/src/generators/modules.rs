//! Modules: the executable and its libraries, from the address map and the images in memory.

use crate::model::{self, Content, ModuleState};
use crate::sys::{Module, Modules};

pub(super) fn generate() -> Content {
    let modules = Modules::load();
    if modules.are_unread() {
        return Content::Error(
            "no module could be read: the kernel refuses to show the address map, or to copy memory \
             (process_vm_readv)"
                .into(),
        );
    }
    let modules = modules.all().iter().map(describe).collect();
    Content::Modules(model::Modules { modules, notes: Vec::new() })
}

fn describe(module: &Module) -> model::Module {
    model::Module {
        path: gmr_mask::text(&module.path).into_owned(),
        build_id: module.build_id.clone(),
        start: module.image.start,
        end: module.image.end,
        bias: module.bias,
        state: state(&module.path),
    }
}

/// The kernel appends this to the path of a file that is no longer in its directory.
const DELETED: &str = " (deleted)";

fn state(path: &str) -> ModuleState {
    match path.strip_suffix(DELETED) {
        None => ModuleState::InPlace,
        Some(path) if std::path::Path::new(path).exists() => ModuleState::Replaced,
        Some(_) => ModuleState::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn this_program_is_a_module() {
        let Content::Modules(modules) = generate() else { panic!("no modules") };
        let here = this_program_is_a_module as fn() as usize as u64;
        let found = modules.modules.iter().find(|module| (module.start..module.end).contains(&here)).unwrap();
        assert_eq!(found.path, std::env::current_exe().unwrap().display().to_string());
        assert_eq!(found.state, ModuleState::InPlace);
        assert!(modules.modules.iter().any(|module| module.path == "[vdso]"));
        assert!(modules.modules.is_sorted_by_key(|module| module.start));
    }

    #[test]
    fn a_file_that_has_another_one_in_its_place_is_replaced() {
        let exe = std::env::current_exe().unwrap().display().to_string();
        assert_eq!(state(&exe), ModuleState::InPlace);
        assert_eq!(state(&format!("{exe} (deleted)")), ModuleState::Replaced);
        assert_eq!(state("/no/such/file.so (deleted)"), ModuleState::Deleted);
    }
}
