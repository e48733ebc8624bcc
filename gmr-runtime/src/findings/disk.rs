//! `limit.disk`: a disk with files that the process has open for writing is full, or nearly so.

use super::facts::{Facts, MAX_EVIDENCE, fact, finding};
use crate::model::{Finding, OpenFile, Severity};
use crate::units::bytes;

/// The share that is left, as a divisor: two percent. ext4 reserves five for root, and those are
/// not counted as left.
const SHARE: u64 = 50;

/// With more than this left, a large disk is far from its end even if that is a small share.
const ENOUGH: u64 = 1 << 30;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(descriptors) = facts.descriptors() else { return Vec::new() };
    let mut disks: Vec<((u64, u64), Vec<&OpenFile>)> = Vec::new();
    for file in &descriptors.files {
        let Some(space) = file.disk_bytes.zip(file.disk_free_bytes).filter(|space| is_full(*space)) else {
            continue;
        };
        // Files on the same disk have the same figures.
        match disks.iter_mut().find(|(known, _)| *known == space) {
            Some((_, files)) => files.push(file),
            None => disks.push((space, vec![file])),
        }
    }
    disks.into_iter().map(|(space, files)| about(space, &files)).collect()
}

fn is_full((size, free): (u64, u64)) -> bool {
    free < ENOUGH && free < size.div_ceil(SHARE)
}

fn about((size, free): (u64, u64), files: &[&OpenFile]) -> Finding {
    let message = format!("the disk of {} has {} of {} left", files[0].path, bytes(free), bytes(size));
    let shown = files.iter().take(MAX_EVIDENCE);
    let evidence = shown.map(|file| fact(format!("#{} {} is open for writing", file.descriptor, file.path)));
    Finding {
        evidence: evidence.collect(),
        next: Some("what fills the disk; a deleted file takes its space until it is closed".to_owned()),
        section: Some("Descriptors".to_owned()),
        ..finding("limit.disk", Severity::Warning, message)
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

    #[test]
    fn a_full_disk_is_found_once() {
        let files = vec![on_disk(3, 10 << 30, 0), on_disk(4, 10 << 30, 0), on_disk(5, 1 << 40, 2 << 30)];
        let findings = with_descriptors(Descriptors { files, ..Descriptors::default() });
        let [found] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((found.code.as_str(), found.severity), ("limit.disk", Severity::Warning));
        assert_eq!(found.message, "the disk of /var/log/3.log has 0 B of 10.0 GiB left");
        assert_eq!(found.evidence.len(), 2);
    }

    #[test]
    fn a_disk_with_space_and_a_file_that_is_only_read_are_none() {
        let read = OpenFile { path: "/cdrom".into(), ..OpenFile::default() };
        let files = vec![read, on_disk(3, 100 << 20, 2 << 20), on_disk(4, 100 << 30, 1 << 30)];
        assert_eq!(with_descriptors(Descriptors { files, ..Descriptors::default() }), []);
    }
}
