//! Split debug information: for each unit the program's file has a skeleton, with the lines, and
//! another file has the functions. That is a `.dwo` file for each unit, or a package of all
//! (`.dwp`) beside the program.
//!
//! A file is used only if it has the id that the skeleton names, which changes with each
//! compilation: so it does not matter who says where it may be.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gimli::{DwarfPackage, DwoId, Unit, UnitType};

use super::debug_files::{self, Elf};
use super::reading::{Dwarf, Reader, text};
use super::sections::Sections;
use crate::symbols::split_files::SplitFiles;
use crate::units::counted;

/// Where the split units of a module are.
pub(super) struct Split<'a> {
    packages: Vec<DwarfPackage<Reader<'a>>>,
    /// The path of the module's own package, where it is or should be.
    package_path: PathBuf,
    /// Where else they may be.
    elsewhere: &'a SplitFiles,
    missing: Mutex<Missing>,
}

/// The units that were needed and not found.
#[derive(Default)]
struct Missing {
    units: usize,
    example: String,
}

/// The path of the package that belongs to a module's file.
pub(super) fn package_path(module: &Path) -> PathBuf {
    let mut path = module.as_os_str().to_owned();
    path.push(".dwp");
    path.into()
}

impl<'a> Split<'a> {
    /// `packages` are the sections of those that there are, at that path and elsewhere.
    pub(super) fn new(
        package_path: PathBuf,
        packages: &'a [Sections<'_>],
        elsewhere: &'a SplitFiles,
    ) -> Self {
        let packages = packages.iter().filter_map(Sections::package).collect();
        Self { packages, package_path, elsewhere, missing: Mutex::default() }
    }

    /// Calls `then` with the unit that a skeleton stands for. None if it is not found.
    pub(super) fn with<T>(
        &self,
        parent: &Dwarf<'_>,
        skeleton: &Unit<Reader<'_>>,
        id: DwoId,
        then: impl for<'x> FnOnce(&Dwarf<'x>, &Unit<Reader<'x>>) -> T,
    ) -> Option<T> {
        for package in &self.packages {
            if let Ok(Some(dwarf)) = package.find_cu(id, parent)
                && let Some(unit) = unit_with(&dwarf, skeleton, id)
            {
                return Some(then(&dwarf, &unit));
            }
        }
        let name = skeleton.dwo_name().ok()??;
        let name = PathBuf::from(text(parent.attr_string(skeleton, name).ok()?));
        let directory = skeleton.comp_dir.map(text).unwrap_or_default();
        let recorded = Path::new(&directory).join(&name);
        let beside =
            self.package_path.parent().zip(name.file_name()).map(|(directory, name)| directory.join(name));
        let elsewhere = name.file_name().map(|name| self.elsewhere.units(name)).unwrap_or_default();
        for path in [Some(&recorded), beside.as_ref()].into_iter().flatten().chain(elsewhere) {
            let Ok(mapped) = debug_files::map(path) else { continue };
            let Ok(file) = Elf::parse(&mapped[..]) else { continue };
            let sections = Sections::load_split(&file);
            let mut dwarf = sections.dwarf();
            dwarf.make_dwo(parent);
            if let Some(unit) = unit_with(&dwarf, skeleton, id) {
                return Some(then(&dwarf, &unit));
            }
        }
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.units += 1;
        // The first by name, since threads get here in any order.
        let recorded = recorded.to_string_lossy().into_owned();
        if missing.units == 1 || recorded < missing.example {
            missing.example = recorded;
        }
        None
    }

    /// What was needed and is missing, as a part of a sentence.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.units == 0 {
            return None;
        }
        let (units, package, example) =
            (counted(missing.units, "unit"), self.package_path.display(), &missing.example);
        Some(format!(
            "the split debug information of {units} was not found, in {package} or in files such as {example}"
        ))
    }
}

/// The unit with this id, completed by what its skeleton has.
fn unit_with<'a>(dwarf: &Dwarf<'a>, skeleton: &Unit<Reader<'a>>, id: DwoId) -> Option<Unit<Reader<'a>>> {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if matches!(header.type_(), UnitType::SplitType { .. } | UnitType::Type { .. }) {
            continue;
        }
        let Ok(mut unit) = dwarf.unit(header) else { continue };
        if unit.dwo_id == Some(id) {
            unit.copy_relocated_attributes(skeleton);
            return Some(unit);
        }
    }
    None
}
