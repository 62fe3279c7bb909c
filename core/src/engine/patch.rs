//! A large file of which the destination has an older version: what is still the same is found
//! there, and only what is new is sent.
//!
//! A piece of the file at a time, the destination hashes where it should lie in the older version
//! (the *basis*), the source compares, and the destination applies the difference; several pieces
//! are on their way through that at once. Where nothing is found, content is sent as it is: for the
//! longer, the longer the search was in vain, unless the way is so slow that searching costs less.

use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt};

use super::Run;
use super::plan::Item;
use super::transfer::{misfit, target};
use crate::delta::{Delta, MAX_SIGNATURE_BLOCKS};
use crate::error::{ErrorKind, Result};
use crate::hash::{HashState, Misfit, TreeHasher};
use crate::metrics::Method;
use crate::range::ByteRange;
use crate::service::{Basis, DiffRequest, Difference, MAX_BLOCK, Patch, SignatureRequest};

/// How many blocks one piece has.
const PIECE_BLOCKS: u64 = 8;
/// How many bytes a piece has at least: around each the basis is looked at for some way too.
const MIN_PIECE: u64 = 1 << 20;
/// How many pieces are being compared at once.
const COMPARED: usize = 2;
/// How many differences are being applied at once.
const APPLIED: usize = 3;
/// How far around its expected place a piece is looked for, once something was not found.
const SLACK: u64 = 1 << 20;
/// How far beyond it while everything is found: as much may have been cut out without being missed.
const AHEAD: u64 = 256 << 10;
/// The size of a block where a partial is compared in place.
const IN_PLACE_BLOCK: u32 = 64 << 10;
/// A way that carries less than so many bytes per second is slower than a search.
const SEARCHED: u64 = 100 << 20;
/// How much further around a piece is looked for on such a way, per byte that was not found.
const EFFORT: u64 = 8;
/// How many pieces are sent as they are at most before the basis is asked again.
const MAX_UNASKED: u32 = 16;

/// How far a range was patched.
enum Patched {
    /// To its end.
    All,
    /// As far as here: nothing was found in the last piece.
    InVain(ByteRange),
    /// As far as here: the older version may be replaced, but not read.
    Forbidden(ByteRange),
}

/// A piece that was compared, unless the basis may not be read.
type Compared = Result<(ByteRange, Option<Difference>)>;

/// The piece that was applied, if it was not: the basis may not be read any more.
type Applied = Result<Option<ByteRange>>;

