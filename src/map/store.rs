//! Where a map's extents live: the 192-byte slot, the tree of slots, and the memory that they are put into.
//!
//! Leaves come first, as the stream fills them; inner nodes are laid behind them, level by level, when the map is
//! sealed. All counts in here are 32 bits wide, as the kernel's `sis->max` is.

use crate::extent::SwapExtent;
use crate::map::{Model, SwapMap};
use crate::reason::Reason;
use crate::unit::{PageCount, PageSize};

/// One node of a map: 192 bytes, three cache lines, opaque. A caller's array of these is all the memory it needs.
///
/// A leaf holds the first swap pages of 15 extents, then the swap page after them, then their 15 targets as pairs
/// of 32 bits. An inner node holds the first swap page of each of 48 children.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C, align(64))]
pub struct Slot([u32; CHILDREN]);

impl Slot {
    /// An unused slot, to fill an array with.
    pub const EMPTY: Self = Self([u32::MAX; CHILDREN]);

    /// Extents that one leaf holds.
    pub const EXTENTS: usize = KEYS - 1;

    /// Slots that a map of so many extents takes, inner nodes included.
    pub const fn needed(extents: usize) -> usize {
        let mut nodes = extents.div_ceil(Self::EXTENTS);
        let mut slots = nodes;
        while nodes > 1 {
            nodes = nodes.div_ceil(CHILDREN);
            slots = slots.saturating_add(nodes);
        }
        slots
    }

    /// The swap page that the node begins with.
    const fn first(&self) -> u32 {
        let [first, ..] = self.0;
        first
    }

    /// The extent of a leaf that holds `page`, which lies in this leaf.
    fn extent_of(&self, page: u32) -> Option<usize> {
        rank(self.0.first_chunk::<KEYS>()?, page).checked_sub(1)
    }

    /// The child of an inner node that holds `page`, which lies below this node.
    fn child_of(&self, page: u32) -> Option<usize> {
        rank(&self.0, page).checked_sub(1)
    }

    /// What is left of the extent at `at` from `page` on.
    pub(super) fn run(&self, at: usize, page: u32) -> Option<SwapExtent> {
        let (start, end) = self.bounds(at)?;
        let skipped = page.checked_sub(start)?;
        let target = self.target(at)?.checked_add(u64::from(skipped))?;
        Some(SwapExtent::new(page.into(), target, end.checked_sub(page)?.into()))
    }

    /// The first swap page of an extent, and the one after its last.
    pub(super) fn bounds(&self, at: usize) -> Option<(u32, u32)> {
        let keys = self.0.first_chunk::<KEYS>()?;
        Some((*keys.get(at)?, *keys.get(at.checked_add(1)?)?))
    }

    /// The target of an extent's first swap page.
    pub(super) fn target(&self, at: usize) -> Option<u64> {
        let pair = at.checked_mul(2)?.checked_add(KEYS)?;
        let (low, high) = (self.0.get(pair)?, self.0.get(pair.checked_add(1)?)?);
        Some(u64::from(*low) | u64::from(*high) << 32)
    }

    /// Puts an extent in.
    fn set(&mut self, at: usize, start: u32, target: u64) -> Option<()> {
        let pair = at.checked_mul(2)?.checked_add(KEYS)?;
        *self.0.get_mut(..KEYS)?.get_mut(at)? = start;
        *self.0.get_mut(pair)? = u32::try_from(target & u64::from(u32::MAX)).ok()?;
        *self.0.get_mut(pair.checked_add(1)?)? = u32::try_from(target >> 32).ok()?;
        Some(())
    }

    /// Closes the leaf: every key from `at` on is the swap page after its last.
    fn close(&mut self, at: usize, end: u32) {
        let keys = self.0.get_mut(..KEYS).and_then(|keys| keys.get_mut(at..));
        keys.unwrap_or_default().fill(end);
    }
}

/// The shape of a sealed tree: where each level of inner nodes begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    /// First slot of each level of inner nodes, the root's level first; only the first `depth` count.
    levels: [usize; MAX_DEPTH],
    depth: usize,
}

