//! Which files are held: counts of handles, one pin each, in memory that is fixed when it is made.
//!
//! Every open file has an entry, since whoever asks `BMAP` first may have opened it long before. Files beyond the
//! entries are counted together by their number: such a file is not answered until all of its handles are closed, so
//! that it has either all of them counted or none.
//!
//! `BMAP` comes once for a block, 262,144 times for a GiB. The first takes the lock; the others find the file held by
//! an atomic load, and take none. That is enough, since which handle is closed cannot be told: what is held is held
//! until the last of them is.
//!
//! # Invariants
//! 1. A file whose `BMAP` was answered with a block is held until no handle of it is open, or, where handles are not
//!    told, until it is forgotten; or until it is proved to be no active area. 2. No file that is held is being moved.
//! 3. Nothing here allocates after `new`.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fuse::{NotActive, Pin};
use crate::guard::{Operation, Relocation, Ruling};
use crate::reason::{Errno, GuardFault, Reason};

/// The files of one guard that may be active swap areas. Shared between the guard and whoever asks.
#[derive(Debug)]
pub struct Pinned {
    /// The files that are held, or 0: to be seen without the lock, written under it.
    held: Box<[AtomicU64]>,
    table: Mutex<Table>,
    /// Whether an `OPEN` was answered `ENOSYS`: from then on the kernel opens files without a word.
    stateless: AtomicBool,
}

#[derive(Debug)]
struct Table {
    files: Vec<File>,
    /// Handles of files that have no entry, by the file's number modulo the length.
    uncounted: [u32; 64],
}

#[derive(Clone, Copy, Debug)]
struct File {
    ino: u64,
    open: u64,
    moves: u32,
    pin: Pin,
}

/// What becomes of a `BMAP`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// The file is held now, and its blocks may be told.
    Held,
    /// They may not: too many files are held or open.
    Full,
    /// They may not: they are being moved.
    Moving,
}

/// Open files that are told apart, beyond those that are held.
const OPEN_FILES: usize = 1024;

impl Pinned {
    pub(super) fn new(files: usize) -> Self {
        let entries = Vec::with_capacity(files.saturating_add(OPEN_FILES));
        Self {
            held: std::iter::repeat_with(AtomicU64::default).take(files).collect(),
            table: Mutex::new(Table { files: entries, uncounted: [0; 64] }),
            stateless: AtomicBool::new(false),
        }
    }

    /// Whether a file may be an active swap area. Takes no lock; before a move ask [`relocate`](Self::relocate).
    pub fn is_held(&self, ino: u64) -> bool {
        self.place_of(ino).is_some()
    }

    /// The files that may be active swap areas.
    pub fn held(&self) -> impl Iterator<Item = u64> {
        self.held.iter().map(|place| place.load(Acquire)).filter(|ino| *ino != 0)
    }

