//! Hashes of content: BLAKE3, computed in pieces that can be kept and joined.
//!
//! BLAKE3 is a tree: the hash of a file is made of the chaining values of its subtrees. A
//! [`TreeHasher`] takes the content in order, as bytes or as subtrees that somebody else hashed, and
//! its [`HashState`] (a handful of chaining values) is all that must be kept to go on later without
//! hashing anything twice. The tree is that of the BLAKE3 specification, section 2.1; the digest
//! is what `b3sum` prints.

use std::fmt;
use std::str::FromStr;

use blake3::Hasher;
use blake3::hazmat::{self, HasherExt, Mode};
use serde::{Deserialize, Serialize};

use crate::range::{ByteRange, MAX_FILE_SIZE};

/// The size of BLAKE3's leaves in bytes: states exist, and ranges can be hashed, at multiples of it.
pub const CHUNK: u64 = 1024;

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a whole file's content.
    pub fn of_content(content: &[u8]) -> Self {
        Self(blake3::hash(content).into())
    }

    /// The hash of a symbolic link's target, in a domain of its own: a link never equals a file.
    pub fn of_link(target: &[u8]) -> Self {
        Self(blake3::derive_key(
            "realize 2026 symbolic link target",
            target,
        ))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// A text that is no [`Digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    /// Reads what `Display` writes; capitals count too.
    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(NoDigest);
        };
        if pairs.len() != 32 {
            return Err(NoDigest);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NoDigest);
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A subtree's chaining value and how many bytes of content it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtree {
    len: u64,
    value: [u8; 32],
}

impl Subtree {
    /// A subtree from its parts, as they came off a wire.
    ///
    /// # Errors
    /// [`Misfit`] if it stands for nothing, or for more than a file can hold.
    pub fn new(size: u64, value: [u8; 32]) -> Result<Self, Misfit> {
        if (1..=MAX_FILE_SIZE).contains(&size) {
            Ok(Self { len: size, value })
        } else {
            Err(Misfit)
        }
    }

    /// How many bytes of content it stands for: at least one.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Its chaining value.
    pub fn value(&self) -> &[u8; 32] {
        &self.value
    }
}

/// The hash of a range, in a form that a [`TreeHasher`] can take in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeHash {
    /// The range was the whole file.
    Whole(Digest),
    /// Consecutive subtrees that cover the range.
    Part(Vec<Subtree>),
}

/// How far a file has been hashed, and the chaining values to go on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashState {
    stack: Vec<Subtree>,
}

impl HashState {
    /// A state from its parts, as they came off a wire.
    ///
    /// # Errors
    /// [`Misfit`] if no [`TreeHasher`] could have produced it.
    pub fn new(subtrees: Vec<Subtree>) -> Result<Self, Misfit> {
        let state = Self { stack: subtrees };
        if state.is_valid() {
            Ok(state)
        } else {
            Err(Misfit)
        }
    }

    /// The subtrees hashed so far, in order.
    pub fn subtrees(&self) -> &[Subtree] {
        &self.stack
    }

    /// How many bytes have been hashed.
    pub fn position(&self) -> u64 {
        self.stack
            .iter()
            .fold(0, |sum, subtree| sum.saturating_add(subtree.len))
    }

    /// Whether it is one that a [`TreeHasher`] could have produced: subtrees of a power of two
    /// chunks, each smaller than the one before.
    pub(crate) fn is_valid(&self) -> bool {
        let powers = self
            .stack
            .iter()
            .all(|s| s.len >= CHUNK && s.len.is_power_of_two() && s.len < 1 << 62);
        powers
            && self
                .stack
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if a.len > b.len))
    }
}

/// A piece that does not continue the content: not at the position reached, or beyond its end, or
/// not cut at a multiple of [`CHUNK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hashed piece does not fit the content at its place")]
pub struct Misfit;

