//! Files that pass, pages of memory to write to them, and the descriptor that the engine keeps to itself.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use swap_dio::admit::{Completion, Request};
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Consumer, OpenError, Serving, SwapFile};
use swap_dio::linux::{Plan, prepare};
use swap_dio::{Bytes, Model, PageCount, PageIndex, Reason};

use crate::machine::{Mounted, ready};

pub(crate) const PAGE: u64 = 4096;

/// One page of memory, aligned as direct I/O needs it.
#[derive(Clone)]
#[repr(align(4096))]
pub(crate) struct Page(pub(crate) [u8; 4096]);

/// So many pages that each say which they are, and by which round.
pub(crate) fn marked(first: u64, pages: u64, round: u8) -> Vec<Page> {
    (first..first + pages).map(|page| marked_page(page, round)).collect()
}

pub(crate) fn marked_page(page: u64, round: u8) -> Page {
    let mut bytes = [round; 4096];
    for (at, piece) in bytes.chunks_exact_mut(64).enumerate() {
        piece[..8].copy_from_slice(&(page * 64 + at as u64).to_le_bytes());
    }
    Page(bytes)
}

pub(crate) fn blank(pages: u64) -> Vec<Page> {
    vec![Page([0xee; 4096]); usize::try_from(pages).expect("few")]
}

pub(crate) const OTHER: Serving = Serving::new(Consumer::OtherKernel);

pub(crate) fn request(direction: Direction, first: u64, pages: u64) -> Request {
    Request::new(direction, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE))
}

/// Writes pages, a piece each.
pub(crate) fn write(file: &SwapFile, first: u64, memory: &[Page]) -> Result<Completion, Reason> {
    let pieces: Vec<IoSlice<'_>> = memory.iter().map(|page| IoSlice::new(&page.0)).collect();
    let ticket = file.admit(&request(Direction::Write, first, memory.len() as u64))?;
    Ok(file.write(ticket, &pieces))
}

/// Reads pages, a piece each.
pub(crate) fn read(file: &SwapFile, first: u64, memory: &mut [Page]) -> Result<Completion, Reason> {
    let ticket = file.admit(&request(Direction::Read, first, memory.len() as u64))?;
    let mut pieces: Vec<IoSliceMut<'_>> = memory.iter_mut().map(|page| IoSliceMut::new(&mut page.0)).collect();
    Ok(file.read(ticket, &mut pieces))
}

pub(crate) fn is_done(completion: &Completion) -> bool {
    completion.result() == Some(Ok(()))
}

pub(crate) const EXT4: (&str, &str, &str) = ("ext4", "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
pub(crate) const XFS: (&str, &str, &str) = ("xfs", "mkfs.xfs -q $DEV", "mount $DEV $M");

pub(crate) fn mounted((name, mkfs, mount): (&str, &str, &str)) -> Option<Mounted> {
    ready(&[&format!("mkfs.{name}")]).then(|| Mounted::new(&[320], mkfs, mount))
}

/// A file of so many MiB that passes.
pub(crate) fn made(fs: &Mounted, name: &str, mib: u64) -> PathBuf {
    let path = fs.root.join(name);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    prepare(&path, &Plan::new(Bytes::new(mib << 20), Model::File), go_on).expect("a file that passes");
    path
}

/// Opens a file for service. What passes by itself is given a moment: others' areas whose names lead nowhere.
pub(crate) fn open(path: &Path, serving: &Serving) -> Result<SwapFile, OpenError> {
    for _ in 0..50 {
        match SwapFile::open(path, serving) {
            Err(OpenError::Refused { why: Reason::Active { certain: false } }) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            answer => return answer,
        }
    }
    SwapFile::open(path, serving)
}

pub(crate) fn served(path: &Path) -> SwapFile {
    open(path, &OTHER).expect("a file to serve")
}

/// Whether something comes about in time.
pub(crate) fn within(limit: Duration, mut come: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !come() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Takes pages out of a file behind the engine's back.
pub(crate) fn punch(fd: impl AsFd, first: u64, pages: u64) {
    let act = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(fd, act, first * PAGE, pages * PAGE).expect("a hole");
}

/// The engine's own descriptor of a file, for acts that its lease keeps everybody else from: the same open file, so
/// that nothing is opened.
pub(crate) fn own_descriptor(path: &Path) -> OwnedFd {
    let is_it = |entry: &std::fs::DirEntry| std::fs::read_link(entry.path()).is_ok_and(|name| name == path);
    let entry = std::fs::read_dir("/proc/self/fd").expect("/proc").filter_map(Result::ok).find(is_it);
    let number = entry.expect("an open file").file_name().to_string_lossy().parse().expect("a number");
    let process = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).expect("its descriptor")
}
