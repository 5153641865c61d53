//! Block devices: size, zones, what is stacked on them, what a loop device stands on.
//!
//! Told from /sys and the mount table. Opening the device exclusively would tell more, and could make somebody
//! else's mount fail meanwhile; a check does not do that.
//!
//! Source: Linux v6.18, `mm/swapfile.c:claim_swapfile`, `block/bdev.c:bd_may_claim` (a partition claims its whole
//! disk); Documentation/ABI/stable/sysfs-block.

use std::path::{Path, PathBuf};

use super::inode::{Device, Inode, Kind};
use super::mount;
use crate::reason::Holder;

/// Whether writes must follow zones.
pub(super) fn is_zoned(device: Device) -> bool {
    let whole = whole_disk(device).unwrap_or_else(|| sysfs(device));
    let model = std::fs::read_to_string(whole.join("queue/zoned"));
    model.is_ok_and(|model| model.trim() != "none")
}

/// Whether this is a loop device.
pub(super) fn is_loop(device: Device) -> bool {
    whole_disk(device).unwrap_or_else(|| sysfs(device)).join("loop").is_dir()
}

/// Who holds the device, its whole disk or one of its partitions, if anybody is seen to.
pub(super) fn holder(device: Device) -> std::io::Result<Option<Holder>> {
    let mut family = vec![sysfs(device)];
    match whole_disk(device) {
        Some(disk) => family.push(disk),
        None => family.extend(partitions(device)),
    }
    let has_holder = |dir: &PathBuf| std::fs::read_dir(dir.join("holders")).is_ok_and(|mut held| held.next().is_some());
    if family.iter().any(has_holder) {
        return Ok(Some(Holder::StackedDevice));
    }
    let numbers: Vec<Device> = family.iter().filter_map(|dir| number_of(dir)).collect();
    for mount in mount::all()? {
        // btrfs mounts have a device number of their own: there the source tells.
        let source = Inode::at(&mount.source);
        let source = source.ok().filter(|inode| inode.kind == Kind::BlockDevice).map(|inode| inode.device);
        if numbers.contains(&mount.device) || source.is_some_and(|source| numbers.contains(&source)) {
            return Ok(Some(Holder::Mount));
        }
    }
    Ok(None)
}

fn sysfs(device: Device) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{device}"))
}

/// The disk that a partition is on; `None` for a whole disk.
fn whole_disk(device: Device) -> Option<PathBuf> {
    let dir = sysfs(device);
    if !dir.join("partition").exists() {
        return None;
    }
    dir.canonicalize().ok()?.parent().map(PathBuf::from)
}

fn partitions(device: Device) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(sysfs(device)) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|dir| dir.join("partition").exists()).collect()
}

fn number_of(dir: &Path) -> Option<Device> {
    let text = std::fs::read_to_string(dir.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(Device(major.parse().ok()?, minor.parse().ok()?))
}
