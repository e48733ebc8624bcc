//! `limit.disk`, `limit.inodes`: on a disk with files that the process has open for writing, hardly
//! any space is left, or hardly any more files can be created.

use super::facts::{Facts, MAX_EVIDENCE, fact, finding};
use crate::model::{Finding, OpenFile, Severity};
use crate::units::bytes;

/// The share that is left, as a divisor: two percent. ext4 reserves five for root, and those are
/// not counted as left.
const SHARE: u64 = 50;

/// With more than this left, a large disk is far from its end even if that is a small share.
const ENOUGH: u64 = 1 << 30;

/// The same for the number of files. ext4 makes an inode for each 16 KiB, so this is as much of a
/// disk as [`ENOUGH`].
const ENOUGH_INODES: u64 = ENOUGH >> 14;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(descriptors) = facts.descriptors() else { return Vec::new() };
    let full = by_disk(&descriptors.files, |file| {
        let (size, free) = file.disk_bytes.zip(file.disk_free_bytes)?;
        (free < ENOUGH && free < size.div_ceil(SHARE)).then_some((size, free))
    });
    // Where inodes are made of free space, none are left on a full disk.
    let used_up = by_disk(&descriptors.files, |file| {
        let (all, free) = file.disk_inodes.zip(file.disk_free_inodes)?;
        (free < ENOUGH_INODES && free < all.div_ceil(SHARE)).then_some((all, free))
    });
    let used_up = used_up.into_iter().filter(|(_, files)| {
        let is_full =
            |file: &OpenFile| full.iter().any(|(_, full)| full.iter().any(|one| one.path == file.path));
        !files.iter().any(|file| is_full(file))
    });
    let used_up = used_up.map(|(inodes, files)| without_inodes(inodes, &files)).collect::<Vec<_>>();
    full.into_iter().map(|(space, files)| without_space(space, &files)).chain(used_up).collect()
}

/// A size, and what is left of it.
type Left = (u64, u64);

/// The files for which `left` has a result, by that: those on the same disk have the same figures.
fn by_disk(files: &[OpenFile], left: impl Fn(&OpenFile) -> Option<Left>) -> Vec<(Left, Vec<&OpenFile>)> {
    let mut disks: Vec<(Left, Vec<&OpenFile>)> = Vec::new();
    for file in files {
        let Some(left) = left(file) else { continue };
        match disks.iter_mut().find(|(known, _)| *known == left) {
            Some((_, files)) => files.push(file),
            None => disks.push((left, vec![file])),
        }
    }
    disks
}

fn without_space((size, free): Left, files: &[&OpenFile]) -> Finding {
    let message = format!("the disk of {} has {} of {} left", files[0].path, bytes(free), bytes(size));
    let next = "what fills the disk; a deleted file takes its space until it is closed";
    about("limit.disk", message, files, next)
}

fn without_inodes((all, free): Left, files: &[&OpenFile]) -> Finding {
    let path = &files[0].path;
    let message = match free {
        0 => format!("no more files can be created on the disk of {path}: its {all} inodes are in use"),
        _ => format!("the disk of {path} has {free} of {all} inodes left: each new file takes one"),
    };
    about("limit.inodes", message, files, "what creates files on the disk and does not remove them")
}

fn about(code: &str, message: String, files: &[&OpenFile], next: &str) -> Finding {
    let shown = files.iter().take(MAX_EVIDENCE);
    let evidence =
        shown.map(|file| fact(format!("descriptor {}: {} is open for writing", file.descriptor, file.path)));
    Finding {
        evidence: evidence.collect(),
        next: Some(next.to_owned()),
        section: Some("Descriptors".to_owned()),
        ..finding(code, Severity::Warning, message)
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::tests::with_descriptors;
    use super::*;
    use crate::model::Descriptors;

    fn on_disk(descriptor: i32, size: u64, free: u64) -> OpenFile {
        let path = format!("/var/log/{descriptor}.log");
        let space = (Some(size), Some(free));
        OpenFile { descriptor, path, disk_bytes: space.0, disk_free_bytes: space.1, ..OpenFile::default() }
    }

    fn with_inodes(file: OpenFile, all: u64, free: u64) -> OpenFile {
        OpenFile { disk_inodes: Some(all), disk_free_inodes: Some(free), ..file }
    }

    fn found(files: Vec<OpenFile>) -> Vec<Finding> {
        with_descriptors(Descriptors { files, ..Descriptors::default() })
    }

    #[test]
    fn a_full_disk_is_found_once() {
        let files = vec![on_disk(3, 10 << 30, 0), on_disk(4, 10 << 30, 0), on_disk(5, 1 << 40, 2 << 30)];
        let findings = found(files);
        let [found] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((found.code.as_str(), found.severity), ("limit.disk", Severity::Warning));
        assert_eq!(found.message, "the disk of /var/log/3.log has 0 B of 10.0 GiB left");
        assert_eq!(found.evidence.len(), 2);
    }

    #[test]
    fn a_disk_with_space_and_a_file_that_is_only_read_are_none() {
        let read = OpenFile { path: "/cdrom".into(), ..OpenFile::default() };
        let files = vec![read, on_disk(3, 100 << 20, 2 << 20), on_disk(4, 100 << 30, 1 << 30)];
        assert_eq!(found(files), []);
    }

    #[test]
    fn a_disk_without_inodes_is_found_once_and_not_if_it_is_full() {
        let space = |descriptor| on_disk(descriptor, 10 << 30, 5 << 30);
        let files = vec![with_inodes(space(3), 640_000, 12_799), with_inodes(space(4), 640_000, 12_799)];
        let findings = found(files);
        let [few] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            (few.code.as_str(), few.severity, few.evidence.len()),
            ("limit.inodes", Severity::Warning, 2)
        );
        let expected = "the disk of /var/log/3.log has 12799 of 640000 inodes left: each new file takes one";
        assert_eq!(few.message, expected);
        let none = &found(vec![with_inodes(space(3), 64, 0)])[0].message;
        assert_eq!(
            none,
            "no more files can be created on the disk of /var/log/3.log: its 64 inodes are in use"
        );
        let full = with_inodes(on_disk(3, 10 << 30, 0), 640_000, 0);
        assert_eq!(found(vec![full]).len(), 1);
        let enough = vec![
            with_inodes(space(3), 640_000, 12_800),
            with_inodes(space(4), 1 << 30, ENOUGH_INODES),
            with_inodes(space(5), 64, 2),
        ];
        assert_eq!(found(enough), []);
    }
}
