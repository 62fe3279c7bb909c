//! The rolling checksum: of a window that moves on by a byte at a time.

/// How many bytes are added side by side.
const COLUMNS: usize = 32;
/// How many rows of them are summed up at once: so few that no sum exceeds 16 bits.
const ROWS: usize = 20;

/// The rolling checksum over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rolling {
    a: u32,
    b: u32,
}

impl Rolling {
    pub(super) fn of(window: &[u8]) -> Self {
        let (mut a, mut b) = (0u32, 0u32);
        let (rows, rest) = window.as_chunks::<COLUMNS>();
        for rows in rows.chunks(ROWS) {
            // The sum of each column, and the sum of what that was after each row: in this shape the
            // compiler adds many bytes at once.
            let (mut sums, mut running) = ([0u16; COLUMNS], [0u16; COLUMNS]);
            for row in rows {
                for ((sum, running), &byte) in sums.iter_mut().zip(&mut running).zip(row) {
                    *sum = sum.wrapping_add(u16::from(byte));
                    *running = running.wrapping_add(*sum);
                }
            }
            // A byte counts as often as there are bytes from it to the end: COLUMNS times for each row
            // from its own on, but for those before it in its row.
            let (mut sum, mut weighted) = (0u32, 0u32);
            for (column, (of_column, running)) in (0u32..).zip(sums.into_iter().zip(running)) {
                sum += u32::from(of_column);
                weighted += COLUMNS as u32 * u32::from(running) - column * u32::from(of_column);
            }
            let len = (rows.len() * COLUMNS) as u32;
            b = b.wrapping_add(a.wrapping_mul(len)).wrapping_add(weighted);
            a = a.wrapping_add(sum);
        }
        for &byte in rest {
            a = a.wrapping_add(u32::from(byte));
            b = b.wrapping_add(a);
        }
        Self { a, b }
    }

    /// Moves the window, of `len` bytes, on by one.
    pub(super) fn roll(&mut self, out: u8, into: u8, len: u32) {
        let (out, into) = (u32::from(out), u32::from(into));
        self.a = self.a.wrapping_sub(out).wrapping_add(into);
        self.b = self
            .b
            .wrapping_sub(len.wrapping_mul(out))
            .wrapping_add(self.a);
    }

    pub(super) fn sum(self) -> u32 {
        (self.a & 0xffff) | (self.b << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums as they are defined, a byte at a time.
    fn defined(window: &[u8]) -> Rolling {
        let (mut a, mut b) = (0u32, 0u32);
        for (i, &byte) in window.iter().enumerate() {
            a = a.wrapping_add(u32::from(byte));
            b = b.wrapping_add((window.len() - i) as u32 * u32::from(byte));
        }
        Rolling { a, b }
    }

    #[test]
    fn a_window_that_moved_has_the_sum_of_what_is_in_it() {
        let data: Vec<u8> = (0..5000u32).map(|i| (i * i % 251) as u8).collect();
        for len in [1, 63, 64, 65, 700, 4096] {
            let mut rolling = Rolling::of(&data[..len]);
            assert_eq!(rolling, defined(&data[..len]));
            for at in 1..300 {
                rolling.roll(data[at - 1], data[at + len - 1], len as u32);
                assert_eq!(rolling, defined(&data[at..at + len]));
            }
        }
        let most = vec![255; 1 << 20];
        assert_eq!(Rolling::of(&most), defined(&most));
    }
}
