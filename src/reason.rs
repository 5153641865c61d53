//! Why a file, a claim or a header may not serve swap: one enum, with the value refused and the limit broken.
//!
//! A [`Reason`] says what happened (`Display`, one line, lower case), by which stable name ([`Reason::code`]), how
//! long it lasts ([`Class`], and so the [`Verdict`]), what swapon(2) answers ([`Reason::answer`]), whose rule it is
//! ([`Reason::source`]) and what a person can type ([`Reason::remedy`]). What is fixed about a reason is one line of
//! `reason/table.rs`. No match in here has a catch-all arm.
//!
//! Sizes are bytes unless the type says pages or blocks. Source: Linux v6.18, reason by reason in that table.

mod answer;
mod class;
mod fault;
mod flag;
mod guard;
mod posture;
mod range;
mod remedy;
mod request;
mod served;
mod subject;
mod table;
mod topology;

pub use answer::{Answer, Errno};
pub use class::{Class, Verdict};
pub use fault::Fault;
pub use flag::FlagFault;
pub use guard::GuardFault;
pub use posture::{PostureFault, PostureStep};
pub use request::RequestFault;
pub use served::ServedFault;
pub use subject::{HibernationMark, Holder, SpecialFile};
pub use topology::TopologyFault;

use crate::unit::{BlockSize, ByteRange, Bytes, PageCount, PageIndex, PageSize};

