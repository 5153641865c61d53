//! Memory between fuser and a device: aligned for direct I/O, locked, and there before it is needed.
//!
//! The payload of a `WRITE` follows 80 bytes of headers in fuser's buffer, so it is never aligned, and direct I/O from
//! it fails. A server that must not allocate while memory is short takes a buffer from here instead, and is told when
//! all are lent.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapMut, MmapOptions};

/// A fixed number of buffers of one size, each page-aligned. Nothing is allocated after it is made.
#[derive(Debug)]
pub struct Bounce {
    free: Mutex<Vec<MmapMut>>,
    buffers: usize,
    size: usize,
}

/// Why there is no buffer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BounceError {
    /// No memory for them.
    #[error("cannot map {size} bytes for a buffer: {error}")]
    Map {
        /// Of one buffer.
        size: usize,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// They cannot be locked: the limit is too low (`ulimit -l`), or there is no such privilege.
    #[error("cannot lock {size} bytes into memory: {error}")]
    Lock {
        /// Of one buffer.
        size: usize,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// Every buffer is lent.
    #[error("all {buffers} buffers are in use")]
    Exhausted {
        /// How many there are.
        buffers: usize,
    },
    /// More bytes than a buffer holds.
    #[error("{length} bytes do not fit into a buffer of {size}")]
    TooLong {
        /// Of the payload.
        length: usize,
        /// Of a buffer.
        size: usize,
    },
}

impl Bounce {
    /// Maps, touches and locks so many buffers of so many bytes each.
    ///
    /// # Errors
    /// [`BounceError::Map`], [`BounceError::Lock`].
    pub fn new(buffers: usize, size: usize) -> Result<Self, BounceError> {
        let map = |error| BounceError::Map { size, error };
        if size == 0 {
            return Err(map(std::io::ErrorKind::InvalidInput.into()));
        }
        let mut free = Vec::with_capacity(buffers);
        for _ in 0..buffers {
            let buffer = MmapOptions::new().len(size).populate().map_anon().map_err(map)?;
            buffer.lock().map_err(|error| BounceError::Lock { size, error })?;
            free.push(buffer);
        }
        Ok(Self { free: Mutex::new(free), buffers, size })
    }

    /// Lends a buffer, which comes back when it is dropped. What it holds is of whoever had it last.
    ///
    /// # Errors
    /// [`BounceError::Exhausted`]: nothing is allocated in its place.
    pub fn take(&self) -> Result<Buffer<'_>, BounceError> {
        let memory = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = memory.ok_or(BounceError::Exhausted { buffers: self.buffers })?;
        Ok(Buffer { pool: self, memory: Some(memory) })
    }

    /// Lends a buffer with a copy of `payload` at its start, zeros behind.
    ///
    /// # Errors
    /// [`BounceError::TooLong`], [`BounceError::Exhausted`].
    pub fn copy(&self, payload: &[u8]) -> Result<Buffer<'_>, BounceError> {
        let too_long = BounceError::TooLong { length: payload.len(), size: self.size };
        if payload.len() > self.size {
            return Err(too_long);
        }
        let mut buffer = self.take()?;
        let (start, rest) = buffer.split_at_mut_checked(payload.len()).ok_or(too_long)?;
        start.copy_from_slice(payload);
        rest.fill(0);
        Ok(buffer)
    }

    /// The size of a buffer in bytes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Buffers that are not lent.
    pub fn available(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A buffer on loan.
#[derive(Debug)]
pub struct Buffer<'p> {
    pool: &'p Bounce,
    /// `None` only while it is given back.
    memory: Option<MmapMut>,
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // There was room for it: as many places as buffers.
            self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
    }
}
