//! Every page of a file or a device, written by a request of its own, and the ticks that went by meanwhile: a stamp of
//! times is due once in each.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::IoSlice;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use swap_dio::admit::Request;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::SwapFile;
use swap_dio::{Bytes, PageCount, PageIndex};

pub(crate) const PAGES: u64 = 10_000;

/// How they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// One after the other.
    Calls,
    /// 32 at once.
    #[cfg(feature = "io-uring")]
    Ring,
}

impl Way {
    #[cfg(feature = "io-uring")]
    pub(crate) const ALL: &[Self] = &[Self::Calls, Self::Ring];
    #[cfg(not(feature = "io-uring"))]
    pub(crate) const ALL: &[Self] = &[Self::Calls];

    /// Writes all of them; how many ticks went by.
    pub(crate) fn write_all(self, file: &SwapFile) -> u64 {
        match self {
            Self::Calls => one_by_one(file),
            #[cfg(feature = "io-uring")]
            Self::Ring => by_ring(file),
        }
    }
}

fn one_by_one(file: &SwapFile) -> u64 {
    let (mut page, mut ticks) = (Box::new(Page([0; 4096])), Ticks::default());
    for at in 0..PAGES {
        page.0[..8].copy_from_slice(&at.to_le_bytes());
        let ticket = file.admit(&request(at)).expect("a ticket");
        assert_eq!(file.write(ticket, &[IoSlice::new(&page.0)]).to_kernel(), 4096, "page {at}");
        ticks.look();
    }
    ticks.count()
}

#[cfg(feature = "io-uring")]
fn by_ring(file: &SwapFile) -> u64 {
    use std::time::Duration;
    use swap_dio::linux::swap_file::Ring;

    let mut ring = Ring::new(file, 32, PageCount::new(1)).expect("a ring");
    let (mut left, mut ticks) = (0..PAGES, Ticks::default());
    loop {
        while let Some(mut memory) = ring.lend() {
            let Some(at) = left.next() else {
                ring.give_back(memory);
                break;
            };
            ring.memory_mut(&mut memory)[..8].copy_from_slice(&at.to_le_bytes());
            let ticket = file.admit(&request(at)).expect("a ticket");
            assert!(ring.start(memory, ticket).is_ok(), "page {at}");
        }
        if ring.in_flight() == 0 {
            return ticks.count();
        }
        let ended = ring.next(Duration::from_secs(20)).expect("a ring").expect("an end in time");
        assert_eq!(ended.completion.to_kernel(), 4096, "page {}", ended.first);
        ring.give_back(ended.memory);
        ticks.look();
    }
}

/// Writes each page as a server without a policy would.
pub(crate) fn bypass(path: &Path) {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).expect("the file");
    let page = Box::new(Page([7; 4096]));
    for at in 0..PAGES {
        assert_eq!(file.write_at(&page.0, at * 4096).expect("a page"), 4096);
    }
}

fn request(at: u64) -> Request {
    Request::new(Direction::Write, PageIndex::new(at), PageCount::new(1), Bytes::new(4096))
}

#[repr(align(4096))]
struct Page([u8; 4096]);

/// Times that the kernel's coarse clock has shown.
#[derive(Default)]
struct Ticks(BTreeSet<(i64, i64)>);

impl Ticks {
    fn look(&mut self) {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        self.0.insert((now.tv_sec, now.tv_nsec));
    }

    fn count(&self) -> u64 {
        u64::try_from(self.0.len()).expect("few")
    }
}
