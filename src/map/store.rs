//! Where a map's extents live: the 64-byte slot, the tree of slots, and the memory that they are put into.
//!
//! Leaves come first, as the stream fills them; inner nodes are laid behind them, level by level, when the map is
//! sealed. All counts in here are 32 bits wide, as the kernel's `sis->max` is.

use crate::extent::SwapExtent;
use crate::map::SwapMap;
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{PageCount, PageSize};

/// One node of a map: 64 bytes, one cache line, opaque. A caller's array of these is all the memory it needs.
///
/// A leaf holds the first swap pages of 5 extents, then the swap page after them, then their 5 targets as pairs
/// of 32 bits. An inner node holds the first swap page of each of 16 children.
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
    #[inline]
    fn extent_of(&self, page: u32) -> usize {
        let [_, second, third, fourth, fifth, ..] = self.0;
        rank([second, third, fourth, fifth], page)
    }

    /// The child of an inner node that holds `page`, which lies below this node.
    ///
    /// Every fourth key first, then the three after it: two loads that wait for each other, and no branch to guess.
    #[inline]
    fn child_of(&self, page: u32) -> usize {
        let [_, _, _, _, fourth, _, _, _, eighth, _, _, _, twelfth, ..] = self.0;
        let quarter = rank([fourth, eighth, twelfth], page) << 2;
        let key = |at: usize| self.0.get(quarter | at).copied().unwrap_or(u32::MAX);
        quarter | rank([key(1), key(2), key(3)], page)
    }

    /// What is left of the extent that holds `page` from there on; the page lies in this leaf.
    #[inline]
    pub(super) fn run_of(&self, page: u32) -> Option<SwapExtent> {
        self.run(self.extent_of(page), page)
    }

    /// What is left of the extent at `at` from `page` on.
    #[inline]
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
    #[inline]
    fn set(&mut self, at: usize, start: u32, target: u64) -> Option<()> {
        let (keys, pairs) = self.0.split_first_chunk_mut::<KEYS>()?;
        let ([low, high], _) = pairs.get_mut(at.checked_mul(2)?..)?.split_first_chunk_mut()?;
        *low = u32::try_from(target & u64::from(u32::MAX)).ok()?;
        *high = u32::try_from(target >> 32).ok()?;
        *keys.get_mut(at)? = start;
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
            let node = slots.get(level.wrapping_add(at))?;
            at = at << 4 | node.child_of(page);
        }
        Some((at, slots.get(at)?.extent_of(page)))
    }

    /// The leaves of several pages, level by level, so that their cache misses are under way together.
    #[inline]
    pub(super) fn leaves<const N: usize>(&self, slots: &[Slot], pages: [u32; N]) -> [usize; N] {
        let mut leaves = [0usize; N];
        for level in self.levels.get(..self.depth).unwrap_or_default() {
            for (at, page) in leaves.iter_mut().zip(pages) {
                let node = slots.get(level.wrapping_add(*at)).unwrap_or(&Slot::EMPTY);
                *at = *at << 4 | node.child_of(page);
            }
        }
        leaves
    }

    /// Closes the last leaf and lays the inner nodes behind the leaves.
    fn build(facts: &Facts, slots: &mut impl SlotMemory) -> Option<Self> {
        let extents = index_of(facts.totals.extents);
        let mut nodes = extents.div_ceil(Slot::EXTENTS);
        let (last, used) = (nodes.checked_sub(1)?, extents.checked_sub(1)? % Slot::EXTENTS);
        slots.at(last)?.close(used.checked_add(1)?, facts.pages());

        let (mut levels, mut depth) = ([0; MAX_DEPTH], 0usize);
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
            *levels.get_mut(depth)? = next;
            depth = depth.checked_add(1)?;
            (below, nodes, next) = (next, parents, next.checked_add(parents)?);
        }
        // Not `reverse`: it can panic, says the linker.
        let mut tree = Self { levels: [0; MAX_DEPTH], depth };
        for (level, first) in tree.levels.iter_mut().zip(levels.get(..depth)?.iter().rev()) {
            *level = *first;
        }
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
    /// A slot that is there, or the next one.
    fn at(&mut self, slot: usize) -> Option<&mut Slot>;
    /// A slot that is there.
    fn slot(&mut self, slot: usize) -> Option<&mut Slot>;
}

impl SlotMemory for &mut [Slot] {
    #[inline]
    fn at(&mut self, slot: usize) -> Option<&mut Slot> {
        self.get_mut(slot)
    }

    #[inline]
    fn slot(&mut self, slot: usize) -> Option<&mut Slot> {
        self.get_mut(slot)
    }
}

#[cfg(feature = "alloc")]
impl SlotMemory for alloc::vec::Vec<Slot> {
    #[inline]
    fn at(&mut self, slot: usize) -> Option<&mut Slot> {
        // Memory that cannot be had is `MapFull`, not an abort.
        if slot == self.len() && self.try_reserve(1).is_ok() {
            self.push(Slot::EMPTY);
        }
        self.get_mut(slot)
    }

    #[inline]
    fn slot(&mut self, slot: usize) -> Option<&mut Slot> {
        self.get_mut(slot)
    }
}

/// Puts the next extent in: into the last leaf, or into a new one, whose start closes the last.
#[inline]
fn put(slots: &mut impl SlotMemory, ordinal: u32, start: u32, target: u64) -> Option<()> {
    let (leaf, at) = (index_of(ordinal / EXTENTS), index_of(ordinal % EXTENTS));
    if at != 0 {
        return slots.slot(leaf)?.set(at, start, target);
    }
    if let Some(before) = leaf.checked_sub(1) {
        *slots.slot(before)?.0.get_mut(Slot::EXTENTS)? = start;
    }
    let node = slots.at(leaf)?;
    *node = Slot::EMPTY;
    node.set(0, start, target)
}

/// How many keys are at most `page`.
#[inline]
fn rank<const N: usize>(keys: [u32; N], page: u32) -> usize {
    keys.into_iter().map(|key| usize::from(key <= page)).fold(0, usize::wrapping_add)
}

/// A 32-bit count as an index: exact on every target of 32 bits or more.
fn index_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn full(slots: usize) -> Reason {
    Reason::MapFull { capacity: u64::try_from(slots).unwrap_or(u64::MAX) }
}

const KEYS: usize = 6;
const CHILDREN: usize = 16;
const EXTENTS: u32 = 5;
/// 2^32 extents fill 858,993,460 leaves; eight levels of 16 children reach 4,294,967,296.
const MAX_DEPTH: usize = 8;

const _: () = assert!(size_of::<Slot>() == 64 && size_of::<usize>() >= size_of::<u32>());
const _: () = assert!(KEYS + 2 * Slot::EXTENTS <= CHILDREN && Slot::EXTENTS == 5);
