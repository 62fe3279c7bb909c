//! The rolling checksum: of a window that moves on by a byte at a time.

/// How many bytes are summed up at once: few enough for their weights to fit 16 bits.
const LANE: usize = 64;

/// The rolling checksum over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rolling {
    a: u32,
    b: u32,
}

impl Rolling {
    pub(super) fn of(window: &[u8]) -> Self {
        let (mut a, mut b) = (0u32, 0u32);
        let (lanes, rest) = window.as_chunks::<LANE>();
        for lane in lanes {
            // Each byte counts as often as there are bytes from it to the lane's end. In this shape
            // the compiler sums up many bytes at once.
            let (mut sum, mut weighted) = (0i32, 0i32);
            for (i, &byte) in lane.iter().enumerate() {
                sum += i32::from(byte);
                weighted += i32::from((LANE - i) as i16) * i32::from(i16::from(byte));
            }
            b = b
                .wrapping_add(a.wrapping_mul(LANE as u32))
                .wrapping_add(weighted.cast_unsigned());
            a = a.wrapping_add(sum.cast_unsigned());
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
