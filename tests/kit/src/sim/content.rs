//! What a file holds: 4 KiB pages, those the process sees and those the disk has.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::random::Random;

/// The unit in which content is stored and reaches the disk.
pub(super) const PAGE_LEN: u64 = 4096;

/// The space of one device, in pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Space {
    /// How many pages it has, where it has an end.
    pub(super) capacity: Option<u64>,
    pub(super) used: u64,
}

impl Space {
    pub(super) fn free(&self) -> u64 {
        match self.capacity {
            Some(capacity) => capacity.saturating_sub(self.used),
            None => u64::MAX / PAGE_LEN / 16,
        }
    }

    fn take(&mut self) -> bool {
        let fits = self.free() > 0;
        self.used += u64::from(fits);
        fits
    }

    fn give(&mut self, pages: u64) {
        self.used = self.used.saturating_sub(pages);
    }
}

/// One state of a file's content; a page that is absent is a hole.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pub(super) size: u64,
    map: BTreeMap<u64, Arc<[u8; PAGE_LEN as usize]>>,
}

impl Pages {
    pub(super) fn count(&self) -> u64 {
        self.map.len() as u64
    }

    /// Its pages that are not all zeros, by number.
    pub(super) fn nonzero(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let pages = self
            .map
            .iter()
            .map(|(index, page)| (*index, page.as_slice()));
        pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0))
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let len = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < len {
            let (index, start, count) = piece(offset + done as u64, len - done);
            let part = &mut buffer[done..done + count];
            match self.map.get(&index) {
                Some(page) => part.copy_from_slice(&page[start..start + count]),
                None => part.fill(0),
            }
            done += count;
        }
        len
    }

    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        let (index, _) = self.map.range(offset / PAGE_LEN..).next()?;
        Some(offset.max(index * PAGE_LEN)).filter(|data| *data < self.size)
    }

    /// Drops what lies beyond the end, so that growing again finds zeros.
    fn trim(&mut self) -> Vec<u64> {
        let mut touched: Vec<u64> = self
            .map
            .split_off(&self.size.div_ceil(PAGE_LEN))
            .into_keys()
            .collect();
        let (last, tail) = (self.size / PAGE_LEN, (self.size % PAGE_LEN) as usize);
        if let Some(page) = self.map.get_mut(&last)
            && page[tail..].iter().any(|byte| *byte != 0)
        {
            Arc::make_mut(page)[tail..].fill(0);
            touched.push(last);
        }
        touched
    }
}

/// The page at `offset`, where in it that is, and how much of `len` lies in it.
fn piece(offset: u64, len: usize) -> (u64, usize, usize) {
    let start = (offset % PAGE_LEN) as usize;
    (offset / PAGE_LEN, start, len.min(PAGE_LEN as usize - start))
}

/// A regular file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) live: Pages,
    durable: Pages,
    /// The pages that differ, as the kernel believes: those that a sync writes.
    dirty: BTreeSet<u64>,
}

