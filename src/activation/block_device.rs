//! A block device: the device is the area, but for the bad pages that its header lists.
//!
//! Source: Linux v6.18, `mm/swapfile.c:setup_swap_extents` (one extent, span without the header page) and
//! `setup_swap_map` (bad pages). In v6.1 the logged span leaves the bad pages out as well.

use super::Activation;
use super::fill::Fill;
use crate::header::{Area, Header};
use crate::map::{Model, Store};
use crate::reason::Reason;

impl<S: Store> Activation<S> {
    /// Activates a whole device whose header says which pages are bad.
    ///
    /// The map holds the bad pages too, as the kernel's does: it is the allocator of pages that leaves them out.
    /// Each listed entry costs one usable page, a duplicate as well.
    ///
    /// # Errors
    /// In the kernel's order: an entry that is the header page or past the last ([`Reason::BadPageOutside`]), no
    /// usable page left; then more entries than pages, where the kernel's 32-bit count wraps; memory for one extent.
    pub fn block_device(area: &Area, header: &Header<'_>, store: S) -> Result<S::Proof, Reason> {
        let mut bad_pages = 0u32;
        for bad in header.bad_pages() {
            if bad.get() == 0 || bad > header.last_page() {
                return Err(Reason::BadPageOutside { bad, last: header.last_page() });
            }
            // A page past what this kernel can address is not in its table.
            bad_pages = bad_pages.saturating_add(u32::from(bad.get() < area.pages().get()));
        }
        let mut fill = Fill::new(area, store);
        fill.add_identity(area.pages().get())?;
        fill.enough_without(bad_pages)?;
        fill.seal_without(Model::Bio, bad_pages)
    }
}
