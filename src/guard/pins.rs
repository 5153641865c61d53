//! Pins: the device pages that active files swap to, in the caller's memory, with a refusal that names the pin.
//!
//! Law: from [`Pins::pin`] until its [`Pinned`] comes back in [`Pins::unpin`], no act on any of those pages passes
//! [`Pins::check`]. There is no other way to unpin. Pins are sorted by page and never overlap, so that a check is a
//! binary search.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Relocation, Scope};
use crate::map::{Slots, SwapMap};
use crate::model::Model;
use crate::reason::{GuardFault, Reason};
use crate::sort;
use crate::unit::{PageCount, PageIndex};

/// Names a file among a filesystem's: an inode number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId(u64);

impl FileId {
    /// Names a file.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One run of pinned pages. A caller's array of these is all the memory that pins need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pin {
    file: FileId,
    serial: usize,
    first: PageIndex,
    pages: PageCount,
}

impl Pin {
    /// An unused place, to fill an array with.
    pub const EMPTY: Self = Self { file: FileId(0), serial: 0, first: PageIndex::ZERO, pages: PageCount::ZERO };

    /// The file that pins.
    pub const fn file(&self) -> FileId {
        self.file
    }

    /// The first page of the device.
    pub const fn first(&self) -> PageIndex {
        self.first
    }

    /// How many.
    pub const fn pages(&self) -> PageCount {
        self.pages
    }

    /// The page after its last; a pin does not overflow.
    const fn end(&self) -> u64 {
        self.first.get().saturating_add(self.pages.get())
    }
}

/// The proof that a file's pages are pinned, and the only key to unpin them. Lost, they stay pinned.
///
/// ```compile_fail,E0382
/// # fn twice(pins: &mut swap_dio::guard::Pins<&mut [swap_dio::guard::Pin]>, pinned: swap_dio::guard::Pinned) {
/// pins.unpin(pinned);
/// pins.unpin(pinned);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "pages stay pinned until this comes back to `Pins::unpin`"]
pub struct Pinned {
    file: FileId,
    serial: usize,
}

impl Pinned {
    /// The file.
    pub const fn file(&self) -> FileId {
        self.file
    }
}

/// A key that other pins gave, and that it does not fit here.
#[derive(Debug)]
pub struct Foreign {
    /// The key.
    pub pinned: Pinned,
    /// [`GuardFault::PinUnknown`].
    pub reason: Reason,
}

impl From<Foreign> for Reason {
    fn from(foreign: Foreign) -> Self {
        foreign.reason
    }
}

/// The pins of a filesystem, for any number of files.
///
/// ```
/// use swap_dio::guard::{FileId, Pin, Pins, Relocation, Scope};
/// use swap_dio::{PageCount, PageIndex};
///
/// let mut memory = [Pin::EMPTY; 16];
/// let mut pins = Pins::new(memory.as_mut_slice());
/// let runs = [(PageIndex::new(100), PageCount::new(50)), (PageIndex::new(20), PageCount::new(10))];
/// let pinned = pins.pin(FileId::new(12), runs)?;
///
/// let segment = Scope::Pages { first: PageIndex::new(128), pages: PageCount::new(128) };
/// let reason = pins.check(Relocation::Collect, segment).expect_err("file 12 swaps there");
/// assert_eq!(
///     reason.to_string(),
///     "garbage collection would touch 50 pages from page 100 on, which active swap file 12 pins"
/// );
/// pins.unpin(pinned)?; // swapped off
/// pins.check(Relocation::Collect, segment)?;
/// # Ok::<(), swap_dio::Reason>(())
/// ```
///
/// # Invariants
/// The first `used` places ascend by page, do not overlap, and are not empty.
#[derive(Debug)]
pub struct Pins<M> {
    memory: M,
    used: usize,
}

impl<M: PinMemory> Pins<M> {
    /// No pins, in this memory: a slice of [`Pin`]s, or with `alloc` a `Vec` of them.
    pub const fn new(memory: M) -> Self {
        Self { memory, used: 0 }
    }

    /// The pins that are held, by page.
    pub fn held(&self) -> &[Pin] {
        self.memory.places().get(..self.used).unwrap_or_default()
    }

    /// Pins every page of the device that a map points to. All or nothing.
    ///
    /// # Errors
    /// [`GuardFault::NoDevicePages`] for a map of the file model; then as [`pin`](Self::pin).
    pub fn pin_map<S: Slots>(&mut self, file: FileId, map: &SwapMap<S>) -> Result<Pinned, Reason> {
        match map.model() {
            Model::Bio => self.pin(file, map.extents().map(|extent| (extent.target(), extent.length()))),
            Model::File => Err(refused(GuardFault::NoDevicePages)),
        }
    }

