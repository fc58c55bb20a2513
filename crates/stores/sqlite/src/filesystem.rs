//! Which file system a path lies on: SQLite's locks and shared memory do not work over a network.

use std::path::Path;

use longshore_core::{ErrorKind, StoreError};

const NETWORK: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs"];

/// Refuses a path on a network file system. Where the system does not tell, the path is taken.
pub(crate) fn refuse_network(path: &Path) -> Result<(), StoreError> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mounts") else {
        return Ok(());
    };
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let Ok(folder) = folder.unwrap_or(Path::new(".")).canonicalize() else {
        return Ok(());
    };
    match type_of(&mounts, &folder).filter(|kind| NETWORK.contains(kind)) {
        None => Ok(()),
        Some(kind) => Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "{} lies on a network file system ({kind}), where SQLite would lose jobs: \
                 put the store on a local disk, or use the PostgreSQL store",
                path.display()
            ),
        )),
    }
}

/// The type of the file system mounted over `folder`, by a table of mounts.
fn type_of<'m>(mounts: &'m str, folder: &Path) -> Option<&'m str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(_), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        // A later mount over the same point hides the earlier one.
        let better = best.is_none_or(|(length, _)| point.len() >= length);
        if better && folder.starts_with(&point) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/sda1 / ext4 rw 0 0\nserver:/x /home nfs4 rw 0 0\n\
        tmpfs /home/my\\040disk tmpfs rw 0 0\n";

    #[test]
    fn the_closest_mount_counts() {
        let of = |path: &str| type_of(MOUNTS, Path::new(path));
        assert_eq!(of("/var/lib"), Some("ext4"));
        assert_eq!(of("/home/me"), Some("nfs4"));
        assert_eq!(of("/home/my disk/a"), Some("tmpfs"));
        assert_eq!(of("/homeless"), Some("ext4"));
    }
}
