//! Families D and E: clones that come and go, and what only btrfs has, one filesystem at a time.

use std::path::Path;

use swap_dio::linux::{Depth, examine, extents};

use crate::cases::Kernel::{Accepts, Refuses};
use crate::cases::{EINVAL, NOCOW_40, WRITE_40};
use crate::machine::{ACTIVE_AREAS, Mounted};
use crate::{judge, make_case, mounted};

const MAKE: &str = "mkfs.btrfs -q -d single $DEV";

fn btrfs() -> Option<Mounted> {
    mounted(&[256], MAKE, "mount $DEV $M", &["mkfs.btrfs"])
}

fn agreed(outcome: Result<(), String>) {
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

/// Cloned fifty times, and all owners but the last clone gone: no longer shared, however lately.
#[test]
fn p_072_the_last_of_fifty_clones() {
    let kinds = [("xfs", "mkfs.xfs -q $DEV", "mkfs.xfs"), ("btrfs", MAKE, "mkfs.btrfs")];
    for (kind, make, tool) in kinds {
        let Some(fs) = mounted(&[320], make, "mount $DEV $M", &[tool]) else { return };
        for (after_cloning, after_deleting) in
            [("", ""), ("", "sync -f ."), ("sync -f .", ""), ("sync -f .", "sync -f .")]
        {
            let clone = "touch $n; chmod 600 $n; chattr +C $n 2>/dev/null || true; cp --reflink=always g $n";
            let script = "touch g; chattr +C g 2>/dev/null || true; dd if=/dev/zero of=g bs=4k count=32 status=none; \
                          mkswap -q g >&2";
            let after = format!(
                "for i in $(seq 49); do n=c$i; {clone}; done; n=f; {clone}; {after_cloning}\nrm g c*; {after_deleting}"
            );
            let name = format!("P-072 {after_cloning:?} after cloning, {after_deleting:?} after deleting");
            let folder = format!("x{}-{}", after_cloning.len(), after_deleting.len());
            let path = make_case(&fs, &folder, script, 0, &after).expect("the last clone");
            agreed(judge(kind, &name, &path, Accepts(124)));
        }
    }
}

#[test]
fn p_076_a_remount_does_not_change_a_file() {
    let Some(fs) = btrfs() else { return };
    let old = make_case(&fs, "old", WRITE_40, 39, "mount -o remount,nodatacow $M").expect("a file");
    let new = make_case(&fs, "new", WRITE_40, 39, "").expect("a file");
    agreed(judge("btrfs", "P-076 made before the remount", &old, Refuses(EINVAL)));
    agreed(judge("btrfs", "P-076 made after it", &new, Accepts(156)));
}

#[test]
fn p_081_a_second_device_later() {
    let Some(fs) = mounted(&[256, 256], MAKE, "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    let path = make_case(&fs, "f", NOCOW_40, 39, "").expect("a file");
    agreed(judge("btrfs", "P-081 one device", &path, Accepts(156)));
    fs.run(&fs.root, "btrfs -q device add -f $DEV2 $M").expect("a second device");
    agreed(judge("btrfs, two devices", "P-081 a second one added", &path, Accepts(156)));
}

#[test]
fn p_082_snapshots_deleted_one_by_one() {
    let Some(fs) = btrfs() else { return };
    let make = "btrfs -q subvolume create s; ln -s s/f f; touch s/f; chattr +C s/f; \
                dd if=/dev/zero of=s/f bs=4k count=64 status=none";
    let after = "sync -f .; btrfs -q subvolume snapshot s one; btrfs -q subvolume snapshot -r s two; sync -f .";
    let path = make_case(&fs, "d", make, 63, after).expect("a file");
    let folder = path.with_file_name("");
    agreed(judge("btrfs", "P-082 two snapshots", &path, Refuses(EINVAL)));
    fs.run(&folder, "btrfs -q subvolume delete -c one; btrfs -q subvolume sync $M").expect("deleted");
    agreed(judge("btrfs", "P-082 one snapshot", &path, Refuses(EINVAL)));
    fs.run(&folder, "btrfs -q subvolume delete -c two; btrfs -q subvolume sync $M").expect("deleted");
    agreed(judge("btrfs", "P-082 none", &path, Accepts(252)));
}

#[test]
fn p_084_only_the_snapshots_copy_is_left() {
    let Some(fs) = btrfs() else { return };
    let make = "btrfs -q subvolume create s; ln -s s/f f; touch s/f; chattr +C s/f; \
                dd if=/dev/zero of=s/f bs=4k count=40 status=none";
    let after =
        "sync -f .; btrfs -q subvolume snapshot s t; rm s/f; ln -sfn t/f f; sync -f .; btrfs filesystem sync $M >&2";
    let path = make_case(&fs, "d", make, 39, after).expect("a file");
    agreed(judge("btrfs", "P-084", &path, Accepts(156)));
}

/// The file that btrfs-progs makes for swap: below 44 KiB it says "too short", and leaves an empty one behind.
#[test]
fn p_087_the_tools_own_files() {
    let Some(fs) = mounted(&[256], MAKE, "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    if fs.run(&fs.root, "btrfs filesystem mkswapfile --help").is_err() {
        return println!("skipped: these btrfs-progs have no mkswapfile");
    }
    let mut made = 0;
    for (size, expected) in [("40K", None), ("41K", None), ("44K", Some(40)), ("48K", Some(44)), ("1M", Some(1020))] {
        let path = fs.root.join(size);
        // Later versions may refuse with a status, or take 40 KiB as their help says: the kernel's answer is held
        // against ours either way.
        let _ = fs.run(&fs.root, &format!("btrfs filesystem mkswapfile -s {size} {size} >&2"));
        let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        let expected = match expected {
            Some(kib) => Accepts(kib),
            None if length >= 40 << 10 => Accepts(36),
            None if !path.exists() => continue,
            None => Refuses(EINVAL),
        };
        agreed(judge("btrfs", &format!("P-087 {size}"), &path, expected));
        made += 1;
    }
    assert!(made >= 3, "three sizes at least are made by every version");
    assert!(fs.run(&fs.root, "btrfs filesystem mkswapfile -s 1M 1M >&2").is_err(), "P-087 an existing path");
    agreed(judge("btrfs", "P-087 left as it was", &fs.root.join("1M"), Accepts(1020)));
}

/// What FIEMAP calls physical is no place on the device: before a balance by luck the same, after it not.
#[test]
fn p_089_addresses_are_the_devices_or_none() {
    let Some(fs) = btrfs() else { return };
    let path = make_case(&fs, "f", NOCOW_40, 39, "sync -f .").expect("a file");
    let _shared = ACTIVE_AREAS.read();
    for balanced in [false, true] {
        if balanced {
            fs.run(&fs.root, "btrfs balance start --full-balance $M >&2; sync -f .").expect("a balance");
        }
        let script = "btrfs inspect-internal map-swapfile f | awk '/Physical start/ { print $3 }'";
        let start = fs.run(&path.with_file_name(""), script).expect("what btrfs-progs says");
        let start: u64 = start.parse().expect("a number");
        let mut first = true;
        let walked = extents(&path, |claim| {
            let claim = claim.expect("a claim");
            let said = claim.physical.map(|physical| physical.get());
            assert!(said.is_none() || !first || said == Some(start), "{claim:?}, and btrfs-progs says {start}");
            first = false;
        });
        assert!(walked.is_ok() && !first, "P-089: {walked:?}");
        assert_fiemap_differs(&fs, &path, start, balanced);
        let found = examine(&path, Depth::All).expect("an examination");
        assert_eq!(found.kernel.accepts, Some(true), "P-089: {found:?}");
    }
}

/// The case itself: what filefrag shows after a balance is another number.
fn assert_fiemap_differs(fs: &Mounted, path: &Path, start: u64, balanced: bool) {
    let script =
        format!("filefrag -b1 -v {} | awk '$1 == \"0:\" {{ sub(/\\.\\..*/, \"\", $4); print $4 }}'", path.display());
    let shown = fs.run(&fs.root, &script).expect("filefrag");
    assert!(!shown.is_empty() && (!balanced || shown != start.to_string()), "FIEMAP {shown}, the device {start}");
}
