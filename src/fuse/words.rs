//! The words of FUSE that promise something about a file's I/O: those of `INIT` and `WRITE`, and those that `OPEN`
//! answers.
//!
//! What they promise is what a server that gets each request itself may rest on: the file model, for another
//! kernel's swap. With `fuseblk` and `FUSE_BMAP` the kernel swaps to the device and never asks the server.
//! No word of FUSE tells a server that an I/O is swap.
//!
//! Source: Linux v6.18, `include/uapi/linux/fuse.h`, protocol 7.45.

use crate::feature::{Features, when};
use crate::reason::{FlagFault, Reason};

bitflags::bitflags! {
    /// The `INIT` flags that bear on swap. The values are ABI; bits from 32 on travel in `flags2`, shifted down.
    ///
    /// `INIT` has many more: [`Init::from_words`] passes over those, they say nothing of a file's I/O.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Init: u64 {
        /// `FUSE_ASYNC_DIO`: direct I/O is submitted asynchronously.
        const ASYNC_DIO = 1 << 15;
        /// `FUSE_WRITEBACK_CACHE`: writes go to the page cache first.
        const WRITEBACK_CACHE = 1 << 16;
        /// `FUSE_MAX_PAGES`: requests may be of more pages than 32.
        const MAX_PAGES = 1 << 22;
        /// `FUSE_INIT_EXT`: `flags2` is there.
        const INIT_EXT = 1 << 30;
        /// `FUSE_PASSTHROUGH`: files may be passed through to another one.
        const PASSTHROUGH = 1 << 37;
        /// `FUSE_HAS_RESEND`: requests may come again, so that a write may be applied twice.
        const HAS_RESEND = 1 << 39;
        /// `FUSE_OVER_IO_URING`.
        const OVER_IO_URING = 1 << 41;
    }
}

bitflags::bitflags! {
    /// The flags that `OPEN` answers. The values are ABI.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Fopen: u32 {
        /// `FOPEN_DIRECT_IO`: the page cache is not used for this file.
        const DIRECT_IO = 1 << 0;
        /// `FOPEN_KEEP_CACHE`.
        const KEEP_CACHE = 1 << 1;
        /// `FOPEN_NONSEEKABLE`.
        const NONSEEKABLE = 1 << 2;
        /// `FOPEN_CACHE_DIR`.
        const CACHE_DIR = 1 << 3;
        /// `FOPEN_STREAM`.
        const STREAM = 1 << 4;
        /// `FOPEN_NOFLUSH`.
        const NOFLUSH = 1 << 5;
        /// `FOPEN_PARALLEL_DIRECT_WRITES`: direct writes do not exclude each other.
        const PARALLEL_DIRECT_WRITES = 1 << 6;
        /// `FOPEN_PASSTHROUGH`: I/O goes to the backing file, past the server.
        const PASSTHROUGH = 1 << 7;
    }
}

bitflags::bitflags! {
    /// The flags that come with a `WRITE`. The values are ABI.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Write: u32 {
        /// `FUSE_WRITE_CACHE`: written back from the page cache, the handle is a guess.
        const CACHE = 1 << 0;
        /// `FUSE_WRITE_LOCKOWNER`: the owner of a lock is named.
        const LOCKOWNER = 1 << 1;
        /// `FUSE_WRITE_KILL_SUIDGID`: the set-id bits are to be cleared, which is a change of the inode.
        const KILL_SUIDGID = 1 << 2;
    }
}

impl Write {
    /// Takes `write_flags` of `fuse_write_in`.
    ///
    /// # Errors
    /// [`FlagFault::Unknown`] with bits that protocol 7.45 does not have.
    pub fn from_word(word: u32) -> Result<Self, Reason> {
        let bits = word & !Self::all().bits();
        Self::from_bits(word).ok_or(Reason::Flags(FlagFault::Unknown { word: "write_flags", bits: bits.into() }))
    }
}

impl Init {
    /// Takes `flags` and `flags2` of `fuse_init_in` or `fuse_init_out`; without `INIT_EXT` the second means nothing.
    pub fn from_words(flags: u32, flags2: u32) -> Self {
        let known = |bits| Self::all().intersection(Self::from_bits_retain(bits));
        let low = known(flags.into());
        if low.contains(Self::INIT_EXT) { low.union(known(u64::from(flags2) << 32)) } else { low }
    }
}

impl Fopen {
    /// Takes `open_flags` of `fuse_open_out`.
    ///
    /// # Errors
    /// [`FlagFault::Unknown`] with bits that protocol 7.45 does not have.
    pub fn from_word(word: u32) -> Result<Self, Reason> {
        let bits = word & !Self::all().bits();
        Self::from_bits(word).ok_or(Reason::Flags(FlagFault::Unknown { word: "open_flags", bits: bits.into() }))
    }
}

impl Features {
    /// What a FUSE file promises by how its connection and its handle were opened.
    ///
    /// Direct I/O in both directions without a detour through the page cache if the handle says `FOPEN_DIRECT_IO`,
    /// which overrides passthrough, and has positions; nothing at all without. Of `INIT` only `ASYNC_DIO` promises
    /// anything: the others say what may still happen to a request on its way. What the server itself does with it,
    /// and whether that needs memory, only the server can promise.
    pub const fn of_fuse(init: Init, open: Fopen) -> Self {
        // What has no positions has no pages.
        let positioned = !open.intersects(Fopen::STREAM.union(Fopen::NONSEEKABLE));
        let direct = open.contains(Fopen::DIRECT_IO) && positioned;
        when(direct, Self::DIO_READ.union(Self::DIO_WRITE).union(Self::NO_BUFFERED_FALLBACK))
            .union(when(direct && init.contains(Init::ASYNC_DIO), Self::ASYNC_COMPLETION))
            .union(when(direct && open.contains(Fopen::PARALLEL_DIRECT_WRITES), Self::PARALLEL_WRITES))
    }
}
