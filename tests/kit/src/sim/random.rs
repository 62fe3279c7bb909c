//! Chance that a seed repeats.

/// A sequence of numbers that a seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// How likely the things of one kind are, out of 4. The extremes are what uniform coins would
    /// all but never try: that all of many pages were written, or none.
    pub(super) fn luck(&mut self) -> u64 {
        [0, 2, 4][self.below(3) as usize]
    }

    /// Whether something happens that is as likely as `luck` says.
    pub(super) fn coin(&mut self, luck: u64) -> bool {
        self.below(4) < luck
    }

    /// How many of `len` things in order have happened.
    pub(super) fn prefix(&mut self, len: usize) -> usize {
        match self.below(4) {
            0 => 0,
            1 => len,
            _ => self.below(len as u64 + 1) as usize,
        }
    }
}
