//! Tests of what a real process cannot be made to do on every kernel: the ways without the newer
//! system calls, and files that are in the way.

use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gmr-log-dir-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn listed(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
#[cfg_attr(miri, ignore = "the kernel is asked")]
fn both_ways_to_open_a_directory_follow_no_link() {
    let directory = Directory::new("open");
    let path = directory.0.join("below");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::symlink(&path, directory.0.join("link")).unwrap();
    std::fs::create_dir(path.join("deep")).unwrap();
    for open in [open_directory, walk_to] {
        open(&path).unwrap();
        open(&path.join("../below/deep")).unwrap();
        assert!(matches!(open(&directory.0.join("link")), Err(Errno::LOOP | Errno::NOTDIR)));
        assert!(matches!(open(&directory.0.join("link/deep")), Err(Errno::LOOP | Errno::NOTDIR)));
        assert_eq!(open(&path.join("missing")).unwrap_err(), Errno::NOENT);
    }
}

#[test]
#[cfg_attr(miri, ignore = "the kernel is asked")]
fn both_ways_to_rename_replace_nothing() {
    let directory = Directory::new("rename");
    let opened = open_directory(&directory.0).unwrap();
    for rename in [rename, rename_by_link] {
        std::fs::write(directory.0.join("from"), "new").unwrap();
        std::fs::write(directory.0.join("in-use"), "old").unwrap();
        assert_eq!(rename(&opened, "from", "in-use"), Err(Errno::EXIST));
        assert_eq!(std::fs::read_to_string(directory.0.join("in-use")).unwrap(), "old");
        assert_eq!(rename(&opened, "from", "free"), Ok(()));
        assert_eq!(std::fs::read_to_string(directory.0.join("free")).unwrap(), "new");
        assert!(!directory.0.join("from").exists());
        std::fs::remove_file(directory.0.join("free")).unwrap();
    }
}

/// As when the clock was set back, or another container has a process of the same id.
#[test]
#[cfg_attr(miri, ignore = "the kernel is asked")]
fn names_that_are_in_use_are_left_alone() {
    let directory = Directory::new("names");
    let log_dir = LogDir::new(&directory.0, "shop", "txt");
    let mut file = log_dir.create().unwrap();
    file.write(b"new").unwrap();
    let target = directory.0.join("target");
    let stamp = file.stamp.clone();
    let in_use = |number| directory.0.join(log_dir.names.name(&stamp, number));
    std::fs::write(in_use(1), "old").unwrap();
    std::os::unix::fs::symlink(&target, in_use(2)).unwrap();
    let path = file.finish().unwrap();
    assert_eq!(path, in_use(3));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::read_to_string(in_use(1)).unwrap(), "old");
    assert!(!target.exists());
    assert_eq!(log_dir.create().unwrap().number, 4);
}

#[test]
#[cfg_attr(miri, ignore = "the kernel is asked")]
fn a_file_that_is_not_whole_is_removed() {
    let directory = Directory::new("partial");
    let log_dir = LogDir::new(&directory.0, "shop", "txt");
    let mut file = log_dir.create().unwrap();
    file.write(b"a part").unwrap();
    assert_eq!(listed(&directory.0).len(), 1);
    drop(file);
    assert_eq!(listed(&directory.0), [""; 0]);
}

#[test]
#[cfg_attr(miri, ignore = "the kernel is asked")]
fn files_of_the_future_are_removed_first() {
    let directory = Directory::new("future");
    let log_dir = LogDir::new(&directory.0, "shop", "txt");
    let named = |stamp: &str, number| directory.0.join(format!("shop_gurumeditation_{stamp}_1_{number}.txt"));
    for number in 0..MAX_FILES {
        std::fs::write(named("20260102T030405Z", number), "past").unwrap();
    }
    std::fs::write(named("99990102T030405Z", 1), "future").unwrap();
    let foreign = directory.0.join("shop_gurumeditation_notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    let partial = |stamp: &str| directory.0.join(format!(".shop_gurumeditation_{stamp}_1_1.txt.tmp"));
    let today = names::stamp(SystemTime::now());
    for stamp in ["20260102T030405Z", &today] {
        std::fs::write(partial(stamp), "a part").unwrap();
    }
    let mut file = log_dir.create().unwrap();
    let path = file.finish().unwrap();
    file.remove_others();
    assert!(!partial("20260102T030405Z").exists(), "of a process that was killed");
    std::fs::remove_file(partial(&today)).expect("another process may be writing it");
    assert!(path.exists() && foreign.exists());
    assert!(!named("99990102T030405Z", 1).exists());
    assert!(!named("20260102T030405Z", 0).exists());
    assert!(named("20260102T030405Z", 1).exists());
    assert_eq!(listed(&directory.0).len(), MAX_FILES + 1);
}