    /// Begins an act of the filesystem itself that would move, share or free blocks of a file. Until the answer is
    /// dropped, `BMAP` of that file is answered `EAGAIN`, so that swapon refuses it.
    ///
    /// # Errors
    /// [`GuardFault::Operation`] for a file that is held, with the act's errno; [`GuardFault::PinsFull`] if it cannot
    /// be noted, since too many files are open.
    pub fn relocate(&self, ino: u64, act: Relocation) -> Result<Moving<'_>, Reason> {
        let mut table = self.lock();
        let capacity = u64::try_from(table.files.capacity()).unwrap_or(u64::MAX);
        let file = table.entry(ino).ok_or(Reason::Guard(GuardFault::PinsFull { capacity }))?;
        file.pin.check_relocation(act)?;
        file.moves = file.moves.saturating_add(1);
        Ok(Moving { pinned: self, ino })
    }

    /// Why an operation may not be done now: the kernel's errno for an active area.
    pub(super) fn refusal(&self, ino: u64, operation: Operation) -> Option<Errno> {
        match operation.ruling() {
            Ruling::Allowed => None,
            Ruling::Refused(errno) => self.is_held(ino).then_some(errno),
            // What the kernel answers by a signal, or in part, a server can only refuse.
            Ruling::Signal | Ruling::Skipped => self.is_held(ino).then_some(Errno::ETXTBSY),
        }
    }

    /// Notes that an `OPEN` is answered `ENOSYS`, before it is.
    pub(super) fn stateless(&self) {
        self.stateless.store(true, Release);
    }

    /// Notes an `OPEN`, before it is answered.
    pub(super) fn opened(&self, ino: u64) {
        let mut table = self.lock();
        let Some(file) = table.entry(ino) else {
            let count = table.uncounted_mut(ino);
            *count = count.saturating_add(1);
            return;
        };
        file.pin.opened();
        file.open = file.open.saturating_add(1);
    }

    /// Notes a `RELEASE`, of whichever handle.
    pub(super) fn released(&self, ino: u64) {
        let mut table = self.lock();
        let Some(file) = table.find(ino) else {
            let count = table.uncounted_mut(ino);
            *count = count.saturating_sub(1);
            return;
        };
        file.pin.released_some();
        file.open = file.open.saturating_sub(1);
        self.settle(&mut table, ino);
    }

    /// Notes a `BMAP` that would be answered with a block.
    pub(super) fn asked(&self, ino: u64) -> Asked {
        let mut table = self.lock();
        let Some(file) = table.entry(ino) else { return Asked::Full };
        if file.moves > 0 {
            return Asked::Moving;
        }
        let free = || self.held.iter().find(|place| place.load(Acquire) == 0);
        let Some(place) = self.place_of(ino).or_else(free) else {
            self.settle(&mut table, ino);
            return Asked::Full;
        };
        if self.stateless.load(Acquire) {
            file.pin.asked_without_open();
        } else {
            file.pin.asked();
        }
        place.store(ino, Release);
        Asked::Held
    }

    /// Lets go of a file that is no active area.
    pub(super) fn let_go(&self, ino: u64, proof: NotActive) {
        let mut table = self.lock();
        let Some(file) = table.find(ino) else { return };
        file.pin.let_go(proof);
        self.settle(&mut table, ino);
    }

    /// Notes a `FORGET`; `gone` says whether it was the last. Asked under the lock: no `OPEN` that came after the
    /// answer is forgotten with the file.
    pub(super) fn forgotten(&self, ino: u64, gone: impl FnOnce() -> bool) {
        let mut table = self.lock();
        let Some(file) = table.find(ino) else { return };
        if gone() {
            file.pin.forgotten();
            file.open = 0;
            self.settle(&mut table, ino);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each change is whole before anything can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place_of(&self, ino: u64) -> Option<&AtomicU64> {
        self.held.iter().find(|place| place.load(Acquire) == ino).filter(|_| ino != 0)
    }

    /// Shows that a file is held no more, and drops an entry that says nothing.
    fn settle(&self, table: &mut Table, ino: u64) {
        let Some(file) = table.find(ino).copied() else { return };
        if file.pin.is_held() {
            return;
        }
        if let Some(place) = self.place_of(ino) {
            place.store(0, Release);
        }
        if file.open == 0 && file.moves == 0 {
            table.files.retain(|other| other.ino != ino);
        }
    }
}

impl Table {
    fn find(&mut self, ino: u64) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.ino == ino)
    }

    /// The entry of a file, made if there is room and no handle of it may be uncounted.
    fn entry(&mut self, ino: u64) -> Option<&mut File> {
        if ino == 0 {
            return None;
        }
        if self.find(ino).is_none() {
            if self.files.len() == self.files.capacity() || *self.uncounted_mut(ino) > 0 {
                return None;
            }
            self.files.push(File { ino, open: 0, moves: 0, pin: Pin::default() });
        }
        self.find(ino)
    }

    fn uncounted_mut(&mut self, ino: u64) -> &mut u32 {
        let [first, rest @ ..] = &mut self.uncounted;
        // Files whose numbers are alike share a count, so that one may wait for the other's handles.
        let at = usize::try_from(ino % 64).unwrap_or(0);
        at.checked_sub(1).and_then(|at| rest.get_mut(at)).unwrap_or(first)
    }
}

/// An act that moves blocks of a file, as long as it lasts.
#[derive(Debug)]
#[must_use = "swapon is kept off only until this is dropped"]
pub struct Moving<'p> {
    pinned: &'p Pinned,
    ino: u64,
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        let mut table = self.pinned.lock();
        if let Some(file) = table.find(self.ino) {
            file.moves = file.moves.saturating_sub(1);
        }
        self.pinned.settle(&mut table, self.ino);
    }
}