impl Tree {
    /// The leaf and the extent in it that hold `page`, which must be in the area.
    #[inline]
    pub(super) fn find(&self, slots: &[Slot], page: u32) -> Option<(usize, usize)> {
        let mut at = 0usize;
        for level in self.levels.get(..self.depth)? {
            let node = slots.get(level.checked_add(at)?)?;
            at = at.checked_mul(CHILDREN)?.checked_add(node.child_of(page)?)?;
        }
        Some((at, slots.get(at)?.extent_of(page)?))
    }

    /// The same for several pages, level by level, so that their cache misses are under way together.
    #[inline]
    pub(super) fn find_all<const N: usize>(&self, slots: &[Slot], pages: [u32; N]) -> [Option<(usize, usize)>; N] {
        let mut places = pages.map(|page| (page, 0usize));
        for level in self.levels.get(..self.depth).unwrap_or_default() {
            for (page, at) in &mut places {
                let child = slots.get(level.saturating_add(*at)).and_then(|node| node.child_of(*page));
                *at = at.saturating_mul(CHILDREN).saturating_add(child.unwrap_or(usize::MAX));
            }
        }
        places.map(|(page, at)| Some((at, slots.get(at)?.extent_of(page)?)))
    }

    /// Closes the last leaf and lays the inner nodes behind the leaves.
    fn build(facts: &Facts, slots: &mut impl SlotMemory) -> Option<Self> {
        let extents = index_of(facts.totals.extents);
        let mut nodes = extents.div_ceil(Slot::EXTENTS);
        let (last, used) = (nodes.checked_sub(1)?, extents.checked_sub(1)? % Slot::EXTENTS);
        slots.at(last)?.close(used.checked_add(1)?, facts.pages());

        let mut tree = Self { levels: [0; MAX_DEPTH], depth: 0 };
        let (mut below, mut next) = (0usize, nodes);
        while nodes > 1 {
            let parents = nodes.div_ceil(CHILDREN);
            for parent in 0..parents {
                let mut node = Slot::EMPTY;
                let children = parent.checked_mul(CHILDREN)?;
                for (child, key) in (children..nodes).zip(&mut node.0) {
                    *key = slots.at(below.checked_add(child)?)?.first();
                }
                *slots.at(next.checked_add(parent)?)? = node;
            }
            *tree.levels.get_mut(tree.depth)? = next;
            tree.depth = tree.depth.checked_add(1)?;
            (below, nodes, next) = (next, parents, next.checked_add(parents)?);
        }
        tree.levels.get_mut(..tree.depth)?.reverse();
        Some(tree)
    }
}

/// What is known of a finished activation. No public door on purpose: only an activation states it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub(crate) totals: Totals,
    pub(crate) model: Model,
    pub(crate) page_size: PageSize,
    pub(crate) identity: bool,
}

impl Facts {
    /// Pages, in the width that activation counted them.
    pub(super) fn pages(&self) -> u32 {
        u32::try_from(self.totals.pages.get()).unwrap_or(u32::MAX)
    }
}

/// The counts of an activated area, as swapon(2) logs them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Totals {
    /// Pages of the area, the header page and any bad pages included: `sis->max`.
    pub pages: PageCount,
    /// Pages that can be swapped to: `sis->pages`, the Size column of /proc/swaps.
    pub usable: PageCount,
    /// Extents, neighbours merged: `extents:` in the kernel's log.
    pub extents: u32,
    /// From the lowest to the highest device page, the header page left out: `across:` in the kernel's log.
    ///
    /// Computed before the area is cut to what the header claims, as the kernel does; so it may be too long.
    pub span: PageCount,
}

/// Memory that an activation fills: a caller's slice, a `Vec`, or none ([`Tally`]). Sealed.
pub trait Store: Sealed {
    /// What a finished activation gives: a [`SwapMap`], or only the [`Totals`].
    type Proof;
    #[doc(hidden)]
    fn append(&mut self, ordinal: u32, start: u32, target: u64) -> Result<(), Reason>;
    #[doc(hidden)]
    fn seal(self, facts: Facts) -> Result<Self::Proof, Reason>;
}

/// Memory that a finished map can be read from. Sealed.
pub trait Slots: Sealed {
    #[doc(hidden)]
    fn slots(&self) -> &[Slot];
}

/// Counts only: needs no memory, gives no map. For prediction, where nothing will be looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally;

impl Store for Tally {
    type Proof = Totals;

    #[inline]
    fn append(&mut self, _: u32, _: u32, _: u64) -> Result<(), Reason> {
        Ok(())
    }