/// Why not: the value that was refused and the limit that it broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    // The call.
    /// A flag bit that swapon(2) does not know.
    #[error("swapon has no flags {bits:#x}")]
    FlagsUnknown {
        /// The bits.
        bits: u32,
    },
    /// Only a privileged process may activate swap.
    #[error("swapon needs the capability CAP_SYS_ADMIN")]
    NoPermission,
    /// The table of areas is full, or may be: how many it holds depends on how the kernel was built.
    #[error("{active} swap areas are active, the kernel's table holds between 22 and 32")]
    TableFull {
        /// Active areas.
        active: usize,
    },

    // The path, as swapon(2) opens it.
    /// A directory: opening it for writing fails before anything is looked at.
    #[error("a directory holds no swap area")]
    Directory,
    /// Neither a regular file nor a block device.
    #[error("{kind} holds no swap area")]
    NotAFile {
        /// What it is.
        kind: SpecialFile,
    },
    /// The filesystem, the mount or the subvolume is read-only, and swapon opens for writing.
    #[error("the filesystem, this mount of it or this subvolume is read-only, swapon opens for writing")]
    ReadOnly,
    /// `chattr +i`: opening for writing fails.
    #[error("the file is immutable (chattr +i), swapon opens for writing")]
    Immutable,
    /// `chattr +a`: opening for writing without `O_APPEND` fails.
    #[error("the file is append-only (chattr +a), swapon opens for plain writing")]
    AppendOnly,
    /// A process runs the file: it cannot be opened for writing meanwhile.
    #[error("{}", if *certain { "a process is running this file" } else { "whether a process runs this file cannot be told" })]
    OpenForExecution {
        /// Whether it is known, or only cannot be ruled out.
        certain: bool,
    },
    /// fs-verity: `fs/verity/open.c:fsverity_file_open` refuses writers.
    #[error("the file is sealed by fs-verity and cannot be opened for writing")]
    Verity,

    // mm/swapfile.c:claim_swapfile and swapon, before the header.
    /// A zoned block device: what was written is never overwritten in place.
    #[error("a zoned block device cannot be overwritten in place")]
    SequentialZone,
    /// The name is gone: `d_unlinked`.
    #[error("the file has been unlinked")]
    Unlinked,
    /// `IS_SWAPFILE`: already active, by this name or another.
    #[error("{}", if *certain { "the swap area is already active" } else { "an active swap area is named in /proc/swaps by a path that leads nowhere from here: this may be it" })]
    Active {
        /// Whether it is known, or only cannot be ruled out.
        certain: bool,
    },
    /// The block device is held by a mount, a device-mapper table or another exclusive opener.
    #[error("the block device is in use by {holder}")]
    DeviceHeld {
        /// Who holds it.
        holder: Holder,
    },
    /// fscrypt: kernels before mid-2026 accept the file and write plaintext to the disk.
    #[error("fscrypt encrypts the file, block-mapped swap would write plaintext to the disk")]
    Encrypted,
    /// `mapping_min_folio_order` above zero.
    #[error("filesystem blocks of {block} exceed the page size of {page}")]
    BlockSizeAbovePageSize {
        /// The filesystem's block size.
        block: Bytes,
        /// The kernel's page size.
        page: PageSize,
        /// Whether the kernel at hand refuses it: 6.18 does, 6.12 mounts such filesystems and does not; `None` between.
        refused: Option<bool>,
    },
    /// `a_ops->read_folio` is absent: tmpfs, overlayfs.
    #[error("{filesystem} offers swapon no way to read the header page")]
    NoPageRead {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// tmpfs under a loop device: what it holds is memory, and is swapped out itself.
    #[error("{filesystem} holds its files in memory and swaps them out: an area on them waits for itself")]
    InMemory {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// `a_ops->read_folio` is absent on DAX address spaces.
    #[error("the file is in DAX mode, swapon cannot read the header page through the page cache")]
    Dax,

    // mm/swapfile.c:read_swap_header, in its order.
    /// The last ten bytes of the first page are not `SWAPSPACE2`.
    #[error("no swap signature at byte {} of the first page", page_size.bytes().get().saturating_sub(10))]
    HeaderMissing {
        /// The page size that was looked for.
        page_size: PageSize,
    },
    /// The first page cannot be read: the device fails, or its checksum does.
    #[error("the first page cannot be read")]
    HeaderUnreadable,
    /// `SWAP-SPACE`: the format of before 1998, no longer accepted.
    #[error("the swap signature is the obsolete SWAP-SPACE, only SWAPSPACE2 is accepted")]
    HeaderObsolete,
    /// The signature stands at the end of a page of another size.
    #[error("the swap header is for pages of {found}, this kernel has pages of {running}")]
    HeaderPageSize {
        /// The page size that the header was made for.
        found: PageSize,
        /// The kernel's page size.
        running: PageSize,
    },
    /// A suspend image stands where the signature should be.
    #[error("the area holds a hibernation image ({mark})")]
    HibernationImage {
        /// Who wrote it.
        mark: HibernationMark,
    },
    /// Only version 1 exists, in either byte order.
    #[error("swap header version {found}, only version 1 is known")]
    HeaderVersion {
        /// The version as this machine reads it.
        found: u32,
    },
    /// `last_page` is 0: no page but the header.
    #[error("the swap header says that the last page is page 0")]
    HeaderEmpty,
    /// The header claims more than the file holds; a file's length is rounded down to pages.
    #[error("the swap header claims {claimed}, the file holds {available}")]
    HeaderShort {
        /// `last_page` + 1.
        claimed: PageCount,
        /// Whole pages in the file or device.
        available: PageCount,
    },
    /// A list of bad pages is for block devices only.
    #[error("the swap header of a regular file lists {count} bad pages, only a block device may")]
    BadPagesOnFile {
        /// `nr_badpages`.
        count: u32,
    },
    /// The list cannot be longer than the room before the signature.
    #[error("the swap header lists {count} bad pages, its page has room for {limit}")]
    BadPagesTooMany {
        /// `nr_badpages`.
        count: u32,
        /// Entries that fit.
        limit: u32,
    },
    /// `setup_swap_map`: a bad page is the header or lies past the last page.
    #[error("the swap header lists bad {bad}, pages 1 to {} may be listed", last.get())]
    BadPageOutside {
        /// The entry.
        bad: PageIndex,
        /// `last_page`.
        last: PageIndex,
    },
    /// More entries, duplicates counted, than pages: the kernel's counter wraps.
    #[error("the swap header lists {count} bad pages of {pages}")]
    BadPagesWrap {
        /// Entries, each duplicate counted.
        count: u32,
        /// Pages that there are to lose.
        pages: PageCount,
    },
    /// The header claims more than a swap entry can address; the rest stays unused.
    #[error("the swap header claims {claimed}, this kernel can use {usable}")]
    HeaderTruncated {
        /// `last_page` + 1.
        claimed: PageCount,
        /// What the architecture can address.
        usable: PageCount,
    },

    /// A header to be written cannot say so many pages.
    #[error("an area of {pages}, a swap header can say {limit}")]
    AreaTooLarge {
        /// Pages wanted.
        pages: PageCount,
        /// The most that the format can say.
        limit: PageCount,
    },

    /// The area of a device where one of a file is needed, or the reverse: file pages would become device pages.
    #[error("a block device has no file extents, and a file is no block device")]
    OtherBacking,

    // The inode, before its extents.
    /// btrfs: `BTRFS_INODE_NODATACOW` is missing. `fs/btrfs/inode.c:btrfs_swap_activate`.
    #[error("the file is copy-on-write")]
    CopyOnWrite,
    /// f2fs: writes go to new places; in LFS mode all of them, and swapon refuses.
    #[error("{filesystem} writes to new places, not over what was there")]
    LogStructured {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// btrfs: `BTRFS_INODE_NODATASUM` is missing.
    #[error("the file's data is checksummed")]
    Checksummed,
    /// btrfs: the inode is marked for compression.
    #[error("the file is marked for compression")]
    CompressedFile,
    /// The filesystem has no map from file to device: no `->bmap`, no `->swap_activate`.
    #[error("{filesystem} gives swapon no map from the file to a block device")]
    NoBlockMap {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// No rules for this filesystem are encoded here, so nothing is promised.
    #[error("this version has no rules for {filesystem}")]
    FilesystemUnknown {
        /// The filesystem's name, or a family of names.
        filesystem: &'static str,
    },
    /// Where the extents lie could not be asked: FIBMAP and the chunk tree of btrfs are for root only.
    #[error("where on which device the data lies is told to root only, and was not asked")]
    PlacementUnknown,
    /// FUSE over a block device: a process said where the blocks lie, and swap would go there past it.
    #[error("a user-space server said where its blocks lie, whether it keeps them there cannot be told")]
    UserSpaceServer,
    /// `fs/nfs/file.c:nfs_swap_activate`: fewer bytes allocated than the file is long.
    #[error("{allocated} are allocated of a file of {size}, so it has holes")]
    Underallocated {
        /// `i_blocks` × 512.
        allocated: Bytes,
        /// `i_size`.
        size: Bytes,
    },
    /// btrfs: an overwrite in place still makes an ordered extent and finishes it in a transaction.
    #[error("{filesystem} runs a transaction for each write through it, also for an overwrite in place")]
    TransactionPerWrite {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// A read-only block device: swapon(2) accepts it, and every write to it will fail.
    #[error("the block device is read-only, every page written to it would be lost")]
    DeviceReadOnly,
    /// The kernel's client of a network filesystem was built without swap, or is too old for it.
    #[error("{}", if *certain { "this kernel's client serves no swap" } else { "whether this kernel's client serves swap cannot be told" })]
    SwapNotServed {
        /// The filesystem's name.
        filesystem: &'static str,
        /// Whether it is known, or only cannot be ruled out.
        certain: bool,
    },
    /// A network filesystem: every page needs a server and a network that need no memory.
    #[error("{filesystem} is a network filesystem, its server and the network are on the swap path")]
    Network {
        /// The filesystem's name.
        filesystem: &'static str,
    },
    /// ext4 `data=journal`: no direct I/O, every write is buffered and journaled. Only the file model cares.
    #[error("the file's data is journaled, direct I/O silently becomes buffered I/O")]
    JournaledData,
    /// Direct I/O is not offered on this file (`stx_dio_offset_align` is 0).
    #[error("the filesystem offers no direct I/O on this file")]
    NoDirectIo,
    /// The block device is a loop device: its worker writes through the backing file's filesystem.
    #[error("a loop device: its worker allocates memory in the filesystem of the backing file")]
    LoopBacking,

    // Claims: what no honest filesystem states.
    /// A claim of no length.
    #[error("an extent of no length at offset {offset}")]
    ExtentEmpty {
        /// Its logical offset.
        offset: Bytes,
    },
    /// A claim whose logical or physical end does not fit in 64 bits.
    #[error("an extent of {} ends past 2^64", range)]
    ExtentOverflow {
        /// Its logical range.
        range: ByteRange,
    },
    /// A claim that overlaps the one before it, or runs backwards.
    #[error("an extent at offset {offset} begins before {expected}, where the one before it ends")]
    ExtentOrder {
        /// Its logical offset.
        offset: Bytes,
        /// The end of the claim before it.
        expected: Bytes,
    },
    /// A claim that is not in whole filesystem blocks.
    #[error("an extent of {range} is not in whole blocks of {block}")]
    ExtentUnaligned {
        /// Its logical range.
        range: ByteRange,
        /// The filesystem's block size.
        block: BlockSize,
    },
    /// A claim with a flag that has no meaning here.
    #[error("an extent at offset {offset} has the unknown flags {bits:#x}")]
    ExtentFlagsUnknown {
        /// Its logical offset.
        offset: Bytes,
        /// The bits, as the source numbers them.
        bits: u32,
    },
    /// A claim past the end of the device.
    #[error("an extent of {range} ends at device offset {end}, the device ends at {device}")]
    OutsideDevice {
        /// Its logical range.
        range: ByteRange,
        /// Where it ends on the device.
        end: Bytes,
        /// The device's size.
        device: Bytes,
    },
    /// Two swap pages on one device page.
    #[error("{first} and {second} of the swap area share a device page")]
    DeviceOverlap {
        /// The swap page that comes first on the device.
        first: PageIndex,
        /// A swap page on the same device page.
        second: PageIndex,
    },
    /// More claims than a file of this size can have, or than the caller allows.
    #[error("more than {limit} extents")]
    ExtentsTooMany {
        /// The limit.
        limit: u64,
    },

    // Extents.
    /// A run of the file that may not serve swap.
    #[error("{range} {fault}")]
    Extent {
        /// The run.
        range: ByteRange,
        /// What is wrong with it.
        fault: Fault,
    },
    /// btrfs before the fix of 2025: an extent that was shared with a snapshot or a clone counts as shared still.
    #[error("{range} were shared with another file or snapshot, {}", if *certain { "which this kernel takes for shared still" } else { "which kernels without a fix of 2025 take for shared still" })]
    OnceShared {
        /// The first run of that kind.
        range: ByteRange,
        /// Whether the kernel at hand is known to.
        certain: bool,
    },
    /// btrfs: every data block group has a profile other than `single`.
    #[error("the filesystem stores data by a profile other than single (dup or raid)")]
    ProfileNotSingle,
    /// The file model: a page that is not one run on the device needs more than one I/O.
    #[error("the page at offset {} lies in more than one run of blocks", range.offset)]
    SplitPage {
        /// The page.
        range: ByteRange,
    },
    /// The file model: pages of the file that are not pages of the device.
    #[error("{range} do not begin where a page of {page} of the device begins")]
    Misplaced {
        /// The range.
        range: ByteRange,
        /// The page size.
        page: PageSize,
    },
    /// f2fs: a run that is not in whole sections is moved during activation.
    #[error("{range} are not in whole sections of {section}, activation moves them")]
    SectionUnaligned {
        /// The range.
        range: ByteRange,
        /// The section size.
        section: Bytes,
    },
    /// No page is left besides the header page: `Cannot find a single usable page`, `Empty swap-file`.
    #[error("{found} left after trimming to whole pages, the header and one more are needed")]
    NoUsablePage {
        /// Pages found, the header page included.
        found: PageCount,
    },

    // The state of the machine.
    /// Something runs that excludes swapon for a while.
    #[error("{holder} excludes swapon for now")]
    Busy {
        /// What runs.
        holder: Holder,
    },

    // The map.
    /// A page past the end of the area.
    #[error("{page} is past the end of an area of {pages}")]
    OutsideArea {
        /// The page asked for.
        page: PageIndex,
        /// The pages of the area.
        pages: PageCount,
    },
    /// The caller's memory holds no more extents.
    #[error("the map's memory holds {capacity} slots, which is too few")]
    MapFull {
        /// Slots that the caller gave.
        capacity: u64,
    },
    /// Swap pages are not file pages here, so a block of the file cannot be looked up by its page.
    #[error("swap pages were trimmed and are not file pages, no file block can be answered from this map")]
    NotIdentity,
    /// A block address that cannot be told in this block size.
    #[error("device offset {at} is not a whole number of blocks of {block}")]
    BlockUnaligned {
        /// The device offset.
        at: Bytes,
        /// The block size asked for.
        block: BlockSize,
    },
    /// FUSE: a file that states another block size than its mount.
    #[error("the file states blocks of {file}, its mount has blocks of {mount}: up to 6.12 swapon mixes them up")]
    BlockSizes {
        /// The mount's block size.
        mount: BlockSize,
        /// The file's.
        file: Bytes,
    },
    /// Block 0 of a device: in `bmap` the number 0 means a hole.
    #[error("block 0 of the device cannot be told from a hole")]
    BlockZero,
    /// A buffer smaller than what must be put into it.
    #[error("a buffer of {got}, {needed} are needed")]
    ShortBuffer {
        /// What the caller gave.
        got: Bytes,
        /// What is needed.
        needed: Bytes,
    },

    // Serving the area.
    /// A word of flags that cannot be taken.
    #[error("{0}")]
    Flags(FlagFault),
    /// A request that is not admitted, or that has failed.
    #[error("{0}")]
    Request(RequestFault),
    /// An operation on an active swap file.
    #[error("{0}")]
    Guard(GuardFault),
    /// A process that serves swap, and may wait for memory that only it can free.
    #[error("{0}")]
    Posture(PostureFault),
    /// Who serves the area, on what, and how.
    #[error("{0}")]
    Topology(TopologyFault),
    /// A file that is served, or was to be.
    #[error("{0}")]
    Served(ServedFault),

    // Advice: swapon(8) prints these, the kernel does not care.
    /// Direct writes in place still stamp times, about once a tick: a small transaction in swap context.
    #[error("writes through the filesystem stamp the file's times, which is a transaction about once a tick")]
    TimestampTransaction,
    /// The file can be read or written by others: they can read every swapped page.
    #[error("mode {mode:04o} lets others at the swapped memory, 0600 is safe")]
    InsecureMode {
        /// The permission bits.
        mode: u16,
    },
    /// The file belongs to a user.
    #[error("the file belongs to user {uid}, who can read the swapped memory")]
    InsecureOwner {
        /// The owner.
        uid: u32,
    },
}