impl Content {
    /// Writes as much as there is space for.
    pub(super) fn write(&mut self, data: &[u8], offset: u64, space: &mut Space) -> usize {
        let mut done = 0;
        while done < data.len() {
            let (index, start, count) = piece(offset + done as u64, data.len() - done);
            let page = match self.live.map.entry(index) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(_) if !space.take() => break,
                Entry::Vacant(entry) => entry.insert(Arc::new([0; PAGE_LEN as usize])),
            };
            Arc::make_mut(page)[start..start + count].copy_from_slice(&data[done..done + count]);
            self.dirty.insert(index);
            done += count;
        }
        if done > 0 {
            self.live.size = self.live.size.max(offset + done as u64);
        }
        done
    }

    pub(super) fn set_size(&mut self, size: u64, space: &mut Space) {
        let before = self.live.count();
        self.live.size = size;
        self.dirty.extend(self.live.trim());
        space.give(before - self.live.count());
    }

    pub(super) fn punch_hole(&mut self, offset: u64, len: u64, space: &mut Space) {
        let end = offset.saturating_add(len);
        // Beyond the end of the file there is nothing to keep of its last page.
        let end = if end >= self.live.size {
            end.next_multiple_of(PAGE_LEN)
        } else {
            end
        };
        let touched = self
            .live
            .map
            .range(offset / PAGE_LEN..end.div_ceil(PAGE_LEN));
        for index in touched.map(|(index, _)| *index).collect::<Vec<_>>() {
            let page_start = index * PAGE_LEN;
            let from = offset.saturating_sub(page_start) as usize;
            let to = (end - page_start).min(PAGE_LEN) as usize;
            if to - from == PAGE_LEN as usize {
                self.live.map.remove(&index);
                space.give(1);
            } else if let Some(page) = self.live.map.get_mut(&index) {
                Arc::make_mut(page)[from..to].fill(0);
            }
            self.dirty.insert(index);
        }
    }

    pub(super) fn sync(&mut self) {
        for index in std::mem::take(&mut self.dirty) {
            self.settle(index);
        }
        self.durable.size = self.live.size;
        self.durable.trim();
    }

    /// Makes the disk equal to what the process sees, whatever syncs have failed before.
    pub(super) fn sync_wholly(&mut self) {
        self.dirty.clear();
        self.durable = self.live.clone();
    }

    /// What a failed sync does: the pages count as clean, though they were not written.
    pub(super) fn fail_sync(&mut self) {
        self.dirty.clear();
    }

    /// Frees what only the process saw, when the last name and the last handle are gone.
    pub(super) fn release(&mut self, space: &mut Space) {
        space.give(self.live.count());
        self.dirty.clear();
        self.live = self.durable.clone();
    }

    /// What a power cut leaves: what was synced, and of the rest what chance had written.
    pub(super) fn lose_power(&mut self, mut chance: Option<&mut Random>) {
        if let Some(random) = chance.as_mut() {
            let luck = random.luck();
            for index in std::mem::take(&mut self.dirty) {
                if random.coin(luck) {
                    self.settle(index);
                }
            }
            let (old, new) = (self.durable.size, self.live.size);
            self.durable.size = match random.below(4) {
                0 => old,
                1 if new > old => old + random.below(new - old + 1),
                _ => new,
            };
            self.durable.trim();
        }
        self.dirty.clear();
        self.live = self.durable.clone();
    }

    fn settle(&mut self, index: u64) {
        match self.live.map.get(&index) {
            Some(page) => self.durable.map.insert(index, Arc::clone(page)),
            None => self.durable.map.remove(&index),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pages: &Pages) -> Vec<u8> {
        let mut buffer = vec![0xff; pages.size as usize];
        assert_eq!(pages.read(&mut buffer, 0), buffer.len());
        buffer
    }

    #[test]
    fn writes_across_pages_and_reads_holes_as_zeros() {
        let (mut content, mut space) = (Content::default(), Space::default());
        assert_eq!(content.write(&[7; 5000], 8190, &mut space), 5000);
        let expected = [vec![0; 8190], vec![7; 5000]].concat();
        assert_eq!(all(&content.live), expected);
        assert_eq!(content.live.count(), 3);
        assert_eq!(content.live.next_data(0), Some(4096));
        assert_eq!(content.live.next_data(8191), Some(8191));
        assert_eq!(content.live.next_data(8190 + 5000), None);
    }

    #[test]
    fn shrinking_and_growing_finds_zeros() {
        let (mut content, mut space) = (Content::default(), Space::default());
        content.write(&[7; 5000], 0, &mut space);
        content.set_size(10, &mut space);
        content.set_size(5000, &mut space);
        assert_eq!(all(&content.live), [vec![7; 10], vec![0; 4990]].concat());
        assert_eq!((space.used, content.live.count()), (1, 1));
    }

    #[test]
    fn punching_frees_whole_pages_and_clears_parts() {
        let (mut content, mut space) = (Content::default(), Space::default());
        content.write(&[7; 20_000], 0, &mut space);
        content.punch_hole(4000, 5000, &mut space);
        let expected = [vec![7; 4000], vec![0; 5000], vec![7; 11_000]].concat();
        assert_eq!(all(&content.live), expected);
        assert_eq!(space.used, 4);
        content.punch_hole(0, 20_000, &mut space);
        assert_eq!((space.used, content.live.size), (0, 20_000));
    }

    #[test]
    fn a_full_device_takes_what_fits() {
        let mut content = Content::default();
        let mut space = Space {
            capacity: Some(2),
            used: 0,
        };
        assert_eq!(content.write(&[1; 10_000], 100, &mut space), 8092);
        assert_eq!(content.live.size, 8192);
        assert_eq!(content.write(&[1], 8192, &mut space), 0);
        assert_eq!(content.write(&[2; 100], 0, &mut space), 100);
    }

    #[test]
    fn a_failed_sync_loses_pages_that_a_second_one_does_not_write() {
        let (mut content, mut space) = (Content::default(), Space::default());
        content.write(&[7; 10], 0, &mut space);
        content.fail_sync();
        content.sync();
        assert_eq!(all(&content.live), [7; 10]);
        content.lose_power(None);
        assert_eq!(all(&content.live), [0; 10]);
    }
}
