//! A small filesystem in memory: one file, extents, a journal. Its reads and writes allocate, convert and copy as they
//! must; `swap_rw` at the end calls them, and what the policy admits makes none of that necessary.

use std::cell::RefCell;

use swap_dio::flags::Direction;
use swap_dio::swap_ops::{Batch, Folio, SwapRw};
use swap_dio::transaction::{Cost, Mapping};
use swap_dio::{Bytes, Completion, DeviceId, ExtentFlags, ExtentState, FileExtent};

use crate::journal::{Deadlock, Journal};

/// The size of a page, of a block, and of an I/O.
pub(crate) const PAGE: usize = 4096;

/// The contents of one page.
pub(crate) type Data = [u8; PAGE];

/// The filesystem: a disk, one file, and the journal that both are changed by.
pub(crate) struct Fs {
    pub(crate) journal: Journal,
    inner: RefCell<Inner>,
}

struct Inner {
    disk: Vec<Data>,
    /// Block 0 is the superblock; blocks are handed out from here on.
    next_free: usize,
    /// What is at each page of the file.
    file: Vec<Place>,
}

/// What is at one page of the file.
#[derive(Clone)]
enum Place {
    Hole,
    /// Written to the page cache, without a block.
    Delayed(Box<Data>),
    Block {
        block: usize,
        written: bool,
        shared: bool,
    },
    /// In the inode.
    Inline(Box<Data>),
    /// Compressed somewhere: only the page cache has it as it was.
    Encoded(Box<Data>),
}

impl Fs {
    /// Makes a file with these places, one a page; [`Mapping::PastEnd`] is none. Written pages begin as `0xee`.
    pub(crate) fn new(places: &[Mapping], journal: Journal) -> Self {
        let mut inner = Inner { disk: vec![[0xaa; PAGE]], next_free: 1, file: Vec::new() };
        for mapping in places {
            let data = Box::new([0xee; PAGE]);
            let place = match mapping {
                Mapping::Hole => Place::Hole,
                Mapping::Delayed => Place::Delayed(data),
                Mapping::Inline => Place::Inline(data),
                Mapping::Encoded => Place::Encoded(data),
                Mapping::PastEnd => continue,
                Mapping::Written | Mapping::Unwritten | Mapping::Shared => {
                    let block = inner.allocate();
                    inner.disk[block] = *data;
                    let (written, shared) = (*mapping != Mapping::Unwritten, *mapping == Mapping::Shared);
                    Place::Block { block, written, shared }
                }
            };
            inner.file.push(place);
        }
        Self { journal, inner: RefCell::new(inner) }
    }

    /// The length of the file.
    pub(crate) fn size(&self) -> Bytes {
        Bytes::new((self.inner.borrow().file.len() * PAGE) as u64)
    }

    /// What this filesystem states about its file, page by page: the claims that an activation judges.
    pub(crate) fn extents(&self) -> Vec<FileExtent> {
        let inner = self.inner.borrow();
        let claim = |(page, place): (usize, &Place)| {
            let (block, state, flags) = match place {
                Place::Hole => (None, ExtentState::Hole, ExtentFlags::empty()),
                Place::Delayed(_) => (None, ExtentState::Delayed, ExtentFlags::empty()),
                Place::Inline(_) => (None, ExtentState::Inline, ExtentFlags::empty()),
                Place::Encoded(_) => (None, ExtentState::Written, ExtentFlags::COMPRESSED),
                Place::Block { block, written, shared } => {
                    let state = if *written { ExtentState::Written } else { ExtentState::Unwritten };
                    (Some(*block), state, if *shared { ExtentFlags::SHARED } else { ExtentFlags::empty() })
                }
            };
            let bytes = |page: usize| Bytes::new((page * PAGE) as u64);
            let (logical, physical, length) = (bytes(page), block.map(bytes), bytes(1));
            FileExtent { logical, physical, length, state, flags, device: DeviceId::MAIN }
        };
        inner.file.iter().enumerate().map(claim).collect()
    }