    /// Pins runs of pages of the device, in any order. All or nothing.
    ///
    /// # Errors
    /// [`GuardFault::AlreadyPinned`] for a file that has pins; run by run [`GuardFault::PinsFull`],
    /// [`GuardFault::EmptyPin`] for no page, [`GuardFault::PinOverflow`]; [`GuardFault::EmptyPin`] for no run; then
    /// [`GuardFault::TwicePinned`] for a page that two runs have, the other one this file's or another's.
    pub fn pin(
        &mut self,
        file: FileId,
        runs: impl IntoIterator<Item = (PageIndex, PageCount)>,
    ) -> Result<Pinned, Reason> {
        if self.held().iter().any(|pin| pin.file == file) {
            return Err(refused(GuardFault::AlreadyPinned { file: file.0 }));
        }
        let serial = NEXT.fetch_add(1, Relaxed);
        let mut end = self.used;
        for (first, pages) in runs {
            let place = self.memory.place(end).ok_or(refused(GuardFault::PinsFull { capacity: count(end) }))?;
            if pages == PageCount::ZERO {
                return Err(refused(GuardFault::EmptyPin { file: file.0 }));
            }
            if first.checked_add(pages).is_none() {
                return Err(refused(GuardFault::PinOverflow { file: file.0, first, pages }));
            }
            *place = Pin { file, serial, first, pages };
            end = end.saturating_add(1);
        }
        if end == self.used {
            return Err(refused(GuardFault::EmptyPin { file: file.0 }));
        }
        self.used = end;
        sort::by_key(self.memory.places_mut().get_mut(..end).unwrap_or_default(), |pin| pin.first.get());
        if let Some(reason) = self.collision(file) {
            self.remove(serial);
            return Err(reason);
        }
        Ok(Pinned { file, serial })
    }

    /// Unpins a file: its area is off, and no request is left.
    ///
    /// # Errors
    /// [`Foreign`] with the key, if other pins gave it: nothing is unpinned.
    pub fn unpin(&mut self, pinned: Pinned) -> Result<(), Foreign> {
        let Pinned { file, serial } = pinned;
        if self.held().iter().any(|pin| pin.serial == serial) {
            self.remove(serial);
            Ok(())
        } else {
            Err(Foreign { pinned, reason: refused(GuardFault::PinUnknown { file: file.0 }) })
        }
    }

    /// Checks that an act touches no pinned page.
    ///
    /// # Errors
    /// [`GuardFault::Pinned`] with the first pin in its way.
    pub fn check(&self, act: Relocation, scope: Scope) -> Result<(), Reason> {
        let held = self.held();
        let touched = match scope {
            Scope::Everything => held.first(),
            Scope::File(file) => held.iter().find(|pin| pin.file == file),
            Scope::Pages { first, pages } => {
                let end = first.get().saturating_add(pages.get());
                let at = held.partition_point(|pin| pin.end() <= first.get());
                // An act on no page touches none.
                held.get(at).filter(|pin| pin.first.get() < end && pages != PageCount::ZERO)
            }
        };
        match touched {
            None => Ok(()),
            Some(pin) => Err(refused(GuardFault::Pinned {
                act: act.words(),
                file: pin.file.0,
                first: pin.first,
                pages: pin.pages,
                errno: act.errno(),
            })),
        }
    }

    /// A page that two neighbours have.
    fn collision(&self, file: FileId) -> Option<Reason> {
        let held = self.held();
        let mut pairs = held.iter().zip(held.iter().skip(1));
        let (low, high) = pairs.find(|(low, high)| high.first.get() < low.end())?;
        let other = if low.file == file { high.file } else { low.file };
        Some(refused(GuardFault::TwicePinned { file: other.0, first: high.first }))
    }

    /// Takes out what one activation pinned.
    fn remove(&mut self, serial: usize) {
        let mut kept = 0usize;
        for at in 0..self.used {
            let places = self.memory.places_mut();
            let Some(pin) = places.get(at).copied() else { break };
            if pin.serial == serial {
                continue;
            }
            if let Some(place) = places.get_mut(kept) {
                *place = pin;
                kept = kept.saturating_add(1);
            }
        }
        self.used = kept;
    }
}

/// Memory for pins: a caller's slice, as in the example of [`Pins`], or with `alloc` a `Vec` that grows. Sealed.
pub trait PinMemory: Sealed {
    #[doc(hidden)]
    fn places(&self) -> &[Pin];
    #[doc(hidden)]
    fn places_mut(&mut self) -> &mut [Pin];
    /// The place after `used` others, if there is one or can be.
    #[doc(hidden)]
    fn place(&mut self, used: usize) -> Option<&mut Pin>;
}

impl PinMemory for &mut [Pin] {
    fn places(&self) -> &[Pin] {
        self
    }

    fn places_mut(&mut self) -> &mut [Pin] {
        self
    }

    fn place(&mut self, used: usize) -> Option<&mut Pin> {
        self.get_mut(used)
    }
}

#[cfg(feature = "alloc")]
impl PinMemory for alloc::vec::Vec<Pin> {
    fn places(&self) -> &[Pin] {
        self
    }

    fn places_mut(&mut self) -> &mut [Pin] {
        self
    }

    fn place(&mut self, used: usize) -> Option<&mut Pin> {
        // Memory that cannot be had is `PinsFull`, not an abort.
        if used == self.len() && self.try_reserve(1).is_ok() {
            self.push(Pin::EMPTY);
        }
        self.get_mut(used)
    }
}

/// Keeps [`PinMemory`] to the types above: memory that changes by itself would lose pins.
pub trait Sealed {}
impl Sealed for &mut [Pin] {}
#[cfg(feature = "alloc")]
impl Sealed for alloc::vec::Vec<Pin> {}

/// Names an activation among those of all pins there are, so that no key fits others. The only state that is shared:
/// it decides nothing, and comes round after 2^32 activations on the smallest machines.
static NEXT: AtomicUsize = AtomicUsize::new(0);

const fn refused(fault: GuardFault) -> Reason {
    Reason::Guard(fault)
}

fn count(places: usize) -> u64 {
    u64::try_from(places).unwrap_or(u64::MAX)
}
