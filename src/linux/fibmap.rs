//! FIBMAP: where each block of a file lies, asked one by one, as swapon itself does on filesystems with only `->bmap`.
//!
//! Block 0 is a hole, and so is every failure of the filesystem; what the ioctl itself cannot carry, a number past
//! 2^31, is no answer. It needs `CAP_SYS_RAWIO`. Behind fuseblk each question is a round trip to a process, which may
//! answer anything.
//!
//! Source: Linux v6.18, `fs/ioctl.c:ioctl_fibmap`, `mm/page_io.c:generic_swapfile_activate`.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::fiemap::{self, Go};
use super::inode::Inode;
use super::ioctl::{block_of, block_size};
use crate::extent::FileExtent;
use crate::reason::Reason;
use crate::release::Release;
use crate::unit::{BlockSize, Bytes};

/// The unit that swapon counts in (`i_blkbits`) on a filesystem of the kernel's own: the superblock's.
pub(super) fn unit(fd: impl AsFd) -> rustix::io::Result<Option<BlockSize>> {
    Ok(BlockSize::new(u64::try_from(block_size(fd)?).unwrap_or(0)))
}

/// The same behind FUSE; `None` where this kernel's is not known.
///
/// There the server states a block size for each file. Up to 6.12 swapon counts in that one, while blocks are asked
/// for in the superblock's; 6.18 keeps to the superblock's. Releases between were not read.
pub(super) fn served_unit(
    fd: impl AsFd,
    inode: &Inode,
    release: Option<Release>,
) -> rustix::io::Result<Option<BlockSize>> {
    let superblock = unit(fd)?;
    let file = BlockSize::new(inode.preferred_block.get());
    Ok(match release {
        _ if superblock == file => superblock,
        Some(release) if release >= SUPERBLOCK_ONLY => superblock,
        Some(release) if release <= FILE_ONLY => file,
        Some(_) | None => None,
    })
}

/// `fs/fuse/inode.c:fuse_change_attributes_common`: read in 6.18, it leaves `i_blkbits` alone.
const SUPERBLOCK_ONLY: Release = Release::new(6, 18);
/// The last release read in which it sets `i_blkbits`.
const FILE_ONLY: Release = Release::new(6, 12);

/// Hands the blocks of the first `size` bytes to `take`, run by run, until it says that it has seen enough.
///
/// # Errors
/// `EPERM` without `CAP_SYS_RAWIO`; `ERANGE` for a block that has no number here.
pub(super) fn extents(
    fd: impl AsFd,
    size: Bytes,
    unit: BlockSize,
    take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    walk(|block| block_of(&fd, block), size, unit, take)
}

/// The walk, over whatever answers.
fn walk(
    mut ask: impl FnMut(i32) -> rustix::io::Result<i32>,
    size: Bytes,
    unit: BlockSize,
    mut take: impl FnMut(Result<FileExtent, Reason>) -> Go,
) -> rustix::io::Result<()> {
    let blocks = size.get() >> unit.shift();
    // File block, device block and length of the run that grows; at most a batch, so that `take` can end the walk.
    let mut run: Option<(u64, u64, u64)> = None;
    let mut taken = 0u64;
    for block in 0..blocks {
        let device = match ask(i32::try_from(block).map_err(|_| Errno::RANGE)?) {
            Ok(number) => u64::try_from(number).map_err(|_| Errno::RANGE)?,
            Err(error @ (Errno::PERM | Errno::RANGE | Errno::INTR)) => return Err(error),
            Err(_) => 0,
        };
        run = match run {
            Some((first, at, length)) if device != 0 && at.saturating_add(length) == device && length < BATCH => {
                Some((first, at, length.saturating_add(1)))
            }
            done => {
                if let Some(run) = done {
                    taken = taken.saturating_add(1);
                    let limit = fiemap::MOST_EXTENTS;
                    let claim =
                        if taken > limit { Err(Reason::ExtentsTooMany { limit }) } else { Ok(claim(run, unit)) };
                    if take(claim) == Go::Stop || claim.is_err() {
                        return Ok(());
                    }
                }
                (device != 0).then_some((block, device, 1))
            }
        };
    }
    run.map(|run| take(Ok(claim(run, unit))));
    Ok(())
}

fn claim((first, at, length): (u64, u64, u64), unit: BlockSize) -> FileExtent {
    let bytes = |blocks: u64| Bytes::new(blocks << unit.shift());
    FileExtent::written(bytes(first), bytes(at), bytes(length))
}

const BATCH: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(answers: &[rustix::io::Result<i32>]) -> (rustix::io::Result<()>, Vec<(u64, u64, u64)>) {
        let mut taken = Vec::new();
        let mut rest = answers.iter().copied();
        let ask = |_| rest.next().unwrap_or(Err(Errno::RANGE));
        let size = Bytes::new(u64::try_from(answers.len()).unwrap_or(0) << 10 | 1);
        let Some(unit) = BlockSize::new(1024) else { unreachable!("1 KiB is a block size") };
        let outcome = walk(ask, size, unit, |claim| {
            taken.extend(claim.map(|it| (it.logical.get(), it.physical.map_or(0, Bytes::get), it.length.get())));
            Go::On
        });
        (outcome, taken)
    }

    #[test]
    fn blocks_become_runs_and_failures_holes() {
        let (outcome, taken) = walked(&[Ok(7), Ok(8), Ok(0), Ok(9), Err(Errno::IO), Ok(3), Ok(5)]);
        assert_eq!(outcome, Ok(()));
        assert_eq!(taken, [(0, 7168, 2048), (3072, 9216, 1024), (5120, 3072, 1024), (6144, 5120, 1024)]);
    }

    #[test]
    fn what_the_ioctl_cannot_carry_is_no_answer() {
        for (answer, error) in
            [(Err(Errno::PERM), Errno::PERM), (Ok(-1), Errno::RANGE), (Err(Errno::RANGE), Errno::RANGE)]
        {
            assert_eq!(walked(&[Ok(1), answer]).0, Err(error));
        }
        assert_eq!(walked(&[]), (Ok(()), Vec::new()));
    }

    #[test]
    fn whoever_takes_a_batch_can_end_it() {
        let Some(unit) = BlockSize::new(512) else { unreachable!("512 is a block size") };
        let (mut asked, mut taken) = (Vec::new(), Vec::new());
        let ask = |block: i32| {
            asked.push(block);
            Ok(block.saturating_add(1))
        };
        let outcome = walk(ask, Bytes::new(1 << 40), unit, |claim| {
            taken.push(claim);
            Go::Stop
        });
        assert_eq!((outcome, taken.len(), asked.len()), (Ok(()), 1, 4097));
    }
}
