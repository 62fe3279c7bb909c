//! Buffers for blocks that are read, used again and again: memory stays where it is, and is not
//! cleared each time.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::service::MAX_BLOCK;

/// How many idle buffers are kept; more may be in use.
const MAX_IDLE: usize = 8;

/// Idle buffers of [`MAX_BLOCK`] bytes.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Buffers {
    /// A buffer of [`MAX_BLOCK`] bytes with anything in it.
    pub fn take(&self) -> Buffer {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let data = idle.unwrap_or_else(|| vec![0; MAX_BLOCK as usize].into_boxed_slice());
        Buffer {
            data,
            len: 0,
            home: self.clone(),
        }
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
        let mut idle = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
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
        assert_eq!(buffers.0.lock().unwrap().len(), 0);
        drop(part);
        assert_eq!(buffers.0.lock().unwrap().len(), 1);
        let many: Vec<_> = (0..20).map(|_| buffers.take()).collect();
        drop(many);
        assert_eq!(buffers.0.lock().unwrap().len(), MAX_IDLE);
    }
}
