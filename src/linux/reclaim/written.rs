//! Files that a process writes by storing into memory: which of its shared mappings are of a filesystem on a disk.
//!
//! A lock keeps such a page in memory, not writable: after each writeback the next store faults, and in that fault the
//! filesystem runs a transaction and may wait for writeback (`page_mkwrite`). With the descriptor closed nothing else
//! shows it. Files of shmem and ramfs have no writeback and no such fault. Shmem without a mount (memfd, `/dev/zero`,
//! System V) is known by its device, on which nobody makes files by name; on a mounted tmpfs a name may lead to a block
//! device, so the kind of file is asked for. Names prove nothing: a file on a disk may be called `/memfd:x (deleted)`.
//! What is known as neither counts; memfd_secret does too.
//!
//! Source: Linux v6.18, `mm/vma.c:vma_wants_writenotify`, `mm/memory.c` (`do_page_mkwrite`, `fault_dirty_shared_page`),
//! `fs/ext4/inode.c:ext4_page_mkwrite`, `mm/shmem.c` (`shm_mnt`, `shmem_zero_setup`), `fs/proc/base.c`
//! (`proc_map_files_get_link` asks for CAP_CHECKPOINT_RESTORE).

use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, MemfdFlags, Statx};

use super::mappings::Written;
use super::notes::Notes;
use super::process::Process;
use crate::linux::inode::Device;
use crate::linux::mount::Mount;
use crate::posture::{PostureDoubt, Seen};
use crate::reason::PostureStep;

/// Counts those that are written through the page cache.
pub(super) fn look(process: &Process, files: &[Written], mounts: &[Mount], notes: &mut Notes) -> Seen<u32> {
    if files.is_empty() {
        return Ok(0);
    }
    let own = shmem();
    let (mut count, mut doubt) = (0u32, None);
    for file in files {
        match is_memory(process, file, own, mounts) {
            Ok(true) => continue,
            Ok(false) => {
                count = count.saturating_add(1);
                if count <= SHOWN {
                    let name = String::from_utf8_lossy(&file.name);
                    notes.add(PostureStep::LogSinks, format!("mapped at {:#x} is {name}", file.range.start));
                }
            }
            Err(why) => doubt = Some(why),
        }
    }
    match doubt {
        // One that is written is enough to know.
        Some(why) if count == 0 => Err(why),
        Some(_) | None => Ok(count),
    }
}

fn is_memory(process: &Process, file: &Written, own: Option<Device>, mounts: &[Mount]) -> Seen<bool> {
    if own == Some(file.device) {
        return Ok(true);
    }
    let is_of_memory = |mount: &Mount| mount.device == file.device && MEMORY.contains(&mount.kind.as_str());
    if !mounts.iter().any(is_of_memory) {
        return Ok(false);
    }
    let is_it = |stat: &Statx| stat.stx_ino == file.inode && device(stat) == file.device;
    let by_range = format!("map_files/{:x}-{:x}", file.range.start, file.range.end);
    let by_name = [b"root", file.name.as_slice()].concat();
    let stat = process.stat(&by_range).or_else(|_| process.stat(std::ffi::OsStr::from_bytes(&by_name)));
    let stat = stat.ok().filter(is_it).ok_or(PostureDoubt::NotPermitted)?;
    Ok(FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile)
}

/// The device of the kernel's own mount of shmem.
fn shmem() -> Option<Device> {
    let file = rustix::fs::memfd_create("swap-dio", MemfdFlags::CLOEXEC).ok()?;
    Some(Device::of_kernel(rustix::fs::fstat(&file).ok()?.st_dev))
}

const fn device(stat: &Statx) -> Device {
    Device(stat.stx_dev_major, stat.stx_dev_minor)
}

const MEMORY: [&str; 3] = ["tmpfs", "devtmpfs", "ramfs"];
const SHOWN: u32 = 8;
