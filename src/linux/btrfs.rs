//! btrfs: what its sysfs says without privilege: devices, data profiles, a running exclusive operation.
//!
//! Where one device and one data profile, `single`, are all there is, the chunk tree is not needed to know that a
//! file is on one device with a single profile. It is needed for device addresses, so for the number of extents:
//! that stays untold without it.
//!
//! Source: Linux v6.18, `fs/btrfs/sysfs.c` (`allocation/data/*`, `devinfo/*`, `exclusive_operation`).

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::ioctl::btrfs_info;
use crate::reason::{Holder, Reason};
use crate::release::Release;
use crate::unit::BlockSize;

/// What a mounted btrfs says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volume {
    /// `None` for a sector size that no btrfs has.
    pub(super) sector: Option<BlockSize>,
    /// What runs now and excludes swapon.
    pub(super) busy: Option<Holder>,
    /// Whether all data is single, on one device; the reason if it is known not to be, or not known.
    pub(super) placement: Result<(), Reason>,
}

/// Asks the filesystem of an open file.
pub(super) fn volume(fd: impl AsFd) -> rustix::io::Result<Volume> {
    let info = btrfs_info(fd)?;
    let dir = folder(&info.uuid);
    let operation = std::fs::read_to_string(dir.join("exclusive_operation"));
    let is_busy = operation.is_ok_and(|operation| operation.trim() != "none");
    Ok(Volume {
        sector: BlockSize::new(info.sector_size.into()),
        busy: is_busy.then_some(Holder::ExclusiveOperation),
        placement: placement(&dir, info.devices.max(devices_shown(&dir))),
    })
}

/// Devices that nothing is written to: seeds, whose block groups are read-only.
pub(super) fn read_only_devices(fd: impl AsFd) -> rustix::io::Result<Vec<u64>> {
    let Ok(entries) = std::fs::read_dir(folder(&btrfs_info(fd)?.uuid).join("devinfo")) else { return Ok(Vec::new()) };
    let is_read_only = |dir: &Path| std::fs::read_to_string(dir.join("writeable")).is_ok_and(|flag| flag.trim() == "0");
    let dirs = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|dir| is_read_only(dir));
    Ok(dirs.filter_map(|dir| dir.file_name()?.to_str()?.parse().ok()).collect())
}

/// What sysfs has on the filesystem of that UUID.
fn folder(uuid: &[u8; 16]) -> PathBuf {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [hex.get(0..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..32)];
    Path::new("/sys/fs/btrfs").join(parts.map(Option::unwrap_or_default).join("-"))
}

/// Devices that sysfs lists: a seed, which holds old data and is read-only, is not among those that the ioctl counts.
fn devices_shown(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir.join("devinfo")).map_or(0, |entries| entries.filter_map(Result::ok).count());
    u64::try_from(entries).unwrap_or(u64::MAX)
}

/// Judges the profiles that exist: only one is as good as knowing each extent's.
fn placement(dir: &Path, devices: u64) -> Result<(), Reason> {
    let profiles = |kind: &str| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(dir.join("allocation").join(kind)) else { return Vec::new() };
        let dirs = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
        dirs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut data = profiles("data");
    data.extend(profiles("mixed"));
    let singles = data.iter().filter(|profile| *profile == "single").count();
    if data.is_empty() || (singles != 0 && singles != data.len()) {
        Err(Reason::PlacementUnknown)
    } else if singles == 0 {
        Err(Reason::ProfileNotSingle)
    } else if devices != 1 {
        Err(Reason::PlacementUnknown)
    } else {
        Ok(())
    }
}

/// The last release read that takes an extent for shared which only used to be; fixed in 2025, also in stable trees.
pub(super) const ONCE_SHARED_REFUSED: Release = Release::new(6, 1);
/// The first release read that does not, whatever its stable number.
pub(super) const ONCE_SHARED_ACCEPTED: Release = Release::new(6, 18);