    fn seal(self, facts: Facts) -> Result<Totals, Reason> {
        Ok(facts.totals)
    }
}

impl<'a> Store for &'a mut [Slot] {
    type Proof = SwapMap<&'a [Slot]>;

    #[inline]
    fn append(&mut self, ordinal: u32, start: u32, target: u64) -> Result<(), Reason> {
        put(self, ordinal, start, target).ok_or_else(|| full(self.len()))
    }

    fn seal(mut self, facts: Facts) -> Result<Self::Proof, Reason> {
        let tree = Tree::build(&facts, &mut self).ok_or_else(|| full(self.len()))?;
        Ok(SwapMap::seal(self, tree, facts))
    }
}

impl Slots for &[Slot] {
    fn slots(&self) -> &[Slot] {
        self
    }
}

#[cfg(feature = "alloc")]
impl Store for alloc::vec::Vec<Slot> {
    type Proof = SwapMap<Self>;

    #[inline]
    fn append(&mut self, ordinal: u32, start: u32, target: u64) -> Result<(), Reason> {
        put(self, ordinal, start, target).ok_or_else(|| full(self.len()))
    }

    fn seal(mut self, facts: Facts) -> Result<Self::Proof, Reason> {
        let tree = Tree::build(&facts, &mut self).ok_or_else(|| full(self.len()))?;
        Ok(SwapMap::seal(self, tree, facts))
    }
}

#[cfg(feature = "alloc")]
impl Slots for alloc::vec::Vec<Slot> {
    fn slots(&self) -> &[Slot] {
        self
    }
}

/// Keeps [`Store`] and [`Slots`] to the types above: a store that lies would break every map.
pub trait Sealed {}
impl Sealed for Tally {}
impl Sealed for &mut [Slot] {}
impl Sealed for &[Slot] {}
#[cfg(feature = "alloc")]
impl Sealed for alloc::vec::Vec<Slot> {}

/// Memory by slot; owned memory grows by one slot when the slot after its last is asked for.
trait SlotMemory {
    fn at(&mut self, slot: usize) -> Option<&mut Slot>;
}

impl SlotMemory for &mut [Slot] {
    #[inline]
    fn at(&mut self, slot: usize) -> Option<&mut Slot> {
        self.get_mut(slot)
    }
}

#[cfg(feature = "alloc")]
impl SlotMemory for alloc::vec::Vec<Slot> {
    #[inline]
    fn at(&mut self, slot: usize) -> Option<&mut Slot> {
        if slot == self.len() {
            self.push(Slot::EMPTY);
        }
        self.get_mut(slot)
    }
}

/// Puts the next extent in: into the last leaf, or into a new one, whose start closes the last.
#[inline]
fn put(slots: &mut impl SlotMemory, ordinal: u32, start: u32, target: u64) -> Option<()> {
    let (leaf, at) = (index_of(ordinal / EXTENTS), index_of(ordinal % EXTENTS));
    if at == 0 {
        *slots.at(leaf)? = Slot::EMPTY;
        if let Some(before) = leaf.checked_sub(1) {
            slots.at(before)?.close(Slot::EXTENTS, start);
        }
    }
    slots.at(leaf)?.set(at, start, target)
}

/// How many keys are at most `page`: no branches, so that it becomes a few vector compares.
#[inline]
fn rank<const N: usize>(keys: &[u32; N], page: u32) -> usize {
    index_of(keys.iter().map(|key| u32::from(*key <= page)).fold(0, u32::wrapping_add))
}

/// A 32-bit count as an index: exact on every target of 32 bits or more.
fn index_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn full(slots: usize) -> Reason {
    Reason::MapFull { capacity: u64::try_from(slots).unwrap_or(u64::MAX) }
}

const KEYS: usize = 16;
const CHILDREN: usize = 48;
const EXTENTS: u32 = 15;
/// 2^32 extents fill 286,331,154 leaves; six levels of 48 children reach over 12,000,000,000.
const MAX_DEPTH: usize = 6;

const _: () = assert!(size_of::<Slot>() == 192 && size_of::<usize>() >= size_of::<u32>());
const _: () = assert!(KEYS + 2 * Slot::EXTENTS <= CHILDREN && Slot::EXTENTS == 15);