impl Run {
    /// Brings a range of the source into the partial, from its basis as far as that pays.
    pub(super) async fn patch_range(
        &self,
        item: &Item,
        patching: &mut Patching,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<()> {
        let mut rest = range;
        while !patching.forbidden {
            match self.patch(item, patching, hasher, rest).await? {
                Patched::All => return Ok(()),
                Patched::Forbidden(from_here) => {
                    patching.forbidden = true;
                    rest = from_here;
                }
                Patched::InVain(from_here) => {
                    rest = self.send_unasked(item, patching, hasher, from_here).await?;
                }
            }
        }
        self.send_blocks(item, Some(hasher), rest).await
    }

    /// Patches as much of a range as pays.
    async fn patch(
        &self,
        item: &Item,
        patching: &mut Patching,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<Patched> {
        let mut pieces = range.pieces_by(|| self.piece());
        let mut comparing: FuturesOrdered<BoxFuture<'_, Compared>> = FuturesOrdered::new();
        let mut applying: FuturesUnordered<BoxFuture<'_, Applied>> = FuturesUnordered::new();
        let mut patched = Patched::All;
        let mut refused = Vec::new();
        let from = |start| ByteRange::new(start, range.end()).map_err(|_| misfit(Misfit));
        loop {
            while comparing.len() < COMPARED
                && let Some(piece) = pieces.next()
            {
                let compared = self.compare(item, patching.request(item, piece), piece);
                comparing.push_back(Box::pin(compared));
            }
            let (piece, difference) = tokio::select! {
                Some(applied) = applying.next() => {
                    if let Some(piece) = applied? {
                        refused.push(piece);
                        patched = Patched::Forbidden(from(hasher.position())?);
                        break;
                    }
                    continue;
                }
                Some(compared) = comparing.next(), if applying.len() < APPLIED => compared?,
                else => break,
            };
            let Some(difference) = difference else {
                patched = Patched::Forbidden(from(piece.start())?);
                break;
            };
            hasher.push(&difference.hash, piece).map_err(misfit)?;
            patching.advance(&difference.delta, piece);
            let in_vain = difference.delta.data_len() == piece.len();
            let apply = self.apply(
                item,
                patching.basis.clone(),
                piece,
                difference.delta,
                hasher.state(),
            );
            applying.push(Box::pin(apply));
            if in_vain && piece.end() < range.end() {
                patched = Patched::InVain(from(piece.end())?);
                break;
            }
        }
        while let Some(applied) = applying.next().await {
            refused.extend(applied?);
        }
        // They are hashed already.
        for piece in refused {
            self.send_blocks(item, None, piece).await?;
        }
        Ok(patched)
    }

    /// How much of a file is compared at once.
    fn piece(&self) -> u64 {
        (self.block_size() * PIECE_BLOCKS).max(MIN_PIECE)
    }

    /// Compares a piece of the source with the basis, around where it is expected there.
    async fn compare(&self, item: &Item, asked: Asked, piece: ByteRange) -> Compared {
        let Asked { request, expected } = asked;
        let in_place = request.basis == Basis::Partial;
        let signature = match self.destination.calculate_signature(request).await {
            Err(error) if !in_place && is_of_basis(error.kind()) => {
                tracing::debug!(
                    target: "realize::file",
                    event = "file.not_patched",
                    path = %item.target,
                    reason = %error.chain()
                );
                return Ok((piece, None));
            }
            other => other?,
        };
        let request = DiffRequest {
            path: item.entry.path.clone(),
            version: item.entry.version.clone(),
            size: item.entry.size,
            range: piece,
            signature,
            expected,
            search: !in_place,
        };
        let difference = self.source.diff(request).await?;
        self.started(item);
        self.carried(Method::Diff, difference.delta.data_len(), piece.len());
        Ok((piece, Some(difference)))
    }

    async fn apply(
        &self,
        item: &Item,
        basis: Basis,
        range: ByteRange,
        delta: Delta,
        hash: Option<HashState>,
    ) -> Applied {
        let sent = delta.data_len();
        let in_place = basis == Basis::Partial;
        let patch = Patch {
            target: target(item),
            basis,
            range,
            delta,
            hash,
        };
        match self.destination.apply_patch(patch).await {
            Err(error) if !in_place && is_of_basis(error.kind()) => {
                return Ok(Some(range));
            }
            other => other?,
        }
        self.carried(Method::ApplyPatch, sent, range.len());
        self.progress(item, range.len(), sent);
        Ok(None)
    }

    /// Sends some of a range as it is, after a search was in vain; answers what is left of it.
    async fn send_unasked(
        &self,
        item: &Item,
        patching: &mut Patching,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<ByteRange> {
        if patching.slow || self.block_size() < MAX_BLOCK {
            patching.slow = true;
            return Ok(range);
        }
        let len = self.piece().saturating_mul(u64::from(patching.unasked));
        let mut parts = range.pieces(len);
        let Some(sent) = parts.next() else {
            return Ok(range);
        };
        let began = Instant::now();
        self.send_blocks(item, Some(hasher), sent).await?;
        patching.slow = (sent.len() as f64) < began.elapsed().as_secs_f64() * SEARCHED as f64;
        patching.unasked = (patching.unasked * 2).min(MAX_UNASKED);
        ByteRange::new(sent.end(), range.end()).map_err(|_| misfit(Misfit))
    }
}

/// Whether an error says that the older version cannot be had for a basis: it may not be read, or
/// somebody writes to it. What is sent does not need it.
fn is_of_basis(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Forbidden | ErrorKind::Changed | ErrorKind::InUse
    )
}

/// What a file is patched from, and what is known of how the two compare.
pub(super) struct Patching {
    basis: Basis,
    block: u32,
    /// How far ahead of the source's the basis's content lies.
    drift: i64,
    /// How much was not found in the basis since anything was, in bytes.
    missed: u64,
    /// How many pieces are sent as they are when nothing is found.
    unasked: u32,
    /// Whether the way is slower than a search.
    slow: bool,
    /// Whether the basis may not be read.
    forbidden: bool,
    saved: u64,
}

/// What the destination is asked about a piece, and where in the basis the piece is expected.
struct Asked {
    request: SignatureRequest,
    expected: u64,
}

impl Patching {
    pub(super) fn new(size: u64, basis: Option<Basis>) -> Option<Self> {
        let basis = basis?;
        let block = match basis {
            Basis::Partial => IN_PLACE_BLOCK,
            Basis::Final(_) => block_size(size),
        };
        Some(Self {
            basis,
            block,
            drift: 0,
            missed: 0,
            unasked: 1,
            slow: false,
            forbidden: false,
            saved: 0,
        })
    }

    fn request(&self, item: &Item, piece: ByteRange) -> Asked {
        let expected = piece.start().saturating_add_signed(self.drift);
        let range = match self.basis {
            Basis::Partial => piece,
            Basis::Final(_) => self.around(expected, piece),
        };
        let request = SignatureRequest {
            target: target(item),
            basis: self.basis.clone(),
            range,
            block: self.block,
        };
        Asked { request, expected }
    }

    /// The range of the basis in which a piece is looked for that is expected at `expected`. Its
    /// blocks are those that the piece begins with, if it lies there.
    fn around(&self, expected: u64, piece: ByteRange) -> ByteRange {
        let block = u64::from(self.block);
        let (before, after) = match self.missed {
            0 => (0, AHEAD),
            missed if self.slow => {
                let slack = missed.saturating_mul(EFFORT).max(SLACK);
                let most = (MAX_SIGNATURE_BLOCKS as u64 / 2 - 1) * block;
                let slack = slack.min(most.saturating_sub(piece.len()));
                (slack, slack)
            }
            _ => (SLACK, SLACK),
        };
        let start = expected - (before.min(expected) / block) * block;
        let end = expected.saturating_add(piece.len()).saturating_add(after);
        ByteRange::new(start, end).unwrap_or(piece)
    }

    fn advance(&mut self, delta: &Delta, piece: ByteRange) {
        let sent = delta.data_len();
        self.drift = delta.drift(piece.start()).unwrap_or(self.drift);
        self.saved = self.saved.saturating_add(piece.len().saturating_sub(sent));
        if delta.ends_found() {
            self.missed = 0;
        } else {
            self.missed = self.missed.saturating_add(sent);
        }
        if sent < piece.len() {
            self.unasked = 1;
        }
    }

    /// Says how much did not have to be sent.
    pub(super) fn log(&self, item: &Item) {
        tracing::debug!(target: "realize::file", event = "file.patched", path = %item.target, saved = self.saved);
    }
}

/// The size of the blocks in which a basis is hashed: near the square root of the size, as rsync
/// has it, between 1 and 64 KiB.
fn block_size(size: u64) -> u32 {
    let root = size.isqrt().next_power_of_two().clamp(1 << 10, 64 << 10);
    u32::try_from(root).unwrap_or(64 << 10)
}
