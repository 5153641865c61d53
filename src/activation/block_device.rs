//! A block device: the device is the area, but for the bad pages that its header lists.
//!
//! Source: Linux v6.18, `mm/swapfile.c:setup_swap_extents` (one extent, span without the header page) and
//! `setup_swap_map` (bad pages). In v6.1 the logged span leaves the bad pages out as well.

use super::Activation;
use super::fill::Fill;
use crate::header::{Area, Backing};
use crate::map::Store;
use crate::model::Model;
use crate::reason::Reason;

impl<S: Store> Activation<S> {
    /// Activates a whole device; its header says which pages are bad.
    ///
    /// The map holds the bad pages too, as the kernel's does: it is the allocator of pages that leaves them out.
    /// Each listed entry costs one usable page, a duplicate as well.
    ///
    /// # Errors
    /// [`Reason::OtherBacking`] for the area of a file. Then in the kernel's order: an entry that is the header page or
    /// past the last ([`Reason::BadPageOutside`]), no usable page left; then more entries than pages, where the
    /// kernel's 32-bit count wraps; memory for one extent.
    pub fn block_device(area: &Area, store: S) -> Result<S::Proof, Reason> {
        if area.backing() != Backing::BlockDevice {
            return Err(Reason::OtherBacking);
        }
        let bad_pages = area.bad_pages()?;
        let mut fill = Fill::new(area, store);
        fill.add_identity(area.pages().get())?;
        fill.enough_without(bad_pages)?;
        fill.seal_without(Model::Bio, bad_pages)
    }
}
