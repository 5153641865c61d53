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
    take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    extents_between(fd, Bytes::ZERO, size, take)
}

/// The same from `start` to `end` only; the first and the last may stretch beyond.
pub(super) fn extents_between(
    fd: impl AsFd,
    start: Bytes,
    end: Bytes,
    take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    walk_with(&mut RawFiemap::new(), fd, start, end, take)
}

/// The same into memory that is there already, so that nothing is allocated.
pub(super) fn walk_with(
    call: &mut RawFiemap,
    fd: impl AsFd,
    start: Bytes,
    end: Bytes,
    take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    walk(|start, length, flags, hand| call.ask(&fd, start, length, flags).map(hand), start, end, take)
}

/// Has the dirty pages of a file written back, so that what it holds has a place.
pub(super) fn sync(fd: impl AsFd) -> rustix::io::Result<()> {
    extents(fd, Bytes::new(1), |_| Go::Stop)
}

/// The walk, over whatever answers: asks again where the last answer ended, and ends however that lies.
fn walk(
    mut ask: impl FnMut(u64, u64, u32, &mut dyn FnMut(&[RawExtent])) -> rustix::io::Result<()>,
    start: Bytes,
    end: Bytes,
    mut take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    let limit = (end.get().saturating_sub(start.get()) / SMALLEST_BLOCK).saturating_add(2).min(MOST_EXTENTS);
    let (mut next, mut taken, mut flags, mut over) = (start.get(), 0u64, RawFiemap::SYNC, false);
    while next < end.get() && !over {
        let before = next;
        ask(next, end.get().saturating_sub(next), flags, &mut |answer| {
            over = answer.is_empty();
            for raw in answer {
                taken = taken.saturating_add(1);
                let claim = if taken > limit { Err(Reason::ExtentsTooMany { limit }) } else { claim_of(raw, before) };
                // A claim without an end cannot be walked past; whoever takes it refuses it.
                let end = claim.ok().and_then(|claim| claim.logical.checked_add(claim.length));
                over = take(claim) == Go::Stop || raw.flags & LAST != 0 || end.is_none();
                if over {
                    return;
                }
                next = end.map_or(next, Bytes::get);
            }
        })?;
        flags = 0;
        if next <= before && !over {
            take(Err(Reason::ExtentOrder { offset: Bytes::new(next), expected: Bytes::new(before) }));
            over = true;
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

/// No filesystem has smaller blocks, so none has more extents in a file of some size.
const SMALLEST_BLOCK: u64 = 512;
/// More than anybody has: the map of so many takes some 700 MB while it is looked over.
pub(super) const MOST_EXTENTS: u64 = 1 << 24;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(logical: u64, length: u64, flags: u32) -> RawExtent {
        RawExtent { logical, physical: 1 << 20, length, flags, ..RawExtent::default() }
    }

    /// Walks a file of 1 MiB on a filesystem that answers every call with the same extents.
    fn walked(answer: &[RawExtent]) -> Vec<Result<FileExtent, Reason>> {
        let mut taken = Vec::new();
        let ask = |_, _, _, hand: &mut dyn FnMut(&[RawExtent])| {
            hand(answer);
            Ok(())
        };
        let walked = walk(ask, Bytes::ZERO, Bytes::new(1 << 20), |claim| {
            taken.push(claim);
            Go::On
        });
        assert!(walked.is_ok());
        taken
    }

    #[test]
    fn a_filesystem_that_lies_comes_to_an_end() {
        let code =
            |taken: &[Result<FileExtent, Reason>]| taken.last().and_then(|last| last.err()).map(|why| why.code());
        let cases: [(&str, RawExtent, usize, Option<&str>); 6] = [
            ("nothing but the end", raw(0, 1 << 20, LAST), 1, None),
            ("no end mark", raw(0, 1 << 20, 0), 1, None),
            ("the same again", raw(0, 4096, 0), 3, Some("extent-order")),
            ("no length", raw(0, 0, 0), 2, Some("extent-order")),
            ("past 2^64", raw(u64::MAX, 4096, 0), 1, None),
            ("an unknown flag", raw(0, 4096, 0x4000), 1, Some("extent-flags-unknown")),
        ];
        for (name, extent, count, reason) in cases {
            let taken = walked(&[extent]);
            assert_eq!((taken.len(), code(&taken)), (count, reason), "{name}: {taken:?}");
        }
        let crumbs: Vec<RawExtent> = (0..3000).map(|at| raw(at, 1, 0)).collect();
        assert_eq!(code(&walked(&crumbs)), Some("extents-too-many"));
        assert!(walked(&[]).is_empty());
    }

    #[test]
    fn flags_become_states() {
        let cases = [
            ("written", 0, ExtentState::Written, ExtentFlags::empty()),
            ("merged", MERGED | LAST, ExtentState::Written, ExtentFlags::empty()),
            ("unwritten", UNWRITTEN, ExtentState::Unwritten, ExtentFlags::empty()),
            ("delayed", DELALLOC | UNKNOWN, ExtentState::Delayed, ExtentFlags::empty()),
            ("inline", INLINE | NOT_ALIGNED, ExtentState::Inline, ExtentFlags::empty()),
            ("tail", TAIL | NOT_ALIGNED, ExtentState::Inline, ExtentFlags::empty()),
            ("shared", SHARED, ExtentState::Written, ExtentFlags::SHARED),
            ("compressed", ENCODED, ExtentState::Written, ExtentFlags::COMPRESSED),
            ("encrypted", ENCRYPTED | ENCODED, ExtentState::Written, ExtentFlags::ENCRYPTED),
            ("not aligned", NOT_ALIGNED, ExtentState::Written, ExtentFlags::NOT_ALIGNED),
        ];
        for (name, bits, state, flags) in cases {
            let claim = claim_of(&raw(0, 4096, bits), 0);
            assert!(claim.is_ok_and(|claim| claim.state == state && claim.flags == flags), "{name}: {claim:?}");
        }
        assert!(claim_of(&raw(0, 4096, UNKNOWN), 0).is_ok_and(|claim| claim.physical.is_none()));
        let cut = claim_of(&raw(4096, 8192, 0), 8192).map(|claim| (claim.logical, claim.physical, claim.length));
        assert_eq!(cut, Ok((Bytes::new(8192), Some(Bytes::new((1 << 20) + 4096)), Bytes::new(4096))));
    }
}
