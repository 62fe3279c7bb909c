//! The content of files: reading and hashing it, signatures, differences, blocks and patches.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::Storage;
use super::fs::{Access, Directory, File, Kind, Stat, read_full};
use super::packed::Packed;
use super::partial::{self, Partial, Stale};
use super::place::Missing;
use super::read_back::OpenPartial;
use super::version::{Became, LocalVersion};
use crate::delta::{self, BlockHash, DeltaOp, Signature, Signer};
use crate::entry::{Timestamp, Version};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::{RangeHash, TreeHasher};
use crate::path::RelPath;
use crate::range::ByteRange;
use crate::service::{
    Basis, Block, DiffRequest, Difference, Hash, MAX_BATCH_BYTES, MAX_BLOCK, MAX_DIFF_RANGE, Patch,
    Read, ReadWhole, Role, SendBlock, SignatureRequest, Target,
};

/// How much is read at once for hashing and copying.
pub(super) const BUFFER: usize = 1 << 18;

impl Storage {
    pub(crate) fn read(&self, read: &Read) -> Result<Block> {
        if read.range.len() > MAX_BLOCK {
            return Err(invalid("the block is longer than a block may be"));
        }
        let file = self.open_version(&read.path, &read.version)?;
        let start = read.range.start();
        let hole_end = match file.next_data(start).doing("looking for data")? {
            Some(data) => data,
            None => file.stat().doing("looking at the file")?.size,
        };
        if !read.range.is_empty() && hole_end >= read.range.end() {
            self.check_version(&*file, &read.version)?;
            return Ok(Block::Hole(read.range.len()));
        }
        let mut buffer = self.buffers.take();
        let space = buffer.space(read.range.len() as usize);
        let count = read_full(&*file, space, start).doing("reading")?;
        self.check_version(&*file, &read.version)?;
        Ok(Block::Data(buffer.into_bytes(count)))
    }

    pub(crate) fn read_batch(&self, reads: &[ReadWhole]) -> Result<Vec<Result<Bytes>>> {
        let bytes = reads
            .iter()
            .fold(0u64, |sum, read| sum.saturating_add(read.size));
        if bytes > MAX_BATCH_BYTES {
            return Err(invalid("the batch holds more bytes than a batch may"));
        }
        let mut places = self.places();
        let mut packed = Packed::new(&self.buffers);
        let mut read_one = |read: &ReadWhole| {
            let place = places.parent(&read.path, Missing::Fail)?;
            let file = self.open_in(&*place.directory, &read.path, &read.version)?;
            packed.add(read.size as usize, |space| {
                // That it grew, its version says.
                let count = read_full(&*file, space, 0).doing("reading")?;
                if count == space.len() {
                    self.check_version(&*file, &read.version)
                } else {
                    Err(changed())
                }
            })
        };
        let places: Vec<_> = reads
            .iter()
            .map(|read| read_one(read).map_err(|e| e.at(&read.path)))
            .collect();
        Ok(packed.into_parts(places))
    }

    pub(crate) fn hash(&self, hash: &Hash) -> Result<RangeHash> {
        let _reading = self.reading();
        let file = self.open_version(&hash.path, &hash.version)?;
        let mut hasher = TreeHasher::range(hash.size, hash.range.start()).map_err(misfit)?;
        if hash.range.end() > hash.size {
            return Err(invalid("the range lies beyond the file's end"));
        }
        self.hash_on(&*file, &mut hasher, hash.range.end())?;
        self.check_version(&*file, &hash.version)?;
        hasher.into_range().map_err(misfit)
    }

