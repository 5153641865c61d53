//! How far a preparation has come, told to the caller, who may say stop.

use std::ops::ControlFlow;

use super::error::PrepareError;
use crate::unit::Bytes;

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done.
    pub done: Bytes,
    /// How much there is to do.
    pub total: Bytes,
}

/// What is being done.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// The remains of a killed run are removed.
    Clear,
    /// Blocks are allocated.
    Allocate,
    /// Zeros are written by direct I/O.
    Write,
    /// Zeros are written through the page cache: this filesystem promises no direct I/O.
    WriteBuffered,
    /// Everything is brought to stable storage.
    Sync,
    /// The finished file is examined.
    Examine,
}

/// The caller's ear.
pub(super) struct Watch<'a> {
    report: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    total: Bytes,
}

impl<'a> Watch<'a> {
    pub(super) fn new(total: Bytes, report: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        Self { report, total }
    }

    /// Tells how far it is, and hears whether to go on.
    pub(super) fn tell(&mut self, phase: Phase, done: u64) -> Result<(), PrepareError> {
        match (self.report)(Progress { phase, done: Bytes::new(done), total: self.total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(PrepareError::Stopped),
        }
    }
}
