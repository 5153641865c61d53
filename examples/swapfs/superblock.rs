//! The image on disk: one superblock, one table of extents, one file; and what of it is believed.
//!
//! ```text
//! block 0   0 magic, 8 version u32, 12 block size u32, 16 UUID, 32 image bytes u64, 40 file bytes u64,
//!           48 table offset u64, 56 extents u32, 60 checksum of the table u32, 64 zeros, 4092 checksum of the block u32
//! table     per extent: offset in the file u64, offset in the image u64, length u64; in the file's order; zeros after
//! ```
//!
//! Little-endian; checksums are CRC-32; every place and length is in bytes and whole blocks. Block 0 belongs to the
//! superblock, so that no extent can lie where FUSE_BMAP could not name it.
//!
//! # Invariants (of a [`Layout`], however it was made)
//! 1. The extents cover the file from 0 to its end, without a gap. 2. Each lies inside the image. 3. None touches the
//!    superblock, the table, or another one.

/// The unit of everything: a page, and the block of the `fuseblk` mount.
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const BLOCK_BYTES: usize = 4096;
/// The most extents that a table may have.
pub(crate) const MOST_EXTENTS: usize = 1024;
/// mkswap(8) asks for ten pages.
pub(crate) const SMALLEST_FILE: u64 = 10 * BLOCK;

const MAGIC: [u8; 8] = *b"SWAPFS\x1a\n";
const VERSION: u32 = 1;
const ENTRY: usize = 24;
const CHECKSUM: usize = BLOCK_BYTES - 4;

/// One run of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Extent {
    pub(crate) logical: u64,
    pub(crate) physical: u64,
    pub(crate) length: u64,
}

/// What an image says of itself, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Layout {
    uuid: [u8; 16],
    image: u64,
    file: u64,
    table: u64,
    extents: Vec<Extent>,
}

