//! What an md array writes besides its disks' data: metadata by a process, a bitmap of writes elsewhere.
//!
//! A write first marks its region in the bitmap, if there is one. On the array's own disks, beside its superblock, that
//! is the array's business. In a file it goes through a filesystem, and in a cluster it waits for other machines.
//!
//! Source: Linux v6.18, `Documentation/admin-guide/md.rst`, `drivers/md/md.c` (`metadata_show`), `drivers/md/md-bitmap.c`
//! (`location_show`, `metadata_show`).

use std::path::Path;

use crate::linux::sysfs;
use crate::topology::Told;

/// Whether a process writes the metadata; `dir` is the array's folder.
pub(super) fn external(dir: &Path) -> Told {
    match sysfs::text(&dir.join("md/metadata_version")).as_deref() {
        Some(version) if version.starts_with("external:") => Told::Yes,
        Some("none" | "0.90" | "1.0" | "1.1" | "1.2") => Told::No,
        Some(_) | None => Told::Unknown,
    }
}

/// A bitmap that is not on the array's own disks alone, in a few words.
pub(super) fn foreign_bitmap(dir: &Path) -> Option<&'static str> {
    let said = |name: &str| sysfs::word(&dir.join("md/bitmap").join(name)).map_err(|_| UNTOLD);
    let location = || match said("location")?.as_deref() {
        // A kernel without bitmaps, and one that shows them only where there is one.
        None | Some("none") => Ok(()),
        Some("file") => Err("a write-intent bitmap in a file"),
        // Sectors from the superblock of each disk.
        Some(place) => place.parse::<i64>().map(|_| ()).map_err(|_| UNTOLD),
    };
    let metadata = || match said("metadata")?.as_deref() {
        None | Some("internal" | "external") => Ok(()),
        Some("clustered") => Err("a write-intent bitmap that other machines share"),
        Some(_) => Err(UNTOLD),
    };
    location().and_then(|()| metadata()).err()
}

const UNTOLD: &str = "a write-intent bitmap of which it cannot be told where it is";
