//! NFS and SMB: the client counts allocated sectors, once, and serves the file by `swap_rw`.
//!
//! That is the whole check: a server that compresses looks like a file with holes, and blocks allocated past the
//! end of the file hide a hole. The area is one extent, file page n for swap page n.
//!
//! Source: Linux v6.18, `fs/nfs/file.c:nfs_swap_activate`, `fs/smb/client/file.c:cifs_swap_activate`.

use super::Activation;
use super::fill::Fill;
use crate::header::{Area, Backing};
use crate::map::Store;
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{Bytes, Sectors};

impl<S: Store> Activation<S> {
    /// Activates a file of a network filesystem that has `allocated` sectors (`i_blocks`).
    ///
    /// # Errors
    /// [`Reason::OtherBacking`] for the area of a device; [`Reason::Underallocated`] when they are fewer bytes than the
    /// file is long; memory for one extent.
    pub fn network(area: &Area, allocated: Sectors, store: S) -> Result<S::Proof, Reason> {
        if area.backing() != Backing::RegularFile {
            return Err(Reason::OtherBacking);
        }
        let (size, bytes) = (area.size(), allocated.to_bytes().unwrap_or(Bytes::new(u64::MAX)));
        if bytes < size {
            return Err(Reason::Underallocated { allocated: bytes, size });
        }
        let mut fill = Fill::new(area, store);
        fill.add_identity(area.pages().get())?;
        fill.seal(Model::File)
    }
}
