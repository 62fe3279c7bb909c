//! Whole paths, which only a test and the opening of a root use.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::disk::{Disk, ROOT, errno};
use super::inode::{Body, Ino, Name};

/// How many links one path may lead through.
const LINKS_MAX: usize = 40;

impl Disk {
    /// What an absolute path leads to through links; `follow` says whether its last name may be one.
    pub(super) fn walk(&self, path: &Path, follow: bool) -> io::Result<Ino> {
        if !path.is_absolute() {
            return Err(errno(libc::EINVAL));
        }
        let (mut current, mut links) = (ROOT, 0);
        let mut rest: VecDeque<Name> = components(path.as_os_str().as_bytes());
        while let Some(name) = rest.pop_front() {
            if name == b".." {
                current = self.names(current)?.parent;
                continue;
            }
            let found = self.find(current, &name)?;
            let Body::Link(target) = &self.inode(found).body else {
                current = found;
                continue;
            };
            if rest.is_empty() && !follow {
                return Ok(found);
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(errno(libc::ELOOP));
            }
            if target.starts_with(b"/") {
                current = ROOT;
            }
            let mut target = components(target);
            target.append(&mut rest);
            rest = target;
        }
        Ok(current)
    }

    /// The directory that a path's last name is in, and that name.
    pub(super) fn walk_to_parent<'a>(&self, path: &'a Path) -> io::Result<(Ino, &'a [u8])> {
        let name = path
            .file_name()
            .map(OsStr::as_bytes)
            .ok_or_else(|| errno(libc::EINVAL))?;
        let parent = path.parent().ok_or_else(|| errno(libc::EINVAL))?;
        Ok((self.walk(parent, true)?, name))
    }
}

fn components(path: &[u8]) -> VecDeque<Name> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .collect()
}