    /// The ordinary direct write of one page, as for any application.
    pub(crate) fn write(&self, page: usize, data: &Data) -> Result<(), Deadlock> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if page >= inner.file.len() {
            inner.file.resize(page + 1, Place::Hole);
            self.journal.run(Cost::EXTENSION)?;
        }
        match inner.file[page].clone() {
            Place::Hole => {
                self.place_at(inner, page, data)?;
            }
            Place::Block { shared: true, .. } => {
                let block = inner.allocate();
                self.journal.run(Cost::COPY_ON_WRITE)?;
                inner.disk[block] = *data;
                inner.file[page] = Place::Block { block, written: true, shared: false };
                self.journal.run(Cost::COPY_ON_WRITE)?;
            }
            Place::Block { block, written, .. } => {
                inner.disk[block] = *data;
                if !written {
                    self.convert(inner, page)?;
                }
            }
            Place::Delayed(cached) => {
                // The cache goes to the disk first.
                let block = self.place_at(inner, page, &cached)?;
                inner.disk[block] = *data;
            }
            Place::Inline(_) => {
                self.journal.note(Cost::BUFFERED);
                inner.file[page] = Place::Inline(Box::new(*data));
            }
            Place::Encoded(_) => {
                self.journal.note(Cost::BUFFERED);
                inner.file[page] = Place::Encoded(Box::new(*data));
            }
        }
        Ok(())
    }

    /// The ordinary direct read of one page; `None` past the end.
    pub(crate) fn read(&self, page: usize) -> Result<Option<Data>, Deadlock> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(place) = inner.file.get(page).cloned() else {
            self.journal.note(Cost::SHORT);
            return Ok(None);
        };
        Ok(Some(match place {
            Place::Hole | Place::Block { written: false, .. } => {
                self.journal.note(Cost::ZEROS);
                [0; PAGE]
            }
            Place::Block { block, .. } => inner.disk[block],
            Place::Delayed(cached) => {
                self.place_at(inner, page, &cached)?;
                *cached
            }
            Place::Inline(cached) | Place::Encoded(cached) => {
                self.journal.note(Cost::BUFFERED);
                *cached
            }
        }))
    }

    /// Reads or writes a page; how many bytes that were.
    fn one(&self, page: usize, direction: Direction, memory: &mut Data) -> Option<usize> {
        match direction {
            Direction::Write => self.write(page, memory).ok()?,
            Direction::Read => *memory = self.read(page).ok()??,
        }
        Some(PAGE)
    }

    /// Gives a page a block: unwritten first, converted when the data is there. Which block that is.
    fn place_at(&self, inner: &mut Inner, page: usize, data: &Data) -> Result<usize, Deadlock> {
        let block = inner.allocate();
        self.journal.run(Cost::ALLOCATION)?;
        inner.file[page] = Place::Block { block, written: false, shared: false };
        inner.disk[block] = *data;
        self.convert(inner, page)?;
        Ok(block)
    }

    fn convert(&self, inner: &mut Inner, page: usize) -> Result<(), Deadlock> {
        self.journal.run(Cost::CONVERSION)?;
        if let Place::Block { written, .. } = &mut inner.file[page] {
            *written = true;
        }
        Ok(())
    }
}

impl Inner {
    /// The next block. Every eighth is left out, so that the file has several extents.
    fn allocate(&mut self) -> usize {
        if self.next_free % 8 == 7 {
            self.next_free += 1;
        }
        let block = self.next_free;
        self.next_free += 1;
        self.disk.resize(self.next_free, [0; PAGE]);
        block
    }
}

/// Memory of one page that can be lent to an I/O.
pub(crate) trait Memory: Folio {
    fn data(&mut self) -> &mut Data;
}

impl<'p, M: Memory> SwapRw<'p, M> for Fs {
    /// Goes the ordinary way, page by page: so the journal counts what that costs. That it costs nothing is the doing
    /// of the policy, which lets nothing come here but writes in place.
    fn swap_rw(&self, mut batch: Batch<'p, M>) -> Completion {
        let direction = batch.ticket().direction();
        let runs = batch.ticket().runs();
        let pages = runs.flat_map(|run| run.target().get()..run.target().get() + run.length().get());
        // One page a folio: large ones were not promised.
        let each =
            pages.zip(batch.folios_mut()).map(|(page, memory)| self.one(page as usize, direction, memory.data()));
        let done: Option<usize> = each.sum();
        batch.complete(done.map_or(EIO, |bytes| bytes as i64))
    }
}

/// Input/output error, as the kernel returns it.
const EIO: i64 = -5;