/// Why an image is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("not a swapfs image: its magic number is missing")]
    Magic,
    #[error("the {what} is damaged: its checksum is {found:#010x}, not {expected:#010x}")]
    Checksum { what: &'static str, found: u32, expected: u32 },
    #[error("version {0} of the format is not known, only {VERSION}")]
    Version(u32),
    #[error("a block of {0} bytes is not supported, only {BLOCK}")]
    BlockSize(u32),
    #[error("the image was made with {said} bytes and has {found}")]
    Truncated { said: u64, found: u64 },
    #[error("{what} {got} is not a number of whole blocks")]
    Partial { what: &'static str, got: u64 },
    #[error("a file of {0} bytes cannot hold a swap area")]
    FileSize(u64),
    #[error("{0} extents: at least one and at most {MOST_EXTENTS} can be")]
    Count(u64),
    #[error("the table at byte {offset} does not lie between the superblock and the end of the image")]
    Table { offset: u64 },
    #[error("extent {index} begins at byte {logical} of the file, not at {expected}")]
    Order { index: usize, logical: u64, expected: u64 },
    #[error("extent {index}, {length} bytes at byte {physical}, does not lie inside the image")]
    Outside { index: usize, physical: u64, length: u64 },
    #[error("extent {index} at byte {physical} lies over {over}")]
    Overlap { index: usize, physical: u64, over: &'static str },
    #[error("the extents cover {covered} bytes of a file of {file}")]
    Coverage { covered: u64, file: u64 },
    #[error("what must be zeros after the {0} is not")]
    Tail(&'static str),
}

impl Layout {
    /// Checks what was planned, by the same rules as what was read.
    pub(crate) fn new(uuid: [u8; 16], image: u64, table: u64, extents: Vec<Extent>) -> Result<Self, Damage> {
        let file = extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.length));
        let file = file.ok_or(Damage::FileSize(u64::MAX))?;
        let layout = Self { uuid, image, file, table, extents };
        layout.check()?;
        Ok(layout)
    }

    /// Reads an image of `found` bytes. `read` fills a buffer from a byte of the image on, and is asked for whole
    /// blocks only.
    pub(crate) fn read<E: From<Damage>>(
        found: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut block = [0; BLOCK_BYTES];
        if found < BLOCK {
            return Err(Damage::Magic.into());
        }
        read(0, &mut block)?;
        let summary = Summary::decode(&block, found)?;
        let mut table = vec![0; table_bytes(summary.count)];
        read(summary.table, &mut table)?;
        Ok(summary.with_table(&table)?)
    }

    pub(crate) const fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    pub(crate) const fn file(&self) -> u64 {
        self.file
    }

    pub(crate) const fn image(&self) -> u64 {
        self.image
    }

    pub(crate) const fn table_offset(&self) -> u64 {
        self.table
    }

    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The extent that covers a byte of the file.
    pub(crate) fn extent_at(&self, offset: u64) -> Option<Extent> {
        let after = self.extents.partition_point(|extent| extent.logical <= offset);
        let extent = *self.extents.get(after.checked_sub(1)?)?;
        (offset - extent.logical < extent.length).then_some(extent)
    }

    /// The superblock and the table, as they are written.
    pub(crate) fn encode(&self) -> ([u8; BLOCK_BYTES], Vec<u8>) {
        let mut table = vec![0; table_bytes(self.extents.len())];
        for (entry, extent) in table.chunks_exact_mut(ENTRY).zip(&self.extents) {
            put(entry, 0, &extent.logical.to_le_bytes());
            put(entry, 8, &extent.physical.to_le_bytes());
            put(entry, 16, &extent.length.to_le_bytes());
        }
        let mut block = [0; BLOCK_BYTES];
        put(&mut block, 0, &MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 12, &(BLOCK as u32).to_le_bytes());
        put(&mut block, 16, &self.uuid);
        put(&mut block, 32, &self.image.to_le_bytes());
        put(&mut block, 40, &self.file.to_le_bytes());
        put(&mut block, 48, &self.table.to_le_bytes());
        put(&mut block, 56, &(self.extents.len() as u32).to_le_bytes());
        put(&mut block, 60, &crc32fast::hash(&table).to_le_bytes());
        seal(&mut block);
        (block, table)
    }

    fn check(&self) -> Result<(), Damage> {
        for (what, got) in [("an image size of", self.image), ("a file size of", self.file), ("a table at", self.table)]
        {
            whole(what, got)?;
        }
        if self.file < SMALLEST_FILE {
            return Err(Damage::FileSize(self.file));
        }
        let table_end = self.table.checked_add(table_bytes(self.extents.len()) as u64);
        if self.table < BLOCK || table_end.is_none_or(|end| end > self.image) {
            return Err(Damage::Table { offset: self.table });
        }
        let mut expected = 0u64;
        for (index, extent) in self.extents.iter().enumerate() {
            for (what, got) in [("a place at", extent.physical), ("a length of", extent.length)] {
                whole(what, got)?;
            }
            let Extent { logical, physical, length } = *extent;
            if logical != expected {
                return Err(Damage::Order { index, logical, expected });
            }
            let end = physical.checked_add(length);
            if length == 0 || end.is_none_or(|end| end > self.image) {
                return Err(Damage::Outside { index, physical, length });
            }
            if physical < BLOCK {
                return Err(Damage::Overlap { index, physical, over: "the superblock" });
            }
            // Bounded by the image, which fits.
            expected = expected.checked_add(length).ok_or(Damage::Outside { index, physical, length })?;
        }
        if expected != self.file {
            return Err(Damage::Coverage { covered: expected, file: self.file });
        }
        self.check_overlaps()
    }

    fn check_overlaps(&self) -> Result<(), Damage> {
        // The table is one more thing that lies somewhere.
        let table = (self.table, table_bytes(self.extents.len()) as u64, None);
        let runs = self.extents.iter().enumerate().map(|(index, run)| (run.physical, run.length, Some(index)));
        let mut places: Vec<_> = runs.chain([table]).collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            let [(start, length, first), (next, _, second)] = pair else { continue };
            if start + length > *next {
                let over = if first.is_some() && second.is_some() { "another one" } else { "the table" };
                let index = second.or(*first).unwrap_or_default();
                return Err(Damage::Overlap { index, physical: *next, over });
            }
        }
        Ok(())
    }
}