/// The hash of a file whose size is known, or of a range of it, taken in order.
#[derive(Clone, Debug)]
pub struct TreeHasher {
    total: u64,
    start: u64,
    position: u64,
    stack: Vec<Subtree>,
    whole: Option<Digest>,
}

impl TreeHasher {
    /// A hasher for content of `total` bytes.
    pub fn new(total: u64) -> Self {
        let whole = (total == 0).then(|| Digest::of_content(&[]));
        Self {
            total,
            start: 0,
            position: 0,
            stack: Vec::new(),
            whole,
        }
    }

    /// A hasher for a range that begins at `start` in content of `total` bytes.
    ///
    /// # Errors
    /// [`Misfit`] if `start` is no multiple of [`CHUNK`] or lies beyond the content.
    pub fn range(total: u64, start: u64) -> Result<Self, Misfit> {
        if start > total || !start.is_multiple_of(CHUNK) {
            return Err(Misfit);
        }
        Ok(Self {
            start,
            position: start,
            ..Self::new(total)
        })
    }

    /// A hasher that goes on from `state`.
    ///
    /// # Errors
    /// [`Misfit`] if `state` is not one of content of `total` bytes, or is complete.
    pub fn resume(total: u64, state: HashState) -> Result<Self, Misfit> {
        let position = state.position();
        if !state.is_valid() || (position >= total && position > 0) {
            return Err(Misfit);
        }
        Ok(Self {
            position,
            stack: state.stack,
            ..Self::new(total)
        })
    }

    /// How many bytes the content has.
    pub fn size(&self) -> u64 {
        self.total
    }

    /// Up to where it has taken in the content, in bytes from the content's beginning.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// [`Misfit`] if they go beyond the content's end, or the position is no multiple of [`CHUNK`].
    pub fn update(&mut self, data: &[u8]) -> Result<(), Misfit> {
        let range = ByteRange::at(self.position, data.len() as u64).map_err(|_| Misfit)?;
        let hash = hash_range(self.total, range, data)?;
        self.push(&hash, range)
    }

    /// Takes in the hash of `range`, which must be what comes next.
    ///
    /// # Errors
    /// [`Misfit`] if it is not, or the hash is not one of such a range.
    pub fn push(&mut self, hash: &RangeHash, range: ByteRange) -> Result<(), Misfit> {
        if range.start() != self.position || range.end() > self.total {
            return Err(Misfit);
        }
        match hash {
            RangeHash::Whole(digest) => {
                if range.start() != 0 || range.end() != self.total {
                    return Err(Misfit);
                }
                self.whole = Some(*digest);
                self.position = self.total;
            }
            RangeHash::Part(subtrees) => {
                let len = subtrees
                    .iter()
                    .try_fold(0u64, |sum, s| sum.checked_add(s.len));
                if len != Some(range.len()) {
                    return Err(Misfit);
                }
                for subtree in subtrees {
                    self.push_subtree(*subtree)?;
                }
            }
        }
        Ok(())
    }

    fn push_subtree(&mut self, subtree: Subtree) -> Result<(), Misfit> {
        let end = self.position.checked_add(subtree.len).ok_or(Misfit)?;
        let fits = subtree.len > 0
            && hazmat::max_subtree_len(self.position).is_none_or(|max| subtree.len <= max)
            && (end == self.total || (subtree.len.is_power_of_two() && subtree.len >= CHUNK))
            && !(self.position == 0 && end == self.total);
        if !fits {
            return Err(Misfit);
        }
        self.position = end;
        self.stack.push(subtree);
        // Siblings are joined, except at the end of the content, where the last join is the root's.
        while self.position < self.total {
            let [.., left, right] = self.stack.as_slice() else {
                break;
            };
            let start = self
                .position
                .saturating_sub(left.len)
                .saturating_sub(right.len);
            let siblings = left.len == right.len
                && hazmat::max_subtree_len(start).is_none_or(|max| left.len < max);
            if !siblings {
                break;
            }
            let joined = join(*left, *right);
            self.stack.truncate(self.stack.len() - 2);
            self.stack.push(joined);
        }
        Ok(())
    }

