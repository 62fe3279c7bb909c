//! One run at a time per source and per destination, and whether a run meets itself.
//!
//! A lease is a locked file in the root; the lock goes with the process, whatever ends it. The file
//! names the holder, for whoever comes second. A run that ends clean removes it: one that is there,
//! and not locked, tells the next run that something may have been left behind.

use std::sync::Arc;

use super::fs::{Access, Directory, File, read_full, write_full};
use super::names;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::Escaped;
use crate::service::{Claim, Role, RunId};

/// How often a claim tries again when the lease file vanishes under it.
const MAX_TRIES: usize = 16;
/// How many bytes of a holder's name are kept.
const MAX_HOLDER: usize = 200;
/// How long a lease file may be; longer ones are not ours.
const MAX_LEASE: usize = 512;

/// A role taken for a run.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) role: Role,
    pub(crate) run: RunId,
    /// Whether the run before this one did not end clean.
    pub(crate) unclean: bool,
    /// The lock; none for a reader, and where the root cannot be written.
    file: Option<Arc<dyn File>>,
}

impl Lease {
    /// Takes the role, and plants this run's probe.
    pub(crate) fn take(root: &dyn Directory, claim: &Claim) -> Result<Self> {
        let mut lease = Self {
            role: claim.role,
            run: claim.run,
            unclean: false,
            file: None,
        };
        let Some(name) = file_name(claim.role) else {
            // A reader changes nothing; its probe is a courtesy, where the root can be written.
            let _ = root.create(&names::probe(claim.run, claim.role));
            return Ok(lease);
        };
        match lock(root, name) {
            Ok(file) => {
                lease.unclean = lease.take_over(root, &*file, claim)?;
                lease.file = Some(file);
            }
            // Nothing in the root can be deleted by us, but perhaps deeper down.
            Err(error) if error.kind() == ErrorKind::Denied && claim.role == Role::Source => {
                tracing::warn!(
                    event = "lease.unavailable",
                    reason = %error.chain(),
                    "the source cannot be locked against other moves"
                );
                return Ok(lease);
            }
            Err(error) => return Err(error),
        }
        root.create(&names::probe(claim.run, claim.role))
            .doing("creating this run's probe")?;
        Ok(lease)
    }

    /// Writes this run into the lease file; answers whether another one stood there.
    fn take_over(&self, root: &dyn Directory, file: &dyn File, claim: &Claim) -> Result<bool> {
        let mut text = [0; MAX_LEASE];
        let len = read_full(file, &mut text, 0).doing("reading the lease")?;
        let before = text.get(..len).and_then(parse);
        if let Some((run, _)) = before {
            remove(root, &names::probe(run, claim.role))?;
        }
        let mut holder = claim.holder.clone();
        holder.truncate(holder.floor_char_boundary(MAX_HOLDER));
        let text = format!("{}\n{holder}\n", claim.run);
        file.set_size(0).doing("writing the lease")?;
        write_full(file, text.as_bytes(), 0).doing("writing the lease")?;
        Ok(len > 0)
    }

    /// Gives the role back. What an unclean run leaves behind includes the lease file.
    pub(crate) fn give_back(self, root: &dyn Directory, clean: bool) -> Result<()> {
        let probe = remove(root, &names::probe(self.run, self.role));
        if clean
            && self.file.is_some()
            && let Some(name) = file_name(self.role)
        {
            // Still locked: whoever waits for it finds another file, or none, and tries again.
            remove(root, name)?;
        }
        if self.role == Role::Reader {
            Ok(())
        } else {
            probe
        }
    }
}

fn file_name(role: Role) -> Option<&'static [u8]> {
    match role {
        Role::Source => Some(names::SOURCE_LEASE),
        Role::Destination => Some(names::DESTINATION_LEASE),
        Role::Reader => None,
    }
}

fn lock(root: &dyn Directory, name: &[u8]) -> Result<Arc<dyn File>> {
    for _ in 0..MAX_TRIES {
        let file = match root.create(name) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                match root.open(name, Access::ReadWrite) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other.doing("opening the lease")?,
                }
            }
            other => other.doing("creating the lease")?,
        };
        if !file.try_lock().doing("locking the lease")? {
            return Err(busy(&*file));
        }
        // The holder before may have removed the file between our opening and our locking it.
        let ours = file.stat().doing("checking the lease")?.inode;
        if root.stat(name).is_ok_and(|stat| stat.inode == ours) {
            return Ok(file);
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        "other moves come and go here too fast to take the lease",
    ))
}

fn busy(file: &dyn File) -> Error {
    let mut text = [0; MAX_LEASE];
    let holder = read_full(file, &mut text, 0)
        .ok()
        .and_then(|len| parse(text.get(..len)?));
    let holder = holder.map_or_else(|| "somebody".to_owned(), |(_, holder)| holder);
    Error::new(
        ErrorKind::Busy,
        format!("another move holds this directory: {holder}"),
    )
}

fn parse(text: &[u8]) -> Option<(RunId, String)> {
    let mut lines = text.split(|&b| b == b'\n');
    let digits = std::str::from_utf8(lines.next()?).ok()?;
    let run = u128::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)?;
    let holder = Escaped(lines.next()?).to_string();
    Some((RunId::from_bytes(run.to_be_bytes()), holder))
}

fn remove(root: &dyn Directory, name: &[u8]) -> Result<()> {
    match root.unlink(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing a lease", error))
        }
        _ => Ok(()),
    }
}
