//! The chunk tree of a btrfs: where its own addresses lie on its devices, and by which profile.
//!
//! btrfs states extents in addresses of its own, FIEMAP too; only chunks say which device and which place there. A
//! run that crosses from one chunk to the next is two runs on the device. It needs `CAP_SYS_ADMIN`: without, nothing
//! is known of places.
//!
//! Source: Linux v6.18, `include/uapi/linux/btrfs_tree.h` (`struct btrfs_chunk`), `fs/btrfs/inode.c:
//! btrfs_swap_activate` (the first stripe is the place of a chunk with the profile `single`).

use std::os::fd::AsFd;

use super::fiemap::Go;
use super::ioctl::BtrfsSearch;
use crate::extent::{DeviceId, ExtentFlags, FileExtent};
use crate::unit::Bytes;

/// Every chunk of a filesystem, by ascending address.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Chunks(Vec<Chunk>);

/// A range of addresses of a btrfs, and where it begins on a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Chunk {
    start: u64,
    length: u64,
    /// One copy on one device.
    is_single: bool,
    is_read_only: bool,
    /// The first stripe's device and its offset there.
    device: u64,
    physical: u64,
}

impl Chunks {
    /// Reads the chunk tree of an open file's filesystem. A chunk on a device that is `read_only` is read-only too.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`; `EIO` for a tree that cannot be one.
    pub(super) fn read(fd: impl AsFd, read_only: &[u64]) -> rustix::io::Result<Self> {
        let mut search = BtrfsSearch::new();
        let mut chunks = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let (count, bytes) = search.ask(&fd, CHUNK_TREE, FIRST_CHUNK, CHUNK_ITEM, from)?;
            let before = chunks.len();
            append(&mut chunks, count, bytes).ok_or(rustix::io::Errno::IO)?;
            // Keys ascend, or `append` has refused: each round comes further, and an empty one is the last.
            let new = chunks.get_mut(before..).unwrap_or_default();
            new.iter_mut().for_each(|chunk| chunk.is_read_only = read_only.contains(&chunk.device));
            next = chunks.get(before..).and_then(<[Chunk]>::last).and_then(|last| last.start.checked_add(1));
        }
        Ok(Self(chunks))
    }

    /// Hands a claim in addresses of the filesystem on as claims in addresses of devices: one for each chunk.
    ///
    /// A part that lies in no chunk has no place. A claim without an address is handed on as it is.
    pub(super) fn place(&self, claim: &FileExtent, mut take: impl FnMut(FileExtent) -> Go) -> Go {
        let Some(mut address) = claim.physical.map(Bytes::get) else { return take(*claim) };
        let (mut logical, mut left) = (claim.logical.get(), claim.length.get());
        loop {
            let (chunk, room) = self.at(address);
            let length = left.min(room);
            let placed = FileExtent {
                logical: Bytes::new(logical),
                physical: chunk.map(|chunk| Bytes::new(chunk.device_offset(address))),
                length: Bytes::new(length),
                device: chunk.map_or(DeviceId::MAIN, |chunk| DeviceId::new(chunk.device)),
                flags: claim.flags | chunk.map_or(ExtentFlags::empty(), |chunk| chunk.flags()),
                ..*claim
            };
            left = left.saturating_sub(length);
            if take(placed) == Go::Stop {
                return Go::Stop;
            }
            if left == 0 || length == 0 {
                return Go::On;
            }
            (logical, address) = (logical.saturating_add(length), address.saturating_add(length));
        }
    }

    /// The devices that chunks begin on.
    pub(super) fn devices(&self) -> Vec<u64> {
        let mut devices: Vec<u64> = self.0.iter().map(|chunk| chunk.device).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// The chunk at an address, and how many bytes there are to its end, or to the next chunk if there is none.
    fn at(&self, address: u64) -> (Option<&Chunk>, u64) {
        let after = self.0.partition_point(|chunk| chunk.start <= address);
        let chunk = after.checked_sub(1).and_then(|index| self.0.get(index));
        let inside = chunk.map_or(0, |chunk| chunk.start.saturating_add(chunk.length).saturating_sub(address));
        if inside > 0 {
            return (chunk, inside);
        }
        (None, self.0.get(after).map_or(u64::MAX, |next| next.start.saturating_sub(address)))
    }
}

impl Chunk {
    fn device_offset(&self, address: u64) -> u64 {
        self.physical.saturating_add(address.saturating_sub(self.start))
    }