    /// What must be kept to go on from here: only before the end, at a multiple of [`CHUNK`].
    pub fn state(&self) -> Option<HashState> {
        let resumable = self.start == 0 && self.position < self.total;
        resumable.then(|| HashState {
            stack: self.stack.clone(),
        })
    }

    /// The hash of what it has taken in, for another hasher to take in.
    ///
    /// # Errors
    /// [`Misfit`] never, but for an empty range that is not the whole content.
    pub fn into_range(self) -> Result<RangeHash, Misfit> {
        if self.start == 0 && self.position == self.total {
            return self.finish().map(RangeHash::Whole);
        }
        if self.stack.is_empty() {
            Err(Misfit)
        } else {
            Ok(RangeHash::Part(self.stack))
        }
    }

    /// The hash of the content.
    ///
    /// # Errors
    /// [`Misfit`] if it has not taken in all of it.
    pub fn finish(mut self) -> Result<Digest, Misfit> {
        if let Some(digest) = self.whole {
            return Ok(digest);
        }
        if self.position != self.total || self.start != 0 {
            return Err(Misfit);
        }
        let mut right = self.stack.pop().ok_or(Misfit)?;
        while let Some(left) = self.stack.pop() {
            if self.stack.is_empty() {
                let root = hazmat::merge_subtrees_root(&left.value, &right.value, Mode::Hash);
                return Ok(Digest(root.into()));
            }
            right = join(left, right);
        }
        Err(Misfit)
    }
}

fn join(left: Subtree, right: Subtree) -> Subtree {
    let value = hazmat::merge_subtrees_non_root(&left.value, &right.value, Mode::Hash);
    Subtree {
        len: left.len.saturating_add(right.len),
        value,
    }
}

/// Hashes `data`, which is `range` of content of `total` bytes.
///
/// # Errors
/// [`Misfit`] if `data` is not as long as `range`, the range goes beyond the content, or an end of
/// it is neither the content's end nor a multiple of [`CHUNK`].
pub fn hash_range(total: u64, range: ByteRange, data: &[u8]) -> Result<RangeHash, Misfit> {
    if range.len() != data.len() as u64
        || range.end() > total
        || !range.start().is_multiple_of(CHUNK)
        || !(range.end() == total || range.end().is_multiple_of(CHUNK))
    {
        return Err(Misfit);
    }
    if range.start() == 0 && range.end() == total {
        return Ok(RangeHash::Whole(Digest::of_content(data)));
    }
    let mut subtrees = Vec::new();
    let mut position = range.start();
    let mut rest = data;
    while !rest.is_empty() {
        let len = subtree_len(total, position, rest.len() as u64);
        let (piece, after) = rest.split_at_checked(len as usize).ok_or(Misfit)?;
        let mut hasher = Hasher::new();
        hasher.set_input_offset(position).update(piece);
        subtrees.push(Subtree {
            len,
            value: hasher.finalize_non_root(),
        });
        position = position.saturating_add(len);
        rest = after;
    }
    Ok(RangeHash::Part(subtrees))
}

/// The longest subtree that starts at `position` and lies within the next `available` bytes.
fn subtree_len(total: u64, position: u64, available: u64) -> u64 {
    let aligned = hazmat::max_subtree_len(position).unwrap_or(u64::MAX);
    let reaches_end = position.checked_add(available) == Some(total);
    if reaches_end && available <= aligned && position > 0 {
        return available;
    }
    // At position 0 the whole content is no subtree but the root: its left half comes first.
    let longest = if reaches_end && position == 0 {
        hazmat::left_subtree_len(available)
    } else {
        1 << (63 - available.max(1).leading_zeros())
    };
    longest.min(aligned)
}

#[cfg(test)]
mod tests;
