//! One run at a time per source and per destination, and whether a run meets itself.
//!
//! A lease is a locked file in the root; the lock goes with the process, whatever ends it. The file
//! names the holder, for whoever comes second. A run that leaves nothing behind removes it: one that
//! is there, and not locked, tells the next run that something may have been left.

use std::sync::Arc;

use super::fs::{Access, Directory, File, read_full, write_full};
use super::names;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::{Escaped, is_numbered};
use crate::service::{Claim, Ending, Origin, Role, RunId};

/// How often a claim tries again when the lease file vanishes under it.
const MAX_TRIES: usize = 16;
/// What is said of a lease file that cannot be opened.
const THEIRS: &str = "another user's move holds this directory, or has left its lease file there";
/// How many bytes of a holder's name are kept.
const MAX_HOLDER: usize = 200;

/// A role taken for a run.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) role: Role,
    pub(crate) run: RunId,
    pub(crate) origin: Origin,
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
            origin: claim.origin,
            unclean: false,
            file: None,
        };
        let Some(name) = file_name(claim.role) else {
            return Ok(lease);
        };
        match lock(root, name) {
            Ok((file, created)) => {
                lease.unclean = !created;
                if lease.unclean {
                    remove_probes(root, claim.role)?;
                }
                match write_holder(&*file, claim) {
                    // Nobody gets to know who has it; a full source is to be emptied all the same.
                    Err(error) if error.kind() == ErrorKind::Full && claim.role == Role::Source => {
                    }
                    other => other?,
                }
                lease.file = Some(file);
            }
            // Nothing in the root can be deleted by us, but perhaps deeper down. Or the disk is full,
            // and to be emptied.
            Err(error)
                if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Full)
                    && claim.role == Role::Source =>
            {
                // Whether the run before came to its end is not known then.
                lease.unclean = true;
                tracing::warn!(
                    event = "lease.unavailable",
                    reason = %error.chain(),
                    "the source cannot be locked against other moves"
                );
                return Ok(lease);
            }
            Err(error) => return Err(error),
        }
        match root.create(&names::probe(claim.run, claim.role)) {
            // The other end's probe does as well.
            Err(error)
                if ErrorKind::of_io(&error) == ErrorKind::Full && claim.role == Role::Source => {}
            other => drop(other.doing("creating this run's probe")?),
        }
        Ok(lease)
    }

    /// Gives the role back. A destination's lease file stays where a partial may be left: it tells
    /// the next run to look for some.
    pub(crate) fn give_back(self, root: &dyn Directory, ending: Ending) -> Result<()> {
        let (Some(_), Some(name)) = (&self.file, file_name(self.role)) else {
            return Ok(());
        };
        remove(root, &names::probe(self.run, self.role))?;
        // Still locked: whoever waits for it finds another file, or none, and tries again.
        let keep = match ending {
            Ending::Clean => false,
            Ending::Done | Ending::Failed => self.unclean,
            Ending::Interrupted => true,
        };
        if keep && self.role == Role::Destination {
            Ok(())
        } else {
            remove(root, name)
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

fn write_holder(file: &dyn File, claim: &Claim) -> Result<()> {
    let mut holder = claim.holder.clone();
    holder.truncate(holder.floor_char_boundary(MAX_HOLDER));
    file.set_size(0).doing("writing the lease")?;
    write_full(file, holder.as_bytes(), 0).doing("writing the lease")
}

/// Removes the probes that earlier runs left: no other run has the role now.
fn remove_probes(root: &dyn Directory, role: Role) -> Result<()> {
    for entry in root
        .entries()
        .doing("looking for what an earlier run left")?
    {
        let name = entry.doing("looking for what an earlier run left")?.name;
        if is_numbered(&name) && name.ends_with(names::probe_ending(role)) {
            remove(root, &name)?;
        }
    }
    Ok(())
}

/// Opens and locks the lease file; answers whether it was made for it.
fn lock(root: &dyn Directory, name: &[u8]) -> Result<(Arc<dyn File>, bool)> {
    for _ in 0..MAX_TRIES {
        let mut created = true;
        let file = match root.create(name) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                created = false;
                match root.open(name, Access::ReadWrite) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    // A move that another user makes, or made: its lock cannot be looked at.
                    Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                        return Err(Error::io(THEIRS, error).with_kind(ErrorKind::Busy));
                    }
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
            return Ok((file, created));
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        "other moves come and go here too fast to take the lease",
    ))
}

fn busy(file: &dyn File) -> Error {
    let mut text = [0; MAX_HOLDER];
    let len = read_full(file, &mut text, 0).unwrap_or(0);
    let holder = Escaped(text.get(..len).unwrap_or_default()).to_string();
    let holder = if holder.is_empty() {
        "somebody".to_owned()
    } else {
        holder
    };
    Error::new(
        ErrorKind::Busy,
        format!("another move holds this directory: {holder}"),
    )
}

fn remove(root: &dyn Directory, name: &[u8]) -> Result<()> {
    match root.unlink(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing a lease", error))
        }
        _ => Ok(()),
    }
}