    pub(crate) fn calculate_signature(&self, request: &SignatureRequest) -> Result<Signature> {
        let _reading = self.reading();
        let (file, hash) = match &request.basis {
            // If blocks were taken for each other, the partial is mended.
            Basis::Final(version) => {
                let file = self.open_version(&request.target.path, version)?;
                (file, BlockHash::Quick)
            }
            Basis::Partial => {
                self.check_role(Role::Destination)?;
                let _writing = self.construction.write(&request.target.path)?;
                let partial = self.partial(&request.target, Stale::Keep)?;
                (Arc::clone(partial.lock().file()), BlockHash::Exact)
            }
        };
        let size = file.stat().doing("looking at the older version")?.size;
        let whole = ByteRange::new(0, size).map_err(|_| invalid("the file is too large"))?;
        let range = request.range.clamp_to(whole);
        let mut signer = Signer::new(range, request.block, hash).map_err(bad_delta)?;
        // Blocks count from the range's start, whatever the pieces that are read.
        let block = u64::from(request.block);
        let step = block * (BUFFER as u64 / block).max(1);
        let mut buffer = self.buffers.take();
        let mut at = range.start();
        while at < range.end() {
            let piece = ByteRange::at(at, step).map_err(|_| changed())?;
            let piece = piece.clamp_to(range);
            let bytes = buffer.space(piece.len() as usize);
            if read_full(&*file, bytes, at).doing("reading")? != bytes.len() {
                return Err(changed());
            }
            signer.update(bytes);
            at = piece.end();
            self.go_on()?;
        }
        signer.finish().map_err(bad_delta)
    }

    pub(crate) fn diff(&self, request: &DiffRequest) -> Result<Difference> {
        if request.range.len() > MAX_DIFF_RANGE {
            return Err(invalid("the range is longer than a diff may look at"));
        }
        let file = self.open_version(&request.path, &request.version)?;
        let start = request.range.start();
        let mut hasher = TreeHasher::range(request.size, start).map_err(misfit)?;
        let mut buffer = self.pieces.take();
        // Hashed while it is in the processor's cache.
        let mut at = start;
        for bytes in buffer
            .space(request.range.len() as usize)
            .chunks_mut(BUFFER)
        {
            if read_full(&*file, bytes, at).doing("reading")? != bytes.len() {
                return Err(changed());
            }
            hasher.update(bytes).map_err(misfit)?;
            at = at.saturating_add(bytes.len() as u64);
        }
        self.check_version(&*file, &request.version)?;
        let data = buffer.into_bytes(request.range.len() as usize);
        let hash = hasher.into_range().map_err(misfit)?;
        let delta = delta::diff(&data, &request.signature, request.expected, request.search);
        let delta = delta.detached(data.len());
        Ok(Difference { delta, hash })
    }

    pub(crate) fn send(&self, send: &SendBlock) -> Result<()> {
        let _working = self.work_as(Role::Destination)?;
        let _writing = self.construction.write(&send.target.path)?;
        if send.block.len() > MAX_BLOCK {
            return Err(invalid("the block is longer than a block may be"));
        }
        let partial = self.partial(&send.target, Stale::Discard)?;
        partial
            .lock()
            .write(send.offset, &send.block, send.hash.as_ref())?;
        self.read_back(&partial, send.block.len());
        Ok(())
    }

    /// Reads some of what has arrived back. What cannot be read is met again when it is finished.
    fn read_back(&self, partial: &OpenPartial, written: u64) {
        if let Err(error) = partial.catch_up(self, written) {
            tracing::debug!(event = "file.not_read_back", reason = %error.chain());
        }
    }

    pub(crate) fn apply_patch(&self, patch: &Patch) -> Result<()> {
        let _working = self.work_as(Role::Destination)?;
        let _writing = self.construction.write(&patch.target.path)?;
        let in_place = patch.basis == Basis::Partial;
        let basis = match &patch.basis {
            Basis::Final(version) => Some(self.open_version(&patch.target.path, version)?),
            Basis::Partial => None,
        };
        let size = match &basis {
            Some(file) => file.stat().doing("looking at the older version")?.size,
            None => patch.target.size,
        };
        patch
            .delta
            .check(patch.range, size, in_place)
            .map_err(bad_delta)?;
        if patch.range.len() > MAX_DIFF_RANGE || patch.range.end() > patch.target.size {
            return Err(invalid(
                "the patch is longer than one may be, or lies beyond the end",
            ));
        }
        let stale = if in_place {
            Stale::Keep
        } else {
            Stale::Discard
        };
        let opened = self.partial(&patch.target, stale)?;
        let mut partial = opened.lock();
        partial.look(patch.range.start())?;
        let mut buffer = self.buffers.take();
        let mut at = patch.range.start();
        for op in patch.delta.ops() {
            match (op, &basis) {
                (DeltaOp::Data(data), _) => partial.write_unnoted(at, data)?,
                (DeltaOp::Copy(range), Some(file)) => {
                    partial::copy(&partial, &**file, *range, at, buffer.space(BUFFER))?;
                }
                // In place, what is to be copied is there already.
                (DeltaOp::Copy(_), None) => {}
            }
            at = at.saturating_add(op.len());
        }
        partial.arrived(patch.range, patch.hash.as_ref())?;
        drop(partial);
        self.read_back(&opened, patch.range.len());
        Ok(())
    }

