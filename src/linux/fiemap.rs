//! FIEMAP: the extents of a file as its filesystem states them, in large batches, with a hard end.
//!
//! The first call syncs the file, as swapon does; else delayed allocation looks like holes. FIEMAP knows neither
//! uncommitted mappings nor devices, and its "physical" on btrfs is a logical address: what a profile may make of it
//! is decided where it is used.
//!
//! Source: Linux v6.18, `fs/ioctl.c:ioctl_fiemap`, `include/uapi/linux/fiemap.h`.

use std::os::fd::AsFd;

use super::ioctl::{RawExtent, RawFiemap};
use crate::extent::{DeviceId, ExtentFlags, ExtentState, FileExtent};
use crate::reason::Reason;
use crate::unit::Bytes;

/// Hands the extents of the first `size` bytes to `take`, in order, until it says that it has seen enough.
///
/// # Errors
/// The ioctl's errno: `EOPNOTSUPP` where the filesystem has no FIEMAP.
///
/// A filesystem that repeats itself or never ends is refused through `take`, with a reason.
pub(super) fn extents(
    fd: impl AsFd,
    size: Bytes,
    mut take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    let mut call = RawFiemap::new();
    let (mut next, mut taken, mut flags) = (0u64, 0u64, RawFiemap::SYNC);
    while next < size.get() {
        let answer = call.ask(&fd, next, size.get().saturating_sub(next), flags)?;
        flags = 0;
        if answer.is_empty() {
            return Ok(());
        }
        let before = next;
        for raw in answer {
            taken = taken.saturating_add(1);
            let claim =
                if taken > LIMIT { Err(Reason::ExtentsTooMany { limit: LIMIT }) } else { claim_of(raw, before) };
            let end = claim.map(|claim| claim.logical.checked_add(claim.length));
            if take(claim) == Go::Stop || raw.flags & LAST != 0 {
                return Ok(());
            }
            match end {
                Ok(Some(end)) => next = end.get(),
                // A claim without an end cannot be walked past; the activation has refused it already.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
        if next <= before {
            take(Err(Reason::ExtentOrder { offset: Bytes::new(next), expected: Bytes::new(before) }));
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the walk over a file goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Go {
    On,
    Stop,
}

/// Makes a claim of what came. A call that starts inside an extent is given the whole extent: it is cut here.
fn claim_of(raw: &RawExtent, start: u64) -> Result<FileExtent, Reason> {
    let offset = Bytes::new(raw.logical);
    if raw.flags & !KNOWN != 0 {
        return Err(Reason::ExtentFlagsUnknown { offset, bits: raw.flags & !KNOWN });
    }
    let cut = start.saturating_sub(raw.logical).min(raw.length);
    let has = |bits: u32| raw.flags & bits != 0;
    let state = if has(DELALLOC) {
        ExtentState::Delayed
    } else if has(INLINE | TAIL) {
        ExtentState::Inline
    } else if has(UNWRITTEN) {
        ExtentState::Unwritten
    } else {
        ExtentState::Written
    };
    let mut flags = ExtentFlags::empty();
    flags.set(ExtentFlags::SHARED, has(SHARED));
    flags.set(ExtentFlags::ENCRYPTED, has(ENCRYPTED));
    // Encrypted and inline extents are also called encoded and not aligned; the finer word is enough.
    flags.set(ExtentFlags::COMPRESSED, has(ENCODED) && !has(ENCRYPTED));
    flags.set(ExtentFlags::NOT_ALIGNED, has(NOT_ALIGNED) && !has(INLINE | TAIL));
    Ok(FileExtent {
        logical: Bytes::new(raw.logical.saturating_add(cut)),
        physical: if has(UNKNOWN) { None } else { raw.physical.checked_add(cut).map(Bytes::new) },
        length: Bytes::new(raw.length.saturating_sub(cut)),
        state,
        flags,
        device: DeviceId::MAIN,
    })
}

/// No swap area has more pages, so no honest file that can serve swap has more extents.
const LIMIT: u64 = 1 << 32;

const LAST: u32 = 0x1;
const UNKNOWN: u32 = 0x2;
const DELALLOC: u32 = 0x4;
const ENCODED: u32 = 0x8;
const ENCRYPTED: u32 = 0x80;
const NOT_ALIGNED: u32 = 0x100;
const INLINE: u32 = 0x200;
const TAIL: u32 = 0x400;
const UNWRITTEN: u32 = 0x800;
const MERGED: u32 = 0x1000;
const SHARED: u32 = 0x2000;
const KNOWN: u32 =
    LAST | UNKNOWN | DELALLOC | ENCODED | ENCRYPTED | NOT_ALIGNED | INLINE | TAIL | UNWRITTEN | MERGED | SHARED;
