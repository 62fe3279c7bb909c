//! Whether two directories share files by way of mounts: one directory may be mounted in several
//! places, and no path, link or inode of it tells. `proc_pid_mountinfo(5)` describes the table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The mounts of this process, as far as they can be known.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    /// The file system: `major:minor`.
    device: Vec<u8>,
    /// Which directory of the file system is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

impl Mounts {
    /// The table of this process; empty where there is none to read.
    pub(crate) fn read() -> Self {
        let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self(table.split(|&b| b == b'\n').filter_map(parse).collect())
    }

    /// Whether a file below `one` may be a file below `other`. Both are absolute, without links.
    pub(crate) fn share(&self, one: &Path, other: &Path) -> bool {
        let (one, other) = (self.parts(one), self.parts(other));
        let related = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
        one.iter().any(|(device, root)| {
            other
                .iter()
                .any(|(other, other_root)| device == other && related(root, other_root))
        })
    }

    /// The directories of file systems that can be seen at and below `path`.
    fn parts(&self, path: &Path) -> Vec<(&[u8], PathBuf)> {
        let covering = |mount: &&Mount| path.starts_with(&mount.point);
        // Of several at the same point the last one covers the others.
        let own = self
            .0
            .iter()
            .filter(covering)
            .max_by_key(|m| m.point.as_os_str().len());
        let own = own.and_then(|mount| {
            let below = path.strip_prefix(&mount.point).ok()?;
            Some((&*mount.device, mount.root.join(below)))
        });
        let below = self.0.iter().filter(|mount| mount.point.starts_with(path));
        own.into_iter()
            .chain(below.map(|m| (&*m.device, m.root.clone())))
            .collect()
    }
}

/// A line: id, parent, device, root, mount point, and more.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&b| b == b' ').skip(2);
    let device = fields.next()?.to_vec();
    let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
    Some(Mount {
        device,
        root,
        point,
    })
}

/// Spaces, tabs, newlines and backslashes stand as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => Some(((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), after)),
            _ => None,
        };
        let (byte, after) = octal.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TABLE: &str = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 8:2 / /data rw - ext4 /dev/sda2 rw
24 22 8:2 /src/inner /mnt/b\\040c rw - ext4 /dev/sda2 rw
25 23 0:5 / /data/tmp rw - tmpfs none rw
26 22 0:5 /x /elsewhere rw - tmpfs none rw
";

    #[rstest]
    #[case("/data/src", "/data/dst", false)]
    #[case("/data/src", "/mnt/b c", true)]
    #[case("/data/src/inner/deep", "/mnt/b c", true)]
    #[case("/data/srcs", "/mnt/b c", false)]
    #[case("/data", "/elsewhere", true)]
    #[case("/data/src", "/elsewhere", false)]
    #[case("/home/a", "/home/b", false)]
    #[case("/home/a", "/home/a/b", true)]
    #[case("/mnt", "/data/src", true)]
    fn sharing(#[case] one: &str, #[case] other: &str, #[case] shared: bool) {
        let mounts = Mounts(
            TABLE
                .as_bytes()
                .split(|&b| b == b'\n')
                .filter_map(parse)
                .collect(),
        );
        assert_eq!(mounts.share(Path::new(one), Path::new(other)), shared);
        assert_eq!(mounts.share(Path::new(other), Path::new(one)), shared);
    }
}
