//! Pins: the device pages that active files swap to, in the caller's memory, with a refusal that names the pin.
//!
//! Law: from [`Pins::pin`] until its [`Pinned`] comes back in [`Pins::unpin`], no act on any of those pages passes
//! [`Pins::check`]. There is no other way to unpin. Pages are those of one device: a filesystem on several keeps pins
//! for each.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Relocation, Scope};
use crate::map::{Slots, SwapMap};
use crate::model::Model;
use crate::reason::{GuardFault, Reason};
use crate::sort;
use crate::unit::{PageCount, PageIndex, PageSize};

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

/// A map, and the proof that the pages it points to are pinned. [`Policy::pinned`](crate::Policy::pinned) takes it.
#[derive(Debug)]
#[must_use = "pages stay pinned until the key comes back to `Pins::unpin`"]
pub struct PinnedMap<S> {
    map: SwapMap<S>,
    pinned: Pinned,
}

impl<S: Slots> PinnedMap<S> {
    /// The map.
    pub const fn map(&self) -> &SwapMap<S> {
        &self.map
    }

    /// The map and the key, apart.
    pub fn into_parts(self) -> (SwapMap<S>, Pinned) {
        (self.map, self.pinned)
    }
}

/// A key that other pins gave, and that does not fit here.
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

/// The pins of one device, for any number of files.
///
/// ```
/// use swap_dio::guard::{FileId, Pin, Pins, Relocation, Scope};
/// use swap_dio::{PageCount, PageIndex, PageSize};
///
/// let mut memory = [Pin::EMPTY; 16];
/// let mut pins = Pins::new(memory.as_mut_slice(), PageSize::KIB_4);
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
/// A check costs a binary search per active file, of which Linux has at most 32; a pin costs a sort of its own runs and
/// as many searches.
///
/// # Invariants
/// The first `used` places are the runs of one activation after the other. Those of one ascend by page; none is empty
/// or overflows, and no two of them all overlap.
#[derive(Debug)]
pub struct Pins<M> {
    memory: M,
    page_size: PageSize,
    used: usize,
}

impl<M: PinMemory> Pins<M> {
    /// No pins, in this memory: a slice of [`Pin`]s, or with `alloc` a `Vec` of them. Pages are of this size.
    pub const fn new(memory: M, page_size: PageSize) -> Self {
        Self { memory, page_size, used: 0 }
    }

    /// The pins that are held, file by file, each by page.
    pub fn held(&self) -> &[Pin] {
        self.memory.places().get(..self.used).unwrap_or_default()
    }

    /// Pins every page of the device that a map points to, and keeps the two together. All or nothing.
    ///
    /// # Errors
    /// [`GuardFault::NoDevicePages`] for a map of the file model, [`GuardFault::PinPageSize`] for pages of another
    /// size; then as [`pin`](Self::pin). The map is gone: activate the file again.
    pub fn pin_map<S: Slots>(&mut self, file: FileId, map: SwapMap<S>) -> Result<PinnedMap<S>, Reason> {
        if map.model() == Model::File {
            return Err(refused(GuardFault::NoDevicePages));
        }
        if map.page_size() != self.page_size {
            return Err(refused(GuardFault::PinPageSize { map: map.page_size(), pins: self.page_size }));
        }
        let pinned = self.pin(file, map.extents().map(|extent| (extent.target(), extent.length())))?;
        Ok(PinnedMap { map, pinned })
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
        if of_file(self.held(), file).is_some() {
            return Err(refused(GuardFault::AlreadyPinned { file: file.0 }));
        }
        let serial = NEXT.fetch_add(1, Relaxed);
        // Until `used` is raised, what is written behind it is held by nobody.
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
        let added = self.memory.places_mut().get_mut(self.used..end).unwrap_or_default();
        if added.is_empty() {
            return Err(refused(GuardFault::EmptyPin { file: file.0 }));
        }
        sort::by_key(added, |pin| pin.first.get());
        let added = self.memory.places().get(self.used..end).unwrap_or_default();
        if let Some((file, first)) = twice(added).or_else(|| shared(self.held(), added)) {
            return Err(refused(GuardFault::TwicePinned { file: file.0, first }));
        }
        self.used = end;
        Ok(Pinned { file, serial })
    }