    pub(super) fn partial(&self, target: &Target, stale: Stale) -> Result<Arc<OpenPartial>> {
        let fits = |partial: &OpenPartial| partial.is_for(target);
        let origin = self.origin();
        self.partials.find_or_open(&target.path, fits, || {
            let place = self.places().parent(&target.path, Missing::Create)?;
            Partial::open(&*place.directory, &self.names, target, origin, stale)
        })
    }

    /// Opens a file that must be `version`, or finds it open.
    pub(super) fn open_version(&self, path: &RelPath, version: &Version) -> Result<Arc<dyn File>> {
        if let Some(file) = self.opened.find(path)
            && self.check_version(&*file, version).is_ok()
        {
            return Ok(file);
        }
        let place = self.places().parent(path, Missing::Fail)?;
        let file = self.open_in(&*place.directory, path, version)?;
        self.opened.keep(path, &file);
        Ok(file)
    }

    fn open_in(
        &self,
        directory: &dyn Directory,
        path: &RelPath,
        version: &Version,
    ) -> Result<Arc<dyn File>> {
        let (file, stat) = self.open_unsettled(directory, path, version)?;
        self.settle(&*file, version, stat.changed)?;
        Ok(file)
    }

    /// Opens a file that must be `version`, and that nobody writes. A change of it within the tick
    /// of its last one may have been overlooked.
    pub(super) fn open_unsettled(
        &self,
        directory: &dyn Directory,
        path: &RelPath,
        version: &Version,
    ) -> Result<(Arc<dyn File>, Stat)> {
        let file = match directory.open(path.file_name(), Access::Read) {
            Err(error) if ErrorKind::of_io(&error) == ErrorKind::Conflict => {
                return Err(changed().because(error));
            }
            // What was listed is gone: somebody else took it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::NotFound, "it is not there any more"));
            }
            other => other.doing("opening the file")?,
        };
        let stat = file.stat().doing("looking at the file")?;
        if stat.kind != Kind::File {
            return Err(changed());
        }
        let expected = LocalVersion::parse(version)?;
        if LocalVersion::of(&stat) != expected {
            self.check_version(&*file, version)?;
        }
        if file.has_writer() {
            return Err(Error::new(
                ErrorKind::InUse,
                "a process has it open for writing",
            ));
        }
        Ok((file, stat))
    }

    /// Waits until a later change of the file would show in its times: within one tick of the file
    /// system's clock it does not. `changed` is when it was last changed. A tick is 10 ms at most where times have nanoseconds, and up to
    /// two seconds (FAT) where they have none.
    fn settle(&self, file: &dyn File, version: &Version, changed: Timestamp) -> Result<()> {
        let tick = Duration::from_millis(if changed.nanos == 0 { 2000 } else { 20 });
        let now = self.clock.now();
        let Ok(since) = now.duration_since(UNIX_EPOCH) else {
            return Ok(());
        };
        let past = u64::try_from(changed.seconds).is_ok_and(|s| Duration::new(s, 0) <= since);
        let age = changed.age(now);
        if !past || age >= tick {
            return Ok(());
        }
        std::thread::sleep(tick.saturating_sub(age));
        self.check_version(file, version)
    }

    pub(super) fn check_version(&self, file: &dyn File, version: &Version) -> Result<()> {
        let expected = LocalVersion::parse(version)?;
        let still = self.linked.is_still(&expected, || file.stat());
        if still.doing("looking at the file")? {
            return Ok(());
        }
        let after = LocalVersion::of(&file.stat().doing("looking at the file")?);
        let before = expected;
        Err(changed().because(Became { before, after }))
    }
}

pub(super) fn changed() -> Error {
    Error::new(ErrorKind::Changed, "it changed while it was being read")
}

pub(super) fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

pub(super) fn misfit(error: crate::hash::Misfit) -> Error {
    invalid("the range cannot be hashed").because(error)
}

fn bad_delta(error: delta::InvalidDelta) -> Error {
    invalid("the signature or the delta is not valid").because(error)
}
