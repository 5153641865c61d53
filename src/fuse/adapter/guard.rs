//! The guard: what it answers itself, and what it refuses while a file is held.
//!
//! The kernel refuses the same to an active file, and asks no server. So what comes here for a file that is held comes
//! past it: by another mount of the same server, after somebody only looked at the file, or when the kernel is wrong.

use std::ffi::OsStr;
use std::sync::{Arc, PoisonError, RwLock};

use fuser::{Filesystem, INodeNo, OpenFlags, WriteFlags};

use super::pinned::{Asked, Pinned};
use super::{SwapFiles, truncates};
use crate::fuse::{Answer, NotActive, Question, Write};
use crate::guard::Operation;
use crate::reason::Errno;
use crate::unit::Bytes;

/// A filesystem of fuser whose files may serve swap. Every request goes to the filesystem inside, except `BMAP`, and
/// what a held file does not let happen.
#[derive(Debug)]
pub struct SwapGuard<F> {
    pub(super) inner: F,
    pub(super) pinned: Arc<Pinned>,
    /// Held for reading from before a `CREATE` is answered until its handle is counted: no `RELEASE` comes between.
    creating: RwLock<()>,
}

impl<F: Filesystem + SwapFiles> SwapGuard<F> {
    /// Guards a filesystem of which at most so many files serve swap at once. `BMAP` of one more is answered as a hole.
    pub fn new(inner: F, files: usize) -> Self {
        Self { inner, pinned: Arc::new(Pinned::new(files)), creating: RwLock::new(()) }
    }

    /// Which files are held: for the filesystem's own allocator, and for whoever wants to stop the server.
    pub fn pinned(&self) -> Arc<Pinned> {
        Arc::clone(&self.pinned)
    }

    /// Answers `BMAP`. A block is told only of a file that is held by then.
    pub(super) fn answer(&self, ino: u64, block_size: u32, index: u64) -> Answer {
        let question = Question::from_words(index, block_size);
        let Some(range) = question.range() else { return Answer::Refused(Errno::EINVAL) };
        let answer = || question.answer(|_| self.inner.extent(ino, range));
        if self.pinned.is_held(ino) {
            return answer();
        }
        // Whoever looks at a file that no swap could use holds nothing.
        match answer() {
            Answer::Block(_) => (),
            other => return other,
        }
        match self.pinned.asked(ino) {
            // Again: what was looked up before may have moved meanwhile.
            Asked::Held => answer(),
            Asked::Full => Answer::Hole,
            Asked::Moving => Answer::Refused(Errno::EAGAIN),
        }
    }

    pub(super) fn refusal(&self, ino: INodeNo, operation: Operation) -> Option<fuser::Errno> {
        self.pinned.refusal(ino.0, operation).map(Into::into)
    }

    /// The same for what a name leads to.
    pub(super) fn refusal_at(&self, parent: INodeNo, name: &OsStr, operation: Operation) -> Option<fuser::Errno> {
        self.pinned.held().next()?;
        self.refusal(INodeNo(self.inner.inode_at(parent.0, name)?), operation)
    }

    /// What the kernel says to a write; one that it would not have sent for an active area lets go of the file.
    pub(super) fn write_refusal(&self, ino: INodeNo, flags: WriteFlags) -> Option<fuser::Errno> {
        let proof = || NotActive::by_write(Write::try_from(flags).ok()?, self.inner.connection()?);
        self.let_go(ino, proof);
        self.refusal(ino, Operation::Write)
    }

    fn let_go(&self, ino: INodeNo, proof: impl FnOnce() -> Option<NotActive>) {
        if !self.pinned.is_held(ino.0) {
            return;
        }
        if let Some(proof) = proof() {
            self.pinned.let_go(ino.0, proof);
        }
    }

    /// What the kernel says to a change of size.
    pub(super) fn resize_refusal(&self, ino: INodeNo, size: u64) -> Option<fuser::Errno> {
        self.let_go(ino, || self.inner.connection().and_then(|_| NotActive::by_truncation(Bytes::new(size))));
        let grows = self.inner.size(ino.0).is_some_and(|now| size > now);
        self.refusal(ino, if grows { Operation::TruncateUp } else { Operation::TruncateDown })
    }

    /// Passes a `CREATE` on, and counts the handle that it opens.
    pub(super) fn create_counted(&self, parent: INodeNo, name: &OsStr, flags: OpenFlags, create: impl FnOnce()) {
        let counted = self.creating.read().unwrap_or_else(PoisonError::into_inner);
        let was_there = self.inner.inode_at(parent.0, name).is_some();
        create();
        // What was there already is not made anew by an exclusive one.
        let opened = !(was_there && super::flags::is_exclusive(flags));
        if let Some(ino) = self.inner.inode_at(parent.0, name).filter(|_| opened) {
            self.pinned.opened(ino);
        }
        drop(counted);
    }

    pub(super) fn released(&self, ino: INodeNo) {
        drop(self.creating.write().unwrap_or_else(PoisonError::into_inner));
        self.pinned.released(ino.0);
    }

    pub(super) fn truncation_refusal(&self, ino: INodeNo, flags: OpenFlags) -> Option<fuser::Errno> {
        self.refusal(ino, Operation::TruncateDown).filter(|_| truncates(flags))
    }
}
