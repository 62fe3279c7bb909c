//! Buffers for what is read, used again and again: memory stays where it is, and is not
//! cleared each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::service::MAX_BLOCK;

/// How many idle buffers for blocks are kept; more may be in use.
const MAX_IDLE: usize = 8;

/// Buffers of one size.
#[derive(Clone, Debug)]
pub struct Buffers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    size: usize,
    max_idle: usize,
    idle: Mutex<Vec<Box<[u8]>>>,
}

impl Default for Buffers {
    /// Buffers of [`MAX_BLOCK`] bytes.
    fn default() -> Self {
        Self::of(MAX_BLOCK as usize, MAX_IDLE)
    }
}

impl Buffers {
    /// Buffers of `size` bytes, of which `max_idle` are kept when they are not in use.
    pub fn of(size: usize, max_idle: usize) -> Self {
        Self(Arc::new(Pool {
            size,
            max_idle,
            idle: Mutex::default(),
        }))
    }

    /// A buffer with anything in it.
    pub fn take(&self) -> Buffer {
        let idle = self.0.lock().pop();
        let data = idle.unwrap_or_else(|| vec![0; self.0.size].into_boxed_slice());
        Buffer {
            data,
            len: 0,
            home: self.clone(),
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use; it goes back when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    data: Box<[u8]>,
    len: usize,
    home: Buffers,
}

impl Buffer {
    /// The first `len` bytes, to be filled; fewer where it is shorter.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(self.data.len());
        self.data.get_mut(..len).unwrap_or_default()
    }

    /// `len` bytes from `at` on, to be filled; `None` where it ends before.
    pub fn part(&mut self, at: usize, len: usize) -> Option<&mut [u8]> {
        self.data.get_mut(at..)?.get_mut(..len)
    }

    /// Its first `len` bytes, without copying them. The buffer goes back when the last handle on
    /// them is gone.
    pub fn into_bytes(mut self, len: usize) -> Bytes {
        self.len = len.min(self.data.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.data.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut idle = self.home.0.lock();
        if idle.len() < self.home.0.max_idle {
            idle.push(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_bytes_are_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.space(5).copy_from_slice(b"bytes");
        let bytes = buffer.into_bytes(5);
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(part, &b"yt"[..]);
        assert_eq!(buffers.0.lock().len(), 0);
        drop(part);
        assert_eq!(buffers.0.lock().len(), 1);
        let many: Vec<_> = (0..20).map(|_| buffers.take()).collect();
        drop(many);
        assert_eq!(buffers.0.lock().len(), MAX_IDLE);
    }

    #[test]
    fn a_buffer_has_its_size_and_as_many_are_kept_as_may_be() {
        let buffers = Buffers::of(10, 2);
        let mut many: Vec<_> = (0..3).map(|_| buffers.take()).collect();
        assert!(many.iter_mut().all(|buffer| buffer.space(100).len() == 10));
        drop(many);
        assert_eq!(buffers.0.lock().len(), 2);
    }
}