/// The superblock alone: what is needed to read the table.
struct Summary {
    uuid: [u8; 16],
    image: u64,
    file: u64,
    table: u64,
    count: usize,
    table_checksum: u32,
}

impl Summary {
    fn decode(block: &[u8; BLOCK_BYTES], found: u64) -> Result<Self, Damage> {
        if field::<8>(block, 0) != MAGIC {
            return Err(Damage::Magic);
        }
        agree("superblock", u32_at(block, CHECKSUM), crc32fast::hash(&block[..CHECKSUM]))?;
        match u32_at(block, 8) {
            VERSION => (),
            version => return Err(Damage::Version(version)),
        }
        match u32_at(block, 12) {
            size if u64::from(size) == BLOCK => (),
            size => return Err(Damage::BlockSize(size)),
        }
        let image = u64_at(block, 32);
        if image > found {
            return Err(Damage::Truncated { said: image, found });
        }
        let count = u32_at(block, 56);
        let table = u64_at(block, 48);
        let extents = usize::try_from(count).unwrap_or(usize::MAX);
        if !(1..=MOST_EXTENTS).contains(&extents) {
            return Err(Damage::Count(count.into()));
        }
        whole("a table at", table)?;
        let end = table.checked_add(table_bytes(extents) as u64);
        if table < BLOCK || end.is_none_or(|end| end > image) {
            return Err(Damage::Table { offset: table });
        }
        if block[64..CHECKSUM].iter().any(|byte| *byte != 0) {
            return Err(Damage::Tail("superblock"));
        }
        let (uuid, file) = (field(block, 16), u64_at(block, 40));
        Ok(Self { uuid, image, file, table, count: extents, table_checksum: u32_at(block, 60) })
    }

    fn with_table(self, table: &[u8]) -> Result<Layout, Damage> {
        agree("table", self.table_checksum, crc32fast::hash(table))?;
        let (entries, tail) = table.split_at(self.count * ENTRY);
        if tail.iter().any(|byte| *byte != 0) {
            return Err(Damage::Tail("table"));
        }
        let extent =
            |entry: &[u8]| Extent { logical: u64_at(entry, 0), physical: u64_at(entry, 8), length: u64_at(entry, 16) };
        let extents = entries.chunks_exact(ENTRY).map(extent).collect();
        let Self { uuid, image, file, table, .. } = self;
        let layout = Layout { uuid, image, file, table, extents };
        layout.check()?;
        Ok(layout)
    }
}

/// Whether a block begins as a superblock does.
pub(crate) fn is_ours(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Bytes that a table of so many extents takes, in whole blocks.
pub(crate) const fn table_bytes(extents: usize) -> usize {
    (extents * ENTRY).next_multiple_of(BLOCK_BYTES)
}

/// Puts the checksum into a superblock.
pub(crate) fn seal(block: &mut [u8; BLOCK_BYTES]) {
    let checksum = crc32fast::hash(&block[..CHECKSUM]);
    put(block, CHECKSUM, &checksum.to_le_bytes());
}

fn whole(what: &'static str, got: u64) -> Result<(), Damage> {
    if got % BLOCK == 0 { Ok(()) } else { Err(Damage::Partial { what, got }) }
}

fn agree(what: &'static str, found: u32, expected: u32) -> Result<(), Damage> {
    if found == expected { Ok(()) } else { Err(Damage::Checksum { what, found, expected }) }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}