    /// Unpins a file: its area is off, and no request is left.
    ///
    /// # Errors
    /// [`Foreign`] with the key, if other pins gave it: nothing is unpinned.
    pub fn unpin(&mut self, pinned: Pinned) -> Result<(), Foreign> {
        let runs = of_file(self.held(), pinned.file).unwrap_or_default();
        let (first, count) = (runs.first(), runs.len());
        if first.is_none_or(|pin| pin.serial != pinned.serial) {
            let reason = refused(GuardFault::PinUnknown { file: pinned.file.0 });
            return Err(Foreign { pinned, reason });
        }
        // What stands behind these moves to their place.
        let start = self.held().iter().take_while(|pin| pin.serial != pinned.serial).count();
        for at in start..self.used.saturating_sub(count) {
            let places = self.memory.places_mut();
            let Some(pin) = places.get(at.saturating_add(count)).copied() else { break };
            if let Some(place) = places.get_mut(at) {
                *place = pin;
            }
        }
        self.used = self.used.saturating_sub(count);
        Ok(())
    }

    /// Checks that an act touches no pinned page.
    ///
    /// # Errors
    /// [`GuardFault::Pinned`] with the first pin in its way, by page.
    pub fn check(&self, act: Relocation, scope: Scope) -> Result<(), Reason> {
        let held = self.held();
        let touched = match scope {
            Scope::Everything => lowest(activations(held).filter_map(<[Pin]>::first)),
            Scope::File(file) => of_file(held, file).and_then(<[Pin]>::first),
            Scope::Pages { first, pages } => {
                let end = first.get().saturating_add(pages.get());
                // An act on no page touches none.
                let touches = |runs| touched(runs, first.get(), end).filter(|_| pages != PageCount::ZERO);
                lowest(activations(held).filter_map(touches))
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
}

/// The runs of one activation after the other.
fn activations(held: &[Pin]) -> impl Iterator<Item = &[Pin]> {
    let mut rest = held;
    core::iter::from_fn(move || {
        let serial = rest.first()?.serial;
        let (runs, others) = rest.split_at_checked(rest.partition_point(|pin| pin.serial == serial))?;
        rest = others;
        Some(runs)
    })
}

/// The pin with the lowest page.
fn lowest<'m>(pins: impl Iterator<Item = &'m Pin>) -> Option<&'m Pin> {
    pins.min_by_key(|pin| pin.first)
}

/// The runs of one file.
fn of_file(held: &[Pin], file: FileId) -> Option<&[Pin]> {
    activations(held).find(|runs| runs.first().is_some_and(|pin| pin.file == file))
}

/// The first of one activation's runs that has a page from `first` to before `end`.
fn touched(runs: &[Pin], first: u64, end: u64) -> Option<&Pin> {
    runs.get(runs.partition_point(|pin| pin.end() <= first)).filter(|pin| pin.first.get() < end)
}

/// A page that two runs of one activation have.
fn twice(runs: &[Pin]) -> Option<(FileId, PageIndex)> {
    let mut pairs = runs.iter().zip(runs.iter().skip(1));
    pairs.find(|(low, high)| high.first.get() < low.end()).map(|(low, high)| (low.file, high.first))
}

/// A page of these runs that another activation has.
fn shared(held: &[Pin], runs: &[Pin]) -> Option<(FileId, PageIndex)> {
    activations(held).find_map(|others| {
        runs.iter().find_map(|run| {
            let other = touched(others, run.first.get(), run.end())?;
            Some((other.file, other.first.max(run.first)))
        })
    })
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
