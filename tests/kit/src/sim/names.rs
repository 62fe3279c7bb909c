//! What happens to names: each operation checks as the kernel does, then is one transaction.

use std::io;

use realize_core::local::fs::Rename;
use unicode_normalization::UnicodeNormalization as _;

use super::disk::{Disk, errno};
use super::inode::{Body, Ino, Inode, Name, Names};
use super::journal::{Change, Transaction};

/// The longest name.
const NAME_MAX: usize = 255;

/// Which names a look-up takes for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Alike {
    /// Those of the same bytes.
    #[default]
    Bytes,
    /// Those that differ in the case of letters of ASCII; others are taken as they are, as some file
    /// systems do.
    Cases,
    /// Those that are one in a normal form of Unicode (NFD).
    Forms,
}

impl Alike {
    /// What is the same of all that are taken for `name`.
    fn folded(self, name: &[u8]) -> Name {
        match (self, std::str::from_utf8(name)) {
            (Self::Cases, _) => name.to_ascii_lowercase(),
            (Self::Forms, Ok(text)) => text.nfd().collect::<String>().into_bytes(),
            (Self::Bytes | Self::Forms, _) => name.to_vec(),
        }
    }
}

/// Refuses what is no single component: a caller that relies on the kernel here would escape.
fn check(name: &[u8]) -> io::Result<()> {
    match name {
        b"" => Err(errno(libc::ENOENT)),
        b"." | b".." => Err(errno(libc::EINVAL)),
        _ if name.contains(&b'/') || name.contains(&0) => Err(errno(libc::EINVAL)),
        _ if name.len() > NAME_MAX => Err(errno(libc::ENAMETOOLONG)),
        _ => Ok(()),
    }
}

impl Disk {
    /// The name as it is stored, and what it stands for.
    pub(super) fn entry(&self, directory: Ino, name: &[u8]) -> io::Result<(Name, Ino)> {
        check(name)?;
        let names = &self.names(directory)?.live;
        if let Some(ino) = names.get(name) {
            return Ok((name.to_vec(), *ino));
        }
        if self.alike == Alike::Bytes {
            return Err(errno(libc::ENOENT));
        }
        let wanted = self.alike.folded(name);
        let mut names = names.iter();
        let found = names.find(|(stored, _)| self.alike.folded(stored) == wanted);
        found
            .map(|(stored, ino)| (stored.clone(), *ino))
            .ok_or_else(|| errno(libc::ENOENT))
    }

    pub(super) fn find(&self, directory: Ino, name: &[u8]) -> io::Result<Ino> {
        self.entry(directory, name).map(|(_, ino)| ino)
    }