    fn flags(&self) -> ExtentFlags {
        let mut flags = ExtentFlags::empty();
        flags.set(ExtentFlags::NOT_SINGLE, !self.is_single);
        flags.set(ExtentFlags::GROUP_READ_ONLY, self.is_read_only);
        flags
    }
}

/// Takes the items of one answer; `None` for what no chunk tree holds.
fn append(chunks: &mut Vec<Chunk>, count: u32, bytes: &[u8]) -> Option<()> {
    for item in BtrfsSearch::items(count, bytes) {
        let (start, item) = item?;
        let word = |at| BtrfsSearch::word(item, at);
        let chunk = Chunk {
            start,
            length: word(0)?,
            is_single: word(24)? & PROFILES == 0,
            is_read_only: false,
            device: word(48)?,
            physical: word(56)?,
        };
        let expected = chunks.last().map_or(0, |last| last.start.saturating_add(last.length.max(1)));
        if start < expected {
            return None;
        }
        chunks.push(chunk);
    }
    Some(())
}

const CHUNK_TREE: u64 = 3;
/// `BTRFS_FIRST_CHUNK_TREE_OBJECTID`: every chunk is an item of this one object.
const FIRST_CHUNK: u64 = 256;
const CHUNK_ITEM: u32 = 228;
/// `BTRFS_BLOCK_GROUP_PROFILE_MASK`: RAID0, RAID1, DUP, RAID10, RAID5, RAID6, RAID1C3, RAID1C4.
const PROFILES: u64 = 0xff << 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn item(start: u64, length: u64, profile: u64, device: u64, physical: u64) -> Vec<u8> {
        // Length, owner, stripe length, type, sizes, stripes, then the first stripe.
        let item = [length, 2, 65536, profile | 1, 0, 1, device, physical, 0, 0].map(u64::to_le_bytes).concat();
        let mut bytes = [1u64, FIRST_CHUNK, start].map(u64::to_ne_bytes).concat();
        bytes.extend([CHUNK_ITEM.to_ne_bytes(), 80u32.to_ne_bytes()].concat());
        bytes.extend(item);
        bytes
    }

    fn chunks() -> Chunks {
        let items = [
            item(1 << 20, 1 << 20, 0, 1, 10 << 20),
            item(2 << 20, 1 << 20, 0, 2, 4 << 20),
            item(8 << 20, 1 << 20, 1 << 5, 1, 20 << 20),
        ];
        let mut chunks = Vec::new();
        assert_eq!(append(&mut chunks, 3, &items.concat()), Some(()));
        Chunks(chunks)
    }

    /// Logical offset, place, length, device, flags: in MiB.
    fn placed(address: u64, length: u64) -> Vec<(u64, Option<u64>, u64, u64, ExtentFlags)> {
        let [address, length] = [address, length].map(|mib| Bytes::new(mib << 20));
        let claim = FileExtent::written(Bytes::ZERO, address, length);
        let mut placed = Vec::new();
        chunks().place(&claim, |it| {
            let place = it.physical.map(|at| at.get() >> 20);
            placed.push((it.logical.get() >> 20, place, it.length.get() >> 20, it.device.get(), it.flags));
            Go::On
        });
        placed
    }

    #[test]
    fn a_claim_is_cut_where_chunks_are() {
        let (none, dup) = (ExtentFlags::empty(), ExtentFlags::NOT_SINGLE);
        assert_eq!(placed(1, 1), [(0, Some(10), 1, 1, none)]);
        assert_eq!(placed(1, 2), [(0, Some(10), 1, 1, none), (1, Some(4), 1, 2, none)]);
        assert_eq!(placed(7, 2), [(0, None, 1, 0, none), (1, Some(20), 1, 1, dup)]);
        assert_eq!(placed(9, 3), [(0, None, 3, 0, none)]);
        assert_eq!(placed(0, 0), [(0, None, 0, 0, none)], "whoever takes it refuses it");
    }

    #[test]
    fn what_no_chunk_tree_holds_is_refused() {
        let (good, mut chunks) = (item(1 << 20, 1 << 20, 0, 1, 0), Vec::new());
        let cut = |length| good.iter().copied().take(length).collect::<Vec<u8>>();
        for (name, count, bytes) in [
            ("cut in the header", 1, cut(20)),
            ("cut in the item", 1, cut(100)),
            ("more than came", 2, cut(112)),
            ("the same twice", 2, [cut(112), cut(112)].concat()),
        ] {
            chunks.clear();
            assert_eq!(append(&mut chunks, count, &bytes), None, "{name}");
        }
        assert_eq!(append(&mut chunks, 0, &[]), Some(()));
    }
}
