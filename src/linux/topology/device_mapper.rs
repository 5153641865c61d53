//! Whether a device-mapper device leaves each sector where it is: by the names that LVM, cryptsetup and multipath give.
//!
//! Its table would say so itself, but is told to root alone. The devices below show: LVM marks what a thin volume, a
//! snapshot, an origin with snapshots, a cached volume and VDO stand on.
//!
//! Source: LVM 2.03, `lib/activate/dev_manager.c` (layers of a volume); Linux v6.18, `drivers/md/dm-sysfs.c` (`uuid`).

use std::path::Path;

use crate::linux::sysfs;
use crate::topology::Told;

/// `dir` is its folder in /sys.
pub(super) fn maps_in_place(dir: &Path) -> Told {
    let below = sysfs::all(&dir.join("slaves"));
    // What is no device-mapper device has no such attribute; one that cannot be read may say anything.
    let names = below.and_then(|below| below.iter().map(|slave| uuid(slave)).collect::<std::io::Result<Vec<_>>>());
    let Ok(names) = names else { return Told::Unknown };
    let marked = |uuid: &String| ALLOCATE.iter().any(|mark| uuid.ends_with(mark));
    if names.iter().flatten().any(marked) {
        return Told::No;
    }
    let own = uuid(dir).ok().flatten().unwrap_or_default();
    if MAKERS.iter().any(|maker| own.starts_with(maker)) { Told::Yes } else { Told::Unknown }
}

fn uuid(dir: &Path) -> std::io::Result<Option<String>> {
    sysfs::word(&dir.join("dm/uuid"))
}

/// Of what is below: a thin pool; VDO's pool; what a snapshot was taken of, and what it keeps; a cache, its map and its
/// pool, which commits metadata.
const ALLOCATE: [&str; 7] = ["-tpool", "-vpool", "-real", "-cow", "-cdata", "-cmeta", "-cvol"];

/// Whose other devices map in place: `part` and a number stand before the maker of a device that has partitions.
const MAKERS: [&str; 5] = ["LVM-", "CRYPT-", "mpath-", "DMRAID-", "part"];
