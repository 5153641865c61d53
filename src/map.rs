//! The proof: where each page of a swap area lies, total over every page, and how far it runs on from there.
//!
//! Only a finished [`Activation`](crate::Activation) builds a [`SwapMap`], so having one means that every page of
//! the area was judged. Lookup is a search of [`Slot`]s, a static tree of 64-byte nodes, one cache line each: 5
//! extents a leaf, 16 children an inner node, 12.8 bytes an extent and 13.7 with the index. A million extents are
//! five inner nodes (all but the last always in cache, and that level has 800 KB) and one leaf away.
//!
//! Lengths are not stored: the map is total, so an extent ends where the next begins.
//!
//! Source: Linux v6.18, `mm/page_io.c:swap_folio_sector` and `mm/swapfile.c:offset_to_swap_extent`: there a page
//! outside every extent is a `BUG()`, here it is [`Reason::OutsideArea`].

mod bmap;
mod cursor;
mod store;
mod view;

pub use cursor::Cursor;
pub(crate) use store::Facts;
pub use store::{Slot, Slots, Store, Tally, Totals};

use crate::extent::SwapExtent;
use crate::model::Model;
use crate::reason::Reason;
use crate::sort;
use crate::unit::{PageIndex, PageSize};
use store::Tree;
pub(crate) use view::View;

/// Where every page of a swap area lies: a proof that only a finished activation gives.
///
/// # Invariants
/// 1. Every page from 0 to `pages - 1` has exactly one target. 2. Extents ascend by swap page and no two
///    neighbours could be one. 3. Page 0 is the header: mapped, as in the kernel, and never to be swapped to.
///
/// What it does not prove, as the kernel does not check it: that no two swap pages share a device page
/// ([`check_disjoint`](Self::check_disjoint)), and that the device is large enough
/// ([`Activation::on_device_of`](crate::Activation::on_device_of)). A filesystem that lies can do either.
///
/// Neither `Clone` nor `Copy`: two policies over one map would not know of each other's requests. There is no other
/// door: it cannot be built, changed, or filled from memory that somebody else keeps.
///
/// ```compile_fail,E0451
/// # fn forge(map: swap_dio::SwapMap<&[swap_dio::Slot]>) {
/// let forged = swap_dio::SwapMap { slots: [swap_dio::Slot::EMPTY].as_slice(), ..map };
/// # }
/// ```
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl swap_dio::map::Slots for Mine {
///     fn slots(&self) -> &[swap_dio::Slot] {
///         &[]
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SwapMap<S> {
    slots: S,
    tree: Tree,
    facts: Facts,
}

/// A map that owns its memory.
#[cfg(feature = "alloc")]
pub type OwnedMap = SwapMap<alloc::vec::Vec<Slot>>;

impl<S: Slots> SwapMap<S> {
    pub(crate) const fn seal(slots: S, tree: Tree, facts: Facts) -> Self {
        Self { slots, tree, facts }
    }

    /// The counts that swapon(2) logs for this area.
    pub const fn totals(&self) -> Totals {
        self.facts.totals
    }

    /// The way that swap I/O must go; a live area never mixes the two.
    pub const fn model(&self) -> Model {
        self.facts.model
    }

    /// The page size that the map counts in.
    pub const fn page_size(&self) -> PageSize {
        self.facts.page_size
    }

    /// Whether swap page n backs file page n, for every n; trimmed block-mapped files are not so.
    pub const fn is_identity(&self) -> bool {
        self.facts.identity
    }

    /// Where a page lies, and how many pages follow it there without a break.
    ///
    /// # Errors
    /// [`Reason::OutsideArea`] for a page past the end.
    #[inline]
    pub fn run(&self, page: PageIndex) -> Result<SwapExtent, Reason> {
        self.view().run(page)
    }

    /// The same for several pages at once: their memory accesses overlap instead of queueing.
    ///
    /// # Errors
    /// [`Reason::OutsideArea`], each page for itself.
    #[inline]
    pub fn runs<const N: usize>(&self, pages: [PageIndex; N]) -> [Result<SwapExtent, Reason>; N] {
        let view = self.view();
        // A page past the end is looked up as page 0, so that the walk has no branches, and refused at the end.
        let leaves = view.tree.leaves(view.slots, pages.map(|page| view.slot_page(page).unwrap_or(0)));
        let mut leaves = leaves.into_iter();
        pages.map(|page| {
            let leaf = leaves.next().and_then(|leaf| view.slots.get(leaf));
            let run = view.slot_page(page).and_then(|page| leaf?.run_of(page));
            run.ok_or_else(|| view.outside(page))
        })
    }

    /// A cursor for pages that mostly follow each other.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(self.view())
    }

    /// The extents, in the order of swap pages.
    pub fn extents(&self) -> impl Iterator<Item = SwapExtent> + '_ {
        let mut next = PageIndex::ZERO;
        core::iter::from_fn(move || {
            let run = self.run(next).ok()?;
            next = run.first().checked_add(run.length())?;
            Some(run)
        })
    }

    /// Checks that no two swap pages share a target: only a filesystem that lies makes them.
    ///
    /// The kernel does not check this. `scratch` needs a place for every extent; it is overwritten and sorted.
    ///
    /// # Errors
    /// [`Reason::MapFull`] when `scratch` is too short, [`Reason::DeviceOverlap`] with two pages that collide.
    pub fn check_disjoint(&self, scratch: &mut [Option<SwapExtent>]) -> Result<(), Reason> {
        let capacity = u64::try_from(scratch.len()).unwrap_or(u64::MAX);
        if capacity < u64::from(self.facts.totals.extents) {
            return Err(Reason::MapFull { capacity });
        }
        scratch.fill(None);
        for (place, extent) in scratch.iter_mut().zip(self.extents()) {
            *place = Some(extent);
        }
        // Empty places last.
        sort::by_key(scratch, |place| place.map_or(u64::MAX, |extent| extent.target().get()));
        let mut last: Option<SwapExtent> = None;
        for extent in scratch.iter().flatten() {
            if let Some(before) = last {
                let apart = extent.target().get().saturating_sub(before.target().get());
                if apart < before.length().get() {
                    let first = PageIndex::new(before.first().get().saturating_add(apart));
                    return Err(Reason::DeviceOverlap { first, second: extent.first() });
                }
            }
            last = Some(*extent);
        }
        Ok(())
    }

    /// The map without the type of its memory.
    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View { slots: self.slots.slots(), tree: &self.tree, facts: &self.facts }
    }
}
