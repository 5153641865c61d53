//! Memory between a server and a device: aligned for direct I/O, locked, and there before it is needed.
//!
//! The payload of a `WRITE` follows 80 bytes of headers in fuser's buffer, so it is never aligned, and direct I/O from
//! it fails. A server that must not allocate while memory is short takes a buffer from here instead, and is told when
//! all are lent.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapMut, MmapOptions};

/// A fixed number of buffers of one size, each page-aligned. Nothing is allocated after it is made.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Vec<MmapMut>>,
    buffers: usize,
    size: usize,
}

/// Why there is no buffer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
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

impl Pool {
    /// Maps, touches and locks so many buffers of so many bytes each.
    ///
    /// # Errors
    /// [`PoolError::Map`], [`PoolError::Lock`].
    pub fn new(buffers: usize, size: usize) -> Result<Self, PoolError> {
        let (pool, _, error) = Self::locked_as_far(buffers, size)?;
        match error {
            Some(error) => Err(PoolError::Lock { size, error }),
            None => Ok(pool),
        }
    }

    /// The same, with as many of them locked as the limit allows: how many, and why no more.
    pub(super) fn locked_as_far(
        buffers: usize,
        size: usize,
    ) -> Result<(Self, usize, Option<std::io::Error>), PoolError> {
        let map = |error| PoolError::Map { size, error };
        if size == 0 {
            return Err(map(std::io::ErrorKind::InvalidInput.into()));
        }
        let (mut free, mut locked, mut refused) = (Vec::new(), 0usize, None);
        free.try_reserve_exact(buffers).map_err(|_| map(std::io::ErrorKind::OutOfMemory.into()))?;
        for _ in 0..buffers {
            let buffer = MmapOptions::new().len(size).populate().map_anon().map_err(map)?;
            match buffer.lock() {
                Ok(()) => locked = locked.saturating_add(1),
                Err(error) => refused = Some(error),
            }
            free.push(buffer);
        }
        Ok((Self { free: Mutex::new(free), buffers, size }, locked, refused))
    }

    /// Lends a buffer, which comes back when it is dropped. What it holds is of whoever had it last.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`]: nothing is allocated in its place.
    pub fn take(&self) -> Result<Buffer<'_>, PoolError> {
        let memory = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = memory.ok_or(PoolError::Exhausted { buffers: self.buffers })?;
        Ok(Buffer { pool: self, memory: Some(memory) })
    }

    /// Lends a buffer with a copy of `payload` at its start, zeros behind.
    ///
    /// # Errors
    /// [`PoolError::TooLong`], [`PoolError::Exhausted`].
    pub fn copy(&self, payload: &[u8]) -> Result<Buffer<'_>, PoolError> {
        let too_long = PoolError::TooLong { length: payload.len(), size: self.size };
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
    pool: &'p Pool,
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
