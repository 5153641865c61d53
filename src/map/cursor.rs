//! A place in a map, for pages that mostly follow each other: the next page costs two comparisons.

use crate::extent::SwapExtent;
use crate::map::View;
use crate::reason::Reason;
use crate::unit::PageIndex;

/// A place in a map. Asking for a page moves it there; a page in the same or the next extent needs no search.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    map: View<'a>,
    /// The leaf and the extent in it; meaningless while `start == end`.
    leaf: usize,
    at: usize,
    /// The extent's swap pages and the target of the first.
    start: u32,
    end: u32,
    target: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(map: View<'a>) -> Self {
        Self { map, leaf: 0, at: 0, start: 0, end: 0, target: 0 }
    }

    /// Where a page lies, and how many pages follow it there without a break.
    ///
    /// # Errors
    /// [`Reason::OutsideArea`] for a page past the end; the cursor stays where it is.
    #[inline]
    pub fn run(&mut self, page: PageIndex) -> Result<SwapExtent, Reason> {
        self.seek(page).ok_or_else(|| self.map.outside(page))
    }

    #[inline]
    fn seek(&mut self, page: PageIndex) -> Option<SwapExtent> {
        let page = self.map.slot_page(page)?;
        if page < self.start || page >= self.end {
            self.turn(page)?;
        }
        let skipped = page.checked_sub(self.start)?;
        let target = self.target.checked_add(u64::from(skipped))?;
        Some(SwapExtent::new(page.into(), target, self.end.checked_sub(page)?.into()))
    }

    /// Moves to the extent of `page`: the next one if it is that, else by a search.
    fn turn(&mut self, page: u32) -> Option<()> {
        let slots = self.map.slots;
        let next = if self.start == self.end {
            None
        } else if self.at.checked_add(1)? < super::Slot::EXTENTS {
            Some((self.leaf, self.at.checked_add(1)?))
        } else {
            Some((self.leaf.checked_add(1)?, 0))
        };
        let place = match next {
            Some((leaf, at)) if page == self.end => (leaf, at),
            _ => self.map.tree.find(slots, page)?,
        };
        let leaf = slots.get(place.0)?;
        let (start, end) = leaf.bounds(place.1)?;
        self.target = leaf.target(place.1)?;
        (self.leaf, self.at, self.start, self.end) = (place.0, place.1, start, end);
        Some(())
    }
}