    /// Refuses a name that exists, or a directory that takes no names any more.
    fn check_vacant(&self, directory: Ino, name: &[u8]) -> io::Result<()> {
        match self.entry(directory, name) {
            Ok(_) => Err(errno(libc::EEXIST)),
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            Err(error) if name.is_empty() || self.inode(directory).links == 0 => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// Makes a new inode under a new name.
    pub(super) fn make(
        &mut self,
        directory: Ino,
        name: &[u8],
        mode: u32,
        body: Body,
    ) -> io::Result<Ino> {
        self.check_vacant(directory, name)?;
        if self.space(directory).free() == 0 {
            return Err(errno(libc::ENOSPC));
        }
        let now = self.tick();
        let device = self.inode(directory).device;
        let ino = self.add_inode(Inode::new(device, mode & 0o7777, now, body));
        self.apply(vec![Change::set(directory, name, ino)], None);
        Ok(ino)
    }

    pub(super) fn make_directory(
        &mut self,
        directory: Ino,
        name: &[u8],
        mode: u32,
    ) -> io::Result<Ino> {
        self.make(
            directory,
            name,
            mode,
            Body::Directory(Names::new(directory)),
        )
    }

    pub(super) fn make_link(
        &mut self,
        directory: Ino,
        name: &[u8],
        target: &[u8],
    ) -> io::Result<Ino> {
        if target.is_empty() {
            return Err(errno(libc::ENOENT));
        }
        if target.len() >= libc::PATH_MAX as usize {
            return Err(errno(libc::ENAMETOOLONG));
        }
        self.make(directory, name, 0o777, Body::Link(target.to_vec()))
    }

    /// Gives a file another name.
    pub(super) fn hard_link(&mut self, ino: Ino, directory: Ino, name: &[u8]) -> io::Result<()> {
        if self.inode(ino).is_directory() {
            return Err(errno(libc::EPERM));
        }
        self.check_vacant(directory, name)?;
        self.check_device(ino, directory)?;
        let now = self.tick();
        let inode = self.inode_mut(ino);
        inode.links += 1;
        inode.live.changed = now;
        self.apply(vec![Change::set(directory, name, ino)], None);
        Ok(())
    }

    pub(super) fn unlink(&mut self, directory: Ino, name: &[u8]) -> io::Result<()> {
        let (stored, ino) = self.entry(directory, name)?;
        if self.inode(ino).is_directory() {
            return Err(errno(libc::EISDIR));
        }
        self.tick();
        self.apply(vec![Change::remove(directory, stored)], Some(ino));
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, directory: Ino, name: &[u8]) -> io::Result<()> {
        let (stored, ino) = self.entry(directory, name)?;
        self.check_device(ino, directory)
            .map_err(|_| errno(libc::EBUSY))?;
        if !self.names(ino)?.live.is_empty() {
            return Err(errno(libc::ENOTEMPTY));
        }
        self.tick();
        self.apply(vec![Change::remove(directory, stored)], Some(ino));
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from_directory: Ino,
        from: &[u8],
        to_directory: Ino,
        to: &[u8],
        how: Rename,
    ) -> io::Result<()> {
        self.check_device(from_directory, to_directory)?;
        if how == Rename::Exchange && !self.exchanges {
            return Err(errno(libc::EINVAL));
        }
        let (from, moved) = self.entry(from_directory, from)?;
        let existing = match self.entry(to_directory, to) {
            Ok(entry) => Some(entry),
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
            Err(_) => None,
        };
        match how {
            Rename::NoReplace | Rename::Aside if existing.is_some() => {
                return Err(errno(libc::EEXIST));
            }
            Rename::Exchange if existing.is_none() => return Err(errno(libc::ENOENT)),
            _ => {}
        }
        let (to, replaced) = match existing {
            Some((stored, ino)) => (stored, Some(ino)),
            None => {
                self.check_vacant(to_directory, to)?;
                (to.to_vec(), None)
            }
        };
        if replaced == Some(moved) {
            return Ok(());
        }
        self.check_move(moved, to_directory)?;
        if let Some(replaced) = replaced {
            match how {
                Rename::Exchange => self.check_move(replaced, from_directory)?,
                _ => self.check_replace(moved, replaced)?,
            }
        }
        let now = self.tick();
        for ino in [Some(moved), replaced].into_iter().flatten() {
            self.inode_mut(ino).live.changed = now;
        }
        let to = Change::set(to_directory, &to, moved);
        match replaced {
            Some(replaced) if how == Rename::Exchange => {
                self.apply(vec![to, Change::set(from_directory, &from, replaced)], None);
            }
            _ => self.apply(vec![to, Change::remove(from_directory, from)], replaced),
        }
        Ok(())
    }

    /// Refuses to move what is mounted, or a directory into itself.
    fn check_move(&self, ino: Ino, directory: Ino) -> io::Result<()> {
        self.check_device(ino, directory)
            .map_err(|_| errno(libc::EBUSY))?;
        let mut above = directory;
        loop {
            if above == ino {
                return Err(errno(libc::EINVAL));
            }
            let parent = self.names(above)?.parent;
            if parent == above {
                return Ok(());
            }
            above = parent;
        }
    }

    fn check_replace(&self, moved: Ino, replaced: Ino) -> io::Result<()> {
        match (self.inode(moved).is_directory(), self.names(replaced)) {
            (true, Ok(names)) if names.live.is_empty() => Ok(()),
            (true, Ok(_)) => Err(errno(libc::ENOTEMPTY)),
            (true, Err(error)) => Err(error),
            (false, Ok(_)) => Err(errno(libc::EISDIR)),
            (false, Err(_)) => Ok(()),
        }
    }

    fn check_device(&self, one: Ino, other: Ino) -> io::Result<()> {
        let same = self.inode(one).device == self.inode(other).device;
        if same {
            Ok(())
        } else {
            Err(errno(libc::EXDEV))
        }
    }

    /// Makes the changes visible, and journals them as one. `unnamed` loses a name.
    fn apply(&mut self, changes: Vec<Change>, unnamed: Option<Ino>) {
        let now = self.now;
        for Change {
            directory,
            name,
            inode,
        } in &changes
        {
            let names = &mut self.names_mut(*directory).live;
            match inode {
                Some(ino) => names.insert(name.clone(), *ino),
                None => names.remove(name),
            };
            self.inode_mut(*directory).modify(now);
            if let Some(ino) = inode
                && let Body::Directory(names) = &mut self.inode_mut(*ino).body
            {
                names.parent = *directory;
            }
        }
        let mut removed = None;
        if let Some(ino) = unnamed {
            let inode = self.inode_mut(ino);
            inode.links -= 1;
            inode.live.changed = now;
            removed = inode.is_directory().then_some(ino);
            self.release(ino);
        }
        let device = self.inode(changes[0].directory).device;
        self.journal.push(Transaction {
            device,
            changes,
            removed,
        });
    }
}

#[cfg(test)]
mod tests;
