//! The mounts of this process's namespace, as far as a report needs them.

use std::io::{self, Read};

use super::{cgroups, proc};

/// How much of the list is read: some thousand mounts.
const MAX_LIST: u64 = 512 << 10;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    /// The path in its file system that is mounted.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) place: String,
    /// The type of its file system: `ext4`, `nfs4`.
    pub(crate) kind: String,
}

/// Reads the list.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn list() -> io::Result<Vec<Mount>> {
    let mut bytes = Vec::new();
    proc::open("thread-self/mountinfo")?.take(MAX_LIST).read_to_end(&mut bytes)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Parses lines of `id parent device root mountpoint options [tag..] - type source options`.
fn parse(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (first, last) = line.split_once(" - ")?;
        let fields: Vec<&str> = first.split(' ').collect();
        Some(Mount {
            id: fields.first()?.parse().ok()?,
            root: (*fields.get(3)?).to_owned(),
            place: (*fields.get(4)?).to_owned(),
            kind: last.split(' ').next()?.to_owned(),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// Whether the kernel answers for a file system of this type without waiting for a server or for a
/// program. Unknown ones are none.
pub(crate) fn is_local(kind: &str) -> bool {
    const LOCAL: [&str; 19] = [
        "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs",
        "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
    ];
    LOCAL.binary_search(&kind).is_ok()
}

/// The id of the container that the mounts of `/etc/hostname` and `/etc/hosts` belong to: docker
/// and podman make these files in a directory of each container. In a Kubernetes pod, the directory
/// is that of the pod's sandbox, which has an id of its own.
pub(crate) fn container_id(mounts: &[Mount]) -> Option<&str> {
    let is_file = |mount: &&Mount| mount.place == "/etc/hostname";
    let root = &mounts.iter().find(is_file)?.root;
    let mut parts = root.rsplit('/');
    let (file, mut id) = (parts.next()?, parts.next()?);
    let mut parent = parts.next()?;
    if id == "userdata" {
        (id, parent) = (parent, parts.next()?);
    }
    let is_known = matches!(parent, "containers" | "overlay-containers" | "vfs-containers");
    (file == "hostname" && is_known && cgroups::is_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(root: &str, place: &str) -> Mount {
        Mount { id: 1, root: root.into(), place: place.into(), kind: "ext4".into() }
    }

    #[test]
    fn a_line_is_parsed() {
        let text = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - nfs4 server:/x rw,errors=continue\n\
                    37 35 98:1 / /a\\040b rw - ext4 /dev/root rw\nbroken\n1 2 3 - ext4\n";
        let parsed = parse(text);
        assert_eq!(parsed[0], Mount { id: 36, kind: "nfs4".into(), ..mount("/mnt1", "/mnt2") });
        assert_eq!((parsed.len(), parsed[1].place.as_str()), (2, "/a\\040b"));
        assert!(is_local(&parsed[1].kind) && !is_local(&parsed[0].kind));
        for kind in ["ext4", "bcachefs", "zfs", "overlay", "tmpfs"] {
            assert!(is_local(kind), "{kind}: the list is not sorted");
        }
        assert!(!is_local("fuse.sshfs") && !is_local(""));
    }

    #[test]
    fn the_files_of_a_container_tell_its_id() {
        let id = "0123456789abcdef".repeat(4);
        let of =
            |root: &str| container_id(&[mount("/", "/"), mount(root, "/etc/hostname")]).map(str::to_owned);
        let found = Some(id.clone());
        assert_eq!(of(&format!("/var/lib/docker/containers/{id}/hostname")), found);
        assert_eq!(of(&format!("/containers/storage/overlay-containers/{id}/userdata/hostname")), found);
        let sandbox = format!("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{id}/hostname");
        for other in [&*sandbox, "/etc/hostname", "/hostname", &format!("/{id}/hostname")] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn this_process_has_mounts() {
        assert!(list().unwrap().iter().any(|mount| mount.place == "/proc"));
    }
}
