//! Block devices: size, zones, who holds them, what they stand on.
//!
//! swapon opens a device exclusively, so the only exact way to learn whether it could is to do the same for a moment,
//! for reading. Who holds it is then told from /sys and the mount table, as far as it shows there.
//!
//! Source: Linux v6.18, `mm/swapfile.c:claim_swapfile`, `block/bdev.c:bd_may_claim` (a partition claims its whole
//! disk); Documentation/ABI/stable/sysfs-block.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as OsError;

use super::backing::Backing;
use super::error::{ExamineError, fact, no_fact};
use super::inode::{Device, Inode};
use super::ioctl::device_size;
use super::open::{open, start_of};
use super::report::{Collector, Counted, Examination, Facts, For};
use super::topology::Tree;
use super::{mount, swaps};
use crate::activation::Activation;
use crate::candidate::{Candidate, Condition};
use crate::header::{self, Header, MAXIMUM_PAGES};
use crate::map::Tally;
use crate::reason::{Holder, Reason, TopologyFault, Verdict};
use crate::unit::Bytes;

/// Examines a block device; `candidate` holds what was found before it was opened.
pub(super) fn examine(
    path: &Path,
    named: &Inode,
    mut candidate: Candidate,
    mut found: Collector,
) -> Result<Examination, ExamineError> {
    let page_size = candidate.page_size;
    let (file, inode) = open(path, named)?;
    let size = Bytes::new(device_size(&file).map_err(fact("its size"))?);
    let disk = Disk::of(inode.device).map_err(no_fact("/sys/dev/block"))?;

    candidate.conditions.set(Condition::ZONED, disk.is_zoned());
    candidate.block = disk.logical_block();
    if is_held(&file)? {
        candidate.holder = Some(disk.holder().map_err(no_fact("the mount table"))?);
    } else {
        // An active area holds its device: one that is free is none, whatever /proc/swaps leaves open.
        candidate.unknown.remove(Condition::ACTIVE);
    }
    candidate.judge(|reason| found.say(For::Both, reason));

    let totals = start_of(&file)?.and_then(|start| {
        let header = Header::read(&start, page_size)?;
        let area = header.area(header::Backing::BlockDevice, size, MAXIMUM_PAGES)?;
        found.advise(&inode);
        if let Some(warning) = area.truncated() {
            found.say(For::Both, warning);
        }
        Activation::block_device(&area, Tally)
    });
    let totals = totals.map_err(|reason| found.say(For::Both, reason)).ok();
    if disk.is_read_only() {
        found.say(For::Both, Reason::DeviceReadOnly);
    }
    let mut backing = None;
    if disk.is_loop() {
        backing = Backing::of(&file, &disk.whole, page_size, found.depth());
    }
    let topology = Tree::running().device(inode.device.0, inode.device.1);
    let is_over_file = topology.is_over_a_loop_file();
    found.stand(For::Both, topology);
    // Who accepts the loop device accepts its worker's memory, not that it allocates blocks; a file further down, below
    // other devices, is not looked at.
    let below = backing.as_ref().and_then(|backing| Some(backing.file.as_ref()?.verdict()));
    if is_over_file && below != Some(Verdict::Admit) {
        found.say(For::Both, Reason::Topology(TopologyFault::LoopFile));
    }
    let facts = Facts { filesystem: "block device".to_owned(), page_size, size, backing };
    Ok(found.finish(facts, totals.map(Counted::exact)))
}

/// Whether somebody holds the device, or its disk, for himself: asked for a moment, and given back at once.
///
/// Somebody else may be asking at the same moment, so "held" is asked again; as anybody may who opens it exclusively
/// just then, a mount or a swapon.
fn is_held(file: &File) -> Result<bool, ExamineError> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    for _ in 0..PROBES {
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(_) => return Ok(false),
            Err(OsError::BUSY) => std::thread::sleep(PROBE_PAUSE),
            Err(error) => return Err(fact("whether it is held")(error)),
        }
    }
    Ok(true)
}

const PROBES: u32 = 4;
const PROBE_PAUSE: Duration = Duration::from_millis(3);

/// What /sys says of a device.
struct Disk {
    device: Device,
    dir: PathBuf,
    /// The disk that a partition is on; the device itself if it is none.
    whole: PathBuf,
}

impl Disk {
    /// # Errors
    /// /sys does not show the device: then none of its facts can be had.
    fn of(device: Device) -> std::io::Result<Self> {
        let dir = PathBuf::from(format!("/sys/dev/block/{device}"));
        let disk = dir.canonicalize().ok().and_then(|dir| dir.parent().map(PathBuf::from));
        let whole = disk.filter(|_| dir.join("partition").exists()).unwrap_or_else(|| dir.clone());
        std::fs::read_dir(whole.join("queue"))?;
        Ok(Self { device, dir, whole })
    }

    fn is_zoned(&self) -> bool {
        std::fs::read_to_string(self.whole.join("queue/zoned")).is_ok_and(|model| model.trim() != "none")
    }

    fn is_loop(&self) -> bool {
        self.whole.join("loop").is_dir()
    }

    fn is_read_only(&self) -> bool {
        std::fs::read_to_string(self.dir.join("ro")).is_ok_and(|flag| flag.trim() != "0")
    }

    fn logical_block(&self) -> Bytes {
        let size = std::fs::read_to_string(self.whole.join("queue/logical_block_size"));
        Bytes::new(size.ok().and_then(|size| size.trim().parse().ok()).unwrap_or(0))
    }

    /// Who holds it, as far as that shows.
    fn holder(&self) -> std::io::Result<Holder> {
        let family = self.family();
        let numbers: Vec<Device> = family.iter().filter_map(|dir| number_of(dir)).collect();
        let areas = swaps::active_devices()?;
        if areas.iter().any(|area| *area != self.device && numbers.contains(area)) {
            return Ok(Holder::SwapArea);
        }
        let stacked =
            |dir: &PathBuf| std::fs::read_dir(dir.join("holders")).is_ok_and(|mut held| held.next().is_some());
        if family.iter().any(stacked) {
            return Ok(Holder::StackedDevice);
        }
        let is_mounted = mount::all()?.into_iter().any(|mount| {
            // btrfs mounts have a device number of their own: there the source tells. No other source is looked up: it
            // may be any name, also one that a server is asked for and never answers.
            let source = Some(&mount).filter(|mount| mount.kind == "btrfs");
            let source = source.and_then(|mount| mount::named_device(&mount.source));
            numbers.contains(&mount.device) || source.is_some_and(|source| numbers.contains(&source))
        });
        Ok(if is_mounted { Holder::Mount } else { Holder::Someone })
    }

    /// The device, its disk and, for a whole disk, its partitions: who claims one claims them all.
    fn family(&self) -> Vec<PathBuf> {
        let mut family = vec![self.dir.clone(), self.whole.clone()];
        if let Ok(entries) = std::fs::read_dir(&self.dir) {
            family.extend(
                entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|dir| dir.join("partition").exists()),
            );
        }
        family
    }
}

fn number_of(dir: &Path) -> Option<Device> {
    let text = std::fs::read_to_string(dir.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(Device(major.parse().ok()?, minor.parse().ok()?))
}
